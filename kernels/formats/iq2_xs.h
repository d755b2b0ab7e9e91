/* IQ2_XS: 256 weights in 74 bytes. Points of 8 magnitudes out of 512, an even number of negative signs in each.
 *
 *   qs[g]      of the g-th group of 8 weights: bits 0..8 codebook index, 9..15 signs
 *   scales[j]  low nibble: scale c of 16 weights 2j, high nibble: of 2j + 1
 *   weight = d * (2c + 1) / 8 * magnitude
 */
#ifndef LCY_FORMATS_IQ2_XS_H
#define LCY_FORMATS_IQ2_XS_H

#include "../lcy.h"
#include "../scalar.h"
#include "common/iq_fit.h"

typedef struct { uint16_t d; uint16_t qs[32]; uint8_t scales[8]; } lcy_block_iq2_xs;
LCY_SIZE(lcy_block_iq2_xs, 74);

static const lcy_iq_rule lcy_rule_iq2_xs = {
    .book = LCY_BOOK_IQ2_XS, .width = 8, .size = 16, .digits = 3, .even_signs = 1,
    .trials = 9, .trial_step = 0.1f, .sigma = 1, .again = LCY_IQ_AGAIN_SNAPPED, .fudge = 1,
};

static inline void lcy_pack_iq2_xs(void *block, const lcy_iq_fitted *f) {
    lcy_block_iq2_xs *b = block;
    b->d = f->d;
    for (int g = 0; g < 32; g++) b->qs[g] = (uint16_t)(f->index[g] | (f->signs[g] & 127) << 9);
    lcy_iq_pack_codes(16, b->scales, f->code);
}

#ifdef LCY_REFERENCE
#include "common/iq_points.h"
#include "common/iq_short.h"

static void unpack_iq2_xs(lcy_iq_block *out, const void *block) {
    const lcy_block_iq2_xs *b = block;
    out->d = lcy_f16_to_f32(b->d);
    for (int g = 0; g < 32; g++)
        lcy_iq_signed(8, out->q + 8 * g, lcy_iq2_xs_points[b->qs[g] & 511], lcy_iq_even_signs(b->qs[g] >> 9));
    for (int j = 0; j < 16; j++) out->scale[j] = lcy_iq_odd(b->scales[j / 2] >> j % 2 * 4 & 15);
}

static void to_float_iq2_xs(int64_t n, float *y, const void *x) {
    lcy_iq_to_float(n, y, x, sizeof(lcy_block_iq2_xs), unpack_iq2_xs, 0.125f);
}

static lcy_status quantize_iq2_xs(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    if (!imatrix) return LCY_E_ARG;
    return lcy_iq_quantize(rows, n, sizeof(lcy_block_iq2_xs), y, x, imatrix, &lcy_rule_iq2_xs, lcy_pack_iq2_xs);
}

static float dot_iq2_xs(int64_t n, const void *w, const void *x) {
    if (n < LCY_SHORT_ROW) return lcy_iq_dot_short(n, w, x, sizeof(lcy_block_iq2_xs), unpack_iq2_xs, 0.125f);
    return lcy_iq_dot(n, w, x, sizeof(lcy_block_iq2_xs), unpack_iq2_xs, 0.125f);
}

const lcy_format lcy_format_iq2_xs = {
    .type = LCY_IQ2_XS, .name = "iq2_xs", .block = 256, .bytes = sizeof(lcy_block_iq2_xs), .dot_with = LCY_Q8_K,
    .to_float = to_float_iq2_xs, .from_float = NULL, .quantize = quantize_iq2_xs, .dot = dot_iq2_xs,
};

#endif
#endif
