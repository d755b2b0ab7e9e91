/* pairs.h (i8mm): many tokens, two rows by two tokens to a register.
 *
 * smmla multiplies a 2 x 8 matrix of bytes by an 8 x 2 one: a register of weights holds 8 of two rows, one of activations
 * 8 of two tokens, and the four sums are row r token t, row r token t + 1, row r + 1 token t, row r + 1 token t + 1.
 *
 *   for batches of PAIRS_BATCH tokens and bands of PAIRS_TILES tiles of rows
 *     for spans of PAIRS_WEIGHTS weights     activations are put in pairs, once for all rows of the band
 *       for tiles of PAIRS_ROWS rows         unpacked to signed bytes and put in pairs, once for all tokens of the batch
 *         for groups of tokens               sums of a block in registers, then the float step of every kernel
 *
 * A register of four sums has as many float steps as on other levels one of four rows, for half the instructions with
 * products: so all that surrounds those is loads of pairs, and float sums that wait in memory.
 */
#ifndef LCY_I8MM_PAIRS_H
#define LCY_I8MM_PAIRS_H

#include "values.h"

enum { PAIRS_ROWS = 8, PAIRS_TILES = 16, PAIRS_WEIGHTS = 256, PAIRS_BATCH = 64, PAIRS_LEAST = 4 /* tokens that pay */ };
enum { ROW_PAIRS = PAIRS_ROWS / 2, BATCH_PAIRS = PAIRS_BATCH / 2, BLOCKS_32 = PAIRS_WEIGHTS / 32 };
enum { GROUP_32 = 4, GROUP_256 = 2 }; /* pairs of tokens whose sums fill the registers, without and with scaled parts */

/* Of a span of a batch; s: Q8_1's. low + 128 high: sums of 16 or 32 activations, 8 of two tokens to a register. */
typedef struct {
    int8x16_t q[PAIRS_WEIGHTS / 8][BATCH_PAIRS];
    float32x4_t d[BLOCKS_32][BATCH_PAIRS], s[BLOCKS_32][BATCH_PAIRS];
    int8x16_t low[2][BATCH_PAIRS], high[2][BATCH_PAIRS];
} pairs_activations;

typedef struct { float32x4_t at[BATCH_PAIRS][ROW_PAIRS]; } pairs_sums; /* of a tile of rows */

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

/* The pairs of a batch in whole groups; tokens past the last repeat it. */
LCY_INLINE int pairs_of(int count) { return (count + 2 * GROUP_256 - 1) / (2 * GROUP_256) * GROUP_256; }
LCY_INLINE const uint8_t *pairs_token(int t, int count, const uint8_t *x, int64_t x_stride) {
    return x + (t < count ? t : count - 1) * x_stride;
}

/* Nothing is loaded before its time: a compiler that does so runs out of registers. */
#define PAIRS_HERE __asm__ volatile("" ::: "memory")

typedef int32x4_t pairs_block[ROW_PAIRS][GROUP_32];

LCY_INLINE void pairs_zero(int group, pairs_block sum) {
    for (int r = 0; r < ROW_PAIRS; r++)
        for (int t = 0; t < group; t++) sum[r][t] = vdupq_n_s32(0);
}

/* sum += 8 n weights of all rows x the tokens of a group, which begins at q[0] */
LCY_INLINE void pairs_multiply(int group, pairs_block sum, int n, int8x16_t codes[][ROW_PAIRS], const int8x16_t *q) {
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        for (int t = 0; t < group; t++)
            for (int r = 0; r < ROW_PAIRS; r++) sum[r][t] = vmmlaq_s32(sum[r][t], codes[i][r], q[i * BATCH_PAIRS + t]);
        PAIRS_HERE;
    }
}

/* ---- blocks of 32 ---- */

typedef struct {
    int8x16_t codes[PAIRS_WEIGHTS / 8][ROW_PAIRS];
    float32x4_t d[BLOCKS_32][ROW_PAIRS], m[BLOCKS_32][ROW_PAIRS];
} pairs_panel32;

