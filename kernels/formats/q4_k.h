/* Q4_K: 256 weights of 4 bits; 8 sub-blocks of 32 with 6-bit scale and minimum. y = d * scale * code - dmin * min. */
#ifndef LCY_FORMATS_Q4_K_H
#define LCY_FORMATS_Q4_K_H

#include "../lcy.h"
#include "common/affine.h"
#include "common/rows.h"
#include "common/short.h"
#include "q8_k.h"

typedef struct {
    uint16_t d, dmin;   /* f16 */
    uint8_t scales[12]; /* lcy_pack_scales12 */
    uint8_t qs[128];    /* lcy_pack_nibbles256 */
} lcy_block_q4_k;
LCY_SIZE(lcy_block_q4_k, 144);

#ifdef LCY_REFERENCE

static void to_float_q4_k(int64_t n, float *y, const void *x) {
    const lcy_block_q4_k *b = x;
    for (int64_t k = 0; k < n / 256; k++, b++, y += 256) {
        const float d = lcy_f16_to_f32(b->d), dmin = lcy_f16_to_f32(b->dmin);
        uint8_t scale[8], min[8];
        lcy_unpack_scales12(scale, min, b->scales);
        for (int i = 0; i < 256; i++)
            y[i] = d * (float)scale[i / 32] * (float)lcy_nibble(b->qs, i) - dmin * (float)min[i / 32];
    }
}

static void block_q4_k(void *y, const float *x, const float *q) {
    static const lcy_affine_search plain = {-1.0f, 0.1f, 20, 0};
    lcy_block_q4_k *b = y;
    lcy_affine_block fit;
    lcy_fit_affine(&fit, x, q, 15, plain);
    b->d = fit.d, b->dmin = fit.dmin;
    lcy_pack_scales12(b->scales, fit.scale, fit.min);
    lcy_pack_nibbles256(b->qs, fit.L);
}

static void from_float_q4_k(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 256, sizeof(lcy_block_q4_k), y, x, block_q4_k);
}

static lcy_status quantize_q4_k(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_rows_of_blocks(rows, n, 256, sizeof(lcy_block_q4_k), y, x, imatrix, block_q4_k);
}

/* See common/short.h. The minimums of sub-blocks 2 l and 2 l + 1 go into lane l of four apart, which come last. */
static float dot_short_q4_k(int64_t n, const lcy_block_q4_k *a, const lcy_block_q8_k *b) {
    float lane[8] = {0}, low[4] = {0};
    for (int64_t k = 0; k < n / 256; k++, a++, b++) {
        int32_t isum[8] = {0}, msum[4] = {0};
        uint8_t scale[8], min[8];
        lcy_unpack_scales12(scale, min, a->scales);
        for (int j = 0; j < 16; j++) msum[j / 4] += min[j / 2] * b->sums[j];
        for (int i = 0; i < 256; i++) isum[lcy_short_lane(i)] += scale[i / 32] * lcy_nibble(a->qs, i) * b->q[i];
        lcy_short_step(4, low, msum, -(lcy_f16_to_f32(a->dmin) * b->d));
        lcy_short_step(8, lane, isum, lcy_f16_to_f32(a->d) * b->d);
    }
    return lcy_sum8(lane) + lcy_sum4(low);
}

static float dot_q4_k(int64_t n, const void *w, const void *x) {
    const lcy_block_q4_k *a = w;
    const lcy_block_q8_k *b = x;
    if (n < LCY_SHORT_ROW) return dot_short_q4_k(n, a, b);
    float sum = 0;
    for (int64_t k = 0; k < n / 256; k++, a++, b++) {
        int32_t isum = 0, msum = 0;
        uint8_t scale[8], min[8];
        lcy_unpack_scales12(scale, min, a->scales);
        for (int i = 0; i < 256; i++) isum += scale[i / 32] * lcy_nibble(a->qs, i) * b->q[i];
        for (int j = 0; j < 16; j++) msum += min[j / 2] * b->sums[j];
        sum = fmaf((float)isum, lcy_f16_to_f32(a->d) * b->d, sum);
        sum = fmaf(-(float)msum, lcy_f16_to_f32(a->dmin) * b->d, sum);
    }
    return sum;
}

const lcy_format lcy_format_q4_k = {
    .type = LCY_Q4_K, .name = "q4_K", .block = 256, .bytes = 144, .dot_with = LCY_Q8_K,
    .to_float = to_float_q4_k, .from_float = from_float_q4_k, .quantize = quantize_q4_k, .dot = dot_q4_k,
};

#endif
#endif
