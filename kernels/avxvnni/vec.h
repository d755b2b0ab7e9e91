/* vec.h (avxvnni): the vocabulary of kernels/simd/ with AVX2's registers and the products of VNNI.
 *
 * All words are those of avx2/vec.h but for the ones that multiply: these are first put aside there, then said anew. They
 * mean what they mean in avx512/vec.h: four products u8 * s8 go to 32 bits at once, so codes may be any byte, and signed
 * ones are shifted up by 128.
 *
 * LCY_STAND_IN builds the same kernels for a machine without AVX-VNNI that has the EVEX form of its instructions.
 */
#ifndef LCY_AVXVNNI_VEC_H
#define LCY_AVXVNNI_VEC_H

#define v_pairs16 avx2_pairs16
#define v_dot32 avx2_dot32
#define v_dot_few avx2_dot_few
#define v_dot_rows avx2_dot_rows
#define v_row_scale avx2_row_scale
#define v_dot_rows_scaled avx2_dot_rows_scaled
#define v_row_signed avx2_row_signed
#define v_dot_rows_signed avx2_dot_rows_signed
#define v_byte_scale avx2_byte_scale
#define v_few_dot avx2_few_dot
#define v_few_scale avx2_few_scale
#include "../avx2/vec.h"
#undef v_pairs16
#undef v_dot32
#undef v_dot_few
#undef v_dot_rows
#undef v_row_scale
#undef v_dot_rows_scaled
#undef v_row_signed
#undef v_dot_rows_signed
#undef v_byte_scale
#undef v_few_dot
#undef v_few_scale
#undef V_NAME
#undef V_SIGNED_OFFSET

#define V_NAME(name) name##_avxvnni
#define V_SIGNED_OFFSET 128

#if defined(LCY_STAND_IN)
LCY_INLINE vi v_dot4(vi acc, vi a, vi b) { return _mm256_dpbusd_epi32(acc, a, b); }
LCY_INLINE vi v_pairs16(vi acc, vi a, vi b) { return _mm256_dpwssd_epi32(acc, a, b); }
#else
LCY_INLINE vi v_dot4(vi acc, vi a, vi b) { return _mm256_dpbusd_avx_epi32(acc, a, b); }
LCY_INLINE vi v_pairs16(vi acc, vi a, vi b) { return _mm256_dpwssd_avx_epi32(acc, a, b); }
#endif

LCY_INLINE vi v_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }

/* ---- a block of 32 codes against 32 activations, four 32-bit sums per lane ---- */

LCY_INLINE vi v_dot32(vi low, vi xlow, vi high, vi xhigh) { return v_dot4(v_dot4(v_zero(), low, xlow), high, xhigh); }

/* ---- many tokens: register g holds codes 4 g .. 4 g + 3 of every row of the tile; x: their activations ---- */

LCY_INLINE vi v_dot_rows(vi acc, const vi *codes, int n, const int8_t *x, int most) {
    (void)most;
    for (int g = 0; g < n; g++) acc = v_dot4(acc, codes[g], v_same4(x + 4 * g));
    return acc;
}
LCY_INLINE vi v_row_scale(vi scale) { return scale; }
LCY_INLINE vi v_dot_rows_scaled(vi acc, const vi *codes, int n, const int8_t *x, int most, vi scale) {
    return v_add32(acc, _mm256_mullo_epi32(v_dot_rows(v_zero(), codes, n, x, most), scale));
}
LCY_INLINE vi v_row_signed(vi codes) { return v_xor(codes, v_set8(-128)); }
LCY_INLINE vi v_dot_rows_signed(vi acc, const vi *codes, int n, const int8_t *x) {
    return v_dot_rows(acc, codes, n, x, 255);
}

/* ---- a few tokens: the same side by side, a product waits for the one before it in its sum ---- */

LCY_INLINE void v_dot_few(vi sum[], const vi codes[8], int tokens, const int8_t *x, int most, int is_signed) {
    (void)most, (void)is_signed;
    for (int g = 0; g < 8; g++)
        for (int t = 0; t < tokens; t++) sum[t] = v_dot4(sum[t], codes[g], v_same4(x + 32 * t + 4 * g));
}
LCY_INLINE vi v_byte_scale(vi bytes, int n, int is_signed) {
    return is_signed ? v_sra32(v_shl32(bytes, 24 - 8 * n), 24) : v_and(v_shr32(bytes, 8 * n), v_set32(255));
}
LCY_INLINE void v_few_dot(vi part[], vi acc[], const vi codes[4], int tokens, const int8_t *x, int apart, int most,
                          vi scale) {
    (void)acc, (void)most, (void)scale;
    for (int g = 0; g < 4; g++)
        for (int t = 0; t < tokens; t++) part[t] = v_dot4(part[t], codes[g], v_same4(x + apart * t + 4 * g));
}
LCY_INLINE void v_few_scale(vi part[], vi acc[], int tokens, vi scale) {
    for (int t = 0; t < tokens; t++) acc[t] = v_add32(acc[t], _mm256_mullo_epi32(part[t], scale)), part[t] = v_zero();
}

#endif
