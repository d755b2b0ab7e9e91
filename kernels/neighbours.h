/* neighbours.h: from the keys of a codebook (formats/common/iq_keys.h) to its points, for the quantizers of IQ1, IQ2 and
 * IQ3.
 *
 * Rounding each value by itself gives digits, hence a key. If the codebook has that point, it is taken. If not, the
 * candidates are the points nearest to the key: all those at the smallest distances that occur (how many distances, the
 * book says), distance being the sum of squared differences of digits, listed by distance and then by index. Among them
 * the quantizer's costs decide, and the first of equals wins, so the order of a list is part of the result.
 */
#ifndef LCY_NEIGHBOURS_H
#define LCY_NEIGHBOURS_H

#include <stdint.h>

enum { LCY_BOOK_IQ1, LCY_BOOK_IQ2_XXS, LCY_BOOK_IQ2_XS, LCY_BOOK_IQ2_S, LCY_BOOK_IQ3_XXS, LCY_BOOK_IQ3_S, LCY_BOOKS };

/* A list is a count and as many keys. As many are readable as eights of them need: beyond the count the first key is
 * repeated. */
enum { LCY_LIST_STEP = 8 };

typedef struct {
    uint16_t first;  /* key of point 0 */
    int32_t *known;  /* by key: the index of that point, or ~ where in lists the list of its neighbours is */
    uint16_t *lists;
} lcy_neighbours;

/* Made when first asked for, the same for all threads, never freed. NULL: no memory. */
const lcy_neighbours *lcy_neighbours_of(int book);

static inline const uint16_t *lcy_neighbours_list(const lcy_neighbours *n, unsigned key) {
    return n->lists + ~n->known[key];
}

#endif
