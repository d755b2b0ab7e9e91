/* floats.h: products with F32 and F16 weights. Needs a lanes.h.
 *
 * A register of 16 lanes is exactly what formats/common/lanes.h sums in. Several rows and tokens at a time share the
 * loads and hide the latency of the sums, which are one chain per row and token.
 */
#ifndef LCY_SIMD_FLOATS_H
#define LCY_SIMD_FLOATS_H

#include "../kernels.h"
#include "../scalar.h"
#include "ask.h"

#define FLOATS_INLINE static inline __attribute__((always_inline))

typedef struct {
    int bytes;                       /* of an element */
    int odd_as_halves;               /* rows of no multiple of 16 meet activations rounded to f16, and end in double */
    lanes (*load)(const uint8_t *p); /* 16 elements */
    float (*element)(const uint8_t *p);
} float_weights;

FLOATS_INLINE lanes load_f32(const uint8_t *p) { return lanes_load((const float *)p); }
FLOATS_INLINE lanes load_f16(const uint8_t *p) { return lanes_halves((const uint16_t *)p); }
FLOATS_INLINE float element_f32(const uint8_t *p) { float x; memcpy(&x, p, 4); return x; }
FLOATS_INLINE float element_f16(const uint8_t *p) { uint16_t h; memcpy(&h, p, 2); return lcy_f16_to_f32(h); }

enum {
    FLOATS_ROWS_ONE = 2, /* of a tile for one token: memory gives two streams a quarter more than four or six */
    FLOATS_SOONER = 4096,
};

/* out[t][r] for rows x tokens, both constants; k % 16 == 0 */
FLOATS_INLINE void floats_tile(float_weights f, int rows, int tokens, int64_t k, const uint8_t *w, int64_t w_stride,
                               const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    lanes acc[FLOATS_ROWS][FLOATS_TOKENS];
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < tokens; t++) acc[r][t] = lanes_same(0);
    for (int64_t i = 0; i < k; i += 16) {
        lanes xs[FLOATS_TOKENS];
        for (int t = 0; t < tokens; t++) xs[t] = lanes_load((const float *)(x + t * x_stride) + i);
        lcy_ask(w + rows * (w_stride + i * f.bytes), rows * 16 * f.bytes, FLOATS_SOONER); /* of the next tile */
        for (int r = 0; r < rows; r++) {
            const lanes ws = f.load(w + r * w_stride + i * f.bytes);
            for (int t = 0; t < tokens; t++) acc[r][t] = lanes_fma(ws, xs[t], acc[r][t]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < tokens; t++) out[t * out_stride + r] = sum_folded(lanes_fold(acc[r][t]));
}

/* one row, one token, any k */
FLOATS_INLINE float floats_odd(float_weights f, int64_t k, const uint8_t *w, const float *x) {
    const int64_t whole = k - k % 64;
    lanes a[4];
    for (int j = 0; j < 4; j++) a[j] = lanes_same(0);
    for (int64_t i = 0; i < whole; i += 16) {
        const lanes xs = f.odd_as_halves ? lanes_through_half(lanes_load(x + i)) : lanes_load(x + i);
        a[i / 16 % 4] = lanes_fma(f.load(w + i * f.bytes), xs, a[i / 16 % 4]);
    }
    const float sum = sum_folded(lanes_fold(lanes_add(lanes_add(a[0], a[2]), lanes_add(a[1], a[3]))));
    if (!f.odd_as_halves) {
        float all = sum;
        for (int64_t i = whole; i < k; i++) all += f.element(w + i * f.bytes) * x[i];
        return all;
    }
    double all = sum;
    for (int64_t i = whole; i < k; i++)
        all += (double)f.element(w + i * f.bytes) * lcy_f16_to_f32(lcy_f32_to_f16(x[i]));
    return (float)all;
}

/* Tokens that stay in the second-level cache while all rows pass by. */
enum { FLOATS_CACHE = 448 << 10 };

FLOATS_INLINE int64_t floats_block(int64_t k) {
    const int64_t fit = FLOATS_CACHE / (4 * k + 1) / FLOATS_TOKENS;
    return FLOATS_TOKENS * (fit < 4 ? 4 : fit);
}

/* rows (a constant) by all tokens of a block */
FLOATS_INLINE void floats_rows(float_weights f, int rows, int64_t k, int64_t tokens, const uint8_t *w, int64_t w_stride,
                               const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    int64_t t = 0;
    for (; t + FLOATS_TOKENS <= tokens; t += FLOATS_TOKENS)
        floats_tile(f, rows, FLOATS_TOKENS, k, w, w_stride, x + t * x_stride, x_stride, out + t * out_stride, out_stride);
    for (; FLOATS_TOKENS > 2 && t + 2 <= tokens; t += 2)
        floats_tile(f, rows, 2, k, w, w_stride, x + t * x_stride, x_stride, out + t * out_stride, out_stride);
    for (; t < tokens; t++)
        floats_tile(f, rows, 1, k, w, w_stride, x + t * x_stride, x_stride, out + t * out_stride, out_stride);
}

FLOATS_INLINE void floats_one(float_weights f, int64_t k, int64_t rows, const uint8_t *w, int64_t w_stride, const uint8_t *x,
                              int64_t x_stride, float *out, int64_t out_stride) {
    int64_t r = 0;
    for (; r + FLOATS_ROWS_ONE <= rows; r += FLOATS_ROWS_ONE)
        floats_tile(f, FLOATS_ROWS_ONE, 1, k, w + r * w_stride, w_stride, x, x_stride, out + r, out_stride);
    if (r < rows) floats_tile(f, 1, 1, k, w + r * w_stride, w_stride, x, x_stride, out + r, out_stride);
}

FLOATS_INLINE void floats_matmul(float_weights f, int64_t k, int64_t rows, int64_t tokens, const uint8_t *w,
                                 int64_t w_stride, const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    if (k % 16) {
        for (int64_t r = 0; r < rows; r++)
            for (int64_t t = 0; t < tokens; t++)
                out[t * out_stride + r] = floats_odd(f, k, w + r * w_stride, (const float *)(x + t * x_stride));
        return;
    }
    if (tokens == 1) {
        floats_one(f, k, rows, w, w_stride, x, x_stride, out, out_stride);
        return;
    }
    for (int64_t left = tokens, block = floats_block(k); left > 0; left -= block) {
        const int64_t some = left < block ? left : block;
        int64_t r = 0;
        for (; r + FLOATS_ROWS <= rows; r += FLOATS_ROWS)
            floats_rows(f, FLOATS_ROWS, k, some, w + r * w_stride, w_stride, x, x_stride, out + r, out_stride);
        for (; r < rows; r++) floats_rows(f, 1, k, some, w + r * w_stride, w_stride, x, x_stride, out + r, out_stride);
        x += block * x_stride, out += block * out_stride;
    }
}

static const float_weights weights_f32 = {4, 0, load_f32, element_f32};
static const float_weights weights_f16 = {2, 1, load_f16, element_f16};

#define FLOATS_MATMUL(name)                                                                                          \
    static void LANES_NAME(matmul_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,  \
                                          const void *x, int64_t x_stride, float *out, int64_t out_stride) {         \
        floats_matmul(weights_##name, k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);                   \
    }
FLOATS_MATMUL(f32)
FLOATS_MATMUL(f16)

static inline void fill_floats(lcy_kernels *k) {
    k->matmul[LCY_F32] = LANES_NAME(matmul_f32);
    k->matmul[LCY_F16] = LANES_NAME(matmul_f16);
}

#endif
