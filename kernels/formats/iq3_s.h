/* IQ3_S: 256 weights in 110 bytes. Points of 4 magnitudes out of 512, every sign its own bit.
 *
 *   qs[g]      low 8 bits of the codebook index of the g-th group of 4 weights
 *   qh[b]      bit k: bit 8 of the index of group 8b + k
 *   signs[i]   bit k: weight 8i + k is negative
 *   scales[j]  low nibble: scale c of 32 weights 2j, high nibble: of 2j + 1
 *   weight = d * (2c + 1) * magnitude
 */
#ifndef LCY_FORMATS_IQ3_S_H
#define LCY_FORMATS_IQ3_S_H

#include "../lcy.h"
#include "../scalar.h"
#include "common/iq_fit.h"

typedef struct { uint16_t d; uint8_t qs[64], qh[8], signs[32], scales[4]; } lcy_block_iq3_s;
LCY_SIZE(lcy_block_iq3_s, 110);

static const lcy_iq_rule lcy_rule_iq3_s = {
    .book = LCY_BOOK_IQ3_S, .width = 4, .size = 32, .digits = 8, .trials = 9, .trial_step = 0.2f,
    .sigma = 2, .again = LCY_IQ_AGAIN_ALL_IF_SNAPPED, .fudge = 1.033f,
};

/* The reference does not advance past an all-zero 32 in qs and signs (it does in qh and scales): what follows lies one
 * place early, and files hold it so. */
static inline void lcy_pack_iq3_s(void *block, const lcy_iq_fitted *f) {
    lcy_block_iq3_s *b = block;
    memset(b, 0, sizeof *b);
    b->d = f->d;
    for (int j = 0, at = 0; j < 8; j++) {
        if (f->zero[j]) continue;
        for (int k = 0; k < 8; k++) {
            b->qs[8 * at + k] = (uint8_t)f->index[8 * j + k];
            b->qh[j] |= (uint8_t)(f->index[8 * j + k] >> 8 << k);
        }
        memcpy(b->signs + 4 * at++, f->signs + 4 * j, 4);
    }
    lcy_iq_pack_codes(8, b->scales, f->code);
}

#ifdef LCY_REFERENCE
#include "common/iq_points.h"
#include "common/iq_short.h"

static void unpack_iq3_s(lcy_iq_block *out, const void *block) {
    const lcy_block_iq3_s *b = block;
    out->d = lcy_f16_to_f32(b->d);
    for (int g = 0; g < 64; g++) {
        const int index = b->qs[g] | (b->qh[g / 8] >> g % 8 & 1) << 8;
        lcy_iq_signed(4, out->q + 4 * g, lcy_iq3_s_points[index], b->signs[g / 2] >> g % 2 * 4);
    }
    for (int j = 0; j < 16; j++) out->scale[j] = lcy_iq_odd(b->scales[j / 4] >> j % 4 / 2 * 4 & 15);
}

static void to_float_iq3_s(int64_t n, float *y, const void *x) {
    lcy_iq_to_float(n, y, x, sizeof(lcy_block_iq3_s), unpack_iq3_s, 1.0f);
}

static lcy_status quantize_iq3_s(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_iq_quantize(rows, n, sizeof(lcy_block_iq3_s), y, x, imatrix, &lcy_rule_iq3_s, lcy_pack_iq3_s);
}

static void from_float_iq3_s(int64_t n, void *y, const float *x) { quantize_iq3_s(1, n, y, x, NULL); }

static float dot_iq3_s(int64_t n, const void *w, const void *x) {
    if (n < LCY_SHORT_ROW) return lcy_iq_dot_short(n, w, x, sizeof(lcy_block_iq3_s), unpack_iq3_s, 1.0f);
    return lcy_iq_dot(n, w, x, sizeof(lcy_block_iq3_s), unpack_iq3_s, 1.0f);
}

const lcy_format lcy_format_iq3_s = {
    .type = LCY_IQ3_S, .name = "iq3_s", .block = 256, .bytes = sizeof(lcy_block_iq3_s), .dot_with = LCY_Q8_K,
    .to_float = to_float_iq3_s, .from_float = from_float_iq3_s, .quantize = quantize_iq3_s, .dot = dot_iq3_s,
};

#endif
#endif
