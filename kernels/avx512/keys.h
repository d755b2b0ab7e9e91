/* keys.h (avx512) */
#ifndef LCY_AVX512_KEYS_H
#define LCY_AVX512_KEYS_H

/* 4 of 8 channels, the lower or the upper ones, of 4 keys that are 4 cells apart */
LCY_INLINE lanes spread_keys(const uint8_t *const key[16], int64_t channel, int upper) {
    __m256i pair[2];
    for (int i = 0; i < 2; i++) {
        const __m128i a = _mm_loadu_si128((const __m128i *)(key[4 * i] + 2 * channel));
        const __m128i b = _mm_loadu_si128((const __m128i *)(key[4 * i + 8] + 2 * channel));
        pair[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
    }
    return lanes_of_halves(upper ? _mm256_unpackhi_epi64(pair[0], pair[1]) : _mm256_unpacklo_epi64(pair[0], pair[1]));
}

/* half: k[8]: j + 4*(l/8). q: 8 registers */
LCY_INLINE void meet(int upper, const uint8_t *const key[16], int64_t rows, const float *q, float *sums) {
    lanes k[2][8];
    for (int g = 0; g < 2; g++)
        for (int i = 0; i < 8; i++) k[g][i] = spread_keys(key + g, 8 * (i / 4) + 16 * (i % 4), upper);
    q += 128 * upper;
    for (int64_t r = 0; r < rows; r++, q += 256, sums += 64) {
        lanes s[2][2];
        for (int u = 0; u < 2; u++) {
            const lanes q0 = lanes_load(q + 64 * u), q1 = lanes_load(q + 64 * u + 16), q2 = lanes_load(q + 64 * u + 32),
                        q3 = lanes_load(q + 64 * u + 48);
            for (int g = 0; g < 2; g++) {
                const lanes *kk = k[g] + 4 * u;
                s[g][u] = lanes_add(lanes_fma(kk[2], q2, lanes_mul(kk[0], q0)), lanes_fma(kk[3], q3, lanes_mul(kk[1], q1)));
            }
        }
        for (int g = 0; g < 2; g++) {
            lanes t = lanes_add(s[g][0], s[g][1]);
            if (upper) t = lanes_add(t, lanes_load(sums + 16 * g));
            lanes_store(sums + 16 * g, t);
        }
    }
}

/* The end of the tree: register i has the sums of keys i, i + 4, i + 8, i + 12. */
LCY_INLINE lanes scores_of_16_keys(const float *sums) {
    lanes a[4], pair[2];
    for (int i = 0; i < 4; i++) a[i] = lanes_load(sums + 16 * i);
    for (int i = 0; i < 2; i++)
        pair[i] = lanes_add(_mm512_unpacklo_ps(a[2 * i], a[2 * i + 1]), _mm512_unpackhi_ps(a[2 * i], a[2 * i + 1]));
    const __m512d p = _mm512_castps_pd(pair[0]), q = _mm512_castps_pd(pair[1]);
    const lanes low = _mm512_castpd_ps(_mm512_unpacklo_pd(p, q)), high = _mm512_castpd_ps(_mm512_unpackhi_pd(p, q));
    return lanes_add(lanes_add(low, high), lanes_same(0));
}

static void kq_64(int64_t n, const lcy_head *head, int64_t rows, const float *q, float *out,
                                 int64_t out_stride, float *scratch) {
    float *sums = (float*)(((uintptr_t)scratch+63)&~63ul), *dup = sums + rows * 64;
    for (int64_t r = 0; r < rows; r++)
        for (int h = 0; h < 2; h++)
            for (int i = 0; i < 8; i++)
                lanes_store(dup + 256 * r + 128 * h + 16 * i,
                            _mm512_broadcast_f32x4(_mm_loadu_ps(q + 64 * r + 4 * h + 8 * (i / 4) + 16 * (i % 4))));
    for (int64_t first = 0; first < n; first += 16) {
        const __mmask16 there = (__mmask16)(n - first < 16 ? (1u << (n - first)) - 1 : 0xffff);
        const uint8_t *key[16];
        for (int64_t i = 0; i < 16; i++)
            key[i] = (const uint8_t *)head->rows + head->cells[first + i < n ? first + i : n - 1] * head->stride;
        for (int i = 0; i < 4; i += 2) {
            meet(0, key + i, rows, dup, sums + 16 * i);
            meet(1, key + i, rows, dup, sums + 16 * i);
        }
        for (int64_t r = 0; r < rows; r++)
            _mm512_mask_storeu_ps(out + r * out_stride + first, there, scores_of_16_keys(sums + 64 * r));
    }
}

static void kq_f16_spread(int64_t d, int64_t n, const lcy_head *k, int64_t rows, const float *q, float *out,
                          int64_t out_stride, float *scratch) {
    if (d == 64)
        kq_64(n, k, rows, q, out, out_stride, scratch);
    else
        LANES_NAME(kq_f16)(d, n, k, rows, q, out, out_stride, scratch);
}

#endif
