/* Q8_K: activations for the 256-blocks. The element of largest magnitude becomes -127, so d has the sign of -max.
 * y = d * q; sums[j] = q[16 j] + ... + q[16 j + 15]. Never in files. */
#ifndef LCY_FORMATS_Q8_K_H
#define LCY_FORMATS_Q8_K_H

#include "../lcy.h"
#include "common/fit.h"
#include "common/rows.h"

typedef struct {
    float d;
    int8_t q[256];
    int16_t sums[16];
} lcy_block_q8_k;
LCY_SIZE(lcy_block_q8_k, 292);

#ifdef LCY_REFERENCE

static void activation_block_q8_k(void *y, const float *x, const float *weights) {
    lcy_block_q8_k *b = y;
    const float peak = lcy_peak(256, x), s = -127 / peak;
    (void)weights;
    if (peak == 0) {
        memset(b, 0, sizeof *b);
        return;
    }
    b->d = 1 / s;
    for (int j = 0; j < 16; j++) {
        int sum = 0;
        for (int i = 16 * j; i < 16 * j + 16; i++) {
            const int q = lcy_nearest(s * x[i]);
            b->q[i] = (int8_t)(q < 127 ? q : 127);
            sum += b->q[i];
        }
        b->sums[j] = (int16_t)sum;
    }
}

static void from_float_q8_k(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 256, sizeof(lcy_block_q8_k), y, x, activation_block_q8_k);
}

const lcy_format lcy_format_q8_k = {
    .type = LCY_Q8_K, .name = "q8_K", .block = 256, .bytes = 292, .dot_with = LCY_Q8_K, .from_float = from_float_q8_k,
};

#endif
#endif
