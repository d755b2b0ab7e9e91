/* panel32.h: panels (see panel.h) of the formats of 32 weights to a block. Included by blocks32.h.
 *
 * Stored codes are too large by `offset`, so the integer sum of a block starts at -offset times the sum of its
 * activations. Then the float step of lcy.h, one per block and row.
 */
#ifndef LCY_SIMD_PANEL32_H
#define LCY_SIMD_PANEL32_H

#include "panel.h"

enum { V_SPAN32 = V_SPAN / 32 };

typedef struct {
    vi codes[V_SPAN32][8][V_ABREAST];
    vf d[V_SPAN32][V_ABREAST], m[V_SPAN32][V_ABREAST];
} v_panel32;

/* of each token and block: the scale and, by the format, what its integer sum starts at or its s */
typedef struct {
    _Alignas(64) float d[V_PASS][V_SPAN32];
    union { int32_t start[V_PASS][V_SPAN32]; float s[V_PASS][V_SPAN32]; } u;
} v_activations32;

/* V_ROWS blocks of one token */
LCY_INLINE void v_read_group32(v_activations32 *h, int t, int b, v_format32 f, const uint8_t *x) {
    const int xbytes = f.has_min ? 36 : 34;
    const vi all = v_set8(f.offset);
    uint16_t d[V_ROWS], s[V_ROWS];
    vi sum[4];
    for (int i = 0; i < V_ROWS; i++) {
        d[i] = v_half_at(x + i * xbytes);
        if (f.has_min) s[i] = v_half_at(x + i * xbytes + 2);
    }
    v_storef(h->d[t] + b, v_halves(d));
    if (f.has_min) v_storef(h->u.s[t] + b, v_halves(s));
    if (!f.offset) return;
    for (int i = 0; i < 4; i++) {
        const uint8_t *q = x + i * xbytes + 2;
        sum[i] = v_dot32(all, v_rows(q, 4 * xbytes), all, v_rows(q + 16, 4 * xbytes));
    }
    v_store(h->u.start[t] + b, v_sub32(v_zero(), v_sum_rows(sum[0], sum[1], sum[2], sum[3])));
}

LCY_INLINE void v_read_activations32(v_activations32 *h, v_format32 f, int blocks, int64_t tokens, const uint8_t *x,
                               int64_t x_stride) {
    const int xbytes = f.has_min ? 36 : 34;
    for (int t = 0; t < tokens; t++, x += x_stride)
        for (int b = 0; b < blocks; b += V_ROWS) {
            if (b + V_ROWS <= blocks) {
                v_read_group32(h, t, b, f, x + b * xbytes);
            } else {
                uint8_t rest[V_ROWS * 36] = {0};
                memcpy(rest, x + b * xbytes, (size_t)((blocks - b) * xbytes));
                v_read_group32(h, t, b, f, rest);
            }
        }
}

/* register r of the rows */
LCY_INLINE void v_fill_panel32(v_panel32 *p, int r, v_format32 f, int blocks, v_tile t) {
    for (int b = 0; b < blocks; b++, v_advance(&t, f.bytes)) {
        const v_codes32 c = f.codes(&t);
        v_scales32 s;
        vi rows[8];
        v_copy_scales(&s, f, &t, 0);
        v_transpose(rows, c.low[0], c.low[1], c.low[2], c.low[3]);
        v_transpose(rows + 4, c.high[0], c.high[1], c.high[2], c.high[3]);
        for (int g = 0; g < 8; g++) p->codes[b][g][r] = f.is_signed ? v_row_signed(rows[g]) : rows[g];
        p->d[b][r] = v_halves(s.d);
        if (f.has_min) p->m[b][r] = v_halves(s.m);
    }
}

