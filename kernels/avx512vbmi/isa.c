/*@isa arch=x86_64; rank=35; cflags=-mavx512bw -mavx512dq -mavx512vl -mavx512cd -mavx512vnni -mavx512vbmi -mfma -mf16c; */
/* AVX-512 with VBMI, which looks 64 bytes up at once: the formats with a codebook for one token; all else is AVX-512's. */
#include "../simd/below.h"
#include "iq1.h"
#include "iq2.h"
#include "iq3.h"

#define LCY_ONE_TOKEN(name, type)                                                                                     \
    static void matmul_##name##_vbmi(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,        \
                                     const void *x, int64_t x_stride, float *out, int64_t out_stride) {               \
        if (tokens != 1 || k < LCY_SHORT_ROW || k > 256 * LCY_VBMI_BLOCKS)                                            \
            below[type](k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);                                  \
        else                                                                                                          \
            lcy_vbmi_rows(k / 256, rows, w, w_stride, x, out, &lcy_vbmi_##name);                                      \
    }
LCY_ONE_TOKEN(iq1_s, LCY_IQ1_S)
LCY_ONE_TOKEN(iq1_m, LCY_IQ1_M)
LCY_ONE_TOKEN(iq2_xxs, LCY_IQ2_XXS)
LCY_ONE_TOKEN(iq2_xs, LCY_IQ2_XS)
LCY_ONE_TOKEN(iq2_s, LCY_IQ2_S)
LCY_ONE_TOKEN(iq3_xxs, LCY_IQ3_XXS)
LCY_ONE_TOKEN(iq3_s, LCY_IQ3_S)

static void fill(lcy_kernels *k) {
    replace(k, LCY_IQ1_S, matmul_iq1_s_vbmi);
    replace(k, LCY_IQ1_M, matmul_iq1_m_vbmi);
    replace(k, LCY_IQ2_XXS, matmul_iq2_xxs_vbmi);
    replace(k, LCY_IQ2_XS, matmul_iq2_xs_vbmi);
    replace(k, LCY_IQ2_S, matmul_iq2_s_vbmi);
    replace(k, LCY_IQ3_XXS, matmul_iq3_xxs_vbmi);
    replace(k, LCY_IQ3_S, matmul_iq3_s_vbmi);
}

const lcy_isa lcy_isa_avx512vbmi = {
    "avx512vbmi",
    LCY_CPU_AVX2 | LCY_CPU_FMA | LCY_CPU_F16C | LCY_CPU_AVX512 | LCY_CPU_AVX512_VNNI | LCY_CPU_AVX512_VBMI, fill,
};
