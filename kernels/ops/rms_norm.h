/* rms_norm: the squares in f32, their sum in double over 8 lanes, the rest in f32, every product rounded. */
#ifndef LCY_OPS_RMS_NORM_H
#define LCY_OPS_RMS_NORM_H

#include "../kernels.h"
#include "../scalar.h"

static void rms_norm(int64_t n, const float *x, const float *w, float eps, float *y) {
    double lane[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++) lane[l] += (double)(x[i + l] * x[i + l]);
    for (int l = 0; l < 8 && i < n; i++, l++) lane[l] += (double)(x[i] * x[i]);
    for (int width = 4; width; width /= 2)
        for (int l = 0; l < width; l++) lane[l] += lane[l + width];
    const float mean = (float)(lane[0] / (double)n);
    const float scale = 1.0f / sqrtf(mean + eps);
    if (w)
        for (i = 0; i < n; i++) y[i] = (x[i] * scale) * w[i];
    else
        for (i = 0; i < n; i++) y[i] = x[i] * scale;
}

#endif
