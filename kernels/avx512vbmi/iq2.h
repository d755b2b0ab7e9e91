/* iq2.h (avx512vbmi): IQ2_XXS, IQ2_XS, IQ2_S. pairs.h has the order of things. */
#ifndef LCY_AVX512VBMI_IQ2_H
#define LCY_AVX512VBMI_IQ2_H

#include "../formats/iq2_s.h"
#include "../formats/iq2_xs.h"
#include "../formats/iq2_xxs.h"
#include "pairs.h"

LCY_INLINE vi lcy_magnitude_iq2(int j, vi bytes) { return lcy_digit(j, bytes, 8, 25, 43); }

/* ---- IQ2_XXS: a scale for 32 weights ---- */

static const uint8_t lcy_low_iq2_xxs[256] LCY_ALIGNED = {LCY_KEYS_IQ2_XXS(LCY_LOW_BYTE)};
static const uint8_t lcy_high_iq2_xxs[256] LCY_ALIGNED = {LCY_KEYS_IQ2_XXS(LCY_HIGH_BYTE)};

/* two rows of 8 x (4 indices, a word of 4 x 7 bits of signs and 4 of scale) */
LCY_INLINE vi lcy_dot_pair_iq2_xxs(const uint8_t *p, const uint8_t *q, const lcy_vbmi_x *x) {
    const vi a = lcy_64(((const lcy_block_iq2_xxs *)p)->qs), b = lcy_64(((const lcy_block_iq2_xxs *)q)->qs);
    const vi even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const vi index = _mm512_permutex2var_epi32(a, even, b);
    const vi words = _mm512_permutex2var_epi32(a, _mm512_add_epi32(even, _mm512_set1_epi32(1)), b);
    const vi sevens = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x352e2720150e0700), words);
    const vi signs = lcy_of_128(lcy_even_signs, sevens);
    const vi low = lcy_of_256(lcy_low_iq2_xxs, index), high = lcy_of_256(lcy_high_iq2_xxs, index);
    vi acc = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++)
        acc = lcy_signed_dot(acc, lcy_magnitude_iq2(j % 4, j < 4 ? low : high), lcy_twice32(x->q + 32 * j), signs,
                             _mm512_set1_epi8((char)(1 << j)));
    return _mm512_mullo_epi32(acc, lcy_odd_scales(_mm512_srli_epi32(words, 27), 15));
}

LCY_INLINE __m128i lcy_dot_iq2_xxs(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    return lcy_pairs_across(lcy_dot_pair_iq2_xxs(w[0], w[1], x), lcy_dot_pair_iq2_xxs(w[2], w[3], x));
}

static const lcy_vbmi_format lcy_vbmi_iq2_xxs = {
    .bytes = sizeof(lcy_block_iq2_xxs), .factor = 0.125f, .order = lcy_order_32, .d = lcy_vbmi_first_half,
    .dot = lcy_dot_iq2_xxs,
};

/* ---- IQ2_XS and IQ2_S: a scale for 16 weights ---- */

/* the codes of the scales of dwords: nibble i of 8 bytes, and from dword 4 on 8 + i; the second half of each 16 groups has
 * those 4 further on */
#define LCY_NIBBLES(n) LCY_SAME4((n) & 63), LCY_SAME4((n) + 4), LCY_SAME4((n) + 8), LCY_SAME4((n) + 12)
static const uint8_t lcy_scale_at_16[2][32] LCY_ALIGNED = {{LCY_NIBBLES(-1), LCY_NIBBLES(31)},
                                                           {LCY_NIBBLES(15), LCY_NIBBLES(47)}};

/* scales: 8 bytes of each row */
LCY_INLINE vi lcy_woven_dot_iq2(const vi found[2], vi signs, vi scales, const lcy_vbmi_x *x) {
    vi sum[2];
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        const vi bytes = lcy_weave(h, found[0], found[1]), s = lcy_weave(h, signs, signs);
        vi acc = _mm512_setzero_si512();
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            acc = lcy_signed_dot(acc, lcy_magnitude_iq2(j, bytes), lcy_twice32(x->q + 128 * h + 32 * j), s,
                                 _mm512_set1_epi32(0x10100101 << j));
        const vi codes = _mm512_multishift_epi64_epi8(lcy_twice32(lcy_scale_at_16[h]), scales);
        sum[h] = _mm512_mullo_epi32(acc, lcy_odd_scales(codes, 15));
    }
    return _mm512_add_epi32(sum[0], sum[1]);
}

