/* vec.h (avx2): the vocabulary that kernels/simd/ is written in, with 256-bit registers.
 *
 * A tile is V_ROWS = 8 rows. A register of codes holds 16 bytes of 2 blocks, one per 128-bit lane; four registers
 * hold 8 blocks: lane l of register i is block 4 l + i, so that the transposing sum leaves them in order.
 *
 * Products of bytes are added in pairs to 16 bits, so every function that adds more of them says how large codes may
 * be.
 */
#ifndef LCY_AVX2_VEC_H
#define LCY_AVX2_VEC_H

#include <immintrin.h>
#include <stdint.h>

#include "../scalar.h"

#define LCY_INLINE static inline __attribute__((always_inline))
#define V_NAME(name) name##_avx2
#define V_ROWS 8
#define V_LANES 2

typedef __m256i vi;
typedef __m256 vf;

/* makes GCC keep an array in memory, where an instruction can use it, rather than in registers that others need */
#define V_IN_MEMORY(array) __asm__("" : "+m"(array))

/* ---- loads ---- */

LCY_INLINE __m128i v_16bytes(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

/* lane l: 16 bytes at p[l] + at */
LCY_INLINE vi v_lanes(const uint8_t *const p[V_LANES], int64_t at) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(v_16bytes(p[0] + at)), v_16bytes(p[1] + at), 1);
}

/* 16 bytes to every lane; 4 bytes to every dword */
LCY_INLINE vi v_same16(const void *p) { return _mm256_broadcastsi128_si256(v_16bytes(p)); }
LCY_INLINE vi v_same4(const void *p) { int32_t v; memcpy(&v, p, 4); return _mm256_set1_epi32(v); }
LCY_INLINE vi v_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
LCY_INLINE void v_store(void *p, vi a) { _mm256_storeu_si256((__m256i *)p, a); }
LCY_INLINE vf v_loadf(const float *p) { return _mm256_loadu_ps(p); }
LCY_INLINE void v_storef(float *p, vf a) { _mm256_storeu_ps(p, a); }
/* V_ROWS halves as floats */
LCY_INLINE vf v_halves(const uint16_t *p) { return _mm256_cvtph_ps(v_16bytes(p)); }

/* ---- integers ---- */

/* the compiler forgets what it knows of a */
LCY_INLINE void v_hide(vi *a) { __asm__ volatile("" : "+x"(*a)); }
LCY_INLINE vi v_zero(void) { return _mm256_setzero_si256(); }
LCY_INLINE vi v_set8(int c) { return _mm256_set1_epi8((char)c); }
LCY_INLINE vi v_set32(int32_t c) { return _mm256_set1_epi32(c); }
LCY_INLINE vi v_and(vi a, vi b) { return _mm256_and_si256(a, b); }
LCY_INLINE vi v_or(vi a, vi b) { return _mm256_or_si256(a, b); }
/* (a & mask) | b */
LCY_INLINE vi v_and_or(vi a, vi mask, vi b) { return v_or(v_and(a, mask), b); }
LCY_INLINE vi v_sub8(vi a, vi b) { return _mm256_sub_epi8(a, b); }
LCY_INLINE vi v_add32(vi a, vi b) { return _mm256_add_epi32(a, b); }
LCY_INLINE vi v_sub32(vi a, vi b) { return _mm256_sub_epi32(a, b); }
LCY_INLINE vi v_shr32(vi a, int n) { return _mm256_srli_epi32(a, n); }
LCY_INLINE vi v_shl32(vi a, int n) { return _mm256_slli_epi32(a, n); }
LCY_INLINE vi v_sra32(vi a, int n) { return _mm256_srai_epi32(a, n); }
LCY_INLINE vi v_sra16(vi a, int n) { return _mm256_srai_epi16(a, n); }
LCY_INLINE vi v_shr32_by(vi a, vi n) { return _mm256_srlv_epi32(a, n); }
LCY_INLINE vi v_shuffle8(vi table, vi index) { return _mm256_shuffle_epi8(table, index); }

