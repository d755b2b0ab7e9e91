/* iq_fit.h: the file quantizer of IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS and IQ3_S. One procedure; a rule per format.
 *
 * A sub-block has one scale. Its magnitudes are rounded to points at a row of trial scales; the trial that explains
 * most wins, gives a better scale, and the points are looked up once more at that. Byte exact: strict IEEE, sums in
 * order.
 */
#ifndef LCY_FORMATS_COMMON_IQ_FIT_H
#define LCY_FORMATS_COMMON_IQ_FIT_H

#include "../../lcy.h"
#include "fit.h"
#include "iq_block.h"
#include "iq_search.h"
#include "iq_weights.h"

/* which groups are looked up again at the final scale */
enum { LCY_IQ_AGAIN_ALL, LCY_IQ_AGAIN_ALL_IF_SNAPPED, LCY_IQ_AGAIN_SNAPPED };

typedef struct {
    int book;         /* LCY_BOOK_... */
    int width;        /* of a group: 8, or 4 */
    int size;         /* of a sub-block: 16 or 32 */
    int digits;       /* codes 0..digits - 1 stand for 1, 3, ... 2 digits - 1 */
    int even_signs;   /* an even number of negative signs in each 8 */
    int trials;       /* on both sides of the first guess */
    float trial_step;
    float sigma;      /* importance weights: sigma2 = sigma * sum(x^2) / 256 */
    float flat;       /* weights without an imatrix: flat * sigma2 + x^2 */
    int guess_by_fit; /* first guess: a fit to codes 0..4, or the maximum */
    int again;
    float fudge;      /* the stored scale is this much larger */
} lcy_iq_rule;

typedef struct {
    float scale;
    uint16_t key[8]; /* of each group's point */
    uint8_t snapped[8]; /* the digits had no point of their own */
} lcy_iq_trial;

/* A block, ready to be packed. */
typedef struct {
    uint16_t d;
    uint8_t code[16];   /* of each sub-block's scale */
    uint8_t zero[16];   /* the sub-block is all zero */
    uint16_t index[64]; /* of each group */
    uint8_t signs[32];  /* of each 8; bit 7 too */
} lcy_iq_fitted;

/* Signs of 8 values and their magnitudes. To make the number of signs even the least important one is flipped, and its
 * magnitude becomes negative. */
static inline uint8_t lcy_iq_take_signs(const lcy_iq_rule *f, float xv[8], const float x[8], const float w[8]) {
    unsigned signs = 0, odd = 0;
    int least = 0;
    for (int k = 0; k < 8; k++) {
        const int negative = !(x[k] >= 0);
        xv[k] = negative ? -x[k] : x[k];
        signs |= (unsigned)negative << k, odd ^= (unsigned)negative;
        if (w[k] * x[k] * x[k] < w[least] * x[least] * x[least]) least = k;
    }
    if (f->even_signs && odd) xv[least] = -xv[least], signs ^= 1u << least;
    return (uint8_t)signs;
}

static inline unsigned lcy_iq_round(const lcy_iq_rule *f, const float *xv, float inverse) {
    unsigned key = 0;
    for (int k = 0; k < f->width; k++)
        key |= (unsigned)lcy_clamp(lcy_nearest(0.5f * (inverse * xv[k] - 1)), 0, f->digits - 1)
               << lcy_iq_bits(f->width) * k;
    return key;
}

/* The point for one group: rounded by the inverse scale, compared by the scale. om: square roots of the weights. */
static inline uint16_t lcy_iq_point(const lcy_iq_rule *f, const lcy_neighbours *n, const float *xv, const float *om,
                                    float inverse, float scale, uint8_t *snapped) {
    const unsigned key = lcy_iq_round(f, xv, inverse);
    lcy_iq_costs cost;
    *snapped = n->known[key] < 0;
    if (!*snapped) return (uint16_t)key;
    for (int k = 0; k < f->width; k++)
        for (int d = 0; d < f->digits; d++) {
            const float off = scale * (float)(2 * d + 1) - xv[k];
            cost[k][d] = om[k] * off * off;
        }
    return (uint16_t)lcy_iq_cheapest(f->width, lcy_neighbours_list(n, key), cost);
}

/* How well the points of a trial explain the sub-block. */
static inline lcy_fit lcy_iq_measure(const lcy_iq_rule *f, const float *xv, const float *w, const lcy_iq_trial *t) {
    const int bits = lcy_iq_bits(f->width);
    lcy_fit r = {0, 0};
    for (int g = 0; g < f->size / f->width; g++)
        for (int k = 0; k < f->width; k++, xv++, w++) {
            const float q = (float)(2 * (t->key[g] >> bits * k & ((1 << bits) - 1)) + 1);
            r.a += *w * *xv * q;
            r.b += *w * q * q;
        }
    return r;
}

static inline int lcy_iq_any(const uint8_t *flags, int n) {
    for (int i = 0; i < n; i++)
        if (flags[i]) return 1;
    return 0;
}

static inline int lcy_iq_any_positive(int n, const float *x) {
    for (int i = 0; i < n; i++)
        if (x[i] > 0) return 1;
    return 0;
}

