/*@isa arch=x86_64; rank=30; cflags=-mavx512bw -mavx512dq -mavx512vl -mavx512cd -mavx512vnni -mfma -mf16c; */
/* AVX-512 with VNNI: the kernels of kernels/simd/ in 512-bit registers. */
#include "lanes.h"
#include "vec.h"

#include "../avx2/turn.h"
#include "../ops/ops.h"
#include "../simd/attention.h"
#include "../simd/bf16.h"
#include "../simd/floats.h"
#include "../simd/parts.h"
#include "../simd/peak.h"
#include "../simd/tables.h"

static void fill(lcy_kernels *k) {
    fill_ops(k);
    fill_attention(k);
    fill_tables(k);
    fill_floats(k);
    fill_bf16(k);
    lcy_fill_blocks32_avx512(k);
    lcy_fill_blocks256_avx512(k);
    lcy_fill_iq_avx512(k);
    lcy_fill_quantizers_avx512(k);
    k->int8_peak = int8_peak_avx512;
}

const lcy_isa lcy_isa_avx512 = {
    "avx512", LCY_CPU_AVX2 | LCY_CPU_FMA | LCY_CPU_F16C | LCY_CPU_AVX512 | LCY_CPU_AVX512_VNNI, fill,
};
