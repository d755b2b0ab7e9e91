/* single.h (neon): what the searches of kernels/simd/fit.h and quantize.h need of a vec.h, in one 128-bit register.
 *
 * Four blocks at a time rather than the eight of vec.h: the searches are written with + - * / and comparisons, which C
 * gives to registers only.
 */
#ifndef LCY_NEON_SINGLE_H
#define LCY_NEON_SINGLE_H

#include <arm_neon.h>
#include <stdint.h>

#include "../scalar.h"

#define LCY_INLINE static inline __attribute__((always_inline))
#define V_NAME(name) name##_neon
#define V_ROWS 4

typedef int32x4_t vi;
typedef float32x4_t vf;
typedef uint32x4_t vm; /* one truth per float; & | ~ combine them */

/* ---- integers ---- */

LCY_INLINE void v_store(void *p, vi a) { vst1q_u8(p, vreinterpretq_u8_s32(a)); }
LCY_INLINE vi v_zero(void) { return vdupq_n_s32(0); }
LCY_INLINE vi v_set32(int32_t c) { return vdupq_n_s32(c); }
LCY_INLINE vi v_and(vi a, vi b) { return vandq_s32(a, b); }
LCY_INLINE vi v_or(vi a, vi b) { return vorrq_s32(a, b); }
LCY_INLINE vi v_shr32(vi a, int n) { return (vi)((uint32x4_t)a >> vdupq_n_u32((uint32_t)n)); }
LCY_INLINE vi v_shl32(vi a, int n) { return (vi)((uint32x4_t)a << vdupq_n_u32((uint32_t)n)); }
LCY_INLINE vi v_sra32(vi a, int n) { return a >> vdupq_n_s32(n); }
LCY_INLINE vi v_least32(vi a, vi b) { return vminq_s32(a, b); }

LCY_INLINE vm v_less32(vi a, vi b) { return vcltq_s32(a, b); }
LCY_INLINE vm v_equal32(vi a, vi b) { return vceqq_s32(a, b); }
LCY_INLINE vi v_pick32(vm m, vi a, vi b) { return vbslq_s32(m, a, b); }
/* a + 1, a - 1 where m */
LCY_INLINE vi v_up32(vm m, vi a) { return vsubq_s32(a, vreinterpretq_s32_u32(m)); }
LCY_INLINE vi v_down32(vm m, vi a) { return vaddq_s32(a, vreinterpretq_s32_u32(m)); }
/* bit l: the truth of lane l */
LCY_INLINE unsigned v_truths(vm m) {
    static const uint32_t bit[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(m, vld1q_u32(bit)));
}
/* p[index] */
LCY_INLINE vi v_gather32(const int32_t *p, vi index) { return (vi){p[index[0]], p[index[1]], p[index[2]], p[index[3]]}; }

/* ---- floats ---- */

LCY_INLINE vf v_loadf(const float *p) { return vld1q_f32(p); }
LCY_INLINE void v_storef(float *p, vf a) { vst1q_f32(p, a); }
LCY_INLINE vf v_halves(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
LCY_INLINE void v_store_halves(uint16_t *p, vf a) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a))); }
LCY_INLINE vf v_zerof(void) { return vdupq_n_f32(0); }
LCY_INLINE vf v_setf(float x) { return vdupq_n_f32(x); }
LCY_INLINE vf v_float(vi a) { return vcvtq_f32_s32(a); }
LCY_INLINE vi v_as_ints(vf a) { return vreinterpretq_s32_f32(a); }
/* p[index], index 0..15 */
LCY_INLINE vf v_of16(const float p[16], vi index) { return (vf){p[index[0]], p[index[1]], p[index[2]], p[index[3]]}; }
LCY_INLINE vf v_abs(vf a) { return vabsq_f32(a); }
LCY_INLINE vf v_root(vf a) { return vsqrtq_f32(a); }
LCY_INLINE vf v_whole(vf a) { return vrndq_f32(a); }
LCY_INLINE vf v_bits_and_or(vf a, int mask, int or) {
    return vreinterpretq_f32_s32(v_or(v_and(vreinterpretq_s32_f32(a), v_set32(mask)), v_set32(or)));
}

LCY_INLINE vm v_less(vf a, vf b) { return vcltq_f32(a, b); }
LCY_INLINE vm v_at_most(vf a, vf b) { return vcleq_f32(a, b); }
LCY_INLINE vm v_equal(vf a, vf b) { return vceqq_f32(a, b); }
LCY_INLINE int v_any(vm m) { return vmaxvq_u32(m) != 0; }
/* m ? a : b */
LCY_INLINE vf v_pick(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }
/* a > b ? a : b and a < b ? a : b, b where they cannot be compared */
LCY_INLINE vf v_most(vf a, vf b) { return v_pick(vcgtq_f32(a, b), a, b); }
LCY_INLINE vf v_least(vf a, vf b) { return v_pick(vcltq_f32(a, b), a, b); }
/* toward zero; what an int cannot hold becomes INT32_MIN: the instruction would give the nearest int, and 0 for NaN */
LCY_INLINE vi v_truncate(vf a) { return vbslq_s32(vcltq_f32(a, v_setf(0x1p31f)), vcvtq_s32_f32(a), v_set32(INT32_MIN)); }

/* V_ROWS x V_ROWS */
LCY_INLINE void v_transpose_square(vf a[V_ROWS]) {
    const float32x4x2_t p = vtrnq_f32(a[0], a[1]), q = vtrnq_f32(a[2], a[3]);
    for (int i = 0; i < 2; i++) {
        a[i] = vcombine_f32(vget_low_f32(p.val[i]), vget_low_f32(q.val[i]));
        a[2 + i] = vcombine_f32(vget_high_f32(p.val[i]), vget_high_f32(q.val[i]));
    }
}

#endif
