/* pairs.h (i8mm): many tokens, two rows by two tokens to a register.
 *
 * smmla multiplies a 2 x 8 matrix of bytes by an 8 x 2 one: a register of weights holds 8 of two rows, one of activations
 * 8 of two tokens, and the four sums are row r token t, row r token t + 1, row r + 1 token t, row r + 1 token t + 1.
 * PAIRS_ROWS rows are unpacked to signed bytes, PAIRS_WEIGHTS of each, and meet PAIRS_BATCH tokens, PAIRS_TOKENS at once.
 * The float steps are those of every kernel: one per block, in order.
 */
#ifndef LCY_I8MM_PAIRS_H
#define LCY_I8MM_PAIRS_H

#include "values.h"

enum { PAIRS_ROWS = 8, PAIRS_TOKENS = 4, PAIRS_WEIGHTS = 256, PAIRS_BATCH = 64 };
enum { ROW_PAIRS = PAIRS_ROWS / 2, TOKEN_PAIRS = PAIRS_TOKENS / 2, BLOCKS_32 = PAIRS_WEIGHTS / 32 };

typedef struct { float32x4_t sum[ROW_PAIRS][TOKEN_PAIRS]; } pairs_sums;
typedef struct { const uint8_t *row[PAIRS_TOKENS]; } pairs_tokens; /* what lies at the same place of each token's row */

/* a, a, b, b for the rows of a pair; a, b, a, b for its tokens */
LCY_INLINE float32x4_t of_rows(float a, float b) { return vcombine_f32(vdup_n_f32(a), vdup_n_f32(b)); }
LCY_INLINE float32x4_t of_tokens(float a, float b) { return vzip1q_f32(vdupq_n_f32(a), vdupq_n_f32(b)); }

LCY_INLINE float half_at(const uint8_t *p) { uint16_t h; memcpy(&h, p, 2); return lcy_f16_to_f32(h); }

/* 16 values of two rows -> the registers of the first and the last 8 */
LCY_INLINE void pair_up(int8x16_t *first, int8x16_t *last, int8x16_t a, int8x16_t b) {
    const int64x2_t p = vreinterpretq_s64_s8(a), q = vreinterpretq_s64_s8(b);
    *first = vreinterpretq_s8_s64(vzip1q_s64(p, q));
    *last = vreinterpretq_s8_s64(vzip2q_s64(p, q));
}

/* sum += 8 n weights of all rows x tokens, whose bytes are `at` bytes into their blocks */
LCY_INLINE void pairs_multiply(int32x4_t sum[ROW_PAIRS][TOKEN_PAIRS], int n, int8x16_t codes[][ROW_PAIRS],
                               const pairs_tokens *x, int at) {
    for (int i = 0; i < n; i++)
        for (int t = 0; t < TOKEN_PAIRS; t++) {
            const int8_t *a = (const int8_t *)x->row[2 * t] + at + 8 * i, *b = (const int8_t *)x->row[2 * t + 1] + at + 8 * i;
            const int8x16_t q = vcombine_s8(vld1_s8(a), vld1_s8(b));
            for (int r = 0; r < ROW_PAIRS; r++) sum[r][t] = vmmlaq_s32(sum[r][t], codes[i][r], q);
        }
}

LCY_INLINE void pairs_zero(int32x4_t sum[ROW_PAIRS][TOKEN_PAIRS]) {
    for (int r = 0; r < ROW_PAIRS; r++)
        for (int t = 0; t < TOKEN_PAIRS; t++) sum[r][t] = vdupq_n_s32(0);
}

/* ---- blocks of 32 ---- */

typedef struct {
    int8x16_t codes[PAIRS_WEIGHTS / 8][ROW_PAIRS];
    float32x4_t d[BLOCKS_32][ROW_PAIRS], m[BLOCKS_32][ROW_PAIRS];
} pairs_panel32;

