/* scalar.h: f16, bf16 and the small sums that every format shares. Plain C, exact on every compiler. */
#ifndef LCY_SCALAR_H
#define LCY_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__F16C__)
#include <immintrin.h>
#endif

#define LCY_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " must be " #bytes " bytes")

static inline uint32_t lcy_bits(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
static inline float lcy_float(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }

/* f16 -> f32, exact, subnormals and infinities included */
static inline float lcy_f16_to_f32(uint16_t h) {
#if defined(__F16C__)
    return _cvtsh_ss(h);
#elif defined(__aarch64__)
    __fp16 half;
    memcpy(&half, &h, 2);
    return half;
#else
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    if (rest >= 0x7c00) return lcy_float(sign | 0x7f800000u | (rest & 0x3ff) << 13 | (rest > 0x7c00 ? 0x400000u : 0));
    if (rest < 0x400) return lcy_float(sign | lcy_bits((float)rest * 0x1p-24f));
    return lcy_float(sign | ((rest << 13) + 0x38000000u));
#endif
}

/* f32 -> f16, nearest, ties to even, subnormals kept; NaN keeps its top payload bits and becomes quiet (as F16C does) */
static inline uint16_t lcy_f32_to_f16(float x) {
#if defined(__F16C__)
    return _cvtss_sh(x, 0);
#elif defined(__aarch64__)
    const __fp16 half = (__fp16)x;
    uint16_t h;
    memcpy(&h, &half, 2);
    return h;
#else
    const uint32_t u = lcy_bits(x), sign = u >> 16 & 0x8000, mag = u & 0x7fffffff;
    if (mag > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x3ff));
    if (mag >= 0x477ff000u) return (uint16_t)(sign | 0x7c00);
    if (mag < 0x38800000u) { /* below 2^-14: adding 0.5 leaves the subnormal's bits at the bottom, rounded to even */
        const float shifted = lcy_float(mag) + 0.5f;
        return (uint16_t)(sign | (lcy_bits(shifted) - 0x3f000000u));
    }
    return (uint16_t)(sign | ((mag + 0xfffu + (mag >> 13 & 1)) - 0x38000000u) >> 13);
#endif
}

static inline float lcy_bf16_to_f32(uint16_t h) { return lcy_float((uint32_t)h << 16); }

/* f32 -> bf16, nearest, ties to even; NaN becomes quiet */
static inline uint16_t lcy_f32_to_bf16(float x) {
    const uint32_t u = lcy_bits(x);
    if ((u & 0x7fffffff) > 0x7f800000u) return (uint16_t)(u >> 16 | 64);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

/* Nearest integer, ties to even, |v| <= 4194303; beyond that a value in [-2^22, 2^22 - 1] that callers clamp. */
static inline int lcy_nearest(float v) { return (int)(lcy_bits(v + 12582912.0f) & 0x007fffff) - 0x00400000; }

/* The one tree that ends a sum in lanes: 16 -> 8 -> 4 -> 2 -> 1, each time the lower half plus the upper half. */
static inline float lcy_sum8(const float a[8]) {
    float b[4];
    for (int i = 0; i < 4; i++) b[i] = a[i] + a[i + 4];
    return (b[0] + b[2]) + (b[1] + b[3]);
}

static inline float lcy_sum16(const float a[16]) {
    float b[8];
    for (int i = 0; i < 8; i++) b[i] = a[i] + a[i + 8];
    return lcy_sum8(b);
}

#endif
