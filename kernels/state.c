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

/* K rows of a head become f32, turn by the distance that their cell has moved, and go back to their type. Neighbours have
 * mostly moved by the same distance, so its angles are kept. */
static void turn_head(lcy_ctx *ctx, int32_t layer, int32_t head, const lcy_rope *rope, float *row, float *angles) {
    const lcy_kv *kv = &ctx->kv;
    for (int32_t c = 0, known = 0; c < kv->size; c++) {
        if (!kv->delta[c]) continue;
        uint8_t *k = lcy_kv_k(kv, layer, head, c);
        ctx->kernels.to_float[kv->type_k](kv->head_k, row, k);
        if (kv->delta[c] != known) lcy_rope_angles(rope, known = kv->delta[c], angles);
        lcy_rope_turn(rope, angles, 1, kv->head_k, row);
        ctx->kernels.from_float[kv->type_k](kv->head_k, k, row);
    }
}

lcy_status lcy_ctx_kv_turn(lcy_ctx *ctx) {
    lcy_kv *kv = &ctx->kv;
    if (!kv->shifted) return LCY_OK;
    float *row = malloc(sizeof *row * (size_t)(kv->head_k + 64)), *angles = malloc(sizeof *angles * 4096);
    const lcy_status st = row && angles ? LCY_OK : LCY_E_NOMEM;
    for (int32_t l = 0; l < kv->n_layers && !st; l++) {
        const lcy_rope *rope = rope_of(ctx, l);
        for (int32_t h = 0; h < kv->n_heads && rope; h++) turn_head(ctx, l, h, rope, row, angles);
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

/* A file holds K of a layer as rows of all heads, cell by cell; V too, or transposed: a row of cells per element. */

int64_t lcy_ctx_kv_bytes(lcy_ctx *ctx, int32_t cells) {
    const lcy_kv *kv = &ctx->kv;
    return (int64_t)kv->n_layers * cells * kv->n_heads * (kv->row_k + kv->row_v);
}

/* Elements of V are moved one by one when the file holds V transposed: then they must be whole bytes wide. */
static int64_t element_bytes(const lcy_kv *kv) {
    return kv->type_v == LCY_F32 ? 4 : kv->type_v == LCY_F16 ? 2 : 0;
}

/* One head's rows, `from_step` bytes apart, to places that are `to_step` apart. */
static void move_rows(uint8_t *to, int64_t to_step, const uint8_t *from, int64_t from_step, int64_t rows, int64_t bytes) {
    for (int64_t r = 0; r < rows; r++) memcpy(to + r * to_step, from + r * from_step, (size_t)bytes);
}

/* (rows, columns) -> (columns, rows), in squares that stay in the cache */
static void transpose(uint8_t *to, const uint8_t *from, int64_t rows, int64_t columns, int64_t bytes) {
    enum { SIDE = 32 };
    for (int64_t r0 = 0; r0 < rows; r0 += SIDE)
        for (int64_t c0 = 0; c0 < columns; c0 += SIDE) {
            const int64_t r1 = rows - r0 < SIDE ? rows : r0 + SIDE, c1 = columns - c0 < SIDE ? columns : c0 + SIDE;
            for (int64_t c = c0; c < c1; c++)
                for (int64_t r = r0; r < r1; r++)
                    if (bytes == 2)
                        memcpy(to + (c * rows + r) * 2, from + (r * columns + c) * 2, 2);
                    else
                        memcpy(to + (c * rows + r) * 4, from + (r * columns + c) * 4, 4);
        }
}

lcy_status lcy_ctx_kv_read(lcy_ctx *ctx, int32_t cells, int transposed, uint8_t *out) {
    const lcy_kv *kv = &ctx->kv;
    const int64_t element = element_bytes(kv), step_k = kv->n_heads * kv->row_k, step_v = kv->n_heads * kv->row_v;
    if (cells < 0 || cells > kv->size || (transposed && !element)) return LCY_E_ARG;
    for (int32_t l = 0; l < kv->n_layers; l++, out += cells * (step_k + step_v))
        for (int32_t h = 0; h < kv->n_heads; h++) {
            uint8_t *const v = out + cells * step_k;
            move_rows(out + h * kv->row_k, step_k, lcy_kv_k(kv, l, h, 0), kv->row_k, cells, kv->row_k);
            if (transposed)
                transpose(v + h * cells * kv->row_v, lcy_kv_v(kv, l, h, 0), cells, kv->head_v, element);
            else
                move_rows(v + h * kv->row_v, step_v, lcy_kv_v(kv, l, h, 0), kv->row_v, cells, kv->row_v);
        }
    return LCY_OK;
}

lcy_status lcy_ctx_kv_write(lcy_ctx *ctx, int32_t cells, int transposed, const uint8_t *in) {
    const lcy_kv *kv = &ctx->kv;
    const int64_t element = element_bytes(kv), step_k = kv->n_heads * kv->row_k, step_v = kv->n_heads * kv->row_v;
    if (cells < 0 || cells > kv->size || (transposed && !element)) return LCY_E_ARG;
    for (int32_t l = 0; l < kv->n_layers; l++, in += cells * (step_k + step_v))
        for (int32_t h = 0; h < kv->n_heads; h++) {
            const uint8_t *const v = in + cells * step_k;
            move_rows(lcy_kv_k(kv, l, h, 0), kv->row_k, in + h * kv->row_k, step_k, cells, kv->row_k);
            if (transposed)
                transpose(lcy_kv_v(kv, l, h, 0), v + h * cells * kv->row_v, kv->head_v, cells, element);
            else
                move_rows(lcy_kv_v(kv, l, h, 0), kv->row_v, v + h * kv->row_v, step_v, cells, kv->row_v);
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
