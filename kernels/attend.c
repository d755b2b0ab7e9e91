/* attend.c: the attention step: who computes what for which query rows.
 *
 * A tile is a few tokens of one sequence and the query heads that share a head of K and V: every key and value that is read
 * serves all its rows. A chunk of the step is a tile, or a part of its query heads where tiles are too few for the threads.
 * How rows are put together changes no bit of a result: the kernels keep the order of each row. */
#include <stdlib.h>
#include <string.h>

#include "ctx.h"

enum {
    TILE_ROWS = 32,         /* query rows that pay for the turning of keys; more of them push the rest out of the cache */
    TILE_SCORES = 1 << 18,  /* scores of a tile with more than one token: as many as stay in a second-level cache */
    SCORES_GAP = 16,        /* between rows of scores: rows that are a power of two apart would meet in few cache lines */
    FLASH_CELLS = 256       /* see lcy_ctx_params.flash */
};

static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int32_t share_of(const lcy_ctx *ctx) { return ctx->plan->n_heads / ctx->plan->n_heads_kv; }

/* ---- tiles ---- */

/* Tokens that may look at n cells together. */
static int32_t tile_tokens(const lcy_ctx *ctx, int64_t n) {
    const int64_t by_rows = TILE_ROWS / share_of(ctx), by_scores = TILE_SCORES / (share_of(ctx) * (n + 2 * SCORES_GAP));
    return (int32_t)max64(1, by_rows < by_scores ? by_rows : by_scores);
}

/* Neighbours of one sequence stand together. */
void lcy_attention_group(lcy_ctx *ctx) {
    lcy_ubatch *ub = &ctx->ub;
    int32_t most = 0;
    for (int32_t t = 0; t < ub->n; t++) most = ub->seen[t] > most ? ub->seen[t] : most;
    const int32_t tokens = tile_tokens(ctx, most);
    ub->n_groups = 0;
    for (int32_t t = 0, first = 0; t < ub->n; t++)
        if (t == 0 || t - first == tokens || ub->seq[t] != ub->seq[first]) ub->first[ub->n_groups++] = first = t;
    ub->first[ub->n_groups] = ub->n;
}

/* Parts that the query heads of a tile are cut into: 1, unless that leaves threads without work. */
static int32_t parts(const lcy_ctx *ctx, int n_threads) {
    const int32_t tiles = ctx->plan->n_heads_kv * ctx->ub.n_groups, share = share_of(ctx);
    int32_t n = 1;
    while (n < share && tiles * n < 2 * n_threads && tiles * n % n_threads) n++;
    return n;
}

static int whole(const lcy_ctx *ctx, int n_threads) {
    int64_t work = 0;
    for (int32_t t = 0; t < ctx->ub.n; t++) work += ctx->ub.seen[t];
    return n_threads == 1 || work * ctx->plan->head_k * ctx->plan->n_heads < LCY_SMALL_WORK;
}

int32_t lcy_attention_chunks(const lcy_ctx *ctx, const lcy_step *s, int n_threads) {
    (void)s;
    return whole(ctx, n_threads) ? 1 : ctx->plan->n_heads_kv * ctx->ub.n_groups * parts(ctx, n_threads);
}

/* ---- one tile ---- */

/* Query rows of one tile: token by token, head by head. */
typedef struct {
    int32_t rows, most; /* most: cells that a row sees */
    int64_t stride;     /* of scores */
    lcy_head k, v;
} tile;

static lcy_head head_of(const lcy_ctx *ctx, int type, const uint8_t *rows, int64_t stride, const int32_t *cells) {
    const lcy_format *f = lcy_format_of(type);
    return (lcy_head){rows, stride, cells, ctx->kernels.to_float[type], f->block, f->bytes};
}

/* Cells that lie one after another are rows of a matrix. */
static void multiply_packed_keys(const lcy_ctx *ctx, const tile *a, lcy_scratch *scratch) {
    const lcy_kv *kv = &ctx->kv;
    const int64_t bytes = (int64_t)lcy_row_bytes(lcy_format_of(kv->type_k)->dot_with, kv->head_k);
    for (int32_t i = 0, end; i < a->most; i = end) {
        for (end = i + 1; end < a->most && a->k.cells[end] == a->k.cells[end - 1] + 1; end++) {}
        ctx->kernels.matmul[kv->type_k](kv->head_k, end - i, a->rows, (const uint8_t *)a->k.rows + a->k.cells[i] * a->k.stride,
                                        a->k.stride, scratch->packed, bytes, scratch->scores + i, a->stride);
    }
}

static void score(const lcy_ctx *ctx, const tile *a, lcy_scratch *scratch) {
    const int64_t d = ctx->plan->head_k;
    const int type = ctx->kv.type_k;
    if (type == LCY_F16)
        ctx->kernels.kq_f16(d, a->most, &a->k, a->rows, scratch->queries, scratch->scores, a->stride, scratch->kernel);
    else if (type == LCY_F32)
        ctx->kernels.kq_f32(d, a->most, &a->k, a->rows, scratch->queries, scratch->scores, a->stride, scratch->kernel);
    else
        multiply_packed_keys(ctx, a, scratch);
}

static void weigh(const lcy_ctx *ctx, const tile *a, lcy_scratch *scratch) {
    const int type = ctx->kv.type_v;
    const lcy_pv_fn pv = type == LCY_F16 ? ctx->kernels.pv_f16 : type == LCY_F32 ? ctx->kernels.pv_f32 : ctx->kernels.pv_packed;
    pv(ctx->plan->head_v, a->rows, scratch->seen, &a->v, scratch->scores, a->stride, scratch->out, scratch->kernel);
}

