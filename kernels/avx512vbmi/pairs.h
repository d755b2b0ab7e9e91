/* pairs.h: what IQ1 and IQ2 share. A block has 32 groups of 8 weights, so a register has those of two rows: one row's in the
 * low half, the other's in the high half. A digit has 2 bits: four of a point make a byte, and two planes of such bytes,
 * `low` and `high`, are the codebook.
 *
 * Where 32 weights have one scale, positions are groups and planes are digits, eight of them. Where 16 have one, two
 * groups' digits j and j + 4 share a dword (lcy_weave): planes 0..3 are those of the first half of each 16 groups,
 * planes 4..7 of the second.
 */
#ifndef LCY_AVX512VBMI_PAIRS_H
#define LCY_AVX512VBMI_PAIRS_H

#include "planes.h"

/* position g of plane j: weight 8 g + j */
#define LCY_PLANE8(j) LCY_EVERY16(8, j), LCY_EVERY16(8, 128 + j)
static const uint8_t lcy_order_32[256] LCY_ALIGNED = {LCY_PLANE8(0), LCY_PLANE8(1), LCY_PLANE8(2), LCY_PLANE8(3),
                                                      LCY_PLANE8(4), LCY_PLANE8(5), LCY_PLANE8(6), LCY_PLANE8(7)};

/* dword i of plane 4 h + j: digits j of groups g, g + 1, then digits j + 4, with g = 8 h + 2 i, and from i = 4 on 8 more */
#define LCY_DWORD(at) (at), (at) + 8, (at) + 4, (at) + 12
#define LCY_DWORDS(at) LCY_DWORD(at), LCY_DWORD((at) + 16), LCY_DWORD((at) + 32), LCY_DWORD((at) + 48)
#define LCY_WOVEN(h, j) LCY_DWORDS(64 * h + j), LCY_DWORDS(64 * h + j + 128)
static const uint8_t lcy_order_16[256] LCY_ALIGNED = {LCY_WOVEN(0, 0), LCY_WOVEN(0, 1), LCY_WOVEN(0, 2), LCY_WOVEN(0, 3),
                                                      LCY_WOVEN(1, 0), LCY_WOVEN(1, 1), LCY_WOVEN(1, 2), LCY_WOVEN(1, 3)};

/* the bytes of the first eight groups of each 16, as lcy_order_16 wants them; of the others */
LCY_INLINE vi lcy_weave(int h, vi low, vi high) {
    return h ? _mm512_unpackhi_epi16(low, high) : _mm512_unpacklo_epi16(low, high);
}

#define LCY_SAME4(n) n, n, n, n
#define LCY_LOW_BYTE(k) (k) & 255,

/* ---- a plane of a book, for 64 indices each of two pairs of rows: a table is loaded once for both ---- */

LCY_INLINE void lcy_both_of_256(vi found[2], const uint8_t *plane, const vi index[2]) {
    for (int i = 0; i < 2; i++) found[i] = lcy_of_256(plane, index[i]);
}
/* from `second` where the bit is set */
LCY_INLINE void lcy_choose(vi found[2], const vi second[2], const vi above[2], int bit) {
    for (int i = 0; i < 2; i++)
        found[i] = _mm512_mask_blend_epi8(_mm512_test_epi8_mask(above[i], _mm512_set1_epi8((char)bit)), found[i], second[i]);
}
/* bits 1, 2, 3 of `above`: the bits of an index that 8 lack */
LCY_INLINE void lcy_both_of_512(vi found[2], const uint8_t *plane, const vi index[2], const vi above[2]) {
    vi second[2];
    lcy_both_of_256(found, plane, index);
    lcy_both_of_256(second, plane + 256, index);
    lcy_choose(found, second, above, 2);
}
LCY_INLINE void lcy_both_of_1024(vi found[2], const uint8_t *plane, const vi index[2], const vi above[2]) {
    vi second[2];
    lcy_both_of_512(found, plane, index, above);
    lcy_both_of_512(second, plane + 512, index, above);
    lcy_choose(found, second, above, 4);
}
LCY_INLINE void lcy_both_of_2048(vi found[2], const uint8_t *plane, const vi index[2], const vi above[2]) {
    vi second[2];
    lcy_both_of_1024(found, plane, index, above);
    lcy_both_of_1024(second, plane + 1024, index, above);
    lcy_choose(found, second, above, 8);
}

/* where the sums of dwords start; lcy_sixteen: which 16 weights dword i of half h has in lcy_order_16 */
static inline void lcy_start_32(int32_t start[8], const lcy_block_q8_k *x, int times) {
    for (int i = 0; i < 8; i++) start[i] = times * (x->sums[2 * i] + x->sums[2 * i + 1]);
}
static inline int lcy_sixteen(int h, int i) { return i / 4 * 8 + 4 * h + i % 4; }
static inline void lcy_start_16(int32_t start[2][8], const lcy_block_q8_k *x, int times) {
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 8; i++) start[h][i] = times * x->sums[lcy_sixteen(h, i)];
}

/* eight sums of rows 0 and 1, and of rows 2 and 3 -> the sum of each */
LCY_INLINE __m128i lcy_pairs_across(vi first, vi second) {
    const vi a = _mm512_add_epi32(_mm512_unpacklo_epi32(first, second), _mm512_unpackhi_epi32(first, second));
    const __m256i even = _mm512_castsi512_si256(a), odd = _mm512_extracti64x4_epi64(a, 1);
    const __m256i b = _mm256_add_epi32(_mm256_unpacklo_epi32(even, odd), _mm256_unpackhi_epi32(even, odd));
    return _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
}

#endif
