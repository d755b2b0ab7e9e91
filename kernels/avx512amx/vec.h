/* vec.h (avx512amx): the vocabulary of kernels/simd/ as AVX-512 says it; weights are unpacked, and sums scaled, in it. */
#ifndef LCY_AVX512AMX_VEC_H
#define LCY_AVX512AMX_VEC_H

#include "../avx512/vec.h"

#undef V_NAME
#define V_NAME(name) name##_avx512amx

LCY_INLINE vi v_add16(vi a, vi b) { return _mm512_add_epi16(a, b); }
LCY_INLINE vi v_sub16(vi a, vi b) { return _mm512_sub_epi16(a, b); }
LCY_INLINE vi v_shr16(vi a, int n) { return _mm512_srli_epi16(a, (unsigned)n); }
LCY_INLINE vi v_shl16(vi a, int n) { return _mm512_slli_epi16(a, (unsigned)n); }

#endif
