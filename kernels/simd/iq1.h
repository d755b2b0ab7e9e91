/* iq1.h: blocks of IQ1_S and IQ1_M for iq.h.
 *
 * A weight in eighths is 8 t - 8 + shift for digit t: the bytes 8 t are multiplied as they are, and what is missing
 * is a multiple of the sum of the activations, which Q8_K carries for each 16 (`mins`). IQ1_M shifts groups of 8,
 * finer than those sums: there an upward shift sets bit 1 of the byte, and the missing part is always -9.
 */
#ifndef LCY_SIMD_IQ1_H
#define LCY_SIMD_IQ1_H

#include "../formats/iq1_m.h"
#include "../formats/iq1_s.h"

/* ---- IQ1_S ---- */

LCY_INLINE void begin_iq1_s(lcy_iq_begun *s, const void *block) {
    const lcy_block_iq1_s *w = block;
    const __m128i qh = lcy_iq_load128(w->qh);
    const __m256i shift = _mm256_set1_epi64x(0x0010008004002000); /* 3 bits of each copy of a word to its top */
    for (int h = 0; h < 2; h++) { /* word 4h + g / 4 for group g of 16 */
        const __m256i spread = _mm256_add_epi8(
            _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302, 0x0504050405040504, 0x0706070607060706),
            _mm256_set1_epi8((char)(8 * h)));
        const __m256i top = _mm256_mullo_epi16(_mm256_shuffle_epi8(lcy_iq_both(qh), spread), shift);
        const __m256i bits = _mm256_and_si256(_mm256_srli_epi16(top, 5), _mm256_set1_epi16(0x700));
        const __m256i low = _mm256_cvtepu8_epi16(lcy_iq_load128(w->qs + 16 * h));
        lcy_iq_put_index(s, 16 * h, _mm256_or_si256(bits, low));
    }
    const __m256i codes = _mm256_and_si256(_mm256_srli_epi16(lcy_iq_both(qh), 12), _mm256_set1_epi16(7));
    s->scales = lcy_iq_odd_scales(codes);
    const __m128i down = _mm_srai_epi16(qh, 15); /* -1 or 0 */
    const __m128i missing = _mm_add_epi16(_mm_add_epi16(down, down), _mm_set1_epi16(-7));
    const __m128i mins = _mm_mullo_epi16(_mm256_castsi256_si128(s->scales), missing);
    s->mins = _mm256_setr_m128i(_mm_unpacklo_epi16(mins, mins), _mm_unpackhi_epi16(mins, mins));
    s->d = lcy_f16_to_f32(w->d);
}

LCY_INLINE __m256i values_iq1_s(const lcy_iq_begun *s, const void *block, int b) {
    const uint16_t *i = s->index + 4 * b;
    (void)block;
    return lcy_iq_4points(lcy_iq1_points, i[0], i[1], i[2], i[3]);
}

static const lcy_iq_traits lcy_traits_iq1_s = {
    .bytes = sizeof(lcy_block_iq1_s), .factor = 0.125f, .sign = LCY_IQ_UNSIGNED, .has_mins = 1,
    .size = 32, .offset = 0, .most = 16, .begin = begin_iq1_s, .values = values_iq1_s,
};

/* ---- IQ1_M ---- */

LCY_INLINE void begin_iq1_m(lcy_iq_begun *s, const void *block) {
    const lcy_block_iq1_m *w = block;
    const __m128i qh = lcy_iq_load128(w->qh), even = lcy_iq_nibbles(qh), odd = lcy_iq_nibbles(_mm_srli_epi16(qh, 4));
    const __m256i high = _mm256_setr_m128i(_mm_unpacklo_epi8(even, odd), _mm_unpackhi_epi8(even, odd)); /* per group */
    lcy_iq_put_bits(s, _mm256_andnot_si256(_mm256_srli_epi16(high, 2), _mm256_set1_epi8(2))); /* 2 if shifted up */
    for (int h = 0; h < 2; h++) {
        const __m128i half = h ? _mm256_extracti128_si256(high, 1) : _mm256_castsi256_si128(high);
        const __m256i bits = _mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm_and_si128(half, _mm_set1_epi8(7))), 8);
        const __m256i low = _mm256_cvtepu8_epi16(lcy_iq_load128(w->qs + 16 * h));
        lcy_iq_put_index(s, 16 * h, _mm256_or_si256(bits, low));
    }
    /* scale j = 4k + m: bits 3m of word k. Low lane m = 0, 2 of words 0..3, high lane m = 1, 3, brought to the top. */
    const __m128i twice = _mm_setr_epi8(0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7);
    const __m256i words = lcy_iq_both(_mm_shuffle_epi8(lcy_iq_load64(w->scales), twice));
    const __m256i shift = _mm256_setr_m128i(_mm_set1_epi32(0x00802000), _mm_set1_epi32(0x00100400));
    s->scales = lcy_iq_odd_scales(_mm256_srli_epi16(_mm256_mullo_epi16(words, shift), 13));
    const __m128i a = _mm256_castsi256_si128(s->scales), b = _mm256_extracti128_si256(s->scales, 1);
    const __m256i in_order = _mm256_setr_m128i(_mm_unpacklo_epi16(a, b), _mm_unpackhi_epi16(a, b));
    s->mins = _mm256_mullo_epi16(in_order, _mm256_set1_epi16(-9));
    s->d = lcy_iq1_m_d(w);
}

LCY_INLINE __m256i values_iq1_m(const lcy_iq_begun *s, const void *block, int b) {
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i up = _mm256_shuffle_epi8(_mm256_set1_epi32(lcy_iq_4bytes(s->bits + 4 * b)), spread);
    return _mm256_or_si256(values_iq1_s(s, block, b), up);
}

static const lcy_iq_traits lcy_traits_iq1_m = {
    .bytes = sizeof(lcy_block_iq1_m), .factor = 0.125f, .sign = LCY_IQ_UNSIGNED, .has_mins = 1,
    .size = 16, .offset = 0, .most = 18, .begin = begin_iq1_m, .values = values_iq1_m,
};

#endif
