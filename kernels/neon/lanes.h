/* lanes.h (neon): 16 lanes as four registers; kernels/simd/attention.h, floats.h and tables.h are written in them. */
#ifndef LCY_NEON_LANES_H
#define LCY_NEON_LANES_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#define LANES_NAME(name) name##_neon
#define FLOATS_ROWS 2 /* of a tile of floats.h: 7 of its lanes fill 28 of 32 registers */
#define FLOATS_TOKENS 2
#define BF16_ROWS 3 /* of bf16.h */
#define BF16_TOKENS 1
#define KQ_ROWS 1 /* of keys.h: query rows */
#define PV_LANES 1 /* of values.h: lanes of channels, query rows; with one more value they fill 20 registers */
#define PV_ROWS 4
#define PV_ALONE 4 /* of channels, for a single query row */

typedef struct { float32x4_t a, b, c, d; } lanes;

static inline lanes lanes_same(float x) {
    const float32x4_t a = vdupq_n_f32(x);
    return (lanes){a, a, a, a};
}
static inline lanes lanes_load(const float *p) {
    return (lanes){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}
static inline lanes lanes_load_bytes(const void *p, int64_t n) { /* n < 64 of them, then zeros */
    float padded[16] = {0};
    memcpy(padded, p, (size_t)n);
    return lanes_load(padded);
}
/* now, and in registers */
static inline void lanes_hold(lanes *x) { __asm__ volatile("" : "+w"(x->a), "+w"(x->b), "+w"(x->c), "+w"(x->d)); }
static inline void lanes_store(float *p, lanes x) {
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
    vst1q_f32(p + 8, x.c);
    vst1q_f32(p + 12, x.d);
}
static inline lanes lanes_add(lanes x, lanes y) {
    return (lanes){vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b), vaddq_f32(x.c, y.c), vaddq_f32(x.d, y.d)};
}
static inline lanes lanes_sub(lanes x, lanes y) {
    return (lanes){vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b), vsubq_f32(x.c, y.c), vsubq_f32(x.d, y.d)};
}
static inline lanes lanes_mul(lanes x, lanes y) {
    return (lanes){vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b), vmulq_f32(x.c, y.c), vmulq_f32(x.d, y.d)};
}
/* x > y ? x : y, as C compares: a NaN in x is passed over */
static inline float32x4_t lanes_4max(float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }
static inline lanes lanes_max(lanes x, lanes y) {
    return (lanes){lanes_4max(x.a, y.a), lanes_4max(x.b, y.b), lanes_4max(x.c, y.c), lanes_4max(x.d, y.d)};
}
static inline lanes lanes_fma(lanes x, lanes y, lanes z) {
    return (lanes){vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c), vfmaq_f32(z.d, x.d, y.d)};
}

static inline lanes lanes_of_halves(float16x8_t a, float16x8_t b) {
    return (lanes){vcvt_f32_f16(vget_low_f16(a)), vcvt_high_f32_f16(a), vcvt_f32_f16(vget_low_f16(b)), vcvt_high_f32_f16(b)};
}
static inline lanes lanes_halves(const uint16_t *p) {
    return lanes_of_halves(vreinterpretq_f16_u16(vld1q_u16(p)), vreinterpretq_f16_u16(vld1q_u16(p + 8)));
}

static inline float16x8_t lanes_8to_half(float32x4_t a, float32x4_t b) { return vcvt_high_f16_f32(vcvt_f16_f32(a), b); }

/* rounded to f16 and widened again */
static inline lanes lanes_through_half(lanes x) {
    return lanes_of_halves(lanes_8to_half(x.a, x.b), lanes_8to_half(x.c, x.d));
}

/* of the bits */
static inline float32x4_t lanes_4shifted(float32x4_t a, int n) {
    return vreinterpretq_f32_s32(vshlq_s32(vreinterpretq_s32_f32(a), vdupq_n_s32(n)));
}
static inline lanes lanes_shift_left(lanes x, int n) {
    return (lanes){lanes_4shifted(x.a, n), lanes_4shifted(x.b, n), lanes_4shifted(x.c, n), lanes_4shifted(x.d, n)};
}

static inline float32x4_t lanes_4upper_halves(float32x4_t a) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0xffff0000u)));
}
static inline lanes lanes_upper_halves(lanes x) {
    return (lanes){lanes_4upper_halves(x.a), lanes_4upper_halves(x.b), lanes_4upper_halves(x.c), lanes_4upper_halves(x.d)};
}

/* from here until lanes_flush_as(before), numbers below 2^-126 are zeros: what goes in and what comes out */
typedef uint64_t lanes_mode;
static inline lanes_mode lanes_flush_small(void) {
    lanes_mode before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before) : : "memory");
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1 << 24) : "memory");
    return before;
}
static inline void lanes_flush_as(lanes_mode before) { __asm__ volatile("msr fpcr, %0" : : "r"(before) : "memory"); }

/* f16 -> f16 through a table */
static inline lanes lanes_lookup(const uint16_t *table, lanes x) {
    uint16_t at[16];
    vst1q_u16(at, vreinterpretq_u16_f16(lanes_8to_half(x.a, x.b)));
    vst1q_u16(at + 8, vreinterpretq_u16_f16(lanes_8to_half(x.c, x.d)));
    for (int i = 0; i < 16; i++) at[i] = table[at[i]];
    return lanes_halves(at);
}

/* 16 -> 8: the tree of lcy_sum16 goes on from there */
typedef struct { float32x4_t a, b; } lanes_folded;
static inline lanes_folded lanes_fold(lanes x) { return (lanes_folded){vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d)}; }

/* 8 -> 1, the end of the tree of lcy_sum16: (c0 + c2) + (c1 + c3) */
static inline float sum_folded(lanes_folded x) {
    const float32x4_t c = vaddq_f32(x.a, x.b);
    return vaddv_f32(vadd_f32(vget_low_f32(c), vget_high_f32(c)));
}

/* lanes of doubles, two to a register */
typedef struct { float64x2_t part[8]; } double_lanes;

static inline double_lanes lanes_widen(lanes x) {
    return (double_lanes){{vcvt_f64_f32(vget_low_f32(x.a)), vcvt_high_f64_f32(x.a),
                           vcvt_f64_f32(vget_low_f32(x.b)), vcvt_high_f64_f32(x.b),
                           vcvt_f64_f32(vget_low_f32(x.c)), vcvt_high_f64_f32(x.c),
                           vcvt_f64_f32(vget_low_f32(x.d)), vcvt_high_f64_f32(x.d)}};
}
static inline float32x4_t lanes_4narrow(float64x2_t a, float64x2_t b) { return vcvt_high_f32_f64(vcvt_f32_f64(a), b); }
static inline lanes lanes_narrow(double_lanes x) {
    return (lanes){lanes_4narrow(x.part[0], x.part[1]), lanes_4narrow(x.part[2], x.part[3]),
                   lanes_4narrow(x.part[4], x.part[5]), lanes_4narrow(x.part[6], x.part[7])};
}
static inline double_lanes double_lanes_add(double_lanes x, double_lanes y) {
    for (int i = 0; i < 8; i++) x.part[i] = vaddq_f64(x.part[i], y.part[i]);
    return x;
}
/* of lanes that are added exactly in any order */
static inline double double_lanes_sum(double_lanes x) {
    for (int i = 1; i < 8; i++) x.part[0] = vaddq_f64(x.part[0], x.part[i]);
    return vaddvq_f64(x.part[0]);
}

#endif
