/* k_formats.h: how a block of Q2_K, Q3_K, Q4_K, Q5_K or Q6_K is taken apart, for blocks256.h. Needs a vec.h.
 *
 * The layouts are those of formats/q2_k.h and so on. `V_WIDE` weights fill a register.
 */
#ifndef LCY_X86_K_FORMATS_H
#define LCY_X86_K_FORMATS_H

#include "tiles.h"

/* 16 signed bytes per lane. scale: of each sub-block of 16, or of 32 in the lower half. side: what the sums of 16
 * activations are multiplied by. */
typedef struct { vi scale, side; } v_head256;

/* How a scale is copied over the 16-bit pairs of its sub-block: from a byte into the lower or the upper half (then sums
 * are 256 times too large, but signed), or as a word of eight that were widened before. */
enum { V_BYTE_LOW, V_BYTE_HIGH, V_WORD };

/* How rows below LCY_SHORT_ROW sum their minimums, see the formats' dot_short: into the lanes of the products, into
 * four of their own, as one integer per block. */
enum { V_LEAST_NONE, V_LEAST_BY_LANE, V_LEAST_BY_FOUR, V_LEAST_WHOLE };

typedef struct {
    int bytes, most, sub;  /* of a block; the largest code; weights that share a scale */
    int head_at, d_at;     /* where 16 bytes with the scales lie, and the f16 d (then dmin) */
    int has_min, shift;    /* minimums, or an offset of 1 << shift */
    int folds;             /* codes x scales fit in a byte, offset or not (panel256.h) */
    int spread, least;     /* V_BYTE_..., V_LEAST_... */
    v_head256 (*head)(vi bytes);
    int (*order)(int n);   /* `dot` meets 16 activations at a time: which ones come n-th */
    vi (*dot)(const uint8_t *block, const int8_t *x, vi scale, const uint8_t *spread);
    vi (*codes)(const v_tile *block, int i, int j, int e); /* register i: weights 32 j + 16 e .. + 15 */
} v_format256;

/* ---- heads ---- */

LCY_INLINE v_head256 v_head_q2_k(vi h) {
    return (v_head256){v_and(h, v_set8(15)), v_and(v_shr32(h, 4), v_set8(15))};
}

/* six-bit scales at bytes 2..13: see formats/q3_k.h */
LCY_INLINE v_head256 v_head_q3_k(vi h) {
    static const uint8_t low[16] = {2, 3, 4, 5, 6, 7, 8, 9, 128, 128, 128, 128, 128, 128, 128, 128};
    static const uint8_t high[16] = {128, 128, 128, 128, 128, 128, 128, 128, 2, 3, 4, 5, 6, 7, 8, 9};
    static const uint8_t top[16] = {10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13};
    static const uint32_t by_two[4] = {0, 2, 4, 6};
    const vi a = v_and(v_shuffle8(h, v_same16(low)), v_set8(15));
    const vi b = v_and(v_shr32(v_shuffle8(h, v_same16(high)), 4), v_set8(15));
    const vi c = v_and(v_shr32_by(v_shuffle8(h, v_same16(top)), v_same16(by_two)), v_set8(3));
    const vi scale = v_sub8(v_or(v_or(a, b), v_shl32(c, 4)), v_set8(32));
    return (v_head256){scale, scale};
}

/* d, dmin and lcy_pack_scales12: dwords 1, 2, 3 -> 8 scales and 8 minimums, each minimum for two sums of 16 */
LCY_INLINE v_head256 v_head_q4_k(vi h) {
    static const uint32_t shift[4] = {0, 2, 0, 2}, keep[4] = {0x3f3f3f3f, 0x30303030, 0x3f3f3f3f, 0x30303030};
    static const uint32_t low_shift[4] = {0, 0, 0, 4}, low_keep[4] = {0, 0x0f0f0f0f, 0, 0x0f0f0f0f};
    static const uint8_t pairs[16] = {4, 5, 6, 7, 4, 5, 6, 7, 8, 9, 10, 11, 8, 9, 10, 11};
    static const uint8_t last[16] = {12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15};
    static const uint8_t twice[16] = {8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15};
    const vi a = v_and(v_shr32_by(v_shuffle8(h, v_same16(pairs)), v_same16(shift)), v_same16(keep));
    const vi b = v_shr32_by(v_shuffle8(h, v_same16(last)), v_same16(low_shift));
    const vi both = v_and_or(b, v_same16(low_keep), a);
    return (v_head256){both, v_shuffle8(both, v_same16(twice))};
}