LCY_INLINE void pairs_read32(pairs_activations *p, pairs_format32 f, int blocks, int count, const uint8_t *x,
                             int64_t x_stride) {
    const int xbytes = f.has_min ? sizeof(lcy_block_q8_1) : sizeof(lcy_block_q8_0);
    for (int t = 0; t < pairs_of(count); t++) {
        const uint8_t *a = pairs_token(2 * t, count, x, x_stride), *b = pairs_token(2 * t + 1, count, x, x_stride);
        for (int i = 0; i < blocks; i++, a += xbytes, b += xbytes) {
            const int8_t *qa = (const int8_t *)a + xbytes - 32, *qb = (const int8_t *)b + xbytes - 32;
            for (int e = 0; e < 2; e++)
                pair_up(&p->q[4 * i + 2 * e][t], &p->q[4 * i + 2 * e + 1][t], vld1q_s8(qa + 16 * e), vld1q_s8(qb + 16 * e));
            p->d[i][t] = of_tokens(half_at(a), half_at(b));
            if (f.has_min) p->s[i][t] = of_tokens(half_at(a + 2), half_at(b + 2));
        }
    }
}

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

/* a group from pair t on */
LCY_INLINE void pairs_group32(pairs_sums *acc, pairs_format32 f, int group, int blocks, pairs_panel32 *p,
                              const pairs_activations *x, int t) {
    for (int i = 0; i < blocks; i++) {
        pairs_block sum;
        pairs_zero(group, sum);
        pairs_multiply(group, sum, 4, p->codes + 4 * i, x->q[4 * i] + t);
        for (int n = 0; n < group; n++)
            for (int r = 0; r < ROW_PAIRS; r++) {
                float32x4_t to = acc->at[t + n][r];
                to = vfmaq_f32(to, vcvtq_f32_s32(sum[r][n]), vmulq_f32(p->d[i][r], x->d[i][t + n]));
                acc->at[t + n][r] = f.has_min ? vfmaq_f32(to, p->m[i][r], x->s[i][t + n]) : to;
            }
    }
}

LCY_INLINE void pairs_tile32(pairs_sums *acc, pairs_format32 f, int blocks, const uint8_t *w, int64_t w_stride, int pairs,
                             const pairs_activations *x) {
    pairs_panel32 p;
    int t = 0;
    pairs_unpack32(&p, f, blocks, w, w_stride);
    for (; t + GROUP_32 <= pairs; t += GROUP_32) pairs_group32(acc, f, GROUP_32, blocks, &p, x, t);
    if (t < pairs) pairs_group32(acc, f, GROUP_256, blocks, &p, x, t);
}

/* ---- blocks of 256 ---- */

typedef struct {
    int8x16_t codes[PAIRS_WEIGHTS / 8][ROW_PAIRS];
    int32x4_t scale[16][ROW_PAIRS];
    int8x16_t min[2][ROW_PAIRS]; /* of each 16 or, in the first, each 32 weights */
    float32x4_t d[ROW_PAIRS], dmin[ROW_PAIRS];
} pairs_panel256;

/* sums of 16 or 32 activations */
LCY_INLINE int16x8_t pairs_sums_of(const lcy_block_q8_k *x, int sub, int part) {
    const int16x8_t first = vld1q_s16(x->sums), last = vld1q_s16(x->sums + 8);
    return sub == 32 ? vpaddq_s16(first, last) : part ? last : first;
}

