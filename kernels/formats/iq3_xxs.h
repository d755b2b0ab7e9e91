/* IQ3_XXS: 256 weights in 98 bytes. Points of 4 magnitudes out of 256, an even number of negative signs in each 8.
 *
 *   qs[g]              codebook index of the g-th group of 4 weights
 *   signs[2b, 2b + 1]  as u32, for the b-th 32 weights: 7 bits of signs for each 8, 4 bits of scale c on top
 *   weight = d * (2c + 1) / 4 * magnitude
 */
#ifndef LCY_FORMATS_IQ3_XXS_H
#define LCY_FORMATS_IQ3_XXS_H

#include "../lcy.h"
#include "../scalar.h"
#include "common/iq_fit.h"

typedef struct { uint16_t d; uint8_t qs[64]; uint16_t signs[16]; } lcy_block_iq3_xxs;
LCY_SIZE(lcy_block_iq3_xxs, 98);

static const lcy_iq_rule lcy_rule_iq3_xxs = {
    .book = LCY_BOOK_IQ3_XXS, .width = 4, .size = 32, .digits = 8, .even_signs = 1,
    .trials = 15, .trial_step = 0.2f, .sigma = 2, .again = LCY_IQ_AGAIN_SNAPPED, .fudge = 1.0125f,
};

static inline void lcy_pack_iq3_xxs(void *block, const lcy_iq_fitted *f) {
    lcy_block_iq3_xxs *b = block;
    b->d = f->d;
    for (int g = 0; g < 64; g++) b->qs[g] = (uint8_t)f->index[g];
    for (int j = 0; j < 8; j++) {
        const uint32_t word = lcy_iq_sevens(f->signs + 4 * j) | (uint32_t)f->code[j] << 28;
        b->signs[2 * j] = (uint16_t)word;
        b->signs[2 * j + 1] = (uint16_t)(word >> 16);
    }
}

#ifdef LCY_REFERENCE
#include "common/iq_points.h"
#include "common/iq_short.h"

static void unpack_iq3_xxs(lcy_iq_block *out, const void *block) {
    const lcy_block_iq3_xxs *b = block;
    out->d = lcy_f16_to_f32(b->d);
    for (int g = 0; g < 64; g++) {
        const uint32_t word = b->signs[g / 8 * 2] | (uint32_t)b->signs[g / 8 * 2 + 1] << 16;
        const unsigned signs = lcy_iq_even_signs(word >> g % 8 / 2 * 7);
        lcy_iq_signed(4, out->q + 4 * g, lcy_iq3_xxs_points[b->qs[g]], signs >> g % 2 * 4);
        out->scale[g / 4] = lcy_iq_odd((int)(word >> 28));
    }
}

static void to_float_iq3_xxs(int64_t n, float *y, const void *x) {
    lcy_iq_to_float(n, y, x, sizeof(lcy_block_iq3_xxs), unpack_iq3_xxs, 0.25f);
}

static lcy_status quantize_iq3_xxs(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_iq_quantize(rows, n, sizeof(lcy_block_iq3_xxs), y, x, imatrix, &lcy_rule_iq3_xxs, lcy_pack_iq3_xxs);
}

static void from_float_iq3_xxs(int64_t n, void *y, const float *x) { quantize_iq3_xxs(1, n, y, x, NULL); }

static float dot_iq3_xxs(int64_t n, const void *w, const void *x) {
    if (n < LCY_SHORT_ROW) return lcy_iq_dot_short(n, w, x, sizeof(lcy_block_iq3_xxs), unpack_iq3_xxs, 0.25f);
    return lcy_iq_dot(n, w, x, sizeof(lcy_block_iq3_xxs), unpack_iq3_xxs, 0.25f);
}

const lcy_format lcy_format_iq3_xxs = {
    .type = LCY_IQ3_XXS, .name = "iq3_xxs", .block = 256, .bytes = sizeof(lcy_block_iq3_xxs), .dot_with = LCY_Q8_K,
    .to_float = to_float_iq3_xxs, .from_float = from_float_iq3_xxs, .quantize = quantize_iq3_xxs, .dot = dot_iq3_xxs,
};

#endif
#endif
