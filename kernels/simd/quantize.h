/* quantize.h: rows of floats -> the bytes of files for V_ROWS blocks at once, equal to the plain C of formats/.
 *
 * A turn takes V_ROWS blocks, wherever rows end; lane l is block l. The lanes past the last block repeat it and are
 * not written. Arrays of registers are indexed as the block's elements are.
 */
#ifndef LCY_SIMD_QUANTIZE_H
#define LCY_SIMD_QUANTIZE_H

#include "../formats/common/legacy.h"
#include "../formats/common/pack.h"
#include "../formats/f16.h"
#include "../formats/q2_k.h"
#include "../formats/q3_k.h"
#include "../formats/q4_0.h"
#include "../formats/q4_1.h"
#include "../formats/q4_k.h"
#include "../formats/q5_0.h"
#include "../formats/q5_1.h"
#include "../formats/q5_k.h"
#include "../formats/q6_k.h"
#include "../formats/q8_0.h"
#include "../kernels.h"
#include "fit.h"

/* out[i] lane l = p[l][i] for i < n, n % V_ROWS == 0 */
static void turn_in(int n, vf *out, const float *const p[V_ROWS]) {
    for (int i = 0; i < n; i += V_ROWS) {
        for (int l = 0; l < V_ROWS; l++) out[i + l] = v_loadf(p[l] + i);
        v_transpose_square(out + i);
    }
}

/* codes 0..255 of 256 elements -> one byte each, block by block */
static void turn_out(uint8_t out[V_ROWS][256], const vf L[256]) {
    uint32_t words[V_ROWS];
    for (int i = 0; i < 256; i += 4) {
        const vi low = v_or(v_truncate(L[i]), v_shl32(v_truncate(L[i + 1]), 8));
        const vi high = v_or(v_truncate(L[i + 2]), v_shl32(v_truncate(L[i + 3]), 8));
        v_store(words, v_or(low, v_shl32(high, 16)));
        for (int l = 0; l < V_ROWS; l++) memcpy(out[l] + i, words + l, 4);
    }
}

static void codes_out(uint8_t *out, int n, const vf *c) { /* out (n, V_ROWS) */
    uint32_t words[V_ROWS];
    for (int i = 0; i < n; i++) {
        v_store(words, v_truncate(c[i]));
        for (int l = 0; l < V_ROWS; l++) out[V_ROWS * i + l] = (uint8_t)words[l];
    }
}

/* rounded to f16, and what that is as f32 */
LCY_INLINE vf through_half(uint16_t out[V_ROWS], vf a) {
    v_store_halves(out, a);
    return v_halves(out);
}

/* count blocks -> y. x, q: elements, imatrix values, q NULL: no imatrix */
typedef void (*many_blocks_fn)(int count, uint8_t *y, const vf *x, const vf *q);

/* Rows of blocks of `size` elements, 32 or 256, each of which is fitted for itself. */
LCY_INLINE lcy_status rows_of_blocks(int size, int64_t rows, int64_t n, size_t bytes, uint8_t *y, const float *x,
                                     const float *imatrix, many_blocks_fn fit) {
    if (rows < 0 || n < 0 || n % size) return LCY_E_ARG;
    const int64_t in_row = n / size, blocks = rows * in_row;
    for (int64_t b = 0; b < blocks; b += V_ROWS) {
        const int count = blocks - b < V_ROWS ? (int)(blocks - b) : V_ROWS;
        const float *px[V_ROWS], *pq[V_ROWS];
        vf xs[256], qs[256];
        for (int l = 0; l < V_ROWS; l++) {
            const int64_t at = b + (l < count ? l : count - 1);
            px[l] = x + size * at;
            pq[l] = imatrix ? imatrix + at % in_row * size : NULL;
        }
        turn_in(size, xs, px);
        if (imatrix) turn_in(size, qs, pq);
        fit(count, y + b * (int64_t)bytes, xs, imatrix ? qs : NULL);
    }
    return LCY_OK;
}

LCY_INLINE lcy_status rows_of_k(int64_t rows, int64_t n, size_t bytes, uint8_t *y, const float *x,
                                const float *imatrix, many_blocks_fn fit) {
    return rows_of_blocks(256, rows, n, bytes, y, x, imatrix, fit);
}