LCY_INLINE void pairs_unpack32(pairs_panel32 *p, pairs_format32 f, int blocks, const uint8_t *w, int64_t stride) {
    for (int r = 0; r < ROW_PAIRS; r++) {
        const uint8_t *a = w + 2 * r * stride, *b = a + stride;
        for (int i = 0; i < blocks; i++, a += f.bytes, b += f.bytes) {
            for (int e = 0; e < 2; e++)
                pair_up(&p->codes[4 * i + 2 * e][r], &p->codes[4 * i + 2 * e + 1][r], f.values(a, e), f.values(b, e));
            p->d[i][r] = of_rows(half_at(a), half_at(b));
            if (f.has_min) p->m[i][r] = of_rows(half_at(a + 2), half_at(b + 2));
        }
    }
}

LCY_INLINE void pairs_panel_32(pairs_sums *acc, pairs_format32 f, int blocks, pairs_panel32 *p, pairs_tokens x) {
    const int xbytes = f.has_min ? sizeof(lcy_block_q8_1) : sizeof(lcy_block_q8_0);
    for (int i = 0; i < blocks; i++) {
        int32x4_t sum[ROW_PAIRS][TOKEN_PAIRS];
        pairs_zero(sum);
        pairs_multiply(sum, 4, p->codes + 4 * i, &x, xbytes - 32);
        for (int t = 0; t < TOKEN_PAIRS; t++) {
            const uint8_t *a = x.row[2 * t], *b = x.row[2 * t + 1];
            const float32x4_t d = of_tokens(half_at(a), half_at(b));
            const float32x4_t s = f.has_min ? of_tokens(half_at(a + 2), half_at(b + 2)) : d;
            for (int r = 0; r < ROW_PAIRS; r++) {
                float32x4_t to = acc->sum[r][t];
                to = vfmaq_f32(to, vcvtq_f32_s32(sum[r][t]), vmulq_f32(p->d[i][r], d));
                acc->sum[r][t] = f.has_min ? vfmaq_f32(to, p->m[i][r], s) : to;
            }
        }
        for (int t = 0; t < PAIRS_TOKENS; t++) x.row[t] += xbytes;
    }
}

/* ---- blocks of 256 ---- */

typedef struct {
    int8x16_t codes[PAIRS_WEIGHTS / 8][ROW_PAIRS];
    int32x4_t scale[16][ROW_PAIRS];
    float32x4_t d[ROW_PAIRS], dmin[ROW_PAIRS];
    int16x8_t min[16]; /* of each row */
} pairs_panel256;

LCY_INLINE void pairs_unpack256(pairs_panel256 *p, pairs_format256 f, const uint8_t *w, int64_t stride) {
    int16_t min[PAIRS_ROWS][16];
    float dmin[PAIRS_ROWS];
    for (int r = 0; r < ROW_PAIRS; r++) {
        const uint8_t *a = w + 2 * r * stride, *b = a + stride;
        iq_begun s, u;
        f.block->begin(&s, a);
        f.block->begin(&u, b);
        p->d[r] = of_rows(s.d, u.d);
        for (int n = 0; n < 16; n++) {
            p->scale[n][r] = vcombine_s32(vdup_n_s32(s.scale[n]), vdup_n_s32(u.scale[n]));
            pair_up(&p->codes[2 * n][r], &p->codes[2 * n + 1][r], f.block->values(&s, a, n), f.block->values(&u, b, n));
        }
        if (!f.least) continue;
        dmin[2 * r] = f.least(min[2 * r], a), dmin[2 * r + 1] = f.least(min[2 * r + 1], b);
        p->dmin[r] = of_rows(dmin[2 * r], dmin[2 * r + 1]);
    }
    for (int n = 0; n < 16 && f.least; n++) {
        int16_t rows[PAIRS_ROWS];
        for (int r = 0; r < PAIRS_ROWS; r++) rows[r] = min[r][n];
        p->min[n] = vld1q_s16(rows);
    }
}

