/* probe.c: measures the machine. Threads of its own: nothing here is on the way of a token. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels.h"
#include "probe.h"

enum { MAX_THREADS = 512, PASSES = 64 };

typedef struct {
    const lcy_kernels *kernels; /* NULL: read memory */
    const uint64_t *words;
    int64_t n;
    int64_t work; /* out: what was done in a pass */
    int32_t sink;
} job;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Eight sums at once: enough loads in flight for any memory. */
static void read_words(job *j) {
    uint64_t sum[8] = {0};
    for (int64_t i = 0; i + 8 <= j->n; i += 8)
        for (int l = 0; l < 8; l++) sum[l] += j->words[i + l];
    for (int l = 1; l < 8; l++) sum[0] += sum[l];
    j->sink = (int32_t)sum[0];
    j->work = 8 * j->n;
}

static void *run(void *arg) {
    job *j = arg;
    if (j->kernels)
        j->work = j->kernels->int8_peak(j->n, &j->sink);
    else
        read_words(j);
    return NULL;
}

/* One pass of all jobs side by side; work per second, 0 if a thread cannot be had. */
static double pass(job *jobs, int threads) {
    pthread_t id[MAX_THREADS];
    int started = 1;
    const double start = now();
    while (started < threads && !pthread_create(&id[started], NULL, run, &jobs[started])) started++;
    if (started == threads) run(&jobs[0]);
    for (int i = 1; i < started; i++) pthread_join(id[i], NULL);
    int64_t work = 0;
    for (int i = 0; i < threads; i++) work += jobs[i].work;
    return started == threads ? (double)work / (now() - start) : 0;
}

static double best_of(job *jobs, int threads, double seconds) {
    const double end = now() + seconds;
    double best = 0;
    for (int i = 0; i < PASSES && (i < 2 || now() < end); i++) {
        const double rate = pass(jobs, threads);
        if (rate == 0) return 0;
        if (rate > best) best = rate;
    }
    return best;
}

static int clamp(int threads) { return threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads; }

double lcy_probe_read(int threads, int64_t bytes, double seconds) {
    threads = clamp(threads);
    const int64_t words = bytes / 8 / threads;
    uint64_t *memory = words > 0 ? malloc((size_t)(words * threads) * 8) : NULL;
    job *jobs = calloc((size_t)threads, sizeof *jobs);
    double rate = 0;
    if (memory && jobs) {
        memset(memory, 1, (size_t)(words * threads) * 8); /* pages of their own, not one of zeros */
        for (int i = 0; i < threads; i++) jobs[i] = (job){.words = memory + i * words, .n = words};
        rate = best_of(jobs, threads, seconds);
    }
    free(jobs);
    free(memory);
    return rate;
}

/* The strongest level that the CPU can run; plain C is "reference". */
static const char *strongest(uint32_t cpu) {
    const char *name = "reference";
    const lcy_isa *isa;
    for (int i = 0; (isa = lcy_isa_at(i)); i++)
        if ((cpu & isa->needs) == isa->needs) name = isa->name;
    return name;
}

double lcy_probe_int8(int threads, double seconds, const char **level) {
    enum { ROUNDS = 20000 };
    threads = clamp(threads);
    const uint32_t cpu = lcy_cpu_features();
    lcy_kernels kernels;
    job *jobs = calloc((size_t)threads, sizeof *jobs);
    double rate = 0;
    *level = strongest(cpu);
    if (jobs) {
        lcy_kernels_init(&kernels, cpu);
        for (int i = 0; i < threads; i++) jobs[i] = (job){.kernels = &kernels, .n = ROUNDS};
        rate = best_of(jobs, threads, seconds);
    }
    free(jobs);
    return rate;
}
