/* iq2.h (avx512vbmi): IQ2_XXS, IQ2_XS, IQ2_S. pairs.h has the order of things. */
#ifndef LCY_AVX512VBMI_IQ2_H
#define LCY_AVX512VBMI_IQ2_H

#include "../formats/iq2_s.h"
#include "../formats/iq2_xs.h"
#include "../formats/iq2_xxs.h"
#include "pairs.h"

/* A weight is looked up by its digit and its sign, 64 above its value. This look-up takes 6 bits of a byte, of which a
 * table heeds the 2 of a digit and the 1 of a sign. A byte of the book has digit 2 at bit 0, digits 0 and 1 at bits 2 and
 * 4, digit 3 at bit 6: where one of them stays, the signs, at bits 0..3, have room. */
#define LCY_FOUR_DIGITS(b) ((b) & 15) << 2 | ((b) >> 4 & 3) | ((b) & 0xc0)
#define LCY_LOW_IQ2(k) LCY_FOUR_DIGITS((k) & 255),
#define LCY_HIGH_IQ2(k) LCY_FOUR_DIGITS((k) >> 8),
#define LCY_WEIGHT_IQ2(digit, sign) (digit) == 3 ? 0 : 64 + (8 + 17 * (digit) + (digit) / 2) * ((sign) ? -1 : 1)
#define LCY_PLANE_IQ2(i, digit, sign) LCY_WEIGHT_IQ2((i) >> digit & 3, (i) >> sign & 1)
#define LCY_PLANE_IQ2_4(i, d, s) LCY_PLANE_IQ2(i, d, s), LCY_PLANE_IQ2((i) + 1, d, s), LCY_PLANE_IQ2((i) + 2, d, s), \
                                 LCY_PLANE_IQ2((i) + 3, d, s)
#define LCY_PLANE_IQ2_16(i, d, s) LCY_PLANE_IQ2_4(i, d, s), LCY_PLANE_IQ2_4((i) + 4, d, s), \
                                  LCY_PLANE_IQ2_4((i) + 8, d, s), LCY_PLANE_IQ2_4((i) + 12, d, s)
#define LCY_PLANE_IQ2_64(d, s) {LCY_PLANE_IQ2_16(0, d, s), LCY_PLANE_IQ2_16(16, d, s), LCY_PLANE_IQ2_16(32, d, s), \
                                LCY_PLANE_IQ2_16(48, d, s)}
static const uint8_t lcy_weights_iq2[4][64] LCY_ALIGNED = {LCY_PLANE_IQ2_64(2, 0), LCY_PLANE_IQ2_64(4, 1),
                                                           LCY_PLANE_IQ2_64(0, 2), LCY_PLANE_IQ2_64(0, 3)};

