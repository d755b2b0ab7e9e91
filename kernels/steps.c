/* steps.c: what each step of a plan does, cut into chunks that threads take one by one.
 *
 * Work on tokens is cut by tokens, a matrix product by rows, attention as attend.c says.
 * A step that would take less time than waking a thread is one chunk. */
#include <string.h>

#include "ctx.h"

enum {
    ROWS_ALIGN = 32,    /* kernels take rows in groups of 8, 16 or 32 */
    MAX_ROWS = 256,
    EXPERT_ROWS = 64
};

static int32_t min32(int32_t a, int32_t b) { return a < b ? a : b; }
static int32_t tokens_of(const lcy_ctx *ctx, const lcy_step *s) { return s->selected ? ctx->ub.n_out : ctx->ub.n; }

static void *row_of(const lcy_ctx *ctx, int32_t slot, int64_t token) { return lcy_slot_row(ctx, slot, token); }
static const lcy_tensor *tensor_of(const lcy_ctx *ctx, int32_t i) { return &ctx->plan->tensors[i]; }
static const float *vector_of(const lcy_ctx *ctx, int32_t i) { return i < 0 ? NULL : ctx->plan->tensors[i].data; }
static int64_t floats_of(const lcy_ctx *ctx, int32_t slot) { return ctx->plan->slots[slot].bytes / 4; }

/* ---- one token ---- */

static void embed(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    const lcy_tensor *w = tensor_of(ctx, s->w[0]);
    const uint8_t *row = (const uint8_t *)w->data + ctx->ub.token[t] * w->stride;
    ctx->kernels.to_float[w->type](w->k, row_of(ctx, s->out[0], t), row);
}

static void norm(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    ctx->kernels.rms_norm(floats_of(ctx, s->in[0]), row_of(ctx, s->in[0], t), vector_of(ctx, s->w[0]), s->f[0],
                          row_of(ctx, s->out[0], t));
}

static void quantize(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    ctx->kernels.from_float[s->p[0]](floats_of(ctx, s->in[0]), row_of(ctx, s->out[0], t), row_of(ctx, s->in[0], t));
}

static void rope(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    const lcy_rope *r = &ctx->par.rope[s->p[2]];
    const float *angles = ctx->angles[s->p[2]] + (int64_t)t * r->n_dims;
    lcy_rope_turn(r, angles, s->p[0], ctx->plan->head_k, row_of(ctx, s->in[0], t));
    lcy_rope_turn(r, angles, s->p[1], ctx->plan->head_k, row_of(ctx, s->in[1], t));
}

/* One row per head; `stride` is the distance of heads in the cache. */
static void store_rows(lcy_ctx *ctx, lcy_type type, int32_t n, int64_t size, uint8_t *to, int64_t stride, const float *from) {
    for (int32_t i = 0; i < n; i++, to += stride, from += size)
        if (type == LCY_F32)
            memcpy(to, from, (size_t)size * sizeof *from);
        else
            ctx->kernels.from_float[type](size, to, from);
}

static void kv_store(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    const lcy_kv *kv = &ctx->kv;
    const int32_t cell = ctx->ub.cell[t];
    store_rows(ctx, kv->type_k, kv->n_heads, kv->head_k, lcy_kv_k(kv, s->layer, 0, cell), kv->size * kv->row_k,
               row_of(ctx, s->in[0], t));
    store_rows(ctx, kv->type_v, kv->n_heads, kv->head_v, lcy_kv_v(kv, s->layer, 0, cell), kv->size * kv->row_v,
               row_of(ctx, s->in[1], t));
}

static void silu(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    ctx->kernels.silu_mul(floats_of(ctx, s->in[0]), row_of(ctx, s->in[0], t), row_of(ctx, s->in[1], t),
                          row_of(ctx, s->out[0], t), &ctx->tables);
}

static void add(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    const float *a = row_of(ctx, s->in[0], t), *b = row_of(ctx, s->in[1], t);
    float *y = row_of(ctx, s->out[0], t);
    for (int64_t i = 0; i < floats_of(ctx, s->in[0]); i++) y[i] = a[i] + b[i];
}

