/* iq2.h: blocks of IQ2_XXS, IQ2_XS, IQ2_S for iq.h. 32 weights are four loads of 8 bytes from a codebook. */
#ifndef LCY_SIMD_IQ2_H
#define LCY_SIMD_IQ2_H

#include "../formats/iq2_s.h"
#include "../formats/iq2_xs.h"
#include "../formats/iq2_xxs.h"

/* ---- IQ2_XXS ---- */

LCY_INLINE void begin_iq2_xxs(lcy_iq_begun *s, const void *block) {
    const lcy_block_iq2_xxs *w = block;
    const __m256 a = _mm256_loadu_ps((const float *)w->qs), b = _mm256_loadu_ps((const float *)(w->qs + 16));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd)), 0xd8);
    s->d = lcy_f16_to_f32(w->d);
    s->scales = lcy_iq_scales_of_words(words);
    lcy_iq_put_bits(s, lcy_iq_even_bits(lcy_iq_split_sevens(words)));
}

LCY_INLINE __m256i values_iq2_xxs(const lcy_iq_begun *s, const void *block, int b) {
    const uint8_t *i = (const uint8_t *)((const lcy_block_iq2_xxs *)block)->qs + 8 * b;
    (void)s;
    return lcy_iq_4points(lcy_iq2_xxs_points, i[0], i[1], i[2], i[3]);
}

static const lcy_iq_traits lcy_traits_iq2_xxs = {
    .bytes = sizeof(lcy_block_iq2_xxs), .factor = 0.125f, .sign = LCY_IQ_SIGN_BITS,
    .size = 32, .offset = 64, .most = 107, .begin = begin_iq2_xxs, .values = values_iq2_xxs,
};

/* ---- IQ2_XS ---- */

LCY_INLINE void begin_iq2_xs(lcy_iq_begun *s, const void *block) {
    const lcy_block_iq2_xs *w = block;
    const __m256i a = lcy_iq_load256(w->qs), b = lcy_iq_load256(w->qs + 16), mask = _mm256_set1_epi16(511);
    const __m256i sevens = _mm256_packus_epi16(_mm256_srli_epi16(a, 9), _mm256_srli_epi16(b, 9));
    lcy_iq_put_index(s, 0, _mm256_and_si256(a, mask));
    lcy_iq_put_index(s, 16, _mm256_and_si256(b, mask));
    lcy_iq_put_bits(s, lcy_iq_even_bits(_mm256_permute4x64_epi64(sevens, 0xd8)));
    s->d = lcy_f16_to_f32(w->d);
    s->scales = lcy_iq_scales16(w->scales);
}

LCY_INLINE __m256i values_iq2_xs(const lcy_iq_begun *s, const void *block, int b) {
    const uint16_t *i = s->index + 4 * b;
    (void)block;
    return lcy_iq_4points(lcy_iq2_xs_points, i[0], i[1], i[2], i[3]);
}

static const lcy_iq_traits lcy_traits_iq2_xs = {
    .bytes = sizeof(lcy_block_iq2_xs), .factor = 0.125f, .sign = LCY_IQ_SIGN_BITS,
    .size = 16, .offset = 64, .most = 107, .begin = begin_iq2_xs, .values = values_iq2_xs,
};

/* ---- IQ2_S ---- */

LCY_INLINE void begin_iq2_s(lcy_iq_begun *s, const void *block) {
    const lcy_block_iq2_s *w = block;
    const __m256i shift = _mm256_set1_epi64x(0x0100040010004000); /* 2 bits of each copy of a byte to the top */
    const __m256i high = lcy_iq_both(lcy_iq_load64(w->qh));
    for (int h = 0; h < 2; h++) { /* byte 4h + g / 4 for group g of 16 */
        const __m256i spread = _mm256_add_epi8(
            _mm256_setr_epi64x((long long)0x8000800080008000, (long long)0x8001800180018001,
                               (long long)0x8002800280028002, (long long)0x8003800380038003),
            _mm256_set1_epi16((short)(4 * h)));
        const __m256i top = _mm256_mullo_epi16(_mm256_shuffle_epi8(high, spread), shift);
        const __m256i bits = _mm256_and_si256(_mm256_srli_epi16(top, 6), _mm256_set1_epi16(0x300));
        const __m256i low = _mm256_cvtepu8_epi16(lcy_iq_load128(w->qs + 16 * h));
        lcy_iq_put_index(s, 16 * h, _mm256_or_si256(bits, low));
    }
    s->d = lcy_f16_to_f32(w->d);
    s->scales = lcy_iq_scales16(w->scales);
}

LCY_INLINE __m256i values_iq2_s(const lcy_iq_begun *s, const void *block, int b) {
    const uint16_t *i = s->index + 4 * b;
    (void)block;
    return lcy_iq_4points(lcy_iq2_s_points, i[0], i[1], i[2], i[3]);
}

static const lcy_iq_traits lcy_traits_iq2_s = {
    .bytes = sizeof(lcy_block_iq2_s), .factor = 0.125f, .sign = LCY_IQ_SIGN_BITS,
    .signs_at = offsetof(lcy_block_iq2_s, signs),
    .size = 16, .offset = 64, .most = 107, .begin = begin_iq2_s, .values = values_iq2_s,
};

#endif