/* acc + products of four planes, for two pairs of rows */
LCY_INLINE void lcy_four_planes_iq2(vi acc[2], const vi bytes[2], const vi signs[2], const int8_t *x) {
    const vi middle = _mm512_set1_epi8(0x3c), lowest = _mm512_set1_epi8(3);
    vi at[4][2];
    for (int i = 0; i < 2; i++) {
        at[0][i] = at[1][i] = lcy_either(middle, bytes[i], signs[i]);
        at[2][i] = lcy_either(lowest, bytes[i], signs[i]);
        at[3][i] = lcy_either(lowest, _mm512_srli_epi16(bytes[i], 6), signs[i]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 2; i++) {
            const vi weights = _mm512_permutexvar_epi8(at[j][i], lcy_64(lcy_weights_iq2[j]));
            acc[i] = _mm512_dpbusd_epi32(acc[i], weights, lcy_twice32(x + 32 * j));
        }
}

/* ---- IQ2_XXS: a scale for 32 weights ---- */

static const uint8_t lcy_low_iq2_xxs[256] LCY_ALIGNED = {LCY_KEYS_IQ2_XXS(LCY_LOW_IQ2)};
static const uint8_t lcy_high_iq2_xxs[256] LCY_ALIGNED = {LCY_KEYS_IQ2_XXS(LCY_HIGH_IQ2)};

static void lcy_start_iq2_xxs(lcy_vbmi_x *to, const lcy_block_q8_k *x) { lcy_start_32(to->start[0], x, -64); }

/* rows of 8 x (4 indices, a word of 4 x 7 bits of signs and 4 of scale) */
LCY_INLINE __m128i lcy_dot_iq2_xxs(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    const vi even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const vi odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    vi words[2], low[2], high[2], signs[2], upper[2], acc[2];
    for (int i = 0; i < 2; i++) {
        const vi a = lcy_64(((const lcy_block_iq2_xxs *)(const void *)w[2 * i])->qs);
        const vi b = lcy_64(((const lcy_block_iq2_xxs *)(const void *)w[2 * i + 1])->qs);
        const vi index = _mm512_permutex2var_epi32(a, even, b);
        words[i] = _mm512_permutex2var_epi32(a, odd, b);
        signs[i] = lcy_of_128(lcy_even_signs,
                              _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x352e2720150e0700), words[i]));
        upper[i] = _mm512_srli_epi16(signs[i], 4);
        low[i] = lcy_of_256(lcy_low_iq2_xxs, index), high[i] = lcy_of_256(lcy_high_iq2_xxs, index);
        acc[i] = lcy_twice32(x->start[0]);
    }
    lcy_four_planes_iq2(acc, low, signs, x->q);
    lcy_four_planes_iq2(acc, high, upper, x->q + 128);
    for (int i = 0; i < 2; i++)
        acc[i] = _mm512_mullo_epi32(acc[i], lcy_odd_scales(_mm512_srli_epi32(words[i], 27), 15));
    return lcy_pairs_across(acc[0], acc[1]);
}

static const lcy_vbmi_format lcy_vbmi_iq2_xxs = {
    .bytes = sizeof(lcy_block_iq2_xxs), .factor = 0.125f, .order = lcy_order_32, .start = lcy_start_iq2_xxs,
    .d = lcy_vbmi_first_half, .dot = lcy_dot_iq2_xxs,
};

/* ---- IQ2_XS and IQ2_S: a scale for 16 weights ---- */

/* one below the codes of the scales of dwords: nibble i of 8 bytes, and from dword 4 on 8 + i; the second half of each 16
 * groups has those 4 further on */
#define LCY_NIBBLES(n) LCY_SAME4((n) & 63), LCY_SAME4((n) + 4), LCY_SAME4((n) + 8), LCY_SAME4((n) + 12)
static const uint8_t lcy_scale_at_16[2][32] LCY_ALIGNED = {{LCY_NIBBLES(-1), LCY_NIBBLES(31)},
                                                           {LCY_NIBBLES(15), LCY_NIBBLES(47)}};

static void lcy_start_iq2(lcy_vbmi_x *to, const lcy_block_q8_k *x) { lcy_start_16(to->start, x, -64); }

/* low, high: both halves of the points; scales: 8 bytes of each row */
LCY_INLINE __m128i lcy_woven_dot_iq2(const vi low[2], const vi high[2], const vi signs[2], const vi scales[2],
                                     const lcy_vbmi_x *x) {
    vi sum[2][2];
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        vi bytes[2], s[2];
        for (int i = 0; i < 2; i++) {
            bytes[i] = lcy_weave(h, low[i], high[i]);
            s[i] = lcy_weave(h, signs[i], _mm512_srli_epi16(signs[i], 4));
            sum[h][i] = lcy_twice32(x->start[h]);
        }
        lcy_four_planes_iq2(sum[h], bytes, s, x->q + 128 * h);
        for (int i = 0; i < 2; i++) {
            const vi codes = _mm512_multishift_epi64_epi8(lcy_twice32(lcy_scale_at_16[h]), scales[i]);
            sum[h][i] = _mm512_mullo_epi32(sum[h][i], lcy_odd_scales(codes, 15));
        }
    }
    return lcy_pairs_across(_mm512_add_epi32(sum[0][0], sum[1][0]), _mm512_add_epi32(sum[0][1], sum[1][1]));
}