/* sum of 32 signed bytes: they are shifted up by 128 to be added as unsigned */
LCY_INLINE int32_t v_sum_bytes32(const int8_t *p) {
    const __m256i sums = _mm256_sad_epu8(_mm256_xor_si256(v_load(p), v_set8(-128)), v_zero());
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return _mm_cvtsi128_si32(two) + _mm_extract_epi32(two, 2) - 32 * 128;
}

/* bytes whose bit of `bits` is set in `a` become c, the others 0 */
LCY_INLINE vi v_bytes_if(vi a, vi bits, vi c) { return v_and(_mm256_cmpeq_epi8(v_and(a, bits), bits), c); }

/* pairs: u8 a * s8 b, two products added, 16 bits, saturating; s16 a * s16 b, two products added to acc, 32 bits */
LCY_INLINE vi v_pairs8(vi a, vi b) { return _mm256_maddubs_epi16(a, b); }
LCY_INLINE vi v_pairs16(vi acc, vi a, vi b) { return v_add32(acc, _mm256_madd_epi16(a, b)); }

/* 16-bit pairs to 32 bits */
LCY_INLINE vi v_widen(vi acc, vi pairs) { return v_pairs16(acc, pairs, _mm256_set1_epi16(1)); }

/* s8 a * s8 b as 16-bit pairs; b is never -128 */
LCY_INLINE vi v_pairs8_signed(vi a, vi b) { return v_pairs8(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a)); }

/* ---- a block of 32 codes against 32 activations, four 32-bit sums per lane ---- */

/* codes up to 31 */
LCY_INLINE vi v_dot32(vi low, vi xlow, vi high, vi xhigh) {
    return v_widen(v_zero(), _mm256_add_epi16(v_pairs8(low, xlow), v_pairs8(high, xhigh)));
}
/* Signed codes move their signs to the activations: nothing is shifted. */
#define V_SIGNED_OFFSET 0

/* ---- many tokens: register g holds codes 4 g .. 4 g + 3 of every row of the tile; x: their activations ---- */

/* registers whose 16-bit pairs can be added: most * 127 * 2 * this stays below 32768 */
LCY_INLINE int v_narrow_sums(int most) { return most <= 15 ? 8 : most <= 31 ? 4 : most <= 63 ? 2 : 1; }

LCY_INLINE vi v_narrow_dot(const vi *codes, int n, const int8_t *x) {
    vi p = v_pairs8(codes[0], v_same4(x));
    for (int g = 1; g < n; g++) p = _mm256_add_epi16(p, v_pairs8(codes[g], v_same4(x + 4 * g)));
    return p;
}

/* acc + the sums over n (1, 4 or 8) registers and activations x. most: the largest code, at most 127 */
LCY_INLINE vi v_dot_rows(vi acc, const vi *codes, int n, const int8_t *x, int most) {
    const int some = v_narrow_sums(most) < n ? v_narrow_sums(most) : n;
    for (int g = 0; g < n; g += some) acc = v_widen(acc, v_narrow_dot(codes + g, some, x + 4 * g));
    return acc;
}
/* The same times a scale per row; scale: what v_row_scale made of a register of 32-bit scales that fit 16 */
LCY_INLINE vi v_row_scale(vi scale) { return v_or(v_and(scale, v_set32(0xffff)), v_shl32(scale, 16)); }
LCY_INLINE vi v_dot_rows_scaled(vi acc, const vi *codes, int n, const int8_t *x, int most, vi scale) {
    const int some = v_narrow_sums(most) < n ? v_narrow_sums(most) : n;
    for (int g = 0; g < n; g += some) acc = v_pairs16(acc, v_narrow_dot(codes + g, some, x + 4 * g), scale);
    return acc;
}
/* signed codes as v_dot_rows_signed takes them */
LCY_INLINE vi v_row_signed(vi codes) { return codes; }
LCY_INLINE vi v_dot_rows_signed(vi acc, const vi *codes, int n, const int8_t *x) {
    for (int g = 0; g < n; g++) acc = v_widen(acc, v_pairs8_signed(codes[g], v_same4(x + 4 * g)));
    return acc;
}