/* ---- Q2_K, Q4_K, Q5_K ---- */

/* lcy_affine_scales */
static vf many_affine_scales(vf codes[8], const vf v[8]) {
    const vf zero = v_zerof(), top = v_setf(63), high = many_max(8, v, zero);
    const vf s = v_pick(v_less(zero, high), top / high, zero);
    for (int j = 0; j < 8; j++) codes[j] = v_least(v_wrapped(v_nearest(s * v[j])), top);
    return high / top;
}

typedef struct {
    uint16_t d[V_ROWS], dmin[V_ROWS];
    uint8_t scale[8][V_ROWS], min[8][V_ROWS], L[V_ROWS][256];
} many_affine_blocks;

static void many_fit_affine(many_affine_blocks *b, const vf *x, const vf *q, int nmax, lcy_affine_search plain) {
    static const lcy_affine_search weighted = {-0.9f, 0.05f, 36, 0};
    vf L[256], w[32], scale[8], min[8], sums[8], scales[8], mins[8], sigma2 = v_zerof();
    if (q) sigma2 = v_setf(2) * many_sum_squares(256, x, v_zerof()) / v_setf(256);
    for (int j = 0; j < 8; j++) {
        const vf *xj = x + 32 * j;
        if (q) {
            many_importance(32, w, xj, q + 32 * j, sigma2);
        } else {
            const vf mean = v_root(many_sum_squares(32, xj, v_zerof()) / v_setf(32));
            for (int i = 0; i < 32; i++) w[i] = mean + v_abs(xj[i]);
        }
        sums[j] = many_sum(32, w);
        scale[j] = many_fit_qkx(32, nmax, xj, w, q ? weighted : plain, min + j, L + 32 * j);
    }
    const vf d = through_half(b->d, q ? many_fit_qp(8, 63, scale, sums, scales) : many_affine_scales(scales, scale));
    const vf dmin = through_half(b->dmin, q ? many_fit_qp(8, 63, min, sums, mins) : many_affine_scales(mins, min));
    for (int j = 0; j < 8; j++)
        many_requantize(32, x + 32 * j, d * scales[j], dmin * mins[j], 0, nmax, 0, L + 32 * j);
    codes_out(b->scale[0], 8, scales);
    codes_out(b->min[0], 8, mins);
    turn_out(b->L, L);
}

static void many_q4_k(int count, uint8_t *y, const vf *x, const vf *q) {
    static const lcy_affine_search plain = {-1.0f, 0.1f, 20, 0};
    lcy_block_q4_k *b = (lcy_block_q4_k *)y;
    many_affine_blocks fit;
    many_fit_affine(&fit, x, q, 15, plain);
    for (int l = 0; l < count; l++, b++) {
        uint8_t scale[8], min[8];
        for (int j = 0; j < 8; j++) scale[j] = fit.scale[j][l], min[j] = fit.min[j][l];
        b->d = fit.d[l], b->dmin = fit.dmin[l];
        lcy_pack_scales12(b->scales, scale, min);
        lcy_pack_nibbles256(b->qs, fit.L[l]);
    }
}

static void many_q5_k(int count, uint8_t *y, const vf *x, const vf *q) {
    static const lcy_affine_search plain = {-0.5f, 0.1f, 15, 0};
    lcy_block_q5_k *b = (lcy_block_q5_k *)y;
    many_affine_blocks fit;
    many_fit_affine(&fit, x, q, 31, plain);
    for (int l = 0; l < count; l++, b++) {
        uint8_t scale[8], min[8];
        for (int j = 0; j < 8; j++) scale[j] = fit.scale[j][l], min[j] = fit.min[j][l];
        b->d = fit.d[l], b->dmin = fit.dmin[l];
        lcy_pack_scales12(b->scales, scale, min);
        lcy_pack_q5_k(b, fit.L[l]);
    }
}

/* scales_q2_k */
static vf many_scales_q2_k(vf codes[16], const vf v[16]) {
    const vf zero = v_zerof(), top = v_setf(15), high = many_max(16, v, zero), s = top / high;
    const vm some = v_less(zero, high);
    for (int j = 0; j < 16; j++) codes[j] = v_pick(some, v_wrapped(v_nearest(s * v[j])), zero);
    return v_pick(some, high / top, zero);
}

