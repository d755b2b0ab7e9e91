/* blocks256.c (avx2): products with formats of 256 weights to a block, but for IQ ones. */
#include "vec.h"

#include "iq.h"
#include "../simd/blocks256.h"
#include "../simd/k_rows.h"
#include "../simd/parts.h"

void lcy_fill_blocks256_avx2(lcy_kernels *k) {
    fill_blocks256(k);
    fill_k_rows(k);
}