/* sum[t] += the sums over 8 registers for each of a few tokens, 32 activations each */
LCY_INLINE void v_dot_few(vi sum[], const vi codes[8], int tokens, const int8_t *x, int most, int is_signed) {
    for (int t = 0; t < tokens; t++)
        sum[t] = is_signed ? v_dot_rows_signed(sum[t], codes, 8, x + 32 * t)
                           : v_dot_rows(sum[t], codes, 8, x + 32 * t, most);
}

/* byte n (a constant) of each dword twice, in 16 bits, as v_few_dot takes it */
LCY_INLINE vi v_byte_scale(vi bytes, int n, int is_signed) {
    const int one = is_signed ? 0x01000100 : 0x00010001, at = n * one | (is_signed ? 0x00800080 : (int)0x80008000);
    const __m128i index = _mm_setr_epi32(at, at + 4 * one, at + 8 * one, at + 12 * one);
    const vi spread = v_shuffle8(bytes, _mm256_broadcastsi128_si256(index));
    return is_signed ? v_sra16(spread, 8) : spread;
}

/* The same for four registers whose sums have a scale, for tokens whose activations are `apart` bytes apart; pairs are
 * scaled before they are added, nothing is left to do in v_few_scale. */
LCY_INLINE void v_few_dot(vi part[], vi acc[], const vi codes[4], int tokens, const int8_t *x, int apart, int most, vi scale) {
    (void)part;
    for (int t = 0; t < tokens; t++) acc[t] = v_dot_rows_scaled(acc[t], codes, 4, x + apart * t, most, scale);
}
LCY_INLINE void v_few_scale(vi part[], vi acc[], int tokens, vi scale) { (void)part, (void)acc, (void)tokens, (void)scale; }

/* ---- lanes -> one block or row per 32-bit element ---- */

LCY_INLINE vi v_low32(vi a, vi b) { return _mm256_unpacklo_epi32(a, b); }
LCY_INLINE vi v_high32(vi a, vi b) { return _mm256_unpackhi_epi32(a, b); }
LCY_INLINE vi v_low64(vi a, vi b) { return _mm256_unpacklo_epi64(a, b); }
LCY_INLINE vi v_high64(vi a, vi b) { return _mm256_unpackhi_epi64(a, b); }

/* ---- floats ---- */

LCY_INLINE vf v_zerof(void) { return _mm256_setzero_ps(); }
LCY_INLINE vf v_setf(float x) { return _mm256_set1_ps(x); }
LCY_INLINE vf v_float(vi a) { return _mm256_cvtepi32_ps(a); }
LCY_INLINE vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
LCY_INLINE vf v_addf(vf a, vf b) { return _mm256_add_ps(a, b); }
LCY_INLINE vf v_subf(vf a, vf b) { return _mm256_sub_ps(a, b); }
LCY_INLINE vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
LCY_INLINE vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }

/* V_ROWS x V_ROWS */
LCY_INLINE void v_transpose_square(vf a[V_ROWS]) {
    vf b[8];
    for (int i = 0; i < 8; i += 4) {
        const vf p = _mm256_unpacklo_ps(a[i], a[i + 1]), q = _mm256_unpackhi_ps(a[i], a[i + 1]);
        const vf r = _mm256_unpacklo_ps(a[i + 2], a[i + 3]), s = _mm256_unpackhi_ps(a[i + 2], a[i + 3]);
        b[i] = _mm256_shuffle_ps(p, r, 0x44), b[i + 1] = _mm256_shuffle_ps(p, r, 0xee);
        b[i + 2] = _mm256_shuffle_ps(q, s, 0x44), b[i + 3] = _mm256_shuffle_ps(q, s, 0xee);
    }
    /* b[4 g + j]: lane l holds column 4 l + j of rows 4 g .. 4 g + 3 */
    for (int j = 0; j < 4; j++) {
        a[j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x20);
        a[4 + j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x31);
    }
}

#endif
