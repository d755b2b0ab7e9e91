/* IQ4_XS: 256 weights in 136 bytes. 16 unevenly spaced values, a scale of 6 bits for each 32.
 *
 *   scales_l[j]  low nibble: low 4 bits of the scale l of 32 weights 2j, high nibble: of 2j + 1
 *   scales_h     bits 2b and 2b + 1: bits 4 and 5 of l of the b-th 32
 *   qs           16 bytes for each 32 weights: byte j = code of weight j | code of weight j + 16 << 4
 *   weight = d * (l - 32) * value[code]
 */
#ifndef LCY_FORMATS_IQ4_XS_H
#define LCY_FORMATS_IQ4_XS_H

#include "../lcy.h"
#include "../scalar.h"

typedef struct { uint16_t d, scales_h; uint8_t scales_l[4], qs[128]; } lcy_block_iq4_xs;
LCY_SIZE(lcy_block_iq4_xs, 136);

#ifdef LCY_REFERENCE
#include "common/iq_block.h"
#include "common/iq_curve.h"
#include "common/iq_short.h"
#include "common/pack.h"
#include "common/rows.h"

static void unpack_iq4_xs(lcy_iq_block *out, const void *block) {
    const lcy_block_iq4_xs *b = block;
    out->d = lcy_f16_to_f32(b->d);
    for (int j = 0; j < 8; j++) {
        const int low = b->scales_l[j / 2] >> j % 2 * 4 & 15, high = b->scales_h >> 2 * j & 3;
        out->scale[2 * j] = out->scale[2 * j + 1] = (int8_t)((low | high << 4) - 32);
        for (int k = 0; k < 32; k++) out->q[32 * j + k] = lcy_iq_curve[b->qs[16 * j + k % 16] >> k / 16 * 4 & 15];
    }
}

static void to_float_iq4_xs(int64_t n, float *y, const void *x) {
    lcy_iq_to_float(n, y, x, sizeof(lcy_block_iq4_xs), unpack_iq4_xs, 1.0f);
}

static void block_iq4_xs(void *y, const float *x, const float *q) {
    lcy_block_iq4_xs *b = y;
    const float sigma2 = lcy_sum_squares(256, x) * (2.0f / 256);
    float scale[8];
    for (int j = 0; j < 8; j++) {
        float w[32];
        if (q) lcy_importance(32, w, x + 32 * j, q + 32 * j, sigma2);
        else lcy_squares(32, w, x + 32 * j);
        scale[j] = lcy_iq_curve_scale(x + 32 * j, w);
    }
    const float d = -lcy_peak(8, scale) / 32, inverse = d != 0 ? 1 / d : 0;
    memset(b, 0, sizeof *b);
    b->d = lcy_f32_to_f16(d);
    for (int j = 0; j < 8; j++) {
        uint8_t L[32];
        const int l = lcy_clamp(lcy_nearest(inverse * scale[j]), -32, 31);
        const float dl = d * (float)l;
        lcy_iq_curve_codes(L, x + 32 * j, dl != 0 ? 1 / dl : 0);
        lcy_pack_nibbles32(b->qs + 16 * j, L);
        b->scales_l[j / 2] |= (uint8_t)(((l + 32) & 15) << j % 2 * 4);
        b->scales_h |= (uint16_t)((l + 32) >> 4 << 2 * j);
    }
}

static void from_float_iq4_xs(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 256, sizeof(lcy_block_iq4_xs), y, x, block_iq4_xs);
}

static lcy_status quantize_iq4_xs(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_rows_of_blocks(rows, n, 256, sizeof(lcy_block_iq4_xs), y, x, imatrix, block_iq4_xs);
}

static float dot_iq4_xs(int64_t n, const void *w, const void *x) {
    if (n < LCY_SHORT_ROW) return lcy_iq_dot_short(n, w, x, sizeof(lcy_block_iq4_xs), unpack_iq4_xs, 1.0f);
    return lcy_iq_dot(n, w, x, sizeof(lcy_block_iq4_xs), unpack_iq4_xs, 1.0f);
}

const lcy_format lcy_format_iq4_xs = {
    .type = LCY_IQ4_XS, .name = "iq4_xs", .block = 256, .bytes = sizeof(lcy_block_iq4_xs), .dot_with = LCY_Q8_K,
    .to_float = to_float_iq4_xs, .from_float = from_float_iq4_xs, .quantize = quantize_iq4_xs, .dot = dot_iq4_xs,
};

#endif
#endif
