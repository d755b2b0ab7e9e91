/* fit.h: the searches of formats/common/fit.h for V_ROWS blocks at once, one block per lane.
 *
 * Lane by lane these are the same operations in the same order as there, each rounded for itself, and the same
 * comparisons; so the results are the same bits. x, w and L are arrays of n registers: element i of V_ROWS blocks.
 * Codes are floats here (whole numbers, never -0). A branch becomes a choice per lane; where a lane of the original
 * returns early its result is chosen at the end.
 */
#ifndef LCY_SIMD_FIT_H
#define LCY_SIMD_FIT_H

#include "../formats/common/fit.h"

#define FIT_MAGIC 12582912.0f /* of lcy_nearest: 0x4b400000 */

/* lcy_nearest before its 2^22 * 3 is taken off: a float whose last bits are the integer */
LCY_INLINE vf v_nearest_raised(vf v) { return v_bits_and_or(v + v_setf(FIT_MAGIC), 0x7fffff, 0x4b000000); }
LCY_INLINE vf v_nearest(vf v) { return v_nearest_raised(v) - v_setf(FIT_MAGIC); }
/* lcy_clamp(lcy_nearest(v), lo, hi) */
LCY_INLINE vf v_code(vf v, float lo, float hi) {
    return v_least(v_most(v_nearest_raised(v), v_setf(FIT_MAGIC + lo)), v_setf(FIT_MAGIC + hi)) - v_setf(FIT_MAGIC);
}
/* (uint8_t)c of a whole number that lcy_nearest can return */
LCY_INLINE vf v_wrapped(vf c) { return v_bits_and_or(c + v_setf(FIT_MAGIC), 0xff, 0x4b000000) - v_setf(0x1p23f); }

LCY_INLINE vf v_negative(vf a) { return -a; }

static vf many_peak(int n, const vf *x) {
    vf peak = v_zerof(), magnitude = v_zerof();
    for (int i = 0; i < n; i++) {
        const vf a = v_abs(x[i]);
        peak = v_pick(v_less(magnitude, a), x[i], peak);
        magnitude = v_most(a, magnitude);
    }
    return peak;
}

static vf many_max(int n, const vf *x, vf start) {
    for (int i = 0; i < n; i++) start = v_most(x[i], start);
    return start;
}

static vf many_sum(int n, const vf *x) {
    vf s = v_zerof();
    for (int i = 0; i < n; i++) s += x[i];
    return s;
}

static vf many_sum_squares(int n, const vf *x, vf s) {
    for (int i = 0; i < n; i++) s += x[i] * x[i];
    return s;
}

static void many_importance(int n, vf *w, const vf *x, const vf *q, vf sigma2) {
    for (int i = 0; i < n; i++) w[i] = q[i] * v_root(sigma2 + x[i] * x[i]);
}

typedef struct { vf a, b; } many_fit;

LCY_INLINE many_fit many_fit_symmetric(int n, int nmax, const vf *x, const vf *w, const vf *wx, vf s) {
    many_fit f = {v_zerof(), v_zerof()};
    for (int i = 0; i < n; i++) {
        const vf c = v_code(s * x[i], (float)-nmax, (float)(nmax - 1));
        f.a += wx[i] * c;
        f.b += w[i] * c * c;
    }
    return f;
}

/* w NULL: x * x */
static __attribute__((noinline)) vf many_fit_qx(int n, int nmax, const vf *x, const vf *w, vf *L) {
    vf squares[LCY_FIT_MAX], wx[LCY_FIT_MAX];
    const vf peak = many_peak(n, x), zero = v_zerof();
    const vm tiny = v_less(v_abs(peak), v_setf(1e-30f));
    if (!w) {
        for (int i = 0; i < n; i++) squares[i] = x[i] * x[i];
        w = squares;
    }
    for (int i = 0; i < n; i++) wx[i] = w[i] * x[i];
    vf kept = v_setf((float)-nmax) / peak;
    many_fit f = many_fit_symmetric(n, nmax, x, w, wx, kept);
    vf scale = f.a / f.b, best = scale * f.a;
    for (int is = -9; is <= 9; is++) {
        if (is == 0) continue;
        const vf s = v_setf(-((float)nmax + 0.1f * (float)is)) / peak;
        f = many_fit_symmetric(n, nmax, x, w, wx, s);
        const vm better = v_less(zero, f.b) & v_less(best * f.b, f.a * f.a);
        if (!v_any(better)) continue;
        const vf now = f.a / f.b;
        kept = v_pick(better, s, kept);
        scale = v_pick(better, now, scale);
        best = v_pick(better, now * f.a, best);
    }
    for (int i = 0; i < n; i++)
        L[i] = v_pick(tiny, zero, v_code(kept * x[i], (float)-nmax, (float)(nmax - 1)) + v_setf((float)nmax));
    return v_pick(tiny, zero, scale);
}

