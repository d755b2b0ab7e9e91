/* ctx.h: what plan.c, steps.c and state.c share. Not for the outside. */
#ifndef LCY_CTX_H
#define LCY_CTX_H

#include <stdatomic.h>

#include "plan.h"
#include "pool.h"
#include "scalar.h"

/* What one thread needs for itself. The first five belong to attention; attend.c knows their sizes. */
typedef struct lcy_scratch {
    float *scores;   /* of the query rows that a thread has in hand: rows of as many cells as they see */
    float *queries;  /* those rows */
    uint8_t *packed; /* the same in the format that K is multiplied with */
    float *kernel;   /* what the kernels ask for */
    int32_t *seen;   /* how many cells each row sees */
    float **out;     /* where the result of each row goes */
    float *result;   /* (LCY_HELP_FLOATS) a chunk of a matrix product before it is put into place */
} lcy_scratch;

enum {
    LCY_HELP_CHUNKS = 1024, /* of a turn whose chunks several threads may compute */
    LCY_HELP_FLOATS = 1024, /* results of such a chunk */
    LCY_SMALL_WORK = 32768  /* multiply-adds, or their like, below which a step is not shared */
};

/* A thread's share of a turn's chunks: the turn, and how many of them are taken; see run.c. */
typedef struct lcy_range {
    atomic_uint_fast64_t taken;
    char apart[56]; /* from the next thread's cache line */
} lcy_range;

/* The turn that is running; see run.c. Threads read it while another may open the next one. */
typedef struct lcy_run {
    lcy_gate gate;               /* turns with every turn */
    _Alignas(64) atomic_int done; /* chunks */
    atomic_int running, step, chunks, can_help, tokens, n_threads;
    uint64_t turn;               /* never repeats in the life of a context */
    int threads, stopped;        /* known to the thread that opens turns */
    lcy_range *range;            /* (threads) */
    atomic_uint_fast64_t *won;   /* (LCY_HELP_CHUNKS) the last turn in which this chunk was put into place */
} lcy_run;

/* The micro-batch that is running. */
typedef struct lcy_ubatch {
    int32_t n, n_out;          /* tokens; selected tokens */
    const int32_t *token, *pos, *seq;
    int32_t *cell;             /* (n_ubatch) */
    int32_t *select;           /* (n_ubatch) tokens whose logits are wanted */
    int32_t *seen;             /* (n_ubatch) how many cells of its sequence's order a token sees */
    const int32_t **order;     /* (n_ubatch) that order */
    int32_t *first;            /* (n_groups + 1) tokens that look at the cache together begin here; room for n_ubatch */
    int32_t n_groups;
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
    uint8_t *arena;
    float *angles[LCY_MAX_ROPES]; /* (n_ubatch, n_dims / 2, 2) cos, sin of the micro-batch */
    float *logits, *control;
    float *const *sums;        /* (n_tensors) of squared inputs; NULL: nobody asks */
    lcy_ubatch ub;
    lcy_run run;
    atomic_int abort;
    int64_t next_poll_ns, scratch_bytes;
};

/* Steps that are done together, this one included. */
static inline int32_t lcy_step_together(const lcy_step *step) { return step->op == LCY_OP_MATMUL ? 1 : step->n; }

/* How a step is cut, and the work of one piece. Defined in steps.c. */
int32_t lcy_step_tokens(const lcy_ctx *ctx, const lcy_step *step);
int32_t lcy_step_chunks(const lcy_ctx *ctx, const lcy_step *step, int n_threads);
void lcy_step_run(lcy_ctx *ctx, const lcy_step *step, int n_threads, int32_t chunk, lcy_scratch *scratch);

/* The same in two halves, for chunks that more than one thread may compute. `compute` reads nothing of the micro-batch but
 * the input's rows: it may run late. */
int lcy_step_can_help(const lcy_ctx *ctx, const lcy_step *step, int n_threads);
void lcy_step_compute(const lcy_ctx *ctx, const lcy_step *step, int n_threads, int32_t tokens, int32_t chunk, float *result);
void lcy_step_place(lcy_ctx *ctx, const lcy_step *step, int n_threads, int32_t tokens, int32_t chunk, const float *result);

/* Attention: the groups of a micro-batch, how a step is cut, one piece of it, and the memory that a thread needs for it.
 * Defined in attend.c. */
void lcy_attention_group(lcy_ctx *ctx);
int32_t lcy_attention_chunks(const lcy_ctx *ctx, const lcy_step *step, int n_threads);
void lcy_attention_run(lcy_ctx *ctx, const lcy_step *step, int n_threads, int32_t chunk, lcy_scratch *scratch);
lcy_status lcy_attention_claim(lcy_ctx *ctx, lcy_scratch *scratch);
void lcy_attention_release(lcy_scratch *scratch);

/* Zeroed memory that counts as the context's; NULL: none. Defined in plan.c. */
void *lcy_claim(lcy_ctx *ctx, int64_t bytes);

/* All steps on n_threads threads; 1: stopped by the abort flag. Defined in run.c. */
int lcy_run_ubatch(lcy_ctx *ctx, int n_threads);
void lcy_run_thread(void *ctx, int thread);
int64_t lcy_now_ns(void);

/* cos and sin of the angles of one position, (n_dims / 2) pairs. Defined in rope.c. */
void lcy_rope_angles(const lcy_rope *rope, int32_t pos, float *cos_sin);
void lcy_rope_turn(const lcy_rope *rope, const float *cos_sin, int32_t n_heads, int32_t head, float *x);

/* Row of a token in a slot. */
static inline void *lcy_slot_row(const lcy_ctx *ctx, int32_t slot, int64_t token) {
    const lcy_slot *s = &ctx->plan->slots[slot];
    if (slot == ctx->plan->logits) return ctx->ub.logits + token * ctx->plan->n_vocab;
    return ctx->arena + s->offset * ctx->par.n_ubatch + token * s->bytes;
}

#endif
