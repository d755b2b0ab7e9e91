/* IQ1_M: 256 weights in 56 bytes. Points of 8 ternary values out of 2048, each shifted by an eighth up or down.
 *
 *   qs[g]      low 8 bits of the codebook index of the g-th group of 8 weights
 *   qh[j]      of the j-th 16 weights, low nibble: group 2j, high nibble: group 2j + 1; in a nibble bits 0..2 =
 *              bits 8..10 of the index, bit 3 set: shift down
 *   scales[k]  bits 3m..3m + 2: scale c of 16 weights 4k + m; bits 12..15: nibble k of d, which is an f16 in four parts
 *   weight = d * (2c + 1) * (value + shift), value -1, 0, 1, shift +-1/8
 */
#ifndef LCY_FORMATS_IQ1_M_H
#define LCY_FORMATS_IQ1_M_H

#include "../lcy.h"
#include "../scalar.h"

typedef struct { uint8_t qs[32], qh[16]; uint16_t scales[4]; } lcy_block_iq1_m;
LCY_SIZE(lcy_block_iq1_m, 56);

static inline float lcy_iq1_m_d(const lcy_block_iq1_m *b) {
    const uint16_t *s = b->scales;
    return lcy_f16_to_f32((uint16_t)(s[0] >> 12 | (s[1] >> 8 & 0xf0) | (s[2] >> 4 & 0xf00) | (s[3] & 0xf000)));
}

/* Shifts of the two groups of a sub-block: bit 1 of choice k for the first, bit 0 for the second. */
static inline int lcy_iq1_m_down(int k, int group) { return k >> (1 - group) & 1; }

/* index, down: of each group of 8; code: of each 16 */
static inline void lcy_pack_iq1_m(lcy_block_iq1_m *b, uint16_t d, const uint16_t index[32], const uint8_t down[32],
                                  const uint8_t code[16]) {
    memset(b, 0, sizeof *b);
    for (int k = 0; k < 4; k++) b->scales[k] = (uint16_t)((d >> 4 * k & 15) << 12);
    for (int j = 0; j < 16; j++) b->scales[j / 4] |= (uint16_t)(code[j] << j % 4 * 3);
    for (int g = 0; g < 32; g++) {
        b->qs[g] = (uint8_t)index[g];
        b->qh[g / 2] |= (uint8_t)((index[g] >> 8 | down[g] << 3) << g % 2 * 4);
    }
}

#ifdef LCY_REFERENCE
#include "common/iq_block.h"
#include "common/iq_short.h"
#include "common/iq_ternary.h"

static void unpack_iq1_m(lcy_iq_block *out, const void *block) {
    const lcy_block_iq1_m *b = block;
    out->d = lcy_iq1_m_d(b);
    for (int g = 0; g < 32; g++) {
        const int h = b->qh[g / 2] >> g % 2 * 4;
        lcy_iq_eighths(out->q + 8 * g, lcy_iq1_points[b->qs[g] | (h & 7) << 8], h >> 3 & 1);
    }
    for (int j = 0; j < 16; j++) out->scale[j] = lcy_iq_odd(b->scales[j / 4] >> j % 4 * 3 & 7);
}

static void to_float_iq1_m(int64_t n, float *y, const void *x) {
    lcy_iq_to_float(n, y, x, sizeof(lcy_block_iq1_m), unpack_iq1_m, 0.125f);
}

/* What each of 16 sorted values adds to the sums, by its digit and by the choice of shifts. */
typedef struct { float a[16][3][4], b[16][3][4]; } terms_iq1_m;
typedef struct { float a[4], b[4]; } sums_iq1_m;

static inline void add_iq1_m(sums_iq1_m *s, const terms_iq1_m *t, int i, int digit) {
    for (int k = 0; k < 4; k++) s->a[k] += t->a[i][digit][k], s->b[k] += t->b[i][digit][k];
}

static void list_terms_iq1_m(terms_iq1_m *t, const float *x, const float *w, const uint8_t order[16]) {
    for (int i = 0; i < 16; i++)
        for (int digit = 0; digit < 3; digit++)
            for (int k = 0; k < 4; k++) {
                const int at = order[i];
                const float v = lcy_iq_shifted[lcy_iq1_m_down(k, at / 8)][digit];
                t->a[i][digit][k] = w[at] * v * x[at];
                t->b[i][digit][k] = w[at] * v * v;
            }
}

