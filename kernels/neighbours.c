/* neighbours.c: the lists of neighbours of all keys that are in no codebook. */
#include "neighbours.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "formats/common/iq_points.h"

/* digit = (byte of the point - first) / step; width 8: digits 0..2 of 2 bits; width 4: digits 0..7 of 3 bits */
typedef struct { const uint8_t *points; int count, width, first, step, shells; } codebook;

static const codebook books[LCY_BOOKS] = {
    [LCY_BOOK_IQ1] = {lcy_iq1_points[0], 2048, 8, 0, 8, 3},
    [LCY_BOOK_IQ2_XXS] = {lcy_iq2_xxs_points[0], 256, 8, 8, 17, 2},
    [LCY_BOOK_IQ2_XS] = {lcy_iq2_xs_points[0], 512, 8, 8, 17, 2},
    [LCY_BOOK_IQ2_S] = {lcy_iq2_s_points[0], 1024, 8, 8, 17, 1},
    [LCY_BOOK_IQ3_XXS] = {lcy_iq3_xxs_points[0], 256, 4, 4, 8, 2},
    [LCY_BOOK_IQ3_S] = {lcy_iq3_s_points[0], 512, 4, 1, 2, 3},
};

enum { POINTS_MAX = 2048, HALVES = 256, DISTANCES = 256 };

/* What the making of one book needs. A key splits into two halves, and so does a distance. */
typedef struct {
    int bits, half, count, shells;
    uint16_t key[POINTS_MAX];
    uint8_t apart[HALVES][HALVES]; /* distance of two halves */
    uint16_t *lists;
    size_t used, room;
} work;

static int distance(unsigned a, unsigned b, int bits, int half) {
    int sum = 0;
    for (int at = 0; at < half; at += bits) {
        const int d = (int)(a >> at & ((1u << bits) - 1)) - (int)(b >> at & ((1u << bits) - 1));
        sum += d * d;
    }
    return sum;
}

static void prepare(work *w, const codebook *b) {
    memset(w, 0, sizeof *w);
    w->bits = b->width == 8 ? 2 : 3;
    w->half = w->bits * b->width / 2;
    w->count = b->count;
    w->shells = b->shells;
    for (int j = 0; j < b->count; j++)
        for (int k = 0; k < b->width; k++)
            w->key[j] |= (uint16_t)((b->points[j * b->width + k] - b->first) / b->step << w->bits * k);
    for (unsigned p = 0; p < 1u << w->half; p++)
        for (unsigned q = 0; q < 1u << w->half; q++) w->apart[p][q] = (uint8_t)distance(p, q, w->bits, w->half);
}

/* 1 if all digits of a half are digits of the book: those of 2 bits end at 2 */
static int is_half(const work *w, unsigned half) { return w->bits == 3 || !(half & half >> 1 & 0x55); }

/* Room for n more keys; 0: no memory. */
static int make_room(work *w, size_t n) {
    if (w->used + n <= w->room) return 1;
    const size_t room = 2 * (w->room + n);
    uint16_t *lists = realloc(w->lists, room * sizeof *lists);
    if (!lists) return 0;
    w->lists = lists;
    w->room = room;
    return 1;
}

/* Adds the list of one key; at: its distance from each point. 0: no memory. */
static int add_list(work *w, const uint8_t at[POINTS_MAX]) {
    uint8_t occurs[DISTANCES] = {0};
    uint16_t near[POINTS_MAX];
    int shell[DISTANCES], shells = 0, some = 0, n = 0;
    for (int j = 0; j < w->count; j++) occurs[at[j]] = 1;
    for (int d = 0; d < DISTANCES && shells < w->shells; d++)
        if (occurs[d]) shell[shells++] = d;
    for (int j = 0; j < w->count; j++)
        if (at[j] <= shell[shells - 1]) near[some++] = (uint16_t)j;
    if (!make_room(w, (size_t)some + 1 + LCY_LIST_STEP)) return 0;
    uint16_t *list = w->lists + w->used;
    for (int k = 0; k < shells; k++)
        for (int i = 0; i < some; i++)
            if (at[near[i]] == shell[k]) list[++n] = w->key[near[i]];
    list[0] = (uint16_t)n;
    while (n % LCY_LIST_STEP) list[++n] = list[1];
    w->used += (size_t)n + 1;
    return 1;
}

static int add_lists(work *w, int32_t *known) {
    uint8_t high_apart[POINTS_MAX], at[POINTS_MAX];
    const unsigned halves = 1u << w->half;
    for (unsigned high = 0; high < halves; high++) {
        if (!is_half(w, high)) continue;
        for (int j = 0; j < w->count; j++) high_apart[j] = w->apart[high][w->key[j] >> w->half];
        for (unsigned low = 0; low < halves; low++) {
            const unsigned key = high << w->half | low;
            if (!is_half(w, low) || known[key] >= 0) continue;
            for (int j = 0; j < w->count; j++)
                at[j] = (uint8_t)(high_apart[j] + w->apart[low][w->key[j] & (halves - 1)]);
            known[key] = ~(int32_t)w->used;
            if (!add_list(w, at)) return 0;
        }
    }
    return 1;
}

/* 0: no memory */
static int make(lcy_neighbours *n, const codebook *b) {
    work *w = malloc(sizeof *w);
    int32_t *known = NULL;
    int done = 0;
    if (w) {
        prepare(w, b);
        known = malloc(sizeof *known << 2 * w->half);
        if (known) {
            memset(known, -1, sizeof *known << 2 * w->half);
            for (int j = 0; j < w->count; j++) known[w->key[j]] = j;
            done = add_lists(w, known);
        }
        if (done) *n = (lcy_neighbours){w->key[0], known, w->lists};
        else free(w->lists), free(known);
    }
    free(w);
    return done;
}

const lcy_neighbours *lcy_neighbours_of(int book) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static lcy_neighbours made[LCY_BOOKS];
    pthread_mutex_lock(&mutex);
    const int there = made[book].known || make(&made[book], &books[book]);
    pthread_mutex_unlock(&mutex);
    return there ? &made[book] : NULL;
}
