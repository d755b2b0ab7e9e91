/* few256.h: one to V_FEW tokens with Q2_K ... Q6_K. Needs a vec.h; the idea is that of few32.h.
 *
 * Bytes of the file are transposed before they are taken apart: two to four groups of 32 weights share the work. Sums of
 * sub-blocks are multiplied by their integer scales in 32 bits, so a block has one float step, and one for minimums.
 */
#ifndef LCY_SIMD_FEW256_H
#define LCY_SIMD_FEW256_H

#include "../formats/q8_k.h"
#include "few.h"
#include "k_formats.h"

enum { V_FEW_256 = V_FEW_BLOCKS / 8 }; /* tokens x blocks of a row that are prepared at a time */

/* The activations, block after block and there token after token. */
typedef struct {
    int64_t blocks;
    _Alignas(64) int8_t q[V_FEW_256][256];
    int16_t sums[V_FEW_256][16]; /* of 16 activations, or 8 of 32 */
    float d[V_FEW_256];
} v_few256;

/* tokens: places for them; the last of `given` ones takes those that are left */
LCY_INLINE void v_prepare_few256(v_few256 *p, v_format256 f, int64_t k, int tokens, int given, const uint8_t *x,
                                 int64_t x_stride) {
    p->blocks = k / 256;
    for (int t = 0; t < tokens; t++, x += t < given ? x_stride : 0) {
        const lcy_block_q8_k *block = (const lcy_block_q8_k *)x;
        for (int64_t at = t; at < p->blocks * tokens; at += tokens, block++) {
            memcpy(p->q[at], block->q, 256);
            memcpy(p->sums[at], block->sums, sizeof block->sums);
            p->d[at] = block->d;
            for (int i = 0; i < 8 && f.sub == 32; i++)
                p->sums[at][i] = (int16_t)(block->sums[2 * i] + block->sums[2 * i + 1]);
        }
    }
}

/* A tile's block, transposed: its scales, four to a register, and what the activations' sums are multiplied by, two
 * words to a register, 256 times too large. */
typedef struct { vi scale[4], pairs[8]; } v_heads256;

LCY_INLINE v_heads256 v_heads(v_format256 f, const v_tile *t) {
    v_heads256 o;
    vi side[4];
    v_head256 h[4];
    for (int i = 0; i < 4; i++) h[i] = f.head(v_tile_load(t, i, f.head_at));
    v_transpose(o.scale, h[0].scale, h[1].scale, h[2].scale, h[3].scale);
    v_transpose(side, h[0].side, h[1].side, h[2].side, h[3].side);
    for (int n = 0; n < 8; n++) /* a sub-block of 32 has its byte twice */
        o.pairs[n] = f.sub == 32 ? v_and(side[n % 4], v_set32((int32_t)0xff00ff00)) : v_byte_pair(side[n / 2], n % 2);
    return o;
}

LCY_INLINE void v_transpose32(vi out[8], const v_tile *t, int at) {
    for (int h = 0; h < 2; h++, at += 16)
        v_transpose(out + 4 * h, v_tile_load(t, 0, at), v_tile_load(t, 1, at), v_tile_load(t, 2, at),
                    v_tile_load(t, 3, at));
}

/* isum (tokens) of one block. next: as in v_tile32_few */
LCY_INLINE void v_block256_few(vi isum[], v_format256 f, int tokens, const v_tile *t, const v_heads256 *o,
                               const uint8_t *next, const int8_t *q) {
    vi low[8], high[8], part[V_FEW];
    for (int i = 0; i < tokens; i++) part[i] = v_zero();
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        const int j = f.group(i), before = i ? f.group(i - 1) : -1;
        v_ask(next + V_ROWS * f.bytes / 8 * i, V_ROWS * f.bytes / 8);
        if (before < 0 || f.low_at(before) != f.low_at(j)) v_transpose32(low, t, f.low_at(j));
        if (f.high_at && (before < 0 || f.high_at(before) != f.high_at(j))) v_transpose32(high, t, f.high_at(j));
        if (tokens > 4) V_IN_MEMORY(high);
        for (int h = 0; h < 2; h++) { /* by halves: all codes at once would not leave registers enough */
            const int n = (2 * j + h) * 16 / f.sub;
            const vi scale = v_byte_scale(o->scale[n / 4], n % 4, !f.has_min);
            vi codes[4];
            for (int g = 0; g < 4; g++) codes[g] = f.code(low, high, j, 4 * h + g);
            v_few_dot(part, isum, codes, tokens, q + 32 * j + 16 * h, 256, f.most, scale);
            if (h || f.sub == 16) v_few_scale(part, isum, tokens, scale);
        }
    }
}

LCY_INLINE void v_tile256_few(v_format256 f, int tokens, v_tile t, const uint8_t *next, const v_few256 *x, float *out,
                              int64_t out_stride, int keep) {
    vf acc[V_FEW];
    for (int i = 0; i < tokens; i++) acc[i] = v_zerof();
    for (int64_t b = 0; b < x->blocks; b++, v_advance(&t, f.bytes), next += V_ROWS * f.bytes) {
        const v_heads256 o = v_heads(f, &t);
        const int64_t at = b * tokens;
        v_sides s;
        vi isum[V_FEW], side[V_FEW];
        v_copy_halves(&s, f.has_min, &t, f.d_at);
        for (int i = 0; i < tokens; i++) isum[i] = side[i] = v_zero();
        for (int n = 0; n < 128 / f.sub; n++)
            for (int i = 0; i < tokens; i++) side[i] = v_pairs16(side[i], o.pairs[n], v_same4(x->sums[at + i] + 2 * n));
        v_block256_few(isum, f, tokens, &t, &o, next, x->q[at]);
        const vf d = v_halves(s.d), dmin = f.has_min ? v_halves(s.m) : v_zerof();
        for (int i = 0; i < tokens; i++) {
            const vf dx = v_setf(x->d[at + i]), step = v_mul(d, dx);
            side[i] = v_sra32(side[i], 8);
            if (!f.has_min) isum[i] = v_sub32(isum[i], v_shl32(side[i], f.shift));
            acc[i] = v_fma(v_float(isum[i]), step, acc[i]);
            if (f.has_min) acc[i] = v_fnma(v_float(side[i]), v_mul(dmin, dx), acc[i]);
        }
    }
    for (int i = 0; i < tokens; i++) v_keep(out + i * out_stride, acc[i], keep);
}

/* All rows against one to V_FEW tokens; few[n]: the tile for 2^n tokens. */
LCY_INLINE void v_matmul256_few(v_format256 f, const v_few_fn few[V_FEW_WIDTHS], int64_t k, int64_t rows, int tokens,
                                const uint8_t *w, int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out,
                                int64_t out_stride) {
    const v_tiling all = v_tiling_of(rows, w, w_stride);
    v_few256 p;
    for (int t = 0; t < tokens;) {
        const int width = v_few_width(tokens - t, V_FEW_256 / (k / 256));
        const int some = width < tokens - t ? width : tokens - t;
        v_prepare_few256(&p, f, k, width, some, x + t * x_stride, x_stride);
        v_few_rows(few[__builtin_ctz((unsigned)width)], all, k / 256 * f.bytes, width, some, &p, out + t * out_stride,
                   out_stride);
        t += some;
    }
}

#endif
