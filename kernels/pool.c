/* pool.c: threads and gates on futexes (Linux) or condition variables (elsewhere). */
#include "pool.h"

#include <pthread.h>
#include <signal.h>
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

enum {
    STACK = 1 << 20, /* bytes; kernels keep 200 KiB of prepared activations there, and not every C library gives as much */
    SPINS = 400,     /* 5 to 25 us with `pause`: longer than most steps of one token, far shorter than a time slice */
};

#if defined(__linux__)
int lcy_gate_init(lcy_gate *g) {
    atomic_init(&g->turn, 0);
    atomic_init(&g->sleepers, 0);
    return 0;
}
void lcy_gate_destroy(lcy_gate *g) { (void)g; }
static void sleep_at(lcy_gate *g, unsigned seen) {
    syscall(SYS_futex, &g->turn, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}
void lcy_gate_open(lcy_gate *g) {
    atomic_fetch_add(&g->turn, 1);
    if (atomic_load(&g->sleepers)) syscall(SYS_futex, &g->turn, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
}
#else
int lcy_gate_init(lcy_gate *g) {
    atomic_init(&g->turn, 0);
    atomic_init(&g->sleepers, 0);
    return pthread_mutex_init(&g->mutex, NULL) || pthread_cond_init(&g->cond, NULL);
}
void lcy_gate_destroy(lcy_gate *g) {
    pthread_cond_destroy(&g->cond);
    pthread_mutex_destroy(&g->mutex);
}
static void sleep_at(lcy_gate *g, unsigned seen) {
    pthread_mutex_lock(&g->mutex);
    while (atomic_load(&g->turn) == seen) pthread_cond_wait(&g->cond, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}
void lcy_gate_open(lcy_gate *g) {
    pthread_mutex_lock(&g->mutex);
    atomic_fetch_add(&g->turn, 1);
    pthread_cond_broadcast(&g->cond);
    pthread_mutex_unlock(&g->mutex);
}
#endif

int lcy_gate_spin(lcy_gate *g, unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&g->turn, memory_order_acquire) != seen) return 1;
        cpu_relax();
    }
    return 0;
}

void lcy_gate_sleep(lcy_gate *g, unsigned seen) {
    atomic_fetch_add(&g->sleepers, 1);
    while (atomic_load(&g->turn) == seen) sleep_at(g, seen);
    atomic_fetch_sub(&g->sleepers, 1);
}

struct lcy_pool {
    lcy_gate start; /* turns when a run begins */
    lcy_pool_body body;
    void *arg;
    int n_created;
    atomic_int n_active, closing;
    struct worker {
        lcy_pool *pool;
        pthread_t id;
        int index;
    } *workers;
};

static void *work(void *arg) {
    struct worker *w = arg;
    lcy_pool *pool = w->pool;
    for (unsigned seen = 0;;) {
        if (!lcy_gate_spin(&pool->start, seen)) lcy_gate_sleep(&pool->start, seen);
        seen = atomic_load(&pool->start.turn);
        if (atomic_load(&pool->closing)) return NULL;
        if (w->index < atomic_load(&pool->n_active)) pool->body(pool->arg, w->index);
    }
}

/* Signals belong to the caller's thread: workers start with all of them blocked but those that their own steps can raise. */
static int start_worker(struct worker *w) {
    sigset_t all, before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes)) return 1;
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all);
    for (int i = 0; i < 4; i++) sigdelset(&all, (int[]){SIGBUS, SIGSEGV, SIGFPE, SIGILL}[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int err = pthread_create(&w->id, &attributes, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return err;
}

lcy_pool *lcy_pool_new(int max_threads, lcy_pool_body body, void *arg) {
    lcy_pool *pool = aligned_alloc(64, (sizeof(lcy_pool) + 63) & ~(size_t)63);
    if (!pool) return NULL;
    *pool = (lcy_pool){.body = body, .arg = arg};
    pool->workers = calloc((size_t)max_threads, sizeof *pool->workers);
    if (!pool->workers || lcy_gate_init(&pool->start)) {
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
    lcy_gate_open(&pool->start);
    for (int i = 1; i <= pool->n_created; i++) pthread_join(pool->workers[i].id, NULL);
    lcy_gate_destroy(&pool->start);
    free(pool->workers);
    free(pool);
}

void lcy_pool_start(lcy_pool *pool, int n_threads) {
    atomic_store(&pool->n_active, n_threads);
    if (n_threads > 1) lcy_gate_open(&pool->start);
}
