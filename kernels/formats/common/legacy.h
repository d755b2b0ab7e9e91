/* legacy.h: what the four 32-blocks of 4 and 5 bits (Q4_0, Q4_1, Q5_0, Q5_1) share. */
#ifndef LCY_FORMATS_COMMON_LEGACY_H
#define LCY_FORMATS_COMMON_LEGACY_H

#include "fit.h"
#include "rows.h"

/* Codes 0..2 half - 1 for (code - half) * d, the peak becoming code 0; returns d. */
static inline float lcy_round_symmetric(uint8_t L[32], const float *x, int half) {
    const float d = lcy_peak(32, x) / (float)-half, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < 32; i++) {
        const int8_t c = (int8_t)lcy_truncate(x[i] * inverse + ((float)half + 0.5f));
        L[i] = (uint8_t)(c < 2 * half - 1 ? c : 2 * half - 1);
    }
    return d;
}

/* Codes 0..most for low + code * d; returns d. */
static inline float lcy_round_affine(uint8_t L[32], const float *x, int most, float *low) {
    float mn = x[0], mx = x[0];
    for (int i = 1; i < 32; i++) mn = x[i] < mn ? x[i] : mn, mx = x[i] > mx ? x[i] : mx;
    const float d = (mx - mn) / (float)most, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < 32; i++) {
        const int8_t c = (int8_t)lcy_truncate((x[i] - mn) * inverse + 0.5f);
        L[i] = (uint8_t)(c < most ? c : most);
    }
    *low = mn;
    return d;
}

/* How the affine formats search with weights. */
static const lcy_affine_search lcy_search_weighted = {-0.9f, 0.05f, 36, 0};

/* The body of a quantize whose weights take sigma2 over the whole row. fit gets the finished weights in place of the
 * imatrix values; without an imatrix it gets NULL. */
static inline lcy_status lcy_rows_weighted_by_row(int64_t rows, int64_t n, size_t bytes, void *y, const float *x,
                                                  const float *imatrix, lcy_block_fn fit) {
    uint8_t *out = y;
    if (!imatrix) return lcy_rows_of_blocks(rows, n, 32, bytes, y, x, NULL, fit);
    if (rows < 0 || n < 0 || n % 32) return LCY_E_ARG;
    for (int64_t r = 0; r < rows; r++, x += n) {
        const float sigma2 = lcy_sum_squares(n, x) / (float)n;
        for (int64_t i = 0; i < n; i += 32, out += bytes) {
            float w[32];
            lcy_importance(32, w, x + i, imatrix + i, sigma2);
            fit(out, x + i, w);
        }
    }
    return LCY_OK;
}

#endif