static void control(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    if (!ctx->control) return;
    const int32_t n = ctx->plan->n_embd;
    const float *v = ctx->control + (int64_t)s->layer * n;
    float *x = row_of(ctx, s->in[0], t);
    for (int32_t i = 0; i < n; i++) x[i] += v[i];
}

static void select_row(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    const size_t bytes = (size_t)ctx->plan->slots[s->in[0]].bytes;
    memcpy(row_of(ctx, s->out[0], t), row_of(ctx, s->in[0], ctx->ub.select[t]), bytes);
}

/* The reference's choice of experts: softmax over all, then an exchange sort by probability that stops after `used`. */
static void route(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    float *prob = row_of(ctx, s->in[0], t), *weight = row_of(ctx, s->out[1], t);
    int32_t *id = row_of(ctx, s->out[0], t), order[512];
    const int32_t all = min32(s->p[0], 512), used = s->p[1];
    ctx->kernels.softmax(all, prob, 1.0f, &ctx->tables);
    for (int32_t i = 0; i < all; i++) order[i] = i;
    for (int32_t j = 0; j < used; j++)
        for (int32_t k = j + 1; k < all; k++)
            if (prob[order[j]] < prob[order[k]]) {
                const int32_t swap = order[j];
                order[j] = order[k];
                order[k] = swap;
            }
    float sum = 0;
    for (int32_t j = 0; j < used; j++) sum += prob[order[j]];
    for (int32_t j = 0; j < used; j++) {
        id[j] = order[j];
        weight[j] = s->p[2] ? prob[order[j]] / sum : prob[order[j]];
    }
}

static void combine(lcy_ctx *ctx, const lcy_step *s, int32_t t) {
    const float *y = row_of(ctx, s->in[0], t), *weight = row_of(ctx, s->in[1], t);
    float *out = row_of(ctx, s->out[0], t);
    const int64_t n = floats_of(ctx, s->out[0]);
    for (int64_t i = 0; i < n; i++) {
        float sum = y[i] * weight[0];
        for (int32_t j = 1; j < s->p[0]; j++) sum += y[j * n + i] * weight[j];
        out[i] = sum;
    }
}

typedef void (*token_fn)(lcy_ctx *, const lcy_step *, int32_t token);

static const token_fn by_token[LCY_OP_COUNT] = {
    [LCY_OP_EMBED] = embed,       [LCY_OP_RMS_NORM] = norm,    [LCY_OP_QUANTIZE] = quantize,
    [LCY_OP_ROPE] = rope,         [LCY_OP_KV_STORE] = kv_store, [LCY_OP_SILU_MUL] = silu,
    [LCY_OP_ADD] = add,           [LCY_OP_CONTROL] = control,  [LCY_OP_SELECT] = select_row,
    [LCY_OP_ROUTE] = route,       [LCY_OP_COMBINE] = combine,
};

static int32_t tokens_per_chunk(int32_t tokens, int n_threads) {
    const int32_t per = tokens / (4 * n_threads);
    return per < 4 ? 4 : per;
}

/* ---- squares of inputs, for importance matrices ---- */

static void add_squares(int64_t n, float *sum, const float *x) {
    for (int64_t i = 0; i < n; i++) sum[i] += x[i] * x[i];
}

/* Done by the thread that has the step's first chunk: what goes into each weight, or into each chosen expert. */
static void collect(lcy_ctx *ctx, const lcy_step *s) {
    for (int32_t t = 0; t < tokens_of(ctx, s); t++) {
        const float *x = row_of(ctx, s->in[2], t);
        for (int32_t i = 0; i < s->n; i++) {
            float *sum = ctx->sums[s->w[i]];
            const int64_t k = tensor_of(ctx, s->w[i])->k;
            if (!sum) continue;
            if (s->op == LCY_OP_MATMUL) {
                add_squares(k, sum, x);
                continue;
            }
            const int32_t *id = row_of(ctx, s->in[1], t);
            for (int32_t j = 0; j < s->p[0]; j++) add_squares(k, sum + id[j] * k, x + (s->p[1] ? j * k : 0));
        }
    }
}

/* ---- matrix products ---- */

static int64_t rows_of(const lcy_ctx *ctx, const lcy_step *s) {
    int64_t rows = 0;
    for (int32_t i = 0; i < s->n; i++) rows += tensor_of(ctx, s->w[i])->rows;
    return rows;
}

