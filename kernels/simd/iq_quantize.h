/* iq_quantize.h: the quantizers of the IQ formats for V_ROWS blocks at once, in 256-bit
 * registers or wider; quantize.h has the others. */
#ifndef LCY_SIMD_IQ_QUANTIZE_H
#define LCY_SIMD_IQ_QUANTIZE_H

#include "../formats/common/iq_curve.h"
#include "../formats/iq1_m.h"
#include "../formats/iq1_s.h"
#include "../formats/iq2_s.h"
#include "../formats/iq2_xs.h"
#include "../formats/iq2_xxs.h"
#include "../formats/iq3_s.h"
#include "../formats/iq3_xxs.h"
#include "../formats/iq4_nl.h"
#include "../formats/iq4_xs.h"
#include "iq_fit.h"
#include "iq_ternary.h"
#include "quantize.h"

/* ---- IQ4 ---- */

static const float curve_values[16] = {LCY_IQ_CURVE};
/* half way from each value to the next: from there on v is nearer to that */
static const float curve_bounds[16] = {-115.5f, -93.5f, -74, -57, -42, -28.5f, -16, -4.5f, 7, 19, 31.5f, 45.5f, 61, 79, 101};

/* lcy_iq_curve_code, four halvings; what is no number gets 1, as there */
LCY_INLINE vi many_curve_code(vf v) {
    v = v_pick(v_equal(v, v), v, v_setf(-104));
    vi code = v_pick32(v_at_most(v_setf(-4.5f), v), v_set32(8), v_zero());
    for (int step = 4; step; step /= 2) {
        const vf bound = v_of16(curve_bounds, v_add32(code, v_set32(step - 1)));
        code = v_pick32(v_at_most(bound, v), v_add32(code, v_set32(step)), code);
    }
    return code;
}

/* lcy_iq_curve_fit; wx: w * x */
LCY_INLINE many_fit many_curve_fit(const vf *x, const vf *w, vf inverse) {
    many_fit f = {v_zerof(), v_zerof()};
    for (int i = 0; i < 32; i++) {
        const vf v = v_of16(curve_values, many_curve_code(inverse * x[i])), wv = w[i] * v;
        f.a += wv * x[i];
        f.b += wv * v;
    }
    return f;
}

/* lcy_iq_curve_scale */
static __attribute__((noinline)) vf many_curve_scale(const vf *x, const vf *w) {
    const vf zero = v_zerof(), peak = many_peak(32, x);
    many_fit f = many_curve_fit(x, w, v_setf(1) / (v_negative(peak) / v_setf(-127)));
    vf scale = f.a / f.b, best = scale * f.a;
    for (int t = -7; t <= 7; t++) {
        f = many_curve_fit(x, w, v_setf((float)(t - 127)) / peak);
        const vm better = v_less(zero, f.b) & v_less(best * f.b, f.a * f.a);
        const vf now = f.a / f.b;
        scale = v_pick(better, now, scale);
        best = v_pick(better, now * f.a, best);
    }
    return v_pick(v_equal(peak, zero), zero, scale);
}

/* lcy_iq_curve_codes at this scale, packed */
LCY_INLINE void many_curve_nibbles(uint32_t qs[4][V_ROWS], const vf *x, vf scale) {
    const vf zero = v_zerof(), inverse = v_pick(v_equal(scale, zero), zero, v_setf(1) / scale);
    vi L[32];
    for (int i = 0; i < 32; i++) L[i] = many_curve_code(inverse * x[i]);
    nibbles_in(qs, L);
}

static void many_iq4_nl(int count, uint8_t *y, const vf *x, const vf *q) {
    lcy_block_iq4_nl *b = (lcy_block_iq4_nl *)y;
    uint32_t qs[4][V_ROWS];
    uint16_t ds[V_ROWS];
    vf w[32];
    many_iq_weights(32, w, x, q, many_sum_squares(32, x, v_zerof()) * v_setf(2.0f / 32), 0);
    const vf scale = many_curve_scale(x, w);
    many_curve_nibbles(qs, x, scale);
    v_store_halves(ds, scale);
    for (int l = 0; l < count; l++, b++) b->d = ds[l], nibbles_out(b->qs, qs, l);
}

