/* Q3_K: 256 weights of 3 bits; 16 sub-blocks of 16 with a signed 6-bit scale. y = d * (scale - 32) * (code - 4). */
#ifndef LCY_FORMATS_Q3_K_H
#define LCY_FORMATS_Q3_K_H

#include "../lcy.h"
#include "common/fit.h"
#include "common/pack.h"
#include "common/rows.h"
#include "common/short.h"
#include "q8_k.h"

typedef struct {
    uint8_t hmask[32];  /* byte m, bit b: bit 2 of code[32 b + m] */
    uint8_t qs[64];     /* lcy_pack_pairs256 of the low two bits */
    uint8_t scales[12]; /* scale j: low four bits in byte j % 8, in the high nibble for j >= 8;
                           upper two in byte 8 + j % 4 from bit 2 (j / 4) */
    uint16_t d;         /* f16 */
} lcy_block_q3_k;
LCY_SIZE(lcy_block_q3_k, 110);

/* codes 0..7 and scales 0..63 -> everything but d */
static inline void lcy_pack_q3_k(lcy_block_q3_k *b, const uint8_t L[256], const uint8_t scale[16]) {
    uint8_t high[32] = {0};
    for (int j = 0; j < 8; j++)
        for (int l = 0; l < 32; l++) high[l] |= (uint8_t)(L[32 * j + l] >> 2 << j);
    memcpy(b->hmask, high, sizeof high);
    lcy_pack_pairs256(b->qs, L);
    memset(b->scales, 0, sizeof b->scales);
    for (int j = 0; j < 16; j++) {
        b->scales[j % 8] |= (uint8_t)((scale[j] & 15) << j / 8 * 4);
        b->scales[8 + j % 4] |= (uint8_t)(scale[j] >> 4 << j / 4 * 2);
    }
}

#ifdef LCY_REFERENCE

static inline int scale_q3_k(const lcy_block_q3_k *b, int j) {
    return ((b->scales[j % 8] >> j / 8 * 4 & 15) | (b->scales[8 + j % 4] >> j / 4 * 2 & 3) << 4) - 32;
}

static inline int value_q3_k(const lcy_block_q3_k *b, int i) {
    return lcy_pair(b->qs, i) + (b->hmask[i % 32] >> i / 32 & 1) * 4 - 4;
}

static void to_float_q3_k(int64_t n, float *y, const void *x) {
    const lcy_block_q3_k *b = x;
    for (int64_t k = 0; k < n / 256; k++, b++, y += 256)
        for (int i = 0; i < 256; i++)
            y[i] = lcy_f16_to_f32(b->d) * (float)scale_q3_k(b, i / 16) * (float)value_q3_k(b, i);
}

/* 16 signed values as codes 0..63 for (code - 32) * scale, the peak becoming code 0; returns the scale. */
static float scales_q3_k(uint8_t codes[16], const float v[16]) {
    const float peak = lcy_peak(16, v), s = -32 / peak;
    for (int j = 0; j < 16; j++) codes[j] = peak != 0 ? (uint8_t)(lcy_clamp(lcy_nearest(s * v[j]), -32, 31) + 32) : 0;
    return peak != 0 ? 1 / s : 0;
}

static void block_q3_k(void *y, const float *x, const float *q) {
    lcy_block_q3_k *b = y;
    const float sigma2 = q ? 2 * lcy_sum_squares(256, x) / 256 : 0;
    float scale[16], sums[16];
    uint8_t L[256], codes[16];
    for (int j = 0; j < 16; j++) {
        float w[16];
        if (!q) {
            scale[j] = lcy_fit_q3(x + 16 * j, L + 16 * j);
            continue;
        }
        lcy_importance(16, w, x + 16 * j, q + 16 * j, sigma2);
        sums[j] = lcy_sum(16, w);
        scale[j] = lcy_fit_qx(16, 4, x + 16 * j, w, L + 16 * j);
    }
    b->d = lcy_f32_to_f16(q ? lcy_fit_qx(16, 32, scale, sums, codes) : scales_q3_k(codes, scale));
    const float d = lcy_f16_to_f32(b->d);
    for (int j = 0; j < 16; j++) lcy_requantize(16, x + 16 * j, d * (float)(codes[j] - 32), 0, -4, 3, 4, L + 16 * j);
    lcy_pack_q3_k(b, L, codes);
}

static void from_float_q3_k(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 256, sizeof(lcy_block_q3_k), y, x, block_q3_k);
}

static lcy_status quantize_q3_k(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_rows_of_blocks(rows, n, 256, sizeof(lcy_block_q3_k), y, x, imatrix, block_q3_k);
}

/* See common/short.h. */
static float dot_short_q3_k(int64_t n, const lcy_block_q3_k *a, const lcy_block_q8_k *b) {
    float lane[8] = {0};
    for (int64_t k = 0; k < n / 256; k++, a++, b++) {
        int32_t isum[8] = {0};
        for (int i = 0; i < 256; i++)
            isum[lcy_short_lane(i)] += scale_q3_k(a, i / 16) * value_q3_k(a, i) * b->q[i];
        lcy_short_step(8, lane, isum, lcy_f16_to_f32(a->d) * b->d);
    }
    return lcy_sum8(lane);
}

static float dot_q3_k(int64_t n, const void *w, const void *x) {
    const lcy_block_q3_k *a = w;
    const lcy_block_q8_k *b = x;
    if (n < LCY_SHORT_ROW) return dot_short_q3_k(n, a, b);
    float sum = 0;
    for (int64_t k = 0; k < n / 256; k++, a++, b++) {
        int32_t isum = 0;
        for (int i = 0; i < 256; i++) isum += scale_q3_k(a, i / 16) * value_q3_k(a, i) * b->q[i];
        sum = fmaf((float)isum, lcy_f16_to_f32(a->d) * b->d, sum);
    }
    return sum;
}

const lcy_format lcy_format_q3_k = {
    .type = LCY_Q3_K, .name = "q3_K", .block = 256, .bytes = 110, .dot_with = LCY_Q8_K,
    .to_float = to_float_q3_k, .from_float = from_float_q3_k, .quantize = quantize_q3_k, .dot = dot_q3_k,
};

#endif
#endif
