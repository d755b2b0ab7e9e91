/* iq.h (avx2): a block of a codebook format, 32 weights at a time. Also AVX-VNNI's. Needs a vec.h. */
#ifndef LCY_AVX2_IQ_H
#define LCY_AVX2_IQ_H

#include "../simd/iq.h"

/* bit i of 32 -> byte i: -1 where it is set, 1 where not */
LCY_INLINE __m256i lcy_iq_signs(const uint8_t bits[4]) {
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i set = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(lcy_iq_4bytes(bits)), spread), bit);
    return _mm256_or_si256(_mm256_cmpeq_epi8(set, bit), _mm256_set1_epi8(1));
}

/* sum + pairs of 16 bits * their scales */
LCY_INLINE __m256i lcy_iq_add_pairs(__m256i sum, __m256i pairs, __m256i scale) { return v_pairs16(sum, pairs, scale); }

/* One block of a row against one block of a token, in eight sums. */
LCY_INLINE __m256i lcy_iq_block_sums(const uint8_t *block, const lcy_iq_begun *s, const lcy_block_q8_k *x,
                                     const lcy_iq_traits *f) {
    __m256i sums = f->has_mins ? _mm256_madd_epi16(s->mins, lcy_iq_load256(x->sums)) : _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        const __m256i values = f->values(s, block, b), scale = lcy_iq_scale(s, b);
        const __m256i magnitudes = f->sign == LCY_IQ_SIGNED ? _mm256_abs_epi8(values) : values;
        const uint8_t *bits = lcy_iq_sign_bits(f, s, block) + 4 * b;
        const __m256i signs = f->sign == LCY_IQ_SIGN_BITS ? lcy_iq_signs(bits) : values;
        const __m256i q = lcy_iq_load256(x->q + 32 * b);
        const __m256i a = f->sign == LCY_IQ_UNSIGNED ? q : _mm256_sign_epi8(q, signs);
        sums = lcy_iq_add_pairs(sums, _mm256_maddubs_epi16(magnitudes, a), scale);
    }
    return sums;
}

/* 32 weights as signed bytes */
LCY_INLINE __m256i lcy_iq_signed_values(const lcy_iq_begun *s, const uint8_t *block, int b, const lcy_iq_traits *f) {
    const __m256i v = f->values(s, block, b);
    return f->sign == LCY_IQ_SIGN_BITS ? _mm256_sign_epi8(v, lcy_iq_signs(lcy_iq_sign_bits(f, s, block) + 4 * b)) : v;
}

/* For iq_many.h. Where products are added in pairs of 16 bits, codes above 127 would overflow: those of IQ4_XS stay
 * signed, nothing is added to them, and each product moves the sign to the activation. */
LCY_INLINE int lcy_iq_any_byte(const lcy_iq_traits *f) { return V_SIGNED_OFFSET || f->most <= 127; }
LCY_INLINE int lcy_iq_offset(const lcy_iq_traits *f) { return lcy_iq_any_byte(f) ? f->offset : 0; }

LCY_INLINE vi lcy_iq_dot_rows(vi acc, const vi *codes, const int8_t *x, vi scale, const lcy_iq_traits *f) {
    const int n = f->size / 4;
    if (lcy_iq_any_byte(f)) return v_dot_rows_scaled(acc, codes, n, x, f->most, scale);
    for (int g = 0; g < n; g++) acc = v_pairs16(acc, v_pairs8_signed(codes[g], v_same4(x + 4 * g)), scale);
    return acc;
}

#endif
