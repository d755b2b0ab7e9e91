/* blocks32.c (avx512amx): products with formats of 32 weights to a block, for many tokens. */
#include "vec.h"

#include "../simd/blocks32.h"
#include "../simd/iq4_nl_short.h"
#include "../simd/parts.h"
#include "tiles32.h"

/* The formats' codes less what they are too large by: signed bytes. */
LCY_INLINE v_codes32 amx_lower(v_codes32 c, int by) {
    for (int i = 0; i < 4; i++) c.low[i] = v_sub8(c.low[i], v_set8(by)), c.high[i] = v_sub8(c.high[i], v_set8(by));
    return c;
}

LCY_INLINE v_codes32 amx_codes_q4_0(const v_tile *b) { return amx_lower(v_codes_q4_0(b), 8); }
LCY_INLINE v_codes32 amx_codes_q5_0(const v_tile *b) { return amx_lower(v_codes_q5_0(b), 16); }

static const v_format32 amx_q4_0 = {.bytes = 18, .codes = amx_codes_q4_0};
static const v_format32 amx_q4_1 = {.bytes = 20, .codes = v_codes_q4_1, .has_min = 1};
static const v_format32 amx_q5_0 = {.bytes = 22, .codes = amx_codes_q5_0};
static const v_format32 amx_q5_1 = {.bytes = 24, .codes = v_codes_q5_1, .has_min = 1};
static const v_format32 amx_q8_0 = {.bytes = 34, .codes = v_codes_q8_0};
static const v_format32 amx_iq4_nl = {.bytes = 18, .codes = v_codes_iq4_nl};

/* Two spans do for all: what tells the formats apart is in the panel then. */
#define AMX_SPAN32(name, format)                                                                                     \
    static __attribute__((noinline)) void V_NAME(span_##name)(                                                       \
        int wide, const v_panel32 *p, int blocks, const v_activations32 *h, int64_t tokens, const uint8_t *x,        \
        int64_t x_stride, const v_sums *out) {                                                                       \
        amx_span32(format, wide, p, blocks, h, tokens, x, x_stride, out);                                            \
    }
AMX_SPAN32(without_min, amx_q4_0)
AMX_SPAN32(with_min, amx_q4_1)

#define AMX_MATMUL32(name, type, span)                                                                               \
    static void V_NAME(many_tokens_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride, \
                                           const void *x, int64_t x_stride, float *out, int64_t out_stride) {        \
        v_many32(amx_##name, V_NAME(span), k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);              \
    }                                                                                                                \
    AMX_MATMUL(name, type, amx_shape32)
AMX_MATMUL32(q4_0, LCY_Q4_0, span_without_min)
AMX_MATMUL32(q4_1, LCY_Q4_1, span_with_min)
AMX_MATMUL32(q5_0, LCY_Q5_0, span_without_min)
AMX_MATMUL32(q5_1, LCY_Q5_1, span_with_min)
AMX_MATMUL32(q8_0, LCY_Q8_0, span_without_min)
AMX_MATMUL32(iq4_nl, LCY_IQ4_NL, span_without_min)

void lcy_fill_blocks32_avx512amx(lcy_kernels *k) {
    replace(k, LCY_Q4_0, V_NAME(tiles_q4_0));
    replace(k, LCY_Q4_1, V_NAME(tiles_q4_1));
    replace(k, LCY_Q5_0, V_NAME(tiles_q5_0));
    replace(k, LCY_Q5_1, V_NAME(tiles_q5_1));
    replace(k, LCY_Q8_0, V_NAME(tiles_q8_0));
    replace(k, LCY_IQ4_NL, V_NAME(tiles_iq4_nl));
}
