/* iq4_xs.h (avx512): IQ4_XS for few tokens is a format of few256.h whose codes pass through a table of 16 values, shifted
 * up by 128: products of such bytes need VNNI. */
#ifndef LCY_AVX512_IQ4_XS_H
#define LCY_AVX512_IQ4_XS_H

#include "../formats/common/iq_curve.h"
#include "../simd/few256.h"

/* eight signed scales of 4 + 2 bits at bytes 4..7 and 2..3: see formats/iq4_xs.h */
LCY_INLINE v_head256 v_head_iq4_xs(vi h) {
    static const uint8_t low[16] = {4, 4, 5, 5, 6, 6, 7, 7}, high[16] = {2, 2, 2, 2, 3, 3, 3, 3};
    static const uint8_t first[16] = {1, 4, 16, 64, 1, 4, 16, 64}, second[16] = {2, 8, 32, 128, 2, 8, 32, 128};
    static const uint8_t twice[16] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7};
    const vi l = v_shuffle8(h, v_same16(low)), b = v_shuffle8(h, v_same16(high));
    const vi four = v_or(v_and(l, v_set32(0x000f000f)), v_and(v_shr32(l, 4), v_set32(0x0f000f00)));
    const vi two = v_or(v_bytes_if(b, v_same16(first), v_set8(16)), v_bytes_if(b, v_same16(second), v_set8(32)));
    const vi scale = v_sub8(v_or(four, two), v_set8(32));
    return (v_head256){scale, v_shuffle8(scale, v_same16(twice))};
}

LCY_INLINE int v_low_iq4_xs(int j) { return 8 + j / 2 * 32; }

/* 16 bytes hold the 32 weights of a group, the low nibbles first */
LCY_INLINE vi v_code_iq4_xs(const vi *low, const vi *high, int j, int g) {
    (void)high;
    return v_shuffle8(v_row_signed(v_same16(lcy_iq_curve)), v_nibble(low[j % 2 * 4 + g % 4], g / 4));
}

static const v_format256 v_iq4_xs = {
    .bytes = 136, .most = 255, .sub = 32, .head_at = 0, .d_at = 0, .shift = 7, .head = v_head_iq4_xs,
    .group = v_group_in_order, .low_at = v_low_iq4_xs, .code = v_code_iq4_xs,
};
V_FEW_TILES(iq4_xs, v_tile256_few)

/* more: the product for other counts of tokens, and for short rows */
#define V_FEW_OR(name, more)                                                                                         \
    static void V_NAME(matmul_few_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,  \
                                          const void *x, int64_t x_stride, float *out, int64_t out_stride) {         \
        if (tokens <= V_FEW && k >= LCY_SHORT_ROW && k <= 256 * V_FEW_256)                                           \
            v_matmul256_few(v_##name, V_NAME(few_##name), k, rows, (int)tokens, w, w_stride, x, x_stride, out,       \
                            out_stride);                                                                             \
        else                                                                                                         \
            more(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);                                        \
    }
V_FEW_OR(iq4_xs, V_NAME(matmul_iq4_xs))

#endif
