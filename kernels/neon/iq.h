/* iq.h (neon): products with the codebook formats (IQ1, IQ2, IQ3, IQ4_XS; IQ4_NL is kernels/simd/iq4_nl.h). Needs a vec.h.
 *
 * A format says by two inlined functions what its block holds: `begin` gives the scales and signs of 256 weights,
 * `values` 16 weights as signed bytes, whatever is added to them included. So nothing is left to be taken back after
 * the products, as s8 * s8 is what the machine has. Sums of a block are exact; one fma per block gives plain C's bits.
 *
 * One token: a row at a time. Many tokens: V_ROWS rows are unpacked, a block at a time, and transposed, so that a
 * register holds four weights of every row: into a panel (simd/panel256.h), where the level has those.
 */
#ifndef LCY_NEON_IQ_H
#define LCY_NEON_IQ_H

#include <stddef.h>

#include "../formats/common/iq_block.h"
#include "../formats/common/iq_curve.h"
#include "../formats/common/iq_points.h"
#include "../formats/iq1_m.h"
#include "../formats/iq1_s.h"
#include "../formats/iq2_s.h"
#include "../formats/iq2_xs.h"
#include "../formats/iq2_xxs.h"
#include "../formats/iq3_s.h"
#include "../formats/iq3_xxs.h"
#include "../formats/iq4_xs.h"
#include "../kernels.h"
#include "../simd/iq4_nl.h"
#if V_PANELS
#include "../simd/panel256.h"
#endif
#include "../simd/short.h"
#include "../simd/tiles.h"

typedef struct {
    float d;
    int32_t scale[16]; /* of each 16 weights */
    uint8_t signs[32]; /* bit k of byte g: weight 8 g + k is negative. IQ1_M: not 0: group g is shifted down */
} iq_begun;

/* What tells the formats apart; every use is a constant, so nothing of it is left in the code. */
typedef struct {
    size_t bytes; /* of a block */
    int sub;      /* weights under one scale: 16 or 32 */
    float factor; /* of the whole product */
    void (*begin)(iq_begun *, const void *block);
    int8x16_t (*values)(const iq_begun *, const void *block, int n); /* weights 16 n ... 16 n + 15 */
} iq_traits;

/* ---- what blocks are made of ---- */

LCY_INLINE void iq_scales_of_nibbles(iq_begun *s, const uint8_t codes[8]) {
    for (int j = 0; j < 16; j++) s->scale[j] = lcy_iq_odd(codes[j / 2] >> j % 2 * 4 & 15);
}

/* a word for 32 weights: 4 bits of scale on top of four times 7 bits of signs */
LCY_INLINE void iq_signs_and_scale(iq_begun *s, int b, uint32_t word) {
    s->scale[2 * b] = s->scale[2 * b + 1] = lcy_iq_odd((int)(word >> 28));
    for (int g = 0; g < 4; g++) s->signs[4 * b + g] = (uint8_t)lcy_iq_even_signs(word >> 7 * g);
}

LCY_INLINE uint32_t iq_word(const void *p) { uint32_t w; memcpy(&w, p, 4); return w; }

LCY_INLINE int8x16_t iq_two_points(const uint8_t a[8], const uint8_t b[8]) {
    return vreinterpretq_s8_u8(vcombine_u8(vld1_u8(a), vld1_u8(b)));
}

LCY_INLINE int8x16_t iq_four_points(const uint8_t a[4], const uint8_t b[4], const uint8_t c[4], const uint8_t d[4]) {
    const uint32_t words[4] = {iq_word(a), iq_word(b), iq_word(c), iq_word(d)};
    return vreinterpretq_s8_u32(vld1q_u32(words));
}

/* points whose bit in two bytes of signs is set become negative */
LCY_INLINE int8x16_t iq_signed(int8x16_t points, const uint8_t signs[2]) {
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    const uint8x16_t both = vcombine_u8(vdup_n_u8(signs[0]), vdup_n_u8(signs[1]));
    const int8x16_t negative = vreinterpretq_s8_u8(vtstq_u8(both, bit));
    return vsubq_s8(veorq_s8(points, negative), negative);
}

/* ---- IQ1: eighths; digits 8 t stand for t - 1, an eighth up or down is added ---- */

