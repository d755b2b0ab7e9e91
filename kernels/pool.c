/* pool.c: a pool of threads on futexes (Linux) or a condition variable (elsewhere). */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__) || defined(__i386__)
#define cpu_relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define cpu_relax() __asm__ __volatile__("yield")
#else
#define cpu_relax() ((void)0)
#endif

enum { SPINS = 800 }; /* 10 to 50 us with `pause`: longer than most steps of one token, far shorter than a time slice */

/* A counter that threads can wait on until it differs from what they last saw. */
typedef struct gate {
    _Alignas(64) atomic_uint turn;
    atomic_int sleepers;
#if !defined(__linux__)
    pthread_mutex_t mutex;
    pthread_cond_t cond;
#endif
} gate;

typedef struct meeting {
    gate gate; /* turns when all have arrived */
    _Alignas(64) atomic_int arrived;
} meeting;

struct lcy_pool {
    gate start;      /* turns when a run begins */
    meeting barrier; /* of the run's threads */
    meeting finish;  /* of all threads there are, after a run */
    int max_threads, n_created, n_active;
    atomic_int closing;
    lcy_pool_body body;
    void *arg;
    struct worker {
        lcy_pool *pool;
        pthread_t id;
        int index;
    } *workers;
};

#if defined(__linux__)
static int gate_init(gate *g) {
    atomic_init(&g->turn, 0);
    atomic_init(&g->sleepers, 0);
    return 0;
}
static void gate_destroy(gate *g) { (void)g; }
static void gate_sleep(gate *g, unsigned seen) {
    syscall(SYS_futex, &g->turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}
static void gate_open(gate *g) {
    atomic_fetch_add(&g->turn, 1);
    if (atomic_load(&g->sleepers)) syscall(SYS_futex, &g->turn, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
}
#else
static int gate_init(gate *g) {
    atomic_init(&g->turn, 0);
    atomic_init(&g->sleepers, 0);
    return pthread_mutex_init(&g->mutex, NULL) || pthread_cond_init(&g->cond, NULL);
}
static void gate_destroy(gate *g) {
    pthread_cond_destroy(&g->cond);
    pthread_mutex_destroy(&g->mutex);
}
static void gate_sleep(gate *g, unsigned seen) {
    pthread_mutex_lock(&g->mutex);
    while (atomic_load(&g->turn) == seen) pthread_cond_wait(&g->cond, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}
static void gate_open(gate *g) {
    pthread_mutex_lock(&g->mutex);
    atomic_fetch_add(&g->turn, 1);
    pthread_cond_broadcast(&g->cond);
    pthread_mutex_unlock(&g->mutex);
}
#endif

static void gate_wait(gate *g, unsigned seen, int spins) {
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(&g->turn, memory_order_acquire) != seen) return;
        cpu_relax();
    }
    atomic_fetch_add(&g->sleepers, 1);
    while (atomic_load(&g->turn) == seen) gate_sleep(g, seen);
    atomic_fetch_sub(&g->sleepers, 1);
}

static void meet(meeting *m, int n_threads, void (*last)(void *), void *arg) {
    const unsigned seen = atomic_load(&m->gate.turn);
    if (atomic_fetch_add(&m->arrived, 1) + 1 < n_threads) {
        gate_wait(&m->gate, seen, SPINS);
        return;
    }
    atomic_store(&m->arrived, 0);
    if (last) last(arg);
    gate_open(&m->gate);
}

void lcy_pool_barrier(lcy_pool *pool, int n_threads, void (*last)(void *), void *arg) {
    if (n_threads > 1)
        meet(&pool->barrier, n_threads, last, arg);
    else if (last)
        last(arg);
}

static void *work(void *arg) {
    struct worker *w = arg;
    lcy_pool *pool = w->pool;
    unsigned seen = 0;
    for (;;) {
        gate_wait(&pool->start, seen, SPINS);
        seen = atomic_load(&pool->start.turn);
        if (atomic_load(&pool->closing)) return NULL;
        if (w->index < pool->n_active) pool->body(pool->arg, w->index, pool->n_active);
        meet(&pool->finish, pool->n_created + 1, NULL, NULL);
    }
}

/* Signals belong to the caller's thread: workers start with all of them blocked. */
static int start_worker(struct worker *w) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int err = pthread_create(&w->id, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

lcy_pool *lcy_pool_new(int max_threads) {
    lcy_pool *pool = aligned_alloc(64, (sizeof(lcy_pool) + 63) & ~(size_t)63);
    if (!pool) return NULL;
    *pool = (lcy_pool){.max_threads = max_threads};
    pool->workers = calloc((size_t)max_threads, sizeof *pool->workers);
    if (!pool->workers || gate_init(&pool->start) || gate_init(&pool->barrier.gate) || gate_init(&pool->finish.gate)) {
        free(pool->workers);
        free(pool);
        return NULL;
    }
    for (int i = 1; i < max_threads; i++) {
        struct worker *w = &pool->workers[i];
        *w = (struct worker){.pool = pool, .index = i};
        if (start_worker(w)) {
            lcy_pool_free(pool);
            return NULL;
        }
        pool->n_created++;
    }
    return pool;
}

void lcy_pool_free(lcy_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->closing, 1);
    gate_open(&pool->start);
    for (int i = 1; i <= pool->n_created; i++) pthread_join(pool->workers[i].id, NULL);
    gate_destroy(&pool->start);
    gate_destroy(&pool->barrier.gate);
    gate_destroy(&pool->finish.gate);
    free(pool->workers);
    free(pool);
}

void lcy_pool_run(lcy_pool *pool, int n_threads, lcy_pool_body body, void *arg) {
    if (n_threads > pool->n_created + 1) n_threads = pool->n_created + 1;
    if (n_threads <= 1) {
        body(arg, 0, 1);
        return;
    }
    pool->body = body;
    pool->arg = arg;
    pool->n_active = n_threads;
    gate_open(&pool->start);
    body(arg, 0, n_threads);
    meet(&pool->finish, pool->n_created + 1, NULL, NULL);
}
