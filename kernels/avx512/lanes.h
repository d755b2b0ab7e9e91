/* lanes.h (avx512): the 16 lanes that attention sums in, as one register; kernels/simd/attention.h is written in them. */
#ifndef LCY_AVX512_LANES_H
#define LCY_AVX512_LANES_H

#include <immintrin.h>
#include <stdint.h>

#define LANES_NAME(name) name##_avx512
#define FLOATS_ROWS 6 /* of a tile of floats.h: the measured best of what fits the registers */
#define FLOATS_TOKENS 4
#define BF16_ROWS 4 /* of bf16.h */
#define BF16_TOKENS 4
#define KQ_ROWS 4 /* of keys.h: query rows */
#define PV_LANES 4 /* of values.h: registers of channels, query rows */
#define PV_ROWS 4
#define PV_ALONE 4 /* of channels, for a single query row */

typedef __m512 lanes;

static inline lanes lanes_same(float x) { return _mm512_set1_ps(x); }
static inline lanes lanes_load(const float *p) { return _mm512_loadu_ps(p); }
static inline lanes lanes_load_bytes(const void *p, int64_t n) { /* n < 64 of them, then zeros */
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi8(((__mmask64)1 << n) - 1, p));
}
static inline void lanes_hold(lanes *a) { __asm__ volatile("" : "+v"(*a)); } /* now, and in a register */
static inline void lanes_store(float *p, lanes a) { _mm512_storeu_ps(p, a); }
static inline lanes lanes_add(lanes a, lanes b) { return _mm512_add_ps(a, b); }
static inline lanes lanes_sub(lanes a, lanes b) { return _mm512_sub_ps(a, b); }
static inline lanes lanes_mul(lanes a, lanes b) { return _mm512_mul_ps(a, b); }
static inline lanes lanes_max(lanes a, lanes b) { return _mm512_max_ps(a, b); }
static inline lanes lanes_fma(lanes a, lanes b, lanes c) { return _mm512_fmadd_ps(a, b, c); }
static inline lanes lanes_halves(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline lanes lanes_of_halves(__m256i halves) { return _mm512_cvtph_ps(halves); }
static inline lanes lanes_join(__m256 low, __m256 high) { return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1); }

/* rounded to f16 and widened again */
static inline lanes lanes_through_half(lanes a) { return _mm512_cvtph_ps(_mm512_cvtps_ph(a, 0)); }

/* of the bits */
static inline lanes lanes_shift_left(lanes a, int n) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), n)); }

static inline lanes lanes_upper_halves(lanes a) { return _mm512_and_ps(a, _mm512_castsi512_ps(_mm512_set1_epi32((int)0xffff0000u))); }

/* from here until lanes_flush_as(before), numbers below 2^-126 are zeros: what goes in and what comes out */
typedef unsigned lanes_mode;
static inline lanes_mode lanes_flush_small(void) {
    const lanes_mode before = _mm_getcsr();
    _mm_setcsr(before | _MM_FLUSH_ZERO_ON | 0x40);
    return before;
}
static inline void lanes_flush_as(lanes_mode before) { _mm_setcsr(before); }

/* f16 -> f16 through a table of 65537 entries: each gather reads two, the upper one is dropped */
static inline lanes lanes_lookup(const uint16_t *table, lanes x) {
    const __m512i index = _mm512_cvtepu16_epi32(_mm512_cvtps_ph(x, 0));
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_i32gather_epi32(index, table, 2)));
}

/* lanes of doubles */
typedef struct {
    __m512d low, high;
} double_lanes;

static inline double_lanes lanes_widen(lanes a) {
    return (double_lanes){_mm512_cvtps_pd(_mm512_castps512_ps256(a)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))};
}
static inline lanes lanes_narrow(double_lanes a) { return lanes_join(_mm512_cvtpd_ps(a.low), _mm512_cvtpd_ps(a.high)); }
static inline double_lanes double_lanes_add(double_lanes a, double_lanes b) {
    return (double_lanes){_mm512_add_pd(a.low, b.low), _mm512_add_pd(a.high, b.high)};
}

/* 16 -> 8: the tree of lcy_sum16 goes on from there */
static inline __m256 lanes_fold(lanes a) {
    return _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
}

/* 8 -> 1, the end of the tree of lcy_sum16: (c0 + c2) + (c1 + c3) */
static inline float sum_folded(__m256 b) {
    const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}

/* of lanes that are added exactly in any order */
static inline double double_lanes_sum(double_lanes a) { return _mm512_reduce_add_pd(_mm512_add_pd(a.low, a.high)); }

#endif
