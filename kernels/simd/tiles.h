/* tiles.h: what all products of kernels/simd/ share. Needs a vec.h.
 *
 * The idea: keep the file's layout and put blocks (neighbours in a row, or one of each of several rows) into the
 * 128-bit lanes of a register. Products of codes and activations leave four integer sums per lane; transposing while
 * adding turns four such registers into one with one block per element, and from there one fma per block and row keeps
 * the order of lcy.h.
 */
#ifndef LCY_SIMD_TILES_H
#define LCY_SIMD_TILES_H

enum { V_TOKENS = 64, V_TILES = 16 }; /* what a band of many tokens holds: tokens, tiles of rows */
enum { V_MANY = 9 }; /* tokens from which unpacking weights into panels pays (panel.h), where a level has V_PANELS */

/* lane l: 16 bytes at p + l * step */
LCY_INLINE vi v_rows(const uint8_t *p, int64_t step) {
    const uint8_t *lane[V_LANES];
    for (int l = 0; l < V_LANES; l++) lane[l] = p + l * step;
    return v_lanes(lane, 0);
}

/* Row 4 l + i of a tile starts at lane[l] + i * row. A short tile repeats rows: strides of 0. */
typedef struct {
    const uint8_t *lane[V_LANES];
    int64_t row;
} v_tile;

LCY_INLINE const uint8_t *v_tile_row(const v_tile *t, int r) { return t->lane[r / 4] + r % 4 * t->row; }

LCY_INLINE void v_advance(v_tile *t, int64_t bytes) {
    for (int l = 0; l < V_LANES; l++) t->lane[l] += bytes;
}

/* register i of the tile, 16 bytes at byte `at` of every row */
LCY_INLINE vi v_tile_load(const v_tile *t, int i, int64_t at) { return v_lanes(t->lane, i * t->row + at); }

/* All tiles of some rows: full ones, the last overlapping the one before; below V_ROWS rows, four or one at a time. */
typedef struct {
    const uint8_t *w;
    int64_t rows, stride, tiles;
    int step; /* rows of a tile that count */
} v_tiling;

LCY_INLINE v_tiling v_tiling_of(int64_t rows, const uint8_t *w, int64_t stride) {
    const int step = rows >= V_ROWS ? V_ROWS : rows >= 4 ? 4 : 1;
    return (v_tiling){w, rows, stride, (rows + step - 1) / step, step};
}

LCY_INLINE int64_t v_first_row(v_tiling a, int64_t tile) {
    return (tile + 1) * a.step <= a.rows ? tile * a.step : a.rows - a.step;
}

LCY_INLINE v_tile v_tile_of(v_tiling a, int64_t tile, int64_t at) {
    const int64_t lane = a.step == V_ROWS ? 4 * a.stride : 0;
    v_tile t = {.row = a.step >= 4 ? a.stride : 0};
    for (int l = 0; l < V_LANES; l++) t.lane[l] = a.w + v_first_row(a, tile) * a.stride + l * lane + at;
    return t;
}

LCY_INLINE void v_keep(float *out, vf rows, int keep) {
    float all[V_ROWS];
    if (keep == V_ROWS) {
        v_storef(out, rows);
        return;
    }
    v_storef(all, rows);
    memcpy(out, all, (size_t)keep * sizeof(float));
}

/* four registers of four sums per lane -> the sum of each row, in order */
LCY_INLINE vi v_sum_rows(vi a, vi b, vi c, vi d) {
    const vi ab = v_add32(v_low32(a, b), v_high32(a, b)), cd = v_add32(v_low32(c, d), v_high32(c, d));
    return v_add32(v_low64(ab, cd), v_high64(ab, cd));
}

/* four registers of four dwords per lane -> register g has dword g of each row, in order */
LCY_INLINE void v_transpose(vi out[4], vi a, vi b, vi c, vi d) {
    const vi ab = v_low32(a, b), cd = v_low32(c, d), AB = v_high32(a, b), CD = v_high32(c, d);
    out[0] = v_low64(ab, cd), out[1] = v_high64(ab, cd), out[2] = v_low64(AB, CD), out[3] = v_high64(AB, CD);
}

#endif
