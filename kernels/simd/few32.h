/* few32.h: one to V_FEW tokens with the formats of 32 weights to a block. Needs a vec.h.
 *
 * Such products wait for memory, so a weight is read once, for all tokens, and the core must be faster than its memory.
 * V_ROWS rows go side by side: their codes of a block are transposed while they are whole bytes, so that a register has the
 * same four (or eight halves of) weights of every row. An activation is then four bytes broadcast from memory, a sum is
 * one element, and the float step of a block is one fma for all rows.
 */
#ifndef LCY_SIMD_FEW32_H
#define LCY_SIMD_FEW32_H

#include "few.h"

enum {
    V_AHEAD = 2, /* blocks between copying scales and loading them: a load may not overtake narrower stores */
    V_RING = 4,
};

/* The activations: codes block after block and there token after token, the rest token after token. */
typedef struct {
    int64_t blocks;
    _Alignas(64) int8_t q[V_FEW_BLOCKS][32];
    int32_t start[V_FEW_BLOCKS + V_ROWS]; /* -offset * (sum of the block's activations) */
    float d[V_FEW_BLOCKS + V_ROWS], s[V_FEW_BLOCKS + V_ROWS];
} v_few32;

/* where in start, d and s token t begins */
LCY_INLINE int64_t v_few_at(int tokens, int t) { return V_FEW_BLOCKS / tokens * t; }

/* -offset * the sums of the activations of V_ROWS blocks; those past the last repeat it */
LCY_INLINE vi v_starts(v_format32 f, const uint8_t *q, int64_t bytes, int64_t blocks) {
    vi sum[4];
    for (int i = 0; i < 4; i++) {
        const uint8_t *lane[V_LANES];
        for (int l = 0; l < V_LANES; l++) lane[l] = q + (4 * l + i < blocks ? 4 * l + i : blocks - 1) * bytes;
        sum[i] = v_dot32(v_set8(1), v_lanes(lane, 0), v_set8(1), v_lanes(lane, 16));
    }
    return v_sub32(v_zero(), v_shl32(v_sum_rows(sum[0], sum[1], sum[2], sum[3]), __builtin_ctz((unsigned)f.offset)));
}

/* tokens: places for them; the last of `given` ones takes those that are left */
LCY_INLINE void v_prepare_few32(v_few32 *p, v_format32 f, int64_t k, int tokens, int given, const uint8_t *x,
                                int64_t x_stride) {
    const int xbytes = f.has_min ? 36 : 34;
    uint16_t d[V_FEW_BLOCKS + V_ROWS], s[V_FEW_BLOCKS + V_ROWS];
    p->blocks = k / 32;
    for (int t = 0; t < tokens; t++, x += t < given ? x_stride : 0) {
        const int64_t at = v_few_at(tokens, t);
        for (int64_t b = 0; b < p->blocks; b++) {
            const uint8_t *block = x + b * xbytes;
            memcpy(p->q[b * tokens + t], block + xbytes - 32, 32);
            d[b] = v_half_at(block);
            if (f.has_min) s[b] = v_half_at(block + 2);
        }
        for (int64_t b = 0; b < p->blocks; b += V_ROWS) {
            const int64_t left = p->blocks - b;
            v_storef(p->d + at + b, v_halves(d + b));
            if (f.has_min) v_storef(p->s + at + b, v_halves(s + b));
            if (f.offset) v_store(p->start + at + b, v_starts(f, x + b * xbytes + xbytes - 32, xbytes, left));
        }
    }
}

/* Volatile, or GCC makes vectors of these moves, by way of the shuffle port. */
LCY_INLINE void v_copy_sides(v_sides *to, v_format32 f, const v_tile *t, int64_t at) {
    volatile v_sides *s = to;
    for (int r = 0; r < V_ROWS; r++) {
        const uint8_t *block = v_tile_row(t, r) + at;
        s->d[r] = v_half_at(block);
        if (f.has_min) s->m[r] = v_half_at(block + 2);
        if (f.fifth_at) s->fifth[r] = v_word_at(block + f.fifth_at);
    }
}

/* out[g]: weights 4 g .. 4 g + 3 of every row */
LCY_INLINE void v_rows_of_nibbles(vi out[8], const v_tile *t, int64_t at) {
    vi z[4];
    v_transpose(z, v_tile_load(t, 0, at), v_tile_load(t, 1, at), v_tile_load(t, 2, at), v_tile_load(t, 3, at));
    for (int g = 0; g < 4; g++) {
        out[g] = v_and(z[g], v_set8(15));
        out[4 + g] = v_and(v_shr32(z[g], 4), v_set8(15));
    }
}

