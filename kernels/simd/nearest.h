/* nearest.h: lcy_iq_cheapest for eight candidates at once, in 256-bit registers, which hold lists best: those of
 * IQ3 and IQ2_S have about 9 keys.
 *
 * The costs of a place's digits are a register that the candidates' digits pick from; a candidate's costs are added in
 * the order of its places. Keys of 8 places have 2 bits a digit, so two places share a register; keys of 4 have 3 bits.
 */
#ifndef LCY_SIMD_NEAREST_H
#define LCY_SIMD_NEAREST_H

#include <immintrin.h>

#include "../neighbours.h"

_Static_assert(LCY_LIST_STEP == 8, "eight candidates");

/* Values and weights of one group, each beside the digits it is compared with. */
typedef struct { __m256 x[4], w[4]; } iq_places;

/* x, w (width); width is 8 or 4 */
LCY_INLINE iq_places iq_places_of(int width, const float *x, const float *w) {
    iq_places p;
    for (int j = 0; j < 4; j++) {
        if (width == 4) {
            p.x[j] = _mm256_broadcast_ss(x + j);
            p.w[j] = _mm256_broadcast_ss(w + j);
        } else {
            const __m256i both = _mm256_setr_epi32(2 * j, 2 * j, 2 * j, 2 * j, 2 * j + 1, 2 * j + 1, 2 * j + 1, 2 * j + 1);
            p.x[j] = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x), both);
            p.w[j] = _mm256_permutevar8x32_ps(_mm256_loadu_ps(w), both);
        }
    }
    return p;
}

/* cost[lowest digit]; what is above that digit is not looked at */
LCY_INLINE __m256 iq_pick(int width, __m256 cost, __m256i keys) {
    return width == 4 ? _mm256_permutevar8x32_ps(cost, keys) : _mm256_permutevar_ps(cost, keys);
}

/* Place in the list of the least: of equals the first. least, at: the least of each residue and its place. */
LCY_INLINE int iq_first_least(__m256 least, __m256i at, int count) {
    __m256 m = _mm256_min_ps(least, _mm256_permute2f128_ps(least, least, 1));
    m = _mm256_min_ps(m, _mm256_permute_ps(m, 0x4e));
    m = _mm256_min_ps(m, _mm256_permute_ps(m, 0xb1));
    const unsigned equal = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(least, m, _CMP_EQ_OQ));
    if (count <= 8) return __builtin_ctz(equal);
    int32_t places[8], first = INT32_MAX;
    _mm256_storeu_si256((__m256i *)places, at);
    for (unsigned e = equal; e; e &= e - 1)
        if (places[__builtin_ctz(e)] < first) first = places[__builtin_ctz(e)];
    return first;
}

/* The cheapest key; digit d of a place costs w (scale value[d] - x)^2. value: 8, or 4 twice */
LCY_INLINE unsigned iq_cheapest(int width, const uint16_t *list, const iq_places *p, const float value[8], float scale) {
    const int bits = width == 8 ? 2 : 3, count = list[0];
    const __m256 values = _mm256_mul_ps(_mm256_set1_ps(scale), _mm256_loadu_ps(value));
    const __m256i eight = _mm256_set1_epi32(8);
    __m256 cost[8], least = _mm256_set1_ps(INFINITY);
    __m256i place = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), at = place;
    for (int j = 0; j < 4; j++) {
        const __m256 off = values - p->x[j], c = p->w[j] * off * off;
        if (width == 4) {
            cost[j] = c;
        } else {
            cost[2 * j] = _mm256_permute2f128_ps(c, c, 0x00);
            cost[2 * j + 1] = _mm256_permute2f128_ps(c, c, 0x11);
        }
    }
    for (int i = 0; i < count; i += 8, place = _mm256_add_epi32(place, eight)) {
        const __m256i keys = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(list + 1 + i)));
        __m256 sum = iq_pick(width, cost[0], keys);
        for (int k = 1; k < width; k++) sum += iq_pick(width, cost[k], _mm256_srli_epi32(keys, bits * k));
        const __m256 less = _mm256_cmp_ps(sum, least, _CMP_LT_OQ);
        least = _mm256_min_ps(sum, least);
        at = _mm256_blendv_epi8(at, place, _mm256_castps_si256(less));
    }
    return list[1 + iq_first_least(least, at, count)];
}

#endif
