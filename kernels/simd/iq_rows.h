/* iq_rows.h: products of rows with the codebook formats of iq.h. Needs a vec.h and an ISA's iq.h.
 *
 * One token: iq_row.h, one row at a time. More tokens: iq_many.h. Short rows: iq_short.h.
 */
#ifndef LCY_SIMD_IQ_ROWS_H
#define LCY_SIMD_IQ_ROWS_H

#include "iq_many.h"
#include "iq_row.h"
#include "iq_short.h"
#if V_PANELS
#include "panel_iq.h"
#endif

LCY_INLINE void lcy_iq_matmul(int64_t k, int64_t rows, int64_t tokens, const uint8_t *w, int64_t w_stride,
                              const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride,
                              const lcy_iq_traits *f) {
    if (tokens > 1 && rows >= V_ROWS) {
        lcy_iq_matmul_many(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride, f);
        return;
    }
    for (int64_t r = 0; r < rows; r++, w += w_stride)
        for (int64_t t = 0; t < tokens; t++)
            out[t * out_stride + r] = lcy_iq_row(k / 256, w, (const void *)(x + t * x_stride), f);
}

#if V_PANELS
#define LCY_IQ_MANY(name)                                                                                            \
    static __attribute__((noinline)) void V_NAME(fill_##name)(v_panel256 *p, int r, int blocks, v_tile t) {          \
        v_fill_iq(p, r, &lcy_traits_##name, blocks, t);                                                              \
    }                                                                                                                \
    V_SPAN256_FN(name, v_shape_iq(&lcy_traits_##name))                                                               \
    static void V_NAME(many_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,        \
                                    const void *x, int64_t x_stride, float *out, int64_t out_stride) {               \
        v_many256(v_shape_iq(&lcy_traits_##name), lcy_traits_##name.bytes, lcy_traits_##name.factor,                 \
                  V_NAME(fill_##name), V_NAME(span_##name), k, rows, tokens, w, w_stride, x, x_stride, out,          \
                  out_stride);                                                                                       \
    }
#define LCY_IQ_MANY_FN(name) V_NAME(many_##name)
#else
#define LCY_IQ_MANY(name)
#define LCY_IQ_MANY_FN(name) NULL
#endif

#define LCY_IQ_MATMUL(name)                                                                                          \
    LCY_IQ_MANY(name)                                                                                                \
    static void V_NAME(matmul_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,      \
                                      const void *x, int64_t x_stride, float *out, int64_t out_stride) {             \
        static const lcy_matmul_fn many = LCY_IQ_MANY_FN(name);                                                      \
        if (k < LCY_SHORT_ROW)                                                                                       \
            V_NAME(short_rows_##name)(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);                   \
        else if (many && tokens >= V_MANY) many(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);         \
        else lcy_iq_matmul(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride, &lcy_traits_##name);          \
    }
LCY_IQ_MATMUL(iq1_s)
LCY_IQ_MATMUL(iq1_m)
LCY_IQ_MATMUL(iq2_xxs)
LCY_IQ_MATMUL(iq2_xs)
LCY_IQ_MATMUL(iq2_s)
LCY_IQ_MATMUL(iq3_xxs)
LCY_IQ_MATMUL(iq3_s)
LCY_IQ_MATMUL(iq4_xs)

static inline void fill_iq(lcy_kernels *k) {
    k->matmul[LCY_IQ1_S] = V_NAME(matmul_iq1_s);
    k->matmul[LCY_IQ1_M] = V_NAME(matmul_iq1_m);
    k->matmul[LCY_IQ2_XXS] = V_NAME(matmul_iq2_xxs);
    k->matmul[LCY_IQ2_XS] = V_NAME(matmul_iq2_xs);
    k->matmul[LCY_IQ2_S] = V_NAME(matmul_iq2_s);
    k->matmul[LCY_IQ3_XXS] = V_NAME(matmul_iq3_xxs);
    k->matmul[LCY_IQ3_S] = V_NAME(matmul_iq3_s);
    k->matmul[LCY_IQ4_XS] = V_NAME(matmul_iq4_xs);
}

#endif