/* Rows in a chunk: several chunks per thread, so that a thread which the system delays does not hold up the others. */
static int64_t rows_per_chunk(const lcy_ctx *ctx, const lcy_step *s, int n_threads, int32_t tokens) {
    const int64_t rows = rows_of(ctx, s), work = rows * tensor_of(ctx, s->w[0])->k * tokens;
    if (n_threads == 1 || work < LCY_SMALL_WORK) return rows;
    const int64_t wish = rows / (8 * n_threads) / ROWS_ALIGN * ROWS_ALIGN;
    return wish < ROWS_ALIGN ? ROWS_ALIGN : wish > MAX_ROWS ? MAX_ROWS : wish;
}

static int32_t chunks_of_rows(int64_t rows, int64_t per) { return (int32_t)((rows + per - 1) / per); }

static int32_t matmul_chunks(const lcy_ctx *ctx, const lcy_step *s, int n_threads) {
    const int64_t per = rows_per_chunk(ctx, s, n_threads, tokens_of(ctx, s));
    int32_t chunks = 0;
    for (int32_t i = 0; i < s->n; i++) chunks += chunks_of_rows(tensor_of(ctx, s->w[i])->rows, per);
    return chunks;
}

static int64_t stride_of(const lcy_ctx *ctx, int32_t slot) {
    return slot == ctx->plan->logits ? (int64_t)ctx->plan->n_vocab * 4 : ctx->plan->slots[slot].bytes;
}

/* A chunk of a product: rows r0 .. r0 + rows - 1 of matrix i. */
typedef struct {
    int32_t i;
    int64_t r0, rows;
} slab;

static slab slab_of(const lcy_ctx *ctx, const lcy_step *s, int n_threads, int32_t tokens, int32_t chunk) {
    const int64_t per = rows_per_chunk(ctx, s, n_threads, tokens);
    int32_t i = 0;
    for (int32_t n; chunk >= (n = chunks_of_rows(tensor_of(ctx, s->w[i])->rows, per)); i++) chunk -= n;
    const int64_t r0 = chunk * per, left = tensor_of(ctx, s->w[i])->rows - r0;
    return (slab){i, r0, left < per ? left : per};
}

static void multiply(const lcy_ctx *ctx, const lcy_step *s, slab c, int32_t tokens, float *out, int64_t out_stride) {
    const lcy_tensor *w = tensor_of(ctx, s->w[c.i]);
    ctx->kernels.matmul[w->type](w->k, c.rows, tokens, (const uint8_t *)w->data + c.r0 * w->stride, w->stride,
                                 row_of(ctx, s->in[0], 0), ctx->plan->slots[s->in[0]].bytes, out, out_stride);
}

/* What comes after the product: bias, then the residual. */
static void finish(const lcy_ctx *ctx, const lcy_step *s, slab c, int32_t tokens) {
    const float *bias = vector_of(ctx, s->b[c.i]);
    const int residual = s->in[1] >= 0;
    for (int32_t t = 0; t < tokens && (bias || residual); t++) {
        float *y = (float *)row_of(ctx, s->out[c.i], t) + c.r0;
        if (bias)
            for (int64_t r = 0; r < c.rows; r++) y[r] += bias[c.r0 + r];
        if (residual) {
            const float *x = (const float *)row_of(ctx, s->in[1], t) + c.r0;
            for (int64_t r = 0; r < c.rows; r++) y[r] += x[r];
        }
    }
}

static void matmul(lcy_ctx *ctx, const lcy_step *s, int n_threads, int32_t chunk) {
    const int32_t tokens = tokens_of(ctx, s);
    const slab c = slab_of(ctx, s, n_threads, tokens, chunk);
    multiply(ctx, s, c, tokens, (float *)row_of(ctx, s->out[c.i], 0) + c.r0, stride_of(ctx, s->out[c.i]) / 4);
    finish(ctx, s, c, tokens);
}

int lcy_step_can_help(const lcy_ctx *ctx, const lcy_step *s, int n_threads) {
    const int32_t tokens = tokens_of(ctx, s);
    return s->op == LCY_OP_MATMUL && rows_per_chunk(ctx, s, n_threads, tokens) * tokens <= LCY_HELP_FLOATS;
}

