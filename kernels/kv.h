/* kv.h: the cache of keys and values.
 *
 * A cell holds one position's K and V rows of every layer, and says whose they are: a position and a set of sequences.
 * K and V are rows [layer][head][cell][head size], so that what a head reads lies together; K is stored after RoPE.
 * Attention asks for the cells of a sequence in the order of their positions, so what a token sees does not depend on where
 * in the cache its past lies. */
#ifndef LCY_KV_H
#define LCY_KV_H

#include "kernels.h"

enum { LCY_MAX_SEQS = 64 };

typedef struct lcy_kv {
    int32_t size, n_layers;
    lcy_type type_k, type_v;
    int32_t n_heads, head_k, head_v; /* head_k, head_v: elements of a row */
    int64_t row_k, row_v;     /* bytes of a row */
    uint8_t *k, *v;           /* (n_layers, n_heads, size, row) */
    int32_t *pos;             /* (size) -1: free */
    int32_t *delta;           /* (size) how far K has still to be rotated */
    uint64_t *seqs;           /* (size) bit s: belongs to sequence s */
    int32_t used, head, shifted;
    struct {
        int32_t *cells; /* (size) in the order of positions, then cells; NULL until asked for */
        int32_t n, valid;
    } order[LCY_MAX_SEQS];
} lcy_kv;

/* Heads that do not divide into the types' blocks: LCY_E_ARG. */
lcy_status lcy_kv_init(lcy_kv *kv, int32_t size, int32_t n_layers, int32_t n_heads, lcy_type type_k, int32_t head_k,
                       lcy_type type_v, int32_t head_v);
void lcy_kv_release(lcy_kv *kv);

static inline uint8_t *lcy_kv_k(const lcy_kv *kv, int32_t layer, int32_t head, int32_t cell) {
    return kv->k + (((int64_t)layer * kv->n_heads + head) * kv->size + cell) * kv->row_k;
}
static inline uint8_t *lcy_kv_v(const lcy_kv *kv, int32_t layer, int32_t head, int32_t cell) {
    return kv->v + (((int64_t)layer * kv->n_heads + head) * kv->size + cell) * kv->row_v;
}

/* Claims n free cells for the tokens, writes their numbers to cells. LCY_E_FULL: fewer than n are free; nothing changed. */
lcy_status lcy_kv_claim(lcy_kv *kv, int32_t n, const int32_t *pos, const int32_t *seq, int32_t *cells);

/* The cells of a sequence by position; n is set to their number. NULL: no memory. */
const int32_t *lcy_kv_order(lcy_kv *kv, int32_t seq, int32_t *n);

/* Half-open ranges of positions; p0 < 0 means 0, p1 < 0 means no end; seq < 0 means all (remove only). */
void lcy_kv_clear(lcy_kv *kv);
void lcy_kv_remove(lcy_kv *kv, int32_t seq, int32_t p0, int32_t p1);
void lcy_kv_copy(lcy_kv *kv, int32_t from, int32_t to, int32_t p0, int32_t p1);
void lcy_kv_shift(lcy_kv *kv, int32_t seq, int32_t p0, int32_t p1, int32_t delta);
void lcy_kv_divide(lcy_kv *kv, int32_t seq, int32_t p0, int32_t p1, int32_t d);
int32_t lcy_kv_max_pos(const lcy_kv *kv, int32_t seq); /* -1: the sequence is empty */
int32_t lcy_kv_top(const lcy_kv *kv);                  /* highest used cell + 1 */

#endif
