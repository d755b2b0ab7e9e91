/* values.h (i8mm): blocks of the formats without a codebook as 16 signed bytes at a time, as neon/iq.h has the others. */
#ifndef LCY_I8MM_VALUES_H
#define LCY_I8MM_VALUES_H

#include "../formats/common/pack.h"
#include "../formats/iq4_nl.h"
#include "../formats/q2_k.h"
#include "../formats/q3_k.h"
#include "../formats/q4_0.h"
#include "../formats/q4_1.h"
#include "../formats/q4_k.h"
#include "../formats/q5_0.h"
#include "../formats/q5_1.h"
#include "../formats/q5_k.h"
#include "../formats/q6_k.h"
#include "../formats/q8_0.h"

/* ---- 32 weights: e = 0, 1 for the first and the last 16 ---- */

typedef struct {
    int bytes, has_min;
    int8x16_t (*values)(const uint8_t *block, int e);
} pairs_format32;

LCY_INLINE int8x16_t values_nibbles(const uint8_t *p, int e) {
    const uint8x16_t both = vld1q_u8(p);
    return vreinterpretq_s8_u8(e ? vshrq_n_u8(both, 4) : vandq_u8(both, vdupq_n_u8(15)));
}

/* bit k of two bytes is the fifth of code k */
LCY_INLINE int8x16_t values_fifth(const uint8_t *p, const uint8_t bits[2], int e) {
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    const uint8x16_t set = vtstq_u8(vcombine_u8(vdup_n_u8(bits[0]), vdup_n_u8(bits[1])), bit);
    return vorrq_s8(values_nibbles(p, e), vreinterpretq_s8_u8(vandq_u8(set, vdupq_n_u8(16))));
}

LCY_INLINE int8x16_t values_q4_0(const uint8_t *b, int e) { return vsubq_s8(values_nibbles(b + 2, e), vdupq_n_s8(8)); }
LCY_INLINE int8x16_t values_q4_1(const uint8_t *b, int e) { return values_nibbles(b + 4, e); }
LCY_INLINE int8x16_t values_q5_0(const uint8_t *b, int e) {
    return vsubq_s8(values_fifth(b + 6, b + 2 + 2 * e, e), vdupq_n_s8(16));
}
LCY_INLINE int8x16_t values_q5_1(const uint8_t *b, int e) { return values_fifth(b + 8, b + 4 + 2 * e, e); }
LCY_INLINE int8x16_t values_q8_0(const uint8_t *b, int e) { return vld1q_s8((const int8_t *)b + 2 + 16 * e); }
LCY_INLINE int8x16_t values_iq4_nl(const uint8_t *b, int e) {
    return vqtbl1q_s8(vld1q_s8(lcy_iq_curve), vreinterpretq_u8_s8(values_nibbles(b + 2, e)));
}

static const pairs_format32 pairs_q4_0 = {sizeof(lcy_block_q4_0), 0, values_q4_0};
static const pairs_format32 pairs_q4_1 = {sizeof(lcy_block_q4_1), 1, values_q4_1};
static const pairs_format32 pairs_q5_0 = {sizeof(lcy_block_q5_0), 0, values_q5_0};
static const pairs_format32 pairs_q5_1 = {sizeof(lcy_block_q5_1), 1, values_q5_1};
static const pairs_format32 pairs_q8_0 = {sizeof(lcy_block_q8_0), 0, values_q8_0};
static const pairs_format32 pairs_iq4_nl = {sizeof(lcy_block_iq4_nl), 0, values_iq4_nl};

/* ---- 256 weights ---- */

typedef struct {
    const iq_traits *block;
    float (*least)(int16_t min[16], const void *block); /* minimums of each 16 weights, their scale; NULL: none */
} pairs_format256;

/* two bits of 16 codes of the j-th 32 */
LCY_INLINE uint8x16_t values_two_bits(const uint8_t *qs, int n) {
    const uint8x16_t four = vld1q_u8(qs + n / 8 * 32 + n % 2 * 16);
    return vandq_u8(four >> vdupq_n_u8((uint8_t)(n / 2 % 4 * 2)), vdupq_n_u8(3));
}

/* bit j of 16 bytes, moved to bit `to` */
LCY_INLINE uint8x16_t values_bit(const uint8_t *p, int j, int to) {
    return vandq_u8(vtstq_u8(vld1q_u8(p), vdupq_n_u8((uint8_t)(1 << j))), vdupq_n_u8((uint8_t)(1 << to)));
}

LCY_INLINE uint8x16_t values_four_bits(const uint8_t *qs, int n) {
    const uint8x16_t two = vld1q_u8(qs + n / 4 * 32 + n % 2 * 16);
    return n / 2 % 2 ? vshrq_n_u8(two, 4) : vandq_u8(two, vdupq_n_u8(15));
}

LCY_INLINE void begin_q2_k(iq_begun *s, const void *block) {
    const lcy_block_q2_k *w = block;
    s->d = lcy_f16_to_f32(w->d);
    for (int j = 0; j < 16; j++) s->scale[j] = w->scales[j] & 15;
}
LCY_INLINE float least_q2_k(int16_t min[16], const void *block) {
    const lcy_block_q2_k *w = block;
    for (int j = 0; j < 16; j++) min[j] = w->scales[j] >> 4;
    return lcy_f16_to_f32(w->dmin);
}
LCY_INLINE int8x16_t values_q2_k(const iq_begun *s, const void *block, int n) {
    (void)s;
    return vreinterpretq_s8_u8(values_two_bits(((const lcy_block_q2_k *)block)->qs, n));
}

