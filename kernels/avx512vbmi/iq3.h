/* iq3.h (avx512vbmi): IQ3_XXS and IQ3_S. 64 groups of 4 weights are the 64 bytes of a register, a plane each for their
 * first, second, third and fourth weights. A dword has four groups, that is 16 weights, of one scale. */
#ifndef LCY_AVX512VBMI_IQ3_H
#define LCY_AVX512VBMI_IQ3_H

#include "../formats/iq3_s.h"
#include "../formats/iq3_xxs.h"
#include "planes.h"

/* position i of plane j: weight 4 i + j */
#define LCY_PLANE4(j) LCY_EVERY16(4, j), LCY_EVERY16(4, 64 + j), LCY_EVERY16(4, 128 + j), LCY_EVERY16(4, 192 + j)
static const uint8_t lcy_order_iq3[256] LCY_ALIGNED = {LCY_PLANE4(0), LCY_PLANE4(1), LCY_PLANE4(2), LCY_PLANE4(3)};

/* group i: bits of byte i / 2 of the signs, bit 4 (i % 2) + j for plane j */
LCY_INLINE vi lcy_iq3_sign_bits(int j) { return _mm512_set1_epi16((short)(0x1001 << j)); }

/* sixteen sums of each of four rows -> their sums */
LCY_INLINE __m128i lcy_iq3_across(const vi s[4]) {
    const vi a = _mm512_add_epi32(_mm512_unpacklo_epi32(s[0], s[1]), _mm512_unpackhi_epi32(s[0], s[1]));
    const vi b = _mm512_add_epi32(_mm512_unpacklo_epi32(s[2], s[3]), _mm512_unpackhi_epi32(s[2], s[3]));
    const vi c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    const __m256i d = _mm256_add_epi32(_mm512_castsi512_si256(c), _mm512_extracti64x4_epi64(c, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1));
}

/* A block of each of four rows; two: multiplies those of two. */
typedef void (*lcy_two_iq3_fn)(vi acc[2], const uint8_t *const w[2], const lcy_vbmi_x *x);
LCY_INLINE __m128i lcy_dot_iq3(const uint8_t *const w[4], const lcy_vbmi_x *x, lcy_two_iq3_fn two) {
    vi sums[4];
    two(sums, w, x);
    two(sums + 2, w + 2, x);
    return lcy_iq3_across(sums);
}

/* ---- IQ3_XXS ---- */

#define LCY_IQ3_XXS_VALUE(t) 4 + 8 * (t) + (t) / 7 * 2
#define LCY_IQ3_XXS_0(k) LCY_IQ3_XXS_VALUE((k) & 7),
#define LCY_IQ3_XXS_1(k) LCY_IQ3_XXS_VALUE((k) >> 3 & 7),
#define LCY_IQ3_XXS_2(k) LCY_IQ3_XXS_VALUE((k) >> 6 & 7),
#define LCY_IQ3_XXS_3(k) LCY_IQ3_XXS_VALUE((k) >> 9),
static const uint8_t lcy_planes_iq3_xxs[4][256] LCY_ALIGNED = {
    {LCY_KEYS_IQ3_XXS(LCY_IQ3_XXS_0)}, {LCY_KEYS_IQ3_XXS(LCY_IQ3_XXS_1)},
    {LCY_KEYS_IQ3_XXS(LCY_IQ3_XXS_2)}, {LCY_KEYS_IQ3_XXS(LCY_IQ3_XXS_3)}};

/* word b, of 4 x 7 bits of signs and 4 of scale, for the 8 bytes of its 8 groups */
LCY_INLINE void lcy_two_iq3_xxs(vi acc[2], const uint8_t *const w[2], const lcy_vbmi_x *x) {
    vi index[2], signs[2], words[2];
    for (int r = 0; r < 2; r++) {
        const lcy_block_iq3_xxs *b = (const void *)w[r];
        words[r] = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)b->signs));
        signs[r] = lcy_of_128(lcy_even_signs,
                              _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x15150e0e07070000), words[r]));
        index[r] = lcy_64(b->qs);
        acc[r] = _mm512_setzero_si512();
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
        for (int r = 0; r < 2; r++)
            acc[r] = lcy_signed_dot(acc[r], lcy_of_256(lcy_planes_iq3_xxs[j], index[r]), lcy_64(x->q + 64 * j), signs[r],
                                    lcy_iq3_sign_bits(j));
    for (int r = 0; r < 2; r++) {
        const vi codes = _mm512_multishift_epi64_epi8(_mm512_set1_epi8(27), words[r]);
        acc[r] = _mm512_mullo_epi32(acc[r], lcy_odd_scales(codes, 15));
    }
}