void lcy_step_compute(const lcy_ctx *ctx, const lcy_step *s, int n_threads, int32_t tokens, int32_t chunk, float *result) {
    const slab c = slab_of(ctx, s, n_threads, tokens, chunk);
    multiply(ctx, s, c, tokens, result, c.rows);
}

void lcy_step_place(lcy_ctx *ctx, const lcy_step *s, int n_threads, int32_t tokens, int32_t chunk, const float *result) {
    const slab c = slab_of(ctx, s, n_threads, tokens, chunk);
    if (ctx->sums && chunk == 0) collect(ctx, s);
    for (int32_t t = 0; t < tokens; t++)
        memcpy((float *)row_of(ctx, s->out[c.i], t) + c.r0, result + t * c.rows, (size_t)c.rows * sizeof *result);
    finish(ctx, s, c, tokens);
}

/* ---- experts: a chunk is some rows of one expert, for every token that chose it ---- */

static int32_t chunks_of_expert(const lcy_ctx *ctx, const lcy_step *s) {
    return chunks_of_rows(tensor_of(ctx, s->w[0])->rows, EXPERT_ROWS);
}

static void experts(lcy_ctx *ctx, const lcy_step *s, int32_t chunk) {
    const lcy_tensor *w = tensor_of(ctx, s->w[0]);
    const int32_t per = chunks_of_expert(ctx, s), used = s->p[0], expert = chunk / per;
    const int64_t r0 = (int64_t)(chunk % per) * EXPERT_ROWS, left = w->rows - r0;
    const int64_t rows = left < EXPERT_ROWS ? left : EXPERT_ROWS;
    const uint8_t *rows_of_expert = (const uint8_t *)w->data + (expert * w->rows + r0) * w->stride;
    const int64_t x_bytes = s->p[1] ? stride_of(ctx, s->in[0]) / used : 0;
    for (int32_t t = 0; t < tokens_of(ctx, s); t++) {
        const int32_t *id = row_of(ctx, s->in[1], t);
        for (int32_t j = 0; j < used; j++)
            if (id[j] == expert)
                ctx->kernels.matmul[w->type](w->k, rows, 1, rows_of_expert, w->stride,
                                             (uint8_t *)row_of(ctx, s->in[0], t) + j * x_bytes, 0,
                                             (float *)row_of(ctx, s->out[0], t) + j * w->rows + r0, 0);
    }
}

/* ---- what run.c knows of all this ---- */

int32_t lcy_step_tokens(const lcy_ctx *ctx, const lcy_step *s) { return tokens_of(ctx, s); }

int32_t lcy_step_chunks(const lcy_ctx *ctx, const lcy_step *s, int n_threads) {
    const int32_t tokens = tokens_of(ctx, s);
    if (tokens == 0) return 0;
    switch (s->op) {
    case LCY_OP_MATMUL: return matmul_chunks(ctx, s, n_threads);
    case LCY_OP_EXPERTS: return tensor_of(ctx, s->w[0])->slices * chunks_of_expert(ctx, s);
    case LCY_OP_ATTENTION: return lcy_attention_chunks(ctx, s, n_threads);
    default: {
        const int32_t per = tokens_per_chunk(tokens, n_threads);
        return (tokens + per - 1) / per;
    }
    }
}

void lcy_step_run(lcy_ctx *ctx, const lcy_step *s, int n_threads, int32_t chunk, lcy_scratch *scratch) {
    if (ctx->sums && chunk == 0 && (s->op == LCY_OP_MATMUL || s->op == LCY_OP_EXPERTS)) collect(ctx, s);
    switch (s->op) {
    case LCY_OP_MATMUL: matmul(ctx, s, n_threads, chunk); return;
    case LCY_OP_EXPERTS: experts(ctx, s, chunk); return;
    case LCY_OP_ATTENTION: lcy_attention_run(ctx, s, n_threads, chunk, scratch); return;
    default: {
        const int32_t tokens = tokens_of(ctx, s), per = tokens_per_chunk(tokens, n_threads);
        for (int32_t t = chunk * per; t < min32((chunk + 1) * per, tokens); t++)
            for (int32_t i = 0; i < s->n; i++) by_token[s[i].op](ctx, s + i, t);
    }
    }
}
