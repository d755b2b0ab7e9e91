/* vec.h (avx512): the vocabulary that kernels/simd/ is written in, with 512-bit registers and VNNI.
 *
 * A tile is V_ROWS = 16 rows. A register of codes holds 16 bytes of 4 blocks, one per 128-bit lane; four registers
 * hold 16 blocks: lane l of register i is block 4 l + i, so that the transposing sum leaves them in order.
 */
#ifndef LCY_AVX512_VEC_H
#define LCY_AVX512_VEC_H

#include <immintrin.h>
#include <stdint.h>

#include "../scalar.h"

#define LCY_INLINE static inline __attribute__((always_inline))
#define V_NAME(name) name##_avx512
#define V_ROWS 16
#define V_LANES 4
#define V_ABREAST 2 /* registers of rows and tokens of a tile of panel.h */
#define V_TILE 6

typedef __m512i vi;
typedef __m512 vf;

/* makes GCC keep an array in memory, where an instruction can use it, rather than in registers that others need */
#define V_IN_MEMORY(array) __asm__("" : "+m"(array))

/* ---- loads ---- */

LCY_INLINE __m128i v_16bytes(const void *p) { return _mm_loadu_si128(p); }

/* lane l: 16 bytes at p[l] + at */
LCY_INLINE vi v_lanes(const uint8_t *const p[V_LANES], int64_t at) {
    vi z = _mm512_castsi128_si512(v_16bytes(p[0] + at));
    z = _mm512_inserti32x4(z, v_16bytes(p[1] + at), 1);
    z = _mm512_inserti32x4(z, v_16bytes(p[2] + at), 2);
    return _mm512_inserti32x4(z, v_16bytes(p[3] + at), 3);
}

/* 16 bytes to every lane; 4 bytes to every dword */
LCY_INLINE vi v_same16(const void *p) { return _mm512_broadcast_i32x4(v_16bytes(p)); }
LCY_INLINE vi v_same4(const void *p) { int32_t v; memcpy(&v, p, 4); return _mm512_set1_epi32(v); }
LCY_INLINE vi v_load(const void *p) { return _mm512_loadu_si512(p); }
LCY_INLINE void v_store(void *p, vi a) { _mm512_storeu_si512(p, a); }
LCY_INLINE vf v_loadf(const float *p) { return _mm512_loadu_ps(p); }
LCY_INLINE void v_storef(float *p, vf a) { _mm512_storeu_ps(p, a); }
/* V_ROWS halves as floats */
LCY_INLINE vf v_halves(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }

/* ---- integers ---- */

/* the compiler forgets what it knows of a */
LCY_INLINE void v_hide(vi *a) { __asm__ volatile("" : "+v"(*a)); }
LCY_INLINE vi v_zero(void) { return _mm512_setzero_si512(); }
LCY_INLINE vi v_set8(int c) { return _mm512_set1_epi8((char)c); }
LCY_INLINE vi v_set32(int32_t c) { return _mm512_set1_epi32(c); }
LCY_INLINE vi v_and(vi a, vi b) { return _mm512_and_si512(a, b); }
LCY_INLINE vi v_or(vi a, vi b) { return _mm512_or_si512(a, b); }
/* (a & mask) | b */
LCY_INLINE vi v_and_or(vi a, vi mask, vi b) { return _mm512_ternarylogic_epi32(a, mask, b, 0xea); }
LCY_INLINE vi v_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
LCY_INLINE vi v_add32(vi a, vi b) { return _mm512_add_epi32(a, b); }
LCY_INLINE vi v_sub32(vi a, vi b) { return _mm512_sub_epi32(a, b); }
LCY_INLINE vi v_shr32(vi a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
LCY_INLINE vi v_shl32(vi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
LCY_INLINE vi v_sra32(vi a, int n) { return _mm512_srai_epi32(a, (unsigned)n); }
LCY_INLINE vi v_shr32_by(vi a, vi n) { return _mm512_srlv_epi32(a, n); }
LCY_INLINE vi v_andnot(vi a, vi b) { return _mm512_andnot_si512(a, b); }
LCY_INLINE vi v_mul16(vi a, vi b) { return _mm512_mullo_epi16(a, b); }
LCY_INLINE vi v_add8(vi a, vi b) { return _mm512_add_epi8(a, b); }
LCY_INLINE vi v_sra16(vi a, int n) { return _mm512_srai_epi16(a, (unsigned)n); }
LCY_INLINE vi v_sub8(vi a, vi b) { return _mm512_sub_epi8(a, b); }
LCY_INLINE vi v_shuffle8(vi table, vi index) { return _mm512_shuffle_epi8(table, index); }

/* sum of 32 signed bytes: they are shifted up by 128 to be added as unsigned */
LCY_INLINE int32_t v_sum_bytes32(const int8_t *p) {
    const __m256i up = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)p), _mm256_set1_epi8(-128));
    const __m256i sums = _mm256_sad_epu8(up, _mm256_setzero_si256());
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return _mm_cvtsi128_si32(two) + _mm_extract_epi32(two, 2) - 32 * 128;
}

