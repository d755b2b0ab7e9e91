/* tiles256.h (avx512amx): panels of the formats of 256 weights to a block (kernels/simd/panel256.h) against tiles of tokens.
 *
 * A tile's product wants long sums: it takes 16 cycles whether it adds 16 products or 64. So the integer scales of
 * sub-blocks do not wait for sums of 16 or 32. They are multiplied into the codes, offsets and all, when a panel is ready:
 * scale * (code - offset) fits in 16 bits for every format, and goes into two planes of bytes,
 *
 *   weight = low + 256 * high,   low unsigned, high signed
 *
 * which are multiplied each on its own, 256 weights in four products. Sums of 32 bits wrap alike in any order, so low sum +
 * (high sum << 8) is the exact integer sum of the block. Q2_K and Q3_K, whose panels hold such products in one byte
 * already, have no high plane.
 *
 * For 16 rows x 16 tokens x 256 weights of Q6_K:
 *                 products        scales      step   operations of the vector ports
 *   AVX-512 VNNI  1024 vpdpbusd   16 * 16 * 3   48   1840: 920 cycles
 *   here          8 of tiles      in the codes  80   80, and 8 * 16 cycles of the tile unit, which is the bound
 * and once per panel and pass of up to V_PASS tokens 64 * 10 operations for the planes. Four products share two loads of
 * activations and two of weights, 64 lines.
 */
#ifndef LCY_AVX512AMX_TILES256_H
#define LCY_AVX512AMX_TILES256_H

#include "../simd/panel256.h"
#include "product.h"