static void many_q2_k(int count, uint8_t *y, const vf *x, const vf *q) {
    static const lcy_affine_search plain = {-0.5f, 0.1f, 15, 1}, weighted = {-0.9f, 0.05f, 36, 0};
    lcy_block_q2_k *b = (lcy_block_q2_k *)y;
    vf L[256], w[16], scale[16], min[16], sums[16], scales[16], mins[16], sigma2 = v_zerof();
    uint16_t ds[V_ROWS], dmins[V_ROWS];
    uint8_t codes[16][V_ROWS], bytes[V_ROWS][256];
    if (q) sigma2 = many_sum_squares(256, x, v_zerof()) / v_setf(256);
    for (int j = 0; j < 16; j++) {
        const vf *xj = x + 16 * j;
        if (q) many_importance(16, w, xj, q + 16 * j, sigma2);
        else for (int i = 0; i < 16; i++) w[i] = v_abs(xj[i]);
        sums[j] = many_sum(16, w);
        scale[j] = many_fit_qkx(16, 3, xj, w, q ? weighted : plain, min + j, L + 16 * j);
    }
    const vf d = through_half(ds, q ? many_fit_qp(16, 15, scale, sums, scales) : many_scales_q2_k(scales, scale));
    const vf dmin = through_half(dmins, q ? many_fit_qp(16, 15, min, sums, mins) : many_scales_q2_k(mins, min));
    for (int j = 0; j < 16; j++) { /* as one byte: a code above 15 has bits in the other's */
        const vi both = v_or(v_truncate(scales[j]), v_shl32(v_truncate(mins[j]), 4));
        const vf low = v_float(v_and(both, v_set32(15))), high = v_float(v_and(v_shr32(both, 4), v_set32(15)));
        many_requantize(16, x + 16 * j, d * low, dmin * high, 0, 3, 0, L + 16 * j);
        scales[j] = v_float(v_and(both, v_set32(255)));
    }
    codes_out(codes[0], 16, scales);
    turn_out(bytes, L);
    for (int l = 0; l < count; l++, b++) {
        for (int j = 0; j < 16; j++) b->scales[j] = codes[j][l];
        b->d = ds[l], b->dmin = dmins[l];
        lcy_pack_pairs256(b->qs, bytes[l]);
    }
}

/* ---- Q3_K, Q6_K ---- */

/* scales_q3_k */
static vf many_scales_q3_k(vf codes[16], const vf v[16]) {
    const vf zero = v_zerof(), peak = many_peak(16, v), s = v_setf(-32) / peak;
    const vm none = v_equal(peak, zero);
    for (int j = 0; j < 16; j++) codes[j] = v_pick(none, zero, v_code(s * v[j], -32, 31) + v_setf(32));
    return v_pick(none, zero, v_setf(1) / s);
}

static void many_q3_k(int count, uint8_t *y, const vf *x, const vf *q) {
    lcy_block_q3_k *b = (lcy_block_q3_k *)y;
    vf L[256], w[16], scale[16], sums[16], scales[16];
    uint16_t ds[V_ROWS];
    uint8_t codes[16][V_ROWS], bytes[V_ROWS][256];
    if (q) {
        const vf sigma2 = v_setf(2) * many_sum_squares(256, x, v_zerof()) / v_setf(256);
        for (int j = 0; j < 16; j++) {
            many_importance(16, w, x + 16 * j, q + 16 * j, sigma2);
            sums[j] = many_sum(16, w);
            scale[j] = many_fit_qx(16, 4, x + 16 * j, w, L + 16 * j);
        }
    } else {
        for (int j = 0; j < 16; j += FIT_Q3) many_fit_q3(x + 16 * j, L + 16 * j, scale + j);
    }
    const vf d = through_half(ds, q ? many_fit_qx(16, 32, scale, sums, scales) : many_scales_q3_k(scales, scale));
    for (int j = 0; j < 16; j++)
        many_requantize(16, x + 16 * j, d * (scales[j] - v_setf(32)), v_zerof(), -4, 3, 4, L + 16 * j);
    codes_out(codes[0], 16, scales);
    turn_out(bytes, L);
    for (int l = 0; l < count; l++, b++) {
        uint8_t own[16];
        for (int j = 0; j < 16; j++) own[j] = codes[j][l];
        b->d = ds[l];
        lcy_pack_q3_k(b, bytes[l], own);
    }
}