LCY_INLINE void begin_q3_k(iq_begun *s, const void *block) {
    const lcy_block_q3_k *w = block;
    s->d = lcy_f16_to_f32(w->d);
    for (int j = 0; j < 16; j++) {
        const int low = w->scales[j % 8] >> j / 8 * 4 & 15, high = w->scales[8 + j % 4] >> j / 4 * 2 & 3;
        s->scale[j] = (low | high << 4) - 32;
    }
}
LCY_INLINE int8x16_t values_q3_k(const iq_begun *s, const void *block, int n) {
    const lcy_block_q3_k *w = block;
    const uint8x16_t codes = vorrq_u8(values_two_bits(w->qs, n), values_bit(w->hmask + n % 2 * 16, n / 2, 2));
    (void)s;
    return vsubq_s8(vreinterpretq_s8_u8(codes), vdupq_n_s8(4));
}

LCY_INLINE void begin_twelve(iq_begun *s, uint16_t d, const uint8_t scales[12]) {
    uint8_t scale[8], min[8];
    lcy_unpack_scales12(scale, min, scales);
    s->d = lcy_f16_to_f32(d);
    for (int j = 0; j < 16; j++) s->scale[j] = scale[j / 2];
}
LCY_INLINE float least_twelve(int16_t out[16], uint16_t dmin, const uint8_t scales[12]) {
    uint8_t scale[8], min[8];
    lcy_unpack_scales12(scale, min, scales);
    for (int j = 0; j < 16; j++) out[j] = min[j / 2];
    return lcy_f16_to_f32(dmin);
}

LCY_INLINE void begin_q4_k(iq_begun *s, const void *block) {
    const lcy_block_q4_k *w = block;
    begin_twelve(s, w->d, w->scales);
}
LCY_INLINE float least_q4_k(int16_t min[16], const void *block) {
    const lcy_block_q4_k *w = block;
    return least_twelve(min, w->dmin, w->scales);
}
LCY_INLINE int8x16_t values_q4_k(const iq_begun *s, const void *block, int n) {
    (void)s;
    return vreinterpretq_s8_u8(values_four_bits(((const lcy_block_q4_k *)block)->qs, n));
}

LCY_INLINE void begin_q5_k(iq_begun *s, const void *block) {
    const lcy_block_q5_k *w = block;
    begin_twelve(s, w->d, w->scales);
}
LCY_INLINE float least_q5_k(int16_t min[16], const void *block) {
    const lcy_block_q5_k *w = block;
    return least_twelve(min, w->dmin, w->scales);
}
LCY_INLINE int8x16_t values_q5_k(const iq_begun *s, const void *block, int n) {
    const lcy_block_q5_k *w = block;
    (void)s;
    return vreinterpretq_s8_u8(vorrq_u8(values_four_bits(w->qs, n), values_bit(w->qh + n % 2 * 16, n / 2, 4)));
}

LCY_INLINE void begin_q6_k(iq_begun *s, const void *block) {
    const lcy_block_q6_k *w = block;
    s->d = lcy_f16_to_f32(w->d);
    for (int j = 0; j < 16; j++) s->scale[j] = w->scales[j];
}
LCY_INLINE int8x16_t values_q6_k(const iq_begun *s, const void *block, int n) {
    const lcy_block_q6_k *w = block;
    const int half = n / 8, quarter = n / 2 % 4;
    const uint8x16_t two = vld1q_u8(w->ql + 64 * half + quarter % 2 * 32 + n % 2 * 16);
    const uint8x16_t low = quarter / 2 ? vshrq_n_u8(two, 4) : vandq_u8(two, vdupq_n_u8(15));
    const uint8x16_t high = values_two_bits(w->qh, n);
    (void)s;
    return vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(low, vshlq_n_u8(high, 4))), vdupq_n_s8(32));
}

#define K_TRAITS(name, sub) \
    static const iq_traits k_##name = {sizeof(lcy_block_##name), sub, 1, begin_##name, values_##name};
K_TRAITS(q2_k, 16)
K_TRAITS(q3_k, 16)
K_TRAITS(q4_k, 32)
K_TRAITS(q5_k, 32)
K_TRAITS(q6_k, 16)
#undef K_TRAITS

static const pairs_format256 pairs_q2_k = {&k_q2_k, least_q2_k};
static const pairs_format256 pairs_q3_k = {&k_q3_k, NULL};
static const pairs_format256 pairs_q4_k = {&k_q4_k, least_q4_k};
static const pairs_format256 pairs_q5_k = {&k_q5_k, least_q5_k};
static const pairs_format256 pairs_q6_k = {&k_q6_k, NULL};
static const pairs_format256 pairs_iq1_s = {&iq_iq1_s, NULL};
static const pairs_format256 pairs_iq1_m = {&iq_iq1_m, NULL};
static const pairs_format256 pairs_iq2_xxs = {&iq_iq2_xxs, NULL};
static const pairs_format256 pairs_iq2_xs = {&iq_iq2_xs, NULL};
static const pairs_format256 pairs_iq2_s = {&iq_iq2_s, NULL};
static const pairs_format256 pairs_iq3_xxs = {&iq_iq3_xxs, NULL};
static const pairs_format256 pairs_iq3_s = {&iq_iq3_s, NULL};
static const pairs_format256 pairs_iq4_xs = {&iq_iq4_xs, NULL};

#endif