LCY_INLINE int8_t iq_shift(int down) { return down ? -9 : -7; }

LCY_INLINE void begin_iq1_s(iq_begun *s, const void *block) {
    const lcy_block_iq1_s *w = block;
    s->d = lcy_f16_to_f32(w->d);
    for (int b = 0; b < 8; b++) s->scale[2 * b] = s->scale[2 * b + 1] = lcy_iq_odd(w->qh[b] >> 12 & 7);
}

LCY_INLINE int8x16_t values_iq1_s(const iq_begun *s, const void *block, int n) {
    const lcy_block_iq1_s *w = block;
    const int h = w->qh[n / 2] >> n % 2 * 6;
    const int a = w->qs[2 * n] | (h & 7) << 8, b = w->qs[2 * n + 1] | (h >> 3 & 7) << 8;
    (void)s;
    return vaddq_s8(iq_two_points(lcy_iq1_points[a], lcy_iq1_points[b]), vdupq_n_s8(iq_shift(w->qh[n / 2] >> 15)));
}

LCY_INLINE void begin_iq1_m(iq_begun *s, const void *block) {
    const lcy_block_iq1_m *w = block;
    s->d = lcy_iq1_m_d(w);
    for (int j = 0; j < 16; j++) s->scale[j] = lcy_iq_odd(w->scales[j / 4] >> j % 4 * 3 & 7);
}

LCY_INLINE int8x16_t values_iq1_m(const iq_begun *s, const void *block, int n) {
    const lcy_block_iq1_m *w = block;
    const int h = w->qh[n], a = w->qs[2 * n] | (h & 7) << 8, b = w->qs[2 * n + 1] | (h >> 4 & 7) << 8;
    (void)s;
    return vaddq_s8(iq_two_points(lcy_iq1_points[a], lcy_iq1_points[b]),
                    vcombine_s8(vdup_n_s8(iq_shift(h >> 3 & 1)), vdup_n_s8(iq_shift(h >> 7))));
}

/* ---- IQ2: points of 8 ---- */

LCY_INLINE void begin_iq2_xxs(iq_begun *s, const void *block) {
    const lcy_block_iq2_xxs *w = block;
    s->d = lcy_f16_to_f32(w->d);
    for (int b = 0; b < 8; b++) iq_signs_and_scale(s, b, iq_word(w->qs + 4 * b + 2));
}

LCY_INLINE int8x16_t values_iq2_xxs(const iq_begun *s, const void *block, int n) {
    const uint8_t *i = (const uint8_t *)((const lcy_block_iq2_xxs *)block)->qs + n / 2 * 8 + n % 2 * 2;
    return iq_signed(iq_two_points(lcy_iq2_xxs_points[i[0]], lcy_iq2_xxs_points[i[1]]), s->signs + 2 * n);
}

LCY_INLINE void begin_iq2_xs(iq_begun *s, const void *block) {
    const lcy_block_iq2_xs *w = block;
    s->d = lcy_f16_to_f32(w->d);
    iq_scales_of_nibbles(s, w->scales);
    for (int g = 0; g < 32; g++) s->signs[g] = (uint8_t)lcy_iq_even_signs(w->qs[g] >> 9);
}

LCY_INLINE int8x16_t values_iq2_xs(const iq_begun *s, const void *block, int n) {
    const uint16_t *i = ((const lcy_block_iq2_xs *)block)->qs + 2 * n;
    return iq_signed(iq_two_points(lcy_iq2_xs_points[i[0] & 511], lcy_iq2_xs_points[i[1] & 511]), s->signs + 2 * n);
}

LCY_INLINE void begin_iq2_s(iq_begun *s, const void *block) {
    const lcy_block_iq2_s *w = block;
    s->d = lcy_f16_to_f32(w->d);
    iq_scales_of_nibbles(s, w->scales);
}

LCY_INLINE int8x16_t values_iq2_s(const iq_begun *s, const void *block, int n) {
    const lcy_block_iq2_s *w = block;
    const int h = w->qh[n / 2] >> n % 2 * 4;
    const int a = w->qs[2 * n] | (h & 3) << 8, b = w->qs[2 * n + 1] | (h >> 2 & 3) << 8;
    (void)s;
    return iq_signed(iq_two_points(lcy_iq2_s_points[a], lcy_iq2_s_points[b]), w->signs + 2 * n);
}