static void many_q6_k(int count, uint8_t *y, const vf *x, const vf *q) {
    lcy_block_q6_k *b = (lcy_block_q6_k *)y;
    vf L[256], scale[16], codes[16];
    uint16_t ds[V_ROWS];
    uint8_t stored[16][V_ROWS], bytes[V_ROWS][256];
    float peaks[V_ROWS];
    for (int j = 0; j < 16; j++) scale[j] = many_fit_qx(16, 32, x + 16 * j, q ? q + 16 * j : NULL, L + 16 * j);
    const vf peak = many_peak(16, scale), s = v_setf(-128) / peak, d = through_half(ds, v_setf(1) / s);
    for (int j = 0; j < 16; j++) {
        const vf c = v_least(v_nearest(s * scale[j]), v_setf(127));
        codes[j] = v_wrapped(c);
        const vf byte = v_wrapped(c + v_setf(128)) - v_setf(128);
        many_requantize(16, x + 16 * j, d * byte, v_zerof(), -32, 31, 32, L + 16 * j);
    }
    v_storef(peaks, peak);
    codes_out(stored[0], 16, codes);
    turn_out(bytes, L);
    for (int l = 0; l < count; l++, b++) {
        memset(b, 0, sizeof *b);
        if (peaks[l] == 0) continue;
        for (int j = 0; j < 16; j++) b->scales[j] = (int8_t)stored[j][l];
        b->d = ds[l];
        lcy_pack_q6_k(b, bytes[l]);
    }
}

/* ---- blocks of 32 ---- */

/* count blocks -> y. w: finished weights or NULL */
LCY_INLINE lcy_status rows_of_32(int64_t rows, int64_t n, size_t bytes, uint8_t *y, const float *x,
                                 const float *imatrix, many_blocks_fn fit) {
    if (rows < 0 || n < 0 || n % 32) return LCY_E_ARG;
    const int64_t in_row = n / 32;
    for (int64_t r = 0; r < rows && n; r += V_ROWS, x += V_ROWS * n, y += V_ROWS * in_row * (int64_t)bytes) {
        const int64_t some = rows - r < V_ROWS ? rows - r : V_ROWS, blocks = some * in_row;
        const float *px[V_ROWS], *pq[V_ROWS];
        float sigma2[V_ROWS], own[V_ROWS];
        vf xs[32], ws[32];
        if (imatrix) { /* over whole rows, lane l is row l */
            vf sum = v_zerof();
            for (int64_t i = 0; i < n; i += 32) {
                for (int l = 0; l < V_ROWS; l++) px[l] = x + (l < some ? l : some - 1) * n + i;
                turn_in(32, xs, px);
                sum = many_sum_squares(32, xs, sum);
            }
            v_storef(sigma2, sum / v_setf((float)n));
        }
        for (int64_t b = 0; b < blocks; b += V_ROWS) {
            const int count = blocks - b < V_ROWS ? (int)(blocks - b) : V_ROWS;
            for (int l = 0; l < V_ROWS; l++) {
                const int64_t at = b + (l < count ? l : count - 1);
                px[l] = x + 32 * at;
                if (!imatrix) continue;
                pq[l] = imatrix + at % in_row * 32;
                own[l] = sigma2[at / in_row];
            }
            turn_in(32, xs, px);
            if (imatrix) {
                turn_in(32, ws, pq);
                many_importance(32, ws, xs, ws, v_loadf(own));
            }
            fit(count, y + b * (int64_t)bytes, xs, imatrix ? ws : NULL);
        }
    }
    return LCY_OK;
}

/* lcy_round_symmetric and lcy_round_affine; codes as integers */
static vf many_round_symmetric(vi L[32], const vf *x, int half) {
    const vf zero = v_zerof(), d = many_peak(32, x) / v_setf((float)-half);
    const vf inverse = v_pick(v_equal(d, zero), zero, v_setf(1) / d);
    for (int i = 0; i < 32; i++) {
        const vi c = v_sra32(v_shl32(v_truncate(x[i] * inverse + v_setf((float)half + 0.5f)), 24), 24);
        L[i] = v_and(v_least32(c, v_set32(2 * half - 1)), v_set32(255));
    }
    return d;
}

