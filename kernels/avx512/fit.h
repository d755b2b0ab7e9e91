/* fit.h (avx512): comparisons, choices and codes of V_ROWS floats, for kernels/simd/fit.h. */
#ifndef LCY_AVX512_FIT_H
#define LCY_AVX512_FIT_H

#include "vec.h"

typedef __mmask16 vm; /* one truth per float; & | ~ combine them */

LCY_INLINE vm v_less(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
LCY_INLINE vm v_at_most(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
LCY_INLINE vm v_equal(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
LCY_INLINE int v_any(vm m) { return m != 0; }
/* m ? a : b */
LCY_INLINE vf v_pick(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
LCY_INLINE vf v_abs(vf a) { return _mm512_abs_ps(a); }
LCY_INLINE vf v_root(vf a) { return _mm512_sqrt_ps(a); }
/* a > b ? a : b and a < b ? a : b, b where they cannot be compared */
LCY_INLINE vf v_most(vf a, vf b) { return _mm512_max_ps(a, b); }
LCY_INLINE vf v_least(vf a, vf b) { return _mm512_min_ps(a, b); }
LCY_INLINE vf v_bits_and_or(vf a, int mask, int or) {
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(a), v_set32(mask), v_set32(or), 0xea));
}
/* toward zero; what an int cannot hold becomes INT32_MIN */
LCY_INLINE vi v_truncate(vf a) { return _mm512_cvttps_epi32(a); }
LCY_INLINE vf v_whole(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
LCY_INLINE vi v_least32(vi a, vi b) { return _mm512_min_epi32(a, b); }
LCY_INLINE void v_store_halves(uint16_t *p, vf a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, 0)); }

/* ---- 32-bit integers ---- */

LCY_INLINE vi v_as_ints(vf a) { return _mm512_castps_si512(a); }
LCY_INLINE vm v_less32(vi a, vi b) { return _mm512_cmplt_epi32_mask(a, b); }
LCY_INLINE vm v_equal32(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
LCY_INLINE vi v_pick32(vm m, vi a, vi b) { return _mm512_mask_blend_epi32(m, b, a); }
/* a + 1, a - 1 where m */
LCY_INLINE vi v_up32(vm m, vi a) { return _mm512_mask_add_epi32(a, m, a, v_set32(1)); }
LCY_INLINE vi v_down32(vm m, vi a) { return _mm512_mask_sub_epi32(a, m, a, v_set32(1)); }
/* bit l: the truth of lane l */
LCY_INLINE unsigned v_truths(vm m) { return m; }
/* p[index] */
LCY_INLINE vi v_gather32(const int32_t *p, vi index) { return _mm512_i32gather_epi32(index, p, 4); }
/* p[index], index 0..15 */
LCY_INLINE vf v_of16(const float p[16], vi index) { return _mm512_permutexvar_ps(index, _mm512_loadu_ps(p)); }

#endif