/* ---- IQ3: points of 4 ---- */

LCY_INLINE void begin_iq3_xxs(iq_begun *s, const void *block) {
    const lcy_block_iq3_xxs *w = block;
    s->d = lcy_f16_to_f32(w->d);
    for (int b = 0; b < 8; b++) iq_signs_and_scale(s, b, iq_word(w->signs + 2 * b));
}

LCY_INLINE int8x16_t values_iq3_xxs(const iq_begun *s, const void *block, int n) {
    const uint8_t *i = ((const lcy_block_iq3_xxs *)block)->qs + 4 * n;
    const int8x16_t points = iq_four_points(lcy_iq3_xxs_points[i[0]], lcy_iq3_xxs_points[i[1]], lcy_iq3_xxs_points[i[2]],
                                            lcy_iq3_xxs_points[i[3]]);
    return iq_signed(points, s->signs + 2 * n);
}

LCY_INLINE void begin_iq3_s(iq_begun *s, const void *block) {
    const lcy_block_iq3_s *w = block;
    s->d = lcy_f16_to_f32(w->d);
    for (int b = 0; b < 8; b++) s->scale[2 * b] = s->scale[2 * b + 1] = lcy_iq_odd(w->scales[b / 2] >> b % 2 * 4 & 15);
}

LCY_INLINE const uint8_t *iq3_s_point(const uint8_t *low, int high, int k) {
    return lcy_iq3_s_points[low[k] | (high >> k & 1) << 8];
}

LCY_INLINE int8x16_t values_iq3_s(const iq_begun *s, const void *block, int n) {
    const lcy_block_iq3_s *w = block;
    const uint8_t *i = w->qs + 4 * n;
    const int h = w->qh[n / 2] >> n % 2 * 4;
    (void)s;
    return iq_signed(iq_four_points(iq3_s_point(i, h, 0), iq3_s_point(i, h, 1), iq3_s_point(i, h, 2), iq3_s_point(i, h, 3)),
                     w->signs + 2 * n);
}

/* ---- IQ4_XS: 16 values, one byte shuffle ---- */

LCY_INLINE void begin_iq4_xs(iq_begun *s, const void *block) {
    const lcy_block_iq4_xs *w = block;
    s->d = lcy_f16_to_f32(w->d);
    for (int b = 0; b < 8; b++) {
        const int low = w->scales_l[b / 2] >> b % 2 * 4 & 15, high = w->scales_h >> 2 * b & 3;
        s->scale[2 * b] = s->scale[2 * b + 1] = (low | high << 4) - 32;
    }
}

LCY_INLINE int8x16_t values_iq4_xs(const iq_begun *s, const void *block, int n) {
    const uint8x16_t both = vld1q_u8(((const lcy_block_iq4_xs *)block)->qs + n / 2 * 16);
    (void)s;
    return vqtbl1q_s8(vld1q_s8(lcy_iq_curve), n % 2 ? vshrq_n_u8(both, 4) : vandq_u8(both, vdupq_n_u8(15)));
}

#define IQ_TRAITS(name, sub, factor) \
    static const iq_traits iq_##name = {sizeof(lcy_block_##name), sub, factor, begin_##name, values_##name};
IQ_TRAITS(iq1_s, 32, 0.125f)
IQ_TRAITS(iq1_m, 16, 0.125f)
IQ_TRAITS(iq2_xxs, 32, 0.125f)
IQ_TRAITS(iq2_xs, 16, 0.125f)
IQ_TRAITS(iq2_s, 16, 0.125f)
IQ_TRAITS(iq3_xxs, 32, 0.25f)
IQ_TRAITS(iq3_s, 32, 1)
IQ_TRAITS(iq4_xs, 32, 1)
#undef IQ_TRAITS

/* ---- one row, one token ---- */

/* 16 products in four sums: two fit 16 bits, for neither a value nor an activation is -128 */
LCY_INLINE int32x4_t iq_dot16(int8x16_t a, int8x16_t b) {
#if defined(__ARM_FEATURE_DOTPROD)
    return vdotq_s32(vdupq_n_s32(0), a, b);
#else
    return vpaddlq_s16(vmlal_high_s8(vmull_s8(vget_low_s8(a), vget_low_s8(b)), a, b));
#endif
}

