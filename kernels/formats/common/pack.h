/* pack.h: codes, one per byte, <-> the bit layouts that several formats share. */
#ifndef LCY_FORMATS_COMMON_PACK_H
#define LCY_FORMATS_COMMON_PACK_H

#include "../../scalar.h"

/* 32 codes of 4 bits: byte j = L[j] | L[j + 16] << 4. Bits above the fourth are dropped. */
static inline void lcy_pack_nibbles32(uint8_t qs[16], const uint8_t L[32]) {
    for (int j = 0; j < 16; j++) qs[j] = (uint8_t)((L[j] & 15) | L[j + 16] << 4);
}

/* The fifth bits of 32 codes: bit i = bit 4 of L[i]. Stored as a little-endian u32. */
static inline void lcy_pack_fifth32(uint8_t qh[4], const uint8_t L[32]) {
    memset(qh, 0, 4);
    for (int i = 0; i < 32; i++) qh[i / 8] |= (uint8_t)((L[i] >> 4 & 1) << i % 8);
}

static inline int lcy_fifth(const uint8_t qh[4], int i) { return qh[i / 8] >> i % 8 & 1; }

/* 256 codes of 2 bits: byte 32 h + l = L[128 h + l] | L[128 h + 32 + l] << 2 | L[+ 64] << 4 | L[+ 96] << 6 */
static inline void lcy_pack_pairs256(uint8_t qs[64], const uint8_t L[256]) {
    for (int h = 0; h < 2; h++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *p = L + 128 * h + l;
            qs[32 * h + l] = (uint8_t)((p[0] & 3) | (p[32] & 3) << 2 | (p[64] & 3) << 4 | (p[96] & 3) << 6);
        }
}

/* code i of the above */
static inline int lcy_pair(const uint8_t qs[64], int i) { return qs[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3; }

/* 256 codes of 4 bits: byte 32 c + l = L[64 c + l] | L[64 c + 32 + l] << 4. Bits above the fourth are dropped. */
static inline void lcy_pack_nibbles256(uint8_t qs[128], const uint8_t L[256]) {
    for (int c = 0; c < 4; c++)
        for (int l = 0; l < 32; l++)
            qs[32 * c + l] = (uint8_t)((L[64 * c + l] & 15) | L[64 * c + 32 + l] << 4);
}

/* code i of the above */
static inline int lcy_nibble(const uint8_t qs[128], int i) { return qs[i / 64 * 32 + i % 32] >> i % 64 / 32 * 4 & 15; }

/* 8 scales and 8 minimums of 6 bits in 12 bytes:
 *   j < 4    byte j     = scale[j] | (scale[j + 4] >> 4) << 6     byte 4 + j = min[j] | (min[j + 4] >> 4) << 6
 *   j >= 4   byte 4 + j = (scale[j] & 15) | (min[j] & 15) << 4 */
static inline void lcy_pack_scales12(uint8_t b[12], const uint8_t scale[8], const uint8_t min[8]) {
    for (int j = 0; j < 4; j++) {
        b[j] = (uint8_t)(scale[j] | scale[j + 4] >> 4 << 6);
        b[4 + j] = (uint8_t)(min[j] | min[j + 4] >> 4 << 6);
        b[8 + j] = (uint8_t)((scale[j + 4] & 15) | min[j + 4] << 4);
    }
}

static inline void lcy_unpack_scales12(uint8_t scale[8], uint8_t min[8], const uint8_t b[12]) {
    for (int j = 0; j < 4; j++) {
        scale[j] = b[j] & 63;
        min[j] = b[4 + j] & 63;
        scale[4 + j] = (uint8_t)((b[8 + j] & 15) | b[j] >> 6 << 4);
        min[4 + j] = (uint8_t)(b[8 + j] >> 4 | b[4 + j] >> 6 << 4);
    }
}

#endif
