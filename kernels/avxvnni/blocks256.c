/* blocks256.c (avxvnni): products with formats of 256 weights to a block, but for IQ ones. */
#include "vec.h"

#include "../avx2/iq.h"
#include "../x86/blocks256.h"
#include "../x86/k_rows.h"
#include "../x86/parts.h"

void lcy_fill_blocks256_avxvnni(lcy_kernels *k) {
    fill_blocks256(k);
    fill_k_rows(k);
}
