/* iq_fit.h: the search of formats/common/iq_fit.h for V_ROWS blocks at once, one block per lane.
 *
 * What every trial needs, rounding and measuring, is done for all lanes together. Only where digits have no point of
 * their own a lane goes its own way, through eight candidates at a time (nearest.h).
 */
#ifndef LCY_SIMD_IQ_FIT_H
#define LCY_SIMD_IQ_FIT_H

#include "../formats/common/iq_fit.h"
#include "fit.h"
#include "nearest.h"

enum {
    MANY_TRIALS = 31,    /* at most */
    IQ_SNAPPED = 1 << 16 /* in a key: the digits had no point of their own */
};

/* lcy_iq_weights */
LCY_INLINE void many_iq_weights(int n, vf *w, const vf *x, const vf *q, vf sigma2, float flat) {
    const vf zero = v_zerof();
    vm none = v_equal(zero, zero);
    if (q) many_importance(n, w, x, q, sigma2);
    else for (int i = 0; i < n; i++) w[i] = v_setf(flat) * sigma2 + x[i] * x[i];
    for (int i = 0; i < n; i++) none &= v_equal(w[i], zero);
    if (!v_any(none)) return;
    for (int i = 0; i < n; i++) w[i] = v_pick(none, v_setf(1), w[i]);
}

/* out[l][i] = lane l of x[i], i < n */
LCY_INLINE void turn_lanes(int n, float out[V_ROWS][32], const vf *x) {
    for (int i = 0; i < n; i += V_ROWS) {
        vf square[V_ROWS];
        memcpy(square, x + i, sizeof square);
        v_transpose_square(square);
        for (int l = 0; l < V_ROWS; l++) v_storef(out[l] + i, square[l]);
    }
}

/* lcy_iq_take_signs: x, w, xv (8); the signs as bits */
LCY_INLINE vi many_iq_take_signs(const lcy_iq_rule *f, vf *xv, const vf *x, const vf *w) {
    const vf zero = v_zerof();
    vf low = w[0] * x[0] * x[0];
    vi signs = v_zero(), least = v_zero();
    vm odd = v_less(zero, zero);
    for (int k = 0; k < 8; k++) {
        const vm negative = ~v_at_most(zero, x[k]);
        const vf matters = w[k] * x[k] * x[k];
        const vm less = v_less(matters, low);
        xv[k] = v_pick(negative, v_negative(x[k]), x[k]);
        signs = v_or(signs, v_pick32(negative, v_set32(1 << k), v_zero()));
        odd ^= negative;
        low = v_pick(less, matters, low);
        least = v_pick32(less, v_set32(k), least);
    }
    if (!f->even_signs) return signs;
    for (int k = 0; k < 8; k++) {
        const vm flip = odd & v_equal32(least, v_set32(k));
        xv[k] = v_pick(flip, v_negative(xv[k]), xv[k]);
        signs = v_pick32(flip, signs ^ v_set32(1 << k), signs);
    }
    return signs;
}

/* lcy_iq_round */
LCY_INLINE vi many_iq_round(const lcy_iq_rule *f, const vf *xv, vf inverse) {
    const vf half = v_setf(0.5f), one = v_setf(1);
    const vf low = v_setf(FIT_MAGIC), high = v_setf(FIT_MAGIC + (float)(f->digits - 1));
    const int bits = lcy_iq_bits(f->width);
    vi key = v_zero();
    for (int k = 0; k < f->width; k++) {
        const vf code = v_least(v_most(v_nearest_raised(half * (inverse * xv[k] - one)), low), high);
        key = v_or(key, v_shl32(v_and(v_as_ints(code), v_set32((1 << bits) - 1)), bits * k));
    }
    return key;
}

/* What a sub-block's search reads: values and square roots of weights by lane; which lanes count. */
typedef struct {
    const lcy_neighbours *near;
    unsigned lanes;
    float x[V_ROWS][32], om[V_ROWS][32];
} many_iq_lanes;

