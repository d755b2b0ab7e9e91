/* fit.h (avx2): comparisons, choices and codes of V_ROWS floats, for kernels/simd/fit.h. */
#ifndef LCY_AVX2_FIT_H
#define LCY_AVX2_FIT_H

#include "vec.h"

typedef __m256i vm; /* one truth per float; & | ~ combine them */

LCY_INLINE vm v_less(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
LCY_INLINE vm v_at_most(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LE_OQ)); }
LCY_INLINE vm v_equal(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)); }
LCY_INLINE int v_any(vm m) { return _mm256_movemask_epi8(m) != 0; }
/* m ? a : b */
LCY_INLINE vf v_pick(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m)); }
LCY_INLINE vf v_abs(vf a) { return _mm256_andnot_ps(v_setf(-0.0f), a); }
LCY_INLINE vf v_root(vf a) { return _mm256_sqrt_ps(a); }
/* a > b ? a : b and a < b ? a : b, b where they cannot be compared */
LCY_INLINE vf v_most(vf a, vf b) { return _mm256_max_ps(a, b); }
LCY_INLINE vf v_least(vf a, vf b) { return _mm256_min_ps(a, b); }
LCY_INLINE vf v_bits_and_or(vf a, int mask, int or) {
    return _mm256_castsi256_ps(v_and_or(_mm256_castps_si256(a), v_set32(mask), v_set32(or)));
}
/* toward zero; what an int cannot hold becomes INT32_MIN */
LCY_INLINE vi v_truncate(vf a) { return _mm256_cvttps_epi32(a); }
LCY_INLINE vf v_whole(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
LCY_INLINE vi v_least32(vi a, vi b) { return _mm256_min_epi32(a, b); }
LCY_INLINE void v_store_halves(uint16_t *p, vf a) { _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, 0)); }

/* ---- 32-bit integers ---- */

LCY_INLINE vi v_as_ints(vf a) { return _mm256_castps_si256(a); }
LCY_INLINE vm v_less32(vi a, vi b) { return _mm256_cmpgt_epi32(b, a); }
LCY_INLINE vm v_equal32(vi a, vi b) { return _mm256_cmpeq_epi32(a, b); }
LCY_INLINE vi v_pick32(vm m, vi a, vi b) { return _mm256_blendv_epi8(b, a, m); }
/* a + 1, a - 1 where m */
LCY_INLINE vi v_up32(vm m, vi a) { return _mm256_sub_epi32(a, m); }
LCY_INLINE vi v_down32(vm m, vi a) { return _mm256_add_epi32(a, m); }
/* bit l: the truth of lane l */
LCY_INLINE unsigned v_truths(vm m) { return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(m)); }
/* p[index] */
LCY_INLINE vi v_gather32(const int32_t *p, vi index) { return _mm256_i32gather_epi32(p, index, 4); }
/* p[index], index 0..15 */
LCY_INLINE vf v_of16(const float p[16], vi index) {
    const vf low = _mm256_permutevar8x32_ps(v_loadf(p), index), high = _mm256_permutevar8x32_ps(v_loadf(p + 8), index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(v_shl32(index, 28)));
}

#endif
