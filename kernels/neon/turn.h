/* turn.h (neon): 8 channels of 16 rows, turned so that a register of keys.h holds one channel of all rows. Needs a lanes.h
 * and a vec.h. */
#ifndef LCY_NEON_TURN_H
#define LCY_NEON_TURN_H

LCY_INLINE uint16x8_t lanes_low32(uint16x8_t a, uint16x8_t b) {
    return vreinterpretq_u16_u32(vtrn1q_u32(vreinterpretq_u32_u16(a), vreinterpretq_u32_u16(b)));
}
LCY_INLINE uint16x8_t lanes_high32(uint16x8_t a, uint16x8_t b) {
    return vreinterpretq_u16_u32(vtrn2q_u32(vreinterpretq_u32_u16(a), vreinterpretq_u32_u16(b)));
}
LCY_INLINE float16x8_t lanes_low64(uint16x8_t a, uint16x8_t b) {
    return vreinterpretq_f16_u64(vtrn1q_u64(vreinterpretq_u64_u16(a), vreinterpretq_u64_u16(b)));
}
LCY_INLINE float16x8_t lanes_high64(uint16x8_t a, uint16x8_t b) {
    return vreinterpretq_f16_u64(vtrn2q_u64(vreinterpretq_u64_u16(a), vreinterpretq_u64_u16(b)));
}

LCY_INLINE void lanes_turn_8x8(float16x8_t out[8], const uint8_t *const row[8], int64_t channel) {
    uint16x8_t a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        const uint16x8_t even = vld1q_u16((const uint16_t *)row[i] + channel);
        const uint16x8_t odd = vld1q_u16((const uint16_t *)row[i + 1] + channel);
        a[i] = vtrn1q_u16(even, odd), a[i + 1] = vtrn2q_u16(even, odd);
    }
    for (int i = 0; i < 8; i += 4) /* b[i + c]: channels c and c + 4 of rows i .. i + 3 */
        for (int j = 0; j < 2; j++) {
            b[i + j] = lanes_low32(a[i + j], a[i + j + 2]);
            b[i + j + 2] = lanes_high32(a[i + j], a[i + j + 2]);
        }
    for (int c = 0; c < 4; c++) {
        out[c] = lanes_low64(b[c], b[c + 4]);
        out[c + 4] = lanes_high64(b[c], b[c + 4]);
    }
}

/* out[c]: channel c of all rows, from number `channel` on */
LCY_INLINE void lanes_turn_halves(lanes out[8], const uint8_t *const row[16], int64_t channel) {
    float16x8_t low[8], high[8];
    lanes_turn_8x8(low, row, channel);
    lanes_turn_8x8(high, row + 8, channel);
    for (int c = 0; c < 8; c++) out[c] = lanes_of_halves(low[c], high[c]);
}

LCY_INLINE void lanes_turn_floats(lanes out[8], const uint8_t *const row[16], int64_t channel) {
    for (int h = 0; h < 8; h += 4) {
        float32x4_t q[4][4];
        for (int i = 0; i < 16; i++) q[i / 4][i % 4] = vld1q_f32((const float *)row[i] + channel + h);
        for (int g = 0; g < 4; g++) v_transpose4(q[g]);
        for (int c = 0; c < 4; c++) out[h + c] = (lanes){q[0][c], q[1][c], q[2][c], q[3][c]};
    }
}

#endif
