/* pool.h: the threads that run a plan, and the gate they wait at.
 *
 * A wait spins for some microseconds, then sleeps in the kernel: on a busy machine nobody burns the time that the others
 * need. There is no meeting of all threads anywhere: a thread that the system has taken off its core is not waited for. */
#ifndef LCY_POOL_H
#define LCY_POOL_H

#include <stdatomic.h>

#include "lcy.h"

#if !defined(__linux__)
#include <pthread.h>
#endif

/* A counter that threads wait at until it is no longer what they last saw. */
typedef struct lcy_gate {
    _Alignas(64) atomic_uint turn;
    atomic_int sleepers;
#if !defined(__linux__)
    pthread_mutex_t mutex;
    pthread_cond_t cond;
#endif
} lcy_gate;

int lcy_gate_init(lcy_gate *gate); /* 0: done */
void lcy_gate_destroy(lcy_gate *gate);
void lcy_gate_open(lcy_gate *gate); /* one turn further; wakes those who sleep */

/* Spins while turn == seen, at most a few microseconds; 1: it has turned. */
int lcy_gate_spin(lcy_gate *gate, unsigned seen);
void lcy_gate_sleep(lcy_gate *gate, unsigned seen); /* returns once turn != seen */

typedef struct lcy_pool lcy_pool;
typedef void (*lcy_pool_body)(void *arg, int thread);

/* Threads 1 .. max_threads - 1, asleep; each runs body(arg, its number) after every start that includes it. The caller is
 * thread 0 and not in the pool. NULL: no memory or no threads to be had. */
lcy_pool *lcy_pool_new(int max_threads, lcy_pool_body body, void *arg);
void lcy_pool_free(lcy_pool *pool); /* accepts NULL; waits until all bodies have returned */

/* Lets the threads below n_threads run their bodies once; does not wait for them. One that is still in its body stays. */
void lcy_pool_start(lcy_pool *pool, int n_threads);

#endif
