#include "kv.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int in_range(int32_t p, int32_t p0, int32_t p1) { return p >= p0 && p < p1; }
static int32_t start_of(int32_t p0) { return p0 < 0 ? 0 : p0; }
static int32_t end_of(int32_t p1) { return p1 < 0 ? INT32_MAX : p1; }

lcy_status lcy_kv_init(lcy_kv *kv, int32_t size, int32_t n_layers, int32_t n_heads, lcy_type type_k, int32_t head_k,
                       lcy_type type_v, int32_t head_v) {
    *kv = (lcy_kv){.size = size, .n_layers = n_layers, .type_k = type_k, .type_v = type_v, .n_heads = n_heads,
                   .head_k = head_k, .head_v = head_v};
    kv->row_k = (int64_t)lcy_row_bytes(type_k, head_k);
    kv->row_v = (int64_t)lcy_row_bytes(type_v, head_v);
    if (!kv->row_k || !kv->row_v) return LCY_E_ARG;
    /* calloc of large sizes gives untouched zero pages: memory is used as cells are */
    kv->k = calloc((size_t)n_layers * (size_t)n_heads * (size_t)size, (size_t)kv->row_k);
    kv->v = calloc((size_t)n_layers * (size_t)n_heads * (size_t)size, (size_t)kv->row_v);
    kv->pos = malloc(sizeof *kv->pos * (size_t)size);
    kv->delta = malloc(sizeof *kv->delta * (size_t)size);
    kv->seqs = malloc(sizeof *kv->seqs * (size_t)size);
    if (!kv->k || !kv->v || !kv->pos || !kv->delta || !kv->seqs) {
        lcy_kv_release(kv);
        return LCY_E_NOMEM;
    }
    lcy_kv_clear(kv);
    return LCY_OK;
}

void lcy_kv_release(lcy_kv *kv) {
    free(kv->k);
    free(kv->v);
    free(kv->pos);
    free(kv->delta);
    free(kv->seqs);
    for (int s = 0; s < LCY_MAX_SEQS; s++) free(kv->order[s].cells);
    *kv = (lcy_kv){0};
}

static void forget_order(lcy_kv *kv) {
    for (int s = 0; s < LCY_MAX_SEQS; s++) kv->order[s].valid = 0;
}

void lcy_kv_clear(lcy_kv *kv) {
    for (int32_t c = 0; c < kv->size; c++) kv->pos[c] = -1;
    memset(kv->delta, 0, sizeof *kv->delta * (size_t)kv->size);
    memset(kv->seqs, 0, sizeof *kv->seqs * (size_t)kv->size);
    kv->used = kv->head = kv->shifted = 0;
    forget_order(kv);
}

static void free_cell(lcy_kv *kv, int32_t c) {
    kv->pos[c] = -1;
    kv->delta[c] = 0;
    kv->seqs[c] = 0;
    kv->used--;
    if (c < kv->head) kv->head = c;
}

/* Keeps an order valid when a token comes after all that are there, as it nearly always does. */
static void append_to_order(lcy_kv *kv, int32_t seq, int32_t cell) {
    int32_t *const cells = kv->order[seq].cells, n = kv->order[seq].n;
    if (!kv->order[seq].valid) return;
    if (n && (kv->pos[cells[n - 1]] > kv->pos[cell] || (kv->pos[cells[n - 1]] == kv->pos[cell] && cells[n - 1] > cell)))
        kv->order[seq].valid = 0;
    else
        cells[kv->order[seq].n++] = cell;
}

lcy_status lcy_kv_claim(lcy_kv *kv, int32_t n, const int32_t *pos, const int32_t *seq, int32_t *cells) {
    if (kv->size - kv->used < n) return LCY_E_FULL;
    int32_t c = kv->head < kv->size ? kv->head : 0;
    for (int32_t i = 0; i < n; i++) {
        while (kv->pos[c] >= 0) c = c + 1 < kv->size ? c + 1 : 0;
        kv->pos[c] = pos[i];
        kv->delta[c] = 0;
        kv->seqs[c] = (uint64_t)1 << seq[i];
        kv->used++;
        append_to_order(kv, seq[i], c);
        cells[i] = c;
    }
    kv->head = c + 1;
    return LCY_OK;
}

