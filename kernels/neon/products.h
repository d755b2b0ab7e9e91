/* products.h (neon): the products of quantized formats, for the levels that differ only in what vec.h may use. */
#ifndef LCY_NEON_PRODUCTS_H
#define LCY_NEON_PRODUCTS_H

#include "vec.h"

#include "../x86/blocks256.h"
#include "../x86/blocks32.h"
#include "../x86/peak.h"
#include "iq.h"

static inline void fill_products(lcy_kernels *k) {
    fill_iq(k);
    k->int8_peak = V_NAME(int8_peak);
    k->matmul[LCY_Q4_0] = V_NAME(matmul_q4_0);
    k->matmul[LCY_Q4_1] = V_NAME(matmul_q4_1);
    k->matmul[LCY_Q5_0] = V_NAME(matmul_q5_0);
    k->matmul[LCY_Q5_1] = V_NAME(matmul_q5_1);
    k->matmul[LCY_Q8_0] = V_NAME(matmul_q8_0);
    k->matmul[LCY_Q2_K] = V_NAME(matmul_q2_k);
    k->matmul[LCY_Q3_K] = V_NAME(matmul_q3_k);
    k->matmul[LCY_Q4_K] = V_NAME(matmul_q4_k);
    k->matmul[LCY_Q5_K] = V_NAME(matmul_q5_k);
    k->matmul[LCY_Q6_K] = V_NAME(matmul_q6_k);
}

#endif
