/* iq_ternary.h: what IQ1_S and IQ1_M share: ternary points, each shifted by an eighth up or down.
 *
 * The quantizers sort a sub-block by value. Ternary digits are then two cuts, i1 <= i2: 0 before i1, 1 before i2, 2
 * after. All pairs of cuts are tried with each shift; groups that are no point of the codebook go to the nearest one.
 */
#ifndef LCY_FORMATS_COMMON_IQ_TERNARY_H
#define LCY_FORMATS_COMMON_IQ_TERNARY_H

#include "fit.h"
#include "iq_block.h"
#include "iq_points.h"
#include "iq_search.h"
#include "iq_weights.h"

/* The 8 values of a point (8 digit, see iq_points.h) in eighths: 8 (digit - 1) + 1, or - 1 if the shift is down. */
static inline void lcy_iq_eighths(int8_t q[8], const uint8_t point[8], int down) {
    for (int k = 0; k < 8; k++) q[k] = (int8_t)(point[k] - (down ? 9 : 7));
}

/* what digit t stands for, shifted up [0] and down [1] */
static const float lcy_iq_shifted[2][3] = {{-0.875f, 0.125f, 1.125f}, {-1.125f, -0.125f, 0.875f}};

/* A sub-block of 16 or 32 values, as found. */
typedef struct {
    float scale;
    uint8_t digit[32];
    uint8_t down[4];   /* per group of 8 */
    uint16_t index[4]; /* per group of 8 */
} lcy_iq_ternary;

/* Positions of n values in ascending order; equal values keep theirs. */
static inline void lcy_iq_order(int n, uint8_t *order, const float *x) {
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && x[order[at - 1]] > x[i]; at--) order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
}

/* Digits from cuts. */
static inline void lcy_iq_cut(int n, uint8_t *digit, const uint8_t *order, int i1, int i2) {
    for (int i = 0; i < n; i++) digit[order[i]] = i < i1 ? 0 : i < i2 ? 1 : 2;
}

/* A negative scale is a positive one with everything mirrored. */
static inline void lcy_iq_mirror(int n, lcy_iq_ternary *t) {
    if (!(t->scale < 0)) return;
    t->scale = -t->scale;
    for (int i = 0; i < n; i++) t->digit[i] = (uint8_t)(2 - t->digit[i]);
    for (int g = 0; g < n / 8; g++) t->down[g] = !t->down[g];
}

static inline float lcy_iq_value(const lcy_iq_ternary *t, int i) { return lcy_iq_shifted[t->down[i / 8]][t->digit[i]]; }

/* Takes the groups to points of the codebook; fits the scale again if one had to move. */
static inline void lcy_iq_to_points(int n, lcy_iq_ternary *t, const lcy_neighbours *near, const float *x,
                                    const float *w) {
    int moved = 0;
    for (int g = 0; g < n / 8; g++) {
        const float *v = lcy_iq_shifted[t->down[g]];
        unsigned key = 0;
        for (int k = 0; k < 8; k++) key |= (unsigned)t->digit[8 * g + k] << 2 * k;
        if (near->known[key] < 0) {
            lcy_iq_costs cost;
            for (int k = 0; k < 8; k++)
                for (int d = 0; d < 3; d++) {
                    const float off = t->scale * v[d] - x[8 * g + k];
                    cost[k][d] = w[8 * g + k] * off * off;
                }
            key = lcy_iq_cheapest(8, lcy_neighbours_list(near, key), cost), moved = 1;
            for (int k = 0; k < 8; k++) t->digit[8 * g + k] = (uint8_t)(key >> 2 * k & 3);
        }
        t->index[g] = (uint16_t)near->known[key];
    }
    if (!moved) return;
    lcy_fit f = {0, 0};
    for (int i = 0; i < n; i++) {
        const float q = lcy_iq_value(t, i);
        f.a += w[i] * q * x[i];
        f.b += w[i] * q * q;
    }
    if (f.a > 0 && f.b > 0) t->scale = f.a / f.b;
}

#endif
