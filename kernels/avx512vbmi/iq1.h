/* iq1.h (avx512vbmi): IQ1_S and IQ1_M. pairs.h has the order of things.
 *
 * A weight in eighths is 8 t - 7 for digit t, or 8 t - 9 if its group is shifted down. The bytes 8 t are multiplied, and
 * sums start where the rest leaves them: at multiples of sums of activations.
 */
#ifndef LCY_AVX512VBMI_IQ1_H
#define LCY_AVX512VBMI_IQ1_H

#include "../formats/iq1_m.h"
#include "../formats/iq1_s.h"
#include "pairs.h"

static const uint8_t lcy_low_iq1[2048] LCY_ALIGNED = {LCY_KEYS_IQ1(LCY_LOW_BYTE)};
static const uint8_t lcy_high_iq1[2048] LCY_ALIGNED = {LCY_KEYS_IQ1(LCY_HIGH_BYTE)};

LCY_INLINE vi lcy_eighths_iq1(int j, vi bytes) { return lcy_digit(j, bytes, 0, 8, 16); }

/* ---- IQ1_S: scale and shift for 32 weights ---- */

/* start[0]: of 32 weights that are shifted up; start[1]: down */
static void lcy_sums_of_x_iq1_s(lcy_vbmi_x *to, const lcy_block_q8_k *x) {
    for (int b = 0; b < 8; b++) {
        const int32_t sum = x->sums[2 * b] + x->sums[2 * b + 1];
        to->start[0][b] = -7 * sum, to->start[1][b] = -9 * sum;
    }
}

/* bits 3 l .. 3 l + 2 of two words of 16 bits, one above bit 0; the upper 4 bits of both, likewise */
LCY_INLINE __m128i lcy_dot_iq1_s(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    vi index[2], chunk[2], upper[2], found[2][2], sum[2];
    for (int i = 0; i < 2; i++) {
        const lcy_block_iq1_s *p = (const void *)w[2 * i], *q = (const void *)w[2 * i + 1];
        const vi words = _mm512_cvtepu32_epi64(lcy_two16(p->qh, q->qh));
        index[i] = lcy_two32(p->qs, q->qs);
        chunk[i] = lcy_chunk(_mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x1815120f0805023f), words), 16, index[i]);
        upper[i] = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x1b1b1b1b0b0b0b0b), words);
    }
    lcy_look_up(found, lcy_low_iq1, lcy_high_iq1, 16, index, chunk);
    for (int i = 0; i < 2; i++) {
        const __mmask16 down = _mm512_test_epi32_mask(upper[i], _mm512_set1_epi32(16));
        vi acc = _mm512_mask_blend_epi32(down, lcy_twice32(x->start[0]), lcy_twice32(x->start[1]));
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            acc = _mm512_dpbusd_epi32(acc, lcy_eighths_iq1(j % 4, found[i][j / 4]), lcy_twice32(x->q + 32 * j));
        sum[i] = _mm512_mullo_epi32(acc, lcy_odd_scales(upper[i], 7));
    }
    return lcy_pairs_across(sum[0], sum[1]);
}

static const lcy_vbmi_format lcy_vbmi_iq1_s = {
    .bytes = sizeof(lcy_block_iq1_s), .factor = 0.125f, .order = lcy_order_32, .sums_of_x = lcy_sums_of_x_iq1_s,
    .d = lcy_vbmi_first_half, .dot = lcy_dot_iq1_s,
};

/* ---- IQ1_M: a scale for 16 weights, a shift for 8 ---- */

/* start: of 16 weights that are shifted up; eights: what 8 of them lose by each half of a shift down */
static void lcy_sums_of_x_iq1_m(lcy_vbmi_x *to, const lcy_block_q8_k *x) {
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 8; i++) {
            const int j = i / 4 * 8 + 4 * h + i % 4;
            int32_t first = 0;
            for (int n = 0; n < 8; n++) first += x->q[16 * j + n];
            to->start[h][i] = -7 * x->sums[j];
            to->eights[h][2 * i] = (int16_t)-first, to->eights[h][2 * i + 1] = (int16_t)(first - x->sums[j]);
        }
}

LCY_INLINE uint16_t lcy_d_iq1_m(const uint8_t *block) {
    const uint16_t *s = ((const lcy_block_iq1_m *)(const void *)block)->scales;
    return (uint16_t)(s[0] >> 12 | (s[1] >> 8 & 0xf0) | (s[2] >> 4 & 0xf00) | (s[3] & 0xf000));
}

/* one below the 3 bits of dword i's scale: four of them in each of four words */
#define LCY_THREES(n) LCY_SAME4((n) & 63), LCY_SAME4((n) + 3), LCY_SAME4((n) + 6), LCY_SAME4((n) + 9)
static const uint8_t lcy_scale_at_iq1_m[2][32] LCY_ALIGNED = {{LCY_THREES(-1), LCY_THREES(31)},
                                                              {LCY_THREES(15), LCY_THREES(47)}};

LCY_INLINE __m128i lcy_dot_iq1_m(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    vi index[2], chunk[2], upper[2], found[2][2], sum[2];
    for (int i = 0; i < 2; i++) {
        const lcy_block_iq1_m *p = (const void *)w[2 * i], *q = (const void *)w[2 * i + 1];
        const vi words = _mm512_cvtepu32_epi64(lcy_two16(p->qh, q->qh));
        upper[i] = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x1b17130f0b07033f), words); /* a nibble, one above bit 0 */
        index[i] = lcy_two32(p->qs, q->qs);
        chunk[i] = lcy_chunk(upper[i], 16, index[i]);
    }
    lcy_look_up(found, lcy_low_iq1, lcy_high_iq1, 16, index, chunk);
    for (int i = 0; i < 2; i++) {
        const lcy_block_iq1_m *p = (const void *)w[2 * i], *q = (const void *)w[2 * i + 1];
        const vi scales = lcy_two8((const uint8_t *)p->scales, (const uint8_t *)q->scales);
        const vi down = _mm512_and_si512(_mm512_srli_epi16(upper[i], 3), _mm512_set1_epi8(2)), none = _mm512_setzero_si512();
        vi part[2];
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            const vi bytes = lcy_weave(h, found[i][0], found[i][1]);
            const vi shifts = h ? _mm512_unpackhi_epi8(down, none) : _mm512_unpacklo_epi8(down, none);
            const vi codes = _mm512_multishift_epi64_epi8(lcy_twice32(lcy_scale_at_iq1_m[h]), scales);
            vi acc = _mm512_dpwssd_epi32(lcy_twice32(x->start[h]), shifts, lcy_twice32(x->eights[h]));
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++)
                acc = _mm512_dpbusd_epi32(acc, lcy_eighths_iq1(j, bytes), lcy_twice32(x->q + 128 * h + 32 * j));
            part[h] = _mm512_mullo_epi32(acc, lcy_odd_scales(codes, 7));
        }
        sum[i] = _mm512_add_epi32(part[0], part[1]);
    }
    return lcy_pairs_across(sum[0], sum[1]);
}

static const lcy_vbmi_format lcy_vbmi_iq1_m = {
    .bytes = sizeof(lcy_block_iq1_m), .factor = 0.125f, .order = lcy_order_16, .sums_of_x = lcy_sums_of_x_iq1_m,
    .d = lcy_d_iq1_m, .dot = lcy_dot_iq1_m,
};

#endif
