/* iq3.h: blocks of IQ3_XXS and IQ3_S for iq.h. 32 weights are eight loads of 4 bytes from a codebook. */
#ifndef LCY_SIMD_IQ3_H
#define LCY_SIMD_IQ3_H

#include "../formats/iq3_s.h"
#include "../formats/iq3_xxs.h"

/* ---- IQ3_XXS ---- */

LCY_INLINE void begin_iq3_xxs(lcy_iq_begun *s, const void *block) {
    const lcy_block_iq3_xxs *w = block;
    const __m256i words = lcy_iq_load256(w->signs);
    s->d = lcy_f16_to_f32(w->d);
    s->scales = lcy_iq_scales_of_words(words);
    lcy_iq_put_bits(s, lcy_iq_even_bits(lcy_iq_split_sevens(words)));
}

LCY_INLINE __m256i values_iq3_xxs(const lcy_iq_begun *s, const void *block, int b) {
    const uint8_t *i = ((const lcy_block_iq3_xxs *)block)->qs + 8 * b;
    (void)s;
    return lcy_iq_8points(lcy_iq3_xxs_points, i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7]);
}

static const lcy_iq_traits lcy_traits_iq3_xxs = {
    .bytes = sizeof(lcy_block_iq3_xxs), .factor = 0.25f, .sign = LCY_IQ_SIGN_BITS,
    .size = 32, .offset = 64, .most = 126, .begin = begin_iq3_xxs, .values = values_iq3_xxs,
};

/* ---- IQ3_S ---- */

LCY_INLINE void begin_iq3_s(lcy_iq_begun *s, const void *block) {
    const lcy_block_iq3_s *w = block;
    const __m256i shift = lcy_iq_both(_mm_setr_epi16(256, 128, 64, 32, 16, 8, 4, 2)); /* bit k to bit 8 */
    const __m256i high = lcy_iq_both(lcy_iq_load64(w->qh));
    for (int h = 0; h < 4; h++) { /* byte 2h + g / 8 for group g of 16 */
        const __m256i spread = _mm256_setr_m128i(_mm_set1_epi16((short)(0x8000 + 2 * h)),
                                                 _mm_set1_epi16((short)(0x8001 + 2 * h)));
        const __m256i moved = _mm256_mullo_epi16(_mm256_shuffle_epi8(high, spread), shift);
        const __m256i bit = _mm256_and_si256(moved, _mm256_set1_epi16(0x100));
        lcy_iq_put_index(s, 16 * h, _mm256_or_si256(bit, _mm256_cvtepu8_epi16(lcy_iq_load128(w->qs + 16 * h))));
    }
    const __m128i codes = lcy_iq_codes8(w->scales);
    s->d = lcy_f16_to_f32(w->d);
    s->scales = lcy_iq_odd_scales(_mm256_cvtepu8_epi16(_mm_unpacklo_epi64(codes, codes)));
}

LCY_INLINE __m256i values_iq3_s(const lcy_iq_begun *s, const void *block, int b) {
    const uint16_t *i = s->index + 8 * b;
    (void)block;
    return lcy_iq_8points(lcy_iq3_s_points, i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7]);
}

static const lcy_iq_traits lcy_traits_iq3_s = {
    .bytes = sizeof(lcy_block_iq3_s), .factor = 1, .sign = LCY_IQ_SIGN_BITS,
    .signs_at = offsetof(lcy_block_iq3_s, signs),
    .size = 32, .offset = 64, .most = 79, .begin = begin_iq3_s, .values = values_iq3_s,
};

#endif
