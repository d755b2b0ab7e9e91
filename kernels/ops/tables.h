/* tables: functions that the reference computes in F16, and what is built on them: SiLU and softmax. */
#ifndef LCY_OPS_TABLES_H
#define LCY_OPS_TABLES_H

#include "../kernels.h"
#include "../scalar.h"

static inline float table_exp(float x, const lcy_tables *t) { return lcy_f16_to_f32(t->exp[lcy_f32_to_f16(x)]); }
static inline float table_silu(float x, const lcy_tables *t) { return lcy_f16_to_f32(t->silu[lcy_f32_to_f16(x)]); }

static void silu_mul(int64_t n, const float *g, const float *u, float *y, const lcy_tables *t) {
    for (int64_t i = 0; i < n; i++) y[i] = table_silu(g[i], t) * u[i];
}

/* The values of exp are f16 numbers in [0, 1]: their sum in double is exact, so its order does not matter. */
static void softmax(int64_t n, float *x, float scale, const lcy_tables *t) {
    float max = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        x[i] *= scale;
        max = x[i] > max ? x[i] : max;
    }
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = table_exp(x[i] - max, t);
        sum += (double)x[i];
    }
    const float inverse = (float)(1.0 / sum);
    for (int64_t i = 0; i < n; i++) x[i] *= inverse;
}

#endif
