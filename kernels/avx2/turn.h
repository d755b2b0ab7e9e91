/* turn.h (avx2): 8 channels of 16 rows, turned so that a register of keys.h holds one channel of all rows.
 *
 * Also AVX-512's: the turning itself is done in 256 bits. Needs a lanes.h and a vec.h. */
#ifndef LCY_AVX2_TURN_H
#define LCY_AVX2_TURN_H

/* out[c]: channel c of all rows, from number `channel` on */
LCY_INLINE void lanes_turn_halves(lanes out[8], const uint8_t *const row[16], int64_t channel) {
    __m256i a[8], b[8];
    for (int i = 0; i < 8; i++) {
        const __m128i low = _mm_loadu_si128((const __m128i *)(row[i] + 2 * channel));
        const __m128i high = _mm_loadu_si128((const __m128i *)(row[i + 8] + 2 * channel));
        a[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
    }
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_epi16(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_epi16(a[i], a[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            a[i + 2 * j] = _mm256_unpacklo_epi32(b[i + j], b[i + j + 2]);
            a[i + 2 * j + 1] = _mm256_unpackhi_epi32(b[i + j], b[i + j + 2]);
        }
    for (int i = 0; i < 4; i++) {
        out[2 * i] = lanes_of_halves(_mm256_unpacklo_epi64(a[i], a[i + 4]));
        out[2 * i + 1] = lanes_of_halves(_mm256_unpackhi_epi64(a[i], a[i + 4]));
    }
}

LCY_INLINE void lanes_turn_8x8(__m256 out[8], const uint8_t *const row[8], int64_t channel) {
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        const __m256 even = _mm256_loadu_ps((const float *)row[i] + channel);
        const __m256 odd = _mm256_loadu_ps((const float *)row[i + 1] + channel);
        a[i] = _mm256_unpacklo_ps(even, odd);
        a[i + 1] = _mm256_unpackhi_ps(even, odd);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0x44);
            b[i + 2 * j + 1] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0xee);
        }
    for (int i = 0; i < 4; i++) {
        out[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        out[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

LCY_INLINE void lanes_turn_floats(lanes out[8], const uint8_t *const row[16], int64_t channel) {
    __m256 low[8], high[8];
    lanes_turn_8x8(low, row, channel);
    lanes_turn_8x8(high, row + 8, channel);
    for (int c = 0; c < 8; c++) out[c] = lanes_join(low[c], high[c]);
}

#endif