LCY_INLINE void pairs_read256(pairs_activations *p, pairs_format256 f, int count, const uint8_t *x, int64_t x_stride) {
    for (int t = 0; t < pairs_of(count); t++) {
        const lcy_block_q8_k *a = (const lcy_block_q8_k *)pairs_token(2 * t, count, x, x_stride);
        const lcy_block_q8_k *b = (const lcy_block_q8_k *)pairs_token(2 * t + 1, count, x, x_stride);
        for (int n = 0; n < 16; n++)
            pair_up(&p->q[2 * n][t], &p->q[2 * n + 1][t], vld1q_s8(a->q + 16 * n), vld1q_s8(b->q + 16 * n));
        p->d[0][t] = of_tokens(a->d, b->d);
        for (int n = 0; n < 32 / f.block->sub && f.least; n++) {
            const int16x8_t sa = pairs_sums_of(a, f.block->sub, n), sb = pairs_sums_of(b, f.block->sub, n), seven = vdupq_n_s16(127);
            p->low[n][t] = vcombine_s8(vmovn_s16(vandq_s16(sa, seven)), vmovn_s16(vandq_s16(sb, seven)));
            p->high[n][t] = vcombine_s8(vshrn_n_s16(sa, 7), vshrn_n_s16(sb, 7));
        }
    }
}

/* minimums of a row's block as bytes; returns their scale */
LCY_INLINE float pairs_min(int8_t min[16], pairs_format256 f, const uint8_t *w) {
    int16_t all[16];
    const float dmin = f.least(all, w);
    for (int n = 0; n < 256 / f.block->sub; n++) min[n] = (int8_t)all[f.block->sub / 16 * n];
    return dmin;
}

LCY_INLINE void pairs_unpack256(pairs_panel256 *p, pairs_format256 f, const uint8_t *w, int64_t stride) {
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
        int8_t min[2][16] = {{0}};
        const float da = pairs_min(min[0], f, a), db = pairs_min(min[1], f, b);
        p->dmin[r] = of_rows(da, db);
        pair_up(&p->min[0][r], &p->min[1][r], vld1q_s8(min[0]), vld1q_s8(min[1]));
    }
}

/* minimums x sums of activations, exact */
LCY_INLINE int32x4_t pairs_least(pairs_format256 f, pairs_panel256 *p, int r, const pairs_activations *x, int t) {
    int32x4_t sum = vdupq_n_s32(0);
    for (int n = 0; n < 32 / f.block->sub; n++) sum = vmmlaq_s32(sum, p->min[n][r], x->high[n][t]);
    sum = vshlq_n_s32(sum, 7);
    for (int n = 0; n < 32 / f.block->sub; n++) sum = vmmlaq_s32(sum, p->min[n][r], x->low[n][t]);
    return sum;
}

LCY_INLINE void pairs_group256(pairs_sums *acc, pairs_format256 f, pairs_panel256 *p, const pairs_activations *x, int t) {
    const int step = f.block->sub / 16;
    pairs_block sum;
    pairs_zero(GROUP_256, sum);
    for (int n = 0; n < 16; n += step) {
        pairs_block part;
        pairs_zero(GROUP_256, part);
        pairs_multiply(GROUP_256, part, 2 * step, p->codes + 2 * n, x->q[2 * n] + t);
        for (int r = 0; r < ROW_PAIRS; r++)
            for (int i = 0; i < GROUP_256; i++) sum[r][i] = vmlaq_s32(sum[r][i], part[r][i], p->scale[n][r]);
    }
    for (int i = 0; i < GROUP_256; i++)
        for (int r = 0; r < ROW_PAIRS; r++) {
            const float32x4_t dx = x->d[0][t + i];
            float32x4_t to = vfmaq_f32(acc->at[t + i][r], vcvtq_f32_s32(sum[r][i]), vmulq_f32(p->d[r], dx));
            if (f.least) to = vfmsq_f32(to, vcvtq_f32_s32(pairs_least(f, p, r, x, t + i)), vmulq_f32(p->dmin[r], dx));
            acc->at[t + i][r] = to;
        }
}

LCY_INLINE void pairs_tile256(pairs_sums *acc, pairs_format256 f, const uint8_t *w, int64_t w_stride, int pairs,
                              const pairs_activations *x) {
    pairs_panel256 p;
    pairs_unpack256(&p, f, w, w_stride);
    for (int t = 0; t < pairs; t += GROUP_256) pairs_group256(acc, f, &p, x, t);
}

/* ---- the product ---- */

