/* iq4_nl_short.h: iq4_nl.h that takes rows below LCY_SHORT_ROW too, in 256-bit registers. Needs a vec.h. */
#ifndef LCY_SIMD_IQ4_NL_SHORT_H
#define LCY_SIMD_IQ4_NL_SHORT_H

#include <immintrin.h>

#include "iq4_nl.h"

enum { LCY_IQ4_NL_SHORT_BLOCKS = (LCY_SHORT_ROW - 1) / 32 };

typedef struct { __m256i value; float d; } lcy_iq4_nl_short_block; /* 32 signed weights */

static inline void unpack_short_iq4_nl(lcy_iq4_nl_short_block *row, int64_t blocks, const lcy_block_iq4_nl *w) {
    const __m256i curve = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)lcy_iq_curve));
    for (int64_t b = 0; b < blocks; b++) {
        const __m128i both = _mm_loadu_si128((const __m128i *)w[b].qs);
        const __m256i apart = _mm256_inserti128_si256(_mm256_castsi128_si256(both), _mm_srli_epi16(both, 4), 1);
        row[b].value = _mm256_shuffle_epi8(curve, _mm256_and_si256(apart, _mm256_set1_epi8(15)));
        row[b].d = lcy_f16_to_f32(w[b].d);
    }
}

/* A short row in its format's own order: 8 lanes of 4 neighbouring weights for even blocks, 8 for odd ones. */
static inline float short_iq4_nl(int64_t blocks, const lcy_iq4_nl_short_block *w, const lcy_block_q8_0 *x) {
    __m256 next = _mm256_setzero_ps(), other = next; /* the lanes of the next block, and of the one after it */
    float lane[8];
    for (int64_t b = 0; b < blocks; b++, w++, x++) {
        const __m256i signs = _mm256_sign_epi8(_mm256_loadu_si256((const __m256i *)x->q), w->value);
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w->value), signs);
        const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        const float d = w->d * lcy_f16_to_f32(x->d);
        const __m256 sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(fours), _mm256_set1_ps(d), next);
        next = other, other = sum;
    }
    _mm256_storeu_ps(lane, _mm256_add_ps(next, other));
    return lcy_sum8(lane);
}

static void V_NAME(matmul_iq4_nl_any)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride, const void *x,
                                      int64_t x_stride, float *out, int64_t out_stride) {
    if (k >= LCY_SHORT_ROW) {
        V_NAME(matmul_iq4_nl)(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);
        return;
    }
    lcy_iq4_nl_short_block row[LCY_IQ4_NL_SHORT_BLOCKS];
    for (int64_t r = 0; r < rows; r++) {
        unpack_short_iq4_nl(row, k / 32, (const void *)((const uint8_t *)w + r * w_stride));
        for (int64_t t = 0; t < tokens; t++)
            out[t * out_stride + r] = short_iq4_nl(k / 32, row, (const void *)((const uint8_t *)x + t * x_stride));
    }
}

static inline void fill_iq4_nl(lcy_kernels *k) { k->matmul[LCY_IQ4_NL] = V_NAME(matmul_iq4_nl_any); }

#endif
