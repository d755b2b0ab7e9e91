/* affine.h: what Q4_K and Q5_K share: 8 sub-blocks of 32, each with a 6-bit scale and a 6-bit minimum. */
#ifndef LCY_FORMATS_COMMON_AFFINE_H
#define LCY_FORMATS_COMMON_AFFINE_H

#include "fit.h"
#include "pack.h"

typedef struct {
    uint16_t d, dmin; /* f16 */
    uint8_t scale[8], min[8], L[256];
} lcy_affine_block;

/* Both kinds of 6-bit scale without weights: v (8) values >= 0 as codes of the largest one; returns that. */
static inline float lcy_affine_scales(uint8_t codes[8], const float v[8]) {
    const float most = lcy_max(8, v, 0), s = most > 0 ? 63 / most : 0;
    for (int j = 0; j < 8; j++) {
        const uint8_t c = (uint8_t)lcy_nearest(s * v[j]);
        codes[j] = c < 63 ? c : 63;
    }
    return most / 63;
}

/* x (256), q (256) imatrix values or NULL -> codes 0..nmax and their scales. plain: the search without weights. */
static inline void lcy_fit_affine(lcy_affine_block *b, const float *x, const float *q, int nmax,
                                  lcy_affine_search plain) {
    static const lcy_affine_search weighted = {-0.9f, 0.05f, 36, 0};
    const float sigma2 = q ? 2 * lcy_sum_squares(256, x) / 256 : 0;
    float scale[8], min[8], sums[8];
    for (int j = 0; j < 8; j++) {
        const float *xj = x + 32 * j;
        float w[32];
        if (q) {
            lcy_importance(32, w, xj, q + 32 * j, sigma2);
        } else {
            const float mean = sqrtf(lcy_sum_squares(32, xj) / 32);
            for (int i = 0; i < 32; i++) w[i] = mean + fabsf(xj[i]);
        }
        sums[j] = lcy_sum(32, w);
        scale[j] = lcy_fit_qkx(32, nmax, xj, w, q ? weighted : plain, min + j, b->L + 32 * j);
    }
    b->d = lcy_f32_to_f16(q ? lcy_fit_qp(8, 63, scale, sums, b->scale) : lcy_affine_scales(b->scale, scale));
    b->dmin = lcy_f32_to_f16(q ? lcy_fit_qp(8, 63, min, sums, b->min) : lcy_affine_scales(b->min, min));
    const float d = lcy_f16_to_f32(b->d), dmin = lcy_f16_to_f32(b->dmin);
    for (int j = 0; j < 8; j++)
        lcy_requantize(32, x + 32 * j, d * (float)b->scale[j], dmin * (float)b->min[j], 0, nmax, 0, b->L + 32 * j);
}

#endif
