/* lanes.h (avx2): the 16 lanes that attention sums in, as two registers; kernels/simd/attention.h is written in them. */
#ifndef LCY_AVX2_LANES_H
#define LCY_AVX2_LANES_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define LANES_NAME(name) name##_avx2
#define FLOATS_ROWS 4 /* of a tile of floats.h: the measured best of what fits the registers */
#define FLOATS_TOKENS 1
#define BF16_ROWS 4 /* of bf16.h */
#define BF16_TOKENS 1
#define KQ_ROWS 1 /* of keys.h: query rows */
#define PV_LANES 2 /* of values.h: registers of channels, query rows */
#define PV_ROWS 2
#define PV_ALONE 2 /* of channels, for a single query row */

typedef struct {
    __m256 low, high;
} lanes;

static inline lanes lanes_of(__m256 low, __m256 high) { return (lanes){low, high}; }
static inline lanes lanes_same(float x) { return lanes_of(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
static inline lanes lanes_load(const float *p) { return lanes_of(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
static inline lanes lanes_load_bytes(const void *p, int64_t n) { /* n < 64 of them, then zeros */
    float padded[16] = {0};
    memcpy(padded, p, (size_t)n);
    return lanes_load(padded);
}
static inline void lanes_hold(lanes *a) { __asm__ volatile("" : "+x"(a->low), "+x"(a->high)); } /* now, and in registers */
static inline void lanes_store(float *p, lanes a) {
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
}
static inline lanes lanes_add(lanes a, lanes b) {
    return lanes_of(_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high));
}
static inline lanes lanes_sub(lanes a, lanes b) {
    return lanes_of(_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high));
}
static inline lanes lanes_mul(lanes a, lanes b) {
    return lanes_of(_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high));
}
static inline lanes lanes_max(lanes a, lanes b) {
    return lanes_of(_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high));
}
static inline lanes lanes_fma(lanes a, lanes b, lanes c) {
    return lanes_of(_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high));
}
static inline __m256 lanes_8halves(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline lanes lanes_halves(const uint16_t *p) { return lanes_of(lanes_8halves(p), lanes_8halves(p + 8)); }
static inline lanes lanes_of_halves(__m256i halves) {
    return lanes_of(_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1)));
}
static inline lanes lanes_join(__m256 low, __m256 high) { return lanes_of(low, high); }

/* rounded to f16 and widened again */
static inline lanes lanes_through_half(lanes a) {
    return lanes_of(_mm256_cvtph_ps(_mm256_cvtps_ph(a.low, 0)), _mm256_cvtph_ps(_mm256_cvtps_ph(a.high, 0)));
}

/* of the bits */
static inline __m256 lanes_shift_left8(__m256 a, int n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), n));
}
static inline lanes lanes_shift_left(lanes a, int n) {
    return lanes_of(lanes_shift_left8(a.low, n), lanes_shift_left8(a.high, n));
}

static inline lanes lanes_upper_halves(lanes a) {
    const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000u));
    return lanes_of(_mm256_and_ps(a.low, mask), _mm256_and_ps(a.high, mask));
}

/* from here until lanes_flush_as(before), numbers below 2^-126 are zeros: what goes in and what comes out */
typedef unsigned lanes_mode;
static inline lanes_mode lanes_flush_small(void) {
    const lanes_mode before = _mm_getcsr();
    _mm_setcsr(before | _MM_FLUSH_ZERO_ON | 0x40);
    return before;
}
static inline void lanes_flush_as(lanes_mode before) { _mm_setcsr(before); }

/* f16 -> f16 through a table of 65537 entries: each gather reads two, the upper one is dropped */
static inline __m256 lanes_lookup8(const uint16_t *table, __m256 x) {
    const __m256i index = _mm256_cvtepu16_epi32(_mm256_cvtps_ph(x, 0));
    const __m256i pairs = _mm256_and_si256(_mm256_i32gather_epi32((const int *)table, index, 2), _mm256_set1_epi32(0xffff));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(pairs, pairs), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}
static inline lanes lanes_lookup(const uint16_t *table, lanes x) {
    return lanes_of(lanes_lookup8(table, x.low), lanes_lookup8(table, x.high));
}

/* lanes of doubles, four to a register */
typedef struct {
    __m256d part[4];
} double_lanes;

static inline double_lanes lanes_widen(lanes a) {
    return (double_lanes){{_mm256_cvtps_pd(_mm256_castps256_ps128(a.low)), _mm256_cvtps_pd(_mm256_extractf128_ps(a.low, 1)),
                           _mm256_cvtps_pd(_mm256_castps256_ps128(a.high)), _mm256_cvtps_pd(_mm256_extractf128_ps(a.high, 1))}};
}
static inline lanes lanes_narrow(double_lanes a) {
    return lanes_of(_mm256_set_m128(_mm256_cvtpd_ps(a.part[1]), _mm256_cvtpd_ps(a.part[0])),
                    _mm256_set_m128(_mm256_cvtpd_ps(a.part[3]), _mm256_cvtpd_ps(a.part[2])));
}
static inline double_lanes double_lanes_add(double_lanes a, double_lanes b) {
    for (int i = 0; i < 4; i++) a.part[i] = _mm256_add_pd(a.part[i], b.part[i]);
    return a;
}

/* 16 -> 8: the tree of lcy_sum16 goes on from there */
static inline __m256 lanes_fold(lanes a) { return _mm256_add_ps(a.low, a.high); }

/* 8 -> 1, the end of the tree of lcy_sum16: (c0 + c2) + (c1 + c3) */
static inline float sum_folded(__m256 b) {
    const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

/* of lanes that are added exactly in any order */
static inline double double_lanes_sum(double_lanes a) {
    double s[4];
    _mm256_storeu_pd(s, _mm256_add_pd(_mm256_add_pd(a.part[0], a.part[1]), _mm256_add_pd(a.part[2], a.part[3])));
    return (s[0] + s[1]) + (s[2] + s[3]);
}

#endif
