/* Q6_K: 256 weights of 6 bits; 16 sub-blocks of 16 with a signed byte as scale. y = d * scale * (code - 32). */
#ifndef LCY_FORMATS_Q6_K_H
#define LCY_FORMATS_Q6_K_H

#include "../lcy.h"
#include "common/fit.h"
#include "common/rows.h"
#include "common/short.h"
#include "q8_k.h"

/* Within half h (128 weights) and l = 0..31, with e = 128 h + l:
 *   ql[64 h + l]      = low4(code[e])      | low4(code[e + 64]) << 4
 *   ql[64 h + 32 + l] = low4(code[e + 32]) | low4(code[e + 96]) << 4
 *   qh[32 h + l]      = top2(code[e]) | top2(code[e + 32]) << 2 | top2(code[e + 64]) << 4 | top2(code[e + 96]) << 6 */
typedef struct {
    uint8_t ql[128], qh[64];
    int8_t scales[16];
    uint16_t d; /* f16 */
} lcy_block_q6_k;
LCY_SIZE(lcy_block_q6_k, 210);

/* codes 0..63 -> ql and qh */
static inline void lcy_pack_q6_k(lcy_block_q6_k *b, const uint8_t L[256]) {
    for (int h = 0; h < 2; h++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *p = L + 128 * h + l;
            b->ql[64 * h + l] = (uint8_t)((p[0] & 15) | p[64] << 4);
            b->ql[64 * h + 32 + l] = (uint8_t)((p[32] & 15) | p[96] << 4);
            b->qh[32 * h + l] = (uint8_t)(p[0] >> 4 | p[32] >> 4 << 2 | p[64] >> 4 << 4 | p[96] >> 4 << 6);
        }
}

#ifdef LCY_REFERENCE

static inline int value_q6_k(const lcy_block_q6_k *b, int i) {
    const int h = i / 128, quarter = i % 128 / 32, l = i % 32;
    const int low = b->ql[64 * h + quarter % 2 * 32 + l] >> quarter / 2 * 4 & 15;
    return (low | (b->qh[32 * h + l] >> quarter * 2 & 3) << 4) - 32;
}

static void to_float_q6_k(int64_t n, float *y, const void *x) {
    const lcy_block_q6_k *b = x;
    for (int64_t k = 0; k < n / 256; k++, b++, y += 256)
        for (int i = 0; i < 256; i++)
            y[i] = lcy_f16_to_f32(b->d) * (float)b->scales[i / 16] * (float)value_q6_k(b, i);
}

static void block_q6_k(void *y, const float *x, const float *q) {
    lcy_block_q6_k *b = y;
    float scale[16];
    uint8_t L[256];
    for (int j = 0; j < 16; j++) scale[j] = lcy_fit_qx(16, 32, x + 16 * j, q ? q + 16 * j : NULL, L + 16 * j);
    const float peak = lcy_peak(16, scale), s = -128 / peak;
    if (peak == 0) {
        memset(b, 0, sizeof *b);
        return;
    }
    b->d = lcy_f32_to_f16(1 / s);
    const float d = lcy_f16_to_f32(b->d);
    for (int j = 0; j < 16; j++) {
        const int c = lcy_nearest(s * scale[j]);
        b->scales[j] = (int8_t)(c < 127 ? c : 127);
        lcy_requantize(16, x + 16 * j, d * (float)b->scales[j], 0, -32, 31, 32, L + 16 * j);
    }
    lcy_pack_q6_k(b, L);
}

static void from_float_q6_k(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 256, sizeof(lcy_block_q6_k), y, x, block_q6_k);
}

static lcy_status quantize_q6_k(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_rows_of_blocks(rows, n, 256, sizeof(lcy_block_q6_k), y, x, imatrix, block_q6_k);
}

/* See common/short.h. */
static float dot_short_q6_k(int64_t n, const lcy_block_q6_k *a, const lcy_block_q8_k *b) {
    float lane[8] = {0};
    for (int64_t k = 0; k < n / 256; k++, a++, b++) {
        int32_t isum[8] = {0};
        for (int i = 0; i < 256; i++)
            isum[lcy_short_lane(i)] += a->scales[i / 16] * value_q6_k(a, i) * b->q[i];
        lcy_short_step(8, lane, isum, lcy_f16_to_f32(a->d) * b->d);
    }
    return lcy_sum8(lane);
}

static float dot_q6_k(int64_t n, const void *w, const void *x) {
    const lcy_block_q6_k *a = w;
    const lcy_block_q8_k *b = x;
    if (n < LCY_SHORT_ROW) return dot_short_q6_k(n, a, b);
    float sum = 0;
    for (int64_t k = 0; k < n / 256; k++, a++, b++) {
        int32_t isum = 0;
        for (int i = 0; i < 256; i++) isum += a->scales[i / 16] * value_q6_k(a, i) * b->q[i];
        sum = fmaf((float)isum, lcy_f16_to_f32(a->d) * b->d, sum);
    }
    return sum;
}

const lcy_format lcy_format_q6_k = {
    .type = LCY_Q6_K, .name = "q6_K", .block = 256, .bytes = 210, .dot_with = LCY_Q8_K,
    .to_float = to_float_q6_k, .from_float = from_float_q6_k, .quantize = quantize_q6_k, .dot = dot_q6_k,
};

#endif
#endif
