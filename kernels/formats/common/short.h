/* short.h: the order of a dot product for rows below LCY_SHORT_ROW, that of the reference's 256-bit kernels. lcy.h says
 * why short rows have one of their own.
 *
 *   products   8 lanes, lane = i % 32 / 4 for weight i of a block. The integer sum of a lane over a block, sub-block
 *              scales included, is exact; then lane = fma(isum, dw_b * dx_b, lane), the product of scales rounded to
 *              f32 first; lcy_sum8 ends it.
 *   minimums   each format its own way: its dot_short says which.
 */
#ifndef LCY_FORMATS_COMMON_SHORT_H
#define LCY_FORMATS_COMMON_SHORT_H

#include "../../scalar.h"

/* lane of weight i */
static inline int lcy_short_lane(int i) { return i % 32 / 4; }

/* One block into the n lanes: lane = fma(isum, d, lane). */
static inline void lcy_short_step(int n, float *lane, const int32_t *isum, float d) {
    for (int l = 0; l < n; l++) lane[l] = fmaf((float)isum[l], d, lane[l]);
}

/* 4 -> 1: the end of lcy_sum8 */
static inline float lcy_sum4(const float a[4]) { return (a[0] + a[2]) + (a[1] + a[3]); }

#endif
