/* iq.h: what the kernels for codebook formats (IQ1, IQ2, IQ3, IQ4_XS) know of a block of 256 weights. Needs a vec.h.
 *
 * A format says, by two inlined functions, what its block holds:
 *   begin   once per block: scales as 16-bit integers; indices and signs, written where narrow loads find them
 *   values  32 weights as bytes: magnitudes, whose signs are bits elsewhere, or signed values
 * iq_rows.h and iq_many.h multiply them, with what each ISA's own iq.h does in its registers.
 */
#ifndef LCY_SIMD_IQ_H
#define LCY_SIMD_IQ_H

#include "../formats/common/iq_points.h"
#include "../formats/q8_k.h"
#include "../kernels.h"

typedef struct {
    float d;
    __m256i scales; /* i16: low lane the scales of 16 weights 0, 2, ... 14, high lane 1, 3, ... 15 */
    __m256i mins;   /* i16: what the sum of each 16 activations is multiplied by; only where the format has it */
    uint8_t bits[32] __attribute__((aligned(32)));   /* bit k of byte g: weight 8g + k is negative; IQ1_M: flags */
    uint16_t index[64] __attribute__((aligned(32))); /* of the codebook, per group of 8 or 4 */
} lcy_iq_begun;

typedef enum { LCY_IQ_UNSIGNED, LCY_IQ_SIGN_BITS, LCY_IQ_SIGNED } lcy_iq_sign;

/* What tells the formats apart; every use is a constant, so nothing of it is left in the code. */
typedef struct {
    size_t bytes;     /* of a block */
    float factor;     /* of the whole product */
    lcy_iq_sign sign;
    int signs_at;     /* LCY_IQ_SIGN_BITS: where 32 bytes of them are in the block; 0: in lcy_iq_begun */
    int has_mins;
    int size;         /* weights under one scale: 16 or 32 */
    int offset, most; /* added to values so that none is below 0; the largest value then */
    void (*begin)(lcy_iq_begun *, const void *block);
    __m256i (*values)(const lcy_iq_begun *, const void *block, int b); /* weights 32 b ... 32 b + 31 */
} lcy_iq_traits;