LCY_INLINE v_head256 v_head_q6_k(vi h) { return (v_head256){h, h}; }

/* ---- one block against its activations, all partial sums ---- */

enum { V_WIDE = 16 * V_LANES };

/* codes of V_WIDE weights x activations x scales; n: which in the format's order */
LCY_INLINE vi v_scaled(vi acc, vi codes, const int8_t *x, vi scale, const uint8_t *spread, int n) {
    return v_pairs16(acc, v_pairs8(codes, v_load(x + n * V_WIDE)), v_shuffle8(scale, v_load(spread + n * V_WIDE)));
}

LCY_INLINE int v_order_q2_k(int n) {
    const int lane = n / (4 * V_LANES) * V_LANES + n % V_LANES;
    return lane / 2 * 8 + n / V_LANES % 4 * 2 + lane % 2;
}

LCY_INLINE vi v_dot_q2_k(const uint8_t *block, const int8_t *x, vi scale, const uint8_t *spread) {
    vi acc = v_zero();
    for (int p = 0; p < 4 / V_LANES; p++) {
        const vi z = v_load(block + 16 + p * V_WIDE);
        for (int s = 0; s < 4; s++)
            acc = v_scaled(acc, v_and(v_shr32(z, 2 * s), v_set8(3)), x, scale, spread, 4 * p + s);
    }
    return acc;
}

LCY_INLINE vi v_dot_q3_k(const uint8_t *block, const int8_t *x, vi scale, const uint8_t *spread) {
    const vi high = v_same32(block);
    vi acc = v_zero();
    for (int p = 0; p < 4 / V_LANES; p++) {
        const vi z = v_load(block + 32 + p * V_WIDE), h = v_shr32_halves(high, 4 * p * V_LANES / 2, 4);
        for (int s = 0; s < 4; s++) {
            const vi bit = s < 2 ? v_shl32(h, 2 - s) : v_shr32(h, s - 2);
            const vi codes = v_and_or(bit, v_set8(4), v_and(v_shr32(z, 2 * s), v_set8(3)));
            acc = v_scaled(acc, codes, x, scale, spread, 4 * p + s);
        }
    }
    return v_sra32(acc, 8);
}

LCY_INLINE int v_order_q4_k(int n) {
    const int lane = n / (2 * V_LANES) * V_LANES + n % V_LANES;
    return lane / 2 * 4 + n / V_LANES % 2 * 2 + lane % 2;
}

LCY_INLINE vi v_dot_q4_k(const uint8_t *block, const int8_t *x, vi scale, const uint8_t *spread) {
    vi acc = v_zero();
    for (int p = 0; p < 8 / V_LANES; p++) {
        const vi z = v_load(block + 16 + p * V_WIDE);
        acc = v_scaled(acc, v_and(z, v_set8(15)), x, scale, spread, 2 * p);
        acc = v_scaled(acc, v_and(v_shr32(z, 4), v_set8(15)), x, scale, spread, 2 * p + 1);
    }
    return acc;
}

LCY_INLINE vi v_dot_q5_k(const uint8_t *block, const int8_t *x, vi scale, const uint8_t *spread) {
    const vi high = v_same32(block + 16);
    vi acc = v_zero();
    for (int p = 0; p < 8 / V_LANES; p++) {
        const vi z = v_load(block + 48 + p * V_WIDE), h = v_shr32_halves(high, p * V_LANES, 2);
        const vi low = v_and_or(v_shl32(h, 4), v_set8(16), v_and(z, v_set8(15)));
        const vi top = v_and_or(v_shl32(h, 3), v_set8(16), v_and(v_shr32(z, 4), v_set8(15)));
        acc = v_scaled(acc, low, x, scale, spread, 2 * p);
        acc = v_scaled(acc, top, x, scale, spread, 2 * p + 1);
    }
    return acc;
}

LCY_INLINE int v_order_q6_k(int n) {
    const int lane = n / (2 * V_LANES) * V_LANES + n % V_LANES;
    return lane / 4 * 8 + n / V_LANES % 2 * 4 + lane % 4;
}