static void many_iq4_xs(int count, uint8_t *y, const vf *x, const vf *q) {
    lcy_block_iq4_xs *b = (lcy_block_iq4_xs *)y;
    const vf zero = v_zerof(), sigma2 = many_sum_squares(256, x, zero) * v_setf(2.0f / 256);
    uint32_t qs[8][4][V_ROWS], code[8][V_ROWS];
    uint16_t ds[V_ROWS];
    vf scale[8];
    for (int j = 0; j < 8; j++) {
        vf w[32];
        if (q) many_importance(32, w, x + 32 * j, q + 32 * j, sigma2);
        else for (int i = 0; i < 32; i++) w[i] = x[32 * j + i] * x[32 * j + i];
        scale[j] = many_curve_scale(x + 32 * j, w);
    }
    const vf d = v_negative(many_peak(8, scale)) / v_setf(32);
    const vf inverse = v_pick(v_equal(d, zero), zero, v_setf(1) / d);
    v_store_halves(ds, d);
    for (int j = 0; j < 8; j++) {
        const vf l = v_code(inverse * scale[j], -32, 31);
        many_curve_nibbles(qs[j], x + 32 * j, d * l);
        v_store(code[j], v_truncate(l + v_setf(32)));
    }
    for (int l = 0; l < count; l++, b++) {
        memset(b, 0, sizeof *b);
        b->d = ds[l];
        for (int j = 0; j < 8; j++) {
            nibbles_out(b->qs + 16 * j, qs[j], l);
            b->scales_l[j / 2] |= (uint8_t)((code[j][l] & 15) << j % 2 * 4);
            b->scales_h |= (uint16_t)(code[j][l] >> 4 << 2 * j);
        }
    }
}

/* ---- IQ2, IQ3 ---- */

