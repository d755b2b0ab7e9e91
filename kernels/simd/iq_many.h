/* iq_many.h: products of the codebook formats of iq.h with many tokens. Needs a vec.h and an ISA's iq.h.
 *
 * V_ROWS rows are unpacked, a block of 256 at a time, into bytes that are too large by a constant and so never
 * negative; transposed, a register holds four weights of every row, and an activation is four bytes broadcast from
 * memory. Scales are transposed likewise, in pairs; pairs times the activations' sums, which Q8_K carries, take the
 * constant back. Integers are exact, so one fma per block in order gives the bits of plain C.
 */
#ifndef LCY_SIMD_IQ_MANY_H
#define LCY_SIMD_IQ_MANY_H

#include "iq.h"
#include "tiles.h"

enum { LCY_IQ_TOKENS = 64 }; /* of a pass: 64 share what a tile's block costs to unpack */

/* A block of 256 of V_ROWS rows */
typedef struct {
    uint8_t codes[V_ROWS][256];
    int16_t scales[V_ROWS][16], mins[V_ROWS][16]; /* mins: what the sum of each 16 activations is multiplied by */
    float d[V_ROWS];
} lcy_iq_rows;

/* the same, transposed */
typedef struct {
    vi codes[64];  /* weights 4g ... 4g + 3 of every row */
    vi scales[16]; /* of each 16 or 32 weights, as v_row_scale made it */
    vi mins[8];    /* i16: those of 16 weights 2i, 2i + 1 */
} lcy_iq_panel;

LCY_INLINE void lcy_iq_unpack_row(lcy_iq_rows *out, int r, const uint8_t *block, const lcy_iq_traits *f) {
    lcy_iq_begun s;
    f->begin(&s, block);
    const __m128i even = _mm256_castsi256_si128(s.scales), odd = _mm256_extracti128_si256(s.scales, 1);
    const __m256i scales = _mm256_setr_m128i(_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd));
    const __m256i offset = _mm256_mullo_epi16(scales, _mm256_set1_epi16((short)-lcy_iq_offset(f)));
    out->d[r] = s.d;
    _mm256_storeu_si256((__m256i *)out->scales[r], scales);
    _mm256_storeu_si256((__m256i *)out->mins[r], f->has_mins ? s.mins : offset);
    for (int b = 0; b < 8; b++) {
        const __m256i values = lcy_iq_signed_values(&s, block, b, f);
        const __m256i codes = _mm256_add_epi8(values, _mm256_set1_epi8((char)lcy_iq_offset(f)));
        _mm256_storeu_si256((__m256i *)(out->codes[r] + 32 * b), codes);
    }
}

/* 16 bytes from each row -> four registers of four bytes of every row */
LCY_INLINE void lcy_iq_transpose16(vi out[4], const uint8_t *rows, int64_t stride) {
    v_transpose(out, v_rows(rows, 4 * stride), v_rows(rows + stride, 4 * stride), v_rows(rows + 2 * stride, 4 * stride),
                v_rows(rows + 3 * stride, 4 * stride));
}

LCY_INLINE void lcy_iq_transpose(lcy_iq_panel *p, const lcy_iq_rows *rows) {
    vi pairs[8];
    for (int i = 0; i < 16; i++) lcy_iq_transpose16(p->codes + 4 * i, rows->codes[0] + 16 * i, 256);
    for (int i = 0; i < 2; i++) {
        lcy_iq_transpose16(p->mins + 4 * i, (const uint8_t *)(rows->mins[0] + 8 * i), 32);
        lcy_iq_transpose16(pairs + 4 * i, (const uint8_t *)(rows->scales[0] + 8 * i), 32);
    }
    for (int i = 0; i < 8; i++) { /* a pair times (1, 0) and (0, 1): the halves, widened */
        p->scales[2 * i] = v_row_scale(v_pairs16(v_zero(), pairs[i], v_set32(1)));
        p->scales[2 * i + 1] = v_row_scale(v_pairs16(v_zero(), pairs[i], v_set32(1 << 16)));
    }
}

LCY_INLINE vf lcy_iq_step(vf acc, const lcy_iq_panel *p, vf d, const lcy_block_q8_k *x, const lcy_iq_traits *f) {
    vi sum = v_zero();
    for (int i = 0; i < 8; i++) sum = v_pairs16(sum, p->mins[i], v_same4(x->sums + 2 * i));
    for (int j = 0; j < 256 / f->size; j++)
        sum = lcy_iq_dot_rows(sum, p->codes + f->size / 4 * j, x->q + f->size * j, p->scales[f->size / 16 * j], f);
    return v_fma(v_float(sum), v_mul(d, v_setf(x->d)), acc);
}

/* A tile of V_ROWS rows, stride bytes apart, against up to LCY_IQ_TOKENS tokens. */
LCY_INLINE void lcy_iq_tile(float acc[][V_ROWS], int64_t blocks, const uint8_t *w, int64_t stride, int tokens,
                            const uint8_t *x, int64_t x_stride, const lcy_iq_traits *f) {
    lcy_iq_rows rows;
    lcy_iq_panel panel;
    for (int64_t i = 0; i < blocks; i++, w += f->bytes, x += sizeof(lcy_block_q8_k)) {
        for (int r = 0; r < V_ROWS; r++) lcy_iq_unpack_row(&rows, r, w + r * stride, f);
        lcy_iq_transpose(&panel, &rows);
        const vf d = v_loadf(rows.d);
        for (int t = 0; t < tokens; t++)
            v_storef(acc[t], lcy_iq_step(v_loadf(acc[t]), &panel, d, (const void *)(x + t * x_stride), f));
    }
}

/* All rows, at least V_ROWS of them; the last tile overlaps the one before. */
LCY_INLINE void lcy_iq_matmul_many(int64_t k, int64_t rows, int64_t tokens, const uint8_t *w, int64_t w_stride,
                                   const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride,
                                   const lcy_iq_traits *f) {
    for (int64_t tile = 0; tile < rows; tile += V_ROWS) {
        const int64_t r = tile + V_ROWS <= rows ? tile : rows - V_ROWS;
        for (int64_t t = 0; t < tokens; t += LCY_IQ_TOKENS) {
            const int some = tokens - t < LCY_IQ_TOKENS ? (int)(tokens - t) : LCY_IQ_TOKENS;
            float acc[LCY_IQ_TOKENS][V_ROWS] = {{0}};
            lcy_iq_tile(acc, k / 256, w + r * w_stride, w_stride, some, x + t * x_stride, x_stride, f);
            for (int i = 0; i < some; i++) {
                const vf scaled = v_mul(v_loadf(acc[i]), v_setf(f->factor));
                v_storef(out + (t + i) * out_stride + r, scaled);
            }
        }
    }
}

#endif
