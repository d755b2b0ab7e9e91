/* convert.h (avx2): floats <-> F16 and the activation formats, bit equal to the plain C of formats/. */
#ifndef LCY_AVX2_CONVERT_H
#define LCY_AVX2_CONVERT_H

#include <immintrin.h>

#include "../formats/common/iq_curve.h"
#include "../formats/iq4_nl.h"
#include "../formats/q4_0.h"
#include "../formats/q4_1.h"
#include "../formats/q5_0.h"
#include "../formats/q5_1.h"
#include "../formats/q8_0.h"
#include "../formats/q8_1.h"
#include "../formats/q8_k.h"
#include "../kernels.h"

static void to_float_f16_avx2(int64_t n, float *y, const void *x) {
    const uint16_t *in = x;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
    for (; i < n; i++) y[i] = lcy_f16_to_f32(in[i]);
}

static void from_float_f16_avx2(int64_t n, void *y, const float *x) {
    uint16_t *out = y;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) _mm_storeu_si128((__m128i *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0));
    for (; i < n; i++) out[i] = lcy_f32_to_f16(x[i]);
}

/* lcy_f32_to_bf16, each in the low half of a dword */
static inline __m256i to_bf16_8(const float *x) {
    const __m256i u = _mm256_loadu_si256((const __m256i *)x), top = _mm256_srli_epi32(u, 16);
    const __m256i even = _mm256_add_epi32(_mm256_and_si256(top, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
    const __m256i mag = _mm256_and_si256(u, _mm256_set1_epi32(0x7fffffff));
    const __m256i nan = _mm256_cmpgt_epi32(mag, _mm256_set1_epi32(0x7f800000));
    return _mm256_blendv_epi8(_mm256_srli_epi32(_mm256_add_epi32(u, even), 16), _mm256_or_si256(top, _mm256_set1_epi32(64)), nan);
}

static void from_float_bf16_avx2(int64_t n, void *y, const float *x) {
    uint16_t *out = y;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256i mixed = _mm256_packus_epi32(to_bf16_8(x + i), to_bf16_8(x + i + 8));
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_permute4x64_epi64(mixed, 0xd8));
    }
    for (; i < n; i++) out[i] = lcy_f32_to_bf16(x[i]);
}

/* ---- 32 bytes to floats ---- */

/* y = d * q */
static inline void scale_32(float *y, __m256i q, float d) {
    const __m128i half[2] = {_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1)};
    for (int i = 0; i < 4; i++) {
        const __m128i eight = i % 2 ? _mm_srli_si128(half[i / 2], 8) : half[i / 2];
        _mm256_storeu_ps(y + 8 * i, _mm256_mul_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight))));
    }
}

/* y = d * q + m */
static inline void scale_and_shift_32(float *y, __m256i q, float d, float m) {
    scale_32(y, q, d);
    for (int i = 0; i < 32; i += 8) _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_set1_ps(m)));
}

static inline __m256i nibbles_32(const uint8_t qs[16]) {
    const __m128i both = _mm_loadu_si128((const __m128i *)qs);
    const __m256i apart = _mm256_inserti128_si256(_mm256_castsi128_si256(both), _mm_srli_epi16(both, 4), 1);
    return _mm256_and_si256(apart, _mm256_set1_epi8(15));
}

/* 16 where bit i is set: byte i / 8 of the word is copied under code i, which then tests its bit i % 8 */
static inline __m256i fifths_32(const uint8_t qh[4]) {
    int32_t word;
    memcpy(&word, qh, 4);
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    const __m256i under = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(word), spread), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(under, bit), _mm256_set1_epi8(16));
}

#define TO_FLOAT(name, step)                                                                 \
    static void to_float_##name##_avx2(int64_t n, float *y, const void *x) {                 \
        const lcy_block_##name *b = x;                                                       \
        for (int64_t k = 0; k < n / 32; k++, b++, y += 32) {                                 \
            const float d = lcy_f16_to_f32(b->d);                                            \
            step;                                                                            \
        }                                                                                    \
    }
TO_FLOAT(q8_0, scale_32(y, _mm256_loadu_si256((const __m256i *)b->q), d))
TO_FLOAT(q4_0, scale_32(y, _mm256_sub_epi8(nibbles_32(b->qs), _mm256_set1_epi8(8)), d))
TO_FLOAT(q4_1, scale_and_shift_32(y, nibbles_32(b->qs), d, lcy_f16_to_f32(b->m)))
TO_FLOAT(q5_0, scale_32(y, _mm256_sub_epi8(_mm256_or_si256(nibbles_32(b->qs), fifths_32(b->qh)), _mm256_set1_epi8(16)), d))
TO_FLOAT(q5_1, scale_and_shift_32(y, _mm256_or_si256(nibbles_32(b->qs), fifths_32(b->qh)), d, lcy_f16_to_f32(b->m)))
TO_FLOAT(iq4_nl, scale_32(y, _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)lcy_iq_curve)),
                                                 nibbles_32(b->qs)), d))
#undef TO_FLOAT

/* ---- 32 floats to bytes ---- */

static inline __m256 abs_8(__m256 x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }

/* the larger of each, and `most` where x is NaN: as a comparison in C would leave it */
static inline __m256 max_abs_8(__m256 x, __m256 most) { return _mm256_max_ps(abs_8(x), most); }

