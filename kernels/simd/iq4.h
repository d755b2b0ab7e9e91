/* iq4.h: blocks of IQ4_XS for iq.h. The 16 values are one byte shuffle. (IQ4_NL: iq4_nl.h.) */
#ifndef LCY_SIMD_IQ4_H
#define LCY_SIMD_IQ4_H

#include "../formats/common/iq_curve.h"
#include "../formats/iq4_xs.h"

LCY_INLINE void begin_iq4_xs(lcy_iq_begun *s, const void *block) {
    const lcy_block_iq4_xs *w = block;
    const __m128i shift = _mm_setr_epi16(1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 1 << 2, 1);
    const __m128i top = _mm_mullo_epi16(_mm_set1_epi16((short)w->scales_h), shift); /* 2 bits of each to the top */
    const __m128i high = _mm_and_si128(_mm_srli_epi16(top, 10), _mm_set1_epi16(0x30));
    const __m128i scale = _mm_or_si128(_mm_cvtepu8_epi16(lcy_iq_codes8(w->scales_l)), high);
    s->scales = lcy_iq_both(_mm_sub_epi16(scale, _mm_set1_epi16(32)));
    s->d = lcy_f16_to_f32(w->d);
}

LCY_INLINE __m256i values_iq4_xs(const lcy_iq_begun *s, const void *block, int b) {
    const __m128i v = lcy_iq_load128(((const lcy_block_iq4_xs *)block)->qs + 16 * b);
    const __m256i codes = _mm256_and_si256(_mm256_setr_m128i(v, _mm_srli_epi16(v, 4)), _mm256_set1_epi8(15));
    (void)s;
    return _mm256_shuffle_epi8(lcy_iq_both(lcy_iq_load128(lcy_iq_curve)), codes);
}

static const lcy_iq_traits lcy_traits_iq4_xs = {
    .bytes = sizeof(lcy_block_iq4_xs), .factor = 1, .sign = LCY_IQ_SIGNED,
    .size = 32, .offset = 128, .most = 241, .begin = begin_iq4_xs, .values = values_iq4_xs,
};

#endif