typedef struct {
    const uint8_t *w;
    int64_t k, rows, stride, first; /* first row of the band */
    int tiles;
} pairs_band;

/* the last tile overlaps the one before */
LCY_INLINE int64_t pairs_row(const pairs_band *b, int tile) {
    const int64_t r = b->first + tile * PAIRS_ROWS;
    return r + PAIRS_ROWS <= b->rows ? r : b->rows - PAIRS_ROWS;
}

LCY_INLINE void pairs_store(const pairs_sums *acc, float factor, int count, float *out, int64_t out_stride) {
    for (int t = 0; t < count; t++)
        for (int r = 0; r < ROW_PAIRS; r += 2) {
            const float32x4_t a = acc->at[t / 2][r], b = acc->at[t / 2][r + 1];
            vst1q_f32(out + t * out_stride + 2 * r, vmulq_n_f32(t % 2 ? vuzp2q_f32(a, b) : vuzp1q_f32(a, b), factor));
        }
}

LCY_INLINE void pairs_band32(pairs_sums *acc, pairs_format32 f, const pairs_band *b, int count, const uint8_t *x,
                             int64_t x_stride) {
    const int64_t blocks = b->k / 32, xbytes = f.has_min ? sizeof(lcy_block_q8_1) : sizeof(lcy_block_q8_0);
    pairs_activations p;
    for (int64_t i = 0; i < blocks; i += BLOCKS_32) {
        const int n = blocks - i < BLOCKS_32 ? (int)(blocks - i) : BLOCKS_32;
        pairs_read32(&p, f, n, count, x + i * xbytes, x_stride);
        for (int tile = 0; tile < b->tiles; tile++)
            pairs_tile32(acc + tile, f, n, b->w + pairs_row(b, tile) * b->stride + i * f.bytes, b->stride, pairs_of(count), &p);
    }
}

LCY_INLINE void pairs_band256(pairs_sums *acc, pairs_format256 f, const pairs_band *b, int count, const uint8_t *x,
                              int64_t x_stride) {
    pairs_activations p;
    for (int64_t i = 0; i < b->k / 256; i++) {
        const int64_t at = i * (int64_t)f.block->bytes;
        pairs_read256(&p, f, count, x + i * (int64_t)sizeof(lcy_block_q8_k), x_stride);
        for (int tile = 0; tile < b->tiles; tile++)
            pairs_tile256(acc + tile, f, b->w + pairs_row(b, tile) * b->stride + at, b->stride, pairs_of(count), &p);
    }
}

/* Fewer rows or tokens than pay, and short rows, are left to the kernels with sdot. */
#define PAIRS_MATMUL(name, size, factor)                                                                              \
    static void matmul_pairs_##name(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,          \
                                    const void *x, int64_t x_stride, float *out, int64_t out_stride) {                 \
        if (k < LCY_SHORT_ROW || rows < PAIRS_ROWS || tokens < PAIRS_LEAST) {                                          \
            V_NAME(matmul_##name)(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);                         \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t t = 0; t < tokens; t += PAIRS_BATCH)                                                              \
            for (int64_t r = 0; r < rows; r += PAIRS_TILES * PAIRS_ROWS) {                                             \
                const int count = tokens - t < PAIRS_BATCH ? (int)(tokens - t) : PAIRS_BATCH;                          \
                const int64_t left = (rows - r + PAIRS_ROWS - 1) / PAIRS_ROWS;                                         \
                const pairs_band b = {w, k, rows, w_stride, r, left < PAIRS_TILES ? (int)left : PAIRS_TILES};          \
                pairs_sums acc[PAIRS_TILES];                                                                           \
                memset(acc, 0, (size_t)b.tiles * sizeof *acc);                                                         \
                pairs_band##size(acc, pairs_##name, &b, count, (const uint8_t *)x + t * x_stride, x_stride);           \
                for (int i = 0; i < b.tiles; i++)                                                                      \
                    pairs_store(acc + i, factor, count, out + t * out_stride + pairs_row(&b, i), out_stride);          \
            }                                                                                                          \
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
