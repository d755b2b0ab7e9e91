/*@isa arch=x86_64; rank=30; cflags=-mavx512bw -mavx512dq -mavx512vl -mavx512cd -mavx512vnni -mfma -mf16c; */
/* AVX-512 with VNNI: the kernels of kernels/x86/ in 512-bit registers. */
#include "lanes.h"
#include "vec.h"

#include "../ops/ops.h"
#include "../x86/attention.h"
#include "../x86/blocks256.h"
#include "../x86/blocks32.h"
#include "../x86/floats.h"
#include "../x86/peak.h"
#include "../x86/tables.h"
#include "fit.h"
#include "iq.h"
#include "../x86/k_rows.h"
#include "iq4_xs.h"
#include "../x86/quantize.h"
#include "../x86/iq_quantize.h"

static void fill(lcy_kernels *k) {
    fill_ops(k);
    fill_attention(k);
    fill_tables(k);
    fill_iq(k);
    k->matmul[LCY_IQ4_XS] = matmul_few_iq4_xs_avx512;
    fill_quantizers(k);
    fill_iq_quantizers(k);
    k->int8_peak = int8_peak_avx512;
    k->matmul[LCY_F32] = matmul_f32_avx512;
    k->matmul[LCY_F16] = matmul_f16_avx512;
    k->matmul[LCY_BF16] = matmul_bf16_avx512;
    k->matmul[LCY_Q4_0] = matmul_q4_0_avx512;
    k->matmul[LCY_Q4_1] = matmul_q4_1_avx512;
    k->matmul[LCY_Q5_0] = matmul_q5_0_avx512;
    k->matmul[LCY_Q5_1] = matmul_q5_1_avx512;
    k->matmul[LCY_Q8_0] = matmul_q8_0_avx512;
    k->matmul[LCY_Q2_K] = matmul_q2_k_avx512;
    k->matmul[LCY_Q3_K] = matmul_q3_k_avx512;
    k->matmul[LCY_Q4_K] = matmul_q4_k_avx512;
    k->matmul[LCY_Q5_K] = matmul_q5_k_avx512;
    k->matmul[LCY_Q6_K] = matmul_rows_q6_k_avx512;
}

const lcy_isa lcy_isa_avx512 = {
    "avx512", LCY_CPU_AVX2 | LCY_CPU_FMA | LCY_CPU_F16C | LCY_CPU_AVX512 | LCY_CPU_AVX512_VNNI, fill,
};