/* minimums x sums of 16 activations, exact */
LCY_INLINE void pairs_least(int32x4_t out[ROW_PAIRS][TOKEN_PAIRS], const pairs_panel256 *p, const pairs_tokens *x) {
    for (int t = 0; t < TOKEN_PAIRS; t++) {
        int32x4_t rows[2][2] = {{vdupq_n_s32(0), vdupq_n_s32(0)}, {vdupq_n_s32(0), vdupq_n_s32(0)}}; /* token, rows */
        for (int k = 0; k < 2; k++) {
            const int16_t *sums = ((const lcy_block_q8_k *)x->row[2 * t + k])->sums;
            for (int n = 0; n < 16; n++) {
                rows[k][0] = vmlal_n_s16(rows[k][0], vget_low_s16(p->min[n]), sums[n]);
                rows[k][1] = vmlal_n_s16(rows[k][1], vget_high_s16(p->min[n]), sums[n]);
            }
        }
        for (int r = 0; r < ROW_PAIRS; r++)
            out[r][t] = r % 2 ? vzip2q_s32(rows[0][r / 2], rows[1][r / 2]) : vzip1q_s32(rows[0][r / 2], rows[1][r / 2]);
    }
}

LCY_INLINE void pairs_panel_256(pairs_sums *acc, pairs_format256 f, pairs_panel256 *p, pairs_tokens x) {
    const int at = offsetof(lcy_block_q8_k, q), step = f.sub / 16;
    int32x4_t sum[ROW_PAIRS][TOKEN_PAIRS], least[ROW_PAIRS][TOKEN_PAIRS];
    pairs_zero(sum);
    for (int n = 0; n < 16; n += step) {
        int32x4_t part[ROW_PAIRS][TOKEN_PAIRS];
        pairs_zero(part);
        pairs_multiply(part, 2 * step, p->codes + 2 * n, &x, at + 16 * n);
        for (int r = 0; r < ROW_PAIRS; r++)
            for (int t = 0; t < TOKEN_PAIRS; t++) sum[r][t] = vmlaq_s32(sum[r][t], part[r][t], p->scale[n][r]);
    }
    if (f.least) pairs_least(least, p, &x);
    for (int t = 0; t < TOKEN_PAIRS; t++) {
        const float32x4_t dx = of_tokens(((const lcy_block_q8_k *)x.row[2 * t])->d, ((const lcy_block_q8_k *)x.row[2 * t + 1])->d);
        for (int r = 0; r < ROW_PAIRS; r++) {
            float32x4_t to = vfmaq_f32(acc->sum[r][t], vcvtq_f32_s32(sum[r][t]), vmulq_f32(p->d[r], dx));
            if (f.least) to = vfmsq_f32(to, vcvtq_f32_s32(least[r][t]), vmulq_f32(p->dmin[r], dx));
            acc->sum[r][t] = to;
        }
    }
}

/* ---- the product ---- */

/* Tokens 4 g .. 4 g + 3 of a batch at byte `at` of their rows; those past the last repeat it. */
LCY_INLINE pairs_tokens pairs_tokens_of(int g, int count, const uint8_t *x, int64_t x_stride, int64_t at) {
    pairs_tokens all;
    for (int i = 0; i < PAIRS_TOKENS; i++) {
        const int t = PAIRS_TOKENS * g + i;
        all.row[i] = x + (t < count ? t : count - 1) * x_stride + at;
    }
    return all;
}

LCY_INLINE void pairs_store(const pairs_sums *acc, float factor, int count, float *out, int64_t out_stride) {
    for (int i = 0; i < count; i++) {
        const pairs_sums *a = acc + i / PAIRS_TOKENS;
        for (int r = 0; r < ROW_PAIRS; r++) {
            const float32x4_t all = vmulq_n_f32(a->sum[r][i % PAIRS_TOKENS / 2], factor);
            float four[4];
            vst1q_f32(four, all);
            out[i * out_stride + 2 * r] = four[i % 2];
            out[i * out_stride + 2 * r + 1] = four[2 + i % 2];
        }
    }
}

