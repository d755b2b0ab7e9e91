/* state.c: sequence operations of a context, the turning of shifted keys, and the cache as session files hold it. */
#include <stdlib.h>
#include <string.h>

#include "ctx.h"

void lcy_ctx_kv_clear(lcy_ctx *ctx) { lcy_kv_clear(&ctx->kv); }
void lcy_ctx_kv_remove(lcy_ctx *ctx, int32_t seq, int32_t p0, int32_t p1) { lcy_kv_remove(&ctx->kv, seq, p0, p1); }
void lcy_ctx_kv_copy(lcy_ctx *ctx, int32_t from, int32_t to, int32_t p0, int32_t p1) {
    lcy_kv_copy(&ctx->kv, from, to, p0, p1);
}
void lcy_ctx_kv_shift(lcy_ctx *ctx, int32_t seq, int32_t p0, int32_t p1, int32_t delta) {
    lcy_kv_shift(&ctx->kv, seq, p0, p1, delta);
}
void lcy_ctx_kv_divide(lcy_ctx *ctx, int32_t seq, int32_t p0, int32_t p1, int32_t d) {
    lcy_kv_divide(&ctx->kv, seq, p0, p1, d);
}
int32_t lcy_ctx_kv_top(lcy_ctx *ctx) { return lcy_kv_top(&ctx->kv); }
int32_t lcy_ctx_kv_used(lcy_ctx *ctx) { return ctx->kv.used; }
int32_t lcy_ctx_kv_max_pos(lcy_ctx *ctx, int32_t seq) { return lcy_kv_max_pos(&ctx->kv, seq); }

/* ---- turning ---- */

/* The rotation that the model's rope step applies to a layer; NULL: it has none. */
static const lcy_rope *rope_of(const lcy_ctx *ctx, int32_t layer) {
    for (int32_t i = 0; i < ctx->plan->n_steps; i++) {
        const lcy_step *s = &ctx->plan->steps[i];
        if (s->op == LCY_OP_ROPE && s->layer == layer) return &ctx->par.rope[s->p[2]];
    }
    return NULL;
}

/* K rows become f32, turn by the distance that their cell has moved, and go back to their type. */
static void turn_layer(lcy_ctx *ctx, int32_t layer, const lcy_rope *rope, float *row, float *angles) {
    const lcy_kv *kv = &ctx->kv;
    const lcy_plan *plan = ctx->plan;
    for (int32_t c = 0; c < kv->size; c++) {
        if (!kv->delta[c]) continue;
        uint8_t *k = lcy_kv_k(kv, layer, c);
        ctx->kernels.to_float[kv->type_k](kv->width_k, row, k);
        lcy_rope_angles(rope, kv->delta[c], angles);
        lcy_rope_turn(rope, angles, plan->n_heads_kv, plan->head_k, row);
        ctx->kernels.from_float[kv->type_k](kv->width_k, k, row);
    }
}

lcy_status lcy_ctx_kv_turn(lcy_ctx *ctx) {
    lcy_kv *kv = &ctx->kv;
    if (!kv->shifted) return LCY_OK;
    float *row = malloc(sizeof *row * (size_t)(kv->width_k + 64)), *angles = malloc(sizeof *angles * 4096);
    const lcy_status st = row && angles ? LCY_OK : LCY_E_NOMEM;
    for (int32_t l = 0; l < kv->n_layers && !st; l++) {
        const lcy_rope *rope = rope_of(ctx, l);
        if (rope) turn_layer(ctx, l, rope, row, angles);
    }
    if (!st) {
        memset(kv->delta, 0, sizeof *kv->delta * (size_t)kv->size);
        kv->shifted = 0;
    }
    free(row);
    free(angles);
    return st;
}

/* ---- session files ---- */

int64_t lcy_ctx_kv_bytes(lcy_ctx *ctx, int32_t cells) {
    const lcy_kv *kv = &ctx->kv;
    return (int64_t)kv->n_layers * cells * (kv->row_k + kv->row_v);
}

/* Elements of V are moved one by one when the file holds V transposed: then they must be whole bytes wide. */
static int64_t element_bytes(const lcy_kv *kv) {
    return kv->type_v == LCY_F32 ? 4 : kv->type_v == LCY_F16 ? 2 : 0;
}

static void transpose(uint8_t *to, const uint8_t *from, int64_t rows, int64_t columns, int64_t bytes) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            memcpy(to + (c * rows + r) * bytes, from + (r * columns + c) * bytes, (size_t)bytes);
}

lcy_status lcy_ctx_kv_read(lcy_ctx *ctx, int32_t cells, int transposed, uint8_t *out) {
    const lcy_kv *kv = &ctx->kv;
    const int64_t element = element_bytes(kv);
    if (cells < 0 || cells > kv->size || (transposed && !element)) return LCY_E_ARG;
    for (int32_t l = 0; l < kv->n_layers; l++) {
        memcpy(out, lcy_kv_k(kv, l, 0), (size_t)(cells * kv->row_k));
        out += cells * kv->row_k;
        if (transposed)
            transpose(out, lcy_kv_v(kv, l, 0), cells, kv->width_v, element);
        else
            memcpy(out, lcy_kv_v(kv, l, 0), (size_t)(cells * kv->row_v));
        out += cells * kv->row_v;
    }
    return LCY_OK;
}

lcy_status lcy_ctx_kv_write(lcy_ctx *ctx, int32_t cells, int transposed, const uint8_t *in) {
    lcy_kv *kv = &ctx->kv;
    const int64_t element = element_bytes(kv);
    if (cells < 0 || cells > kv->size || (transposed && !element)) return LCY_E_ARG;
    for (int32_t l = 0; l < kv->n_layers; l++) {
        memcpy(lcy_kv_k(kv, l, 0), in, (size_t)(cells * kv->row_k));
        in += cells * kv->row_k;
        if (transposed)
            transpose(lcy_kv_v(kv, l, 0), in, kv->width_v, cells, element);
        else
            memcpy(lcy_kv_v(kv, l, 0), in, (size_t)(cells * kv->row_v));
        in += cells * kv->row_v;
    }
    return LCY_OK;
}

void lcy_ctx_kv_cell(lcy_ctx *ctx, int32_t cell, int32_t *pos, uint64_t *seqs) {
    *pos = ctx->kv.pos[cell];
    *seqs = ctx->kv.seqs[cell];
}

lcy_status lcy_ctx_kv_set_cells(lcy_ctx *ctx, int32_t n, const int32_t *pos, const uint64_t *seqs) {
    lcy_kv *kv = &ctx->kv;
    if (n < 0 || n > kv->size) return LCY_E_ARG;
    lcy_kv_clear(kv);
    for (int32_t c = 0; c < n; c++) {
        kv->pos[c] = seqs[c] ? pos[c] : -1;
        kv->seqs[c] = pos[c] >= 0 ? seqs[c] : 0;
        kv->used += kv->pos[c] >= 0 && kv->seqs[c];
    }
    kv->head = n;
    return LCY_OK;
}
