/* peak.h: the products of many-token kernels without their loads: all operands stay in registers. */
#ifndef LCY_SIMD_PEAK_H
#define LCY_SIMD_PEAK_H

#include "../kernels.h"

static int64_t V_NAME(int8_peak)(int64_t rounds, int32_t *sink) {
    enum { CHAINS = V_ROWS == 16 ? 12 : 6, CODES = 4, MOST = 15 };
    _Alignas(64) int32_t all[V_ROWS];
    int8_t x[4 * CODES];
    vi acc[CHAINS], codes[CODES];
    for (int i = 0; i < CHAINS; i++) acc[i] = v_zero();
    for (int i = 0; i < CODES; i++) codes[i] = v_set8(i + 1);
    for (int i = 0; i < 4 * CODES; i++) x[i] = (int8_t)(i - 7);
    for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
#pragma GCC unroll 4
            for (int g = 0; g < CODES; g++) v_hide(&codes[g]); /* or one product would do for all chains */
            acc[i] = v_dot_rows(acc[i], codes, CODES, x, MOST);
        }
    for (int i = 1; i < CHAINS; i++) acc[0] = v_add32(acc[0], acc[i]);
    v_store(all, acc[0]);
    *sink = all[0];
    return rounds * CHAINS * CODES * 4 * V_ROWS;
}

#endif