static inline float max_of_8(__m256 x) {
    const __m128 a = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 b = _mm_max_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

/* lcy_nearest before the offset is taken off: the low byte is already that of the integer */
static inline __m256i nearest_bits_8(__m256 x) {
    return _mm256_castps_si256(_mm256_add_ps(x, _mm256_set1_ps(12582912.0f)));
}

/* the low bytes of 4 x 8 dwords, in order */
static inline __m256i low_bytes_32(const __m256i v[4]) {
    const __m256i low = _mm256_set1_epi32(255), order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i a = _mm256_packus_epi32(_mm256_and_si256(v[0], low), _mm256_and_si256(v[1], low));
    const __m256i b = _mm256_packus_epi32(_mm256_and_si256(v[2], low), _mm256_and_si256(v[3], low));
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), order);
}

/* the sums of the first and the last 16 signed bytes */
static inline void sum_halves(int32_t sums[2], __m256i q) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
    const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    const __m256i eights = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4e));
    const __m256i all = _mm256_add_epi32(eights, _mm256_shuffle_epi32(eights, 0xb1));
    sums[0] = _mm256_extract_epi32(all, 0);
    sums[1] = _mm256_extract_epi32(all, 4);
}

/* The activation rule of Q8_0 and Q8_1; returns the scale before it is rounded to f16. */
static inline float round_to_q8(__m256i *q, const float *x) {
    __m256 most = _mm256_setzero_ps();
    __m256i v[4];
    for (int i = 0; i < 4; i++) most = max_abs_8(_mm256_loadu_ps(x + 8 * i), most);
    const float m = max_of_8(most);
    const __m256 inverse = _mm256_set1_ps(m != 0 ? 127 / m : 0);
    for (int i = 0; i < 4; i++) v[i] = nearest_bits_8(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inverse));
    *q = low_bytes_32(v);
    return m / 127;
}

static void from_float_q8_0_avx2(int64_t n, void *y, const float *x) {
    lcy_block_q8_0 *b = y;
    for (int64_t k = 0; k < n / 32; k++, b++) {
        __m256i q;
        b->d = lcy_f32_to_f16(round_to_q8(&q, x + 32 * k));
        _mm256_storeu_si256((__m256i *)b->q, q);
    }
}

static void from_float_q8_1_avx2(int64_t n, void *y, const float *x) {
    lcy_block_q8_1 *b = y;
    for (int64_t k = 0; k < n / 32; k++, b++) {
        __m256i q;
        int32_t sums[2];
        const float d = round_to_q8(&q, x + 32 * k);
        sum_halves(sums, q);
        b->d = lcy_f32_to_f16(d);
        b->s = lcy_f32_to_f16(d * (float)(sums[0] + sums[1]));
        _mm256_storeu_si256((__m256i *)b->q, q);
    }
}

/* ---- 256 floats to bytes ---- */

/* the first element of largest magnitude, with its sign */
static inline float peak_256(const float *x) {
    __m256 most = _mm256_setzero_ps();
    for (int i = 0; i < 256; i += 8) most = max_abs_8(_mm256_loadu_ps(x + i), most);
    const float m = max_of_8(most);
    for (int i = 0; i < 256 && m != 0; i += 8) {
        const int at = _mm256_movemask_ps(_mm256_cmp_ps(abs_8(_mm256_loadu_ps(x + i)), _mm256_set1_ps(m), _CMP_EQ_OQ));
        if (at) return x[i + __builtin_ctz((unsigned)at)];
    }
    return 0;
}

static void block_q8_k_avx2(lcy_block_q8_k *b, const float *x) {
    const float peak = peak_256(x), s = -127 / peak;
    if (peak == 0) {
        memset(b, 0, sizeof *b);
        return;
    }
    b->d = 1 / s;
    for (int i = 0; i < 256; i += 32) {
        __m256i v[4];
        int32_t sums[2];
        for (int j = 0; j < 4; j++) {
            const __m256i bits = nearest_bits_8(_mm256_mul_ps(_mm256_set1_ps(s), _mm256_loadu_ps(x + i + 8 * j)));
            const __m256i whole = _mm256_sub_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x7fffff)),
                                                   _mm256_set1_epi32(0x400000));
            v[j] = _mm256_min_epi32(whole, _mm256_set1_epi32(127));
        }
        const __m256i q = low_bytes_32(v);
        _mm256_storeu_si256((__m256i *)(b->q + i), q);
        sum_halves(sums, q);
        b->sums[i / 16] = (int16_t)sums[0];
        b->sums[i / 16 + 1] = (int16_t)sums[1];
    }
}

static void from_float_q8_k_avx2(int64_t n, void *y, const float *x) {
    lcy_block_q8_k *b = y;
    for (int64_t k = 0; k < n / 256; k++) block_q8_k_avx2(b + k, x + 256 * k);
}

static void fill_conversions(lcy_kernels *k) {
    k->to_float[LCY_F16] = to_float_f16_avx2;
    k->to_float[LCY_Q8_0] = to_float_q8_0_avx2;
    k->to_float[LCY_Q4_0] = to_float_q4_0_avx2;
    k->to_float[LCY_Q4_1] = to_float_q4_1_avx2;
    k->to_float[LCY_Q5_0] = to_float_q5_0_avx2;
    k->to_float[LCY_Q5_1] = to_float_q5_1_avx2;
    k->to_float[LCY_IQ4_NL] = to_float_iq4_nl_avx2;
    k->from_float[LCY_F16] = from_float_f16_avx2;
    k->from_float[LCY_BF16] = from_float_bf16_avx2;
    k->from_float[LCY_Q8_0] = from_float_q8_0_avx2;
    k->from_float[LCY_Q8_1] = from_float_q8_1_avx2;
    k->from_float[LCY_Q8_K] = from_float_q8_k_avx2;
}

#endif
