/* iq.c (avx2): products with codebook formats of 256 weights to a block. */
#include "vec.h"

#include "iq.h"
#include "../simd/iq_rows.h"
#include "../simd/parts.h"

void lcy_fill_iq_avx2(lcy_kernels *k) {
    fill_iq(k);
}
