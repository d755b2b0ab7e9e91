/* Q5_1: 32 weights of 5 bits, scale and offset. y = d * code + m. */
#ifndef LCY_FORMATS_Q5_1_H
#define LCY_FORMATS_Q5_1_H

#include "../lcy.h"
#include "common/legacy.h"
#include "common/pack.h"
#include "common/short.h"
#include "q8_1.h"

typedef struct {
    uint16_t d, m;  /* f16 */
    uint8_t qh[4];  /* bit i of this little-endian u32: bit 4 of code[i] */
    uint8_t qs[16]; /* qs[j] = low four bits of code[j] | those of code[j + 16] << 4 */
} lcy_block_q5_1;
LCY_SIZE(lcy_block_q5_1, 24);

#ifdef LCY_REFERENCE

static inline int code_q5_1(const lcy_block_q5_1 *b, int i) {
    return (b->qs[i % 16] >> i / 16 * 4 & 15) | lcy_fifth(b->qh, i) << 4;
}

static void to_float_q5_1(int64_t n, float *y, const void *x) {
    const lcy_block_q5_1 *b = x;
    for (int64_t k = 0; k < n / 32; k++, b++, y += 32) {
        const float d = lcy_f16_to_f32(b->d), m = lcy_f16_to_f32(b->m);
        for (int i = 0; i < 32; i++) y[i] = d * (float)code_q5_1(b, i) + m;
    }
}

static void block_q5_1(void *y, const float *x, const float *w) {
    lcy_block_q5_1 *b = y;
    uint8_t L[32];
    float m;
    b->d = lcy_f32_to_f16(w ? lcy_fit_qkx(32, 31, x, w, lcy_search_weighted, &m, L) : lcy_round_affine(L, x, 31, &m));
    b->m = lcy_f32_to_f16(w ? -m : m);
    lcy_pack_fifth32(b->qh, L);
    lcy_pack_nibbles32(b->qs, L);
}

static void from_float_q5_1(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 32, sizeof(lcy_block_q5_1), y, x, block_q5_1);
}

static lcy_status quantize_q5_1(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix) {
    return lcy_rows_weighted_by_row(rows, n, sizeof(lcy_block_q5_1), y, x, imatrix, block_q5_1);
}

/* See common/short.h. The offsets are summed apart and come last; m * s, of two f16, is exact. */
static float dot_short_q5_1(int64_t n, const lcy_block_q5_1 *a, const lcy_block_q8_1 *b) {
    float lane[8] = {0}, offset = 0;
    for (int64_t k = 0; k < n / 32; k++, a++, b++) {
        int32_t isum[8] = {0};
        for (int i = 0; i < 32; i++) isum[lcy_short_lane(i)] += code_q5_1(a, i) * b->q[i];
        offset += lcy_f16_to_f32(a->m) * lcy_f16_to_f32(b->s);
        lcy_short_step(8, lane, isum, lcy_f16_to_f32(a->d) * lcy_f16_to_f32(b->d));
    }
    return lcy_sum8(lane) + offset;
}

static float dot_q5_1(int64_t n, const void *w, const void *x) {
    const lcy_block_q5_1 *a = w;
    const lcy_block_q8_1 *b = x;
    if (n < LCY_SHORT_ROW) return dot_short_q5_1(n, a, b);
    float sum = 0;
    for (int64_t k = 0; k < n / 32; k++) {
        int32_t isum = 0;
        for (int i = 0; i < 32; i++) isum += code_q5_1(a + k, i) * b[k].q[i];
        sum = fmaf((float)isum, lcy_f16_to_f32(a[k].d) * lcy_f16_to_f32(b[k].d), sum);
        sum = fmaf(lcy_f16_to_f32(a[k].m), lcy_f16_to_f32(b[k].s), sum);
    }
    return sum;
}

const lcy_format lcy_format_q5_1 = {
    .type = LCY_Q5_1, .name = "q5_1", .block = 32, .bytes = 24, .dot_with = LCY_Q8_1,
    .to_float = to_float_q5_1, .from_float = from_float_q5_1, .quantize = quantize_q5_1, .dot = dot_q5_1,
};

#endif
#endif
