/* iq_curve.h: the 16 values of IQ4_NL and IQ4_XS, closer together near zero, and the search for their scale. */
#ifndef LCY_FORMATS_COMMON_IQ_CURVE_H
#define LCY_FORMATS_COMMON_IQ_CURVE_H

#include "../../scalar.h"
#include "fit.h"

#define LCY_IQ_CURVE -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
static const int8_t lcy_iq_curve[16] = {LCY_IQ_CURVE};

#ifdef LCY_REFERENCE

static const float lcy_iq_curve_floats[16] = {LCY_IQ_CURVE};

/* The code of the value nearest to v; of two equally near, the upper. Four halvings without branches. */
static inline int lcy_iq_curve_code(float v) {
    const float *f = lcy_iq_curve_floats;
    int low = 0;
    if (v <= f[0]) return 0;
    if (v >= f[15]) return 15;
    for (int step = 8; step; step /= 2) low += v >= f[low + step] ? step : 0;
    return low + !(v - f[low] < f[low + 1] - v);
}

static inline void lcy_iq_curve_codes(uint8_t L[32], const float x[32], float inverse) {
    for (int i = 0; i < 32; i++) L[i] = (uint8_t)lcy_iq_curve_code(inverse * x[i]);
}

static inline lcy_fit lcy_iq_curve_fit(const float x[32], const float w[32], float inverse) {
    lcy_fit f = {0, 0};
    for (int i = 0; i < 32; i++) {
        const float v = lcy_iq_curve_floats[lcy_iq_curve_code(inverse * x[i])], wv = w[i] * v;
        f.a += wv * x[i];
        f.b += wv * v;
    }
    return f;
}

/* The scale of 32 values with weights w; 0 if all are 0. The peak is tried on each value from -134 to -120. */
static inline float lcy_iq_curve_scale(const float x[32], const float w[32]) {
    const float peak = lcy_peak(32, x);
    if (peak == 0) return 0;
    lcy_fit f = lcy_iq_curve_fit(x, w, 1 / (-peak / -127));
    float scale = f.a / f.b, best = scale * f.a;
    for (int t = -7; t <= 7; t++) {
        f = lcy_iq_curve_fit(x, w, (float)(t - 127) / peak);
        if (f.b > 0 && f.a * f.a > best * f.b) scale = f.a / f.b, best = scale * f.a;
    }
    return scale;
}

#endif
#endif
