/* planes.h: rows of a codebook format against one token, for CPUs that look 64 bytes up at once.
 *
 * A codebook is kept as planes: byte j of every point side by side. One look-up gives byte j of 64 points, so weights
 * come in the order of planes too: first value j of all groups of a block, then value j + 1. The activations are put
 * into that order once (`order` of a format), signs are masks. Products of four neighbours of a plane are added, times
 * their scale, in integers, which any order leaves exact; then one conversion and one fma per row and block, as the
 * plain C does. Four rows go together: they share the sum across lanes, and the larger tables that no register holds.
 */
#ifndef LCY_AVX512VBMI_PLANES_H
#define LCY_AVX512VBMI_PLANES_H

#include <immintrin.h>

#include "../formats/common/iq_keys.h"
#include "../formats/q8_k.h"
#include "../kernels.h"
#include "../scalar.h"

#define LCY_INLINE static inline __attribute__((always_inline))
#define LCY_ALIGNED __attribute__((aligned(64)))

typedef __m512i vi;

enum {
    LCY_VBMI_BLOCKS = 128, /* the longest rows whose activations are put in order */
    LCY_VBMI_SOONER = 4096 /* bytes by which a line of weights is asked for before it is asked for again */
};

/* A block of activations. Bytes that are multiplied are not below 0: where that moved weights up, sums start at what
 * brings them back, a multiple of sums of activations. */
typedef struct {
    int8_t q[256];
    int32_t start[2][8];   /* IQ1, IQ2 */
    int16_t eights[2][16]; /* IQ1_M */
    float d;
} LCY_ALIGNED lcy_vbmi_x;

typedef struct {
    size_t bytes;         /* of a block */
    float factor;         /* of the whole product */
    const uint8_t *order; /* where each activation in the order of planes comes from */
    void (*start)(lcy_vbmi_x *, const lcy_block_q8_k *); /* NULL: there is none */
    uint16_t (*d)(const uint8_t *block);
    __m128i (*dot)(const uint8_t *const w[4], const lcy_vbmi_x *x); /* a block of each of four rows */
} lcy_vbmi_format;

/* ---- words ---- */

LCY_INLINE vi lcy_64(const void *p) { return _mm512_loadu_si512(p); }
LCY_INLINE vi lcy_twice32(const void *p) { return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)p)); }
LCY_INLINE __m128i lcy_16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

/* 32 bytes of one row, then of another; 16 bytes of each */
LCY_INLINE vi lcy_two32(const void *p, const void *q) {
    const vi low = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_mask_broadcast_i64x4(low, 0xf0, _mm256_loadu_si256((const __m256i *)q));
}
LCY_INLINE __m256i lcy_two16(const void *p, const void *q) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(lcy_16(p)), lcy_16(q), 1);
}
/* 8 bytes of one row four times, then of another */
LCY_INLINE vi lcy_two8(const uint8_t *p, const uint8_t *q) {
    long long a, b;
    memcpy(&a, p, 8);
    memcpy(&b, q, 8);
    return _mm512_mask_set1_epi64(_mm512_set1_epi64(a), 0xf0, b);
}

/* (a & mask) | b */
LCY_INLINE vi lcy_and_or(vi a, vi mask, vi b) { return _mm512_ternarylogic_epi32(a, mask, b, 0xea); }

/* fields of words, one place above where they start -> odd scales 2 c + 1, 32 bits each */
LCY_INLINE vi lcy_odd_scales(vi fields, int most) {
    return lcy_and_or(fields, _mm512_set1_epi32(2 * most), _mm512_set1_epi32(1));
}

/* bits of a where mask has them, else of b */
LCY_INLINE vi lcy_either(vi mask, vi a, vi b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xca); }

/* 64 bytes of a table of 128: bit 7 of an index is not looked at */
LCY_INLINE vi lcy_of_128(const uint8_t *table, vi index) {
    return _mm512_permutex2var_epi8(lcy_64(table), index, lcy_64(table + 64));
}
/* the same for some indices; others stay */
LCY_INLINE vi lcy_some_of_128(const uint8_t *table, vi index, __mmask64 some) {
    return _mm512_mask2_permutex2var_epi8(lcy_64(table), index, some, lcy_64(table + 64));
}
/* of a table of 256: a byte is an index until its half of the table has been looked at */
LCY_INLINE vi lcy_of_256(const uint8_t *table, vi index) {
    const __mmask64 upper = _mm512_movepi8_mask(index);
    return lcy_some_of_128(table + 128, lcy_some_of_128(table, index, _knot_mask64(upper)), upper);
}

/* acc + values x activations, where a bit of `bits` in `signs` negates */
LCY_INLINE vi lcy_signed_dot(vi acc, vi values, vi x, vi signs, vi bits) {
    return _mm512_dpbusd_epi32(
        acc, values, _mm512_mask_sub_epi8(x, _mm512_test_epi8_mask(signs, bits), _mm512_setzero_si512(), x));
}

