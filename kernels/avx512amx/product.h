/* product.h (avx512amx): a product that gives whole tiles of tokens to AMX, all else to the level below. */
#ifndef LCY_AVX512AMX_PRODUCT_H
#define LCY_AVX512AMX_PRODUCT_H

#include "../simd/below.h"
#include "../simd/panel.h"
#include "amx.h"

/* How many of the tokens meet tiles. The last tile of a pass may overlap the one before, so a pass of one tile's tokens is
 * the least; what a last pass has below that goes elsewhere, as do short rows with their own order. */
LCY_INLINE int64_t amx_tokens(int64_t k, int64_t tokens) {
    const int64_t last = tokens % V_PASS;
    return k < LCY_SHORT_ROW ? 0 : last < AMX_ROWS ? tokens - last : tokens;
}

/* many(k, rows, tokens, ...): with tiles of this shape */
LCY_INLINE void amx_matmul(const amx_shape *shape, lcy_matmul_fn many, lcy_matmul_fn other, int64_t k, int64_t rows,
                           int64_t tokens, const uint8_t *w, int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out,
                           int64_t out_stride) {
    const int64_t some = amx_tokens(k, tokens);
    if (some) {
        amx_configure(shape);
        many(k, rows, some, w, w_stride, x, x_stride, out, out_stride);
        amx_release();
    }
    if (some < tokens)
        other(k, rows, tokens - some, w, w_stride, x + some * x_stride, x_stride, out + some * out_stride, out_stride);
}

#define AMX_MATMUL(name, type, shape)                                                                                \
    static void V_NAME(tiles_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,       \
                                     const void *x, int64_t x_stride, float *out, int64_t out_stride) {              \
        amx_matmul(&(shape), V_NAME(many_tokens_##name), below[type], k, rows, tokens, w, w_stride, x, x_stride, out, \
                   out_stride);                                                                                      \
    }

/* The first of the AMX_ROWS tokens of the tile for token t on: t, but for the last tile, which overlaps the one before. */
LCY_INLINE int64_t amx_first(int64_t t, int64_t tokens) { return t + AMX_ROWS <= tokens ? t : tokens - AMX_ROWS; }

#endif
