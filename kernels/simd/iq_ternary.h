/* iq_ternary.h: the searches of formats/common/iq_ternary.h, IQ1_S and IQ1_M for V_ROWS blocks at once.
 *
 * Nothing is sorted: a value's rank is counted. What is needed in sorted order is written to the place of its rank.
 */
#ifndef LCY_SIMD_IQ_TERNARY_H
#define LCY_SIMD_IQ_TERNARY_H

#include "../formats/common/iq_ternary.h"
#include "iq_fit.h"

/* V_ROWS sub-blocks of 16 or 32 values, as found. */
typedef struct {
    vf scale;
    vi digit[32];
    vm down[4];  /* per group of 8 */
    vi index[4]; /* per group of 8 */
} many_ternary;

/* How many values come before each in ascending order; of equal ones the earlier comes first. */
static void many_ranks(int n, vi *rank, const vf *x) {
    for (int e = 0; e < n; e++) rank[e] = v_set32(e);
    for (int e = 1; e < n; e++)
        for (int j = 0; j < e; j++) {
            const vm above = v_less(x[e], x[j]);
            rank[j] = v_up32(above, rank[j]);
            rank[e] = v_down32(above, rank[e]);
        }
}

/* out[rank] = a, lane by lane */
static void many_by_rank(int n, vf *out, const vf *a, const vi *rank) {
    float to[32][V_ROWS];
    for (int e = 0; e < n; e++) {
        uint32_t place[V_ROWS];
        float value[V_ROWS];
        v_store(place, rank[e]);
        v_storef(value, a[e]);
        for (int l = 0; l < V_ROWS; l++) to[place[l]][l] = value[l];
    }
    for (int e = 0; e < n; e++) out[e] = v_loadf(to[e]);
}

/* lcy_iq_cut */
static void many_cut(int n, many_ternary *t, const vi *rank, vi i1, vi i2) {
    for (int e = 0; e < n; e++)
        t->digit[e] = v_pick32(v_less32(rank[e], i1), v_zero(),
                               v_pick32(v_less32(rank[e], i2), v_set32(1), v_set32(2)));
}

/* cut_iq1_s: x, w (32). Shifts up [0] and down [1] differ in signs only where cuts meet the middle digit. */
static __attribute__((noinline)) void many_cut_s(many_ternary *t, const vf *x, const vf *w) {
    vf wx[32], sx[33], sw[33], last[33][2], last_w[33][2], best = v_zerof();
    vi rank[32], i1_best = v_zero(), i2_best = v_zero();
    vm down_best = v_less(best, best);
    many_ranks(32, rank, x);
    for (int i = 0; i < 32; i++) wx[i] = w[i] * x[i];
    sx[0] = sw[0] = v_zerof();
    many_by_rank(32, sx + 1, wx, rank);
    many_by_rank(32, sw + 1, w, rank);
    for (int i = 0; i < 32; i++) sx[i + 1] = sx[i] + sx[i + 1], sw[i + 1] = sw[i] + sw[i + 1];
    for (int i = 0; i <= 32; i++)
        for (int d = 0; d < 2; d++) {
            const vf v = v_setf(lcy_iq_shifted[d][2]);
            last[i][d] = (sx[32] - sx[i]) * v;
            last_w[i][d] = (sw[32] - sw[i]) * v * v;
        }
    t->scale = v_zerof();
    for (int i1 = 0; i1 <= 32; i1++) {
        vf first[2], first_w[2];
        for (int d = 0; d < 2; d++) {
            const vf v = v_setf(lcy_iq_shifted[d][0]);
            first[d] = (sx[i1] - sx[0]) * v;
            first_w[d] = (sw[i1] - sw[0]) * v * v;
        }
        for (int i2 = i1; i2 <= 32; i2++) {
            const vf eighth = v_setf(0.125f), middle = (sx[i2] - sx[i1]) * eighth;
            const vf middle_w = (sw[i2] - sw[i1]) * eighth * eighth;
            for (int d = 0; d < 2; d++) {
                const vf a = (d ? first[d] - middle : first[d] + middle) + last[i2][d];
                const vf b = first_w[d] + middle_w + last_w[i2][d];
                vm better = v_less(best * b, a * a);
                if (!v_any(better)) continue;
                better &= v_less(v_zerof(), b);
                const vf now = a / b;
                t->scale = v_pick(better, now, t->scale);
                best = v_pick(better, now * a, best);
                i1_best = v_pick32(better, v_set32(i1), i1_best);
                i2_best = v_pick32(better, v_set32(i2), i2_best);
                down_best = d ? down_best | better : down_best & ~better;
            }
        }
    }
    for (int g = 0; g < 4; g++) t->down[g] = down_best;
    many_cut(32, t, rank, i1_best, i2_best);
}

/* terms_iq1_m, sums_iq1_m */
typedef struct { vf a[16][3][4], b[16][3][4]; } many_terms_m;
typedef struct { vf a[4], b[4]; } many_sums_m;

LCY_INLINE void many_add_m(many_sums_m *s, const many_terms_m *t, int i, int digit) {
    for (int k = 0; k < 4; k++) s->a[k] += t->a[i][digit][k], s->b[k] += t->b[i][digit][k];
}

/* list_terms_iq1_m; second: 1 for the values of the second group */
static void many_terms(many_terms_m *t, const vf *x, const vf *w, const vf *second) {
    for (int i = 0; i < 16; i++) {
        const vm late = v_less(v_zerof(), second[i]);
        for (int digit = 0; digit < 3; digit++) {
            vf a[2], b[2];
            for (int d = 0; d < 2; d++) {
                const vf v = v_setf(lcy_iq_shifted[d][digit]);
                a[d] = w[i] * v * x[i];
                b[d] = w[i] * v * v;
            }
            for (int k = 0; k < 4; k++) {
                t->a[i][digit][k] = v_pick(late, a[lcy_iq1_m_down(k, 1)], a[lcy_iq1_m_down(k, 0)]);
                t->b[i][digit][k] = v_pick(late, b[lcy_iq1_m_down(k, 1)], b[lcy_iq1_m_down(k, 0)]);
            }
        }
    }
}

