/* fit.h (avx2): comparisons, choices and codes of V_ROWS floats, for kernels/x86/fit.h. */
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

#endif