/* FIT_Q3 fits take turns, so that each waits for its own results only. x, L: FIT_Q3 times 16. A lane that makes no move
 * in a pass makes none in later ones, so the lanes need not stop together. */
enum { FIT_Q3 = 4 };

/* Truths that v_code(xb / a, -4, 3) is surely l, without the division: |xb - l a| is well below a / 2 (beyond the last
 * codes on one side only), a is far from underflow. Rounding errors here are a few parts of 2^24, the margin 1 of 5000. */
LCY_INLINE vm many_stays_q3(vf xb, vf a, vf l) {
    const vf off = xb - l * a, near = v_setf(0.4999f), far = v_setf(1e6f);
    const vf below = v_pick(v_equal(l, v_setf(-4)), far, near), above = v_pick(v_equal(l, v_setf(3)), far, near);
    return v_less(v_setf(1e-30f), a) & v_less(off, above * a) & v_less(-(below * a), off);
}

static __attribute__((noinline)) void many_fit_q3(const vf *x, vf *L, vf scale[FIT_Q3]) {
    enum { N = 16, NMAX = 4 };
    vf peak[FIT_Q3];
    const vf zero = v_zerof();
    many_fit f[FIT_Q3];
    for (int k = 0; k < FIT_Q3; k++) {
        peak[k] = many_peak(N, x + N * k);
        const vf s = v_setf((float)-NMAX) / peak[k];
        f[k] = (many_fit){zero, zero};
        for (int i = N * k; i < N * k + N; i++) {
            const vf w = x[i] * x[i], c = L[i] = v_code(s * x[i], -NMAX, NMAX - 1);
            f[k].a += w * x[i] * c;
            f[k].b += w * c * c;
        }
    }
    int quiet[FIT_Q3] = {0}; /* elements in a row without a move in any lane: after N of them nothing moves again */
    for (int pass = 0, open = 1; pass < 5 && open; pass++) {
        open = 0;
        for (int at = 0; at < N; at++)
            for (int k = 0; k < FIT_Q3; k++) {
                const int i = N * k + at;
                if (quiet[k]++ >= N) continue;
                const vf l = L[i], w = x[i] * x[i], wx = w * x[i];
                vf a = f[k].a - wx * l, b = f[k].b - w * l * l;
                const vf xb = x[i] * b;
                vm good = v_less(zero, a);
                if (pass) {
                    good &= ~many_stays_q3(xb, a, l);
                    if (!v_any(good)) continue;
                }
                const vf c = v_code(xb / a, -NMAX, NMAX - 1);
                good &= ~v_equal(c, l);
                if (!v_any(good)) continue;
                a += wx * c;
                b += w * c * c;
                good &= v_less(zero, b) & v_less(f[k].a * f[k].a * b, a * a * f[k].b);
                if (!v_any(good)) continue;
                L[i] = v_pick(good, c, l);
                f[k].a = v_pick(good, a, f[k].a);
                f[k].b = v_pick(good, b, f[k].b);
                quiet[k] = 0;
            }
        for (int k = 0; k < FIT_Q3; k++) open |= quiet[k] < N;
    }
    for (int k = 0; k < FIT_Q3; k++) {
        const vm none = v_equal(peak[k], zero);
        for (int i = N * k; i < N * k + N; i++) L[i] = v_pick(none, zero, L[i] + v_setf(NMAX));
        scale[k] = v_pick(none, zero, f[k].a / f[k].b);
    }
}

LCY_INLINE vf many_affine_error(int n, const vf *x, const vf *w, const vf *l, vf scale, vf low, int magnitudes) {
    vf e = v_zerof();
    if (magnitudes)
        for (int i = 0; i < n; i++) e += w[i] * v_abs(scale * l[i] + low - x[i]);
    else
        for (int i = 0; i < n; i++) {
            const vf diff = scale * l[i] + low - x[i];
            e += w[i] * (diff * diff);
        }
    return e;
}

LCY_INLINE void many_affine_codes(int n, int nmax, const vf *x, vf s, vf low, vf *l) {
    for (int i = 0; i < n; i++) l[i] = v_code(s * (x[i] - low), 0, (float)nmax);
}