/* Takes the keys of one group, values `at` and following, to points: key[t], by the scale of trial t. */
LCY_INLINE void many_iq_snap(const lcy_iq_rule *f, const many_iq_lanes *s, unsigned lanes, int at, int trials,
                         uint32_t key[][V_ROWS], const float scale[][V_ROWS]) {
    static const float odd[2][8] = {{1, 3, 5, 7, 9, 11, 13, 15}, {1, 3, 5, 7, 1, 3, 5, 7}};
    uint32_t off[V_ROWS];
    vi none = v_zero();
    for (int t = 0; t < trials; t++) {
        const vi known = v_gather32(s->near->known, v_load(key[t]));
        none = v_or(none, v_and(v_sra32(known, 31), v_set32(1 << t)));
    }
    v_store(off, none);
    for (; lanes; lanes &= lanes - 1) {
        const int l = __builtin_ctz(lanes);
        const iq_places p = iq_places_of(f->width, s->x[l] + at, s->om[l] + at);
        for (uint32_t m = off[l]; m; m &= m - 1) {
            uint32_t *k = &key[__builtin_ctz(m)][l];
            const uint16_t *list = lcy_neighbours_list(s->near, *k);
            *k = iq_cheapest(f->width, list, &p, odd[f->width == 8], scale[__builtin_ctz(m)][l]) | IQ_SNAPPED;
        }
    }
}

/* lcy_iq_measure, one group: adds to *r. wx: w * xv */
LCY_INLINE void many_iq_measure(const lcy_iq_rule *f, many_fit *r, vi key, const vf *wx, const vf *w) {
    const int bits = lcy_iq_bits(f->width);
    for (int k = 0; k < f->width; k++) {
        const vf digit = v_float(v_and(v_shr32(key, bits * k), v_set32((1 << bits) - 1)));
        const vf q = v_fma(digit, v_setf(2), v_setf(1)); /* whole and small: exact */
        r->a += wx[k] * q;
        r->b += w[k] * q * q;
    }
}

typedef struct {
    vf scale;
    vi key[8];
} many_iq_won;

/* lcy_iq_again */
LCY_INLINE void many_iq_again(const lcy_iq_rule *f, const many_iq_lanes *s, const vf *xv, const vf *wx, const vf *w,
                              many_iq_won *won) {
    const int groups = f->size / f->width;
    const vm positive = v_less(v_zerof(), won->scale);
    const vf inverse = v_setf(1) / won->scale;
    vi snapped = v_zero();
    uint32_t key[1][V_ROWS];
    float scale[1][V_ROWS];
    many_fit r = {v_zerof(), v_zerof()};
    for (int g = 0; g < groups; g++) snapped = v_or(snapped, won->key[g]);
    vm any = positive;
    if (f->again != LCY_IQ_AGAIN_ALL) any &= v_less32(v_set32(IQ_SNAPPED - 1), snapped);
    if (!v_any(any)) return;
    v_storef(scale[0], won->scale);
    for (int g = 0; g < groups; g++) {
        vm again = any;
        if (f->again == LCY_IQ_AGAIN_SNAPPED) again &= v_less32(v_set32(IQ_SNAPPED - 1), won->key[g]);
        if (v_any(again)) {
            v_store(key[0], many_iq_round(f, xv + g * f->width, inverse));
            many_iq_snap(f, s, s->lanes & v_truths(again), g * f->width, 1, key, scale);
            won->key[g] = v_pick32(again, v_load(key[0]), won->key[g]);
        }
        many_iq_measure(f, &r, won->key[g], wx + g * f->width, w + g * f->width);
    }
    won->scale = v_pick(any & v_less(v_zerof(), r.b), r.a / r.b, won->scale);
}

/* lcy_iq_sub_block. In lanes beyond s->lanes nothing is looked up, and the result is of no use. */
LCY_INLINE many_iq_won many_iq_sub_block(const lcy_iq_rule *f, many_iq_lanes *s, const vf *xv, const vf *w) {
    const int groups = f->size / f->width, top = 2 * f->digits - 1, trials = 2 * f->trials + 1;
    vf om[32], wx[32], inverse[MANY_TRIALS], high = many_max(f->size, xv, v_zerof()), best = v_zerof();
    vi kept[MANY_TRIALS][8];
    uint32_t key[MANY_TRIALS][V_ROWS];
    float scale[MANY_TRIALS][V_ROWS];
    many_fit r[MANY_TRIALS];
    many_iq_won won = {.scale = high / v_setf((float)top)};
    if (f->guess_by_fit) {
        won.scale = many_fit_qp(32, f->digits + 1, xv, w, om);
        high = won.scale * v_setf((float)f->digits);
    }
    for (int g = 0; g < groups; g++) won.key[g] = v_set32(s->near->first);
    for (int i = 0; i < f->size; i++) om[i] = v_root(w[i]), wx[i] = w[i] * xv[i];
    turn_lanes(f->size, s->x, xv);
    turn_lanes(f->size, s->om, om);
    for (int t = 0; t < trials; t++) {
        inverse[t] = v_setf((float)top + (float)(t - f->trials) * f->trial_step) / high;
        v_storef(scale[t], v_setf(1) / inverse[t]);
        r[t] = (many_fit){v_zerof(), v_zerof()};
    }
    for (int g = 0, i = 0; g < groups; g++, i += f->width) {
        for (int t = 0; t < trials; t++) v_store(key[t], many_iq_round(f, xv + i, inverse[t]));
        many_iq_snap(f, s, s->lanes, i, trials, key, scale);
        for (int t = 0; t < trials; t++) {
            kept[t][g] = v_load(key[t]);
            many_iq_measure(f, &r[t], kept[t][g], wx + i, w + i);
        }
    }
    for (int t = 0; t < trials; t++) {
        const vm better = v_less(v_zerof(), r[t].b) & v_less(best * r[t].b, r[t].a * r[t].a);
        if (!v_any(better)) continue;
        const vf now = r[t].a / r[t].b;
        won.scale = v_pick(better, now, won.scale);
        best = v_pick(better, now * r[t].a, best);
        for (int g = 0; g < groups; g++) won.key[g] = v_pick32(better, kept[t][g], won.key[g]);
    }
    many_iq_again(f, s, xv, wx, w, &won);
    return won;
}

