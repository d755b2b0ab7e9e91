/* panel256.h: panels (see panel.h) of the formats of 256 weights to a block.
 *
 * Of a block and 16 rows a panel holds
 *   codes   64 groups of 4 bytes per row, too large by `offset` where weights may be below zero
 *   scale   a 32-bit integer per row and sub-block; none if the codes have been multiplied by it already, as Q2_K's and
 *           Q3_K's can be without leaving a byte
 *   pairs   16-bit integers per row, two to a lane, for the sums of 16 or 32 activations: minimums
 *   d, dmin
 * All of the integer sum is exact. It has a float step of its own per block, in which the sums from before are fetched.
 */
#ifndef LCY_SIMD_PANEL256_H
#define LCY_SIMD_PANEL256_H

#include "../formats/q8_k.h"
#include "panel.h"

enum { V_SPAN256 = V_SPAN / 256 };

typedef struct {
    vi codes[V_SPAN256][64][V_ABREAST], scale[V_SPAN256][16][V_ABREAST], pairs[V_SPAN256][8][V_ABREAST];
    vf d[V_SPAN256][V_ABREAST], dmin[V_SPAN256][V_ABREAST];
} v_panel256;

/* What tells the formats apart once they are unpacked; every use is a constant. */
typedef struct {
    int sub;     /* weights under one scale: 16, 32; 256: scales are in the codes */
    int offset;  /* codes are too large by this: a sub-block's sum starts at -offset times its activations' sum */
    int pairs;   /* registers of pairs: 8 for sums of 16 activations, 4 for sums of 32 */
    int has_min; /* pairs have a float step of their own, with dmin; else they belong to the integer sum */
} v_shape256;

/* of each token and block: what integer sums start at, or sums of activations in pairs */
typedef struct {
    union {
        _Alignas(64) int32_t start[16];
        int16_t sums[16];
    } of[V_PASS][V_SPAN256];
} v_activations256;

LCY_INLINE void v_read_activations256(v_activations256 *h, v_shape256 s, int blocks, int64_t tokens, const uint8_t *x,
                                int64_t x_stride) {
    for (int64_t t = 0; t < tokens; t++)
        for (int b = 0; b < blocks; b++) {
            const int16_t *sums = ((const lcy_block_q8_k *)(x + t * x_stride) + b)->sums;
            if (s.pairs == 4)
                for (int j = 0; j < 8; j++) h->of[t][b].sums[j] = (int16_t)(sums[2 * j] + sums[2 * j + 1]);
            if (s.pairs == 8) memcpy(h->of[t][b].sums, sums, sizeof h->of[t][b].sums);
            if (!s.offset) continue;
            for (int j = 0; j < 256 / s.sub; j++) {
                int32_t sum = 0;
                for (int i = 0; i < s.sub / 16; i++) sum += sums[s.sub / 16 * j + i];
                h->of[t][b].start[j] = -s.offset * sum;
            }
        }
}

/* What a tile of rows and tokens reads in one block. */
typedef struct {
    const vi (*codes)[V_ABREAST], (*scale)[V_ABREAST], (*pairs)[V_ABREAST];
    const uint8_t *x; /* of the first token: its block */
    int64_t x_stride;
    const int32_t *start; /* of the first token: v_activations256, a row of V_STARTS_APART integers for each */
} v_block256;

enum { V_STARTS_APART = V_SPAN256 * 16 };

/* Scales are in the codes: one sum for all. */
LCY_INLINE void v_sum_folded(vi isum[V_ABREAST][V_TILE], v_shape256 s, int wide, int tokens, v_block256 b) {
    const int8_t *q = ((const lcy_block_q8_k *)b.x)->q;
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++)
#pragma GCC unroll 2
        for (int r = 0; r < wide; r++)
            isum[r][t] = s.offset ? v_set32(b.start[t * V_STARTS_APART]) : v_zero();
    for (int j = 0; j < 64; j += 8, b.codes += 8, q += 32)
        v_add_products(isum, wide, tokens, 8, b.codes, q, b.x_stride);
}

/* Sums of sub-blocks times their scale. */
LCY_INLINE void v_sum_scaled(vi isum[V_ABREAST][V_TILE], v_shape256 s, int wide, int tokens, v_block256 b) {
    const int groups = s.sub / 4;
    const int8_t *q = ((const lcy_block_q8_k *)b.x)->q;
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++)
#pragma GCC unroll 2
        for (int r = 0; r < wide; r++) isum[r][t] = v_zero();
    for (int j = 0; j < 256 / s.sub; j++, b.codes += groups, q += s.sub) {
        vi part[V_ABREAST][V_TILE];
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++)
#pragma GCC unroll 2
            for (int r = 0; r < wide; r++) part[r][t] = s.offset ? v_set32(b.start[t * V_STARTS_APART + j]) : v_zero();
        v_add_products(part, wide, tokens, groups, b.codes, q, b.x_stride);
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++)
#pragma GCC unroll 2
            for (int r = 0; r < wide; r++) isum[r][t] = v_add_scaled(isum[r][t], part[r][t], b.scale[j][r]);
    }
}