LCY_INLINE float iq_row(int64_t blocks, const uint8_t *w, const lcy_block_q8_k *x, const iq_traits *f) {
    float acc = 0;
    for (int64_t i = 0; i < blocks; i++, w += f->bytes, x++) {
        iq_begun s;
        int32x4_t sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
        for (size_t at = 0; at < f->bytes; at += 64) __builtin_prefetch(w + 2048 + at);
        f->begin(&s, w);
#pragma GCC unroll 16
        for (int n = 0; n < 16; n++) {
            const int32x4_t part = iq_dot16(f->values(&s, w, n), vld1q_s8(x->q + 16 * n));
            sum[n % 2] = vmlaq_s32(sum[n % 2], part, vdupq_n_s32(s.scale[n]));
        }
        acc = fmaf((float)vaddvq_s32(vaddq_s32(sum[0], sum[1])), s.d * x->d, acc);
    }
    return acc * f->factor;
}

/* ---- many tokens ---- */

typedef struct {
    vi codes[64]; /* weights 4 g ... 4 g + 3 of every row */
    vi scale[16]; /* of 16 weights each */
    vf d;
} iq_panel;

LCY_INLINE void iq_unpack(iq_panel *p, const uint8_t *w, int64_t stride, const iq_traits *f) {
    int8_t codes[V_ROWS][256];
    int32_t scale[16][V_ROWS];
    float d[V_ROWS];
    for (int r = 0; r < V_ROWS; r++) {
        iq_begun s;
        f->begin(&s, w + r * stride);
        d[r] = s.d;
        for (int n = 0; n < 16; n++) {
            vst1q_s8(codes[r] + 16 * n, f->values(&s, w + r * stride, n));
            scale[n][r] = s.scale[n];
        }
    }
    for (int n = 0; n < 16; n++) {
        const uint8_t *rows = (const uint8_t *)codes[0] + 16 * n;
        v_transpose(p->codes + 4 * n, v_rows(rows, 4 * 256), v_rows(rows + 256, 4 * 256), v_rows(rows + 2 * 256, 4 * 256),
                    v_rows(rows + 3 * 256, 4 * 256));
        p->scale[n] = v_row_scale(v_load(scale[n]));
    }
    p->d = v_loadf(d);
}

#if V_PANELS

LCY_INLINE v_shape256 iq_shape(const iq_traits *f) { return (v_shape256){.sub = f->sub}; }

LCY_INLINE void iq_fill(v_panel256 *to, int blocks, v_tile t, const iq_traits *f) {
    for (int i = 0; i < blocks; i++, v_advance(&t, (int64_t)f->bytes)) {
        iq_panel p;
        iq_unpack(&p, v_tile_row(&t, 0), t.row, f);
        for (int g = 0; g < 64; g++) to->codes[i][g][0] = p.codes[g];
        for (int n = 0; n < 256 / f->sub; n++) to->scale[i][n][0] = p.scale[f->sub / 16 * n];
        to->d[i][0] = p.d;
    }
}