/* The cuts and the shifts of 16 values. A sum runs over all values in sorted order; beginnings alike are shared. */
static void cut_iq1_m(lcy_iq_ternary *t, const float *x, const float *w) {
    uint8_t order[16];
    terms_iq1_m terms;
    sums_iq1_m low = {{0}, {0}};
    float best = 0;
    int i1_best = 0, i2_best = 0;
    lcy_iq_order(16, order, x);
    list_terms_iq1_m(&terms, x, w, order);
    for (int i1 = 0; i1 <= 16; i1++) {
        sums_iq1_m middle = low;
        for (int i2 = i1; i2 <= 16; i2++) {
            sums_iq1_m s = middle;
            for (int i = i2; i < 16; i++) add_iq1_m(&s, &terms, i, 2);
            for (int k = 0; k < 4; k++) {
                if (!(s.b[k] > 0 && s.a[k] * s.a[k] > best * s.b[k])) continue;
                t->scale = s.a[k] / s.b[k], best = t->scale * s.a[k];
                i1_best = i1, i2_best = i2;
                for (int g = 0; g < 2; g++) t->down[g] = (uint8_t)lcy_iq1_m_down(k, g);
            }
            if (i2 < 16) add_iq1_m(&middle, &terms, i2, 1);
        }
        if (i1 < 16) add_iq1_m(&low, &terms, i1, 0);
    }
    lcy_iq_cut(16, t->digit, order, i1_best, i2_best);
}

/* One scale for the whole block, now that all else is known. */
static float refit_iq1_m(const lcy_iq_ternary t[16], const uint8_t code[16], const float *x, const float *w, float d) {
    lcy_fit f = {0, 0};
    for (int i = 0; i < 256; i++) {
        const float q = lcy_iq_value(&t[i / 16], i % 16) * (float)(2 * code[i / 16] + 1);
        f.a += w[i] * q * x[i];
        f.b += w[i] * q * q;
    }
    return f.b > 0 ? f.a / f.b : d;
}

static void block_iq1_m(lcy_block_iq1_m *b, const float *x, const float *q, const lcy_neighbours *near) {
    const float sigma2 = 2 * lcy_sum_squares(256, x) / 256;
    lcy_iq_ternary t[16];
    float w[256] = {0}, most = 0;
    uint16_t index[32];
    uint8_t down[32], code[16];
    memset(t, 0, sizeof t);
    memset(b, 0, sizeof *b);
    for (int j = 0; j < 16; j++) {
        const float *xj = x + 16 * j;
        float *wj = w + 16 * j;
        if (!(lcy_abs_max(16, xj) > 0)) { /* its weights count in the last fit all the same */
            if (q) lcy_importance(16, wj, xj, q + 16 * j, sigma2);
            continue;
        }
        lcy_iq_weights(16, wj, xj, q ? q + 16 * j : NULL, sigma2, 0);
        cut_iq1_m(&t[j], xj, wj);
        lcy_iq_mirror(16, &t[j]);
        lcy_iq_to_points(16, &t[j], near, xj, wj);
        most = t[j].scale > most ? t[j].scale : most;
    }
    if (most == 0) return;
    const float d = most / 15, inverse = 1 / d;
    for (int j = 0; j < 16; j++) {
        code[j] = (uint8_t)lcy_clamp(lcy_nearest(0.5f * (inverse * t[j].scale - 1)), 0, 7);
        for (int g = 0; g < 2; g++) index[2 * j + g] = t[j].index[g], down[2 * j + g] = t[j].down[g];
    }
    lcy_pack_iq1_m(b, lcy_f32_to_f16(refit_iq1_m(t, code, x, w, d) * 1.1125f), index, down, code);
}

static lcy_status quantize_iq1_m(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    lcy_block_iq1_m *b = y;
    if (rows < 0 || n < 0 || n % 256) return LCY_E_ARG;
    const lcy_neighbours *near = lcy_neighbours_of(LCY_BOOK_IQ1);
    if (!near) return LCY_E_NOMEM;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i += 256, x += 256) block_iq1_m(b++, x, imatrix ? imatrix + i : NULL, near);
    return LCY_OK;
}

/* See iq_short.h. The ternary values and their shifts have 8 lanes each. */
static float dot_short_iq1_m(int64_t n, const lcy_block_iq1_m *w, const lcy_block_q8_k *a) {
    float values[8] = {0}, shifts[8] = {0};
    for (int64_t k = 0; k < n / 256; k++) {
        lcy_iq_block b;
        int8_t shift[256];
        int32_t sum[8];
        unpack_iq1_m(&b, &w[k]);
        lcy_iq_split_eighths(&b, shift);
        lcy_iq_lane_sums(sum, &b, a[k].q);
        lcy_short_step(8, values, sum, b.d * a[k].d);
        memcpy(b.q, shift, sizeof b.q);
        lcy_iq_lane_sums(sum, &b, a[k].q);
        lcy_short_step(8, shifts, sum, b.d * a[k].d);
    }
    return lcy_sum8(values) + 0.125f * lcy_sum8(shifts);
}

static float dot_iq1_m(int64_t n, const void *w, const void *x) {
    if (n < LCY_SHORT_ROW) return dot_short_iq1_m(n, w, x);
    return lcy_iq_dot(n, w, x, sizeof(lcy_block_iq1_m), unpack_iq1_m, 0.125f);
}

const lcy_format lcy_format_iq1_m = {
    .type = LCY_IQ1_M, .name = "iq1_m", .block = 256, .bytes = sizeof(lcy_block_iq1_m), .dot_with = LCY_Q8_K,
    .to_float = to_float_iq1_m, .from_float = NULL, .quantize = quantize_iq1_m, .dot = dot_iq1_m,
};

#endif
#endif
