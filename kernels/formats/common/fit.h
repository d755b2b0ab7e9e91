/* fit.h: the searches that the file quantizers share. Their results go to files byte for byte, so every operation is
 * written as it must be rounded: strict IEEE f32, no contraction, every sum sequential in ascending order.
 *
 * x (n) values, w (n) weights >= 0, L (n) codes. n <= LCY_FIT_MAX.
 */
#ifndef LCY_FORMATS_COMMON_FIT_H
#define LCY_FORMATS_COMMON_FIT_H

#include "../../scalar.h"

#define LCY_FIT_MAX 32

static inline int lcy_clamp(int v, int lo, int hi) { return v < lo ? lo : v > hi ? hi : v; }

/* Truncation toward zero; what an int cannot hold becomes INT32_MIN instead of undefined behaviour. */
static inline int lcy_truncate(float v) { return v >= -0x1p31f && v < 0x1p31f ? (int)v : INT32_MIN; }

/* The element of largest magnitude with its sign; the first of equals; 0 if all are 0. */
static inline float lcy_peak(int n, const float *x) {
    float peak = 0, magnitude = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > magnitude) magnitude = fabsf(x[i]), peak = x[i];
    return peak;
}

static inline float lcy_abs_max(int n, const float *x) {
    float m = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > m) m = fabsf(x[i]);
    return m;
}

static inline float lcy_sum(int64_t n, const float *x) {
    float s = 0;
    for (int64_t i = 0; i < n; i++) s += x[i];
    return s;
}

static inline float lcy_sum_squares(int64_t n, const float *x) {
    float s = 0;
    for (int64_t i = 0; i < n; i++) s += x[i] * x[i];
    return s;
}

static inline float lcy_max(int n, const float *x, float start) {
    for (int i = 0; i < n; i++) start = x[i] > start ? x[i] : start;
    return start;
}

static inline void lcy_squares(int n, float *w, const float *x) {
    for (int i = 0; i < n; i++) w[i] = x[i] * x[i];
}

/* Importance weights: q (n) imatrix values of these columns, sigma2 the format's mean square. */
static inline void lcy_importance(int n, float *w, const float *x, const float *q, float sigma2) {
    for (int i = 0; i < n; i++) w[i] = q[i] * sqrtf(sigma2 + x[i] * x[i]);
}

/* A fit of codes l to x: scale a / b leaves the least error, a * a / b is what it explains. */
typedef struct { float a, b; } lcy_fit;

static inline lcy_fit lcy_fit_symmetric(int n, int nmax, const float *x, const float *w, float s, int8_t *l) {
    lcy_fit f = {0, 0};
    for (int i = 0; i < n; i++) {
        const int c = lcy_clamp(lcy_nearest(s * x[i]), -nmax, nmax - 1);
        l[i] = (int8_t)c;
        f.a += w[i] * x[i] * (float)c;
        f.b += w[i] * (float)c * (float)c;
    }
    return f;
}

/* Symmetric codes 0..2 nmax - 1 for values (code - nmax) * scale; returns the scale, which may be negative.
 * w NULL: x * x. */
static inline float lcy_fit_qx(int n, int nmax, const float *x, const float *w, uint8_t *L) {
    float squares[LCY_FIT_MAX];
    int8_t l[LCY_FIT_MAX], kept[LCY_FIT_MAX];
    const float peak = lcy_peak(n, x);
    if (fabsf(peak) < 1e-30f) {
        memset(L, 0, (size_t)n);
        return 0;
    }
    if (!w) lcy_squares(n, squares, x), w = squares;
    lcy_fit f = lcy_fit_symmetric(n, nmax, x, w, (float)-nmax / peak, kept);
    float scale = f.a / f.b, best = scale * f.a;
    for (int is = -9; is <= 9; is++) {
        if (is == 0) continue;
        f = lcy_fit_symmetric(n, nmax, x, w, -((float)nmax + 0.1f * (float)is) / peak, l);
        if (!(f.b > 0 && f.a * f.a > best * f.b)) continue;
        memcpy(kept, l, (size_t)n);
        scale = f.a / f.b, best = scale * f.a;
    }
    for (int i = 0; i < n; i++) L[i] = (uint8_t)(kept[i] + nmax);
    return scale;
}

