/* IQ1_S: 256 weights in 50 bytes. Points of 8 ternary values out of 2048, shifted by an eighth up or down.
 *
 *   qs[g]  low 8 bits of the codebook index of the g-th group of 8 weights
 *   qh[b]  of the b-th 32 weights: bits 3l..3l + 2 = bits 8..10 of the index of group 4b + l, bits 12..14 scale c,
 *          bit 15 set: shift down
 *   weight = d * (2c + 1) * (value + shift), value -1, 0, 1, shift +-1/8
 */
#ifndef LCY_FORMATS_IQ1_S_H
#define LCY_FORMATS_IQ1_S_H

#include "../lcy.h"
#include "../scalar.h"

typedef struct { uint16_t d; uint8_t qs[32]; uint16_t qh[8]; } lcy_block_iq1_s;
LCY_SIZE(lcy_block_iq1_s, 50);

/* index: of each group of 8; down, code: of each 32 */
static inline void lcy_pack_iq1_s(lcy_block_iq1_s *b, uint16_t d, const uint16_t index[32], const uint8_t down[8],
                                  const uint8_t code[8]) {
    b->d = d;
    for (int j = 0; j < 8; j++) {
        b->qh[j] = (uint16_t)(code[j] << 12 | down[j] << 15);
        for (int g = 0; g < 4; g++) {
            b->qs[4 * j + g] = (uint8_t)index[4 * j + g];
            b->qh[j] |= (uint16_t)(index[4 * j + g] >> 8 << 3 * g);
        }
    }
}

#ifdef LCY_REFERENCE
#include "common/iq_block.h"
#include "common/iq_short.h"
#include "common/iq_ternary.h"

static void unpack_iq1_s(lcy_iq_block *out, const void *block) {
    const lcy_block_iq1_s *b = block;
    out->d = lcy_f16_to_f32(b->d);
    for (int g = 0; g < 32; g++) {
        const int h = b->qh[g / 4], index = b->qs[g] | (h >> g % 4 * 3 & 7) << 8;
        lcy_iq_eighths(out->q + 8 * g, lcy_iq1_points[index], h >> 15);
        out->scale[g / 2] = lcy_iq_odd(h >> 12 & 7);
    }
}

static void to_float_iq1_s(int64_t n, float *y, const void *x) {
    lcy_iq_to_float(n, y, x, sizeof(lcy_block_iq1_s), unpack_iq1_s, 0.125f);
}

/* The cuts and the shift of 32 values. Sums over what lies between cuts come from sums up to each place. */
static void cut_iq1_s(lcy_iq_ternary *t, const float *x, const float *w) {
    uint8_t order[32];
    float sx[33] = {0}, sw[33] = {0}, best = 0;
    int i1_best = 0, i2_best = 0;
    lcy_iq_order(32, order, x);
    for (int i = 0; i < 32; i++) {
        sx[i + 1] = sx[i] + w[order[i]] * x[order[i]];
        sw[i + 1] = sw[i] + w[order[i]];
    }
    for (int i1 = 0; i1 <= 32; i1++)
        for (int i2 = i1; i2 <= 32; i2++)
            for (int down = 0; down < 2; down++) {
                const float *v = lcy_iq_shifted[down];
                const float a = (sx[i1] - sx[0]) * v[0] + (sx[i2] - sx[i1]) * v[1] + (sx[32] - sx[i2]) * v[2];
                const float b = (sw[i1] - sw[0]) * v[0] * v[0] + (sw[i2] - sw[i1]) * v[1] * v[1] +
                                (sw[32] - sw[i2]) * v[2] * v[2];
                if (!(b > 0 && a * a > best * b)) continue;
                t->scale = a / b, best = t->scale * a;
                i1_best = i1, i2_best = i2;
                memset(t->down, down, sizeof t->down);
            }
    lcy_iq_cut(32, t->digit, order, i1_best, i2_best);
}

static void block_iq1_s(lcy_block_iq1_s *b, const float *x, const float *q, const lcy_neighbours *near) {
    const float sigma2 = 2 * lcy_sum_squares(256, x) / 256;
    lcy_iq_ternary t[8];
    uint16_t index[32];
    uint8_t down[8], code[8];
    float most = 0;
    memset(t, 0, sizeof t);
    memset(b, 0, sizeof *b);
    for (int j = 0; j < 8; j++) {
        float w[32];
        if (!(lcy_abs_max(32, x + 32 * j) > 0)) continue;
        lcy_iq_weights(32, w, x + 32 * j, q + 32 * j, sigma2, 0);
        cut_iq1_s(&t[j], x + 32 * j, w);
        lcy_iq_mirror(32, &t[j]);
        lcy_iq_to_points(32, &t[j], near, x + 32 * j, w);
        most = t[j].scale > most ? t[j].scale : most;
    }
    if (most == 0) return;
    const float d = most / 15, inverse = 1 / d;
    for (int j = 0; j < 8; j++) {
        code[j] = (uint8_t)lcy_clamp(lcy_nearest(0.5f * (inverse * t[j].scale - 1)), 0, 7);
        down[j] = t[j].down[0];
        memcpy(index + 4 * j, t[j].index, sizeof t[j].index);
    }
    lcy_pack_iq1_s(b, lcy_f32_to_f16(d * 1.125f), index, down, code);
}

static lcy_status quantize_iq1_s(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    lcy_block_iq1_s *b = y;
    if (rows < 0 || n < 0 || n % 256 || !imatrix) return LCY_E_ARG;
    const lcy_neighbours *near = lcy_neighbours_of(LCY_BOOK_IQ1);
    if (!near) return LCY_E_NOMEM;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i += 256, x += 256) block_iq1_s(b++, x, imatrix + i, near);
    return LCY_OK;
}

/* See iq_short.h. The ternary values go in lanes; the shifts, exact per block, in one more sum, product and sum each
 * rounded. */
static float dot_short_iq1_s(int64_t n, const lcy_block_iq1_s *w, const lcy_block_q8_k *a) {
    float acc[8] = {0}, shifts = 0;
    for (int64_t k = 0; k < n / 256; k++) {
        lcy_iq_block b;
        int8_t shift[256];
        int32_t sum[8], shift_sum = 0;
        unpack_iq1_s(&b, &w[k]);
        lcy_iq_split_eighths(&b, shift);
        lcy_iq_lane_sums(sum, &b, a[k].q);
        for (int j = 0; j < 16; j++) shift_sum += b.scale[j] * shift[16 * j] * a[k].sums[j];
        lcy_short_step(8, acc, sum, b.d * a[k].d);
        const float added = b.d * a[k].d * (float)shift_sum;
        shifts += added;
    }
    return lcy_sum8(acc) + 0.125f * shifts;
}

static float dot_iq1_s(int64_t n, const void *w, const void *x) {
    if (n < LCY_SHORT_ROW) return dot_short_iq1_s(n, w, x);
    return lcy_iq_dot(n, w, x, sizeof(lcy_block_iq1_s), unpack_iq1_s, 0.125f);
}

const lcy_format lcy_format_iq1_s = {
    .type = LCY_IQ1_S, .name = "iq1_s", .block = 256, .bytes = sizeof(lcy_block_iq1_s), .dot_with = LCY_Q8_K,
    .to_float = to_float_iq1_s, .from_float = NULL, .quantize = quantize_iq1_s, .dot = dot_iq1_s,
};

#endif
#endif
