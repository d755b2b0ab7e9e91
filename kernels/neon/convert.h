/* convert.h (neon): floats <-> F16 and the activation formats, bit equal to the plain C of formats/. */
#ifndef LCY_NEON_CONVERT_H
#define LCY_NEON_CONVERT_H

#include <arm_neon.h>

#include "../formats/q8_0.h"
#include "../formats/q8_1.h"
#include "../formats/q8_k.h"
#include "../kernels.h"

static void to_float_f16_neon(int64_t n, float *y, const void *x) {
    const uint16_t *in = x;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) vst1q_f32(y + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(in + i))));
    for (; i < n; i++) y[i] = lcy_f16_to_f32(in[i]);
}

static void from_float_f16_neon(int64_t n, void *y, const float *x) {
    uint16_t *out = y;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) vst1_u16(out + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
    for (; i < n; i++) out[i] = lcy_f32_to_f16(x[i]);
}

/* lcy_f32_to_bf16 */
static inline uint16x4_t to_bf16_4(const float *x) {
    const uint32x4_t u = vld1q_u32((const uint32_t *)x), top = vshrq_n_u32(u, 16);
    const uint32x4_t even = vaddq_u32(vandq_u32(top, vdupq_n_u32(1)), vdupq_n_u32(0x7fff));
    const uint32x4_t nan = vcgtq_u32(vandq_u32(u, vdupq_n_u32(0x7fffffff)), vdupq_n_u32(0x7f800000));
    return vmovn_u32(vbslq_u32(nan, vorrq_u32(top, vdupq_n_u32(64)), vshrq_n_u32(vaddq_u32(u, even), 16)));
}

static void from_float_bf16_neon(int64_t n, void *y, const float *x) {
    uint16_t *out = y;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) vst1_u16(out + i, to_bf16_4(x + i));
    for (; i < n; i++) out[i] = lcy_f32_to_bf16(x[i]);
}

static void to_float_q8_0_neon(int64_t n, float *y, const void *x) {
    const lcy_block_q8_0 *b = x;
    for (int64_t k = 0; k < n / 32; k++, b++) {
        const float32x4_t d = vdupq_n_f32(lcy_f16_to_f32(b->d));
        for (int i = 0; i < 32; i += 8, y += 8) {
            const int16x8_t q = vmovl_s8(vld1_s8(b->q + i));
            vst1q_f32(y, vmulq_f32(d, vcvtq_f32_s32(vmovl_s16(vget_low_s16(q)))));
            vst1q_f32(y + 4, vmulq_f32(d, vcvtq_f32_s32(vmovl_high_s16(q))));
        }
    }
}

/* ---- 16 floats to bytes ---- */

/* the larger of each, and `most` where x is NaN: as a comparison in C would leave it */
static inline float32x4_t max_abs_4(float32x4_t x, float32x4_t most) {
    const float32x4_t a = vabsq_f32(x);
    return vbslq_f32(vcgtq_f32(a, most), a, most);
}

static inline float max_abs(int n, const float *x) {
    float32x4_t most[2] = {vdupq_n_f32(0), vdupq_n_f32(0)};
    for (int i = 0; i < n; i += 8) {
        most[0] = max_abs_4(vld1q_f32(x + i), most[0]);
        most[1] = max_abs_4(vld1q_f32(x + i + 4), most[1]);
    }
    return vmaxvq_f32(vmaxq_f32(most[0], most[1]));
}

/* lcy_nearest before the offset is taken off: the low byte is already that of the integer */
static inline int32x4_t nearest_bits_4(float32x4_t x, float32x4_t scale) {
    return vreinterpretq_s32_f32(vaddq_f32(vmulq_f32(x, scale), vdupq_n_f32(12582912.0f)));
}

/* the low bytes of 4 x 4 dwords, in order */
static inline int8x16_t low_bytes_16(const int32x4_t v[4]) {
    const int16x8_t a = vuzp1q_s16(vreinterpretq_s16_s32(v[0]), vreinterpretq_s16_s32(v[1]));
    const int16x8_t b = vuzp1q_s16(vreinterpretq_s16_s32(v[2]), vreinterpretq_s16_s32(v[3]));
    return vuzp1q_s8(vreinterpretq_s8_s16(a), vreinterpretq_s8_s16(b));
}

