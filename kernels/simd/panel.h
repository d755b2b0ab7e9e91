/* panel.h: many tokens at once, what all formats of blocks share. Needs a vec.h.
 *
 * The idea: one lane is one row. V_SPAN weights of V_ABREAST registers of rows are unpacked into a panel of bytes that stays
 * in the first-level cache while up to V_PASS tokens pass by it; four weights of every row lie side by side, so an
 * activation is four bytes that are broadcast from where they are, and no sum runs across a register.
 *
 *             row 0      row 1            row 15           token t     token t + 1 ...
 *   group 0   w0..w3     w0..w3    ...    w0..w3      x    x0..x3      x0..x3           -> one 32-bit sum per row and token
 *   group 1   w4..w7     w4..w7    ...    w4..w7           x4..x7      x4..x7
 *   ...
 *
 * A tile of V_ABREAST registers of rows and V_TILE tokens keeps its sums in registers: V_ABREAST loads of weights and V_TILE
 * broadcasts feed V_ABREAST * V_TILE products. Between spans the float sums wait in the output. The weights are read from
 * the file's layout once per V_PASS tokens; nothing of the panel outlives the call.
 *
 * Used where a level has V_PANELS: its byte products add to 32 bits, whatever the signs of codes were (v_row_signed). With
 * the 16-bit parts of AVX2 and its 16 registers these tiles were slower than the bands of blocks32.h and blocks256.h,
 * which therefore stay for it.
 *
 *   for spans of V_SPAN weights           what is known of the activations (scales, sums), once per span and call
 *     for tiles of rows                   unpacked once per V_PASS tokens
 *       for tiles of tokens               panel32.h, panel256.h
 */
#ifndef LCY_SIMD_PANEL_H
#define LCY_SIMD_PANEL_H

#include "tiles.h"

enum {
    V_PASS = 512, /* tokens that share a panel */
    V_SPAN = 512, /* weights of a row in a panel: 16 KiB with 32 rows */
};

/* Where a tile's sums go: row r of token t is out[t * stride + r]; `some` of the lanes of the last register. */
typedef struct {
    float *out;
    int64_t stride;
    int first, last; /* nothing is there yet; nothing will be added */
    float factor;    /* of the last sums */
    v_some some;
} v_sums;

LCY_INLINE float *v_sums_at(const v_sums *s, int r, int64_t t) { return s->out + t * s->stride + r * V_ROWS; }

/* Asks for the sums of some tokens before they are needed: so far apart, the processor does not foresee them. */
LCY_INLINE void v_sums_ask(const v_sums *s, int wide, int64_t t, int tokens) {
    for (int i = 0; i < tokens; i++)
        for (int r = 0; r < wide; r++) __builtin_prefetch(v_sums_at(s, r, t + i), 1, 3);
}

LCY_INLINE vf v_sums_load(const v_sums *s, int r, int wide, int64_t t) {
    if (s->first) return v_zerof();
    return r + 1 < wide ? v_loadf(v_sums_at(s, r, t)) : v_load_some(v_sums_at(s, r, t), s->some);
}

LCY_INLINE void v_sums_store(const v_sums *s, int r, int wide, int64_t t, vf a) {
    if (s->last) a = v_mul(a, v_setf(s->factor));
    if (r + 1 < wide) v_storef(v_sums_at(s, r, t), a);
    else v_store_some(v_sums_at(s, r, t), a, s->some);
}

/* How many registers of rows the panel for `tile` holds, and the lanes of the last one that no earlier panel had. */
LCY_INLINE int v_panel_width(v_tiling a, int64_t tile) { return a.step == V_ROWS && (tile + V_ABREAST) * V_ROWS <= a.rows ? V_ABREAST : 1; }

LCY_INLINE v_some v_panel_some(v_tiling a, int64_t last) {
    return v_some_of((int)(last * a.step - v_first_row(a, last)), a.step);
}

/* Adds n groups of products, a multiple of four, to the sums of a tile. q: the first token's activations. */
#if V_BY_LANE
LCY_INLINE void v_add_products(vi sum[V_ABREAST][V_TILE], int wide, int tokens, int n, const vi codes[][V_ABREAST],
                               const int8_t *q, int64_t stride) {
#pragma GCC unroll 2
    for (int g = 0; g < n; g += 4) {
        v_groups x[V_TILE];
        for (int t = 0; t < tokens; t++) x[t] = v_load_groups(q + t * stride + 4 * g);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            for (int t = 0; t < tokens; t++)
                for (int r = 0; r < wide; r++) sum[r][t] = v_add_product_at(sum[r][t], codes[g + i][r], x[t], i);
        __asm__ volatile("" ::: "memory"); /* a compiler that loads too soon runs out of registers */
    }
}
#else
LCY_INLINE void v_add_products(vi sum[V_ABREAST][V_TILE], int wide, int tokens, int n, const vi codes[][V_ABREAST],
                               const int8_t *q, int64_t stride) {
#pragma GCC unroll 8
    for (int g = 0; g < n; g++)
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++) {
            const vi x = v_same4(q + t * stride + 4 * g);
#pragma GCC unroll 2
            for (int r = 0; r < wide; r++) sum[r][t] = v_add_product(sum[r][t], codes[g][r], x);
        }
}
#endif

/* tokens, V_TILE at a time, then what is left; `tile(n)` does n from t on, n a constant */
#define V_FOR_TILES(tokens, t, tile)                              \
    do {                                                          \
        int64_t t = 0;                                            \
        for (; t + V_TILE <= (tokens); t += V_TILE) tile(V_TILE); \
        for (; t + 3 <= (tokens); t += 3) tile(3);                \
        if (t + 2 == (tokens)) tile(2);                           \
        if (t + 1 == (tokens)) tile(1);                           \
    } while (0)

#endif
