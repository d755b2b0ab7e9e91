/* blocks256.h: products with the formats of 256 weights to a block: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K. Needs a vec.h.
 *
 * The integer scales of sub-blocks stay integers: codes x activations are added to 16-bit pairs, pairs x scale to 32
 * bits, so a block has one float step, and one more for its minimums. Offsets of codes (Q3_K, Q6_K) and minimums are
 * both a product of 16 signed bytes per block with the activations' sums of 16.
 *
 * One to V_FEW tokens: few256.h.
 * Many tokens: as in blocks32.h, with a 32-bit sum per row and token that collects the scaled sub-blocks.
 */
#ifndef LCY_SIMD_BLOCKS256_H
#define LCY_SIMD_BLOCKS256_H

#include "../formats/q8_k.h"
#include "../kernels.h"
#include "few256.h"
#include "k_formats.h"
#include "tiles.h"

/* ---- many tokens ---- */

/* one block of the activations of up to V_TOKENS tokens */
typedef struct {
    _Alignas(64) int8_t q[V_TOKENS][256];
    int16_t sums[V_TOKENS][16];
    float d[V_TOKENS];
} v_pack256;

LCY_INLINE void v_pack_activations256(v_pack256 *p, int tokens, const uint8_t *x, int64_t x_stride) {
    for (int t = 0; t < tokens; t++) {
        const lcy_block_q8_k *b = (const lcy_block_q8_k *)(x + t * x_stride);
        memcpy(p->q[t], b->q, 256);
        memcpy(p->sums[t], b->sums, sizeof p->sums[t]);
        p->d[t] = b->d;
    }
}

/* A tile's block, transposed: what the scales, the sums of 16 activations and the activations' d are multiplied by. */
typedef struct {
    vi scale[4], pairs[8];
    vf d, dmin;
} v_open256;

LCY_INLINE v_open256 v_open(v_format256 f, const v_tile *t) {
    v_open256 o;
    vi side[4];
    v_head256 h[4];
    uint16_t d[V_ROWS], dmin[V_ROWS];
    for (int i = 0; i < 4; i++) h[i] = f.head(v_tile_load(t, i, f.head_at));
    v_transpose(o.scale, h[0].scale, h[1].scale, h[2].scale, h[3].scale);
    v_transpose(side, h[0].side, h[1].side, h[2].side, h[3].side);
    for (int n = 0; n < 8; n++) o.pairs[n] = v_byte_pair(side[n / 2], n % 2);
    for (int r = 0; r < V_ROWS; r++) {
        memcpy(d + r, v_tile_row(t, r) + f.d_at, 2);
        if (f.has_min) memcpy(dmin + r, v_tile_row(t, r) + f.d_at + 2, 2);
    }
    o.d = v_halves(d);
    o.dmin = f.has_min ? v_halves(dmin) : v_zerof();
    return o;
}

/* weights 32 j .. 32 j + 31, four of every row to a register, and their one or two scales */
typedef struct { vi rows[8], scale[2]; } v_group256;

LCY_INLINE v_group256 v_group(v_format256 f, const v_tile *block, int j, const v_open256 *o) {
    const int n = 32 / f.sub * j;
    v_group256 g;
    vi c[8];
    for (int i = 0; i < 8; i++) c[i] = f.codes(block, i % 4, j, i / 4);
    v_transpose(g.rows, c[0], c[1], c[2], c[3]);
    v_transpose(g.rows + 4, c[4], c[5], c[6], c[7]);
    g.scale[0] = v_byte(o->scale[n / 4], n % 4);
    g.scale[1] = f.sub == 16 ? v_byte(o->scale[n / 4], (n + 1) % 4) : g.scale[0];
    return g;
}

/* isum (tokens) gets the scaled sums of a group */
LCY_INLINE void v_add_group(vi isum[], v_format256 f, const v_group256 *g, int j, int tokens, const v_pack256 *p) {
    const vi first = v_row_scale(g->scale[0]), second = v_row_scale(g->scale[1]);
    for (int t = 0; t < tokens; t++) {
        const int8_t *q = p->q[t] + 32 * j;
        if (f.sub == 32) {
            isum[t] = v_dot_rows_scaled(isum[t], g->rows, 8, q, f.most, first);
        } else {
            const vi a = v_dot_rows_scaled(isum[t], g->rows, 4, q, f.most, first);
            isum[t] = v_dot_rows_scaled(a, g->rows + 4, 4, q + 16, f.most, second);
        }
    }
}

