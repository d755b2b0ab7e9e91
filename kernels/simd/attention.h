/* attention.h: ops/attention.h in registers of 16 lanes; the orders are described there.
 *
 * Included by an isa.c behind its lanes.h and turn.h. What does not fill whole registers falls back to plain C. */
#ifndef LCY_SIMD_ATTENTION_H
#define LCY_SIMD_ATTENTION_H

#include "../ops/ops.h"
#include "keys.h"
#include "values.h"

#define ROW_OF(type, head, i) ((const type *)((const uint8_t *)(head)->rows + (head)->cells[i] * (head)->stride))

static void LANES_NAME(flash_f16)(int64_t d, int64_t n, const lcy_head *k, const lcy_head *v, const float *q, float scale,
                                  float *out) {
    if (d % 64) {
        flash_f16(d, n, k, v, q, scale, out);
        return;
    }
    float max = -INFINITY, sum = 0;
    for (int64_t c = 0; c < d; c += 16) lanes_store(out + c, lanes_same(0));
    for (int64_t i = 0; i < n; i++) {
        const uint16_t *row = ROW_OF(uint16_t, v, i);
        const float s = LANES_NAME(key_dot)(d, ROW_OF(uint16_t, k, i), q);
        const flash_turn turn = flash_next(&max, &sum, s * scale);
        if (turn.shrink != 1)
            for (int64_t c = 0; c < d; c += 16)
                lanes_store(out + c, lanes_through_half(lanes_mul(lanes_load(out + c), lanes_same(turn.shrink))));
        for (int64_t c = 0; c < d; c += 16)
            lanes_store(out + c, lanes_through_half(lanes_fma(lanes_halves(row + c), lanes_same(turn.weight),
                                                              lanes_load(out + c))));
    }
    for (int64_t c = 0; c < d; c++) out[c] /= sum;
}

static void fill_attention(lcy_kernels *k) {
    k->kq_f16 = LANES_NAME(kq_f16);
    k->kq_f32 = LANES_NAME(kq_f32);
    k->pv_f16 = LANES_NAME(pv_f16);
    k->pv_f32 = LANES_NAME(pv_f32);
    k->pv_packed = LANES_NAME(pv_packed);
    k->flash_f16 = LANES_NAME(flash_f16);
}

#undef ROW_OF
#endif
