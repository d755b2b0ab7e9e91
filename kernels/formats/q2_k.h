/* Q2_K: 256 weights of 2 bits; 16 sub-blocks of 16 with 4-bit scale and minimum. y = d * scale * code - dmin * min. */
#ifndef LCY_FORMATS_Q2_K_H
#define LCY_FORMATS_Q2_K_H

#include "../lcy.h"
#include "common/fit.h"
#include "common/pack.h"
#include "common/rows.h"
#include "common/short.h"
#include "q8_k.h"

typedef struct {
    uint8_t scales[16]; /* scale | min << 4 of each sub-block */
    uint8_t qs[64];     /* lcy_pack_pairs256 */
    uint16_t d, dmin;   /* f16 */
} lcy_block_q2_k;
LCY_SIZE(lcy_block_q2_k, 84);

#ifdef LCY_REFERENCE

static void to_float_q2_k(int64_t n, float *y, const void *x) {
    const lcy_block_q2_k *b = x;
    for (int64_t k = 0; k < n / 256; k++, b++, y += 256) {
        const float d = lcy_f16_to_f32(b->d), dmin = lcy_f16_to_f32(b->dmin);
        for (int i = 0; i < 256; i++) {
            const uint8_t s = b->scales[i / 16];
            y[i] = d * (float)(s & 15) * (float)lcy_pair(b->qs, i) - dmin * (float)(s >> 4);
        }
    }
}

/* 16 values >= 0 as 4-bit codes of the largest one; returns the scale */
static float scales_q2_k(uint8_t codes[16], const float v[16]) {
    const float most = lcy_max(16, v, 0);
    if (!(most > 0)) {
        memset(codes, 0, 16);
        return 0;
    }
    for (int j = 0; j < 16; j++) codes[j] = (uint8_t)lcy_nearest(15 / most * v[j]);
    return most / 15;
}

static void block_q2_k(void *y, const float *x, const float *q) {
    static const lcy_affine_search plain = {-0.5f, 0.1f, 15, 1}, weighted = {-0.9f, 0.05f, 36, 0};
    lcy_block_q2_k *b = y;
    const float sigma2 = q ? lcy_sum_squares(256, x) / 256 : 0;
    float scale[16], min[16], sums[16];
    uint8_t L[256], ls[16], lm[16];
    for (int j = 0; j < 16; j++) {
        const float *xj = x + 16 * j;
        float w[16];
        if (q) lcy_importance(16, w, xj, q + 16 * j, sigma2);
        else for (int i = 0; i < 16; i++) w[i] = fabsf(xj[i]);
        sums[j] = lcy_sum(16, w);
        scale[j] = lcy_fit_qkx(16, 3, xj, w, q ? weighted : plain, min + j, L + 16 * j);
    }
    b->d = lcy_f32_to_f16(q ? lcy_fit_qp(16, 15, scale, sums, ls) : scales_q2_k(ls, scale));
    b->dmin = lcy_f32_to_f16(q ? lcy_fit_qp(16, 15, min, sums, lm) : scales_q2_k(lm, min));
    const float d = lcy_f16_to_f32(b->d), dmin = lcy_f16_to_f32(b->dmin);
    for (int j = 0; j < 16; j++) {
        b->scales[j] = (uint8_t)(ls[j] | lm[j] << 4);
        lcy_requantize(16, x + 16 * j, d * (float)(b->scales[j] & 15), dmin * (float)(b->scales[j] >> 4), 0, 3, 0,
                       L + 16 * j);
    }
    lcy_pack_pairs256(b->qs, L);
}

static void from_float_q2_k(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 256, sizeof(lcy_block_q2_k), y, x, block_q2_k);
}

static lcy_status quantize_q2_k(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_rows_of_blocks(rows, n, 256, sizeof(lcy_block_q2_k), y, x, imatrix, block_q2_k);
}

/* See common/short.h. The minimums of sub-blocks 2 l and 2 l + 1 go into lane l, before the block's products. */
static float dot_short_q2_k(int64_t n, const lcy_block_q2_k *a, const lcy_block_q8_k *b) {
    float lane[8] = {0};
    for (int64_t k = 0; k < n / 256; k++, a++, b++) {
        int32_t isum[8] = {0}, msum[8] = {0};
        for (int j = 0; j < 16; j++) msum[j / 2] += (a->scales[j] >> 4) * b->sums[j];
        for (int i = 0; i < 256; i++)
            isum[lcy_short_lane(i)] += (a->scales[i / 16] & 15) * lcy_pair(a->qs, i) * b->q[i];
        lcy_short_step(8, lane, msum, -(lcy_f16_to_f32(a->dmin) * b->d));
        lcy_short_step(8, lane, isum, lcy_f16_to_f32(a->d) * b->d);
    }
    return lcy_sum8(lane);
}

static float dot_q2_k(int64_t n, const void *w, const void *x) {
    const lcy_block_q2_k *a = w;
    const lcy_block_q8_k *b = x;
    if (n < LCY_SHORT_ROW) return dot_short_q2_k(n, a, b);
    float sum = 0;
    for (int64_t k = 0; k < n / 256; k++, a++, b++) {
        int32_t isum = 0, msum = 0;
        for (int i = 0; i < 256; i++) isum += (a->scales[i / 16] & 15) * lcy_pair(a->qs, i) * b->q[i];
        for (int j = 0; j < 16; j++) msum += (a->scales[j] >> 4) * b->sums[j];
        sum = fmaf((float)isum, lcy_f16_to_f32(a->d) * b->d, sum);
        sum = fmaf(-(float)msum, lcy_f16_to_f32(a->dmin) * b->d, sum);
    }
    return sum;
}

const lcy_format lcy_format_q2_k = {
    .type = LCY_Q2_K, .name = "q2_K", .block = 256, .bytes = 84, .dot_with = LCY_Q8_K,
    .to_float = to_float_q2_k, .from_float = from_float_q2_k, .quantize = quantize_q2_k, .dot = dot_q2_k,
};

#endif
#endif
