/* plan.c: the context of a plan: its memory, its micro-batches. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"

/* ---- birth and death ---- */

/* exp(x) serves its own entry and that of silu(-x). */
static void fill_tables(lcy_tables *t) {
    for (uint32_t h = 0; h < 65536; h++) {
        const float x = lcy_f16_to_f32((uint16_t)h), e = expf(x);
        t->exp[h] = lcy_f32_to_f16(e);
        t->silu[h ^ 0x8000] = lcy_f32_to_f16(-x / (1.0f + e));
    }
}

/* rounded up so that vector loads at the end of a buffer stay inside it */
void *lcy_claim(lcy_ctx *ctx, int64_t bytes) {
    ctx->scratch_bytes += bytes;
    return calloc(1, (size_t)bytes + 64);
}

static lcy_status claim_scratch(lcy_ctx *ctx, lcy_scratch *s) {
    s->result = lcy_claim(ctx, 4 * LCY_HELP_FLOATS);
    return s->result ? lcy_attention_claim(ctx, s) : LCY_E_NOMEM;
}

static lcy_status claim_ubatch(lcy_ctx *ctx) {
    const int64_t n = ctx->par.n_ubatch;
    ctx->ub.cell = lcy_claim(ctx, 4 * n);
    ctx->ub.select = lcy_claim(ctx, 4 * n);
    ctx->ub.seen = lcy_claim(ctx, 4 * n);
    ctx->ub.first = lcy_claim(ctx, 4 * (n + 1));
    ctx->ub.order = lcy_claim(ctx, (int64_t)sizeof(void *) * n);
    return ctx->ub.cell && ctx->ub.select && ctx->ub.seen && ctx->ub.first && ctx->ub.order ? LCY_OK : LCY_E_NOMEM;
}

static lcy_status claim_all(lcy_ctx *ctx) {
    const lcy_plan *plan = ctx->plan;
    const lcy_ctx_params *par = &ctx->par;
    const int threads = par->n_threads > par->n_threads_batch ? par->n_threads : par->n_threads_batch;
    const lcy_status kv = lcy_kv_init(&ctx->kv, par->n_ctx, plan->n_layers, plan->n_heads_kv, (lcy_type)par->type_k,
                                      plan->head_k, (lcy_type)par->type_v, plan->head_v);
    if (kv) return kv;
    ctx->arena = lcy_claim(ctx, plan->arena * par->n_ubatch);
    ctx->logits = lcy_claim(ctx, 4 * (int64_t)par->n_outputs * plan->n_vocab);
    ctx->run.won = lcy_claim(ctx, (int64_t)sizeof *ctx->run.won * LCY_HELP_CHUNKS);
    ctx->run.range = lcy_claim(ctx, (int64_t)sizeof *ctx->run.range * threads);
    ctx->scratch = lcy_claim(ctx, (int64_t)sizeof *ctx->scratch * threads);
    if (!ctx->arena || !ctx->logits || !ctx->run.won || !ctx->run.range || !ctx->scratch || claim_ubatch(ctx))
        return LCY_E_NOMEM;
    for (int i = 0; i < threads; i++)
        if (claim_scratch(ctx, &ctx->scratch[i])) return LCY_E_NOMEM;
    for (int i = 0; i < LCY_MAX_ROPES; i++)
        if (par->rope[i].n_dims && !(ctx->angles[i] = lcy_claim(ctx, 4 * (int64_t)par->n_ubatch * par->rope[i].n_dims)))
            return LCY_E_NOMEM;
    if (lcy_gate_init(&ctx->run.gate)) return LCY_E_NOMEM;
    ctx->pool = lcy_pool_new(threads, lcy_run_thread, ctx);
    return ctx->pool ? LCY_OK : LCY_E_NOMEM;
}

/* A cache type must be storable and readable, and a head must divide into its blocks. */
static int cacheable(int type, int32_t head) {
    const lcy_format *f = lcy_format_of(type);
    return f && f->dot && f->from_float && f->to_float && head % f->block == 0;
}

static int has_kernels(const lcy_plan *plan, const lcy_step *s, const lcy_kernels *k) {
    if (s->op == LCY_OP_QUANTIZE) return k->from_float[s->p[0]] != NULL;
    if (s->op != LCY_OP_MATMUL && s->op != LCY_OP_EXPERTS) return 1;
    for (int32_t w = 0; w < s->n; w++)
        if (!k->matmul[plan->tensors[s->w[w]].type]) return 0;
    return 1;
}

static int runnable(const lcy_plan *plan, const lcy_kernels *k, const lcy_ctx_params *par) {
    for (int32_t i = 0; i < plan->n_steps; i++)
        if (!has_kernels(plan, &plan->steps[i], k)) return 0;
    return cacheable(par->type_k, plan->head_k) && cacheable(par->type_v, plan->head_v);
}

lcy_status lcy_ctx_new(lcy_ctx **out, const lcy_plan *plan, const lcy_ctx_params *params) {
    *out = NULL;
    lcy_ctx *ctx = aligned_alloc(64, (sizeof *ctx + 63) & ~(size_t)63); /* its gate fills a cache line of its own */
    if (!ctx) return LCY_E_NOMEM;
    memset(ctx, 0, sizeof *ctx);
    ctx->plan = plan;
    ctx->par = *params;
    lcy_kernels_init(&ctx->kernels, lcy_cpu_features());
    fill_tables(&ctx->tables);
    const lcy_status st = runnable(plan, &ctx->kernels, params) ? claim_all(ctx) : LCY_E_ARG;
    if (st) {
        lcy_ctx_free(ctx);
        return st;
    }
    *out = ctx;
    return LCY_OK;
}

