/* panel_iq.h: panels (panel256.h) of the codebook formats of iq.h. Needs a vec.h and an ISA's iq.h.
 *
 * Rows are unpacked one by one, codes too large by a constant so that none is below 0, then transposed.
 */
#ifndef LCY_SIMD_PANEL_IQ_H
#define LCY_SIMD_PANEL_IQ_H

#include "iq_many.h"
#include "panel256.h"

LCY_INLINE v_shape256 v_shape_iq(const lcy_iq_traits *f) {
    return (v_shape256){.sub = f->size, .offset = lcy_iq_offset(f), .pairs = f->has_mins ? 8 : 0};
}

/* register r of a block */
LCY_INLINE void v_fill_iq_block(v_panel256 *p, int i, int r, const lcy_iq_traits *f, const lcy_iq_rows *rows) {
    const int apart = f->size / 16;
    vi words[8], pairs[8], four[4];
    for (int g = 0; g < 64; g += 4) {
        lcy_iq_transpose16(four, rows->codes[0] + 4 * g, 256);
        for (int c = 0; c < 4; c++) p->codes[i][g + c][r] = four[c];
    }
    for (int h = 0; h < 2; h++) {
        lcy_iq_transpose16(words + 4 * h, (const uint8_t *)(rows->scales[0] + 8 * h), 32);
        lcy_iq_transpose16(pairs + 4 * h, (const uint8_t *)(rows->mins[0] + 8 * h), 32);
    }
    for (int j = 0; j < 16; j += apart) {
        const vi scale = j % 2 ? v_sra32(words[j / 2], 16) : v_sra32(v_shl32(words[j / 2], 16), 16);
        p->scale[i][j / apart][r] = v_row_scale(scale);
    }
    for (int n = 0; n < v_shape_iq(f).pairs; n++) p->pairs[i][n][r] = v_row_pairs(pairs[n]);
    p->d[i][r] = v_loadf(rows->d);
}

LCY_INLINE void v_fill_iq(v_panel256 *p, int r, const lcy_iq_traits *f, int blocks, v_tile t) {
    lcy_iq_rows rows;
    for (int i = 0; i < blocks; i++, v_advance(&t, (int64_t)f->bytes)) {
        for (int l = 0; l < V_ROWS; l++) lcy_iq_unpack_row(&rows, l, v_tile_row(&t, l), f);
        v_fill_iq_block(p, i, r, f, &rows);
    }
}

#endif