static __attribute__((noinline)) vf many_fit_qkx(int n, int nmax, const vf *x, const vf *w, lcy_affine_search how,
                                                 vf *minimum, vf *L) {
    const vf zero = v_zerof(), high = many_max(n, x, x[0]);
    vf l[LCY_FIT_MAX], low = x[0], sw = zero, sx = zero;
    for (int i = 1; i < n; i++) low = v_least(x[i], low);
    for (int i = 0; i < n; i++) sw += w[i], sx += w[i] * x[i];
    low = v_pick(v_less(zero, low), zero, low);
    const vf first = low;
    const vm flat = v_at_most(high, low);
    vf kept = v_setf((float)nmax) / (high - low), kept_low = low, scale = v_setf(1) / kept;
    many_affine_codes(n, nmax, x, kept, low, l);
    vf best = many_affine_error(n, x, w, l, scale, low, how.magnitudes);
    for (int is = 0; is <= how.steps; is++) {
        const vf s = v_setf(how.first + how.step * (float)is + (float)nmax) / (high - low);
        vf sl = zero, sl2 = zero, sxl = zero;
        for (int i = 0; i < n; i++) {
            const vf c = l[i] = v_code(s * (x[i] - low), 0, (float)nmax), wl = w[i] * c;
            sl += wl;
            sl2 += wl * c;
            sxl += wl * x[i];
        }
        const vf det = sw * sl2 - sl * sl;
        vf ts = (sw * sxl - sx * sl) / det, tl = (sl2 * sx - sl * sxl) / det;
        const vm above = v_less(zero, tl);
        tl = v_pick(above, zero, tl);
        ts = v_pick(above, sxl / sl2, ts);
        const vf error = many_affine_error(n, x, w, l, ts, tl, how.magnitudes);
        const vm better = v_less(zero, det) & v_less(error, best);
        kept = v_pick(better, s, kept);
        kept_low = v_pick(better, low, kept_low);
        best = v_pick(better, error, best);
        scale = v_pick(better, ts, scale);
        low = v_pick(better, tl, low);
    }
    for (int i = 0; i < n; i++) L[i] = v_pick(flat, zero, v_code(kept * (x[i] - kept_low), 0, (float)nmax));
    *minimum = v_negative(v_pick(flat, first, low));
    return v_pick(flat, zero, scale);
}

LCY_INLINE vf many_scale_error(int n, const vf *x, const vf *w, const vf *l, vf scale) {
    vf e = v_zerof();
    for (int i = 0; i < n; i++) {
        const vf d = x[i] - scale * l[i];
        e += w[i] * d * d;
    }
    return e;
}

static __attribute__((noinline)) vf many_fit_qp(int n, int nmax, const vf *x, const vf *w, vf *L) {
    const vf zero = v_zerof(), one = v_setf(1), top = v_setf((float)nmax), high = many_max(n, x, zero);
    const vm none = v_equal(high, zero);
    vf l[LCY_FIT_MAX], s = top / high;
    for (int i = 0; i < n; i++) l[i] = v_wrapped(v_nearest(s * x[i]));
    vf best = many_scale_error(n, x, w, l, one / s);
    for (int is = -4; is <= 4; is++) {
        if (is == 0) continue;
        const vf trial = v_setf(0.1f * (float)is + (float)nmax) / high;
        for (int i = 0; i < n; i++) l[i] = v_least(v_nearest(trial * x[i]), top);
        const vf error = many_scale_error(n, x, w, l, one / trial);
        const vm better = v_less(error, best);
        best = v_pick(better, error, best);
        s = v_pick(better, trial, s);
    }
    many_fit f = {zero, zero};
    for (int i = 0; i < n; i++) {
        const vf c = v_least(v_nearest(s * x[i]), top);
        L[i] = v_wrapped(c);
        f.a += w[i] * x[i] * c;
        f.b += w[i] * c * c;
    }
    for (int pass = 0, moved = 1; pass < 5 && moved; pass++) {
        vm any = v_less(zero, zero);
        for (int i = 0; i < n; i++) {
            const vf wx = w[i] * x[i];
            vf a = f.a - wx * L[i], b = f.b - w[i] * L[i] * L[i];
            vm good = v_less(zero, a) & v_less(zero, b);
            const vf c = v_least(v_nearest(x[i] * b / a), top);
            good &= ~v_equal(c, L[i]);
            a += wx * c;
            b += w[i] * c * c;
            good &= v_less(f.a * f.a * b, a * a * f.b);
            L[i] = v_pick(good, v_wrapped(c), L[i]);
            f.a = v_pick(good, a, f.a);
            f.b = v_pick(good, b, f.b);
            any |= good;
        }
        moved = v_any(any);
    }
    for (int i = 0; i < n; i++) L[i] = v_pick(none, zero, L[i]);
    return v_pick(none, zero, f.a / f.b);
}

static void many_requantize(int n, const vf *x, vf scale, vf minimum, int lo, int hi, int offset, vf *L) {
    const vm keep = v_equal(scale, v_zerof());
    for (int i = 0; i < n; i++)
        L[i] = v_pick(keep, L[i], v_code((x[i] + minimum) / scale, (float)lo, (float)hi) + v_setf((float)offset));
}

#endif
