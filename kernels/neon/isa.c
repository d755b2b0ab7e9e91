/*@isa arch=aarch64; rank=20; cflags=; */
/* NEON, which every aarch64 has: the kernels of kernels/simd/ in pairs of 128-bit registers, conversions, quantizers. */
#include "lanes.h"
#include "vec.h"

#include "turn.h"
#include "../ops/ops.h"
#include "../simd/attention.h"
#include "../simd/bf16.h"
#include "../simd/floats.h"
#include "../simd/tables.h"
#include "convert.h"
#include "products.h"
#include "quantize.h"

static void fill(lcy_kernels *k) {
    fill_ops(k);
    fill_attention(k);
    fill_tables(k);
    fill_floats(k);
    fill_bf16(k);
    fill_products(k);
    fill_conversions(k);
    lcy_neon_fill_quantizers(k);
}

const lcy_isa lcy_isa_neon = {"neon", LCY_CPU_NEON, fill};
