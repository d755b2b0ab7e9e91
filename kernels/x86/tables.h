/* tables.h (x86): ops/tables.h in registers of 16 lanes. Needs a lanes.h; the rest of a row is left to plain C. */
#ifndef LCY_X86_TABLES_H
#define LCY_X86_TABLES_H

#include "../ops/ops.h"

/* The table of exp for numbers up to 0 and NaN, computed: no gathers. x = n ln 2 + r, and a polynomial of r
 * that is near enough for every f16 x to be rounded to the same f16 (tests/kernels/test_ops.py asks all of them). */
static inline lanes lanes_exp(lanes x) {
    const lanes whole = lanes_same(12582912.0f), one = lanes_same(1);
    const lanes h = lanes_max(lanes_same(-18), lanes_through_half(x)); /* exp(-18) is 0 in f16; NaN stays */
    const lanes n = lanes_sub(lanes_add(lanes_mul(h, lanes_same(1.44269504f)), whole), whole);
    const lanes r = lanes_fma(n, lanes_same(-1.42860677e-6f), lanes_fma(n, lanes_same(-0.693145752f), h));
    lanes p = lanes_fma(lanes_same(1.0f / 5040), r, lanes_same(1.0f / 720));
    p = lanes_fma(p, r, lanes_same(1.0f / 120));
    p = lanes_fma(p, r, lanes_same(1.0f / 24));
    p = lanes_fma(p, r, lanes_same(1.0f / 6));
    p = lanes_fma(p, r, lanes_same(0.5f));
    p = lanes_fma(p, lanes_mul(r, r), r);
    return lanes_through_half(lanes_scale(lanes_add(p, one), n));
}

static void LANES_NAME(softmax)(int64_t n, float *x, float scale, const lcy_tables *t) {
    const int64_t whole = n & ~(int64_t)15;
    lanes most = lanes_same(-INFINITY);
    float lane[16], max = -INFINITY;
    for (int64_t i = 0; i < whole; i += 16) {
        const lanes z = lanes_mul(lanes_load(x + i), lanes_same(scale));
        lanes_store(x + i, z);
        most = lanes_max(most, z);
    }
    lanes_store(lane, most);
    for (int l = 0; l < 16; l++) max = lane[l] > max ? lane[l] : max;
    for (int64_t i = whole; i < n; i++) {
        x[i] *= scale;
        max = x[i] > max ? x[i] : max;
    }
    double_lanes sums = lanes_widen(lanes_same(0)); /* exact, so in any order */
    for (int64_t i = 0; i < whole; i += 16) {
        const lanes e = lanes_exp(lanes_sub(lanes_load(x + i), lanes_same(max)));
        lanes_store(x + i, e);
        sums = double_lanes_add(sums, lanes_widen(e));
    }
    double sum = double_lanes_sum(sums);
    for (int64_t i = whole; i < n; i++) {
        x[i] = table_exp(x[i] - max, t);
        sum += (double)x[i];
    }
    const float inverse = (float)(1.0 / sum);
    for (int64_t i = 0; i < whole; i += 16) lanes_store(x + i, lanes_mul(lanes_load(x + i), lanes_same(inverse)));
    for (int64_t i = whole; i < n; i++) x[i] *= inverse;
}

static void LANES_NAME(silu_mul)(int64_t n, const float *g, const float *u, float *y, const lcy_tables *t) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        lanes_store(y + i, lanes_mul(lanes_lookup(t->silu, lanes_load(g + i)), lanes_load(u + i)));
    silu_mul(n - i, g + i, u + i, y + i, t);
}

static void fill_tables(lcy_kernels *k) {
    k->softmax = LANES_NAME(softmax);
    k->silu_mul = LANES_NAME(silu_mul);
}

#endif
