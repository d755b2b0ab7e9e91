/* iq_search.h: from values to the points of a codebook, for the quantizers of IQ1, IQ2 and IQ3.
 *
 * Rounding each value by itself gives digits, hence a key (iq_keys.h). If the codebook has that point, it is taken.
 * If not, the candidates are the points nearest to the key: all those at the `shells` smallest distances that occur,
 * distance being the sum of squared differences of digits, listed by distance and then by index. Among them the
 * caller's costs decide, and the first of equals wins, so the order of the list is part of the result.
 *
 * Lists are made when first needed and kept as long as the search lives (one call of a quantizer): nothing is shared
 * between threads. Without memory to keep them they are made anew each time, with the same result.
 */
#ifndef LCY_FORMATS_COMMON_IQ_SEARCH_H
#define LCY_FORMATS_COMMON_IQ_SEARCH_H

#include <stdlib.h>

#include "../../scalar.h"

typedef struct {
    const uint8_t *points; /* (count, width), see iq_points.h */
    int count, width;      /* width 8: digits 0..2 of 2 bits; width 4: digits 0..7 of 3 bits */
    int first, step;       /* digit = (byte - first) / step */
    int shells;
} lcy_iq_codebook;

enum { LCY_IQ_POINTS_MAX = 2048 };

#define LCY_IQ_UNKNOWN INT32_MIN

typedef struct {
    const lcy_iq_codebook *book;
    int bits;
    uint16_t key[LCY_IQ_POINTS_MAX];      /* of each point, ascending */
    uint16_t list[1 + LCY_IQ_POINTS_MAX]; /* the list made last: count, indices */
    int32_t *known; /* (keys) index of the point, or ~ where in kept its list is, or unknown. NULL: no memory */
    uint16_t *kept;
    size_t n_kept, n_room;
} lcy_iq_search;

static inline void lcy_iq_search_open(lcy_iq_search *s, const lcy_iq_codebook *book) {
    const int keys = book->width == 8 ? 1 << 16 : 1 << 12;
    memset(s, 0, sizeof *s);
    s->book = book;
    s->bits = book->width == 8 ? 2 : 3;
    for (int j = 0; j < book->count; j++)
        for (int k = 0; k < book->width; k++)
            s->key[j] |= (uint16_t)((book->points[j * book->width + k] - book->first) / book->step << s->bits * k);
    s->known = malloc((size_t)keys * sizeof *s->known);
    if (!s->known) return;
    for (int u = 0; u < keys; u++) s->known[u] = LCY_IQ_UNKNOWN;
    for (int j = 0; j < book->count; j++) s->known[s->key[j]] = j;
}

static inline void lcy_iq_search_close(lcy_iq_search *s) {
    free(s->known);
    free(s->kept);
}

static inline int lcy_iq_digit(const lcy_iq_search *s, unsigned key, int k) {
    return (int)(key >> s->bits * k) & ((1 << s->bits) - 1);
}

/* the index of the point with this key, or a negative number */
static inline int lcy_iq_find(const lcy_iq_search *s, unsigned key) {
    if (s->known) return s->known[key];
    int low = 0, high = s->book->count;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (s->key[middle] < key) low = middle + 1;
        else high = middle;
    }
    return low < s->book->count && s->key[low] == key ? low : -1;
}

/* Makes s->list for a key. Distances split into those of the two halves of a key, of which there are few. */
static inline void lcy_iq_list(lcy_iq_search *s, unsigned key) {
    const int half = s->bits * s->book->width / 2, patterns = 1 << half;
    uint8_t near[2][256], distance[LCY_IQ_POINTS_MAX], occurs[256] = {0};
    for (int h = 0; h < 2; h++)
        for (int p = 0; p < patterns; p++) {
            int sum = 0;
            for (int k = 0; k < s->book->width / 2; k++) {
                const int d = lcy_iq_digit(s, (unsigned)p, k) - lcy_iq_digit(s, key >> h * half, k);
                sum += d * d;
            }
            near[h][p] = (uint8_t)sum;
        }
    for (int j = 0; j < s->book->count; j++) {
        distance[j] = (uint8_t)(near[0][s->key[j] & (patterns - 1)] + near[1][s->key[j] >> half]);
        occurs[distance[j]] = 1;
    }
    int n = 0;
    for (int d = 0, shells = s->book->shells; d < 256 && shells; d++) {
        if (!occurs[d]) continue;
        shells--;
        for (int j = 0; j < s->book->count; j++)
            if (distance[j] == d) s->list[++n] = (uint16_t)j;
    }
    s->list[0] = (uint16_t)n;
}

/* Room for n more in `kept`; 0 if there is no memory. */
static inline int lcy_iq_room(lcy_iq_search *s, size_t n) {
    if (s->n_kept + n <= s->n_room) return 1;
    const size_t room = 2 * (s->n_room + n);
    uint16_t *kept = realloc(s->kept, room * sizeof *kept);
    if (!kept) return 0;
    s->kept = kept;
    s->n_room = room;
    return 1;
}

/* The list of a key that is not in the codebook: count, indices. */
static inline const uint16_t *lcy_iq_neighbours(lcy_iq_search *s, unsigned key) {
    if (s->known && s->known[key] != LCY_IQ_UNKNOWN) return s->kept + ~s->known[key];
    lcy_iq_list(s, key);
    const size_t n = 1 + (size_t)s->list[0];
    if (!s->known || !lcy_iq_room(s, n)) return s->list;
    memcpy(s->kept + s->n_kept, s->list, n * sizeof *s->list);
    s->known[key] = ~(int32_t)s->n_kept;
    s->n_kept += n;
    return s->list;
}

/* What the digits of a point cost at each place; the costs of a point are added in the order of its places. */
typedef float lcy_iq_costs[8][8];

static inline float lcy_iq_cost8(lcy_iq_costs c, unsigned u) {
    return c[0][u & 3] + c[1][u >> 2 & 3] + c[2][u >> 4 & 3] + c[3][u >> 6 & 3] + c[4][u >> 8 & 3] + c[5][u >> 10 & 3] +
           c[6][u >> 12 & 3] + c[7][u >> 14];
}

static inline float lcy_iq_cost4(lcy_iq_costs c, unsigned u) {
    return c[0][u & 7] + c[1][u >> 3 & 7] + c[2][u >> 6 & 7] + c[3][u >> 9];
}

/* The cheapest neighbour of a key that is not in the codebook. */
static inline int lcy_iq_nearest(lcy_iq_search *s, unsigned key, lcy_iq_costs cost) {
    const uint16_t *list = lcy_iq_neighbours(s, key);
    const int wide = s->book->width == 8;
    int best = 0;
    float least = INFINITY;
    for (int i = 1; i <= list[0]; i++) {
        const unsigned u = s->key[list[i]];
        const float sum = wide ? lcy_iq_cost8(cost, u) : lcy_iq_cost4(cost, u);
        if (sum < least) least = sum, best = i;
    }
    return list[best > 0 ? best : 1];
}

#endif
