/*@isa arch=x86_64; rank=50; cflags=-mamx-tile -mamx-int8 -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c; stand_in=; */
/* AMX: products of quantized weights for 16 tokens and more; all else is what AVX-512 does. */
#include "vec.h"

#include "../simd/parts.h"
#include "amx.h"

/* All tiles stay in registers: four sums, two times two factors. */
static int64_t int8_peak_avx512amx(int64_t rounds, int32_t *sink) {
    static const amx_shape whole = {
        .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16},
    };
    enum { EACH = AMX_ROWS * 16 * AMX_BYTES }; /* multiply-adds of a product of whole tiles */
    _Alignas(64) uint8_t ones[AMX_ROWS][AMX_BYTES];
    _Alignas(64) int32_t sums[AMX_ROWS][16];
    memset(ones, 1, sizeof ones);
    amx_configure(&whole);
    amx_zero(0);
    amx_zero(1);
    amx_zero(2);
    amx_zero(3);
    amx_load(4, ones, AMX_BYTES);
    amx_load(5, ones, AMX_BYTES);
    amx_load(6, ones, AMX_BYTES);
    amx_load(7, ones, AMX_BYTES);
    for (int64_t r = 0; r < rounds; r++) {
        amx_add_unsigned(0, 4, 6);
        amx_add_unsigned(1, 5, 6);
        amx_add_unsigned(2, 4, 7);
        amx_add_unsigned(3, 5, 7);
    }
    amx_store(0, sums, AMX_BYTES);
    amx_release();
    *sink = sums[0][0];
    return rounds * 4 * EACH;
}

static void fill(lcy_kernels *k) {
    lcy_fill_blocks32_avx512amx(k);
    lcy_fill_blocks256_avx512amx(k);
    lcy_fill_iq_avx512amx(k);
    k->int8_peak = int8_peak_avx512amx;
}

const lcy_isa lcy_isa_avx512amx = {
    "avx512amx",
    LCY_CPU_AVX2 | LCY_CPU_FMA | LCY_CPU_F16C | LCY_CPU_AVX512 | LCY_CPU_AVX512_VNNI | LCY_CPU_AMX_INT8, fill,
};