static vf many_round_affine(vi L[32], const vf *x, int most, vf *low) {
    vf mn = x[0], mx = x[0];
    for (int i = 1; i < 32; i++) mn = v_least(x[i], mn), mx = v_most(x[i], mx);
    const vf zero = v_zerof(), d = (mx - mn) / v_setf((float)most);
    const vf inverse = v_pick(v_equal(d, zero), zero, v_setf(1) / d);
    for (int i = 0; i < 32; i++) {
        const vi c = v_sra32(v_shl32(v_truncate((x[i] - mn) * inverse + v_setf(0.5f)), 24), 24);
        L[i] = v_and(v_least32(c, v_set32(most)), v_set32(255));
    }
    *low = mn;
    return d;
}

/* lcy_pack_nibbles32, four bytes of each block together */
LCY_INLINE void nibbles_in(uint32_t qs[4][V_ROWS], const vi L[32]) {
    for (int k = 0; k < 4; k++) {
        vi word = v_zero();
        for (int j = 0; j < 4; j++) {
            const vi low = v_and(L[4 * k + j], v_set32(15)), high = v_and(L[4 * k + j + 16], v_set32(15));
            word = v_or(word, v_shl32(v_or(low, v_shl32(high, 4)), 8 * j));
        }
        v_store(qs[k], word);
    }
}

/* and those of block l */
LCY_INLINE void nibbles_out(uint8_t qs[16], const uint32_t words[4][V_ROWS], int l) {
    for (int k = 0; k < 4; k++) memcpy(qs + 4 * k, &words[k][l], 4);
}

typedef struct {
    uint16_t d[V_ROWS], m[V_ROWS];
    uint32_t qh[V_ROWS], qs[4][V_ROWS];
} many_legacy_blocks;

static void many_fit_legacy(many_legacy_blocks *b, const vf *x, const vf *w, int bits, int affine) {
    const int half = 1 << (bits - 1), most = 2 * half - 1;
    vf codes[32], m = v_zerof(), d;
    vi L[32], fifth = v_zero();
    if (!w) d = affine ? many_round_affine(L, x, most, &m) : many_round_symmetric(L, x, half);
    else d = affine ? many_fit_qkx(32, most, x, w, lcy_search_weighted, &m, codes) : many_fit_qx(32, half, x, w, codes);
    if (w) {
        for (int i = 0; i < 32; i++) L[i] = v_truncate(codes[i]);
        m = v_negative(m);
    }
    v_store_halves(b->d, d);
    v_store_halves(b->m, m);
    nibbles_in(b->qs, L);
    if (bits == 4) return;
    for (int i = 0; i < 32; i++) fifth = v_or(fifth, v_shl32(v_and(v_shr32(L[i], 4), v_set32(1)), i));
    v_store(b->qh, fifth);
}

static void many_q4_0(int count, uint8_t *y, const vf *x, const vf *w) {
    lcy_block_q4_0 *b = (lcy_block_q4_0 *)y;
    many_legacy_blocks fit;
    many_fit_legacy(&fit, x, w, 4, 0);
    for (int l = 0; l < count; l++, b++) b->d = fit.d[l], nibbles_out(b->qs, fit.qs, l);
}

static void many_q4_1(int count, uint8_t *y, const vf *x, const vf *w) {
    lcy_block_q4_1 *b = (lcy_block_q4_1 *)y;
    many_legacy_blocks fit;
    many_fit_legacy(&fit, x, w, 4, 1);
    for (int l = 0; l < count; l++, b++) b->d = fit.d[l], b->m = fit.m[l], nibbles_out(b->qs, fit.qs, l);
}

static void many_q5_0(int count, uint8_t *y, const vf *x, const vf *w) {
    lcy_block_q5_0 *b = (lcy_block_q5_0 *)y;
    many_legacy_blocks fit;
    many_fit_legacy(&fit, x, w, 5, 0);
    for (int l = 0; l < count; l++, b++) {
        b->d = fit.d[l], nibbles_out(b->qs, fit.qs, l);
        memcpy(b->qh, fit.qh + l, 4);
    }
}

