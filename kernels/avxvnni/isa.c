/*@isa arch=x86_64; rank=25; cflags=-mavx2 -mfma -mf16c -mavxvnni; stand_in=-mno-avxvnni -mavx512vl -mavx512vnni; */
/* AVX-VNNI, for processors without AVX-512: the products of quantized formats again; all else is AVX2's. */
#include "vec.h"

#include "../simd/parts.h"
#include "../simd/peak.h"

static void fill(lcy_kernels *k) {
    lcy_fill_blocks32_avxvnni(k);
    lcy_fill_blocks256_avxvnni(k);
    lcy_fill_iq_avxvnni(k);
    k->int8_peak = int8_peak_avxvnni;
}

const lcy_isa lcy_isa_avxvnni = {
    "avxvnni", LCY_CPU_AVX2 | LCY_CPU_FMA | LCY_CPU_F16C | LCY_CPU_AVX_VNNI, fill,
};
