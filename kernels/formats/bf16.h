/* BF16: the upper half of an F32, 2 bytes each.
 *
 * Activations are rounded to BF16 too, and the dot product has the order that vdpbf16ps (AVX512_BF16) has by nature: 16
 * lanes of two neighbours. Lane l takes elements 2 l + 1, then 2 l of each 32, every step one fma; then lcy_sum16. A row
 * ends as if zeros followed up to a multiple of 32. Numbers below 2^-126 are zeros of their sign, those read and those
 * that a step makes; "below" is decided after rounding to 24 bits.
 */
#ifndef LCY_FORMATS_BF16_H
#define LCY_FORMATS_BF16_H

#include "../lcy.h"
#include "../scalar.h"
#include "common/rows.h"

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

static inline float flush_bf16(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }

/* The scaled sum shows what was rounded up to 2^-126 only because a number below has fewer than 24 bits. */
static inline float step_bf16(float w, float x, float acc) {
    w = flush_bf16(w), x = flush_bf16(x);
    const float sum = fmaf(w, x, acc);
    if (fabsf(sum) > 0x1p-126f) return sum;
    return fabsf(fmaf(w * 0x1p32f, x * 0x1p32f, acc * 0x1p64f)) < 0x1p-62f ? copysignf(0, sum) : sum;
}

static float dot_bf16(int64_t n, const void *w, const void *x) {
    float a[16] = {0};
    for (int64_t i = 0; i < n; i += 32)
        for (int lane = 0; lane < 16; lane++)
            for (int64_t j = i + 2 * lane + 1; j >= i + 2 * lane; j--)
                a[lane] = step_bf16(j < n ? element_bf16(w, j) : 0, j < n ? element_bf16(x, j) : 0, a[lane]);
    for (int half = 8; half; half /= 2)
        for (int lane = 0; lane < half; lane++) a[lane] = flush_bf16(a[lane] + a[lane + half]);
    return a[0];
}

const lcy_format lcy_format_bf16 = {
    .type = LCY_BF16, .name = "bf16", .block = 1, .bytes = 2, .dot_with = LCY_BF16,
    .to_float = to_float_bf16, .from_float = from_float_bf16, .quantize = quantize_bf16, .dot = dot_bf16,
};

#endif
#endif
