/* blocks32.h: products with the formats of 32 weights to a block: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. Needs a vec.h.
 *
 * One to V_FEW tokens: few32.h.
 * Many tokens: the block's codes are transposed once, so that a register has the same four weights of every row; the
 * activations are then four bytes broadcast from memory and no horizontal sum exists. Activations are repacked per
 * V_BLOCKS blocks so that all a tile reads lies in the first-level cache.
 */
#ifndef LCY_SIMD_BLOCKS32_H
#define LCY_SIMD_BLOCKS32_H

#include "../formats/q4_0.h"
#include "../formats/q4_1.h"
#include "../formats/q5_0.h"
#include "../formats/q5_1.h"
#include "../formats/q8_0.h"
#include "../kernels.h"
#include "few.h"
#include "short.h"

/* codes of a tile's block: elements 0..15 and 16..31, a register per 4 lanes */
typedef struct { vi low[4], high[4]; } v_codes32;

/* What tells these formats apart; every use is a constant, so nothing of it is left in the code. */
typedef struct {
    int bytes, most; /* of a block; the largest code */
    int offset;      /* what stored codes are too large by */
    int is_signed, has_min;
    int short_rows;  /* v_tile32_short keeps the order of short rows */
    int fifth_at;    /* where a word of fifth bits is; 0: there are none */
    v_codes32 (*codes)(const v_tile *block);
    void (*rows)(vi out[8], const v_tile *block); /* the same transposed, without fifth bits: few32.h */
} v_format32;

LCY_INLINE v_codes32 v_codes_nibbles(const v_tile *block, int64_t at) {
    v_codes32 c;
    for (int i = 0; i < 4; i++) {
        const vi z = v_tile_load(block, i, at);
        c.low[i] = v_and(z, v_set8(15));
        c.high[i] = v_and(v_shr32(z, 4), v_set8(15));
    }
    return c;
}