void lcy_ctx_free(lcy_ctx *ctx) {
    if (!ctx) return;
    lcy_pool_free(ctx->pool);
    const int threads = ctx->par.n_threads > ctx->par.n_threads_batch ? ctx->par.n_threads : ctx->par.n_threads_batch;
    for (int i = 0; ctx->scratch && i < threads; i++) {
        free(ctx->scratch[i].result);
        lcy_attention_release(&ctx->scratch[i]);
    }
    for (int i = 0; i < LCY_MAX_ROPES; i++) free(ctx->angles[i]);
    lcy_kv_release(&ctx->kv);
    free(ctx->scratch);
    free(ctx->run.range);
    free(ctx->run.won);
    free(ctx->logits);
    free(ctx->arena);
    free(ctx->ub.cell);
    free(ctx->ub.select);
    free(ctx->ub.seen);
    free(ctx->ub.first);
    free((void *)ctx->ub.order);
    free(ctx);
}

/* ---- decoding ---- */

static lcy_status check_batch(const lcy_ctx *ctx, const lcy_batch *b) {
    int32_t wanted = 0;
    if (b->n <= 0) return LCY_E_ARG;
    for (int32_t i = 0; i < b->n; i++) {
        if (b->token[i] < 0 || b->token[i] >= ctx->plan->n_vocab || b->pos[i] < 0) return LCY_E_ARG;
        if (b->seq[i] < 0 || b->seq[i] >= LCY_MAX_SEQS) return LCY_E_ARG;
        wanted += b->want ? b->want[i] != 0 : i == b->n - 1;
    }
    if (wanted > ctx->par.n_outputs) return LCY_E_ARG;
    return ctx->kv.size - ctx->kv.used < b->n ? LCY_E_FULL : LCY_OK;
}

/* How many entries of an order have positions up to pos. */
static int32_t up_to(const lcy_kv *kv, const int32_t *cells, int32_t n, int32_t pos) {
    int32_t low = 0, high = n;
    while (low < high) {
        const int32_t mid = low + (high - low) / 2;
        if (kv->pos[cells[mid]] <= pos)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static lcy_status prepare(lcy_ctx *ctx, const lcy_batch *b, int32_t first, int32_t n) {
    lcy_ubatch *ub = &ctx->ub;
    ub->n = n;
    ub->n_out = 0;
    ub->token = b->token + first;
    ub->pos = b->pos + first;
    ub->seq = b->seq + first;
    const lcy_status st = lcy_kv_claim(&ctx->kv, n, ub->pos, ub->seq, ub->cell);
    if (st) return st;
    for (int32_t t = 0; t < n; t++) {
        int32_t count;
        ub->order[t] = lcy_kv_order(&ctx->kv, ub->seq[t], &count);
        if (!ub->order[t]) return LCY_E_NOMEM;
        ub->seen[t] = up_to(&ctx->kv, ub->order[t], count, ub->pos[t]);
        if (b->want ? b->want[first + t] : first + t == b->n - 1) ub->select[ub->n_out++] = t;
    }
    lcy_attention_group(ctx);
    for (int i = 0; i < LCY_MAX_ROPES; i++)
        for (int32_t t = 0; t < n && ctx->angles[i]; t++)
            lcy_rope_angles(&ctx->par.rope[i], ub->pos[t], ctx->angles[i] + (int64_t)t * ctx->par.rope[i].n_dims);
    return LCY_OK;
}

/* The cells of tokens that were not, or not wholly, computed are given back. */
static void give_back(lcy_ctx *ctx, const lcy_batch *b, int32_t done) {
    for (int32_t i = 0; i < done; i++) lcy_kv_remove(&ctx->kv, b->seq[i], b->pos[i], b->pos[i] + 1);
}

lcy_status lcy_ctx_decode(lcy_ctx *ctx, const lcy_batch *b) {
    lcy_status st = check_batch(ctx, b);
    if (!st) st = lcy_ctx_kv_turn(ctx);
    if (st) return st;
    atomic_store(&ctx->abort, 0);
    ctx->ub.logits = ctx->logits;
    for (int32_t first = 0; first < b->n && !st; first += ctx->par.n_ubatch) {
        const int32_t left = b->n - first, n = left < ctx->par.n_ubatch ? left : ctx->par.n_ubatch;
        st = prepare(ctx, b, first, n);
        if (!st && lcy_run_ubatch(ctx, n > 1 ? ctx->par.n_threads_batch : ctx->par.n_threads)) st = LCY_E_ABORTED;
        if (st) give_back(ctx, b, first + n);
        ctx->ub.logits += (int64_t)ctx->ub.n_out * ctx->plan->n_vocab;
    }
    return st;
}

float *lcy_ctx_logits(lcy_ctx *ctx) { return ctx->logits; }
void lcy_ctx_abort(lcy_ctx *ctx) { atomic_store(&ctx->abort, 1); }
void lcy_ctx_control(lcy_ctx *ctx, float *rows) { ctx->control = rows; }
void lcy_ctx_collect(lcy_ctx *ctx, float *const *sums) { ctx->sums = sums; }
int64_t lcy_ctx_scratch_bytes(const lcy_ctx *ctx) { return ctx->scratch_bytes; }
