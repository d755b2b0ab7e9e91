/* IQ2_XXS: 256 weights in 66 bytes. Points of 8 magnitudes out of 256, an even number of negative signs in each.
 *
 *   qs[4b + 0..1]  four codebook indices of 8 bits, of the groups of 8 weights in the b-th 32
 *   qs[4b + 2..3]  as u32: 7 bits of signs for each of the four groups, 4 bits of scale c on top
 *   weight = d * (2c + 1) / 8 * magnitude
 */
#ifndef LCY_FORMATS_IQ2_XXS_H
#define LCY_FORMATS_IQ2_XXS_H

#include "../lcy.h"
#include "../scalar.h"
#include "common/iq_fit.h"

typedef struct { uint16_t d; uint16_t qs[32]; } lcy_block_iq2_xxs;
LCY_SIZE(lcy_block_iq2_xxs, 66);

static const lcy_iq_rule lcy_rule_iq2_xxs = {
    .book = LCY_BOOK_IQ2_XXS, .width = 8, .size = 32, .digits = 3, .even_signs = 1,
    .trials = 6, .trial_step = 0.1f, .sigma = 1, .guess_by_fit = 1, .again = LCY_IQ_AGAIN_ALL, .fudge = 1,
};

/* index and sign words, scale codes on top */
static inline void lcy_pack_iq2_xxs(void *block, const lcy_iq_fitted *f) {
    lcy_block_iq2_xxs *b = block;
    b->d = f->d;
    for (int j = 0; j < 8; j++) {
        const uint16_t *i = f->index + 4 * j;
        const uint32_t signs = lcy_iq_sevens(f->signs + 4 * j) | (uint32_t)f->code[j] << 28;
        b->qs[4 * j] = (uint16_t)(i[0] | i[1] << 8);
        b->qs[4 * j + 1] = (uint16_t)(i[2] | i[3] << 8);
        b->qs[4 * j + 2] = (uint16_t)signs;
        b->qs[4 * j + 3] = (uint16_t)(signs >> 16);
    }
}

#ifdef LCY_REFERENCE
#include "common/iq_points.h"
#include "common/iq_short.h"

static void unpack_iq2_xxs(lcy_iq_block *out, const void *block) {
    const lcy_block_iq2_xxs *b = block;
    out->d = lcy_f16_to_f32(b->d);
    for (int g = 0; g < 32; g++) {
        const uint16_t *p = b->qs + g / 4 * 4;
        const uint32_t signs = p[2] | (uint32_t)p[3] << 16;
        const int index = p[g % 4 / 2] >> g % 2 * 8 & 255;
        lcy_iq_signed(8, out->q + 8 * g, lcy_iq2_xxs_points[index], lcy_iq_even_signs(signs >> g % 4 * 7));
        out->scale[g / 2] = lcy_iq_odd((int)(signs >> 28));
    }
}

static void to_float_iq2_xxs(int64_t n, float *y, const void *x) {
    lcy_iq_to_float(n, y, x, sizeof(lcy_block_iq2_xxs), unpack_iq2_xxs, 0.125f);
}

static lcy_status quantize_iq2_xxs(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    if (!imatrix) return LCY_E_ARG;
    return lcy_iq_quantize(rows, n, sizeof(lcy_block_iq2_xxs), y, x, imatrix, &lcy_rule_iq2_xxs, lcy_pack_iq2_xxs);
}

static float dot_iq2_xxs(int64_t n, const void *w, const void *x) {
    if (n < LCY_SHORT_ROW) return lcy_iq_dot_short(n, w, x, sizeof(lcy_block_iq2_xxs), unpack_iq2_xxs, 0.125f);
    return lcy_iq_dot(n, w, x, sizeof(lcy_block_iq2_xxs), unpack_iq2_xxs, 0.125f);
}

const lcy_format lcy_format_iq2_xxs = {
    .type = LCY_IQ2_XXS, .name = "iq2_xxs", .block = 256, .bytes = sizeof(lcy_block_iq2_xxs), .dot_with = LCY_Q8_K,
    .to_float = to_float_iq2_xxs, .from_float = NULL, .quantize = quantize_iq2_xxs, .dot = dot_iq2_xxs,
};

#endif
#endif
