/* lanes.h: the fixed order of a dot product of floats (weights F32, F16; activations F32).
 *
 *   n % 16 == 0   lane l sums the products of l, l + 16, l + 32, ... by fma; lcy_sum16 ends it.
 *   otherwise     blocks of 64: accumulator j (0..3), lane l takes element 16 j + l; (a0 + a2) + (a1 + a3) by lane,
 *                 then lcy_sum16. What is left after the blocks of 64 is added one by one by the caller.
 * Wide registers hold exactly these lanes, which is why the order looks like this.
 */
#ifndef LCY_FORMATS_COMMON_LANES_H
#define LCY_FORMATS_COMMON_LANES_H

#include "../../scalar.h"

/* element i of a packed row as f32 */
typedef float (*lcy_element_fn)(const void *row, int64_t i);

static inline float lcy_dot_lanes16(int64_t n, const void *w, const void *x, lcy_element_fn wi, lcy_element_fn xi) {
    float a[16] = {0};
    for (int64_t i = 0; i < n; i++) a[i % 16] = fmaf(wi(w, i), xi(x, i), a[i % 16]);
    return lcy_sum16(a);
}

/* the n - n % 64 first elements */
static inline float lcy_dot_lanes64(int64_t n, const void *w, const void *x, lcy_element_fn wi, lcy_element_fn xi) {
    float a[64] = {0}, sum[16];
    for (int64_t i = 0; i < n - n % 64; i++) a[i % 64] = fmaf(wi(w, i), xi(x, i), a[i % 64]);
    for (int l = 0; l < 16; l++) sum[l] = (a[l] + a[l + 32]) + (a[l + 16] + a[l + 48]);
    return lcy_sum16(sum);
}

/* The rule of F32: leftovers are multiplied, then added. */
static inline float lcy_dot_floats(int64_t n, const void *w, const void *x, lcy_element_fn wi, lcy_element_fn xi) {
    if (n % 16 == 0) return lcy_dot_lanes16(n, w, x, wi, xi);
    float sum = lcy_dot_lanes64(n, w, x, wi, xi);
    for (int64_t i = n - n % 64; i < n; i++) sum += wi(w, i) * xi(x, i);
    return sum;
}

#endif