/* Codes 0..7 for values (code - 4) * scale, n = 16: start from the peak, then move single codes while that helps. */
static inline float lcy_fit_q3(const float *x, uint8_t *L) {
    enum { N = 16, NMAX = 4 };
    float w[N];
    int8_t l[N];
    const float peak = lcy_peak(N, x);
    if (peak == 0) {
        memset(L, 0, N);
        return 0;
    }
    lcy_squares(N, w, x);
    lcy_fit f = lcy_fit_symmetric(N, NMAX, x, w, (float)-NMAX / peak, l);
    for (int pass = 0, moved = 1; pass < 5 && moved; pass++) {
        moved = 0;
        for (int i = 0; i < N; i++) {
            float a = f.a - w[i] * x[i] * (float)l[i];
            if (!(a > 0)) continue;
            float b = f.b - w[i] * (float)l[i] * (float)l[i];
            const int c = lcy_clamp(lcy_nearest(x[i] * b / a), -NMAX, NMAX - 1);
            if (c == l[i]) continue;
            a += w[i] * x[i] * (float)c;
            b += w[i] * (float)c * (float)c;
            if (b > 0 && a * a * f.b > f.a * f.a * b) l[i] = (int8_t)c, f = (lcy_fit){a, b}, moved = 1;
        }
    }
    for (int i = 0; i < N; i++) L[i] = (uint8_t)(l[i] + NMAX);
    return f.a / f.b;
}

/* Error of scale * code + low against x, weighted: of magnitudes or of squares. */
static inline float lcy_affine_error(int n, const float *x, const float *w, const uint8_t *l, float scale, float low,
                                     int magnitudes) {
    float e = 0;
    for (int i = 0; i < n; i++) {
        const float diff = scale * (float)l[i] + low - x[i];
        e += w[i] * (magnitudes ? fabsf(diff) : diff * diff);
    }
    return e;
}

static inline void lcy_affine_codes(int n, int nmax, const float *x, float s, float low, uint8_t *l) {
    for (int i = 0; i < n; i++) l[i] = (uint8_t)lcy_clamp(lcy_nearest(s * (x[i] - low)), 0, nmax);
}

/* Where an affine fit looks: starting scales (first + step * i + nmax) / range for i = 0..steps. */
typedef struct { float first, step; int steps, magnitudes; } lcy_affine_search;

/* Codes 0..nmax for values scale * code - *minimum, *minimum >= 0; returns the scale.
 * An accepted trial moves the low end that later trials start from: that feedback is part of the result. */
static inline float lcy_fit_qkx(int n, int nmax, const float *x, const float *w, lcy_affine_search how, float *minimum,
                                uint8_t *L) {
    uint8_t l[LCY_FIT_MAX];
    const float high = lcy_max(n, x, x[0]);
    float low = x[0];
    for (int i = 1; i < n; i++) low = x[i] < low ? x[i] : low;
    float sw = 0, sx = 0;
    for (int i = 0; i < n; i++) sw += w[i], sx += w[i] * x[i];
    if (low > 0) low = 0;
    if (high <= low) {
        memset(L, 0, (size_t)n);
        *minimum = -low;
        return 0;
    }
    const float s0 = (float)nmax / (high - low);
    float scale = 1 / s0;
    lcy_affine_codes(n, nmax, x, s0, low, L);
    float best = lcy_affine_error(n, x, w, L, scale, low, how.magnitudes);
    for (int is = 0; is <= how.steps; is++) {
        lcy_affine_codes(n, nmax, x, (how.first + how.step * (float)is + (float)nmax) / (high - low), low, l);
        float sl = 0, sl2 = 0, sxl = 0;
        for (int i = 0; i < n; i++) {
            const float wl = w[i] * (float)l[i];
            sl += wl;
            sl2 += wl * (float)l[i];
            sxl += wl * x[i];
        }
        const float det = sw * sl2 - sl * sl;
        if (!(det > 0)) continue;
        float ts = (sw * sxl - sx * sl) / det, tl = (sl2 * sx - sl * sxl) / det;
        if (tl > 0) tl = 0, ts = sxl / sl2;
        const float error = lcy_affine_error(n, x, w, l, ts, tl, how.magnitudes);
        if (!(error < best)) continue;
        memcpy(L, l, (size_t)n);
        best = error, scale = ts, low = tl;
    }
    *minimum = -low;
    return scale;
}

