/* tiles32.h (avx512amx): panels of the formats of 32 weights to a block (kernels/simd/panel32.h) against tiles of tokens.
 *
 * A panel's group of 4 weights of 16 rows is a row of what AMX multiplies by, and 16 tokens' 32 bytes lie in memory as it
 * wants them. One product gives the exact sums of a block, 16 rows x 16 tokens; the float step of lcy.h follows in AVX-512,
 * from the memory that the tile is stored to. Codes are signed here, so no sum has an offset.
 *
 * The tiles of block b + 1 are asked for before the step of block b, and the two use different tiles and memory: a product
 * takes 52 cycles, and what a tile stores is not to be read at once.
 *
 * For 16 rows x 16 tokens x 32 weights of Q4_0:
 *                 products         float step   loads   operations of the vector ports
 *   AVX-512 VNNI  128 vpdpbusd     48           100     176
 *   here          1 of tiles       48           56      48
 * Two vector ports do 48 in 24 cycles, two load ports 56 in 28, the tile unit takes 16: about 28 cycles instead of 88.
 */
#ifndef LCY_AVX512AMX_TILES32_H
#define LCY_AVX512AMX_TILES32_H

#include "product.h"

/* tiles 0 .. 2 and 3 .. 5: sums, 16 tokens' activations, 8 groups of weights */
static const amx_shape amx_shape32 = {
    .palette = 1, .bytes = {64, 32, 64, 64, 32, 64}, .rows = {16, 16, 8, 16, 16, 8},
};

typedef struct { _Alignas(64) int32_t of[AMX_ROWS][16]; } amx_sums; /* [token][row] */

#define AMX_BLOCK32(sum, tokens, weights, to, codes, x, x_stride)                  \
    do {                                                                           \
        amx_zero(sum);                                                             \
        amx_load(tokens, x, x_stride);                                             \
        amx_load(weights, codes, (int64_t)(V_ABREAST * sizeof(vi)));               \
        amx_add_signed(sum, tokens, weights);                                      \
        amx_store(sum, to, AMX_BYTES);                                             \
    } while (0)

/* acc[t] of register r of the rows gets its float step for block b. */
LCY_INLINE void amx_step32(vf acc[AMX_ROWS], v_format32 f, const amx_sums *sums, const v_panel32 *p, int b, int r,
                           const v_activations32 *h, int64_t t0) {
    const float *d = h->d[t0] + b, *s = h->u.s[t0] + b;
    __asm__("" : "+r"(d), "+r"(s)); /* or GCC keeps sixteen addresses, where one register and offsets do */
#pragma GCC unroll 16
    for (int t = 0; t < AMX_ROWS; t++) {
        acc[t] = v_fma(v_float(v_load(sums->of[t])), v_mul(p->d[b][r], v_setf(d[t * V_SPAN32])), acc[t]);
        if (f.has_min) acc[t] = v_fma(p->m[b][r], v_setf(s[t * V_SPAN32]), acc[t]);
    }
}

/* Tokens from t on, AMX_ROWS of them or those that are left, all blocks of the panel, register r of its rows. */
LCY_INLINE void amx_tile32(v_format32 f, int r, int wide, const v_panel32 *p, int blocks, const v_activations32 *h, int64_t t,
                           int64_t tokens, const uint8_t *x, int64_t x_stride, const v_sums *out) {
    const int xbytes = f.has_min ? 36 : 34;
    const int64_t t0 = amx_first(t, tokens);
    const uint8_t *q = x + t0 * x_stride + xbytes - 32;
    amx_sums even, odd;
    vf acc[AMX_ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < AMX_ROWS; i++) acc[i] = v_sums_load(out, r, wide, t0 + i);
    AMX_BLOCK32(0, 1, 2, even.of, p->codes[0][0] + r, q, x_stride);
    for (int b = 0; b < blocks; b += 2) {
        if (b + 1 < blocks) AMX_BLOCK32(3, 4, 5, odd.of, p->codes[b + 1][0] + r, q + (b + 1) * xbytes, x_stride);
        amx_step32(acc, f, &even, p, b, r, h, t0);
        if (b + 1 == blocks) break;
        if (b + 2 < blocks) AMX_BLOCK32(0, 1, 2, even.of, p->codes[b + 2][0] + r, q + (b + 2) * xbytes, x_stride);
        amx_step32(acc, f, &odd, p, b + 1, r, h, t0);
    }
#pragma GCC unroll 16
    for (int i = 0; i < AMX_ROWS; i++)
        if (t0 + i >= t) v_sums_store(out, r, wide, t0 + i, acc[i]); /* the others are the tile's before this one */
}

/* One panel meets all tokens: a v_span32_fn. */
LCY_INLINE void amx_span32(v_format32 f, int wide, const v_panel32 *p, int blocks, const v_activations32 *h, int64_t tokens,
                           const uint8_t *x, int64_t x_stride, const v_sums *out) {
    for (int64_t t = 0; t < tokens; t += AMX_ROWS)
        for (int r = 0; r < wide; r++) amx_tile32(f, r, wide, p, blocks, h, t, tokens, x, x_stride, out);
}

#endif
