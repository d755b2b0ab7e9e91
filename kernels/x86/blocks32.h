/* blocks32.h: products with the formats of 32 weights to a block: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. Needs a vec.h.
 *
 * One token: V_ROWS blocks of one row at a time; a second pass turns the sums of V_ROWS rows so that a register holds
 * one block of every row, and takes the float steps in block order.
 * Many tokens: the block's codes are transposed once, so that a register has the same four weights of every row; the
 * activations are then four bytes broadcast from memory and no horizontal sum exists. Activations are repacked per
 * V_BLOCKS blocks so that all a tile reads lies in the first-level cache.
 */
#ifndef LCY_X86_BLOCKS32_H
#define LCY_X86_BLOCKS32_H

#include "../formats/q4_0.h"
#include "../formats/q4_1.h"
#include "../formats/q5_0.h"
#include "../formats/q5_1.h"
#include "../formats/q8_0.h"
#include "../kernels.h"
#include "tiles.h"
#include "short.h"

/* codes of a tile's block: elements 0..15 and 16..31, a register per 4 lanes */
typedef struct { vi low[4], high[4]; } v_codes32;

/* What tells these formats apart; every use is a constant, so nothing of it is left in the code. */
typedef struct {
    int bytes, most; /* of a block; the largest code */
    int offset;      /* what stored codes are too large by */
    int is_signed, has_min;
    int short_rows;  /* v_tile32_short keeps the order of short rows */
    v_codes32 (*codes)(const v_tile *block);
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

static const v_format32 v_q4_0 = {18, 15, 8, 0, 0, 1, v_codes_q4_0};
static const v_format32 v_q4_1 = {20, 15, 0, 0, 1, 1, v_codes_q4_1};
static const v_format32 v_q5_0 = {22, 31, 16, 0, 0, 1, v_codes_q5_0};
static const v_format32 v_q5_1 = {24, 31, 0, 0, 1, 1, v_codes_q5_1};
static const v_format32 v_q8_0 = {34, 255, V_SIGNED_OFFSET, 1, 0, 1, v_codes_q8_0};

LCY_INLINE uint16_t v_half_at(const uint8_t *p) { uint16_t h; memcpy(&h, p, 2); return h; }
LCY_INLINE float v_float_at(const uint8_t *p) { return lcy_f16_to_f32(v_half_at(p)); }

/* The scales of a tile's block go through memory, copied by scalar moves: those ports are idle here, the shuffle port
 * is the busiest. */
typedef struct { uint16_t d[V_ROWS], m[V_ROWS]; } v_scales32;

LCY_INLINE void v_copy_scales(v_scales32 *s, v_format32 f, const v_tile *block, int64_t at) {
    for (int r = 0; r < V_ROWS; r++) {
        s->d[r] = v_half_at(v_tile_row(block, r) + at);
        if (f.has_min) s->m[r] = v_half_at(v_tile_row(block, r) + at + 2);
    }
}

/* ---- one token ---- */

enum {
    V_SEGMENT = 192,      /* blocks of a row done in one go: what it leaves behind stays in the first-level cache */
    V_MOST_BLOCKS = 1024, /* of a row that is done this way */
};

/* The activations in the order that groups of V_ROWS blocks want: lane l of register i belongs to block 4 l + i. */
typedef struct {
    int64_t blocks;
    _Alignas(64) int8_t low[V_MOST_BLOCKS / V_ROWS][4][V_LANES][16], high[V_MOST_BLOCKS / V_ROWS][4][V_LANES][16];
    _Alignas(64) int32_t start[V_MOST_BLOCKS]; /* -offset * (sum of the block's activations) */
    float d[V_MOST_BLOCKS], s[V_MOST_BLOCKS];
} v_token32;

LCY_INLINE void v_prepare_token(v_token32 *x, v_format32 f, int64_t k, const uint8_t *row) {
    const int xbytes = f.has_min ? 36 : 34;
    x->blocks = k / 32;
    for (int64_t b = 0; b < x->blocks; b++, row += xbytes) {
        const uint8_t *q = row + xbytes - 32;
        const int64_t group = b / V_ROWS, lane = b % V_ROWS / 4, i = b % 4;
        memcpy(x->low[group][i][lane], q, 16);
        memcpy(x->high[group][i][lane], q + 16, 16);
        x->d[b] = v_float_at(row);
        if (f.has_min) x->s[b] = v_float_at(row + 2);
        if (f.offset) x->start[b] = -f.offset * v_sum_bytes32((const int8_t *)q);
    }
}

/* What a segment of V_ROWS rows leaves: the integer sums of its blocks and their scales. */
typedef struct {
    _Alignas(64) float sum[V_ROWS][V_SEGMENT];
    uint16_t d[V_SEGMENT][V_ROWS], m[V_SEGMENT][V_ROWS];
} v_segment32;

/* V_ROWS blocks of one row */
LCY_INLINE void v_group32(v_segment32 *s, int row, int at, v_format32 f, const uint8_t *w, const v_token32 *x,
                          int64_t g) {
    v_tile t = {.row = f.bytes};
    vi sum[4];
    for (int l = 0; l < V_LANES; l++) t.lane[l] = w + 4 * l * f.bytes;
    const v_codes32 c = f.codes(&t);
    for (int i = 0; i < 4; i++) {
        const vi low = v_load(x->low[g][i]), high = v_load(x->high[g][i]);
        sum[i] = f.is_signed ? v_dot32_signed(c.low[i], low, c.high[i], high) : v_dot32(c.low[i], low, c.high[i], high);
    }
    vi isum = v_sum_rows(sum[0], sum[1], sum[2], sum[3]);
    if (f.offset) isum = v_add32(isum, v_load(x->start + g * V_ROWS));
    v_storef(s->sum[row] + at, v_float(isum));
    for (int b = 0; b < V_ROWS; b++) {
        s->d[at + b][row] = v_half_at(w + b * f.bytes);
        if (f.has_min) s->m[at + b][row] = v_half_at(w + b * f.bytes + 2);
    }
}

LCY_INLINE vf v_finish32(vf acc, const v_segment32 *s, v_format32 f, const v_token32 *x, int64_t first,
                         int64_t blocks) {
    for (int64_t b = 0; b < blocks; b += V_ROWS) {
        vf sum[V_ROWS];
        for (int r = 0; r < V_ROWS; r++) sum[r] = v_loadf(s->sum[r] + b);
        v_transpose_square(sum);
        for (int i = 0; i < V_ROWS && b + i < blocks; i++) {
            acc = v_fma(sum[i], v_mul(v_halves(s->d[b + i]), v_setf(x->d[first + b + i])), acc);
            if (f.has_min) acc = v_fma(v_halves(s->m[b + i]), v_setf(x->s[first + b + i]), acc);
        }
    }
    return acc;
}

/* Up to V_ROWS rows, each read from its first byte to its last, as the hardware's prefetchers like it: 1.3 times the
 * speed from memory of 16 rows read side by side. */
LCY_INLINE void v_rows32_one(v_format32 f, int rows, const uint8_t *w, int64_t w_stride, const v_token32 *x,
                             float *out) {
    v_segment32 s;
    vf acc = v_zerof();
    for (int64_t first = 0; first < x->blocks; first += V_SEGMENT) {
        const int64_t blocks = x->blocks - first < V_SEGMENT ? x->blocks - first : V_SEGMENT;
        for (int r = 0; r < rows; r++) {
            const uint8_t *row = w + r * w_stride + first * f.bytes;
            int64_t b = 0;
            for (; b + V_ROWS <= blocks; b += V_ROWS) {
                v_ask_ahead(row + b * f.bytes, V_ROWS * f.bytes);
                v_group32(&s, r, (int)b, f, row + b * f.bytes, x, (first + b) / V_ROWS);
            }
            if (b < blocks) {
                uint8_t rest[V_ROWS * 34] = {0};
                memcpy(rest, row + b * f.bytes, (size_t)((blocks - b) * f.bytes));
                v_group32(&s, r, (int)b, f, rest, x, (first + b) / V_ROWS);
            }
        }
        acc = v_finish32(acc, &s, f, x, first, blocks);
    }
    v_keep(out, acc, rows);
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

/* ---- many tokens ---- */

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

typedef void (*v_rows32_fn)(int rows, const uint8_t *w, int64_t w_stride, const v_token32 *x, float *out);

LCY_INLINE void v_matmul32(v_format32 f, v_rows32_fn one, int64_t k, int64_t rows, int64_t tokens, const uint8_t *w,
                           int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    if (f.short_rows && k < LCY_SHORT_ROW) {
        const v_tiling all = v_tiling_of(rows, w, w_stride);
        for (int64_t t = 0; t < tokens; t++)
            for (int64_t i = 0; i < all.tiles; i++)
                v_tile32_short(f, k, v_tile_of(all, i, 0), x + t * x_stride, out + t * out_stride + v_first_row(all, i),
                               all.step);
        return;
    }
    if (tokens == 1 && k <= 32 * V_MOST_BLOCKS) {
        v_token32 token;
        v_prepare_token(&token, f, k, x);
        for (int64_t r = 0; r < rows; r += V_ROWS)
            one(rows - r < V_ROWS ? (int)(rows - r) : V_ROWS, w + r * w_stride, w_stride, &token, out + r);
        return;
    }
    for (int64_t r = 0; r < rows; r += V_TILES * V_ROWS) {
        const int64_t band = rows - r < V_TILES * V_ROWS ? rows - r : V_TILES * V_ROWS;
        for (int64_t t = 0; t < tokens; t += V_TOKENS) {
            const int some = tokens - t < V_TOKENS ? (int)(tokens - t) : V_TOKENS;
            v_band32(f, k, band, some, w + r * w_stride, w_stride, x + t * x_stride, x_stride,
                     out + t * out_stride + r, out_stride);
        }
    }
}

#define V_MATMUL32(name)                                                                                             \
    static __attribute__((noinline)) void V_NAME(rows_##name)(int rows, const uint8_t *w, int64_t w_stride,          \
                                                              const v_token32 *x, float *out) {                      \
        v_rows32_one(v_##name, rows, w, w_stride, x, out);                                                           \
    }                                                                                                                \
    static void V_NAME(matmul_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,      \
                                      const void *x, int64_t x_stride, float *out, int64_t out_stride) {             \
        if (!v_##name.short_rows) {                                                                                  \
            LCY_SHORT_ROWS_FIRST(name)                                                                               \
        }                                                                                                            \
        v_matmul32(v_##name, V_NAME(rows_##name), k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);       \
    }
V_MATMUL32(q4_0)
V_MATMUL32(q4_1)
V_MATMUL32(q5_0)
V_MATMUL32(q5_1)
V_MATMUL32(q8_0)

#endif
