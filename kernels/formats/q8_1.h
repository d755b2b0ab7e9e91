/* Q8_1: activations for the formats with an offset (Q4_1, Q5_1): Q8_0 plus s = d * (sum of the 32 codes), with the
 * unrounded d. Never in files. */
#ifndef LCY_FORMATS_Q8_1_H
#define LCY_FORMATS_Q8_1_H

#include "../lcy.h"
#include "common/rows.h"
#include "q8_0.h"

typedef struct {
    uint16_t d, s; /* f16 */
    int8_t q[32];
} lcy_block_q8_1;
LCY_SIZE(lcy_block_q8_1, 36);

#ifdef LCY_REFERENCE

static void activation_block_q8_1(void *y, const float *x, const float *q) {
    lcy_block_q8_1 *b = y;
    const float d = lcy_round_to_q8(b->q, x);
    int sum = 0;
    (void)q;
    for (int i = 0; i < 32; i++) sum += b->q[i];
    b->d = lcy_f32_to_f16(d);
    b->s = lcy_f32_to_f16(d * (float)sum);
}

static void from_float_q8_1(int64_t n, void *y, const float *x) {
    lcy_row_of_blocks(n, 32, sizeof(lcy_block_q8_1), y, x, activation_block_q8_1);
}

const lcy_format lcy_format_q8_1 = {
    .type = LCY_Q8_1, .name = "q8_1", .block = 32, .bytes = 36, .dot_with = LCY_Q8_1, .from_float = from_float_q8_1,
};

#endif
#endif