static void many_q5_1(int count, uint8_t *y, const vf *x, const vf *w) {
    lcy_block_q5_1 *b = (lcy_block_q5_1 *)y;
    many_legacy_blocks fit;
    many_fit_legacy(&fit, x, w, 5, 1);
    for (int l = 0; l < count; l++, b++) {
        b->d = fit.d[l], b->m = fit.m[l], nibbles_out(b->qs, fit.qs, l);
        memcpy(b->qh, fit.qh + l, 4);
    }
}

static void many_q8_0(int count, uint8_t *y, const vf *x, const vf *w) {
    lcy_block_q8_0 *b = (lcy_block_q8_0 *)y;
    const vf zero = v_zerof(), one = v_setf(1);
    vf most = zero;
    uint16_t ds[V_ROWS];
    uint32_t words[8][V_ROWS];
    (void)w;
    for (int i = 0; i < 32; i++) most = v_most(v_abs(x[i]), most);
    const vf d = most / v_setf(127), inverse = v_pick(v_equal(d, zero), zero, one / d);
    v_store_halves(ds, d);
    for (int k = 0; k < 8; k++) {
        vi word = v_zero();
        for (int j = 0; j < 4; j++) { /* roundf: what is half away from the whole part goes on, away from zero */
            const vf v = x[4 * k + j] * inverse, whole = v_whole(v), rest = v - whole;
            const vf up = v_pick(v_at_most(v_setf(0.5f), rest), one, zero);
            const vf down = v_pick(v_at_most(rest, v_setf(-0.5f)), one, zero);
            word = v_or(word, v_shl32(v_and(v_truncate(whole + up - down), v_set32(255)), 8 * j));
        }
        v_store(words[k], word);
    }
    for (int l = 0; l < count; l++, b++) {
        b->d = ds[l];
        for (int k = 0; k < 8; k++) memcpy(b->q + 4 * k, &words[k][l], 4);
    }
}

/* ---- the functions of the table ---- */

#define QUANTIZE(name, rows_of, weights)                                                                    \
    static lcy_status V_NAME(quantize_##name)(int64_t rows, int64_t n, void *y, const float *x,             \
                                              const float *imatrix) {                                       \
        return rows_of(rows, n, sizeof(lcy_block_##name), y, x, weights ? imatrix : NULL, many_##name);     \
    }
QUANTIZE(q4_0, rows_of_32, 1)
QUANTIZE(q4_1, rows_of_32, 1)
QUANTIZE(q5_0, rows_of_32, 1)
QUANTIZE(q5_1, rows_of_32, 1)
QUANTIZE(q8_0, rows_of_32, 0)
QUANTIZE(q2_k, rows_of_k, 1)
QUANTIZE(q3_k, rows_of_k, 1)
QUANTIZE(q4_k, rows_of_k, 1)
QUANTIZE(q5_k, rows_of_k, 1)
QUANTIZE(q6_k, rows_of_k, 1)
#undef QUANTIZE

static lcy_status V_NAME(quantize_f16)(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    uint16_t *out = y;
    (void)imatrix;
    if (rows < 0 || n < 0) return LCY_E_ARG;
    int64_t i = 0;
    for (; i + V_ROWS <= rows * n; i += V_ROWS) v_store_halves(out + i, v_loadf(x + i));
    for (; i < rows * n; i++) out[i] = lcy_f32_to_f16(x[i]);
    return LCY_OK;
}

static void fill_quantizers(lcy_kernels *k) {
    k->quantize[LCY_F16] = V_NAME(quantize_f16);
    k->quantize[LCY_Q4_0] = V_NAME(quantize_q4_0);
    k->quantize[LCY_Q4_1] = V_NAME(quantize_q4_1);
    k->quantize[LCY_Q5_0] = V_NAME(quantize_q5_0);
    k->quantize[LCY_Q5_1] = V_NAME(quantize_q5_1);
    k->quantize[LCY_Q8_0] = V_NAME(quantize_q8_0);
    k->quantize[LCY_Q2_K] = V_NAME(quantize_q2_k);
    k->quantize[LCY_Q3_K] = V_NAME(quantize_q3_k);
    k->quantize[LCY_Q4_K] = V_NAME(quantize_q4_k);
    k->quantize[LCY_Q5_K] = V_NAME(quantize_q5_k);
    k->quantize[LCY_Q6_K] = V_NAME(quantize_q6_k);
}

#endif
