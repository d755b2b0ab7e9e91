/* BF16: the upper half of an F32, 2 bytes each. Widened, then as F32. */
#ifndef LCY_FORMATS_BF16_H
#define LCY_FORMATS_BF16_H

#include "../lcy.h"
#include "common/lanes.h"
#include "common/rows.h"
#include "f32.h"

#ifdef LCY_REFERENCE

static inline float element_bf16(const void *row, int64_t i) { return lcy_bf16_to_f32(((const uint16_t *)row)[i]); }

static void to_float_bf16(int64_t n, float *y, const void *x) {
    for (int64_t i = 0; i < n; i++) y[i] = element_bf16(x, i);
}

static void from_float_bf16(int64_t n, void *y, const float *x) {
    uint16_t *out = y;
    for (int64_t i = 0; i < n; i++) out[i] = lcy_f32_to_bf16(x[i]);
}

static lcy_status quantize_bf16(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    (void)imatrix;
    return lcy_rows_of_elements(rows, n, (size_t)n * 2, y, x, from_float_bf16);
}

static float dot_bf16(int64_t n, const void *w, const void *x) {
    return lcy_dot_floats(n, w, x, element_bf16, element_f32);
}

const lcy_format lcy_format_bf16 = {
    .type = LCY_BF16, .name = "bf16", .block = 1, .bytes = 2, .dot_with = LCY_F32,
    .to_float = to_float_bf16, .from_float = from_float_bf16, .quantize = quantize_bf16, .dot = dot_bf16,
};

#endif
#endif
