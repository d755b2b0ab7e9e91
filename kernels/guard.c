/* guard.c: the SIGBUS handler. It runs on whatever thread touched the page, so it only reads a table of atomics. */
#define _GNU_SOURCE
#include "guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST = 1024 };

static struct {
    atomic_uintptr_t start, end, last; /* end 0: free; last: the address of the last byte */
    atomic_int lost;
} guarded[MOST];
static atomic_int used; /* entries that have ever been in use */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;
static uintptr_t page;

static int number_of(uintptr_t at) {
    for (int i = 0; i < atomic_load(&used); i++)
        if (at >= atomic_load(&guarded[i].start) && at < atomic_load(&guarded[i].end)) return i;
    return -1;
}

/* Nothing after the first page that cannot be read is worth keeping. */
static int replace(int number, uintptr_t at) {
    const uintptr_t first = at & ~(page - 1);
    const size_t rest = atomic_load(&guarded[number].end) - first;
    if (mmap((void *)first, rest, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) return 0;
    atomic_store(&guarded[number].lost, 1);
    return 1;
}

static void on_bus_error(int signal, siginfo_t *info, void *context) {
    const uintptr_t at = (uintptr_t)info->si_addr;
    const int number = number_of(at);
    if (number >= 0 && replace(number, at)) return;
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(signal, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        before.sa_handler(signal);
    else
        sigaction(SIGBUS, &before, NULL); /* the access is tried again and ends the process, as it would have */
}

/* Someone may have put another handler over ours; what they have is asked when the address is not one of ours. */
static void install(void) {
    struct sigaction now, ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (sigaction(SIGBUS, NULL, &now) || ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_bus_error)) return;
    before = now;
    ours.sa_sigaction = on_bus_error;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGBUS, &ours, NULL);
}

int lcy_guard_add(const void *start, size_t bytes) {
    int number = -1;
    pthread_mutex_lock(&changing);
    page = (uintptr_t)sysconf(_SC_PAGESIZE);
    install();
    for (int i = 0; i < MOST && number < 0; i++)
        if (!atomic_load(&guarded[i].end)) number = i;
    if (number >= 0) {
        atomic_store(&guarded[number].lost, 0);
        atomic_store(&guarded[number].start, (uintptr_t)start);
        atomic_store(&guarded[number].last, (uintptr_t)start + bytes - 1);
        atomic_store(&guarded[number].end, ((uintptr_t)start + bytes + page - 1) & ~(page - 1));
        if (number >= atomic_load(&used)) atomic_store(&used, number + 1);
    }
    pthread_mutex_unlock(&changing);
    return number;
}

void lcy_guard_remove(int number) {
    if (number < 0) return;
    pthread_mutex_lock(&changing);
    atomic_store(&guarded[number].end, 0);
    pthread_mutex_unlock(&changing);
}

int lcy_guard_whole(int number) {
    if (number < 0) return 1;
    (void)*((const volatile uint8_t *)atomic_load(&guarded[number].last));
    return !atomic_load(&guarded[number].lost);
}