/* Fifth bits: bits 4 g .. 4 g + 3 of each row's word belong to register g; their byte is copied under each code. */
LCY_INLINE void v_add_fifths(vi rows[8], const uint32_t fifth[V_ROWS]) {
    static const uint8_t spread[4][16] = {{0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12},
                                          {1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13},
                                          {2, 2, 2, 2, 6, 6, 6, 6, 10, 10, 10, 10, 14, 14, 14, 14},
                                          {3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15}};
    const vi words = v_load(fifth);
    for (int g = 0; g < 8; g++) {
        const vi bits = v_shuffle8(words, v_same16(spread[g / 2]));
        rows[g] = v_or(rows[g], v_bytes_if(bits, v_set32(g % 2 ? (int32_t)0x80402010 : 0x08040201), v_set8(16)));
    }
}

LCY_INLINE void v_rows_of_bytes(vi out[8], const v_tile *t, int64_t at) {
    for (int h = 0; h < 2; h++, at += 16)
        v_transpose(out + 4 * h, v_tile_load(t, 0, at), v_tile_load(t, 1, at), v_tile_load(t, 2, at),
                    v_tile_load(t, 3, at));
    for (int g = 0; g < 8; g++) out[g] = v_row_signed(out[g]);
}

LCY_INLINE void v_rows_of_curve(vi out[8], const v_tile *t, int64_t at, const int8_t curve[16]) {
    const vi values = v_row_signed(v_same16(curve));
    v_rows_of_nibbles(out, t, at);
    for (int g = 0; g < 8; g++) out[g] = v_shuffle8(values, out[g]);
}

/* A tile against `tokens` of them, a constant. `next`: where the next tile's rows begin; asked for in the order in which
 * they lie in memory, whatever the stride. */
LCY_INLINE void v_tile32_few(v_format32 f, int tokens, v_tile t, const uint8_t *next, const v_few32 *x, float *out,
                             int64_t out_stride, int keep) {
    v_sides ring[V_RING];
    vf acc[V_FEW];
    for (int i = 0; i < tokens; i++) acc[i] = v_zerof();
    for (int b = 0; b < V_AHEAD && b < x->blocks; b++) v_copy_sides(ring + b, f, &t, b * f.bytes);
    for (int64_t b = 0; b < x->blocks; b++, v_advance(&t, f.bytes)) {
        const v_sides *s = ring + b % V_RING;
        vi rows[8];
        if (b + V_AHEAD < x->blocks) v_copy_sides(ring + (b + V_AHEAD) % V_RING, f, &t, V_AHEAD * f.bytes);
        v_ask(next, V_ROWS * f.bytes);
        next += V_ROWS * f.bytes;
        f.rows(rows, &t);
        if (f.fifth_at) v_add_fifths(rows, s->fifth);
        const vf d = v_halves(s->d), m = f.has_min ? v_halves(s->m) : v_zerof();
        vi sum[V_FEW];
        for (int i = 0; i < tokens; i++) sum[i] = f.offset ? v_set32(x->start[v_few_at(tokens, i) + b]) : v_zero();
        v_dot_few(sum, rows, tokens, x->q[b * tokens], f.most, f.is_signed);
        for (int i = 0; i < tokens; i++) {
            const int64_t at = v_few_at(tokens, i) + b;
            acc[i] = v_fma(v_float(sum[i]), v_mul(d, v_setf(x->d[at])), acc[i]);
            if (f.has_min) acc[i] = v_fma(m, v_setf(x->s[at]), acc[i]);
        }
    }
    for (int i = 0; i < tokens; i++) v_keep(out + i * out_stride, acc[i], keep);
}

/* All rows against one to V_FEW tokens; few[n]: the tile for 2^n tokens. */
LCY_INLINE void v_matmul32_few(v_format32 f, const v_few_fn few[V_FEW_WIDTHS], int64_t k, int64_t rows, int tokens,
                               const uint8_t *w, int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out,
                               int64_t out_stride) {
    const v_tiling all = v_tiling_of(rows, w, w_stride);
    v_few32 p;
    for (int t = 0; t < tokens;) {
        const int width = v_few_width(tokens - t, V_FEW_BLOCKS / (k / 32));
        const int some = width < tokens - t ? width : tokens - t;
        v_prepare_few32(&p, f, k, width, some, x + t * x_stride, x_stride);
        v_few_rows(few[__builtin_ctz((unsigned)width)], all, k / 32 * f.bytes, width, some, &p, out + t * out_stride,
                   out_stride);
        t += some;
    }
}

#endif
