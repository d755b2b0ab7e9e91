/* blocks32.c (avx2): products with formats of 32 weights to a block. */
#include "vec.h"

#include "../simd/blocks32.h"
#include "../simd/iq4_nl_short.h"
#include "../simd/parts.h"

void lcy_fill_blocks32_avx2(lcy_kernels *k) {
    fill_blocks32(k);
    fill_iq4_nl(k);
}