/* lcy_iq_fit_block of the first `count` lanes. x, q: 256 registers each, q NULL: no imatrix. out (V_ROWS) */
LCY_INLINE void many_iq_fit_blocks(const lcy_iq_rule *f, int count, const vf *x, const vf *q, lcy_iq_fitted *out) {
    const int n = f->size, groups = n / f->width;
    const vf zero = v_zerof(), sigma2 = v_setf(f->sigma) * many_sum_squares(256, x, zero) / v_setf(256);
    many_iq_lanes s = {.near = lcy_neighbours_of(f->book)};
    vf scale[16], most = zero;
    memset(out, 0, V_ROWS * sizeof *out);
    for (int j = 0; j < 256 / n; j++) {
        vf w[32], xv[32];
        vi signs[4];
        uint32_t word[V_ROWS];
        vm some = v_less(zero, zero);
        many_iq_weights(n, w, x + j * n, q ? q + j * n : NULL, sigma2, f->flat);
        for (int i = 0; i < n; i += 8) signs[i / 8] = many_iq_take_signs(f, xv + i, x + j * n + i, w + i);
        for (int i = 0; i < n; i++) some |= v_less(zero, xv[i]);
        scale[j] = zero;
        s.lanes = v_truths(some) & ((1u << count) - 1);
        for (int l = 0; l < V_ROWS; l++) out[l].zero[j] = !(s.lanes >> l & 1);
        if (!s.lanes) continue;
        const many_iq_won won = many_iq_sub_block(f, &s, xv, w);
        for (int g = 0; g < groups; g++) {
            v_store(word, v_gather32(s.near->known, v_and(won.key[g], v_set32(IQ_SNAPPED - 1))));
            for (unsigned m = s.lanes; m; m &= m - 1) {
                const int l = __builtin_ctz(m);
                out[l].index[j * groups + g] = (uint16_t)word[l];
            }
        }
        for (int i = 0; i < n / 8; i++) {
            v_store(word, v_pick32(v_less(won.scale, zero), signs[i] ^ v_set32(255), signs[i]));
            for (unsigned m = s.lanes; m; m &= m - 1) {
                const int l = __builtin_ctz(m);
                out[l].signs[j * n / 8 + i] = (uint8_t)word[l];
            }
        }
        scale[j] = v_pick(some, v_abs(won.scale), zero);
        most = v_most(scale[j], most);
    }
    const vf d = most / v_setf(31), inverse = v_setf(1) / d;
    float mosts[V_ROWS];
    uint16_t ds[V_ROWS];
    v_storef(mosts, most);
    v_store_halves(ds, d * v_setf(f->fudge));
    for (int j = 0; j < 256 / n; j++) {
        uint32_t code[V_ROWS];
        v_store(code, v_truncate(v_code(v_setf(0.5f) * (inverse * scale[j] - v_setf(1)), 0, 15)));
        for (int l = 0; l < V_ROWS; l++) out[l].code[j] = (uint8_t)code[l];
    }
    for (int l = 0; l < V_ROWS; l++) {
        if (mosts[l] == 0) memset(&out[l], 0, sizeof out[l]);
        else out[l].d = ds[l];
    }
}

#endif
