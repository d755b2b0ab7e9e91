/* plan.h: a model's forward pass as a list of steps, and the context that runs it.
 *
 * llamacy/arch describes a model, llamacy/engine turns that into these structs, plan.c runs them. A slot is a buffer with one
 * row per token of a micro-batch; a step reads slots and weights and writes slots. Steps run in order; inside a step the
 * threads share the work, and how they share it never changes a bit of the result. */
#ifndef LCY_PLAN_H
#define LCY_PLAN_H

#include "kv.h"

/* A weight: `slices` matrices (experts; 1 otherwise) of `rows` rows of k elements, one after another. */
typedef struct lcy_tensor {
    int32_t type;
    int32_t slices;
    int64_t k, rows;
    int64_t stride; /* bytes of a row */
    const void *data;
} lcy_tensor;

typedef enum lcy_op {
    LCY_OP_EMBED,      /* out0 = rows of w0 by token id */
    LCY_OP_RMS_NORM,   /* out0 = rms_norm(in0) * w0; f0: eps */
    LCY_OP_QUANTIZE,   /* out0 = in0 in the format p0 */
    LCY_OP_MATMUL,     /* out_i = w_i . in0 (+ b_i) (+ in1, the residual, if n == 1), i < n. in0: in2 in dot_with of w_i */
    LCY_OP_ROPE,       /* in0 (queries), in1 (keys) rotated in place; p0, p1: their heads, p2: rope number */
    LCY_OP_KV_STORE,   /* in0 (keys), in1 (values) -> cells of `layer` */
    LCY_OP_ATTENTION,  /* out0 = attention of in0; p0: heads, p1: heads of K and V, f0: scale */
    LCY_OP_SILU_MUL,   /* out0 = silu(in0) * in1 */
    LCY_OP_ADD,        /* out0 = in0 + in1 */
    LCY_OP_CONTROL,    /* in0 += the control vector of `layer`, if one is set; in place */
    LCY_OP_SELECT,     /* out0 = the rows of in0 whose logits are wanted; later steps see only these */
    LCY_OP_ROUTE,      /* in0 = router logits -> out0 = ids (int32), out1 = weights of the p1 best of p0; p2: normalise */
    LCY_OP_EXPERTS,    /* out0[j] = w0[id_j] . in0 (p1 == 0) or in0[j] (p1 == 1), j < p0; in1: ids; in0: in2 packed */
    LCY_OP_COMBINE,    /* out0 = sum over j < p0 of in1[j] * in0[j] */
    LCY_OP_COUNT
} lcy_op;

/* Neighbouring steps that need nothing of other tokens may be done together: a thread takes each token through all of them
 * while its rows are in a near cache. The first of them has their number in n; no two of their slots may share memory. */
typedef struct lcy_step {
    int32_t op, layer;
    int32_t n;        /* of a product: weights; else: steps that are done together, from this one on */
    int32_t selected; /* runs on the selected rows */
    int32_t in[3], out[3], w[3], b[3]; /* slots, weights, biases (f32 vectors); -1: none */
    int32_t p[4];
    float f[2];
} lcy_step;

typedef struct lcy_slot {
    int64_t bytes;  /* of one token's row */
    int64_t offset; /* bytes of one token's rows before it: slots whose lives do not meet share memory */
} lcy_slot;

typedef struct lcy_plan {
    const lcy_step *steps;
    const lcy_tensor *tensors;
    const lcy_slot *slots;
    int32_t n_steps, n_tensors, n_slots;
    int64_t arena; /* bytes of one token's row of all slots */
    int32_t logits; /* the slot that holds the logits: kept outside the arena */
    int32_t n_layers, n_embd, n_vocab;
    int32_t n_heads, n_heads_kv, head_k, head_v;
} lcy_plan;

/* A rotation. mode 0 pairs neighbours (x0, x1), mode 2 pairs (x_j, x_{j + n_dims / 2}); the other elements stay. */
typedef struct lcy_rope {
    int32_t n_dims, mode, orig_ctx;
    float base, freq_scale, ext_factor, attn_factor, beta_fast, beta_slow;
    const float *factors; /* (n_dims / 2) divides the angles; NULL: none */
} lcy_rope;

enum { LCY_MAX_ROPES = 4 };

