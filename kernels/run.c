/* run.c: all threads through the steps of a plan, and nobody waits for a thread that the system has put aside.
 *
 * The steps are taken in turns: a turn is one step, cut into chunks. Each thread has a range of neighbouring chunks, so that
 * it reads the weights in the order in which they lie in memory; who has finished his own takes from the others'. Who
 * finishes the last chunk of a turn does the small steps that follow, its caches being warm, and opens the next turn.
 *
 * On a busy machine a thread may lose its core in the middle of a chunk, for milliseconds, and everybody would wait. So a
 * chunk of a small matrix product is computed into private memory and put into place by the first who has it: a thread
 * without work computes chunks that others hold for too long, and the late one finds its result no longer wanted. Inputs
 * that it still reads may be changing by then; what it makes of them is thrown away. Results are the same bits either way.
 */
#include <time.h>

#include "ctx.h"

enum {
    TAKEN_BITS = 24,                /* of the chunks taken from a range, below those of the turn */
    NOT_YET = (1 << TAKEN_BITS) - 1, /* in their place while the turn is being prepared */
    POLL_NS = 20 * 1000 * 1000
};

int64_t lcy_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- turns ---- */

/* The caller's thread asks, at most every 20 ms, whether to go on. */
static void poll(lcy_ctx *ctx) {
    if (!ctx->par.poll || lcy_now_ns() < ctx->next_poll_ns) return;
    if (ctx->par.poll(ctx->par.poll_arg)) atomic_store(&ctx->abort, 1);
    ctx->next_poll_ns = lcy_now_ns() + POLL_NS;
}

/* Does the steps from `first` on that are at most one chunk; the first that is more, or n_steps. */
static int32_t do_small_steps(lcy_ctx *ctx, int32_t first, lcy_scratch *scratch) {
    const lcy_plan *plan = ctx->plan;
    int32_t i = first;
    for (; i < plan->n_steps && !atomic_load(&ctx->abort); i += lcy_step_together(&plan->steps[i])) {
        const int32_t chunks = lcy_step_chunks(ctx, &plan->steps[i], ctx->run.threads);
        if (chunks > 1) break;
        if (chunks) lcy_step_run(ctx, &plan->steps[i], ctx->run.threads, 0, scratch);
        if (scratch == ctx->scratch) poll(ctx); /* the caller's own thread */
    }
    return i;
}

/* Sets the first n ranges to this turn, with nothing taken yet or nothing to take. */
static void set_ranges(lcy_run *run, int n, uint64_t taken) {
    for (int t = 0; t < n; t++) atomic_store(&run->range[t].taken, run->turn << TAKEN_BITS | taken);
}

/* Goes on with step `next`: opens its turn, or ends the run. Only the thread that ended the last turn is here. */
static void go_on(lcy_ctx *ctx, int32_t next, lcy_scratch *scratch) {
    lcy_run *run = &ctx->run;
    const int32_t first = do_small_steps(ctx, next, scratch);
    run->stopped = atomic_load(&ctx->abort);
    if (first >= ctx->plan->n_steps || run->stopped) {
        atomic_store(&run->running, 0);
        lcy_gate_open(&run->gate);
        return;
    }
    const int n_threads = run->threads;
    const lcy_step *step = &ctx->plan->steps[first];
    const int32_t chunks = lcy_step_chunks(ctx, step, n_threads);
    const int can_help = chunks <= LCY_HELP_CHUNKS && lcy_step_can_help(ctx, step, n_threads);
    run->turn++;
    set_ranges(run, n_threads, NOT_YET); /* before the rest changes: see look() */
    atomic_store(&run->n_threads, n_threads);
    atomic_store(&run->step, first);
    atomic_store(&run->chunks, chunks);
    atomic_store(&run->can_help, can_help);
    atomic_store(&run->tokens, lcy_step_tokens(ctx, step));
    atomic_store(&run->done, 0);
    set_ranges(run, n_threads, 0);
    lcy_gate_open(&run->gate);
}

/* Both numbers are read before this chunk counts: after that the turn may be another. */
static void chunk_done(lcy_ctx *ctx, lcy_scratch *scratch) {
    lcy_run *run = &ctx->run;
    const int32_t step = atomic_load(&run->step), chunks = atomic_load(&run->chunks);
    if (atomic_fetch_add(&run->done, 1) + 1 == chunks)
        go_on(ctx, step + lcy_step_together(&ctx->plan->steps[step]), scratch);
}

/* What a thread knows of the turn it works in: copied, because a late thread must not follow the turns after it. */
typedef struct {
    uint64_t turn;
    int32_t step, chunks, can_help, tokens;
    int n_threads;
} view;

