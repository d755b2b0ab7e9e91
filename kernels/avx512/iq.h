/* iq.h (avx512): a block of a codebook format, 32 weights at a time.
 *
 * In 256-bit registers: most of the work is to gather points through loads and 128-bit shuffles, and while 512-bit
 * ones are in use Intel cores have one port less for those (IQ1_S: 13.3 ns a block so, 17.5 with 512 bits; Sapphire
 * Rapids). What AVX-512 brings is masks, which negate activations in one step, and a multiply that also adds.
 */
#ifndef LCY_AVX512_IQ_H
#define LCY_AVX512_IQ_H

#include "../simd/iq.h"

/* sum + pairs of 16 bits * their scales */
LCY_INLINE __m256i lcy_iq_add_pairs(__m256i sum, __m256i pairs, __m256i scale) {
    return _mm256_dpwssd_epi32(sum, pairs, scale);
}

/* One block of a row against one block of a token, in eight sums. */
LCY_INLINE __m256i lcy_iq_block_sums(const uint8_t *block, const lcy_iq_begun *s, const lcy_block_q8_k *x,
                                     const lcy_iq_traits *f) {
    __m256i sums = f->has_mins ? _mm256_madd_epi16(s->mins, lcy_iq_load256(x->sums)) : _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        const __m256i values = f->values(s, block, b), scale = lcy_iq_scale(s, b);
        const __m256i magnitudes = f->sign == LCY_IQ_SIGNED ? _mm256_abs_epi8(values) : values;
        const __mmask32 negative = (__mmask32)lcy_iq_4bytes(lcy_iq_sign_bits(f, s, block) + 4 * b);
        __m256i a = lcy_iq_load256(x->q + 32 * b);
        if (f->sign == LCY_IQ_SIGNED) a = _mm256_sign_epi8(a, values);
        if (f->sign == LCY_IQ_SIGN_BITS) a = _mm256_mask_sub_epi8(a, negative, _mm256_setzero_si256(), a);
        sums = lcy_iq_add_pairs(sums, _mm256_maddubs_epi16(magnitudes, a), scale);
    }
    return sums;
}

/* 32 weights as signed bytes */
LCY_INLINE __m256i lcy_iq_signed_values(const lcy_iq_begun *s, const uint8_t *block, int b, const lcy_iq_traits *f) {
    const __m256i v = f->values(s, block, b);
    const __mmask32 negative = (__mmask32)lcy_iq_4bytes(lcy_iq_sign_bits(f, s, block) + 4 * b);
    return f->sign == LCY_IQ_SIGN_BITS ? _mm256_mask_sub_epi8(v, negative, _mm256_setzero_si256(), v) : v;
}

/* For iq_many.h: codes may be any byte. */
LCY_INLINE int lcy_iq_offset(const lcy_iq_traits *f) { return f->offset; }

LCY_INLINE vi lcy_iq_dot_rows(vi acc, const vi *codes, const int8_t *x, vi scale, const lcy_iq_traits *f) {
    return v_dot_rows_scaled(acc, codes, f->size / 4, x, f->most, scale);
}

#endif
