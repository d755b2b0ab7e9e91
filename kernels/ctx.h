/* ctx.h: what plan.c, steps.c and state.c share. Not for the outside. */
#ifndef LCY_CTX_H
#define LCY_CTX_H

#include <stdatomic.h>

#include "plan.h"
#include "pool.h"
#include "scalar.h"

/* What one thread needs for itself. */
typedef struct lcy_scratch {
    float *scores; /* (n_ctx) */
    float *row;    /* (max(head_k, head_v)) */
    float *values; /* (n_ctx, head_v); only when V is neither F16 nor F32 */
    uint8_t *packed; /* one head of a query in the format that K is multiplied with */
} lcy_scratch;

/* The micro-batch that is running. */
typedef struct lcy_ubatch {
    int32_t n, n_out;          /* tokens; selected tokens */
    const int32_t *token, *pos, *seq;
    int32_t *cell;             /* (n_ubatch) */
    int32_t *select;           /* (n_ubatch) tokens whose logits are wanted */
    int32_t *seen;             /* (n_ubatch) how many cells of its sequence's order a token sees */
    const int32_t **order;     /* (n_ubatch) that order */
    float *logits;             /* (n_out, n_vocab) */
} lcy_ubatch;

struct lcy_ctx {
    const lcy_plan *plan;
    lcy_ctx_params par;
    lcy_kernels kernels;
    lcy_tables tables;
    lcy_kv kv;
    lcy_pool *pool;
    lcy_scratch *scratch;      /* one per thread */
    int32_t *iota;             /* (n_ctx) 0, 1, 2, ... */
    uint8_t *arena;
    float *angles[LCY_MAX_ROPES]; /* (n_ubatch, n_dims / 2, 2) cos, sin of the micro-batch */
    float *logits, *control;
    float *const *sums;        /* (n_tensors) of squared inputs; NULL: nobody asks */
    lcy_ubatch ub;
    atomic_int *taken;         /* (n_steps) chunks handed out */
    int stop;                  /* decided by the last thread at a barrier, read by all after it */
    atomic_int abort;
    int64_t next_poll_ns, scratch_bytes;
};

/* How a step is cut, and the work of one piece. Defined in steps.c. */
int32_t lcy_step_chunks(const lcy_ctx *ctx, const lcy_step *step, int n_threads);
void lcy_step_run(lcy_ctx *ctx, const lcy_step *step, int n_threads, int32_t chunk, lcy_scratch *scratch);

/* cos and sin of the angles of one position, (n_dims / 2) pairs. Defined in rope.c. */
void lcy_rope_angles(const lcy_rope *rope, int32_t pos, float *cos_sin);
void lcy_rope_turn(const lcy_rope *rope, const float *cos_sin, int32_t n_heads, int32_t head, float *x);

/* Bytes of one head inside a row of the cache. */
static inline int64_t lcy_head_bytes(int type, int64_t head) { return (int64_t)lcy_row_bytes(type, head); }

#endif