/* The activation rule of Q8_0 and Q8_1 for 32 values: returns the scale before it is rounded to f16, adds up the codes. */
static inline float round_to_q8(int8_t q[32], int *sum, const float *x) {
    const float most = max_abs(32, x);
    const float32x4_t inverse = vdupq_n_f32(most != 0 ? 127 / most : 0);
    *sum = 0;
    for (int i = 0; i < 32; i += 16) {
        int32x4_t v[4];
        for (int j = 0; j < 4; j++) v[j] = nearest_bits_4(vld1q_f32(x + i + 4 * j), inverse);
        const int8x16_t bytes = low_bytes_16(v);
        vst1q_s8(q + i, bytes);
        *sum += vaddlvq_s8(bytes);
    }
    return most / 127;
}

static void from_float_q8_0_neon(int64_t n, void *y, const float *x) {
    lcy_block_q8_0 *b = y;
    int sum;
    for (int64_t k = 0; k < n / 32; k++, b++) b->d = lcy_f32_to_f16(round_to_q8(b->q, &sum, x + 32 * k));
}

static void from_float_q8_1_neon(int64_t n, void *y, const float *x) {
    lcy_block_q8_1 *b = y;
    for (int64_t k = 0; k < n / 32; k++, b++) {
        int sum;
        const float d = round_to_q8(b->q, &sum, x + 32 * k);
        b->d = lcy_f32_to_f16(d);
        b->s = lcy_f32_to_f16(d * (float)sum);
    }
}

/* ---- 256 floats to bytes ---- */

/* the first element of largest magnitude, with its sign */
static inline float peak_256(const float *x) {
    const float m = max_abs(256, x);
    for (int i = 0; i < 256 && m != 0; i += 4) {
        if (!vmaxvq_u32(vceqq_f32(vabsq_f32(vld1q_f32(x + i)), vdupq_n_f32(m)))) continue;
        for (int j = i;; j++)
            if (fabsf(x[j]) == m) return x[j];
    }
    return 0;
}

static void block_q8_k_neon(lcy_block_q8_k *b, const float *x) {
    const float peak = peak_256(x), s = -127 / peak;
    const int32x4_t bits = vdupq_n_s32(0x7fffff), zero = vdupq_n_s32(0x400000), top = vdupq_n_s32(127);
    if (peak == 0) {
        memset(b, 0, sizeof *b);
        return;
    }
    b->d = 1 / s;
    for (int i = 0; i < 256; i += 16) {
        int32x4_t v[4];
        for (int j = 0; j < 4; j++) {
            const int32x4_t near = nearest_bits_4(vld1q_f32(x + i + 4 * j), vdupq_n_f32(s));
            v[j] = vminq_s32(vsubq_s32(vandq_s32(near, bits), zero), top);
        }
        const int8x16_t q = low_bytes_16(v);
        vst1q_s8(b->q + i, q);
        b->sums[i / 16] = vaddlvq_s8(q);
    }
}

static void from_float_q8_k_neon(int64_t n, void *y, const float *x) {
    lcy_block_q8_k *b = y;
    for (int64_t k = 0; k < n / 256; k++) block_q8_k_neon(b + k, x + 256 * k);
}

static void fill_conversions(lcy_kernels *k) {
    k->to_float[LCY_F16] = to_float_f16_neon;
    k->to_float[LCY_Q8_0] = to_float_q8_0_neon;
    k->from_float[LCY_F16] = from_float_f16_neon;
    k->from_float[LCY_BF16] = from_float_bf16_neon;
    k->from_float[LCY_Q8_0] = from_float_q8_0_neon;
    k->from_float[LCY_Q8_1] = from_float_q8_1_neon;
    k->from_float[LCY_Q8_K] = from_float_q8_k_neon;
}

#endif