LCY_INLINE vi v_dot_q6_k(const uint8_t *block, const int8_t *x, vi scale, const uint8_t *spread) {
    const vi words[2] = {v_sra16(v_unpack_low8(scale, scale), 8), v_sra16(v_unpack_high8(scale, scale), 8)};
    vi acc = v_zero();
    for (int p = 0; p < 8 / V_LANES; p++) {
        const int half = p * V_LANES / 4, lane = p * V_LANES % 4;
        const vi z = v_load(block + p * V_WIDE), h = v_shr32_halves(v_same32(block + 128 + 32 * half), lane, 2);
        const vi low = v_and_or(v_shl32(h, 4), v_set8(48), v_and(z, v_set8(15)));
        const vi top = v_and_or(h, v_set8(48), v_and(v_shr32(z, 4), v_set8(15)));
        acc = v_scaled(acc, low, x, words[half], spread, 2 * p);
        acc = v_scaled(acc, top, x, words[half], spread, 2 * p + 1);
    }
    return acc;
}

/* ---- the codes of a tile, for many tokens ---- */

LCY_INLINE vi v_codes_q2_k(const v_tile *b, int i, int j, int e) {
    return v_and(v_shr32(v_tile_load(b, i, 16 + j / 4 * 32 + 16 * e), j % 4 * 2), v_set8(3));
}

/* bit `from` of every byte, moved to bit `to` */
LCY_INLINE vi v_bit(vi a, int from, int to) {
    return v_and(from < to ? v_shl32(a, to - from) : v_shr32(a, from - to), v_set8(1 << to));
}

LCY_INLINE vi v_codes_q3_k(const v_tile *b, int i, int j, int e) {
    const vi low = v_and(v_shr32(v_tile_load(b, i, 32 + j / 4 * 32 + 16 * e), j % 4 * 2), v_set8(3));
    return v_or(low, v_bit(v_tile_load(b, i, 16 * e), j, 2));
}

LCY_INLINE vi v_codes_q4_k(const v_tile *b, int i, int j, int e) {
    return v_and(v_shr32(v_tile_load(b, i, 16 + j / 2 * 32 + 16 * e), j % 2 * 4), v_set8(15));
}

LCY_INLINE vi v_codes_q5_k(const v_tile *b, int i, int j, int e) {
    const vi low = v_and(v_shr32(v_tile_load(b, i, 48 + j / 2 * 32 + 16 * e), j % 2 * 4), v_set8(15));
    return v_or(low, v_bit(v_tile_load(b, i, 16 + 16 * e), j, 4));
}

LCY_INLINE vi v_codes_q6_k(const v_tile *b, int i, int j, int e) {
    const int half = j / 4, quarter = j % 4;
    const vi low = v_tile_load(b, i, 64 * half + quarter % 2 * 32 + 16 * e);
    const vi top = v_shr32(v_tile_load(b, i, 128 + 32 * half + 16 * e), 2 * quarter);
    return v_or(v_and(v_shr32(low, quarter / 2 * 4), v_set8(15)), v_shl32(v_and(top, v_set8(3)), 4));
}

static const v_format256 v_q2_k = {
    .bytes = 84, .most = 3, .sub = 16, .head_at = 0, .d_at = 80, .has_min = 1, .folds = 1, .spread = V_BYTE_LOW,
    .least = V_LEAST_BY_LANE,
    .head = v_head_q2_k, .order = v_order_q2_k, .dot = v_dot_q2_k, .codes = v_codes_q2_k,
};
static const v_format256 v_q3_k = {
    .bytes = 110, .most = 7, .sub = 16, .head_at = 94, .d_at = 108, .shift = 2, .folds = 1, .spread = V_BYTE_HIGH,
    .head = v_head_q3_k, .order = v_order_q2_k, .dot = v_dot_q3_k, .codes = v_codes_q3_k,
};
static const v_format256 v_q4_k = {
    .bytes = 144, .most = 15, .sub = 32, .head_at = 0, .d_at = 0, .has_min = 1, .spread = V_BYTE_LOW,
    .least = V_LEAST_BY_FOUR,
    .head = v_head_q4_k, .order = v_order_q4_k, .dot = v_dot_q4_k, .codes = v_codes_q4_k,
};
static const v_format256 v_q5_k = {
    .bytes = 176, .most = 31, .sub = 32, .head_at = 0, .d_at = 0, .has_min = 1, .spread = V_BYTE_LOW,
    .least = V_LEAST_WHOLE,
    .head = v_head_q4_k, .order = v_order_q4_k, .dot = v_dot_q5_k, .codes = v_codes_q5_k,
};
static const v_format256 v_q6_k = {
    .bytes = 210, .most = 63, .sub = 16, .head_at = 192, .d_at = 208, .shift = 5, .spread = V_WORD,
    .head = v_head_q6_k, .order = v_order_q6_k, .dot = v_dot_q6_k, .codes = v_codes_q6_k,
};

#endif
