/* Q8_0: 32 weights, one scale. y = d * q.
 *
 * Files and activations are rounded by different rules: files halves away from zero; activations (and KV caches) to
 * even, with the inverse scale taken from the unrounded maximum.
 */
#ifndef LCY_FORMATS_Q8_0_H
#define LCY_FORMATS_Q8_0_H

#include "../lcy.h"
#include "common/fit.h"
#include "common/rows.h"

typedef struct {
    uint16_t d; /* f16 */
    int8_t q[32];
} lcy_block_q8_0;
LCY_SIZE(lcy_block_q8_0, 34);

#ifdef LCY_REFERENCE

/* The activation rule for 32 values; returns the scale before it is rounded to f16. */
static inline float lcy_round_to_q8(int8_t q[32], const float *x) {
    const float most = lcy_abs_max(32, x), inverse = most != 0 ? 127 / most : 0;
    for (int i = 0; i < 32; i++) q[i] = (int8_t)lcy_nearest(x[i] * inverse);
    return most / 127;
}

static void to_float_q8_0(int64_t n, float *y, const void *x) {
    const lcy_block_q8_0 *b = x;
    for (int64_t i = 0; i < n; i++) y[i] = lcy_f16_to_f32(b[i / 32].d) * (float)b[i / 32].q[i % 32];
}

static void activation_block_q8_0(void *y, const float *x, const float *q) {
    lcy_block_q8_0 *b = y;
    (void)q;
    b->d = lcy_f32_to_f16(lcy_round_to_q8(b->q, x));
}

static void from_float_q8_0(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 32, sizeof(lcy_block_q8_0), y, x, activation_block_q8_0);
}

static void file_block_q8_0(void *y, const float *x, const float *q) {
    lcy_block_q8_0 *b = y;
    const float d = lcy_abs_max(32, x) / 127, inverse = d != 0 ? 1 / d : 0;
    (void)q;
    b->d = lcy_f32_to_f16(d);
    for (int i = 0; i < 32; i++) b->q[i] = (int8_t)lcy_truncate(roundf(x[i] * inverse));
}

static lcy_status quantize_q8_0(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_rows_of_blocks(rows, n, 32, sizeof(lcy_block_q8_0), y, x, imatrix, file_block_q8_0);
}

/* See lcy.h: rows of small models are summed in 8 lanes. */
static float dot_short_q8_0(int64_t n, const lcy_block_q8_0 *a, const lcy_block_q8_0 *b) {
    float lane[8] = {0};
    for (int64_t k = 0; k < n / 32; k++) {
        const float d = lcy_f16_to_f32(a[k].d) * lcy_f16_to_f32(b[k].d);
        for (int l = 0; l < 8; l++) {
            int32_t isum = 0;
            for (int i = 4 * l; i < 4 * l + 4; i++) isum += a[k].q[i] * b[k].q[i];
            lane[l] = fmaf((float)isum, d, lane[l]);
        }
    }
    return lcy_sum8(lane);
}

static float dot_q8_0(int64_t n, const void *w, const void *x) {
    const lcy_block_q8_0 *a = w, *b = x;
    if (n < LCY_SHORT_ROW) return dot_short_q8_0(n, a, b);
    float sum = 0;
    for (int64_t k = 0; k < n / 32; k++) {
        int32_t isum = 0;
        for (int i = 0; i < 32; i++) isum += a[k].q[i] * b[k].q[i];
        sum = fmaf((float)isum, lcy_f16_to_f32(a[k].d) * lcy_f16_to_f32(b[k].d), sum);
    }
    return sum;
}

const lcy_format lcy_format_q8_0 = {
    .type = LCY_Q8_0, .name = "q8_0", .block = 32, .bytes = 34, .dot_with = LCY_Q8_0,
    .to_float = to_float_q8_0, .from_float = from_float_q8_0, .quantize = quantize_q8_0, .dot = dot_q8_0,
};

#endif
#endif