LCY_INLINE __m128i lcy_dot_iq3_xxs(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    return lcy_dot_iq3(w, x, lcy_two_iq3_xxs);
}

static const lcy_vbmi_format lcy_vbmi_iq3_xxs = {
    .bytes = sizeof(lcy_block_iq3_xxs), .factor = 0.25f, .order = lcy_order_iq3, .d = lcy_vbmi_first_half,
    .dot = lcy_dot_iq3_xxs,
};

/* ---- IQ3_S: two values a byte ---- */

#define LCY_IQ3_S_LOW(k) (2 * ((k) & 7) + 1) | (2 * ((k) >> 3 & 7) + 1) << 4,
#define LCY_IQ3_S_HIGH(k) (2 * ((k) >> 6 & 7) + 1) | (2 * ((k) >> 9) + 1) << 4,
static const uint8_t lcy_planes_iq3_s[2][512] LCY_ALIGNED = {
    {LCY_KEYS_IQ3_S(LCY_IQ3_S_LOW)}, {LCY_KEYS_IQ3_S(LCY_IQ3_S_HIGH)}};

/* position i: 4 (i / 8) - 1, one below the nibble of its scale; position i / 2 */
#define LCY_SAME8(n) n, n, n, n, n, n, n, n
static const uint8_t lcy_scale_at_iq3_s[64] LCY_ALIGNED = {LCY_SAME8(63), LCY_SAME8(3), LCY_SAME8(7), LCY_SAME8(11),
                                                           LCY_SAME8(15), LCY_SAME8(19), LCY_SAME8(23), LCY_SAME8(27)};
#define LCY_TWICE4(n) n, n, (n) + 1, (n) + 1, (n) + 2, (n) + 2, (n) + 3, (n) + 3
static const uint8_t lcy_each_twice[64] LCY_ALIGNED = {LCY_TWICE4(0), LCY_TWICE4(4), LCY_TWICE4(8), LCY_TWICE4(12),
                                                       LCY_TWICE4(16), LCY_TWICE4(20), LCY_TWICE4(24), LCY_TWICE4(28)};

LCY_INLINE void lcy_two_iq3_s(vi acc[2], const uint8_t *const w[2], const lcy_vbmi_x *x) {
    const vi nibble = _mm512_set1_epi8(15);
    vi index[2], signs[2];
    uint64_t ninth[2]; /* bit i: bit 8 of the index of group i */
    for (int r = 0; r < 2; r++) {
        const lcy_block_iq3_s *b = (const void *)w[r];
        const vi bits = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)b->signs));
        signs[r] = _mm512_permutexvar_epi8(lcy_64(lcy_each_twice), bits);
        index[r] = lcy_64(b->qs);
        memcpy(ninth + r, b->qh, 8);
        acc[r] = _mm512_setzero_si512();
    }
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++)
        for (int r = 0; r < 2; r++) {
            const uint8_t *t = lcy_planes_iq3_s[j];
            const vi two = _mm512_mask_blend_epi8(ninth[r], lcy_of_256(t, index[r]), lcy_of_256(t + 256, index[r]));
            const vi low = _mm512_and_si512(two, nibble), high = _mm512_and_si512(_mm512_srli_epi16(two, 4), nibble);
            acc[r] = lcy_signed_dot(acc[r], low, lcy_64(x->q + 128 * j), signs[r], lcy_iq3_sign_bits(2 * j));
            acc[r] = lcy_signed_dot(acc[r], high, lcy_64(x->q + 128 * j + 64), signs[r], lcy_iq3_sign_bits(2 * j + 1));
        }
    for (int r = 0; r < 2; r++) {
        int32_t codes;
        memcpy(&codes, ((const lcy_block_iq3_s *)(const void *)w[r])->scales, 4);
        const vi fields = _mm512_multishift_epi64_epi8(lcy_64(lcy_scale_at_iq3_s), _mm512_set1_epi32(codes));
        acc[r] = _mm512_mullo_epi32(acc[r], lcy_odd_scales(fields, 15));
    }
}

LCY_INLINE __m128i lcy_dot_iq3_s(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    return lcy_dot_iq3(w, x, lcy_two_iq3_s);
}

static const lcy_vbmi_format lcy_vbmi_iq3_s = {
    .bytes = sizeof(lcy_block_iq3_s), .factor = 1, .order = lcy_order_iq3, .d = lcy_vbmi_first_half,
    .dot = lcy_dot_iq3_s,
};

#endif
