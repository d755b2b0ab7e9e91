/*@isa arch=x86_64; rank=20; cflags=-mavx2 -mfma -mf16c; */
/* AVX2: the kernels of kernels/simd/ in 256-bit registers, and the conversions, which wider ones would not speed up. */
#include "lanes.h"
#include "vec.h"

#include "turn.h"
#include "../ops/ops.h"
#include "../simd/attention.h"
#include "../simd/bf16.h"
#include "../simd/floats.h"
#include "../simd/parts.h"
#include "../simd/peak.h"
#include "../simd/tables.h"
#include "convert.h"

static void fill(lcy_kernels *k) {
    fill_ops(k);
    fill_attention(k);
    fill_tables(k);
    fill_floats(k);
    fill_bf16(k);
    fill_conversions(k);
    lcy_fill_blocks32_avx2(k);
    lcy_fill_blocks256_avx2(k);
    lcy_fill_iq_avx2(k);
    lcy_fill_quantizers_avx2(k);
    k->int8_peak = int8_peak_avx2;
}

const lcy_isa lcy_isa_avx2 = {
    "avx2", LCY_CPU_AVX2 | LCY_CPU_FMA | LCY_CPU_F16C, fill,
};