LCY_INLINE vi v_sum_pairs(vi sum, v_shape256 s, int r, int t, v_block256 b) {
    const int16_t *sums = (const int16_t *)(b.start + t * V_STARTS_APART);
#pragma GCC unroll 8
    for (int n = 0; n < s.pairs; n++) sum = v_add_pairs(sum, b.pairs[n][r], sums, n);
    return sum;
}

LCY_INLINE void v_tile256_block(v_shape256 s, int wide, int tokens, const v_panel256 *p, int i, v_block256 b,
                                int64_t t0, const v_sums *out) {
    vi isum[V_ABREAST][V_TILE];
    if (!out->first) v_sums_ask(out, wide, t0, tokens);
    if (s.sub == 256) v_sum_folded(isum, s, wide, tokens, b);
    else v_sum_scaled(isum, s, wide, tokens, b);
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) {
        const vf dx = v_setf(((const lcy_block_q8_k *)(b.x + t * b.x_stride))->d);
#pragma GCC unroll 2
        for (int r = 0; r < wide; r++) {
            const vi sum = s.pairs && !s.has_min ? v_sum_pairs(isum[r][t], s, r, t, b) : isum[r][t];
            vf acc = v_fma(v_float(sum), v_mul(p->d[i][r], dx), v_sums_load(out, r, wide, t0 + t));
            if (s.has_min) {
                const vf least = v_float(v_sum_pairs(v_zero(), s, r, t, b));
                acc = v_fnma(least, v_mul(p->dmin[i][r], dx), acc);
            }
            v_sums_store(out, r, wide, t0 + t, acc);
        }
    }
}

/* One panel meets all tokens. */
LCY_INLINE void v_span256(v_shape256 s, int wide, const v_panel256 *p, int blocks, const v_activations256 *h, int64_t tokens,
                          const uint8_t *x, int64_t x_stride, const v_sums *out) {
    for (int i = 0; i < blocks; i++) {
        v_sums sums = *out;
        sums.first = out->first && i == 0;
        sums.last = out->last && i + 1 == blocks;
#define TILE(n)                                                                                                    \
    do {                                                                                                           \
        const v_block256 b = {p->codes[i], p->scale[i], p->pairs[i],                                               \
                              x + t * x_stride + i * (int64_t)sizeof(lcy_block_q8_k), x_stride, h->of[t][i].start}; \
        v_tile256_block(s, wide, n, p, i, b, t, &sums);                                                            \
    } while (0)
        V_FOR_TILES(tokens, t, TILE);
#undef TILE
    }
}

typedef void (*v_span256_fn)(int wide, const v_panel256 *p, int blocks, const v_activations256 *h, int64_t tokens,
                             const uint8_t *x, int64_t x_stride, const v_sums *out);

#define V_SPAN256_FN(name, shape)                                                                                    \
    static __attribute__((noinline)) void V_NAME(span_##name)(                                                       \
        int wide, const v_panel256 *p, int blocks, const v_activations256 *h, int64_t tokens, const uint8_t *x,            \
        int64_t x_stride, const v_sums *out) {                                                                       \
        if (wide == V_ABREAST) v_span256(shape, V_ABREAST, p, blocks, h, tokens, x, x_stride, out);                  \
        else v_span256(shape, 1, p, blocks, h, tokens, x, x_stride, out);                                            \
    }

/* register r of the rows, from the tile's bytes */
typedef void (*v_fill256_fn)(v_panel256 *p, int r, int blocks, v_tile t);

LCY_INLINE void v_many256(v_shape256 s, size_t bytes, float factor, v_fill256_fn fill, v_span256_fn span, int64_t k,
                          int64_t rows, int64_t tokens, const uint8_t *w, int64_t w_stride, const uint8_t *x,
                          int64_t x_stride, float *out, int64_t out_stride) {
    const v_tiling all = v_tiling_of(rows, w, w_stride);
    v_activations256 heads;
    v_panel256 panel;
    for (int64_t t = 0; t < tokens; t += V_PASS) {
        const int64_t some = tokens - t < V_PASS ? tokens - t : V_PASS;
        for (int64_t b = 0; b < k / 256; b += V_SPAN256) {
            const int blocks = k / 256 - b < V_SPAN256 ? (int)(k / 256 - b) : V_SPAN256;
            const uint8_t *xs = x + t * x_stride + b * (int64_t)sizeof(lcy_block_q8_k);
            v_read_activations256(&heads, s, blocks, some, xs, x_stride);
            for (int64_t tile = 0; tile < all.tiles;) {
                const int wide = v_panel_width(all, tile);
                for (int r = 0; r < wide; r++) fill(&panel, r, blocks, v_tile_of(all, tile + r, b * (int64_t)bytes));
                const v_sums sums = {out + t * out_stride + v_first_row(all, tile), out_stride, b == 0,
                                     b + blocks == k / 256, factor, v_panel_some(all, tile + wide - 1)};
                span(wide, &panel, blocks, &heads, some, xs, x_stride, &sums);
                tile += wide;
            }
        }
    }
}

#endif
