/* iq_short.h: rows below LCY_SHORT_ROW of the codebook formats of iq.h, in their own order (formats/common/iq_short.h), in
 * 256-bit registers. Needs a vec.h and an ISA's iq.h.
 *
 * The order's 8 lanes of four neighbouring weights are the lanes of a register, as maddubs and madd leave them. A row is
 * unpacked once, by its format, in a loop; what then meets the tokens are signed values and their scales, whatever the
 * format was. So little is compiled for each of them.
 */
#ifndef LCY_SIMD_IQ_SHORT_H
#define LCY_SIMD_IQ_SHORT_H

#include "iq.h"

enum { LCY_IQ_SHORT_BLOCKS = (LCY_SHORT_ROW - 1) / 256 };

/* A block, 32 weights to a register. IQ1: values -1, 0 and 1, and shifts of -1 or 1 eighth. */
typedef struct {
    __m256i value[8], scale[8]; /* i8; i16: of pairs of weights */
    __m256i shift[8];           /* i8, IQ1_M */
    __m256i shift_scale;        /* i16, IQ1_S: shift * scale of each 16 weights */
    float d;
} lcy_iq_short_block;

typedef void (*lcy_iq_short_unpack_fn)(lcy_iq_short_block *out, const uint8_t *block);
typedef float (*lcy_iq_short_dot_fn)(int64_t blocks, const lcy_iq_short_block *w, const lcy_block_q8_k *x, float factor);

/* The bits of `mask` in each byte, less 1. */
LCY_INLINE __m256i lcy_iq_bits_less_1(__m256i v, int mask) {
    return _mm256_sub_epi8(_mm256_and_si256(v, _mm256_set1_epi8((char)mask)), _mm256_set1_epi8(1));
}

/* IQ1 (has_mins) has bytes 8 t, and those of IQ1_M (size 16) 8 t + 2 where the shift is upward: see iq1.h. */
LCY_INLINE void lcy_iq_short_unpack(lcy_iq_short_block *out, const uint8_t *block, const lcy_iq_traits *f) {
    lcy_iq_begun s;
    f->begin(&s, block);
    out->d = s.d;
#pragma GCC unroll 1
    for (int b = 0; b < 8; b++) {
        const __m256i v = lcy_iq_signed_values(&s, block, b, f);
        out->scale[b] = lcy_iq_scale(&s, b);
        out->value[b] = f->has_mins ? lcy_iq_bits_less_1(_mm256_srli_epi16(v, 3), 3) : v;
        if (f->has_mins && f->size == 16) out->shift[b] = lcy_iq_bits_less_1(v, 2);
    }
    if (f->has_mins && f->size == 32) { /* s.mins: (shift - 8) * scale */
        const __m128i even = _mm256_castsi256_si128(s.scales), odd = _mm256_extracti128_si256(s.scales, 1);
        const __m256i scales = _mm256_setr_m128i(_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd));
        out->shift_scale = _mm256_add_epi16(s.mins, _mm256_slli_epi16(scales, 3));
    }
}

/* The 8 exact lane sums of a block. */
LCY_INLINE __m256i lcy_iq_lane_sums(const __m256i value[8], const __m256i scale[8], const int8_t *x) {
    __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        const __m256i q = _mm256_sign_epi8(lcy_iq_load256(x + 32 * b), value[b]);
        sum = lcy_iq_add_pairs(sum, _mm256_maddubs_epi16(_mm256_abs_epi8(value[b]), q), scale[b]);
    }
    return sum;
}

LCY_INLINE __m256 lcy_iq_lane_step(__m256i sum, float d, __m256 lanes) {
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(d), lanes);
}