LCY_INLINE void v_tile32_span(v_format32 f, int wide, int tokens, const v_panel32 *p, int blocks, const v_activations32 *h,
                              int64_t t0, const uint8_t *x, int64_t x_stride, const v_sums *out) {
    const int xbytes = f.has_min ? 36 : 34;
    vf acc[V_ABREAST][V_TILE];
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++)
#pragma GCC unroll 2
        for (int r = 0; r < wide; r++) acc[r][t] = v_sums_load(out, r, wide, t0 + t);
    if (!out->first) v_sums_ask(out, wide, t0 + tokens, tokens); /* of the next tile */
    x += t0 * x_stride + xbytes - 32;
    for (int b = 0; b < blocks; b++, x += xbytes) {
        vi sum[V_ABREAST][V_TILE];
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++) {
            const vi start = f.offset ? v_set32(h->u.start[t0 + t][b]) : v_zero();
#pragma GCC unroll 2
            for (int r = 0; r < wide; r++) sum[r][t] = start;
        }
        v_add_products(sum, wide, tokens, 8, p->codes[b], (const int8_t *)x, x_stride);
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++) {
            const vf dx = v_setf(h->d[t0 + t][b]);
#pragma GCC unroll 2
            for (int r = 0; r < wide; r++) {
                acc[r][t] = v_fma(v_float(sum[r][t]), v_mul(p->d[b][r], dx), acc[r][t]);
                if (f.has_min) acc[r][t] = v_fma(p->m[b][r], v_setf(h->u.s[t0 + t][b]), acc[r][t]);
            }
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++)
#pragma GCC unroll 2
        for (int r = 0; r < wide; r++) v_sums_store(out, r, wide, t0 + t, acc[r][t]);
}

/* One panel meets all tokens. */
LCY_INLINE void v_span32(v_format32 f, int wide, const v_panel32 *p, int blocks, const v_activations32 *h, int64_t tokens,
                         const uint8_t *x, int64_t x_stride, const v_sums *out) {
    const v_sums sums = *out; /* a copy: what is behind a pointer might change with every sum that is stored */
#define TILE(n) v_tile32_span(f, wide, n, p, blocks, h, t, x, x_stride, &sums)
    V_FOR_TILES(tokens, t, TILE);
#undef TILE
}

typedef void (*v_span32_fn)(int wide, const v_panel32 *p, int blocks, const v_activations32 *h, int64_t tokens,
                            const uint8_t *x, int64_t x_stride, const v_sums *out);

LCY_INLINE void v_pass32(v_format32 f, v_span32_fn span, int64_t k, int64_t rows, int64_t tokens, const uint8_t *w,
                         int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    const v_tiling all = v_tiling_of(rows, w, w_stride);
    const int xbytes = f.has_min ? 36 : 34;
    v_activations32 heads;
    v_panel32 panel;
    for (int64_t b = 0; b < k / 32; b += V_SPAN32) {
        const int blocks = k / 32 - b < V_SPAN32 ? (int)(k / 32 - b) : V_SPAN32;
        v_read_activations32(&heads, f, blocks, tokens, x + b * xbytes, x_stride);
        for (int64_t tile = 0; tile < all.tiles;) {
            const int wide = v_panel_width(all, tile);
            for (int r = 0; r < wide; r++) v_fill_panel32(&panel, r, f, blocks, v_tile_of(all, tile + r, b * f.bytes));
            const v_sums sums = {out + v_first_row(all, tile), out_stride, b == 0, 0, 1, v_panel_some(all, tile + wide - 1)};
            span(wide, &panel, blocks, &heads, tokens, x + b * xbytes, x_stride, &sums);
            tile += wide;
        }
    }
}

LCY_INLINE void v_many32(v_format32 f, v_span32_fn span, int64_t k, int64_t rows, int64_t tokens, const uint8_t *w,
                         int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    for (int64_t t = 0; t < tokens; t += V_PASS)
        v_pass32(f, span, k, rows, tokens - t < V_PASS ? tokens - t : V_PASS, w, w_stride, x + t * x_stride, x_stride,
                 out + t * out_stride, out_stride);
}

#endif
