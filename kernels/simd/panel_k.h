/* panel_k.h: how Q2_K ... Q6_K are unpacked into panels (panel256.h). Included by blocks256.h. */
#ifndef LCY_SIMD_PANEL_K_H
#define LCY_SIMD_PANEL_K_H

#include "k_formats.h"
#include "panel256.h"

LCY_INLINE v_shape256 v_shape_k(v_format256 f) {
    const int offset = f.has_min ? 0 : 1 << f.shift;
    const int folds = f.folds && (V_FOLDED_OFFSET || f.has_min);
    v_shape256 s = {.sub = folds ? 256 : f.sub, .has_min = f.has_min};
    s.offset = folds && offset ? V_FOLDED_OFFSET : offset;
    if (f.has_min) s.pairs = f.sub == 32 ? 4 : 8;
    return s;
}

/* four codes of every row times their scale, a byte each; what they were too large by is replaced by V_FOLDED_OFFSET */
LCY_INLINE vi v_fold(v_format256 f, vi codes, vi scale) {
    const vi words = v_or(v_and(scale, v_set32(0xffff)), v_shl32(scale, 16));
#if V_FOLDED_OFFSET
    if (f.has_min) return v_mul16(codes, words);
    const vi low = v_set32(0x00ff00ff);
    const vi even = v_and(v_mul16(v_and(codes, low), words), low), odd = v_mul16(v_andnot(low, codes), words);
    const vi bytes = v_and(v_mul16(words, v_set32(0x10001 << f.shift)), low);
    return v_add8(v_sub8(v_or(even, odd), v_or(bytes, v_shl32(bytes, 8))), v_set8(V_FOLDED_OFFSET));
#else
    (void)f;
    return v_mul16(codes, words);
#endif
}

/* the minimums of sub-blocks 2 n and 2 n + 1, or of 16 weights 2 n and 2 n + 1 */
LCY_INLINE vi v_pairs_k(v_format256 f, const v_open256 *o, int n) {
    if (f.sub == 16) return v_sra16(o->pairs[n], 8);
    return v_or(v_shr32(o->pairs[2 * n], 24), v_shl32(v_shr32(o->pairs[2 * n + 1], 24), 16));
}

LCY_INLINE void v_fill_k(v_panel256 *p, int r, v_format256 f, int blocks, v_tile t) {
    const v_shape256 s = v_shape_k(f);
    for (int i = 0; i < blocks; i++, v_advance(&t, f.bytes)) {
        const v_open256 o = v_open(f, &t);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            const v_group256 g = v_group(f, &t, j, &o);
            for (int c = 0; c < 8; c++)
                p->codes[i][8 * j + c][r] = s.sub == 256 ? v_fold(f, g.rows[c], g.scale[c / 4]) : g.rows[c];
            for (int c = 0; c < 32 / f.sub; c++) p->scale[i][32 / f.sub * j + c][r] = v_row_scale(g.scale[c]);
        }
        for (int n = 0; n < s.pairs; n++) p->pairs[i][n][r] = v_row_pairs(v_pairs_k(f, &o, n));
        p->d[i][r] = o.d;
        p->dmin[i][r] = o.dmin;
    }
}

#endif
