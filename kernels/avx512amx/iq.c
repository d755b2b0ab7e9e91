/* iq.c (avx512amx): products with codebook formats of 256 weights to a block, for many tokens. */
#include "vec.h"

#include "../avx512/iq.h"
#include "../simd/iq_rows.h"
#include "../simd/parts.h"
#include "tiles256.h"

AMX_PASS256(iq, (v_shape256){0}, 2)

#define AMX_MATMUL_IQ(name, type)                                                                                    \
    AMX_SPAN256(name, v_shape_iq(&lcy_traits_##name), 2, pass_iq)                                                    \
    static void V_NAME(many_tokens_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride, \
                                           const void *x, int64_t x_stride, float *out, int64_t out_stride) {        \
        v_many256(amx_shape_of(v_shape_iq(&lcy_traits_##name)), lcy_traits_##name.bytes, lcy_traits_##name.factor,   \
                  V_NAME(fill_##name), V_NAME(tile_span_##name), k, rows, tokens, w, w_stride, x, x_stride, out,     \
                  out_stride);                                                                                       \
    }                                                                                                                \
    AMX_MATMUL(name, type, amx_shape256)
AMX_MATMUL_IQ(iq1_s, LCY_IQ1_S)
AMX_MATMUL_IQ(iq1_m, LCY_IQ1_M)
AMX_MATMUL_IQ(iq2_xxs, LCY_IQ2_XXS)
AMX_MATMUL_IQ(iq2_xs, LCY_IQ2_XS)
AMX_MATMUL_IQ(iq2_s, LCY_IQ2_S)
AMX_MATMUL_IQ(iq3_xxs, LCY_IQ3_XXS)
AMX_MATMUL_IQ(iq3_s, LCY_IQ3_S)
AMX_MATMUL_IQ(iq4_xs, LCY_IQ4_XS)

void lcy_fill_iq_avx512amx(lcy_kernels *k) {
    replace(k, LCY_IQ1_S, V_NAME(tiles_iq1_s));
    replace(k, LCY_IQ1_M, V_NAME(tiles_iq1_m));
    replace(k, LCY_IQ2_XXS, V_NAME(tiles_iq2_xxs));
    replace(k, LCY_IQ2_XS, V_NAME(tiles_iq2_xs));
    replace(k, LCY_IQ2_S, V_NAME(tiles_iq2_s));
    replace(k, LCY_IQ3_XXS, V_NAME(tiles_iq3_xxs));
    replace(k, LCY_IQ3_S, V_NAME(tiles_iq3_s));
    replace(k, LCY_IQ4_XS, V_NAME(tiles_iq4_xs));
}
