/* iq.c (avxvnni): products with codebook formats of 256 weights to a block. */
#include "vec.h"

#include "../avx2/iq.h"
#include "../simd/iq_rows.h"
#include "../simd/parts.h"

void lcy_fill_iq_avxvnni(lcy_kernels *k) {
    fill_iq(k);
}
