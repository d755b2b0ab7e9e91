/* blocks256.c (avxvnni): products with formats of 256 weights to a block, but for IQ ones. */
#include "vec.h"

#include "../avx2/iq.h"
#include "../simd/blocks256.h"
#include "../simd/k_rows.h"
#include "../simd/parts.h"

void lcy_fill_blocks256_avxvnni(lcy_kernels *k) {
    fill_blocks256(k);
    fill_k_rows(k);
}
