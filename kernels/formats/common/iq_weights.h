/* iq_weights.h: how much each value of a sub-block matters to the IQ quantizers. */
#ifndef LCY_FORMATS_COMMON_IQ_WEIGHTS_H
#define LCY_FORMATS_COMMON_IQ_WEIGHTS_H

#include "fit.h"

/* n weights from q, imatrix values, or without them (NULL) flat * sigma2 + x^2. No search can use weights that are
 * all 0 (an imatrix with zeros, or squares too small for a float): then all values count the same. */
static inline void lcy_iq_weights(int n, float *w, const float *x, const float *q, float sigma2, float flat) {
    if (q) lcy_importance(n, w, x, q, sigma2);
    else for (int i = 0; i < n; i++) w[i] = flat * sigma2 + x[i] * x[i];
    for (int i = 0; i < n; i++)
        if (w[i] != 0) return;
    for (int i = 0; i < n; i++) w[i] = 1;
}

#endif
