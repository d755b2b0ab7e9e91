/*@isa arch=x86_64; rank=25; cflags=-mavx2 -mfma -mf16c -mavxvnni; stand_in=-mavx2 -mfma -mf16c -mavx512vl -mavx512vnni; */
/* AVX-VNNI, for processors without AVX-512: the products of quantized formats again; all else is AVX2's. */
#include "vec.h"

#include "../x86/blocks256.h"
#include "../x86/blocks32.h"
#include "../x86/peak.h"
#include "../avx2/iq.h"
#include "../x86/k_rows.h"

static void fill(lcy_kernels *k) {
    fill_iq(k);
    k->int8_peak = int8_peak_avxvnni;
    k->matmul[LCY_Q4_0] = matmul_q4_0_avxvnni;
    k->matmul[LCY_Q4_1] = matmul_q4_1_avxvnni;
    k->matmul[LCY_Q5_0] = matmul_q5_0_avxvnni;
    k->matmul[LCY_Q5_1] = matmul_q5_1_avxvnni;
    k->matmul[LCY_Q8_0] = matmul_q8_0_avxvnni;
    k->matmul[LCY_Q2_K] = matmul_q2_k_avxvnni;
    k->matmul[LCY_Q3_K] = matmul_q3_k_avxvnni;
    k->matmul[LCY_Q4_K] = matmul_q4_k_avxvnni;
    k->matmul[LCY_Q5_K] = matmul_q5_k_avxvnni;
    k->matmul[LCY_Q6_K] = matmul_rows_q6_k_avxvnni;
}

const lcy_isa lcy_isa_avxvnni = {
    "avxvnni", LCY_CPU_AVX2 | LCY_CPU_FMA | LCY_CPU_F16C | LCY_CPU_AVX_VNNI, fill,
};
