/* pairs.h: what IQ1 and IQ2 share. A block has 32 groups of 8 weights, so a register has those of two rows: one row's in the
 * low half, the other's in the high half. A digit has 2 bits: four of a point make a byte, which is half of its key, and
 * two planes of such bytes, `low` and `high`, are the codebook.
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
#define LCY_HIGH_BYTE(k) (k) >> 8,

/* Both planes for 64 indices each of two pairs of rows, from books of 128 x chunks points: `chunk` has the bits above the
 * lowest 7. A look-up under a mask leaves the other indices as they are, so each goes through until its chunk comes;
 * in two halves, as one look-up waits for the one before it. Tables are loaded once for both pairs. */
LCY_INLINE void lcy_look_up(vi found[2][2], const uint8_t *low, const uint8_t *high, int chunks, const vi index[2],
                            const vi chunk[2]) {
    vi later[2][2];
    for (int pair = 0; pair < 2; pair++)
        found[pair][0] = found[pair][1] = later[pair][0] = later[pair][1] = index[pair];
#pragma GCC unroll 16
    for (int c = 0; c < chunks; c++) {
        const int at = c / 2 + c % 2 * (chunks / 2);
        vi(*to)[2] = c % 2 ? later : found;
        for (int j = 0; j < 2; j++) {
            const vi a = lcy_64((j ? high : low) + 128 * at), b = lcy_64((j ? high : low) + 128 * at + 64);
            for (int pair = 0; pair < 2; pair++) {
                const __mmask64 here = _mm512_cmpeq_epi8_mask(chunk[pair], _mm512_set1_epi8((char)at));
                to[pair][j] = _mm512_mask2_permutex2var_epi8(a, to[pair][j], here, b);
            }
        }
    }
    for (int pair = 0; pair < 2; pair++) {
        const __mmask64 second = _mm512_cmpge_epu8_mask(chunk[pair], _mm512_set1_epi8((char)(chunks / 2)));
        for (int j = 0; j < 2; j++) found[pair][j] = _mm512_mask_blend_epi8(second, found[pair][j], later[pair][j]);
    }
}

/* what the chunk adds to 7 bits: `above` has its upper bits at bit 1 and up, below them junk */
LCY_INLINE vi lcy_chunk(vi above, int chunks, vi index) {
    const vi eighth = _mm512_and_si512(_mm512_srli_epi16(index, 7), _mm512_set1_epi8(1));
    return lcy_and_or(above, _mm512_set1_epi8((char)(chunks - 2)), eighth);
}

/* Digit j (0..3) of bytes, as the value it stands for: the look-up takes 6 bits, of which the table heeds 2. */
LCY_INLINE vi lcy_digit(int j, vi bytes, int v0, int v1, int v2) {
    const int a = 0x01010101 * v0, b = 0x01010101 * v1, c = 0x01010101 * v2;
    const vi table = j == 0 ? _mm512_set1_epi32(v0 | v1 << 8 | v2 << 16) :
                     j == 1 ? _mm512_broadcast_i32x4(_mm_setr_epi32(a, b, c, 0)) :
                              _mm512_setr_epi32(a, a, a, a, b, b, b, b, c, c, c, c, 0, 0, 0, 0);
    return _mm512_permutexvar_epi8(j == 3 ? _mm512_srli_epi16(bytes, 2) : bytes, table);
}

/* eight sums of rows 0 and 1, and of rows 2 and 3 -> the sum of each */
LCY_INLINE __m128i lcy_pairs_across(vi first, vi second) {
    const vi a = _mm512_add_epi32(_mm512_unpacklo_epi32(first, second), _mm512_unpackhi_epi32(first, second));
    const __m256i even = _mm512_castsi512_si256(a), odd = _mm512_extracti64x4_epi64(a, 1);
    const __m256i b = _mm256_add_epi32(_mm256_unpacklo_epi32(even, odd), _mm256_unpackhi_epi32(even, odd));
    return _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
}

#endif
