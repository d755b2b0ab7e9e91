/* k_rows.h: one token with Q6_K, a row at a time. Needs an ISA's iq.h and blocks256.h.
 *
 * A block of Q6_K is a block of iq.h whose codes are unsigned and whose offset of 32 goes by way of the sums of activations.
 * Read so, memory comes in order and the CPU fetches ahead by itself; the tiles of few256.h, which read 16 rows at once,
 * have more to compute for these 210 bytes than the memory leaves time for.
 */
#ifndef LCY_SIMD_K_ROWS_H
#define LCY_SIMD_K_ROWS_H

#include "../formats/q6_k.h"
#include "blocks256.h"
#include "iq_row.h"

LCY_INLINE void begin_q6_k(lcy_iq_begun *s, const void *block) {
    const lcy_block_q6_k *w = block;
    const __m128i evens_first = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    const __m128i scales = lcy_iq_load128(w->scales);
    s->scales = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(scales, evens_first));
    s->mins = _mm256_slli_epi16(_mm256_sub_epi16(_mm256_setzero_si256(), _mm256_cvtepi8_epi16(scales)), 5);
    s->d = lcy_f16_to_f32(w->d);
}

/* four bits from ql, two from qh: weights 32 b .. 32 b + 31 are a quarter of a half */
LCY_INLINE __m256i values_q6_k(const lcy_iq_begun *s, const void *block, int b) {
    const lcy_block_q6_k *w = block;
    const int half = b / 4, quarter = b % 4;
    const __m256i low = lcy_iq_load256(w->ql + 64 * half + quarter % 2 * 32), high = lcy_iq_load256(w->qh + 32 * half);
    const __m256i four = _mm256_srli_epi16(low, quarter / 2 * 4);
    const __m256i two = quarter < 2 ? _mm256_slli_epi16(high, 4 - 2 * quarter) : _mm256_srli_epi16(high, 2 * quarter - 4);
    (void)s;
    return _mm256_or_si256(_mm256_and_si256(four, _mm256_set1_epi8(15)), _mm256_and_si256(two, _mm256_set1_epi8(48)));
}

static const lcy_iq_traits lcy_traits_q6_k = {
    .bytes = sizeof(lcy_block_q6_k), .factor = 1, .sign = LCY_IQ_UNSIGNED, .has_mins = 1, .size = 16, .most = 63,
    .begin = begin_q6_k, .values = values_q6_k,
};

static void V_NAME(matmul_rows_q6_k)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,
                                     const void *x, int64_t x_stride, float *out, int64_t out_stride) {
    if (tokens != 1 || k < LCY_SHORT_ROW) {
        V_NAME(matmul_q6_k)(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);
        return;
    }
    for (int64_t r = 0; r < rows; r++)
        out[r] = lcy_iq_row(k / 256, (const uint8_t *)w + r * w_stride, x, &lcy_traits_q6_k);
}

static inline void fill_k_rows(lcy_kernels *k) { k->matmul[LCY_Q6_K] = V_NAME(matmul_rows_q6_k); }

#endif
