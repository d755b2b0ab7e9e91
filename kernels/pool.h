/* pool.h: the threads that run a plan.
 *
 * One call runs `body` on every thread at once; inside, threads share work through counters and meet at barriers. A wait
 * spins for some microseconds, then sleeps in the kernel: on a busy machine nobody burns the time that the others need. */
#ifndef LCY_POOL_H
#define LCY_POOL_H

#include "lcy.h"

typedef struct lcy_pool lcy_pool;
typedef void (*lcy_pool_body)(void *arg, int thread, int n_threads);

/* A pool for up to max_threads (>= 1); its threads sleep until the first run. NULL: no memory or no threads to be had. */
lcy_pool *lcy_pool_new(int max_threads);
void lcy_pool_free(lcy_pool *pool); /* accepts NULL */

/* Runs body(arg, i, n_threads) for i < n_threads; i = 0 is the caller. Returns when all have returned. */
void lcy_pool_run(lcy_pool *pool, int n_threads, lcy_pool_body body, void *arg);

/* For the threads of one run: returns once all n_threads have called it. The last to arrive runs `last` (may be NULL)
 * before anyone goes on. */
void lcy_pool_barrier(lcy_pool *pool, int n_threads, void (*last)(void *), void *arg);

#endif
