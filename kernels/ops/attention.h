/* attention: what one query head does with the keys and values of the cells it sees.
 *
 * Orders, the reference's on AVX-512, kept on every ISA:
 *   k . q   head sizes are cut into blocks of 64: accumulator j of 4 takes elements 16 j .. 16 j + 15 of each block; then
 *           (a0 + a2) + (a1 + a3) lanewise and the tree of lcy_sum16. What is left over (a head of 80, or below 64) is
 *           added one by one: for F16 in double, products exact; for F32 multiply, then add.
 *   p . v   lane i mod 16 takes cell i. Here a vector is 16 neighbouring channels and there is one of them per lane, so the
 *           arithmetic is that of a sum along the cells and the loads are those of rows.
 */
#ifndef LCY_OPS_ATTENTION_H
#define LCY_OPS_ATTENTION_H

#include "../kernels.h"
#include "../scalar.h"

#define ROW_OF(type, head, i) ((const type *)((const uint8_t *)(head)->rows + (head)->cells[i] * (head)->stride))

/* (a0 + a2) + (a1 + a3), then the tree */
static inline float sum_4x16(float a[4][16]) {
    for (int l = 0; l < 16; l++) a[0][l] = (a[0][l] + a[2][l]) + (a[1][l] + a[3][l]);
    return lcy_sum16(a[0]);
}

static float key_dot_f16(int64_t d, const uint16_t *row, const float *q) {
    const int64_t whole = d & ~(int64_t)63;
    float acc[4][16] = {{0}};
    for (int64_t e = 0; e < whole; e += 64)
        for (int j = 0; j < 4; j++)
            for (int l = 0; l < 16; l++) {
                const int64_t at = e + 16 * j + l;
                acc[j][l] = fmaf(lcy_f16_to_f32(row[at]), q[at], acc[j][l]);
            }
    double sum = whole ? (double)sum_4x16(acc) : 0.0;
    for (int64_t e = whole; e < d; e++) sum += (double)(lcy_f16_to_f32(row[e]) * q[e]);
    return (float)sum;
}

static float key_dot_f32(int64_t d, const float *row, const float *q) {
    const int64_t whole = d & ~(int64_t)63;
    float acc[4][16] = {{0}};
    for (int64_t e = 0; e < whole; e += 64)
        for (int j = 0; j < 4; j++)
            for (int l = 0; l < 16; l++) acc[j][l] = fmaf(row[e + 16 * j + l], q[e + 16 * j + l], acc[j][l]);
    float sum = whole ? sum_4x16(acc) : 0.0f;
    for (int64_t e = whole; e < d; e++) sum += row[e] * q[e];
    return sum;
}

#define DEFINE_KQ(name, element, dot)                                                                                 \
    static void name(int64_t d, int64_t n, const lcy_head *k, int64_t rows, const float *q, float *out,               \
                     int64_t out_stride, float *scratch) {                                                            \
        (void)scratch;                                                                                                \
        for (int64_t i = 0; i < n; i++)                                                                               \
            for (int64_t r = 0; r < rows; r++) out[r * out_stride + i] = dot(d, ROW_OF(element, k, i), q + r * d);     \
    }
DEFINE_KQ(kq_f16, uint16_t, key_dot_f16)
DEFINE_KQ(kq_f32, float, key_dot_f32)

/* The tree of lcy_sum16 over the lanes of 16 channels at once: lane[l][c] -> out[c] */
static inline void sum_lanes(float lane[16][16], int64_t channels, float *out) {
    for (int width = 8; width > 2; width /= 2)
        for (int l = 0; l < width; l++)
            for (int c = 0; c < 16; c++) lane[l][c] += lane[l + width][c];
    for (int64_t c = 0; c < channels; c++) out[c] = (lane[0][c] + lane[2][c]) + (lane[1][c] + lane[3][c]);
}

#define DEFINE_PV(name, element, to_float)                                                                            \
    /* channels c0 .. d - 1 of one row */                                                                             \
    static void name##_row(int64_t c0, int64_t d, int64_t n, const lcy_head *v, const float *p, float *out) {         \
        for (; c0 < d; c0 += 16) {                                                                                    \
            const int64_t channels = d - c0 < 16 ? d - c0 : 16;                                                       \
            float lane[16][16] = {{0}};                                                                               \
            for (int64_t i = 0; i < n; i++) {                                                                         \
                const element *row = ROW_OF(element, v, i) + c0;                                                      \
                float *acc = lane[i & 15];                                                                            \
                for (int64_t c = 0; c < channels; c++) acc[c] = fmaf(to_float(row[c]), p[i], acc[c]);                 \
            }                                                                                                         \
            sum_lanes(lane, channels, out + c0);                                                                      \
        }                                                                                                             \
    }                                                                                                                 \
    static void name(int64_t d, int64_t rows, const int32_t *n, const lcy_head *v, const float *p, int64_t p_stride,  \
                     float *const *out, float *scratch) {                                                             \
        (void)scratch;                                                                                                \
        for (int64_t r = 0; r < rows; r++) name##_row(0, d, n[r], v, p + r * p_stride, out[r]);                       \
    }
