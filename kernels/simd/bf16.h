/* bf16.h: products with BF16 weights and activations. Needs a lanes.h, and a pairs.h (kernels/simd/ has the common one).
 *
 * The order of formats/bf16.h: a register of 64 bytes is 16 lanes of two neighbours each. Several rows and tokens at a
 * time share the loads and hide the latency of the sums, which are one chain per row and token.
 */
#ifndef LCY_SIMD_BF16_H
#define LCY_SIMD_BF16_H

#include "../kernels.h"
#include "../scalar.h"
#include "ask.h"

#ifndef LCY_PAIRS
#include "pairs.h"
#endif

#define BF16_INLINE static inline __attribute__((always_inline))

enum {
    BF16_SOONER = 4096,       /* see lcy_ask */
    BF16_CACHE = 448 << 10,   /* bytes of tokens that stay in the second-level cache while all rows pass by */
};

/* Some rows against some tokens. */
typedef struct {
    int64_t k, rows, tokens;
    const uint8_t *w, *x;
    int64_t w_stride, x_stride;
    float *out; /* out[t * out_stride + r] */
    int64_t out_stride;
} bf16_job;

/* the same from row r and token t on */
BF16_INLINE bf16_job bf16_part(const bf16_job *j, int64_t r, int64_t t) {
    return (bf16_job){j->k, j->rows - r, j->tokens - t, j->w + r * j->w_stride, j->x + t * j->x_stride, j->w_stride, j->x_stride,
                      j->out + t * j->out_stride + r, j->out_stride};
}

/* 64 bytes; or fewer, and zeros */
BF16_INLINE pairs bf16_load(const uint8_t *p, int64_t bytes) {
    return pairs_of(bytes == 64 ? lanes_load((const float *)p) : lanes_load_bytes(p, bytes));
}

/* the next `bytes` of each row and token */
BF16_INLINE void bf16_step(lanes acc[BF16_ROWS][BF16_TOKENS], const bf16_job *j, int rows, int tokens, int ask, int64_t at,
                           int64_t bytes) {
    pairs xs[BF16_TOKENS];
    for (int t = 0; t < tokens; t++) xs[t] = bf16_load(j->x + t * j->x_stride + at, bytes);
    for (int r = 0; r < rows; r++) {
        const uint8_t *p = j->w + r * j->w_stride + at;
        const pairs ws = bf16_load(p, bytes);
        if (ask) lcy_ask(p + rows * j->w_stride, 1, BF16_SOONER);
        for (int t = 0; t < tokens; t++) acc[r][t] = pairs_dot(ws, xs[t], acc[r][t]);
    }
}

/* rows x tokens; these two and `ask`, for the rows that follow, are constants */
BF16_INLINE void bf16_tile(bf16_job j, int rows, int tokens, int ask) {
    const int64_t bytes = 2 * j.k, rest = bytes % 64;
    lanes acc[BF16_ROWS][BF16_TOKENS];
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < tokens; t++) acc[r][t] = lanes_same(0);
    for (int64_t at = 0; at < bytes - rest; at += 64) bf16_step(acc, &j, rows, tokens, ask, at, 64);
    if (rest) bf16_step(acc, &j, rows, tokens, ask, bytes - rest, rest);
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < tokens; t++) j.out[t * j.out_stride + r] = sum_folded(lanes_fold(acc[r][t]));
}

/* The tiles of `rows` rows, a constant, and tokens from .. to - 1. The last one may overlap that before it: what a token
 * gets does not depend on those beside it. */
BF16_INLINE void bf16_tiles(const bf16_job *j, int rows, int64_t r, int64_t from, int64_t to) {
    const int64_t last = j->tokens - BF16_TOKENS;
    bf16_tile(bf16_part(j, r, from < last ? from : last), rows, BF16_TOKENS, rows > 1);
    for (int64_t t = from + BF16_TOKENS; t < to; t += BF16_TOKENS)
        bf16_tile(bf16_part(j, r, t < last ? t : last), rows, BF16_TOKENS, 0);
}

/* One row after the other: in order memory gives most, and the processor asks for what comes next by itself. */
BF16_INLINE void bf16_few(const bf16_job *j) {
    for (int64_t r = 0; r < j->rows; r++) {
        if (j->tokens == 1) bf16_tile(bf16_part(j, r, 0), 1, 1, 0);
        if (j->tokens == 2) bf16_tile(bf16_part(j, r, 0), 1, 2, 0);
        if (j->tokens == 3) bf16_tile(bf16_part(j, r, 0), 1, 3, 0);
    }
}

BF16_INLINE void bf16_many(const bf16_job *j) {
    const int64_t fit = BF16_CACHE / (2 * j->k + 1) / BF16_TOKENS, block = BF16_TOKENS * (fit < 4 ? 4 : fit);
    for (int64_t t = 0; t < j->tokens; t += block) {
        const int64_t to = t + block < j->tokens ? t + block : j->tokens, last = j->rows - BF16_ROWS;
        if (last < 0)
            for (int64_t r = 0; r < j->rows; r++) bf16_tiles(j, 1, r, t, to);
        else
            for (int64_t r = 0; r < j->rows; r += BF16_ROWS) bf16_tiles(j, BF16_ROWS, r < last ? r : last, t, to);
    }
}

/* A function of its own: no arithmetic moves out to where small numbers are not flushed. */
static __attribute__((noinline)) void bf16_all(bf16_job j) {
    if (BF16_TOKENS > 1 && j.tokens < BF16_TOKENS)
        bf16_few(&j);
    else
        bf16_many(&j);
}

static void LANES_NAME(matmul_bf16)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,
                                    const void *x, int64_t x_stride, float *out, int64_t out_stride) {
    const lanes_mode before = lanes_flush_small();
    bf16_all((bf16_job){k, rows, tokens, w, x, w_stride, x_stride, out, out_stride});
    lanes_flush_as(before);
}

static inline void fill_bf16(lcy_kernels *k) { k->matmul[LCY_BF16] = LANES_NAME(matmul_bf16); }

#endif