/* Signs of 8 values in 7 bits: the eighth makes the number of negative ones even. */
#define LCY_EVEN(c) (c) | (0x6996 >> (((c) ^ (c) >> 4) & 15) & 1) << 7
#define LCY_EVEN4(c) LCY_EVEN(c), LCY_EVEN((c) + 1), LCY_EVEN((c) + 2), LCY_EVEN((c) + 3)
#define LCY_EVEN16(c) LCY_EVEN4(c), LCY_EVEN4((c) + 4), LCY_EVEN4((c) + 8), LCY_EVEN4((c) + 12)
static const uint8_t lcy_even_signs[128] LCY_ALIGNED = {
    LCY_EVEN16(0), LCY_EVEN16(16), LCY_EVEN16(32), LCY_EVEN16(48),
    LCY_EVEN16(64), LCY_EVEN16(80), LCY_EVEN16(96), LCY_EVEN16(112)};

#define LCY_EVERY(n, at) (at), (at) + (n), (at) + 2 * (n), (at) + 3 * (n)
#define LCY_EVERY16(n, at) \
    LCY_EVERY(n, at), LCY_EVERY(n, (at) + 4 * (n)), LCY_EVERY(n, (at) + 8 * (n)), LCY_EVERY(n, (at) + 12 * (n))

/* ---- rows ---- */

LCY_INLINE uint16_t lcy_vbmi_first_half(const uint8_t *block) { uint16_t h; memcpy(&h, block, 2); return h; }

LCY_INLINE __m128 lcy_vbmi_floats(const uint8_t *const w[4], const lcy_vbmi_format *f) {
    const uint64_t low = f->d(w[0]) | (uint32_t)f->d(w[1]) << 16, high = f->d(w[2]) | (uint32_t)f->d(w[3]) << 16;
    return _mm_cvtph_ps(_mm_cvtsi64_si128((long long)(low | high << 32)));
}

/* Asks for what the next four rows have at the same place, twice: the CPU drops such requests when too many are under way. */
LCY_INLINE void lcy_vbmi_ask(const uint8_t *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch(p + i);
        __builtin_prefetch(p + LCY_VBMI_SOONER + i, 0, 2);
    }
}

LCY_INLINE __m128 lcy_vbmi_four(int64_t blocks, const uint8_t *const rows[4], const uint8_t *next, const lcy_vbmi_x *x,
                                const lcy_vbmi_format *f) {
    const uint8_t *w[4] = {rows[0], rows[1], rows[2], rows[3]};
    __m128 acc = _mm_setzero_ps();
    for (int64_t i = 0; i < blocks; i++, x++, next += 4 * f->bytes) {
        lcy_vbmi_ask(next, 4 * f->bytes);
        const __m128 d = _mm_mul_ps(lcy_vbmi_floats(w, f), _mm_set1_ps(x->d));
        acc = _mm_fmadd_ps(_mm_cvtepi32_ps(f->dot(w, x)), d, acc);
        for (int r = 0; r < 4; r++) w[r] += f->bytes;
    }
    return _mm_mul_ps(acc, _mm_set1_ps(f->factor));
}

LCY_INLINE void lcy_vbmi_order(lcy_vbmi_x *to, const lcy_block_q8_k *x, const lcy_vbmi_format *f) {
    for (int i = 0; i < 256; i += 64)
        _mm512_store_si512(to->q + i, lcy_of_256((const uint8_t *)x->q, lcy_64(f->order + i)));
    if (f->start) f->start(to, x);
    to->d = x->d;
}

/* The last rows may be fewer than four: then the last one takes the missing ones' places, for nobody. */
LCY_INLINE void lcy_vbmi_rows(int64_t blocks, int64_t rows, const uint8_t *w, int64_t w_stride, const lcy_block_q8_k *x,
                              float *out, const lcy_vbmi_format *f) {
    lcy_vbmi_x ordered[LCY_VBMI_BLOCKS];
    if (!rows) return;
    for (int64_t i = 0; i < blocks; i++) lcy_vbmi_order(ordered + i, x + i, f);
    for (int64_t r = 0; r < rows; r += 4, w += 4 * w_stride) {
        const int64_t last = rows - r - 1;
        const uint8_t *const four[4] = {w, w + (last < 1 ? last : 1) * w_stride, w + (last < 2 ? last : 2) * w_stride,
                                        w + (last < 3 ? last : 3) * w_stride};
        const __m128 sums = lcy_vbmi_four(blocks, four, w + 4 * w_stride, ordered, f);
        if (last >= 3) _mm_storeu_ps(out + r, sums);
        else _mm_mask_storeu_ps(out + r, (__mmask8)((2u << last) - 1), sums);
    }
}

#endif