#define MANY_IQ(name)                                                                      \
    static void many_##name(int count, uint8_t *y, const vf *x, const vf *q) {             \
        lcy_iq_fitted fit[V_ROWS];                                                         \
        many_iq_fit_blocks(&lcy_rule_##name, count, x, q, fit);                            \
        for (int l = 0; l < count; l++, y += sizeof(lcy_block_##name)) lcy_pack_##name(y, &fit[l]); \
    }
MANY_IQ(iq2_xxs)
MANY_IQ(iq2_xs)
MANY_IQ(iq2_s)
MANY_IQ(iq3_xxs)
MANY_IQ(iq3_s)
#undef MANY_IQ

/* ---- IQ1 ---- */

/* The codes of scales that are fractions of the largest one, and that as a step; [j][l] */
LCY_INLINE vf many_odd_codes(int n, uint32_t code[][V_ROWS], vf *as_float, const vf *scale, vf most) {
    const vf d = most / v_setf(15), inverse = v_setf(1) / d;
    for (int j = 0; j < n; j++) {
        as_float[j] = v_code(v_setf(0.5f) * (inverse * scale[j] - v_setf(1)), 0, 7);
        v_store(code[j], v_truncate(as_float[j]));
    }
    return d;
}

LCY_INLINE vm many_any(int n, const vf *x) {
    vm some = v_less(x[0], x[0]);
    for (int i = 0; i < n; i++) some |= v_less(v_zerof(), v_abs(x[i]));
    return some;
}

static void many_iq1_s(int count, uint8_t *y, const vf *x, const vf *q) {
    const lcy_neighbours *near = lcy_neighbours_of(LCY_BOOK_IQ1);
    const vf zero = v_zerof(), sigma2 = v_setf(2) * many_sum_squares(256, x, zero) / v_setf(256);
    lcy_block_iq1_s *b = (lcy_block_iq1_s *)y;
    vf scale[8], codes[8], most = zero;
    uint32_t index[32][V_ROWS], code[8][V_ROWS];
    unsigned down[8], some[8];
    float mosts[V_ROWS];
    uint16_t ds[V_ROWS];
    for (int j = 0; j < 8; j++) {
        const vm any = many_any(32, x + 32 * j);
        many_ternary t;
        vf w[32];
        many_iq_weights(32, w, x + 32 * j, q + 32 * j, sigma2, 0);
        many_cut_s(&t, x + 32 * j, w);
        many_mirror(32, &t);
        some[j] = v_truths(any) & ((1u << count) - 1);
        many_to_points(32, &t, near, some[j], x + 32 * j, w);
        scale[j] = v_pick(any, t.scale, zero);
        most = v_most(scale[j], most);
        down[j] = v_truths(t.down[0]) & some[j];
        for (int g = 0; g < 4; g++) v_store(index[4 * j + g], v_pick32(any, t.index[g], v_zero()));
    }
    v_store_halves(ds, many_odd_codes(8, code, codes, scale, most) * v_setf(1.125f));
    v_storef(mosts, most);
    for (int l = 0; l < count; l++, b++) {
        uint16_t own_index[32];
        uint8_t own_down[8], own_code[8];
        memset(b, 0, sizeof *b);
        if (mosts[l] == 0) continue;
        for (int g = 0; g < 32; g++) own_index[g] = (uint16_t)index[g][l];
        for (int j = 0; j < 8; j++) own_down[j] = down[j] >> l & 1, own_code[j] = (uint8_t)code[j][l];
        lcy_pack_iq1_s(b, ds[l], own_index, own_down, own_code);
    }
}

static void many_iq1_m(int count, uint8_t *y, const vf *x, const vf *q) {
    const lcy_neighbours *near = lcy_neighbours_of(LCY_BOOK_IQ1);
    const vf zero = v_zerof(), sigma2 = v_setf(2) * many_sum_squares(256, x, zero) / v_setf(256);
    lcy_block_iq1_m *b = (lcy_block_iq1_m *)y;
    vf w[256], value[256], scale[16], codes[16], most = zero;
    uint32_t index[32][V_ROWS], code[16][V_ROWS];
    unsigned down[32];
    float mosts[V_ROWS];
    uint16_t ds[V_ROWS];
    for (int j = 0; j < 16; j++) {
        const vf *xj = x + 16 * j;
        vf *wj = w + 16 * j;
        const vm any = many_any(16, xj);
        const unsigned lanes = v_truths(any) & ((1u << count) - 1);
        many_ternary t;
        many_iq_weights(16, wj, xj, q ? q + 16 * j : NULL, sigma2, 0);
        many_cut_m(&t, xj, wj);
        many_mirror(16, &t);
        many_to_points(16, &t, near, lanes, xj, wj);
        scale[j] = v_pick(any, t.scale, zero);
        most = v_most(scale[j], most);
        for (int g = 0; g < 2; g++) {
            down[2 * j + g] = v_truths(t.down[g]) & lanes;
            v_store(index[2 * j + g], v_pick32(any, t.index[g], v_zero()));
        }
        for (int i = 0; i < 16; i++) { /* a sub-block of zeros: digits 0, and its weights count in the last fit */
            vf own = zero;
            if (q) own = q[16 * j + i] * v_root(sigma2 + xj[i] * xj[i]);
            value[16 * j + i] = v_pick(any, many_ternary_value(&t, i), v_setf(-0.875f));
            wj[i] = v_pick(any, wj[i], own);
        }
    }
    const vf d = many_odd_codes(16, code, codes, scale, most);
    many_fit f = {zero, zero};
    for (int i = 0; i < 256; i++) { /* refit_iq1_m */
        const vf v = value[i] * (v_setf(2) * codes[i / 16] + v_setf(1));
        f.a += w[i] * v * x[i];
        f.b += w[i] * v * v;
    }
    v_store_halves(ds, v_pick(v_less(zero, f.b), f.a / f.b, d) * v_setf(1.1125f));
    v_storef(mosts, most);
    for (int l = 0; l < count; l++, b++) {
        uint16_t own_index[32];
        uint8_t own_down[32], own_code[16];
        memset(b, 0, sizeof *b);
        if (mosts[l] == 0) continue;
        for (int g = 0; g < 32; g++) own_index[g] = (uint16_t)index[g][l], own_down[g] = down[g] >> l & 1;
        for (int j = 0; j < 16; j++) own_code[j] = (uint8_t)code[j][l];
        lcy_pack_iq1_m(b, ds[l], own_index, own_down, own_code);
    }
}

/* ---- the functions of the table ---- */

/* book: whose lists must be there, or none; some_imatrix: there must be one */
#define QUANTIZE(name, size, book, some_imatrix)                                                                    \
    static lcy_status V_NAME(quantize_##name)(int64_t rows, int64_t n, void *y, const float *x,                     \
                                              const float *imatrix) {                                               \
        if (some_imatrix && !imatrix) return LCY_E_ARG;                                                             \
        if (book != LCY_BOOKS && !lcy_neighbours_of(book)) return LCY_E_NOMEM;                                      \
        return rows_of_blocks(size, rows, n, sizeof(lcy_block_##name), y, x, imatrix, many_##name);                 \
    }
QUANTIZE(iq1_s, 256, LCY_BOOK_IQ1, 1)
QUANTIZE(iq1_m, 256, LCY_BOOK_IQ1, 0)
QUANTIZE(iq2_xxs, 256, LCY_BOOK_IQ2_XXS, 1)
QUANTIZE(iq2_xs, 256, LCY_BOOK_IQ2_XS, 1)
QUANTIZE(iq2_s, 256, LCY_BOOK_IQ2_S, 0)
QUANTIZE(iq3_xxs, 256, LCY_BOOK_IQ3_XXS, 0)
QUANTIZE(iq3_s, 256, LCY_BOOK_IQ3_S, 0)
QUANTIZE(iq4_nl, 32, LCY_BOOKS, 0)
QUANTIZE(iq4_xs, 256, LCY_BOOKS, 0)
#undef QUANTIZE

static void fill_iq_quantizers(lcy_kernels *k) {
    k->quantize[LCY_IQ1_S] = V_NAME(quantize_iq1_s);
    k->quantize[LCY_IQ1_M] = V_NAME(quantize_iq1_m);
    k->quantize[LCY_IQ2_XXS] = V_NAME(quantize_iq2_xxs);
    k->quantize[LCY_IQ2_XS] = V_NAME(quantize_iq2_xs);
    k->quantize[LCY_IQ2_S] = V_NAME(quantize_iq2_s);
    k->quantize[LCY_IQ3_XXS] = V_NAME(quantize_iq3_xxs);
    k->quantize[LCY_IQ3_S] = V_NAME(quantize_iq3_s);
    k->quantize[LCY_IQ4_NL] = V_NAME(quantize_iq4_nl);
    k->quantize[LCY_IQ4_XS] = V_NAME(quantize_iq4_xs);
}

#endif
