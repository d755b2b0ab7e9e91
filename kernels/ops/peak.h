/* peak: how fast bytes can be multiplied, in plain C. */
#ifndef LCY_OPS_PEAK_H
#define LCY_OPS_PEAK_H

#include "../kernels.h"

static int64_t int8_peak(int64_t rounds, int32_t *sink) {
    enum { N = 64 };
    uint8_t codes[N];
    int8_t x[N];
    int32_t sum = 0;
    for (int i = 0; i < N; i++) {
        codes[i] = (uint8_t)(i % 16);
        x[i] = (int8_t)(i - 30);
    }
    for (int64_t r = 0; r < rounds; r++) {
        for (int i = 0; i < N; i++) sum += codes[i] * x[i];
        x[r % N] = (int8_t)sum; /* or the compiler would do one round and multiply */
    }
    *sink = sum;
    return rounds * N;
}

#endif
