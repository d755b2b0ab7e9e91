/* k_formats.h: how a block of Q2_K, Q3_K, Q4_K, Q5_K or Q6_K is taken apart, for blocks256.h. Needs a vec.h.
 *
 * The layouts are those of formats/q2_k.h and so on.
 */
#ifndef LCY_SIMD_K_FORMATS_H
#define LCY_SIMD_K_FORMATS_H

#include "tiles.h"

/* 16 signed bytes per lane. scale: of each sub-block of 16, or of 32 in the lower half. side: what the sums of 16
 * activations are multiplied by. */
typedef struct { vi scale, side; } v_head256;

/* How rows below LCY_SHORT_ROW sum their minimums, see the formats' dot_short: into the lanes of the products, into
 * four of their own, as one integer per block. */
enum { V_LEAST_NONE, V_LEAST_BY_LANE, V_LEAST_BY_FOUR, V_LEAST_WHOLE };

typedef struct {
    int bytes, most, sub;  /* of a block; the largest code; weights that share a scale */
    int head_at, d_at;     /* where 16 bytes with the scales lie, and the f16 d (then dmin) */
    int has_min, shift;    /* minimums, or an offset of 1 << shift */
    int folds;             /* codes x scales fit in a byte, offset or not (panel256.h) */
    int least;             /* V_LEAST_... */
    v_head256 (*head)(vi bytes);
    int (*group)(int i);   /* few256.h: the i-th group of 32 weights, */
    int (*low_at)(int j), (*high_at)(int j); /* where group j has its bytes and, or NULL, those with its upper bits, */
    vi (*code)(const vi *low, const vi *high, int j, int g); /* and its weights 4 g .. 4 g + 3 */
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

/* byte n of each dword, sign-extended */
LCY_INLINE vi v_byte(vi a, int n) { return v_sra32(v_shl32(a, 24 - 8 * n), 24); }

/* bytes 2 n and 2 n + 1 of each dword as the upper halves of its words */
LCY_INLINE vi v_byte_pair(vi a, int n) {
    static const uint8_t low[16] = {128, 0, 128, 1, 128, 4, 128, 5, 128, 8, 128, 9, 128, 12, 128, 13};
    static const uint8_t high[16] = {128, 2, 128, 3, 128, 6, 128, 7, 128, 10, 128, 11, 128, 14, 128, 15};
    return v_shuffle8(a, v_same16(n ? high : low));
}

/* bit `from` of every byte, moved to bit `to` */
LCY_INLINE vi v_bit(vi a, int from, int to) {
    return v_and(from < to ? v_shl32(a, to - from) : v_shr32(a, from - to), v_set8(1 << to));
}

/* bits n, n + 1 of every byte, moved to bits 4 and 5 */
LCY_INLINE vi v_top_two(vi a, int n) { return v_and(n < 4 ? v_shl32(a, 4 - n) : v_shr32(a, n - 4), v_set8(48)); }

/* ---- groups of 32 weights from transposed bytes, for few tokens ---- */

LCY_INLINE int v_group_in_order(int i) { return i; }
LCY_INLINE vi v_nibble(vi a, int high) { return v_and(high ? v_shr32(a, 4) : a, v_set8(15)); }
LCY_INLINE vi v_two_bits(vi a, int n) { return v_and(n ? v_shr32(a, 2 * n) : a, v_set8(3)); }

LCY_INLINE int v_low_q2_k(int j) { return 16 + j / 4 * 32; }
LCY_INLINE vi v_code_q2_k(const vi *low, const vi *high, int j, int g) {
    (void)high;
    return v_two_bits(low[g], j % 4);
}

LCY_INLINE int v_low_q3_k(int j) { return 32 + j / 4 * 32; }
LCY_INLINE int v_high_q3_k(int j) { (void)j; return 0; }
LCY_INLINE vi v_code_q3_k(const vi *low, const vi *high, int j, int g) {
    return v_or(v_two_bits(low[g], j % 4), v_bit(high[g], j, 2));
}

LCY_INLINE int v_low_q4_k(int j) { return 16 + j / 2 * 32; }
LCY_INLINE vi v_code_q4_k(const vi *low, const vi *high, int j, int g) {
    (void)high;
    return v_nibble(low[g], j % 2);
}

LCY_INLINE int v_low_q5_k(int j) { return 48 + j / 2 * 32; }
LCY_INLINE int v_high_q5_k(int j) { (void)j; return 16; }
LCY_INLINE vi v_code_q5_k(const vi *low, const vi *high, int j, int g) {
    return v_or(v_nibble(low[g], j % 2), v_bit(high[g], j, 4));
}

/* of each half the quarters 0, 2, 1, 3: two that share bytes are neighbours */
LCY_INLINE int v_group_q6_k(int i) { return i / 4 * 4 + (i % 4 == 1 ? 2 : i % 4 == 2 ? 1 : i % 4); }
LCY_INLINE int v_low_q6_k(int j) { return 64 * (j / 4) + j % 2 * 32; }
LCY_INLINE int v_high_q6_k(int j) { return 128 + 32 * (j / 4); }
LCY_INLINE vi v_code_q6_k(const vi *low, const vi *high, int j, int g) {
    return v_or(v_nibble(low[g], j % 4 / 2), v_top_two(high[g], j % 4 * 2));
}

/* ---- the codes of a tile, for many tokens ---- */

LCY_INLINE vi v_codes_q2_k(const v_tile *b, int i, int j, int e) {
    return v_and(v_shr32(v_tile_load(b, i, 16 + j / 4 * 32 + 16 * e), j % 4 * 2), v_set8(3));
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
    .bytes = 84, .most = 3, .sub = 16, .head_at = 0, .d_at = 80, .has_min = 1, .folds = 1,
    .least = V_LEAST_BY_LANE,
    .head = v_head_q2_k, .codes = v_codes_q2_k,
    .group = v_group_in_order, .low_at = v_low_q2_k, .code = v_code_q2_k,
};
static const v_format256 v_q3_k = {
    .bytes = 110, .most = 7, .sub = 16, .head_at = 94, .d_at = 108, .shift = 2, .folds = 1,
    .head = v_head_q3_k, .codes = v_codes_q3_k,
    .group = v_group_in_order, .low_at = v_low_q3_k, .high_at = v_high_q3_k, .code = v_code_q3_k,
};
static const v_format256 v_q4_k = {
    .bytes = 144, .most = 15, .sub = 32, .head_at = 0, .d_at = 0, .has_min = 1,
    .least = V_LEAST_BY_FOUR,
    .head = v_head_q4_k, .codes = v_codes_q4_k,
    .group = v_group_in_order, .low_at = v_low_q4_k, .code = v_code_q4_k,
};
static const v_format256 v_q5_k = {
    .bytes = 176, .most = 31, .sub = 32, .head_at = 0, .d_at = 0, .has_min = 1,
    .least = V_LEAST_WHOLE,
    .head = v_head_q4_k, .codes = v_codes_q5_k,
    .group = v_group_in_order, .low_at = v_low_q5_k, .high_at = v_high_q5_k, .code = v_code_q5_k,
};
static const v_format256 v_q6_k = {
    .bytes = 210, .most = 63, .sub = 16, .head_at = 192, .d_at = 208, .shift = 5,
    .head = v_head_q6_k, .codes = v_codes_q6_k,
    .group = v_group_q6_k, .low_at = v_low_q6_k, .high_at = v_high_q6_k, .code = v_code_q6_k,
};

#endif