static inline float lcy_scale_error(int n, const float *x, const float *w, const int32_t *l, float scale) {
    float e = 0;
    for (int i = 0; i < n; i++) {
        const float d = x[i] - scale * (float)l[i];
        e += w[i] * d * d;
    }
    return e;
}

/* Non-negative codes 0..nmax for values code * scale; returns the scale. A negative x gives a code that wraps to a
 * byte: sums use the int where the reference does, and the byte where it reads the code back. */
static inline float lcy_fit_qp(int n, int nmax, const float *x, const float *w, uint8_t *L) {
    int32_t l[LCY_FIT_MAX];
    const float high = lcy_max(n, x, 0);
    if (high == 0) {
        memset(L, 0, (size_t)n);
        return 0;
    }
    float s = (float)nmax / high;
    for (int i = 0; i < n; i++) l[i] = (uint8_t)lcy_nearest(s * x[i]);
    float best = lcy_scale_error(n, x, w, l, 1 / s);
    for (int is = -4; is <= 4; is++) {
        if (is == 0) continue;
        const float trial = (0.1f * (float)is + (float)nmax) / high;
        for (int i = 0; i < n; i++) {
            const int c = lcy_nearest(trial * x[i]);
            l[i] = c < nmax ? c : nmax;
        }
        const float error = lcy_scale_error(n, x, w, l, 1 / trial);
        if (error < best) best = error, s = trial;
    }
    lcy_fit f = {0, 0};
    for (int i = 0; i < n; i++) {
        int c = lcy_nearest(s * x[i]);
        c = c < nmax ? c : nmax;
        L[i] = (uint8_t)c;
        f.a += w[i] * x[i] * (float)c;
        f.b += w[i] * (float)c * (float)c;
    }
    for (int pass = 0, moved = 1; pass < 5 && moved; pass++) {
        moved = 0;
        for (int i = 0; i < n; i++) {
            float a = f.a - w[i] * x[i] * (float)L[i];
            float b = f.b - w[i] * (float)L[i] * (float)L[i];
            if (!(a > 0 && b > 0)) continue;
            int c = lcy_nearest(x[i] * b / a);
            c = c < nmax ? c : nmax;
            if (c == L[i]) continue;
            a += w[i] * x[i] * (float)c;
            b += w[i] * (float)c * (float)c;
            if (a * a * f.b > f.a * f.a * b) L[i] = (uint8_t)c, f = (lcy_fit){a, b}, moved = 1;
        }
    }
    return f.a / f.b;
}

/* The codes of a sub-block once its scale and minimum are those that will be stored: (x + minimum) / scale rounded,
 * clamped to lo..hi, plus offset. A scale of 0 leaves the codes of the fit as they are. */
static inline void lcy_requantize(int n, const float *x, float scale, float minimum, int lo, int hi, int offset,
                                  uint8_t *L) {
    if (scale == 0) return;
    for (int i = 0; i < n; i++) L[i] = (uint8_t)(lcy_clamp(lcy_nearest((x[i] + minimum) / scale), lo, hi) + offset);
}

#endif