/* lcy_sum8 of the lanes */
LCY_INLINE float lcy_iq_sum8(__m256 v) {
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static float V_NAME(short_iq)(int64_t blocks, const lcy_iq_short_block *w, const lcy_block_q8_k *x, float factor) {
    __m256 lanes = _mm256_setzero_ps();
    for (int64_t i = 0; i < blocks; i++, w++, x++)
        lanes = lcy_iq_lane_step(lcy_iq_lane_sums(w->value, w->scale, x->q), w->d * x->d, lanes);
    return lcy_iq_sum8(lanes) * factor;
}

/* One sum of all shifts of a block, which its sums of 16 activations give. */
static float V_NAME(short_iq1_s)(int64_t blocks, const lcy_iq_short_block *w, const lcy_block_q8_k *x, float factor) {
    __m256 lanes = _mm256_setzero_ps();
    float shifts = 0;
    for (int64_t i = 0; i < blocks; i++, w++, x++) {
        const float d = w->d * x->d;
        const int32_t shift = lcy_iq_sum(_mm256_madd_epi16(w->shift_scale, lcy_iq_load256(x->sums)));
        lanes = lcy_iq_lane_step(lcy_iq_lane_sums(w->value, w->scale, x->q), d, lanes);
        shifts += d * (float)shift;
    }
    return lcy_iq_sum8(lanes) + factor * shifts;
}

/* The shifts in 8 lanes of their own. */
static float V_NAME(short_iq1_m)(int64_t blocks, const lcy_iq_short_block *w, const lcy_block_q8_k *x, float factor) {
    __m256 lanes = _mm256_setzero_ps(), shifts = lanes;
    for (int64_t i = 0; i < blocks; i++, w++, x++) {
        const float d = w->d * x->d;
        lanes = lcy_iq_lane_step(lcy_iq_lane_sums(w->value, w->scale, x->q), d, lanes);
        shifts = lcy_iq_lane_step(lcy_iq_lane_sums(w->shift, w->scale, x->q), d, shifts);
    }
    return lcy_iq_sum8(lanes) + factor * lcy_iq_sum8(shifts);
}

static void V_NAME(short_rows_iq)(int64_t k, int64_t rows, int64_t tokens, const uint8_t *w, int64_t w_stride,
                                  const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride,
                                  const lcy_iq_traits *f, lcy_iq_short_unpack_fn unpack, lcy_iq_short_dot_fn dot) {
    lcy_iq_short_block row[LCY_IQ_SHORT_BLOCKS];
    const int64_t blocks = k / 256;
    for (int64_t r = 0; r < rows; r++, w += w_stride) {
        for (int64_t i = 0; i < blocks; i++) unpack(row + i, w + (size_t)i * f->bytes);
        for (int64_t t = 0; t < tokens; t++)
            out[t * out_stride + r] = dot(blocks, row, (const void *)(x + t * x_stride), f->factor);
    }
}

/* V_NAME(short_rows_<name>): the product of short rows; dot: one of the three above */
#define LCY_IQ_SHORT(name, dot)                                                                                      \
    static void V_NAME(unpack_short_##name)(lcy_iq_short_block *out, const uint8_t *block) {                         \
        lcy_iq_short_unpack(out, block, &lcy_traits_##name);                                                         \
    }                                                                                                                \
    static void V_NAME(short_rows_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,  \
                                          const void *x, int64_t x_stride, float *out, int64_t out_stride) {         \
        V_NAME(short_rows_iq)(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride, &lcy_traits_##name,        \
                              V_NAME(unpack_short_##name), V_NAME(dot));                                             \
    }
LCY_IQ_SHORT(iq1_s, short_iq1_s)
LCY_IQ_SHORT(iq1_m, short_iq1_m)
LCY_IQ_SHORT(iq2_xxs, short_iq)
LCY_IQ_SHORT(iq2_xs, short_iq)
LCY_IQ_SHORT(iq2_s, short_iq)
LCY_IQ_SHORT(iq3_xxs, short_iq)
LCY_IQ_SHORT(iq3_s, short_iq)
LCY_IQ_SHORT(iq4_xs, short_iq)

#endif