#define IQ_MANY(name)                                                                                                \
    static __attribute__((noinline)) void V_NAME(fill_##name)(v_panel256 *p, int r, int blocks, v_tile t) {          \
        (void)r; /* a panel is one register wide */                                                                  \
        iq_fill(p, blocks, t, &iq_##name);                                                                           \
    }                                                                                                                \
    V_SPAN256_FN(name, iq_shape(&iq_##name))                                                                         \
    static void V_NAME(many_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,        \
                                    const void *x, int64_t x_stride, float *out, int64_t out_stride) {               \
        v_many256(iq_shape(&iq_##name), sizeof(lcy_block_##name), iq_##name.factor, V_NAME(fill_##name),             \
                  V_NAME(span_##name), k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);                  \
    }

#else

enum { IQ_TOKENS = 64 }; /* of a pass: 64 share what a tile's block costs to unpack */

LCY_INLINE void iq_tile(float acc[][V_ROWS], int64_t blocks, const uint8_t *w, int64_t stride, int tokens,
                        const uint8_t *x, int64_t x_stride, const iq_traits *f) {
    iq_panel p;
    for (int64_t i = 0; i < blocks; i++, w += f->bytes, x += sizeof(lcy_block_q8_k)) {
        iq_unpack(&p, w, stride, f);
        for (int t = 0; t < tokens; t++) {
            const lcy_block_q8_k *b = (const lcy_block_q8_k *)(x + t * x_stride);
            vi sum = v_zero();
            for (int n = 0; n < 16; n++) sum = v_dot_rows_scaled(sum, p.codes + 4 * n, 4, b->q + 16 * n, 127, p.scale[n]);
            v_storef(acc[t], v_fma(v_float(sum), v_mul(p.d, v_setf(b->d)), v_loadf(acc[t])));
        }
    }
}

/* All rows, at least V_ROWS of them; the last tile overlaps the one before. */
LCY_INLINE void iq_matmul_many(int64_t k, int64_t rows, int64_t tokens, const uint8_t *w, int64_t w_stride,
                               const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride, const iq_traits *f) {
    for (int64_t tile = 0; tile < rows; tile += V_ROWS) {
        const int64_t r = tile + V_ROWS <= rows ? tile : rows - V_ROWS;
        for (int64_t t = 0; t < tokens; t += IQ_TOKENS) {
            const int some = tokens - t < IQ_TOKENS ? (int)(tokens - t) : IQ_TOKENS;
            float acc[IQ_TOKENS][V_ROWS] = {{0}};
            iq_tile(acc, k / 256, w + r * w_stride, w_stride, some, x + t * x_stride, x_stride, f);
            for (int i = 0; i < some; i++)
                v_storef(out + (t + i) * out_stride + r, v_mul(v_loadf(acc[i]), v_setf(f->factor)));
        }
    }
}

#define IQ_MANY(name)                                                                                                \
    static void V_NAME(many_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,        \
                                    const void *x, int64_t x_stride, float *out, int64_t out_stride) {               \
        iq_matmul_many(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride, &iq_##name);                      \
    }

#endif

LCY_INLINE void iq_matmul_few(int64_t k, int64_t rows, int64_t tokens, const uint8_t *w, int64_t w_stride,
                              const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride, const iq_traits *f) {
    for (int64_t r = 0; r < rows; r++, w += w_stride)
        for (int64_t t = 0; t < tokens; t++)
            out[t * out_stride + r] = iq_row(k / 256, w, (const lcy_block_q8_k *)(x + t * x_stride), f);
}

#define IQ_MATMUL(name)                                                                                              \
    IQ_MANY(name)                                                                                                    \
    static void V_NAME(matmul_##name)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,      \
                                      const void *x, int64_t x_stride, float *out, int64_t out_stride) {             \
        LCY_SHORT_ROWS_FIRST(name)                                                                                   \
        if (tokens > 1 && rows >= V_ROWS)                                                                            \
            V_NAME(many_##name)(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);                         \
        else                                                                                                         \
            iq_matmul_few(k, rows, tokens, w, w_stride, x, x_stride, out, out_stride, &iq_##name);                   \
    }
IQ_MATMUL(iq1_s)
IQ_MATMUL(iq1_m)
IQ_MATMUL(iq2_xxs)
IQ_MATMUL(iq2_xs)
IQ_MATMUL(iq2_s)
IQ_MATMUL(iq3_xxs)
IQ_MATMUL(iq3_s)
IQ_MATMUL(iq4_xs)
#undef IQ_MATMUL

static void fill_iq(lcy_kernels *k) {
    k->matmul[LCY_IQ1_S] = V_NAME(matmul_iq1_s);
    k->matmul[LCY_IQ1_M] = V_NAME(matmul_iq1_m);
    k->matmul[LCY_IQ2_XXS] = V_NAME(matmul_iq2_xxs);
    k->matmul[LCY_IQ2_XS] = V_NAME(matmul_iq2_xs);
    k->matmul[LCY_IQ2_S] = V_NAME(matmul_iq2_s);
    k->matmul[LCY_IQ3_XXS] = V_NAME(matmul_iq3_xxs);
    k->matmul[LCY_IQ3_S] = V_NAME(matmul_iq3_s);
    k->matmul[LCY_IQ4_NL] = V_NAME(matmul_iq4_nl);
    k->matmul[LCY_IQ4_XS] = V_NAME(matmul_iq4_xs);
}

#endif