/* one tile of rows against a batch of tokens */
LCY_INLINE void pairs_tile32(pairs_sums *acc, pairs_format32 f, int64_t k, const uint8_t *w, int64_t w_stride, int count,
                             const uint8_t *x, int64_t x_stride) {
    const int64_t xbytes = f.has_min ? sizeof(lcy_block_q8_1) : sizeof(lcy_block_q8_0);
    pairs_panel32 p;
    for (int64_t b = 0; b < k / 32; b += BLOCKS_32) {
        const int blocks = k / 32 - b < BLOCKS_32 ? (int)(k / 32 - b) : BLOCKS_32;
        pairs_unpack32(&p, f, blocks, w + b * f.bytes, w_stride);
        for (int g = 0; g < (count + PAIRS_TOKENS - 1) / PAIRS_TOKENS; g++)
            pairs_panel_32(acc + g, f, blocks, &p, pairs_tokens_of(g, count, x, x_stride, b * xbytes));
    }
}

LCY_INLINE void pairs_tile256(pairs_sums *acc, pairs_format256 f, int64_t k, const uint8_t *w, int64_t w_stride, int count,
                              const uint8_t *x, int64_t x_stride) {
    pairs_panel256 p;
    for (int64_t b = 0; b < k / 256; b++) {
        pairs_unpack256(&p, f, w + b * (int64_t)f.block->bytes, w_stride);
        for (int g = 0; g < (count + PAIRS_TOKENS - 1) / PAIRS_TOKENS; g++)
            pairs_panel_256(acc + g, f, &p, pairs_tokens_of(g, count, x, x_stride, b * (int64_t)sizeof(lcy_block_q8_k)));
    }
}

/* Fewer rows or tokens than a tile has, and short rows, are left to the kernels with sdot. */
#define PAIRS_MATMUL(name, size, factor)                                                                              \
    static void matmul_pairs_##name(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,          \
                                    const void *x, int64_t x_stride, float *out, int64_t out_stride) {                 \
        if (k < LCY_SHORT_ROW || rows < PAIRS_ROWS || tokens < PAIRS_TOKENS) {                                         \
            V_NAME(matmul_##name)(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);                         \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t t = 0; t < tokens; t += PAIRS_BATCH) {                                                            \
            const int count = tokens - t < PAIRS_BATCH ? (int)(tokens - t) : PAIRS_BATCH;                              \
            for (int64_t tile = 0; tile < rows; tile += PAIRS_ROWS) {                                                  \
                const int64_t r = tile + PAIRS_ROWS <= rows ? tile : rows - PAIRS_ROWS;                                \
                pairs_sums acc[PAIRS_BATCH / PAIRS_TOKENS];                                                            \
                memset(acc, 0, sizeof acc);                                                                            \
                pairs_tile##size(acc, pairs_##name, k, (const uint8_t *)w + r * w_stride, w_stride, count,             \
                                 (const uint8_t *)x + t * x_stride, x_stride);                                         \
                pairs_store(acc, factor, count, out + t * out_stride + r, out_stride);                                 \
            }                                                                                                          \
        }                                                                                                              \
    }
PAIRS_MATMUL(q4_0, 32, 1)
PAIRS_MATMUL(q4_1, 32, 1)
PAIRS_MATMUL(q5_0, 32, 1)
PAIRS_MATMUL(q5_1, 32, 1)
PAIRS_MATMUL(q8_0, 32, 1)
PAIRS_MATMUL(iq4_nl, 32, 1)
PAIRS_MATMUL(q2_k, 256, 1)
PAIRS_MATMUL(q3_k, 256, 1)
PAIRS_MATMUL(q4_k, 256, 1)
PAIRS_MATMUL(q5_k, 256, 1)
PAIRS_MATMUL(q6_k, 256, 1)
PAIRS_MATMUL(iq1_s, 256, pairs_iq1_s.block->factor)
PAIRS_MATMUL(iq1_m, 256, pairs_iq1_m.block->factor)
PAIRS_MATMUL(iq2_xxs, 256, pairs_iq2_xxs.block->factor)
PAIRS_MATMUL(iq2_xs, 256, pairs_iq2_xs.block->factor)
PAIRS_MATMUL(iq2_s, 256, pairs_iq2_s.block->factor)
PAIRS_MATMUL(iq3_xxs, 256, pairs_iq3_xxs.block->factor)
PAIRS_MATMUL(iq3_s, 256, pairs_iq3_s.block->factor)
PAIRS_MATMUL(iq4_xs, 256, pairs_iq4_xs.block->factor)
#undef PAIRS_MATMUL

#endif