/* n query rows, the tile's next ones, as the kernels of K want them: rounded through F16 where K is F16. */
static void prepare_queries(const lcy_ctx *ctx, const float *q, int32_t n, int32_t first, lcy_scratch *scratch) {
    const int64_t d = ctx->plan->head_k;
    const lcy_type type = lcy_format_of(ctx->kv.type_k)->dot_with;
    float *const rows = scratch->queries + first * d;
    if (ctx->kv.type_k == LCY_F16) {
        ctx->kernels.from_float[LCY_F16](n * d, scratch->packed, q);
        ctx->kernels.to_float[LCY_F16](n * d, rows, scratch->packed);
    } else if (ctx->kv.type_k == LCY_F32) {
        memcpy(rows, q, (size_t)(n * d) * sizeof *q);
    } else {
        ctx->kernels.from_float[type](n * d, scratch->packed + first * (int64_t)lcy_row_bytes(type, d), q);
    }
}

static int one_pass(const lcy_ctx *ctx, int32_t n) {
    return ctx->par.flash && n <= FLASH_CELLS && ctx->kv.type_k == LCY_F16 && ctx->kv.type_v == LCY_F16 &&
           ctx->plan->head_k == ctx->plan->head_v;
}

/* Query heads h0 .. h1 - 1 of the tokens of a group, which share a head of K and V. */
static void attend(lcy_ctx *ctx, const lcy_step *s, int32_t group, int32_t head_kv, int32_t h0, int32_t h1,
                   lcy_scratch *scratch) {
    const lcy_kv *kv = &ctx->kv;
    const lcy_ubatch *ub = &ctx->ub;
    const int32_t *cells = ub->order[ub->first[group]];
    tile a = {.k = head_of(ctx, kv->type_k, lcy_kv_k(kv, s->layer, head_kv, 0), kv->row_k, cells),
              .v = head_of(ctx, kv->type_v, lcy_kv_v(kv, s->layer, head_kv, 0), kv->row_v, cells)};
    for (int32_t t = ub->first[group]; t < ub->first[group + 1]; t++) {
        const float *q = (const float *)lcy_slot_row(ctx, s->in[0], t) + (int64_t)h0 * kv->head_k;
        float *out = (float *)lcy_slot_row(ctx, s->out[0], t) + (int64_t)h0 * kv->head_v;
        prepare_queries(ctx, q, h1 - h0, a.rows, scratch);
        if (one_pass(ctx, ub->seen[t])) {
            for (int32_t h = 0; h < h1 - h0; h++, out += kv->head_v)
                ctx->kernels.flash_f16(kv->head_k, ub->seen[t], &a.k, &a.v, scratch->queries + (a.rows + h) * (int64_t)kv->head_k,
                                       s->f[0], out);
            continue;
        }
        for (int32_t h = h0; h < h1; h++, out += kv->head_v) {
            scratch->seen[a.rows] = ub->seen[t];
            scratch->out[a.rows++] = out;
        }
        a.most = ub->seen[t] > a.most ? ub->seen[t] : a.most;
    }
    a.stride = (a.most + SCORES_GAP - 1) / SCORES_GAP * SCORES_GAP + SCORES_GAP;
    score(ctx, &a, scratch);
    for (int32_t r = 0; r < a.rows; r++)
        ctx->kernels.softmax(scratch->seen[r], scratch->scores + r * a.stride, s->f[0], &ctx->tables);
    weigh(ctx, &a, scratch);
}

void lcy_attention_run(lcy_ctx *ctx, const lcy_step *s, int n_threads, int32_t chunk, lcy_scratch *scratch) {
    const int32_t share = share_of(ctx), all = whole(ctx, n_threads), n = all ? 1 : parts(ctx, n_threads);
    const int32_t first = all ? 0 : chunk, last = all ? ctx->plan->n_heads_kv * ctx->ub.n_groups : chunk + 1;
    for (int32_t c = first; c < last; c++) {
        const int32_t part = c % n, head_kv = c / n / ctx->ub.n_groups, group = c / n % ctx->ub.n_groups;
        attend(ctx, s, group, head_kv, head_kv * share + part * share / n, head_kv * share + (part + 1) * share / n, scratch);
    }
}

/* ---- memory ---- */

lcy_status lcy_attention_claim(lcy_ctx *ctx, lcy_scratch *s) {
    const int64_t d = max64(ctx->plan->head_k, ctx->plan->head_v), rows = max64(TILE_ROWS, share_of(ctx));
    const int64_t row = ctx->par.n_ctx + 2 * SCORES_GAP, scores = max64(TILE_SCORES, row * share_of(ctx));
    const int64_t packed = (int64_t)lcy_row_bytes(lcy_format_of(ctx->kv.type_k)->dot_with, ctx->plan->head_k);
    s->scores = lcy_claim(ctx, 4 * (scores < row * rows ? scores : row * rows));
    s->queries = lcy_claim(ctx, 4 * rows * ctx->plan->head_k);
    s->packed = lcy_claim(ctx, rows * packed);
    s->kernel = lcy_claim(ctx, 4 * lcy_attention_scratch(d, rows));
    s->seen = lcy_claim(ctx, 4 * rows);
    s->out = lcy_claim(ctx, (int64_t)sizeof *s->out * rows);
    return s->scores && s->queries && s->packed && s->kernel && s->seen && s->out ? LCY_OK : LCY_E_NOMEM;
}

void lcy_attention_release(lcy_scratch *s) {
    free(s->scores);
    free(s->queries);
    free(s->packed);
    free(s->kernel);
    free(s->seen);
    free(s->out);
}