/* Looks points up again at the scale that was found, and fits the scale to them. */
static inline void lcy_iq_again(const lcy_iq_rule *f, const lcy_neighbours *n, const float *xv, const float *w,
                                const float *om, lcy_iq_trial *t) {
    const int groups = f->size / f->width;
    uint8_t unused;
    if (f->again != LCY_IQ_AGAIN_ALL && !lcy_iq_any(t->snapped, groups)) return;
    for (int g = 0, i = 0; g < groups; g++, i += f->width)
        if (f->again != LCY_IQ_AGAIN_SNAPPED || t->snapped[g])
            t->key[g] = lcy_iq_point(f, n, xv + i, om + i, 1 / t->scale, t->scale, &unused);
    const lcy_fit r = lcy_iq_measure(f, xv, w, t);
    if (r.b > 0) t->scale = r.a / r.b;
}

/* The scale and points of one sub-block of magnitudes. */
static inline lcy_iq_trial lcy_iq_sub_block(const lcy_iq_rule *f, const lcy_neighbours *n, const float *xv,
                                            const float *w) {
    const int groups = f->size / f->width, top = 2 * f->digits - 1;
    float om[32], best = 0, high = 0;
    uint8_t unused[32];
    for (int i = 0; i < f->size; i++) om[i] = sqrtf(w[i]), high = xv[i] > high ? xv[i] : high;
    lcy_iq_trial won = {.scale = high / (float)top};
    for (int g = 0; g < groups; g++) won.key[g] = n->first;
    if (f->guess_by_fit) won.scale = lcy_fit_qp(32, f->digits + 1, xv, w, unused), high = won.scale * (float)f->digits;
    for (int is = -f->trials; is <= f->trials; is++) {
        const float inverse = ((float)top + (float)is * f->trial_step) / high;
        lcy_iq_trial t = {.scale = 1 / inverse};
        for (int g = 0, i = 0; g < groups; g++, i += f->width)
            t.key[g] = lcy_iq_point(f, n, xv + i, om + i, inverse, t.scale, &t.snapped[g]);
        const lcy_fit r = lcy_iq_measure(f, xv, w, &t);
        if (!(r.b > 0 && r.a * r.a > best * r.b)) continue;
        t.scale = r.a / r.b, best = t.scale * r.a, won = t;
    }
    if (won.scale > 0) lcy_iq_again(f, n, xv, w, om, &won);
    return won;
}

/* One block: x (256), q (256) imatrix values or NULL. An all-zero block gives all zeros. */
static inline void lcy_iq_fit_block(const lcy_iq_rule *f, const lcy_neighbours *near, const float *x,
                                    const float *q, lcy_iq_fitted *out) {
    const float sigma2 = f->sigma * lcy_sum_squares(256, x) / 256;
    const int n = f->size, groups = n / f->width;
    float scale[16], most = 0;
    memset(out, 0, sizeof *out);
    for (int j = 0; j < 256 / n; j++) {
        float w[32], xv[32];
        uint8_t signs[4];
        const float *xj = x + j * n;
        lcy_iq_weights(n, w, xj, q ? q + j * n : NULL, sigma2, f->flat);
        for (int i = 0; i < n; i += 8) signs[i / 8] = lcy_iq_take_signs(f, xv + i, xj + i, w + i);
        scale[j] = 0;
        out->zero[j] = !lcy_iq_any_positive(n, xv);
        if (out->zero[j]) continue;
        const lcy_iq_trial t = lcy_iq_sub_block(f, near, xv, w);
        for (int g = 0; g < groups; g++) out->index[j * groups + g] = (uint16_t)near->known[t.key[g]];
        for (int i = 0; i < n / 8; i++) out->signs[j * n / 8 + i] = t.scale < 0 ? (uint8_t)~signs[i] : signs[i];
        scale[j] = fabsf(t.scale);
        most = scale[j] > most ? scale[j] : most;
    }
    if (most == 0) {
        memset(out, 0, sizeof *out);
        return;
    }
    const float d = most / 31, inverse = 1 / d;
    out->d = lcy_f32_to_f16(d * f->fudge);
    for (int j = 0; j < 256 / n; j++)
        out->code[j] = (uint8_t)lcy_clamp(lcy_nearest(0.5f * (inverse * scale[j] - 1)), 0, 15);
}

/* n codes of 4 bits, the even ones in low nibbles */
static inline void lcy_iq_pack_codes(int n, uint8_t *scales, const uint8_t *code) {
    for (int j = 0; j < n; j += 2) scales[j / 2] = (uint8_t)(code[j] | code[j + 1] << 4);
}

/* 4 x 7 bits of signs */
static inline uint32_t lcy_iq_sevens(const uint8_t signs[4]) {
    uint32_t word = 0;
    for (int k = 0; k < 4; k++) word |= (uint32_t)(signs[k] & 127) << 7 * k;
    return word;
}

typedef void (*lcy_iq_pack_fn)(void *block, const lcy_iq_fitted *b);

/* The body of a quantize. */
static inline lcy_status lcy_iq_quantize(int64_t rows, int64_t n, size_t bytes, void *y, const float *x,
                                         const float *imatrix, const lcy_iq_rule *f, lcy_iq_pack_fn pack) {
    uint8_t *out = y;
    lcy_iq_fitted b;
    if (rows < 0 || n < 0 || n % 256) return LCY_E_ARG;
    const lcy_neighbours *near = lcy_neighbours_of(f->book);
    if (!near) return LCY_E_NOMEM;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i += 256, x += 256, out += bytes) {
            lcy_iq_fit_block(f, near, x, imatrix ? imatrix + i : NULL, &b);
            pack(out, &b);
        }
    return LCY_OK;
}

#endif