/* bytes whose bit of `bits` is set in `a` become c, the others 0 */
LCY_INLINE vi v_bytes_if(vi a, vi bits, vi c) { return _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(a, bits), c); }

/* pairs: u8 a * s8 b, two products added, 16 bits, saturating; s16 a * s16 b, two products added to acc, 32 bits */
LCY_INLINE vi v_pairs8(vi a, vi b) { return _mm512_maddubs_epi16(a, b); }
LCY_INLINE vi v_pairs16(vi acc, vi a, vi b) { return _mm512_dpwssd_epi32(acc, a, b); }

/* ---- a block of 32 codes against 32 activations, four 32-bit sums per lane ---- */

LCY_INLINE vi v_dot32(vi low, vi xlow, vi high, vi xhigh) {
    return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(v_zero(), low, xlow), high, xhigh);
}
/* Signed codes: u8 * s8 is all there is, so they are shifted up by 128; the caller takes that back. */
#define V_SIGNED_OFFSET 128

/* ---- many tokens: register g holds codes 4 g .. 4 g + 3 of every row of the tile; x: their activations ---- */

/* acc + the sums over n (1, 4 or 8) registers. most: the largest code, for ISAs that add in 16 bits */
LCY_INLINE vi v_dot_rows(vi acc, const vi *codes, int n, const int8_t *x, int most) {
    (void)most;
    for (int g = 0; g < n; g++) acc = _mm512_dpbusd_epi32(acc, codes[g], v_same4(x + 4 * g));
    return acc;
}
/* The same times a scale per row; scale: what v_row_scale made of a register of 32-bit scales */
LCY_INLINE vi v_row_scale(vi scale) { return scale; }
LCY_INLINE vi v_dot_rows_scaled(vi acc, const vi *codes, int n, const int8_t *x, int most, vi scale) {
    return v_add32(acc, _mm512_mullo_epi32(v_dot_rows(v_zero(), codes, n, x, most), scale));
}
/* signed codes as v_dot_rows takes them, and what they are too large by */
LCY_INLINE vi v_row_signed(vi codes) { return v_xor(codes, v_set8(-128)); }
LCY_INLINE vi v_dot_rows_signed(vi acc, const vi *codes, int n, const int8_t *x) {
    return v_dot_rows(acc, codes, n, x, 255);
}

/* sum[t] += the sums over 8 registers for each of a few tokens, 32 activations each. The sums of all tokens advance side by
 * side, and below three tokens in two halves: a product waits for the one before it in its sum. */
LCY_INLINE void v_dot_few(vi sum[], const vi codes[8], int tokens, const int8_t *x, int most, int is_signed) {
    vi other[2] = {v_zero(), v_zero()};
    (void)most, (void)is_signed;
    for (int g = 0; g < 8; g++)
        for (int t = 0; t < tokens; t++) {
            vi *acc = tokens <= 2 && g % 2 ? other + t : sum + t;
            *acc = _mm512_dpbusd_epi32(*acc, codes[g], v_same4(x + 32 * t + 4 * g));
        }
    for (int t = 0; t < tokens && tokens <= 2; t++) sum[t] = v_add32(sum[t], other[t]);
}

/* byte n (a constant) of each dword, as v_few_dot and v_few_scale take it */
LCY_INLINE vi v_byte_scale(vi bytes, int n, int is_signed) {
    if (is_signed) return v_sra32(v_shl32(bytes, 24 - 8 * n), 24);
    const int at = (int)0x80808000 | n;
    return v_shuffle8(bytes, _mm512_broadcast_i32x4(_mm_setr_epi32(at, at + 4, at + 8, at + 12)));
}

/* The same for four registers whose sums have a scale: part[t] += the sums over them, for tokens whose activations are
 * `apart` bytes apart; then acc[t] += scale x part[t], which begins anew. */