DEFINE_PV(pv_f16, uint16_t, lcy_f16_to_f32)
DEFINE_PV(pv_f32, float, (float))

/* The values of cells i0 .. i1 - 1, channels c0 .. c1 - 1, as floats: rows of c1 - c0. */
static inline void unpack_values(const lcy_head *v, int64_t i0, int64_t i1, int64_t c0, int64_t c1, float *out) {
    const uint8_t *from = (const uint8_t *)v->rows + c0 / v->block * v->bytes;
    for (int64_t i = i0; i < i1; i++) v->to_float(c1 - c0, out + (i - i0) * (c1 - c0), from + v->cells[i] * v->stride);
}

static void pv_packed(int64_t d, int64_t rows, const int32_t *n, const lcy_head *v, const float *p, int64_t p_stride,
                      float *const *out, float *scratch) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c0 = 0; c0 < d; c0 += LCY_BAND) {
            const int64_t c1 = d - c0 < LCY_BAND ? d : c0 + LCY_BAND;
            float lane[LCY_BAND / 16][16][16] = {{{0}}};
            for (int64_t i = 0; i < n[r]; i++) {
                unpack_values(v, i, i + 1, c0, c1, scratch);
                for (int64_t c = 0; c < c1 - c0; c++) {
                    float *const sum = &lane[c / 16][i & 15][c % 16];
                    *sum = fmaf(scratch[c], p[r * p_stride + i], *sum);
                }
            }
            for (int64_t c = c0; c < c1; c += 16) sum_lanes(lane[(c - c0) / 16], c1 - c < 16 ? c1 - c : 16, out[r] + c);
        }
}

/* v <- f16(v * s) and v <- f16(v + row * s). Elements that fill a vector of 16 within whole blocks of 64 are fused by the
 * reference, the rest are multiplied, then added. `acc` holds f16 values widened to f32. */
static inline void flash_scale(int64_t d, float *acc, float s) {
    for (int64_t c = 0; c < d; c++) acc[c] = lcy_f16_to_f32(lcy_f32_to_f16(acc[c] * s));
}

static inline void flash_add(int64_t d, float *acc, const uint16_t *row, float s) {
    const int64_t whole = d & ~(int64_t)63;
    for (int64_t c = 0; c < whole; c++)
        acc[c] = lcy_f16_to_f32(lcy_f32_to_f16(fmaf(lcy_f16_to_f32(row[c]), s, acc[c])));
    for (int64_t c = whole; c < d; c++)
        acc[c] = lcy_f16_to_f32(lcy_f32_to_f16(acc[c] + lcy_f16_to_f32(row[c]) * s));
}

/* What a score does: the sum so far shrinks when the maximum grows, then the row is added with its weight. */
typedef struct {
    float shrink, weight;
} flash_turn;

static inline flash_turn flash_next(float *max, float *sum, float score) {
    flash_turn turn = {1, 1};
    if (score > *max) {
        turn.shrink = expf(*max - score);
        *max = score;
    } else {
        turn.weight = expf(score - *max);
    }
    *sum = *sum * turn.shrink + turn.weight;
    return turn;
}

static void flash_f16(int64_t d, int64_t n, const lcy_head *k, const lcy_head *v, const float *q, float scale,
                      float *out) {
    float max = -INFINITY, sum = 0;
    for (int64_t c = 0; c < d; c++) out[c] = 0;
    for (int64_t i = 0; i < n; i++) {
        const float s = key_dot_f16(d, ROW_OF(uint16_t, k, i), q);
        const flash_turn turn = flash_next(&max, &sum, s * scale);
        if (turn.shrink != 1) flash_scale(d, out, turn.shrink);
        flash_add(d, out, ROW_OF(uint16_t, v, i), turn.weight);
    }
    for (int64_t c = 0; c < d; c++) out[c] /= sum;
}

#undef DEFINE_KQ
#undef DEFINE_PV
#undef ROW_OF
#endif