/* fifth bits: byte i / 8 of the word is copied under code i, which then tests its bit i % 8 */
LCY_INLINE v_codes32 v_codes_fifth(const v_tile *block, int64_t at_bits, int64_t at) {
    static const uint8_t spread_low[16] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
    static const uint8_t spread_high[16] = {2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3};
    static const uint8_t bit[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    v_codes32 c = v_codes_nibbles(block, at);
    for (int i = 0; i < 4; i++) {
        const vi bits = v_tile_load(block, i, at_bits);
        const vi low = v_shuffle8(bits, v_same16(spread_low)), high = v_shuffle8(bits, v_same16(spread_high));
        c.low[i] = v_or(c.low[i], v_bytes_if(low, v_same16(bit), v_set8(16)));
        c.high[i] = v_or(c.high[i], v_bytes_if(high, v_same16(bit), v_set8(16)));
    }
    return c;
}

LCY_INLINE v_codes32 v_codes_q4_0(const v_tile *b) { return v_codes_nibbles(b, 2); }
LCY_INLINE v_codes32 v_codes_q4_1(const v_tile *b) { return v_codes_nibbles(b, 4); }
LCY_INLINE v_codes32 v_codes_q5_0(const v_tile *b) { return v_codes_fifth(b, 2, 6); }
LCY_INLINE v_codes32 v_codes_q5_1(const v_tile *b) { return v_codes_fifth(b, 4, 8); }
LCY_INLINE v_codes32 v_codes_q8_0(const v_tile *b) {
    v_codes32 c;
    for (int i = 0; i < 4; i++) c.low[i] = v_tile_load(b, i, 2), c.high[i] = v_tile_load(b, i, 18);
    return c;
}

#include "few32.h"

LCY_INLINE void v_rows_q4_0(vi out[8], const v_tile *b) { v_rows_of_nibbles(out, b, 2); }
LCY_INLINE void v_rows_q4_1(vi out[8], const v_tile *b) { v_rows_of_nibbles(out, b, 4); }
LCY_INLINE void v_rows_q5_0(vi out[8], const v_tile *b) { v_rows_of_nibbles(out, b, 6); }
LCY_INLINE void v_rows_q5_1(vi out[8], const v_tile *b) { v_rows_of_nibbles(out, b, 8); }
LCY_INLINE void v_rows_q8_0(vi out[8], const v_tile *b) { v_rows_of_bytes(out, b, 2); }

static const v_format32 v_q4_0 = {18, 15, 8, 0, 0, 1, 0, v_codes_q4_0, v_rows_q4_0};
static const v_format32 v_q4_1 = {20, 15, 0, 0, 1, 1, 0, v_codes_q4_1, v_rows_q4_1};
static const v_format32 v_q5_0 = {22, 31, 16, 0, 0, 1, 2, v_codes_q5_0, v_rows_q5_0};
static const v_format32 v_q5_1 = {24, 31, 0, 0, 1, 1, 4, v_codes_q5_1, v_rows_q5_1};
static const v_format32 v_q8_0 = {34, 255, V_SIGNED_OFFSET, 1, 0, 1, 0, v_codes_q8_0, v_rows_q8_0};

/* The scales of a tile's block go through memory, copied by scalar moves: those ports are idle here, the shuffle port
 * is the busiest. */
typedef struct { uint16_t d[V_ROWS], m[V_ROWS]; } v_scales32;

LCY_INLINE void v_copy_scales(v_scales32 *s, v_format32 f, const v_tile *block, int64_t at) {
    for (int r = 0; r < V_ROWS; r++) {
        s->d[r] = v_half_at(v_tile_row(block, r) + at);
        if (f.has_min) s->m[r] = v_half_at(v_tile_row(block, r) + at + 2);
    }
}

/* ---- short rows: 8 sums per row, each of four neighbouring weights, offsets apart (formats/common/short.h) ---- */

LCY_INLINE void v_tile32_short(v_format32 f, int64_t k, v_tile t, const uint8_t *x, float *out, int keep) {
    const int xbytes = f.has_min ? 36 : 34;
    vf acc[8], offsets = v_zerof();
    for (int g = 0; g < 8; g++) acc[g] = v_zerof();
    for (int64_t b = 0; b < k / 32; b++, v_advance(&t, f.bytes), x += xbytes) {
        const v_codes32 c = f.codes(&t);
        const vi all = v_set8(f.offset);
        v_scales32 s;
        vi rows[8];
        v_copy_scales(&s, f, &t, 0);
        v_transpose(rows, c.low[0], c.low[1], c.low[2], c.low[3]);
        v_transpose(rows + 4, c.high[0], c.high[1], c.high[2], c.high[3]);
        const vf d = v_mul(v_halves(s.d), v_setf(v_float_at(x)));
        for (int g = 0; g < 8; g++) {
            const int8_t *q = (const int8_t *)x + xbytes - 32 + 4 * g;
            const vi start = f.offset ? v_sub32(v_zero(), v_dot_rows(v_zero(), &all, 1, q, f.most)) : v_zero();
            const vi codes = f.is_signed ? v_row_signed(rows[g]) : rows[g];
            const vi sum = f.is_signed ? v_dot_rows_signed(start, &codes, 1, q)
                                       : v_dot_rows(start, &codes, 1, q, f.most);
            acc[g] = v_fma(v_float(sum), d, acc[g]);
        }
        if (f.has_min) offsets = v_addf(offsets, v_mul(v_halves(s.m), v_setf(v_float_at(x + 2))));
    }
    for (int g = 0; g < 4; g++) acc[g] = v_addf(acc[g], acc[g + 4]);
    const vf sum = v_addf(v_addf(acc[0], acc[2]), v_addf(acc[1], acc[3]));
    v_keep(out, f.has_min ? v_addf(sum, offsets) : sum, keep);
}

/* ---- some tokens ---- */

enum { V_BLOCKS = 8 };

/* the activations of V_BLOCKS blocks of up to V_TOKENS tokens */
typedef struct {
    _Alignas(64) int8_t q[V_BLOCKS][V_TOKENS][32];
    int32_t start[V_BLOCKS][V_TOKENS]; /* -offset * (sum of q) */
    float d[V_BLOCKS][V_TOKENS], s[V_BLOCKS][V_TOKENS];
} v_pack32;

LCY_INLINE void v_pack_activations32(v_pack32 *p, v_format32 f, int blocks, int tokens, const uint8_t *x,
                                     int64_t x_stride) {
    const int xbytes = f.has_min ? 36 : 34;
    for (int t = 0; t < tokens; t++)
        for (int b = 0; b < blocks; b++) {
            const uint8_t *block = x + t * x_stride + b * xbytes;
            memcpy(p->q[b][t], block + xbytes - 32, 32);
            p->d[b][t] = v_float_at(block);
            if (f.has_min) p->s[b][t] = v_float_at(block + 2);
            p->start[b][t] = f.offset ? -f.offset * v_sum_bytes32((const int8_t *)block + xbytes - 32) : 0;
        }
}

LCY_INLINE void v_tile32_many(float acc[][V_ROWS], v_format32 f, int blocks, int tokens, v_tile t, const v_pack32 *p) {
    for (int b = 0; b < blocks; b++, v_advance(&t, f.bytes)) {
        const v_codes32 c = f.codes(&t);
        v_scales32 s;
        vi rows[8];
        v_copy_scales(&s, f, &t, 0);
        v_transpose(rows, c.low[0], c.low[1], c.low[2], c.low[3]);
        v_transpose(rows + 4, c.high[0], c.high[1], c.high[2], c.high[3]);
        if (f.is_signed)
            for (int g = 0; g < 8; g++) rows[g] = v_row_signed(rows[g]);
        const vf d = v_halves(s.d), m = f.has_min ? v_halves(s.m) : v_zerof();
        for (int i = 0; i < tokens; i++) {
            const vi start = v_set32(p->start[b][i]);
            const vi sum = f.is_signed ? v_dot_rows_signed(start, rows, 8, p->q[b][i])
                                       : v_dot_rows(start, rows, 8, p->q[b][i], f.most);
            vf a = v_fma(v_float(sum), v_mul(d, v_setf(p->d[b][i])), v_loadf(acc[i]));
            if (f.has_min) a = v_fma(m, v_setf(p->s[b][i]), a);
            v_storef(acc[i], a);
        }
    }
}

/* A band of up to V_TILES tiles meets V_TOKENS tokens: its weights come from memory once and stay in the second-level
 * cache for the next tokens. */
LCY_INLINE void v_band32(v_format32 f, int64_t k, int64_t rows, int tokens, const uint8_t *w, int64_t w_stride,
                         const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    const int64_t blocks = k / 32, xbytes = f.has_min ? 36 : 34;
    float acc[V_TILES][V_TOKENS][V_ROWS];
    v_pack32 pack;
    v_tiling all = v_tiling_of(rows, w, w_stride);
    memset(acc, 0, sizeof acc);
    for (int64_t b = 0; b < blocks; b += V_BLOCKS) {
        const int n = blocks - b < V_BLOCKS ? (int)(blocks - b) : V_BLOCKS;
        v_pack_activations32(&pack, f, n, tokens, x + b * xbytes, x_stride);
        for (int i = 0; i < all.tiles; i++)
            v_tile32_many(acc[i], f, n, tokens, v_tile_of(all, i, b * f.bytes), &pack);
    }
    for (int i = 0; i < all.tiles; i++)
        for (int t = 0; t < tokens; t++)
            memcpy(out + t * out_stride + v_first_row(all, i), acc[i][t], (size_t)all.step * sizeof(float));
}

#if V_PANELS
#include "panel32.h"
#define V_MANY32(name)                                                                                               \
    static __attribute__((noinline)) void V_NAME(span_##name)(                                                       \
        int wide, const v_panel32 *p, int blocks, const v_activations32 *h, int64_t tokens, const uint8_t *x,        \
        int64_t x_stride, const v_sums *out) {                                                                       \
        if (wide == V_ABREAST) v_span32(v_##name, V_ABREAST, p, blocks, h, tokens, x, x_stride, out);                \
        else v_span32(v_##name, 1, p, blocks, h, tokens, x, x_stride, out);                                          \
    }                                                                                                                \
    static void V_NAME(many_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,        \
                                    const void *x, int64_t x_stride, float *out, int64_t out_stride) {               \
        v_many32(v_##name, V_NAME(span_##name), k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);         \
    }
#else
LCY_INLINE void v_bands32(v_format32 f, int64_t k, int64_t rows, int64_t tokens, const uint8_t *w, int64_t w_stride,
                          const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    for (int64_t r = 0; r < rows; r += V_TILES * V_ROWS) {
        const int64_t band = rows - r < V_TILES * V_ROWS ? rows - r : V_TILES * V_ROWS;
        for (int64_t t = 0; t < tokens; t += V_TOKENS) {
            const int some = tokens - t < V_TOKENS ? (int)(tokens - t) : V_TOKENS;
            v_band32(f, k, band, some, w + r * w_stride, w_stride, x + t * x_stride, x_stride,
                     out + t * out_stride + r, out_stride);
        }
    }
}
#define V_MANY32(name)                                                                                               \
    static void V_NAME(many_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,        \
                                    const void *x, int64_t x_stride, float *out, int64_t out_stride) {               \
        v_bands32(v_##name, k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);                             \
    }
#endif

/* many: for more than V_FEW tokens, and for rows that are too long for few32.h */
LCY_INLINE void v_matmul32(v_format32 f, const v_few_fn few[V_FEW_WIDTHS], lcy_matmul_fn many, int64_t k, int64_t rows,
                           int64_t tokens, const uint8_t *w, int64_t w_stride, const uint8_t *x, int64_t x_stride,
                           float *out, int64_t out_stride) {
    if (f.short_rows && k < LCY_SHORT_ROW) {
        const v_tiling all = v_tiling_of(rows, w, w_stride);
        for (int64_t t = 0; t < tokens; t++)
            for (int64_t i = 0; i < all.tiles; i++)
                v_tile32_short(f, k, v_tile_of(all, i, 0), x + t * x_stride, out + t * out_stride + v_first_row(all, i),
                               all.step);
    } else if (tokens <= V_FEW && k <= 32 * V_FEW_BLOCKS) {
        v_matmul32_few(f, few, k, rows, (int)tokens, w, w_stride, x, x_stride, out, out_stride);
    } else {
        many(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);
    }
}

#define V_MATMUL32(name)                                                                                             \
    V_FEW_TILES(name, v_tile32_few)                                                                                  \
    V_MANY32(name)                                                                                                   \
    static void V_NAME(matmul_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,      \
                                      const void *x, int64_t x_stride, float *out, int64_t out_stride) {             \
        if (!v_##name.short_rows) {                                                                                  \
            LCY_SHORT_ROWS_FIRST(name)                                                                               \
        }                                                                                                            \
        v_matmul32(v_##name, V_NAME(few_##name), V_NAME(many_##name), k, rows, tokens, w, w_stride, x, x_stride,     \
                   out, out_stride);                                                                                 \
    }
V_MATMUL32(q4_0)
V_MATMUL32(q4_1)
V_MATMUL32(q5_0)
V_MATMUL32(q5_1)
V_MATMUL32(q8_0)

static inline void fill_blocks32(lcy_kernels *k) {
    k->matmul[LCY_Q4_0] = V_NAME(matmul_q4_0);
    k->matmul[LCY_Q4_1] = V_NAME(matmul_q4_1);
    k->matmul[LCY_Q5_0] = V_NAME(matmul_q5_0);
    k->matmul[LCY_Q5_1] = V_NAME(matmul_q5_1);
    k->matmul[LCY_Q8_0] = V_NAME(matmul_q8_0);
}

#endif
