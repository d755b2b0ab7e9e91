/* Q4_0: 32 weights of 4 bits, one scale. y = d * (code - 8). */
#ifndef LCY_FORMATS_Q4_0_H
#define LCY_FORMATS_Q4_0_H

#include "../lcy.h"
#include "common/legacy.h"
#include "common/pack.h"
#include "q8_0.h"

typedef struct {
    uint16_t d;     /* f16 */
    uint8_t qs[16]; /* qs[j] = code[j] | code[j + 16] << 4 */
} lcy_block_q4_0;
LCY_SIZE(lcy_block_q4_0, 18);

#ifdef LCY_REFERENCE

static void to_float_q4_0(int64_t n, float *y, const void *x) {
    const lcy_block_q4_0 *b = x;
    for (int64_t k = 0; k < n / 32; k++, b++, y += 32) {
        const float d = lcy_f16_to_f32(b->d);
        for (int j = 0; j < 16; j++) {
            y[j] = d * (float)((b->qs[j] & 15) - 8);
            y[j + 16] = d * (float)((b->qs[j] >> 4) - 8);
        }
    }
}

static void block_q4_0(void *y, const float *x, const float *w) {
    lcy_block_q4_0 *b = y;
    uint8_t L[32];
    b->d = lcy_f32_to_f16(w ? lcy_fit_qx(32, 8, x, w, L) : lcy_round_symmetric(L, x, 8));
    lcy_pack_nibbles32(b->qs, L);
}

static void from_float_q4_0(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 32, sizeof(lcy_block_q4_0), y, x, block_q4_0);
}

static lcy_status quantize_q4_0(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_rows_weighted_by_row(rows, n, sizeof(lcy_block_q4_0), y, x, imatrix, block_q4_0);
}

static inline int value_q4_0(const lcy_block_q4_0 *b, int i) { return (b->qs[i % 16] >> i / 16 * 4 & 15) - 8; }

/* See lcy.h: rows of small models are summed in 8 lanes. */
static float dot_short_q4_0(int64_t n, const lcy_block_q4_0 *a, const lcy_block_q8_0 *b) {
    float lane[8] = {0};
    for (int64_t k = 0; k < n / 32; k++) {
        const float d = lcy_f16_to_f32(a[k].d) * lcy_f16_to_f32(b[k].d);
        for (int l = 0; l < 8; l++) {
            int32_t isum = 0;
            for (int i = 4 * l; i < 4 * l + 4; i++) isum += value_q4_0(a + k, i) * b[k].q[i];
            lane[l] = fmaf((float)isum, d, lane[l]);
        }
    }
    return lcy_sum8(lane);
}

static float dot_q4_0(int64_t n, const void *w, const void *x) {
    const lcy_block_q4_0 *a = w;
    const lcy_block_q8_0 *b = x;
    if (n < LCY_SHORT_ROW) return dot_short_q4_0(n, a, b);
    float sum = 0;
    for (int64_t k = 0; k < n / 32; k++) {
        int32_t isum = 0;
        for (int j = 0; j < 16; j++)
            isum += ((a[k].qs[j] & 15) - 8) * b[k].q[j] + ((a[k].qs[j] >> 4) - 8) * b[k].q[j + 16];
        sum = fmaf((float)isum, lcy_f16_to_f32(a[k].d) * lcy_f16_to_f32(b[k].d), sum);
    }
    return sum;
}

const lcy_format lcy_format_q4_0 = {
    .type = LCY_Q4_0, .name = "q4_0", .block = 32, .bytes = 18, .dot_with = LCY_Q8_0,
    .to_float = to_float_q4_0, .from_float = from_float_q4_0, .quantize = quantize_q4_0, .dot = dot_q4_0,
};

#endif
#endif
