/* tables.h: ops/tables.h in registers of 16 lanes. Needs a lanes.h; the rest of a row is left to plain C. */
#ifndef LCY_SIMD_TABLES_H
#define LCY_SIMD_TABLES_H

#include "../ops/ops.h"

/* The table of exp for numbers up to 0 and NaN, computed: no gathers. x = n ln 2 + r, and a polynomial of r that is just
 * near enough for every f16 x to be rounded to the same f16 (tests/kernels/test_ops.py asks all of them). The sum that
 * rounds to n leaves n + 127 in its lowest bits, the exponent of 2^n. */
static inline lanes lanes_exp(lanes x) {
    const lanes whole = lanes_same(12582912.0f + 127);
    const lanes h = lanes_max(lanes_same(-18), lanes_through_half(x)); /* exp(-18) is 0 in f16; NaN stays */
    const lanes t = lanes_fma(h, lanes_same(1.44269504f), whole), power = lanes_shift_left(t, 23);
    const lanes r = lanes_fma(lanes_sub(t, whole), lanes_same(-0.693147182f), h), square = lanes_mul(r, r);
    const lanes low = lanes_fma(lanes_same(0.166671291f), r, lanes_same(0.499992371f));
    const lanes high = lanes_fma(lanes_same(0.00831264909f), r, lanes_same(0.0418911763f));
    const lanes p = lanes_fma(lanes_fma(high, square, low), square, r);
    return lanes_through_half(lanes_fma(p, power, power));
}

static void LANES_NAME(softmax)(int64_t n, float *x, float scale, const lcy_tables *t) {
    const int64_t whole = n & ~(int64_t)15;
    lanes most = lanes_same(-INFINITY);
    float lane[16], max = -INFINITY;
    for (int64_t i = 0; i < whole; i += 16) most = lanes_max(most, lanes_mul(lanes_load(x + i), lanes_same(scale)));
    lanes_store(lane, most);
    for (int l = 0; l < 16; l++) max = lane[l] > max ? lane[l] : max;
    for (int64_t i = whole; i < n; i++) {
        x[i] *= scale;
        max = x[i] > max ? x[i] : max;
    }
    double_lanes sums = lanes_widen(lanes_same(0)); /* exact, so in any order */
    for (int64_t i = 0; i < whole; i += 16) {
        const lanes e = lanes_exp(lanes_sub(lanes_mul(lanes_load(x + i), lanes_same(scale)), lanes_same(max)));
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
