/* IQ2_S: 256 weights in 82 bytes. Points of 8 magnitudes out of 1024, every sign its own bit.
 *
 *   qs[g]      low 8 bits of the codebook index of the g-th group of 8 weights
 *   signs[g]   bit k: weight k of the group is negative
 *   qh[b]      bits 2l and 2l + 1: bits 8 and 9 of the index of group 4b + l
 *   scales[j]  low nibble: scale c of 16 weights 2j, high nibble: of 2j + 1
 *   weight = d * (2c + 1) / 8 * magnitude
 */
#ifndef LCY_FORMATS_IQ2_S_H
#define LCY_FORMATS_IQ2_S_H

#include "../lcy.h"
#include "../scalar.h"
#include "common/iq_fit.h"

typedef struct { uint16_t d; uint8_t qs[32], signs[32], qh[8], scales[8]; } lcy_block_iq2_s;
LCY_SIZE(lcy_block_iq2_s, 82);

static const lcy_iq_rule lcy_rule_iq2_s = {
    .book = LCY_BOOK_IQ2_S, .width = 8, .size = 16, .digits = 3, .trials = 9, .trial_step = 0.1f,
    .sigma = 2, .flat = 0.25f, .again = LCY_IQ_AGAIN_SNAPPED, .fudge = 0.9875f,
};

static inline void lcy_pack_iq2_s(void *block, const lcy_iq_fitted *f) {
    lcy_block_iq2_s *b = block;
    memset(b->qh, 0, sizeof b->qh);
    b->d = f->d;
    for (int g = 0; g < 32; g++) {
        b->qs[g] = (uint8_t)f->index[g];
        b->qh[g / 4] |= (uint8_t)(f->index[g] >> 8 << g % 4 * 2);
        b->signs[g] = f->signs[g];
    }
    lcy_iq_pack_codes(16, b->scales, f->code);
}

#ifdef LCY_REFERENCE
#include "common/iq_points.h"
#include "common/iq_short.h"

static void unpack_iq2_s(lcy_iq_block *out, const void *block) {
    const lcy_block_iq2_s *b = block;
    out->d = lcy_f16_to_f32(b->d);
    for (int g = 0; g < 32; g++) {
        const int index = b->qs[g] | (b->qh[g / 4] >> g % 4 * 2 & 3) << 8;
        lcy_iq_signed(8, out->q + 8 * g, lcy_iq2_s_points[index], b->signs[g]);
    }
    for (int j = 0; j < 16; j++) out->scale[j] = lcy_iq_odd(b->scales[j / 2] >> j % 2 * 4 & 15);
}

static void to_float_iq2_s(int64_t n, float *y, const void *x) {
    lcy_iq_to_float(n, y, x, sizeof(lcy_block_iq2_s), unpack_iq2_s, 0.125f);
}

static lcy_status quantize_iq2_s(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_iq_quantize(rows, n, sizeof(lcy_block_iq2_s), y, x, imatrix, &lcy_rule_iq2_s, lcy_pack_iq2_s);
}

static void from_float_iq2_s(int64_t n, void *y, const float *x) { quantize_iq2_s(1, n, y, x, NULL); }

static float dot_iq2_s(int64_t n, const void *w, const void *x) {
    if (n < LCY_SHORT_ROW) return lcy_iq_dot_short(n, w, x, sizeof(lcy_block_iq2_s), unpack_iq2_s, 0.125f);
    return lcy_iq_dot(n, w, x, sizeof(lcy_block_iq2_s), unpack_iq2_s, 0.125f);
}

const lcy_format lcy_format_iq2_s = {
    .type = LCY_IQ2_S, .name = "iq2_s", .block = 256, .bytes = sizeof(lcy_block_iq2_s), .dot_with = LCY_Q8_K,
    .to_float = to_float_iq2_s, .from_float = from_float_iq2_s, .quantize = quantize_iq2_s, .dot = dot_iq2_s,
};

#endif
#endif
