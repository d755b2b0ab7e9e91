/*@isa arch=aarch64; rank=40; cflags=-march=armv8.2-a+dotprod+i8mm; */
/* NEON with products of byte matrices: quantized formats and many tokens; all else is that of the levels below. */
#include "../neon/products.h"

#include "pairs.h"

static void fill(lcy_kernels *k) {
    k->matmul[LCY_Q4_0] = matmul_pairs_q4_0;
    k->matmul[LCY_Q4_1] = matmul_pairs_q4_1;
    k->matmul[LCY_Q5_0] = matmul_pairs_q5_0;
    k->matmul[LCY_Q5_1] = matmul_pairs_q5_1;
    k->matmul[LCY_Q8_0] = matmul_pairs_q8_0;
    k->matmul[LCY_Q2_K] = matmul_pairs_q2_k;
    k->matmul[LCY_Q3_K] = matmul_pairs_q3_k;
    k->matmul[LCY_Q4_K] = matmul_pairs_q4_k;
    k->matmul[LCY_Q5_K] = matmul_pairs_q5_k;
    k->matmul[LCY_Q6_K] = matmul_pairs_q6_k;
    k->matmul[LCY_IQ1_S] = matmul_pairs_iq1_s;
    k->matmul[LCY_IQ1_M] = matmul_pairs_iq1_m;
    k->matmul[LCY_IQ2_XXS] = matmul_pairs_iq2_xxs;
    k->matmul[LCY_IQ2_XS] = matmul_pairs_iq2_xs;
    k->matmul[LCY_IQ2_S] = matmul_pairs_iq2_s;
    k->matmul[LCY_IQ3_XXS] = matmul_pairs_iq3_xxs;
    k->matmul[LCY_IQ3_S] = matmul_pairs_iq3_s;
    k->matmul[LCY_IQ4_NL] = matmul_pairs_iq4_nl;
    k->matmul[LCY_IQ4_XS] = matmul_pairs_iq4_xs;
}

const lcy_isa lcy_isa_i8mm = {"i8mm", LCY_CPU_NEON | LCY_CPU_DOTPROD | LCY_CPU_I8MM, fill};