/* 0: no turn is open. The first range says before and after whether all that was copied is of one turn. */
static int look(lcy_run *run, view *v) {
    const uint64_t taken = atomic_load(&run->range[0].taken), turn = taken >> TAKEN_BITS;
    *v = (view){turn, atomic_load(&run->step), atomic_load(&run->chunks), atomic_load(&run->can_help),
                atomic_load(&run->tokens), atomic_load(&run->n_threads)};
    return (taken & NOT_YET) != NOT_YET && atomic_load(&run->range[0].taken) >> TAKEN_BITS == turn;
}

static int is_over(lcy_run *run, const view *v) { return atomic_load(&run->range[0].taken) >> TAKEN_BITS != v->turn; }

/* ---- ranges ---- */

static int32_t range_start(const view *v, int t) { return (int32_t)((int64_t)v->chunks * t / v->n_threads); }

/* The next chunk of range t; -1: none is left, or the turn is over. */
static int32_t take(lcy_run *run, const view *v, int t) {
    const int32_t first = range_start(v, t), chunks = range_start(v, t + 1) - first;
    uint64_t taken = atomic_load(&run->range[t].taken);
    while (taken >> TAKEN_BITS == v->turn && (int32_t)(taken & NOT_YET) < chunks)
        if (atomic_compare_exchange_weak(&run->range[t].taken, &taken, taken + 1)) return first + (int32_t)(taken & NOT_YET);
    return -1;
}

/* The next chunk for a thread: of its own range, then of those after it. */
static int32_t take_any(lcy_run *run, const view *v, int thread) {
    int32_t chunk = -1;
    for (int i = 0; i < v->n_threads && chunk < 0; i++) chunk = take(run, v, (thread + i) % v->n_threads);
    return chunk;
}

/* ---- chunks ---- */

/* The right to put chunk c of this turn into place; only one thread ever gets it. */
static int win(lcy_run *run, const view *v, int32_t c) {
    uint64_t last = atomic_load(&run->won[c]);
    while (last < v->turn)
        if (atomic_compare_exchange_weak(&run->won[c], &last, v->turn)) return 1;
    return 0;
}

static void do_private(lcy_ctx *ctx, const view *v, int32_t c, lcy_scratch *scratch) {
    const lcy_step *step = &ctx->plan->steps[v->step];
    lcy_step_compute(ctx, step, v->n_threads, v->tokens, c, scratch->result);
    if (!win(&ctx->run, v, c)) return;
    lcy_step_place(ctx, step, v->n_threads, v->tokens, c, scratch->result);
    chunk_done(ctx, scratch);
}

static void do_chunk(lcy_ctx *ctx, const view *v, int32_t c, lcy_scratch *scratch) {
    if (v->can_help) {
        do_private(ctx, v, c, scratch);
        return;
    }
    lcy_step_run(ctx, &ctx->plan->steps[v->step], v->n_threads, c, scratch);
    chunk_done(ctx, scratch);
}

/* Does again what others have had for too long. */
static void help(lcy_ctx *ctx, const view *v, lcy_scratch *scratch) {
    for (int32_t c = 0; c < v->chunks && !is_over(&ctx->run, v); c++)
        if (atomic_load(&ctx->run.won[c]) < v->turn) do_private(ctx, v, c, scratch);
}

/* ---- threads ---- */

void lcy_run_thread(void *arg, int thread) {
    lcy_ctx *ctx = arg;
    lcy_run *run = &ctx->run;
    lcy_scratch *scratch = &ctx->scratch[thread];
    while (atomic_load(&run->running)) {
        const unsigned seen = atomic_load(&run->gate.turn);
        view v;
        const int open = look(run, &v);
        const int32_t chunk = open ? take_any(run, &v, thread) : -1;
        if (chunk >= 0) {
            do_chunk(ctx, &v, chunk, scratch);
        } else if (!lcy_gate_spin(&run->gate, seen)) {
            if (open && v.can_help) help(ctx, &v, scratch);
            if (atomic_load(&run->running)) lcy_gate_sleep(&run->gate, seen);
        }
        if (thread == 0) poll(ctx);
    }
}

int lcy_run_ubatch(lcy_ctx *ctx, int n_threads) {
    lcy_run *run = &ctx->run;
    run->threads = n_threads;
    ctx->next_poll_ns = lcy_now_ns() + POLL_NS;
    atomic_store(&run->running, 1);
    go_on(ctx, 0, ctx->scratch);
    lcy_pool_start(ctx->pool, n_threads);
    lcy_run_thread(ctx, 0);
    return run->stopped;
}
