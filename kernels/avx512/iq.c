/* iq.c (avx512): products with codebook formats of 256 weights to a block. */
#include "vec.h"

#include "iq.h"
#include "../simd/iq_rows.h"
#include "../simd/parts.h"
#include "iq4_xs.h"

void lcy_fill_iq_avx512(lcy_kernels *k) {
    fill_iq(k);
    k->matmul[LCY_IQ4_XS] = matmul_few_iq4_xs_avx512;
}