static const uint8_t lcy_low_iq2_xs[512] LCY_ALIGNED = {LCY_KEYS_IQ2_XS(LCY_LOW_BYTE)};
static const uint8_t lcy_high_iq2_xs[512] LCY_ALIGNED = {LCY_KEYS_IQ2_XS(LCY_HIGH_BYTE)};

#define LCY_EVERY64(n, at) LCY_EVERY16(n, at), LCY_EVERY16(n, (at) + 16 * (n)), LCY_EVERY16(n, (at) + 32 * (n)), \
                           LCY_EVERY16(n, (at) + 48 * (n))
static const uint8_t lcy_even_bytes[64] LCY_ALIGNED = {LCY_EVERY64(2, 0)};

/* two rows of 32 words: 9 bits of index, 7 of signs */
LCY_INLINE vi lcy_dot_pair_iq2_xs(const uint8_t *p, const uint8_t *q, const lcy_vbmi_x *x) {
    const lcy_block_iq2_xs *v = (const void *)p, *w = (const void *)q;
    const vi a = lcy_64(v->qs), b = lcy_64(w->qs);
    const vi even = lcy_64(lcy_even_bytes), index = _mm512_permutex2var_epi8(a, even, b);
    const vi above = _mm512_permutex2var_epi8(a, _mm512_add_epi8(even, _mm512_set1_epi8(1)), b);
    const vi signs = lcy_of_128(lcy_even_signs, _mm512_srli_epi16(above, 1));
    const __mmask64 ninth = _mm512_test_epi8_mask(above, _mm512_set1_epi8(1));
    const vi found[2] = {
        _mm512_mask_blend_epi8(ninth, lcy_of_256(lcy_low_iq2_xs, index), lcy_of_256(lcy_low_iq2_xs + 256, index)),
        _mm512_mask_blend_epi8(ninth, lcy_of_256(lcy_high_iq2_xs, index), lcy_of_256(lcy_high_iq2_xs + 256, index))};
    return lcy_woven_dot_iq2(found, signs, lcy_two8(v->scales, w->scales), x);
}

LCY_INLINE __m128i lcy_dot_iq2_xs(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    return lcy_pairs_across(lcy_dot_pair_iq2_xs(w[0], w[1], x), lcy_dot_pair_iq2_xs(w[2], w[3], x));
}

static const lcy_vbmi_format lcy_vbmi_iq2_xs = {
    .bytes = sizeof(lcy_block_iq2_xs), .factor = 0.125f, .order = lcy_order_16, .d = lcy_vbmi_first_half,
    .dot = lcy_dot_iq2_xs,
};

static const uint8_t lcy_low_iq2_s[1024] LCY_ALIGNED = {LCY_KEYS_IQ2_S(LCY_LOW_BYTE)};
static const uint8_t lcy_high_iq2_s[1024] LCY_ALIGNED = {LCY_KEYS_IQ2_S(LCY_HIGH_BYTE)};

/* position g: 2 g - 1, one below the two bits of its group */
#define LCY_TWO_BITS(n) (n) & 63, (n) + 2, (n) + 4, (n) + 6, (n) + 8, (n) + 10, (n) + 12, (n) + 14
static const uint8_t lcy_above_at_iq2_s[32] LCY_ALIGNED = {LCY_TWO_BITS(-1), LCY_TWO_BITS(15), LCY_TWO_BITS(31),
                                                           LCY_TWO_BITS(47)};

LCY_INLINE __m128i lcy_dot_iq2_s(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    vi index[2], chunk[2], found[2][2], sum[2];
    for (int i = 0; i < 2; i++) {
        const lcy_block_iq2_s *p = (const void *)w[2 * i], *q = (const void *)w[2 * i + 1];
        index[i] = lcy_two32(p->qs, q->qs);
        chunk[i] = lcy_chunk(_mm512_multishift_epi64_epi8(lcy_twice32(lcy_above_at_iq2_s), lcy_two8(p->qh, q->qh)), 8,
                             index[i]);
    }
    lcy_look_up(found, lcy_low_iq2_s, lcy_high_iq2_s, 8, index, chunk);
    for (int i = 0; i < 2; i++) {
        const lcy_block_iq2_s *p = (const void *)w[2 * i], *q = (const void *)w[2 * i + 1];
        sum[i] = lcy_woven_dot_iq2(found[i], lcy_two32(p->signs, q->signs), lcy_two8(p->scales, q->scales), x);
    }
    return lcy_pairs_across(sum[0], sum[1]);
}

static const lcy_vbmi_format lcy_vbmi_iq2_s = {
    .bytes = sizeof(lcy_block_iq2_s), .factor = 0.125f, .order = lcy_order_16, .d = lcy_vbmi_first_half,
    .dot = lcy_dot_iq2_s,
};

#endif
