/* Q5_K: 256 weights of 5 bits; 8 sub-blocks of 32 with 6-bit scale and minimum. y = d * scale * code - dmin * min. */
#ifndef LCY_FORMATS_Q5_K_H
#define LCY_FORMATS_Q5_K_H

#include "../lcy.h"
#include "common/affine.h"
#include "common/rows.h"
#include "common/short.h"
#include "q8_k.h"

typedef struct {
    uint16_t d, dmin;   /* f16 */
    uint8_t scales[12]; /* lcy_pack_scales12 */
    uint8_t qh[32];     /* byte l, bit j: bit 4 of code[32 j + l] */
    uint8_t qs[128];    /* lcy_pack_nibbles256 of the low four bits */
} lcy_block_q5_k;
LCY_SIZE(lcy_block_q5_k, 176);

/* codes 0..31 -> qh and qs */
static inline void lcy_pack_q5_k(lcy_block_q5_k *b, const uint8_t L[256]) {
    uint8_t high[32] = {0};
    for (int j = 0; j < 8; j++)
        for (int l = 0; l < 32; l++) high[l] |= (uint8_t)(L[32 * j + l] >> 4 << j);
    memcpy(b->qh, high, sizeof high);
    lcy_pack_nibbles256(b->qs, L);
}

#ifdef LCY_REFERENCE

static inline int code_q5_k(const lcy_block_q5_k *b, int i) {
    return lcy_nibble(b->qs, i) | (b->qh[i % 32] >> i / 32 & 1) << 4;
}

static void to_float_q5_k(int64_t n, float *y, const void *x) {
    const lcy_block_q5_k *b = x;
    for (int64_t k = 0; k < n / 256; k++, b++, y += 256) {
        const float d = lcy_f16_to_f32(b->d), dmin = lcy_f16_to_f32(b->dmin);
        uint8_t scale[8], min[8];
        lcy_unpack_scales12(scale, min, b->scales);
        for (int i = 0; i < 256; i++)
            y[i] = d * (float)scale[i / 32] * (float)code_q5_k(b, i) - dmin * (float)min[i / 32];
    }
}

static void block_q5_k(void *y, const float *x, const float *q) {
    static const lcy_affine_search plain = {-0.5f, 0.1f, 15, 0};
    lcy_block_q5_k *b = y;
    lcy_affine_block fit;
    lcy_fit_affine(&fit, x, q, 31, plain);
    b->d = fit.d, b->dmin = fit.dmin;
    lcy_pack_scales12(b->scales, fit.scale, fit.min);
    lcy_pack_q5_k(b, fit.L);
}

static void from_float_q5_k(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 256, sizeof(lcy_block_q5_k), y, x, block_q5_k);
}

static lcy_status quantize_q5_k(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_rows_of_blocks(rows, n, 256, sizeof(lcy_block_q5_k), y, x, imatrix, block_q5_k);
}

/* See common/short.h. The minimums of a block are one integer; product and sum are rounded each, and come last. */
static float dot_short_q5_k(int64_t n, const lcy_block_q5_k *a, const lcy_block_q8_k *b) {
    float lane[8] = {0}, low = 0;
    for (int64_t k = 0; k < n / 256; k++, a++, b++) {
        int32_t isum[8] = {0}, msum = 0;
        uint8_t scale[8], min[8];
        lcy_unpack_scales12(scale, min, a->scales);
        for (int j = 0; j < 16; j++) msum += min[j / 2] * b->sums[j];
        for (int i = 0; i < 256; i++) isum[lcy_short_lane(i)] += scale[i / 32] * code_q5_k(a, i) * b->q[i];
        low -= lcy_f16_to_f32(a->dmin) * b->d * (float)msum;
        lcy_short_step(8, lane, isum, lcy_f16_to_f32(a->d) * b->d);
    }
    return lcy_sum8(lane) + low;
}

static float dot_q5_k(int64_t n, const void *w, const void *x) {
    const lcy_block_q5_k *a = w;
    const lcy_block_q8_k *b = x;
    if (n < LCY_SHORT_ROW) return dot_short_q5_k(n, a, b);
    float sum = 0;
    for (int64_t k = 0; k < n / 256; k++, a++, b++) {
        int32_t isum = 0, msum = 0;
        uint8_t scale[8], min[8];
        lcy_unpack_scales12(scale, min, a->scales);
        for (int i = 0; i < 256; i++) isum += scale[i / 32] * code_q5_k(a, i) * b->q[i];
        for (int j = 0; j < 16; j++) msum += min[j / 2] * b->sums[j];
        sum = fmaf((float)isum, lcy_f16_to_f32(a->d) * b->d, sum);
        sum = fmaf(-(float)msum, lcy_f16_to_f32(a->dmin) * b->d, sum);
    }
    return sum;
}

const lcy_format lcy_format_q5_k = {
    .type = LCY_Q5_K, .name = "q5_K", .block = 256, .bytes = 176, .dot_with = LCY_Q8_K,
    .to_float = to_float_q5_k, .from_float = from_float_q5_k, .quantize = quantize_q5_k, .dot = dot_q5_k,
};

#endif
#endif
