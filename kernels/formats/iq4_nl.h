/* IQ4_NL: 32 weights in 18 bytes. 16 unevenly spaced values, one scale.
 *
 *   qs[j] = code of weight j | code of weight j + 16 << 4
 *   weight = d * value[code]
 */
#ifndef LCY_FORMATS_IQ4_NL_H
#define LCY_FORMATS_IQ4_NL_H

#include "../lcy.h"
#include "../scalar.h"

typedef struct { uint16_t d; uint8_t qs[16]; } lcy_block_iq4_nl;
LCY_SIZE(lcy_block_iq4_nl, 18);

#ifdef LCY_REFERENCE
#include "common/iq_curve.h"
#include "common/iq_weights.h"
#include "common/pack.h"
#include "common/rows.h"
#include "q8_0.h"

static void to_float_iq4_nl(int64_t n, float *y, const void *x) {
    const lcy_block_iq4_nl *b = x;
    for (int64_t i = 0; i < n; i += 32, b++)
        for (int k = 0; k < 32; k++)
            y[i + k] = lcy_f16_to_f32(b->d) * (float)lcy_iq_curve[b->qs[k % 16] >> k / 16 * 4 & 15];
}

static void file_block_iq4_nl(void *y, const float *x, const float *q) {
    lcy_block_iq4_nl *b = y;
    uint8_t L[32];
    float w[32];
    lcy_iq_weights(32, w, x, q, lcy_sum_squares(32, x) * (2.0f / 32), 0);
    const float scale = lcy_iq_curve_scale(x, w);
    lcy_iq_curve_codes(L, x, scale != 0 ? 1 / scale : 0);
    b->d = lcy_f32_to_f16(scale);
    lcy_pack_nibbles32(b->qs, L);
}

/* At run time one trial has to do: the peak on -127, a scale that fits the codes, and no second rounding. */
static void block_iq4_nl(void *y, const float *x, const float *q) {
    lcy_block_iq4_nl *b = y;
    uint8_t L[32];
    float w[32];
    const float peak = lcy_peak(32, x), inverse = peak != 0 ? 1 / (peak / -127) : 0;
    (void)q;
    lcy_squares(32, w, x);
    const lcy_fit f = lcy_iq_curve_fit(x, w, inverse);
    lcy_iq_curve_codes(L, x, inverse);
    b->d = lcy_f32_to_f16(f.b > 0 ? f.a / f.b : 0);
    lcy_pack_nibbles32(b->qs, L);
}

static void from_float_iq4_nl(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 32, sizeof(lcy_block_iq4_nl), y, x, block_iq4_nl);
}

static lcy_status quantize_iq4_nl(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_rows_of_blocks(rows, n, 32, sizeof(lcy_block_iq4_nl), y, x, imatrix, file_block_iq4_nl);
}

/* See lcy.h. 8 lanes of 4 neighbouring weights for even blocks and 8 for odd ones, added before the tree. */
static float dot_short_iq4_nl(int64_t n, const lcy_block_iq4_nl *b, const lcy_block_q8_0 *a) {
    float lane[2][8] = {{0}, {0}};
    for (int64_t k = 0; k < n / 32; k++) {
        const float d = lcy_f16_to_f32(b[k].d) * lcy_f16_to_f32(a[k].d);
        for (int l = 0; l < 8; l++) {
            int32_t sum = 0;
            for (int i = 4 * l; i < 4 * l + 4; i++) sum += lcy_iq_curve[b[k].qs[i % 16] >> i / 16 * 4 & 15] * a[k].q[i];
            lane[k % 2][l] = fmaf((float)sum, d, lane[k % 2][l]);
        }
    }
    for (int l = 0; l < 8; l++) lane[0][l] += lane[1][l];
    return lcy_sum8(lane[0]);
}

static float dot_iq4_nl(int64_t n, const void *w, const void *x) {
    const lcy_block_iq4_nl *b = w;
    const lcy_block_q8_0 *a = x;
    if (n < LCY_SHORT_ROW) return dot_short_iq4_nl(n, b, a);
    float acc = 0;
    for (int64_t i = 0; i < n; i += 32, a++, b++) {
        int32_t sum = 0;
        for (int k = 0; k < 32; k++) sum += lcy_iq_curve[b->qs[k % 16] >> k / 16 * 4 & 15] * a->q[k];
        acc = fmaf((float)sum, lcy_f16_to_f32(b->d) * lcy_f16_to_f32(a->d), acc);
    }
    return acc;
}

const lcy_format lcy_format_iq4_nl = {
    .type = LCY_IQ4_NL, .name = "iq4_nl", .block = 32, .bytes = sizeof(lcy_block_iq4_nl), .dot_with = LCY_Q8_0,
    .to_float = to_float_iq4_nl, .from_float = from_float_iq4_nl, .quantize = quantize_iq4_nl, .dot = dot_iq4_nl,
};

#endif
#endif