static int ascending(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Writes the cells of a sequence by position. Keys are position and cell in one number, so sorting needs no context. */
static lcy_status sort_cells(const lcy_kv *kv, int32_t seq, int32_t *cells, int32_t *n) {
    uint64_t *keys = malloc(sizeof *keys * (size_t)(kv->used + 1));
    if (!keys) return LCY_E_NOMEM;
    int32_t count = 0;
    for (int32_t c = 0; c < kv->size; c++)
        if (kv->seqs[c] >> seq & 1) keys[count++] = (uint64_t)kv->pos[c] << 32 | (uint32_t)c;
    qsort(keys, (size_t)count, sizeof *keys, ascending);
    for (int32_t i = 0; i < count; i++) cells[i] = (int32_t)(uint32_t)keys[i];
    free(keys);
    *n = count;
    return LCY_OK;
}

const int32_t *lcy_kv_order(lcy_kv *kv, int32_t seq, int32_t *n) {
    if (!kv->order[seq].cells) kv->order[seq].cells = malloc(sizeof(int32_t) * (size_t)kv->size);
    if (!kv->order[seq].cells) return NULL;
    if (!kv->order[seq].valid) {
        if (sort_cells(kv, seq, kv->order[seq].cells, &kv->order[seq].n)) return NULL;
        kv->order[seq].valid = 1;
    }
    *n = kv->order[seq].n;
    return kv->order[seq].cells;
}

void lcy_kv_remove(lcy_kv *kv, int32_t seq, int32_t p0, int32_t p1) {
    const uint64_t gone = seq < 0 ? ~(uint64_t)0 : (uint64_t)1 << seq;
    p0 = start_of(p0), p1 = end_of(p1);
    for (int32_t c = 0; c < kv->size; c++) {
        if (!(kv->seqs[c] & gone) || !in_range(kv->pos[c], p0, p1)) continue;
        kv->seqs[c] &= ~gone;
        if (!kv->seqs[c]) free_cell(kv, c);
    }
    forget_order(kv);
}

void lcy_kv_copy(lcy_kv *kv, int32_t from, int32_t to, int32_t p0, int32_t p1) {
    p0 = start_of(p0), p1 = end_of(p1);
    for (int32_t c = 0; c < kv->size; c++)
        if (kv->seqs[c] >> from & 1 && in_range(kv->pos[c], p0, p1)) kv->seqs[c] |= (uint64_t)1 << to;
    kv->order[to].valid = 0;
}

void lcy_kv_shift(lcy_kv *kv, int32_t seq, int32_t p0, int32_t p1, int32_t delta) {
    p0 = start_of(p0), p1 = end_of(p1);
    for (int32_t c = 0; c < kv->size; c++) {
        if (!(kv->seqs[c] >> seq & 1) || !in_range(kv->pos[c], p0, p1)) continue;
        kv->shifted = 1;
        kv->pos[c] += delta;
        kv->delta[c] += delta;
        if (kv->pos[c] < 0) free_cell(kv, c);
    }
    forget_order(kv);
}

void lcy_kv_divide(lcy_kv *kv, int32_t seq, int32_t p0, int32_t p1, int32_t d) {
    p0 = start_of(p0), p1 = end_of(p1);
    for (int32_t c = 0; c < kv->size; c++) {
        if (!(kv->seqs[c] >> seq & 1) || !in_range(kv->pos[c], p0, p1)) continue;
        kv->shifted = 1;
        kv->delta[c] += kv->pos[c] / d - kv->pos[c];
        kv->pos[c] /= d;
    }
    forget_order(kv);
}

int32_t lcy_kv_max_pos(const lcy_kv *kv, int32_t seq) {
    int32_t max = -1;
    for (int32_t c = 0; c < kv->size; c++)
        if (kv->seqs[c] >> seq & 1 && kv->pos[c] > max) max = kv->pos[c];
    return max;
}

int32_t lcy_kv_top(const lcy_kv *kv) {
    int32_t top = kv->size;
    while (top && kv->pos[top - 1] < 0) top--;
    return top;
}