LCY_INLINE void v_few_dot(vi part[], vi acc[], const vi codes[4], int tokens, const int8_t *x, int apart, int most, vi scale) {
    (void)acc, (void)most, (void)scale;
    for (int g = 0; g < 4; g++)
        for (int t = 0; t < tokens; t++)
            part[t] = _mm512_dpbusd_epi32(part[t], codes[g], v_same4(x + apart * t + 4 * g));
}
LCY_INLINE void v_few_scale(vi part[], vi acc[], int tokens, vi scale) {
    for (int t = 0; t < tokens; t++) acc[t] = v_add32(acc[t], _mm512_mullo_epi32(part[t], scale)), part[t] = v_zero();
}

/* For panel.h: sum + products of codes and activations (v_same4 of four of them), in 32 bits; sum + part x scale */
#define V_PANELS 1
#define V_FOLDED_OFFSET 127
LCY_INLINE vi v_add_product(vi sum, vi codes, vi q) { return _mm512_dpbusd_epi32(sum, codes, q); }
LCY_INLINE vi v_row_pairs(vi pairs) { return pairs; }
LCY_INLINE vi v_add_pairs(vi sum, vi pairs, const int16_t *sums, int n) { return v_pairs16(sum, pairs, v_same4(sums + 2 * n)); }
LCY_INLINE vi v_add_scaled(vi sum, vi part, vi scale) { return v_add32(sum, _mm512_mullo_epi32(part, scale)); }

/* ---- lanes -> one block or row per 32-bit element ---- */

LCY_INLINE vi v_low32(vi a, vi b) { return _mm512_unpacklo_epi32(a, b); }
LCY_INLINE vi v_high32(vi a, vi b) { return _mm512_unpackhi_epi32(a, b); }
LCY_INLINE vi v_low64(vi a, vi b) { return _mm512_unpacklo_epi64(a, b); }
LCY_INLINE vi v_high64(vi a, vi b) { return _mm512_unpackhi_epi64(a, b); }

/* ---- floats ---- */

LCY_INLINE vf v_zerof(void) { return _mm512_setzero_ps(); }
LCY_INLINE vf v_setf(float x) { return _mm512_set1_ps(x); }
LCY_INLINE vf v_float(vi a) { return _mm512_cvtepi32_ps(a); }
LCY_INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
LCY_INLINE vf v_addf(vf a, vf b) { return _mm512_add_ps(a, b); }
LCY_INLINE vf v_subf(vf a, vf b) { return _mm512_sub_ps(a, b); }
LCY_INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
LCY_INLINE vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }

/* lanes from..to - 1 of a register */
typedef __mmask16 v_some;
LCY_INLINE v_some v_some_of(int from, int to) { return (v_some)((1u << to) - (1u << from)); }
LCY_INLINE vf v_load_some(const float *p, v_some m) { return _mm512_maskz_loadu_ps(m, p); }
LCY_INLINE void v_store_some(float *p, vf a, v_some m) { _mm512_mask_storeu_ps(p, m, a); }

/* V_ROWS x V_ROWS */
LCY_INLINE void v_transpose_square(vf a[V_ROWS]) {
    vf b[16];
    for (int i = 0; i < 16; i += 4) {
        const vf p = _mm512_unpacklo_ps(a[i], a[i + 1]), q = _mm512_unpackhi_ps(a[i], a[i + 1]);
        const vf r = _mm512_unpacklo_ps(a[i + 2], a[i + 3]), s = _mm512_unpackhi_ps(a[i + 2], a[i + 3]);
        b[i] = _mm512_shuffle_ps(p, r, 0x44), b[i + 1] = _mm512_shuffle_ps(p, r, 0xee);
        b[i + 2] = _mm512_shuffle_ps(q, s, 0x44), b[i + 3] = _mm512_shuffle_ps(q, s, 0xee);
    }
    /* b[4 g + j]: lane l holds column 4 l + j of rows 4 g .. 4 g + 3 */
    for (int j = 0; j < 4; j++) {
        const vf p = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88), q = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xdd);
        const vf r = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88);
        const vf s = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xdd);
        a[j] = _mm512_shuffle_f32x4(p, r, 0x88), a[8 + j] = _mm512_shuffle_f32x4(p, r, 0xdd);
        a[4 + j] = _mm512_shuffle_f32x4(q, s, 0x88), a[12 + j] = _mm512_shuffle_f32x4(q, s, 0xdd);
    }
}

#endif