LCY_INLINE void v_tile256_many(float acc[][V_ROWS], v_format256 f, int tokens, v_tile t, const v_pack256 *p) {
    const v_open256 o = v_open(f, &t);
    vi isum[V_TOKENS];
    for (int i = 0; i < tokens; i++) isum[i] = v_zero();
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        const v_group256 g = v_group(f, &t, j, &o);
        v_add_group(isum, f, &g, j, tokens, p);
    }
    for (int i = 0; i < tokens; i++) {
        const vf dx = v_setf(p->d[i]), step = v_mul(o.d, dx);
        vi sides = v_zero();
        for (int n = 0; n < 8; n++) sides = v_pairs16(sides, o.pairs[n], v_same4(p->sums[i] + 2 * n));
        sides = v_sra32(sides, 8);
        vf a = v_loadf(acc[i]);
        if (f.has_min) {
            a = v_fma(v_float(isum[i]), step, a);
            a = v_fnma(v_float(sides), v_mul(o.dmin, dx), a);
        } else {
            a = v_fma(v_float(v_sub32(isum[i], v_shl32(sides, f.shift))), step, a);
        }
        v_storef(acc[i], a);
    }
}

/* ---- short rows: 8 sums per row, each of four neighbouring weights of every 32 (formats/common/short.h) ---- */

typedef struct { vf lane[8], low[4]; } v_short256;

LCY_INLINE void v_short_least(v_short256 *s, v_format256 f, const vi pairs[8], vf dmin, const int16_t sums[16]) {
    vi m[8];
    for (int n = 0; n < 8; n++) m[n] = v_sra32(v_pairs16(v_zero(), pairs[n], v_same4(sums + 2 * n)), 8);
    if (f.least == V_LEAST_BY_LANE)
        for (int n = 0; n < 8; n++) s->lane[n] = v_fnma(v_float(m[n]), dmin, s->lane[n]);
    if (f.least == V_LEAST_NONE || f.least == V_LEAST_BY_LANE) return;
    for (int n = 0; n < 4; n++) m[n] = v_add32(m[2 * n], m[2 * n + 1]);
    if (f.least == V_LEAST_BY_FOUR)
        for (int n = 0; n < 4; n++) s->low[n] = v_fnma(v_float(m[n]), dmin, s->low[n]);
    else
        s->low[0] = v_subf(s->low[0], v_mul(dmin, v_float(v_add32(v_add32(m[0], m[1]), v_add32(m[2], m[3])))));
}

LCY_INLINE void v_short_block(v_short256 *s, v_format256 f, const v_tile *t, const lcy_block_q8_k *x) {
    const v_open256 o = v_open(f, t);
    const vi offset = v_set8(f.has_min ? 0 : 1 << f.shift);
    vi isum[8];
    for (int i = 0; i < 8; i++) isum[i] = v_zero();
    v_short_least(s, f, o.pairs, v_mul(o.dmin, v_setf(x->d)), x->sums);
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        const v_group256 g = v_group(f, t, j, &o);
        for (int i = 0; i < 8; i++) {
            const int8_t *q = x->q + 32 * j + 4 * i;
            const vi scale = g.scale[i / 4], minus = v_row_scale(v_sub32(v_zero(), scale));
            isum[i] = v_dot_rows_scaled(isum[i], g.rows + i, 1, q, f.most, v_row_scale(scale));
            if (!f.has_min) isum[i] = v_dot_rows_scaled(isum[i], &offset, 1, q, 1 << f.shift, minus);
        }
    }
    for (int i = 0; i < 8; i++) s->lane[i] = v_fma(v_float(isum[i]), v_mul(o.d, v_setf(x->d)), s->lane[i]);
}

LCY_INLINE void v_tile256_short(v_format256 f, int64_t k, v_tile t, const lcy_block_q8_k *x, float *out, int keep) {
    v_short256 s;
    for (int i = 0; i < 8; i++) s.lane[i] = s.low[i % 4] = v_zerof();
    for (int64_t b = 0; b < k / 256; b++, v_advance(&t, f.bytes)) v_short_block(&s, f, &t, x + b);
    for (int i = 0; i < 4; i++) s.lane[i] = v_addf(s.lane[i], s.lane[i + 4]);
    vf sum = v_addf(v_addf(s.lane[0], s.lane[2]), v_addf(s.lane[1], s.lane[3]));
    if (f.least == V_LEAST_BY_FOUR) sum = v_addf(sum, v_addf(v_addf(s.low[0], s.low[2]), v_addf(s.low[1], s.low[3])));
    if (f.least == V_LEAST_WHOLE) sum = v_addf(sum, s.low[0]);
    v_keep(out, sum, keep);
}

