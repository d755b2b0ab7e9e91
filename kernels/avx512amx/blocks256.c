/* blocks256.c (avx512amx): products with formats of 256 weights to a block, but for IQ ones, for many tokens. */
#include "vec.h"

#include "../simd/blocks256.h"
#include "../simd/parts.h"
#include "tiles256.h"

AMX_PASS256(q2_k, v_shape_k(v_q2_k), 1)
AMX_PASS256(q3_k, v_shape_k(v_q3_k), 1)
AMX_PASS256(q4_k, v_shape_k(v_q4_k), 2)
AMX_PASS256(q6_k, v_shape_k(v_q6_k), 2)

#define AMX_MATMUL_K(name, type, planes, pass)                                                                       \
    AMX_SPAN256(name, v_shape_k(v_##name), planes, pass)                                                             \
    static void V_NAME(many_tokens_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride, \
                                           const void *x, int64_t x_stride, float *out, int64_t out_stride) {        \
        v_many256(amx_shape_of(v_shape_k(v_##name)), (size_t)v_##name.bytes, 1, V_NAME(fill_##name),                 \
                  V_NAME(tile_span_##name), k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);             \
    }                                                                                                                \
    AMX_MATMUL(name, type, amx_shape256)
AMX_MATMUL_K(q2_k, LCY_Q2_K, 1, pass_q2_k)
AMX_MATMUL_K(q3_k, LCY_Q3_K, 1, pass_q3_k)
AMX_MATMUL_K(q4_k, LCY_Q4_K, 2, pass_q4_k)
AMX_MATMUL_K(q5_k, LCY_Q5_K, 2, pass_q4_k)
AMX_MATMUL_K(q6_k, LCY_Q6_K, 2, pass_q6_k)

void lcy_fill_blocks256_avx512amx(lcy_kernels *k) {
    replace(k, LCY_Q2_K, V_NAME(tiles_q2_k));
    replace(k, LCY_Q3_K, V_NAME(tiles_q3_k));
    replace(k, LCY_Q4_K, V_NAME(tiles_q4_k));
    replace(k, LCY_Q5_K, V_NAME(tiles_q5_k));
    replace(k, LCY_Q6_K, V_NAME(tiles_q6_k));
}