/* all eight are whole; 0, 1: low sums of two times 16 tokens; 2, 3: high sums; 4, 5: their activations; 6, 7: weights */
static const amx_shape amx_shape256 = {
    .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

typedef struct { vi low[64][V_ABREAST], high[64][V_ABREAST]; } amx_planes;
typedef struct { _Alignas(64) int32_t low[AMX_ROWS][16], high[AMX_ROWS][16]; } amx_sums256; /* [token][row] */

/* ---- planes ---- */

/* one 16-bit integer of each row, the lower or the upper, in both halves of its dword */
LCY_INLINE vi amx_words(vi pairs, int upper) {
    const vi low = v_set32(0xffff);
    return upper ? v_or(v_andnot(low, pairs), v_shr32(pairs, 16)) : v_or(v_and(low, pairs), v_shl32(pairs, 16));
}

/* Codes, four of every row, times its scale, plus `add`. */
LCY_INLINE void amx_fold_group(vi *low, vi *high, vi codes, vi offset, vi scale, vi add) {
    const vi bytes = v_set32(0x00ff00ff);
    const vi even = v_add16(v_mul16(v_sub16(v_and(codes, bytes), offset), scale), add);
    const vi odd = v_add16(v_mul16(v_sub16(v_shr16(codes, 8), offset), scale), add);
    *low = v_and_or(even, bytes, v_shl16(odd, 8));
    *high = v_or(v_andnot(bytes, odd), v_shr16(even, 8));
}

/* Register r of block i of a panel. Pairs without a minimum's step belong to the weights, one to every 16. */
LCY_INLINE void amx_fold(amx_planes *to, v_shape256 s, const v_panel256 *p, int i, int r) {
    const vi offset = v_set32(s.offset << 16 | s.offset);
    for (int j = 0; j < 16; j++) {
        const vi scale = amx_words(p->scale[i][16 * j / s.sub][r], 0);
        const vi add = s.pairs && !s.has_min ? amx_words(p->pairs[i][j / 2][r], j % 2) : v_zero();
        for (int g = 4 * j; g < 4 * j + 4; g++)
            amx_fold_group(&to->low[g][r], &to->high[g][r], p->codes[i][g][r], offset, scale, add);
    }
}

/* ---- products ---- */

typedef const vi (*amx_plane)[V_ABREAST];

/* q0, q1: what two times 16 tokens have in this block; q1 is not looked at without `two`. Four sums at once hide that a
 * product takes 52 cycles; so with one plane the upper sums are those of every other 64 weights. */
LCY_INLINE void amx_sum256(amx_sums256 to[2], int planes, int two, amx_plane low, amx_plane high, int r, const int8_t *q0,
                           const int8_t *q1, int64_t x_stride) {
    enum { APART = V_ABREAST * sizeof(vi) };
    amx_zero(0);
    amx_zero(2);
    if (two) amx_zero(1);
    if (two) amx_zero(3);
#pragma GCC unroll 4
    for (int g = 0; g < 64; g += 16) {
        const int other = planes == 1 && g % 32 != 0;
        amx_load(6, low[g] + r, APART);
        amx_load(4, q0 + 4 * g, x_stride);
        if (two) amx_load(5, q1 + 4 * g, x_stride);
        if (!other) amx_add_unsigned(0, 4, 6);
        if (other) amx_add_unsigned(2, 4, 6);
        if (!other && two) amx_add_unsigned(1, 5, 6);
        if (other && two) amx_add_unsigned(3, 5, 6);
        if (planes == 1) continue;
        amx_load(7, high[g] + r, APART);
        amx_add_signed(2, 4, 7);
        if (two) amx_add_signed(3, 5, 7);
    }
    amx_store(0, to[0].low, AMX_BYTES);
    amx_store(2, to[0].high, AMX_BYTES);
    if (two) amx_store(1, to[1].low, AMX_BYTES);
    if (two) amx_store(3, to[1].high, AMX_BYTES);
}

/* The float step of block i for tokens from..to - 1, whose sums are the last ones of a tile that ends with token `to`.
 * b: of the pass's first token. */
LCY_INLINE void amx_step256(v_shape256 s, int planes, const amx_sums256 *sums, const v_panel256 *p, int i, int r, int wide,
                            v_block256 b, int64_t from, int64_t to, const v_sums *out) {
    for (int64_t t = from; t < to; t++) {
        const int n = (int)(t - to) + AMX_ROWS;
        const vf dx = v_setf(((const lcy_block_q8_k *)(b.x + t * b.x_stride))->d);
        const vi high = v_load(sums->high[n]);
        vi sum = v_add32(v_load(sums->low[n]), planes == 2 ? v_shl32(high, 8) : high);
        if (planes == 1 && s.offset) sum = v_add32(sum, v_set32(b.start[t * V_STARTS_APART]));
        vf acc = v_fma(v_float(sum), v_mul(p->d[i][r], dx), v_sums_load(out, r, wide, t));
        if (s.has_min) {
            const vf least = v_float(v_sum_pairs(v_zero(), s, r, (int)t, b));
            acc = v_fnma(least, v_mul(p->dmin[i][r], dx), acc);
        }
        v_sums_store(out, r, wide, t, acc);
    }
}

/* ---- a panel and its tokens ---- */

/* What a block of the panel is to its tiles; b as for amx_step256. */
typedef struct {
    const v_panel256 *panel;
    int i, wide;
    amx_plane low, high;
    v_block256 b;
    v_sums sums;
} amx_block256;

/* Tokens from t on, two tiles of them or what is left. */
LCY_INLINE void amx_tile256(v_shape256 s, int planes, int two, const amx_block256 *k, int64_t t, int64_t tokens) {
    const int64_t middle = two ? t + AMX_ROWS : tokens, end = two && t + 2 * AMX_ROWS < tokens ? t + 2 * AMX_ROWS : tokens;
    const int8_t *q = ((const lcy_block_q8_k *)k->b.x)->q, *q0 = q + amx_first(t, tokens) * k->b.x_stride;
    const int8_t *q1 = q + (end - AMX_ROWS) * k->b.x_stride;
    for (int r = 0; r < k->wide; r++) {
        amx_sums256 sums[2];
        amx_sum256(sums, planes, two, k->low, k->high, r, q0, q1, k->b.x_stride);
        amx_step256(s, planes, &sums[0], k->panel, k->i, r, k->wide, k->b, t, middle, &k->sums);
        if (two) amx_step256(s, planes, &sums[1], k->panel, k->i, r, k->wide, k->b, middle, end, &k->sums);
    }
}

/* A block of a panel meets all tokens. */
typedef void (*amx_pass256_fn)(const amx_block256 *k, int64_t tokens);

LCY_INLINE void amx_pass256(v_shape256 s, int planes, const amx_block256 *k, int64_t tokens) {
    int64_t t = 0;
    for (; t + AMX_ROWS < tokens; t += 2 * AMX_ROWS) amx_tile256(s, planes, 1, k, t, tokens);
    if (t < tokens) amx_tile256(s, planes, 0, k, t, tokens);
}

/* A v_span256_fn. planes: 1 if scales are in the panel's codes, else 2. */
LCY_INLINE void amx_span256(v_shape256 s, int planes, amx_pass256_fn pass, int wide, const v_panel256 *p, int blocks,
                            const v_activations256 *h, int64_t tokens, const uint8_t *x, int64_t x_stride, const v_sums *out) {
    for (int i = 0; i < blocks; i++, x += sizeof(lcy_block_q8_k)) {
        amx_planes folded;
        const v_block256 b = {p->codes[i], p->scale[i], p->pairs[i], x, x_stride, h->of[0][i].start};
        amx_block256 k = {p, i, wide, p->codes[i], NULL, b, *out};
        k.sums.first = out->first && i == 0;
        k.sums.last = out->last && i + 1 == blocks;
        if (planes == 2) {
            for (int r = 0; r < wide; r++) amx_fold(&folded, s, p, i, r);
            k.low = folded.low, k.high = folded.high;
        }
        pass(&k, tokens);
    }
}

/* Formats that differ in what the planes hold share a pass. */
#define AMX_PASS256(name, shape, planes)                                                                             \
    static __attribute__((noinline)) void V_NAME(pass_##name)(const amx_block256 *k, int64_t tokens) {               \
        amx_pass256(shape, planes, k, tokens);                                                                       \
    }

#define AMX_SPAN256(name, shape, planes, pass)                                                                       \
    static __attribute__((noinline)) void V_NAME(tile_span_##name)(                                                  \
        int wide, const v_panel256 *p, int blocks, const v_activations256 *h, int64_t tokens, const uint8_t *x,      \
        int64_t x_stride, const v_sums *out) {                                                                       \
        amx_span256(shape, planes, V_NAME(pass), wide, p, blocks, h, tokens, x, x_stride, out);                      \
    }

/* What has to be known of the activations: nothing for what the planes hold. */
LCY_INLINE v_shape256 amx_shape_of(v_shape256 s) {
    if (s.sub != 256) s.offset = 0;
    if (!s.has_min) s.pairs = 0;
    return s;
}

#endif
