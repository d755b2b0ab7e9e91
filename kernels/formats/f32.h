/* F32: plain floats. The dot product's order is in common/lanes.h. */
#ifndef LCY_FORMATS_F32_H
#define LCY_FORMATS_F32_H

#include "../lcy.h"
#include "common/lanes.h"
#include "common/rows.h"

#ifdef LCY_REFERENCE

static inline float element_f32(const void *row, int64_t i) { return ((const float *)row)[i]; }

static void to_float_f32(int64_t n, float *y, const void *x) { memcpy(y, x, (size_t)n * 4); }

static void from_float_f32(int64_t n, void *y, const float *x) { memcpy(y, x, (size_t)n * 4); }

static lcy_status quantize_f32(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    (void)imatrix;
    return lcy_rows_of_elements(rows, n, (size_t)n * 4, y, x, from_float_f32);
}

static float dot_f32(int64_t n, const void *w, const void *x) {
    return lcy_dot_floats(n, w, x, element_f32, element_f32);
}

const lcy_format lcy_format_f32 = {
    .type = LCY_F32, .name = "f32", .block = 1, .bytes = 4, .dot_with = LCY_F32,
    .to_float = to_float_f32, .from_float = from_float_f32, .quantize = quantize_f32, .dot = dot_f32,
};

#endif
#endif