LCY_INLINE __m256i lcy_iq_load256(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
LCY_INLINE __m128i lcy_iq_load128(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
LCY_INLINE __m128i lcy_iq_load64(const void *p) { return _mm_loadl_epi64((const __m128i *)p); }
LCY_INLINE __m256i lcy_iq_both(__m128i v) { return _mm256_broadcastsi128_si256(v); }
LCY_INLINE __m128i lcy_iq_nibbles(__m128i v) { return _mm_and_si128(v, _mm_set1_epi8(15)); }

LCY_INLINE const uint8_t *lcy_iq_sign_bits(const lcy_iq_traits *f, const lcy_iq_begun *s, const void *block) {
    return f->signs_at ? (const uint8_t *)block + f->signs_at : s->bits;
}

/* Stores that many narrow loads will read. The barrier makes them real: GCC would pass the values on in registers and
 * take them apart with pextrw, which costs a quarter of the speed. */
LCY_INLINE void lcy_iq_put_bits(lcy_iq_begun *s, __m256i v) {
    _mm256_store_si256((__m256i *)s->bits, v);
    __asm__("" : "+m"(s->bits));
}

LCY_INLINE void lcy_iq_put_index(lcy_iq_begun *s, int at, __m256i v) {
    _mm256_store_si256((__m256i *)(s->index + at), v);
    __asm__("" : "+m"(s->index));
}

LCY_INLINE int32_t lcy_iq_sum(__m256i v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* ---- scales ---- */

/* codes c -> 2 c + 1 */
LCY_INLINE __m256i lcy_iq_odd_scales(__m256i c) {
    return _mm256_add_epi16(_mm256_add_epi16(c, c), _mm256_set1_epi16(1));
}

/* 8 bytes of two 4-bit codes, low nibbles the even ones */
LCY_INLINE __m256i lcy_iq_scales16(const uint8_t scales[8]) {
    const __m128i v = lcy_iq_load64(scales);
    return lcy_iq_odd_scales(_mm256_cvtepu8_epi16(lcy_iq_nibbles(_mm_unpacklo_epi64(v, _mm_srli_epi16(v, 4)))));
}

/* 4 bytes of two 4-bit codes, one for 32 weights -> 8 bytes */
LCY_INLINE __m128i lcy_iq_codes8(const uint8_t scales[4]) {
    int32_t codes;
    memcpy(&codes, scales, 4);
    const __m128i v = _mm_cvtsi32_si128(codes);
    return lcy_iq_nibbles(_mm_unpacklo_epi8(v, _mm_srli_epi16(v, 4)));
}

/* 8 words with a 4-bit code on top, one for 32 weights */
LCY_INLINE __m256i lcy_iq_scales_of_words(__m256i words) {
    const __m256i codes = _mm256_srli_epi32(words, 28);
    return lcy_iq_odd_scales(_mm256_permute4x64_epi64(_mm256_packus_epi32(codes, codes), 0x88));
}

/* the scale of pairs of weights 32 b ... 32 b + 31 */
LCY_INLINE __m256i lcy_iq_scale(const lcy_iq_begun *s, int b) {
    return _mm256_shuffle_epi8(s->scales, _mm256_set1_epi16((short)(0x0100 + 0x0202 * b)));
}

/* ---- signs ---- */

/* 7 bits of signs in each byte: the eighth makes their number even */
LCY_INLINE __m256i lcy_iq_even_bits(__m256i v) {
    const __m128i odd = _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0);
    const __m256i fold = _mm256_and_si256(_mm256_xor_si256(v, _mm256_srli_epi16(v, 4)), _mm256_set1_epi8(15));
    return _mm256_or_si256(v, _mm256_shuffle_epi8(lcy_iq_both(odd), fold));
}

/* 8 words of 4 x 7 bits -> 32 bytes of 7 bits */
LCY_INLINE __m256i lcy_iq_split_sevens(__m256i words) {
    const __m256i a = _mm256_and_si256(words, _mm256_set1_epi32(0x7f));
    const __m256i b = _mm256_and_si256(_mm256_slli_epi32(words, 1), _mm256_set1_epi32(0x7f00));
    const __m256i c = _mm256_and_si256(_mm256_slli_epi32(words, 2), _mm256_set1_epi32(0x7f0000));
    const __m256i d = _mm256_and_si256(_mm256_slli_epi32(words, 3), _mm256_set1_epi32(0x7f000000));
    return _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
}

/* ---- points of a codebook ---- */

LCY_INLINE int64_t lcy_iq_8bytes(const void *p) { int64_t v; memcpy(&v, p, 8); return v; }
LCY_INLINE int32_t lcy_iq_4bytes(const void *p) { int32_t v; memcpy(&v, p, 4); return v; }

LCY_INLINE __m256i lcy_iq_4points(const uint8_t (*p)[8], int i0, int i1, int i2, int i3) {
    return _mm256_setr_epi64x(lcy_iq_8bytes(p[i0]), lcy_iq_8bytes(p[i1]), lcy_iq_8bytes(p[i2]), lcy_iq_8bytes(p[i3]));
}

LCY_INLINE __m256i lcy_iq_8points(const uint8_t (*p)[4], int i0, int i1, int i2, int i3, int i4, int i5, int i6,
                                  int i7) {
    return _mm256_setr_epi32(lcy_iq_4bytes(p[i0]), lcy_iq_4bytes(p[i1]), lcy_iq_4bytes(p[i2]), lcy_iq_4bytes(p[i3]),
                             lcy_iq_4bytes(p[i4]), lcy_iq_4bytes(p[i5]), lcy_iq_4bytes(p[i6]), lcy_iq_4bytes(p[i7]));
}

#include "iq1.h"
#include "iq2.h"
#include "iq3.h"
#include "iq4.h"

#endif
