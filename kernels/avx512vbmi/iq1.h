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

/* The upper half of a point ascends with its index, slowly: 16 neighbours have one or two. So 128 places tell all: what is
 * there before its edge, what from there on. */
#define LCY_UPPER(k) (0x##k >> 8)
#define LCY_ALIKE(a, b) (LCY_UPPER(a) == LCY_UPPER(b))
#define LCY_BEFORE_IQ1(P, a, ...) LCY_UPPER(a),
#define LCY_AFTER_IQ1(P, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) LCY_UPPER(p),
#define LCY_EDGE_IQ1(P, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)                                               \
    1 + LCY_ALIKE(a, b) + LCY_ALIKE(a, c) + LCY_ALIKE(a, d) + LCY_ALIKE(a, e) + LCY_ALIKE(a, f) + LCY_ALIKE(a, g) +   \
        LCY_ALIKE(a, h) + LCY_ALIKE(a, i) + LCY_ALIKE(a, j) + LCY_ALIKE(a, k) + LCY_ALIKE(a, l) + LCY_ALIKE(a, m) +   \
        LCY_ALIKE(a, n) + LCY_ALIKE(a, o) + LCY_ALIKE(a, p),
static const uint8_t lcy_before_iq1[128] LCY_ALIGNED = {LCY_LINES_IQ1(LCY_BEFORE_IQ1, )};
static const uint8_t lcy_after_iq1[128] LCY_ALIGNED = {LCY_LINES_IQ1(LCY_AFTER_IQ1, )};
static const uint8_t lcy_edge_iq1[128] LCY_ALIGNED = {LCY_LINES_IQ1(LCY_EDGE_IQ1, )};

/* bits 1..3 of `above`: bits 8..10 of the indices */
LCY_INLINE void lcy_look_up_iq1(vi low[2], vi high[2], const vi index[2], const vi above[2]) {
    const vi nibble = _mm512_set1_epi8(15);
    lcy_both_of_2048(low, lcy_low_iq1, index, above);
    for (int i = 0; i < 2; i++) {
        const vi line = lcy_either(nibble, _mm512_srli_epi16(index[i], 4), _mm512_slli_epi16(above[i], 3));
        const vi place = _mm512_and_si512(index[i], nibble), edge = lcy_of_128(lcy_edge_iq1, line);
        high[i] = _mm512_mask_blend_epi8(_mm512_cmpge_epu8_mask(place, edge), lcy_of_128(lcy_before_iq1, line),
                                         lcy_of_128(lcy_after_iq1, line));
    }
}

/* 8 times digit j (0..3) of bytes: the look-up takes 6 bits, of which the table heeds 2 */
LCY_INLINE vi lcy_eighths_iq1(int j, vi bytes) {
    const int a = 0, b = 0x08080808, c = 0x10101010;
    const vi table = j == 0 ? _mm512_set1_epi32(0x00100800) :
                     j == 1 ? _mm512_broadcast_i32x4(_mm_setr_epi32(a, b, c, 0)) :
                              _mm512_setr_epi32(a, a, a, a, b, b, b, b, c, c, c, c, 0, 0, 0, 0);
    return _mm512_permutexvar_epi8(j == 3 ? _mm512_srli_epi16(bytes, 2) : bytes, table);
}

/* ---- IQ1_S: scale and shift for 32 weights ---- */

/* start[0]: of 32 weights that are shifted up; start[1]: down */
static void lcy_start_iq1_s(lcy_vbmi_x *to, const lcy_block_q8_k *x) {
    lcy_start_32(to->start[0], x, -7);
    lcy_start_32(to->start[1], x, -9);
}

/* bits 3 l .. 3 l + 2 of two words of 16 bits, one above bit 0; the upper 4 bits of both, likewise */
LCY_INLINE __m128i lcy_dot_iq1_s(const uint8_t *const w[4], const lcy_vbmi_x *x) {
    vi index[2], above[2], upper[2], low[2], high[2], sum[2];
    for (int i = 0; i < 2; i++) {
        const lcy_block_iq1_s *p = (const void *)w[2 * i], *q = (const void *)w[2 * i + 1];
        const vi words = _mm512_cvtepu32_epi64(lcy_two16(p->qh, q->qh));
        index[i] = lcy_two32(p->qs, q->qs);
        above[i] = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x1815120f0805023f), words);
        upper[i] = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x1b1b1b1b0b0b0b0b), words);
    }
    lcy_look_up_iq1(low, high, index, above);
    for (int i = 0; i < 2; i++) {
        const __mmask16 down = _mm512_test_epi32_mask(upper[i], _mm512_set1_epi32(16));
        vi acc = _mm512_mask_blend_epi32(down, lcy_twice32(x->start[0]), lcy_twice32(x->start[1]));
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            acc = _mm512_dpbusd_epi32(acc, lcy_eighths_iq1(j % 4, j < 4 ? low[i] : high[i]), lcy_twice32(x->q + 32 * j));
        sum[i] = _mm512_mullo_epi32(acc, lcy_odd_scales(upper[i], 7));
    }
    return lcy_pairs_across(sum[0], sum[1]);
}

static const lcy_vbmi_format lcy_vbmi_iq1_s = {
    .bytes = sizeof(lcy_block_iq1_s), .factor = 0.125f, .order = lcy_order_32, .start = lcy_start_iq1_s,
    .d = lcy_vbmi_first_half, .dot = lcy_dot_iq1_s,
};

/* ---- IQ1_M: a scale for 16 weights, a shift for 8 ---- */

/* start: of 16 weights that are shifted up; eights: what 8 of them lose by each half of a shift down */
static void lcy_start_iq1_m(lcy_vbmi_x *to, const lcy_block_q8_k *x) {
    lcy_start_16(to->start, x, -7);
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 8; i++) {
            const int j = lcy_sixteen(h, i);
            int first = 0;
            for (int n = 0; n < 8; n++) first += x->q[16 * j + n];
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
    vi index[2], upper[2], low[2], high[2], sum[2];
    for (int i = 0; i < 2; i++) {
        const lcy_block_iq1_m *p = (const void *)w[2 * i], *q = (const void *)w[2 * i + 1];
        const vi words = _mm512_cvtepu32_epi64(lcy_two16(p->qh, q->qh));
        upper[i] = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x1b17130f0b07033f), words); /* a nibble, one above bit 0 */
        index[i] = lcy_two32(p->qs, q->qs);
    }
    lcy_look_up_iq1(low, high, index, upper);
    for (int i = 0; i < 2; i++) {
        const lcy_block_iq1_m *p = (const void *)w[2 * i], *q = (const void *)w[2 * i + 1];
        const vi scales = lcy_two8((const uint8_t *)p->scales, (const uint8_t *)q->scales);
        const vi down = _mm512_and_si512(_mm512_srli_epi16(upper[i], 3), _mm512_set1_epi8(2)), none = _mm512_setzero_si512();
        vi part[2];
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            const vi bytes = lcy_weave(h, low[i], high[i]);
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
    .bytes = sizeof(lcy_block_iq1_m), .factor = 0.125f, .order = lcy_order_16, .start = lcy_start_iq1_m,
    .d = lcy_d_iq1_m, .dot = lcy_dot_iq1_m,
};

#endif
