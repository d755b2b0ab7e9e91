/* below.h: for a level that has products for some calls only: all others go to the level below. */
#ifndef LCY_SIMD_BELOW_H
#define LCY_SIMD_BELOW_H

#include "../kernels.h"

/* What the level below offers. Every call of a level's fill finds the same. */
static _Atomic(lcy_matmul_fn) below[LCY_TYPE_COUNT];

static void replace(lcy_kernels *k, lcy_type type, lcy_matmul_fn matmul) {
    below[type] = k->matmul[type];
    k->matmul[type] = matmul;
}

#endif
