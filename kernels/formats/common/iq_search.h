/* iq_search.h: which neighbour of a key is cheapest, in plain C. neighbours.h says what keys and neighbours are. */
#ifndef LCY_FORMATS_COMMON_IQ_SEARCH_H
#define LCY_FORMATS_COMMON_IQ_SEARCH_H

#include "../../neighbours.h"
#include "../../scalar.h"

/* What the digits of a point cost at each place; the costs of a point are added in the order of its places. */
typedef float lcy_iq_costs[8][8];

/* Bits of a digit in keys of `width` digits. */
static inline int lcy_iq_bits(int width) { return width == 8 ? 2 : 3; }

static inline float lcy_iq_cost8(lcy_iq_costs c, unsigned u) {
    return c[0][u & 3] + c[1][u >> 2 & 3] + c[2][u >> 4 & 3] + c[3][u >> 6 & 3] + c[4][u >> 8 & 3] + c[5][u >> 10 & 3] +
           c[6][u >> 12 & 3] + c[7][u >> 14];
}

static inline float lcy_iq_cost4(lcy_iq_costs c, unsigned u) {
    return c[0][u & 7] + c[1][u >> 3 & 7] + c[2][u >> 6 & 7] + c[3][u >> 9];
}

/* The cheapest of a list's keys of `width` digits; the first of equals, and if no cost is a number. */
static inline unsigned lcy_iq_cheapest(int width, const uint16_t *list, lcy_iq_costs cost) {
    unsigned best = list[1];
    float least = INFINITY;
    for (int i = 1; i <= list[0]; i++) {
        const float sum = width == 8 ? lcy_iq_cost8(cost, list[i]) : lcy_iq_cost4(cost, list[i]);
        if (sum < least) least = sum, best = list[i];
    }
    return best;
}

#endif