typedef struct lcy_ctx_params {
    int32_t n_ctx, n_ubatch, n_outputs; /* n_outputs: rows of logits kept per decode */
    int32_t n_threads, n_threads_batch;
    int32_t type_k, type_v;
    int32_t flash; /* one pass with sums in f16, the reference's -fa, for tokens that see up to 256 cells of an F16 cache;
                      those that see more, where its rounding would add up, take the usual way, which is faster */
    lcy_rope rope[LCY_MAX_ROPES];
    int (*poll)(void *arg); /* called now and then on the caller's thread; nonzero stops the decode. May be NULL */
    void *poll_arg;
} lcy_ctx_params;

typedef struct lcy_ctx lcy_ctx;

/* Tokens of one decode. `want` marks those whose logits are kept, in order; NULL: the last. */
typedef struct lcy_batch {
    int32_t n;
    const int32_t *token, *pos, *seq;
    const uint8_t *want;
} lcy_batch;

/* The plan and what it points to must outlive the context. On failure *out is NULL. */
LCY_API lcy_status lcy_ctx_new(lcy_ctx **out, const lcy_plan *plan, const lcy_ctx_params *params);
LCY_API void lcy_ctx_free(lcy_ctx *ctx); /* accepts NULL */

/* Runs the batch in micro-batches. LCY_E_FULL: no room, nothing has changed. LCY_E_ABORTED: stopped; the batch's cells are
 * free again. LCY_E_ARG: a token, position or sequence out of range. */
LCY_API lcy_status lcy_ctx_decode(lcy_ctx *ctx, const lcy_batch *batch);

LCY_API float *lcy_ctx_logits(lcy_ctx *ctx);            /* (n_outputs, n_vocab) */
LCY_API void lcy_ctx_abort(lcy_ctx *ctx);               /* may be called from a signal handler or another thread */
LCY_API void lcy_ctx_control(lcy_ctx *ctx, float *rows); /* (n_layers, n_embd), borrowed; NULL: none */
/* From now on adds, for every tensor i with sums[i] != NULL, the squares of what it is multiplied with: sums[i] (slices, k).
 * sums (n_tensors) and its rows are borrowed; NULL: stop. */
LCY_API void lcy_ctx_collect(lcy_ctx *ctx, float *const *sums);
LCY_API int64_t lcy_ctx_scratch_bytes(const lcy_ctx *ctx);

/* Sequence operations, and the turning of shifted keys that must follow before the cells are read or saved. */
LCY_API void lcy_ctx_kv_clear(lcy_ctx *ctx);
LCY_API void lcy_ctx_kv_remove(lcy_ctx *ctx, int32_t seq, int32_t p0, int32_t p1);
LCY_API void lcy_ctx_kv_copy(lcy_ctx *ctx, int32_t from, int32_t to, int32_t p0, int32_t p1);
LCY_API void lcy_ctx_kv_shift(lcy_ctx *ctx, int32_t seq, int32_t p0, int32_t p1, int32_t delta);
LCY_API void lcy_ctx_kv_divide(lcy_ctx *ctx, int32_t seq, int32_t p0, int32_t p1, int32_t d);
LCY_API lcy_status lcy_ctx_kv_turn(lcy_ctx *ctx);

/* The cache as session files hold it (llamacy/engine/state.py describes the file). */
LCY_API int32_t lcy_ctx_kv_top(lcy_ctx *ctx);
LCY_API int32_t lcy_ctx_kv_used(lcy_ctx *ctx);
LCY_API int32_t lcy_ctx_kv_max_pos(lcy_ctx *ctx, int32_t seq);
LCY_API int64_t lcy_ctx_kv_bytes(lcy_ctx *ctx, int32_t cells); /* K and V of the first `cells` cells, all layers */
LCY_API lcy_status lcy_ctx_kv_read(lcy_ctx *ctx, int32_t cells, int transposed, uint8_t *out);
LCY_API lcy_status lcy_ctx_kv_write(lcy_ctx *ctx, int32_t cells, int transposed, const uint8_t *in);
LCY_API void lcy_ctx_kv_cell(lcy_ctx *ctx, int32_t cell, int32_t *pos, uint64_t *seqs); /* pos -1: free */
LCY_API lcy_status lcy_ctx_kv_set_cells(lcy_ctx *ctx, int32_t n, const int32_t *pos, const uint64_t *seqs);

#endif
