/* products.h (neon): the products of quantized formats, for the levels that differ only in what vec.h may use. */
#ifndef LCY_NEON_PRODUCTS_H
#define LCY_NEON_PRODUCTS_H

#include "vec.h"

#include "../simd/blocks256.h"
#include "../simd/blocks32.h"
#include "../simd/peak.h"
#include "iq.h"

static inline void fill_products(lcy_kernels *k) {
    fill_blocks32(k);
    fill_blocks256(k);
    fill_iq(k);
    k->int8_peak = V_NAME(int8_peak);
}

#endif