static const uint8_t lcy_low_iq2_xs[512] LCY_ALIGNED = {LCY_KEYS_IQ2_XS(LCY_LOW_IQ2)};
static const uint8_t lcy_high_iq2_xs[512] LCY_ALIGNED = {LCY_KEYS_IQ2_XS(LCY_HIGH_IQ2)};

#define LCY_EVERY64(n, at) LCY_EVERY16(n, at), LCY_EVERY16(n, (at) + 16 * (n)), LCY_EVERY16(n, (at) + 32 * (n)), \
                           LCY_EVERY16(n, (at) + 48 * (n))
static const uint8_t lcy_even_bytes[64] LCY_ALIGNED = {LCY_EVERY64(2, 0)};

/* rows of 32 words: 9 bits of index, 7 of signs */
LCY_INLINE __m128i lcy_dot_iq2_xs(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    const vi even = lcy_64(lcy_even_bytes), odd = _mm512_add_epi8(even, _mm512_set1_epi8(1));
    vi index[2], above[2], low[2], high[2], signs[2], scales[2];
    for (int i = 0; i < 2; i++) {
        const lcy_block_iq2_xs *p = (const void *)w[2 * i], *q = (const void *)w[2 * i + 1];
        const vi a = lcy_64(p->qs), b = lcy_64(q->qs), upper = _mm512_permutex2var_epi8(a, odd, b);
        index[i] = _mm512_permutex2var_epi8(a, even, b);
        signs[i] = lcy_of_128(lcy_even_signs, _mm512_srli_epi16(upper, 1));
        above[i] = _mm512_add_epi8(upper, upper);
        scales[i] = lcy_two8(p->scales, q->scales);
    }
    lcy_both_of_512(low, lcy_low_iq2_xs, index, above);
    lcy_both_of_512(high, lcy_high_iq2_xs, index, above);
    return lcy_woven_dot_iq2(low, high, signs, scales, x);
}

static const lcy_vbmi_format lcy_vbmi_iq2_xs = {
    .bytes = sizeof(lcy_block_iq2_xs), .factor = 0.125f, .order = lcy_order_16, .start = lcy_start_iq2,
    .d = lcy_vbmi_first_half, .dot = lcy_dot_iq2_xs,
};

static const uint8_t lcy_low_iq2_s[1024] LCY_ALIGNED = {LCY_KEYS_IQ2_S(LCY_LOW_IQ2)};
static const uint8_t lcy_high_iq2_s[1024] LCY_ALIGNED = {LCY_KEYS_IQ2_S(LCY_HIGH_IQ2)};

/* position g: 2 g - 1, one below the two bits of its group */
#define LCY_TWO_BITS(n) (n) & 63, (n) + 2, (n) + 4, (n) + 6, (n) + 8, (n) + 10, (n) + 12, (n) + 14
static const uint8_t lcy_above_at_iq2_s[32] LCY_ALIGNED = {LCY_TWO_BITS(-1), LCY_TWO_BITS(15), LCY_TWO_BITS(31),
                                                           LCY_TWO_BITS(47)};

LCY_INLINE __m128i lcy_dot_iq2_s(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    vi index[2], above[2], low[2], high[2], signs[2], scales[2];
    for (int i = 0; i < 2; i++) {
        const lcy_block_iq2_s *p = (const void *)w[2 * i], *q = (const void *)w[2 * i + 1];
        index[i] = lcy_two32(p->qs, q->qs);
        above[i] = _mm512_multishift_epi64_epi8(lcy_twice32(lcy_above_at_iq2_s), lcy_two8(p->qh, q->qh));
        signs[i] = lcy_two32(p->signs, q->signs);
        scales[i] = lcy_two8(p->scales, q->scales);
    }
    lcy_both_of_1024(low, lcy_low_iq2_s, index, above);
    lcy_both_of_1024(high, lcy_high_iq2_s, index, above);
    return lcy_woven_dot_iq2(low, high, signs, scales, x);
}

static const lcy_vbmi_format lcy_vbmi_iq2_s = {
    .bytes = sizeof(lcy_block_iq2_s), .factor = 0.125f, .order = lcy_order_16, .start = lcy_start_iq2,
    .d = lcy_vbmi_first_half, .dot = lcy_dot_iq2_s,
};

#endif
