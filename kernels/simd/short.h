/* short.h: rows below LCY_SHORT_ROW keep an order of their own (see lcy.h), and models that have them are small, so
 * plain C does them unless a kernel knows better. */
#ifndef LCY_SIMD_SHORT_H
#define LCY_SIMD_SHORT_H

#include "../kernels.h"

static inline void lcy_short_rows(lcy_dot_fn dot, int64_t k, int64_t rows, int64_t tokens, const uint8_t *w,
                                  int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t r = 0; r < rows; r++) out[t * out_stride + r] = dot(k, w + r * w_stride, x + t * x_stride);
}

/* The first lines of a product of format `name`: leaves it if the rows are short. */
#define LCY_SHORT_ROWS_FIRST(name)                                                                                   \
    extern const lcy_format lcy_format_##name;                                                                       \
    if (k < LCY_SHORT_ROW) {                                                                                         \
        lcy_short_rows(lcy_format_##name.dot, k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);           \
        return;                                                                                                      \
    }

#endif
