/*@isa arch=x86_64; rank=33; cflags=-mavx512bw -mavx512dq -mavx512vl -mavx512cd -mavx512vnni -mavx512bf16 -mfma -mf16c; */
/* AVX-512 with products of BF16: that format; all else is AVX-512's. */
#include "../avx512/lanes.h"

#undef LANES_NAME
#undef BF16_ROWS
#undef BF16_TOKENS
#define LANES_NAME(name) name##_avx512bf16
#define BF16_ROWS 6 /* sums need no registers beside them: a tile may be larger */
#define BF16_TOKENS 4

#include "pairs.h"

#include "../simd/bf16.h"

const lcy_isa lcy_isa_avx512bf16 = {
    "avx512bf16",
    LCY_CPU_AVX2 | LCY_CPU_FMA | LCY_CPU_F16C | LCY_CPU_AVX512 | LCY_CPU_AVX512_VNNI | LCY_CPU_AVX512_BF16, fill_bf16,
};
