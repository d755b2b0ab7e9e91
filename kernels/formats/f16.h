/* F16: IEEE half floats, 2 bytes each.
 *
 * Rows of a multiple of 16 meet the activations as they are (F32). Other rows round them to F16 first and end in
 * double: products of two halves are exact there.
 */
#ifndef LCY_FORMATS_F16_H
#define LCY_FORMATS_F16_H

#include "../lcy.h"
#include "common/lanes.h"
#include "common/rows.h"
#include "f32.h"

#ifdef LCY_REFERENCE

static inline float element_f16(const void *row, int64_t i) { return lcy_f16_to_f32(((const uint16_t *)row)[i]); }

static inline float activation_f16(const void *row, int64_t i) {
    return lcy_f16_to_f32(lcy_f32_to_f16(((const float *)row)[i]));
}

static void to_float_f16(int64_t n, float *y, const void *x) {
    for (int64_t i = 0; i < n; i++) y[i] = element_f16(x, i);
}

static void from_float_f16(int64_t n, void *y, const float *x) {
    uint16_t *out = y;
    for (int64_t i = 0; i < n; i++) out[i] = lcy_f32_to_f16(x[i]);
}

static lcy_status quantize_f16(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    (void)imatrix;
    return lcy_rows_of_elements(rows, n, (size_t)n * 2, y, x, from_float_f16);
}

static float dot_f16(int64_t n, const void *w, const void *x) {
    if (n % 16 == 0) return lcy_dot_lanes16(n, w, x, element_f16, element_f32);
    double sum = lcy_dot_lanes64(n, w, x, element_f16, activation_f16);
    for (int64_t i = n - n % 64; i < n; i++) sum += (double)element_f16(w, i) * activation_f16(x, i);
    return (float)sum;
}

const lcy_format lcy_format_f16 = {
    .type = LCY_F16, .name = "f16", .block = 1, .bytes = 2, .dot_with = LCY_F32,
    .to_float = to_float_f16, .from_float = from_float_f16, .quantize = quantize_f16, .dot = dot_f16,
};

#endif
#endif