/* cut_iq1_m: x, w (16) */
static __attribute__((noinline)) void many_cut_m(many_ternary *t, const vf *x, const vf *w) {
    const vf zero = v_zerof(), one = v_setf(1);
    vf sorted_x[16], sorted_w[16], second[16], best = zero;
    vi rank[16], i1_best = v_zero(), i2_best = v_zero();
    many_terms_m terms;
    many_sums_m low = {{zero, zero, zero, zero}, {zero, zero, zero, zero}};
    many_ranks(16, rank, x);
    for (int i = 0; i < 16; i++) second[i] = i < 8 ? zero : one;
    many_by_rank(16, second, second, rank);
    many_by_rank(16, sorted_x, x, rank);
    many_by_rank(16, sorted_w, w, rank);
    many_terms(&terms, sorted_x, sorted_w, second);
    t->scale = zero;
    t->down[0] = t->down[1] = v_less(zero, zero);
    for (int i1 = 0; i1 <= 16; i1++) {
        many_sums_m middle = low;
        for (int i2 = i1; i2 <= 16; i2++) {
            many_sums_m s = middle;
            vm any = v_less(zero, zero);
            for (int i = i2; i < 16; i++) many_add_m(&s, &terms, i, 2);
            for (int k = 0; k < 4; k++) any |= v_less(best * s.b[k], s.a[k] * s.a[k]);
            if (v_any(any))
                for (int k = 0; k < 4; k++) {
                    const vm better = v_less(zero, s.b[k]) & v_less(best * s.b[k], s.a[k] * s.a[k]);
                    const vf now = s.a[k] / s.b[k];
                    t->scale = v_pick(better, now, t->scale);
                    best = v_pick(better, now * s.a[k], best);
                    i1_best = v_pick32(better, v_set32(i1), i1_best);
                    i2_best = v_pick32(better, v_set32(i2), i2_best);
                    for (int g = 0; g < 2; g++)
                        t->down[g] = lcy_iq1_m_down(k, g) ? t->down[g] | better : t->down[g] & ~better;
                }
            if (i2 < 16) many_add_m(&middle, &terms, i2, 1);
        }
        if (i1 < 16) many_add_m(&low, &terms, i1, 0);
    }
    many_cut(16, t, rank, i1_best, i2_best);
}

/* lcy_iq_mirror */
LCY_INLINE void many_mirror(int n, many_ternary *t) {
    const vm negative = v_less(t->scale, v_zerof());
    t->scale = v_pick(negative, v_negative(t->scale), t->scale);
    for (int i = 0; i < n; i++) t->digit[i] = v_pick32(negative, v_sub32(v_set32(2), t->digit[i]), t->digit[i]);
    for (int g = 0; g < n / 8; g++) t->down[g] ^= negative;
}

/* lcy_iq_value: a digit stands for itself less 7/8, or 9/8 */
LCY_INLINE vf many_ternary_value(const many_ternary *t, int i) {
    return v_float(t->digit[i]) - v_pick(t->down[i / 8], v_setf(1.125f), v_setf(0.875f));
}

/* lcy_iq_to_points in `lanes`; x, w (n) */
static void many_to_points(int n, many_ternary *t, const lcy_neighbours *near, unsigned lanes, const vf *x, const vf *w) {
    static const float value[2][8] = {{-0.875f, 0.125f, 1.125f, 0, -0.875f, 0.125f, 1.125f, 0},
                                      {-1.125f, -0.125f, 0.875f, 0, -1.125f, -0.125f, 0.875f, 0}};
    float own_x[V_ROWS][32], own_w[V_ROWS][32], scale[V_ROWS];
    vm moved = v_less(x[0], x[0]);
    turn_lanes(n, own_x, x);
    turn_lanes(n, own_w, w);
    v_storef(scale, t->scale);
    for (int g = 0; g < n / 8; g++) {
        vi key = v_zero();
        uint32_t keys[V_ROWS];
        for (int k = 0; k < 8; k++) key = v_or(key, v_shl32(t->digit[8 * g + k], 2 * k));
        const vm none = v_less32(v_gather32(near->known, key), v_zero());
        const unsigned down = v_truths(t->down[g]);
        v_store(keys, key);
        for (unsigned m = v_truths(none) & lanes; m; m &= m - 1) {
            const int l = __builtin_ctz(m);
            const iq_places p = iq_places_of(8, own_x[l] + 8 * g, own_w[l] + 8 * g);
            keys[l] = iq_cheapest(8, lcy_neighbours_list(near, keys[l]), &p, value[down >> l & 1], scale[l]);
        }
        key = v_load(keys);
        moved |= none;
        for (int k = 0; k < 8; k++) t->digit[8 * g + k] = v_and(v_shr32(key, 2 * k), v_set32(3));
        t->index[g] = v_gather32(near->known, key);
    }
    if (!v_any(moved)) return;
    many_fit f = {v_zerof(), v_zerof()};
    for (int i = 0; i < n; i++) {
        const vf q = many_ternary_value(t, i);
        f.a += w[i] * q * x[i];
        f.b += w[i] * q * q;
    }
    moved &= v_less(v_zerof(), f.a) & v_less(v_zerof(), f.b);
    t->scale = v_pick(moved, f.a / f.b, t->scale);
}

#endif
