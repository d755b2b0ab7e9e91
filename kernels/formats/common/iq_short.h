/* iq_short.h: the dot product of short rows (see lcy.h) for the codebook formats of 256 weights, in the order of the
 * reference.
 *
 * 8 lanes as short.h has them: a lane's sum over a block is an exact integer, scales included, and one fma per lane and
 * block adds it. lcy_sum8 and the format's factor end the row.
 */
#ifndef LCY_FORMATS_COMMON_IQ_SHORT_H
#define LCY_FORMATS_COMMON_IQ_SHORT_H

#include "iq_block.h"
#include "short.h"

/* The 8 exact lane sums of a block. */
static inline void lcy_iq_lane_sums(int32_t sum[8], const lcy_iq_block *b, const int8_t x[256]) {
    memset(sum, 0, 8 * sizeof *sum);
    for (int i = 0; i < 256; i++) sum[lcy_short_lane(i)] += b->scale[i / 16] * b->q[i] * x[i];
}

static inline float lcy_iq_dot_short(int64_t n, const void *w, const void *x, size_t bytes, lcy_iq_unpack_fn unpack,
                                     float factor) {
    const lcy_block_q8_k *a = x;
    lcy_iq_block b;
    int32_t sum[8];
    float acc[8] = {0};
    for (int64_t i = 0; i < n / 256; i++, a++) {
        unpack(&b, (const uint8_t *)w + (size_t)i * bytes);
        lcy_iq_lane_sums(sum, &b, a->q);
        lcy_short_step(8, acc, sum, b.d * a->d);
    }
    return lcy_sum8(acc) * factor;
}

/* IQ1: takes eighths, 8 v + shift with v -1, 0, 1 and shift -1, 1, apart. On return b holds the values v. */
static inline void lcy_iq_split_eighths(lcy_iq_block *b, int8_t shift[256]) {
    for (int i = 0; i < 256; i++) {
        shift[i] = (b->q[i] & 7) == 1 ? 1 : -1;
        b->q[i] = (int8_t)((b->q[i] - shift[i]) / 8);
    }
}

#endif