#if V_PANELS
#include "panel_k.h"
#define V_MANY256(name)                                                                                              \
    static __attribute__((noinline)) void V_NAME(fill_##name)(v_panel256 *p, int r, int blocks, v_tile t) {          \
        v_fill_k(p, r, v_##name, blocks, t);                                                                         \
    }                                                                                                                \
    V_SPAN256_FN(name, v_shape_k(v_##name))                                                                          \
    static void V_NAME(many_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,        \
                                    const void *x, int64_t x_stride, float *out, int64_t out_stride) {               \
        v_many256(v_shape_k(v_##name), (size_t)v_##name.bytes, 1, V_NAME(fill_##name), V_NAME(span_##name), k, rows, \
                  tokens, w, w_stride, x, x_stride, out, out_stride);                                                \
    }
#else
typedef void (*v_tile256_fn)(float acc[][V_ROWS], int tokens, v_tile t, const v_pack256 *p);

LCY_INLINE void v_band256(v_format256 f, v_tile256_fn tile, int64_t k, int64_t rows, int tokens, const uint8_t *w,
                          int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    float acc[V_TILES][V_TOKENS][V_ROWS];
    v_pack256 pack;
    const v_tiling all = v_tiling_of(rows, w, w_stride);
    memset(acc, 0, sizeof acc);
    for (int64_t b = 0; b < k / 256; b++) {
        v_pack_activations256(&pack, tokens, x + b * (int64_t)sizeof(lcy_block_q8_k), x_stride);
        for (int i = 0; i < all.tiles; i++) tile(acc[i], tokens, v_tile_of(all, i, b * f.bytes), &pack);
    }
    for (int i = 0; i < all.tiles; i++)
        for (int t = 0; t < tokens; t++)
            memcpy(out + t * out_stride + v_first_row(all, i), acc[i][t], (size_t)all.step * sizeof(float));
}

LCY_INLINE void v_bands256(v_format256 f, v_tile256_fn tile, int64_t k, int64_t rows, int64_t tokens, const uint8_t *w,
                           int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    for (int64_t r = 0; r < rows; r += V_TILES * V_ROWS) {
        const int64_t band = rows - r < V_TILES * V_ROWS ? rows - r : V_TILES * V_ROWS;
        for (int64_t t = 0; t < tokens; t += V_TOKENS) {
            const int some = tokens - t < V_TOKENS ? (int)(tokens - t) : V_TOKENS;
            v_band256(f, tile, k, band, some, w + r * w_stride, w_stride, x + t * x_stride, x_stride,
                      out + t * out_stride + r, out_stride);
        }
    }
}
#define V_MANY256(name)                                                                                              \
    static __attribute__((noinline)) void V_NAME(tile_##name)(float acc[][V_ROWS], int tokens, v_tile t,             \
                                                              const v_pack256 *p) {                                  \
        v_tile256_many(acc, v_##name, tokens, t, p);                                                                 \
    }                                                                                                                \
    static void V_NAME(many_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,        \
                                    const void *x, int64_t x_stride, float *out, int64_t out_stride) {               \
        v_bands256(v_##name, V_NAME(tile_##name), k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);       \
    }
#endif

/* ---- the product ---- */

typedef struct {
    const v_few_fn *few;
    void (*short_row)(int64_t k, v_tile t, const lcy_block_q8_k *x, float *out, int keep);
    lcy_matmul_fn many; /* for more than V_FEW tokens, and for rows that are too long for few256.h */
} v_kernels256;

LCY_INLINE void v_matmul256(v_format256 f, v_kernels256 kernel, int64_t k, int64_t rows, int64_t tokens,
                            const uint8_t *w, int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out,
                            int64_t out_stride) {
    if (k < LCY_SHORT_ROW) {
        const v_tiling all = v_tiling_of(rows, w, w_stride);
        for (int64_t t = 0; t < tokens; t++)
            for (int64_t i = 0; i < all.tiles; i++)
                kernel.short_row(k, v_tile_of(all, i, 0), (const lcy_block_q8_k *)(x + t * x_stride),
                                 out + t * out_stride + v_first_row(all, i), all.step);
    } else if (tokens <= V_FEW && k <= 256 * V_FEW_256) {
        v_matmul256_few(f, kernel.few, k, rows, (int)tokens, w, w_stride, x, x_stride, out, out_stride);
    } else {
        kernel.many(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);
    }
}

#define V_MATMUL256(name)                                                                                            \
    V_FEW_TILES(name, v_tile256_few)                                                                                 \
    static __attribute__((noinline)) void V_NAME(short_##name)(int64_t k, v_tile t, const lcy_block_q8_k *x,         \
                                                               float *out, int keep) {                               \
        v_tile256_short(v_##name, k, t, x, out, keep);                                                               \
    }                                                                                                                \
    V_MANY256(name)                                                                                                  \
    static void V_NAME(matmul_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,      \
                                      const void *x, int64_t x_stride, float *out, int64_t out_stride) {             \
        const v_kernels256 kernel = {V_NAME(few_##name), V_NAME(short_##name), V_NAME(many_##name)};                 \
        v_matmul256(v_##name, kernel, k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);                   \
    }
V_MATMUL256(q2_k)
V_MATMUL256(q3_k)
V_MATMUL256(q4_k)
V_MATMUL256(q5_k)
V_MATMUL256(q6_k)

static inline void fill_blocks256(lcy_kernels *k) {
    k->matmul[LCY_Q2_K] = V_NAME(matmul_q2_k);
    k->matmul[LCY_Q3_K] = V_NAME(matmul_q3_k);
    k->matmul[LCY_Q4_K] = V_NAME(matmul_q4_k);
    k->matmul[LCY_Q5_K] = V_NAME(matmul_q5_k);
    k->matmul[LCY_Q6_K] = V_NAME(matmul_q6_k);
}

#endif
