/* kernel_server.c: runs kernels for tests that cannot load the library: of another architecture, under an emulator.
 *
 * A request on stdin is a struct `request`, then its arguments, then the contents of its buffers in order. The answer
 * on stdout is the function's status and the buffers that it may write. Request RUN_TABLES answers with the table of
 * every level instead (see `tables`). Numbers are little endian. Ends with stdin.
 *
 * A buffer ends where a page without access begins, so that a kernel which reads past its rows crashes; one that may be
 * written has bytes of a pattern before and behind it, which must not change.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels.h"

enum { RUN_TABLES, RUN_MATMUL, RUN_CONVERT, RUN_QUANTIZE, RUN_NORM, RUN_SILU, RUN_SOFTMAX,
       RUN_SCORES, RUN_VALUES, RUN_FLASH };
enum { IS_INTEGER, IS_FLOAT, IS_READ, IS_WRITTEN, IS_NULL, IS_ROOM }; /* of an argument; room: written, but nobody's business */
enum { MOST_ARGUMENTS = 32, MARGIN = 64, PATTERN = 0xA5, TOUCHED = -1000 };

typedef struct { uint32_t what, level, slot, arguments; } request; /* level 0: plain C; slot: of struct lcy_kernels */
typedef struct { int64_t kind, value; } argument;                  /* value: a number, a float's bits, bytes of a buffer */
typedef void (*any_fn)(void);

static void give_up(const char *why) {
    fprintf(stderr, "kernel server: %s\n", why);
    exit(1);
}

static void take(void *p, size_t bytes) {
    if (bytes && fread(p, bytes, 1, stdin) != 1) give_up("the request ends early");
}

static void answer(const void *p, size_t bytes) {
    if (bytes && fwrite(p, bytes, 1, stdout) != 1) give_up("nobody reads the answer");
}

/* ---- buffers ---- */

typedef struct { uint8_t *end; size_t room; } place; /* room bytes before end; after it a page without access */

static uint8_t *buffer_at(place *p, size_t bytes) {
    enum { PAGE = 65536 };
    if (bytes > p->room) {
        p->room = (2 * bytes + PAGE - 1) / PAGE * PAGE;
        uint8_t *all = mmap(NULL, p->room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (all == MAP_FAILED || mprotect(all + p->room, PAGE, PROT_NONE)) give_up("no memory");
        p->end = all + p->room;
    }
    return p->end - bytes;
}

static uint8_t *written_at(place *p, size_t bytes) {
    uint8_t *all = buffer_at(p, bytes + 2 * MARGIN);
    memset(all, PATTERN, bytes + 2 * MARGIN);
    return all + MARGIN;
}

static int margins_are_whole(const uint8_t *p, size_t bytes) {
    for (int i = 0; i < MARGIN; i++)
        if (p[-1 - i] != PATTERN || p[bytes + i] != PATTERN) return 0;
    return 1;
}

/* ---- kernels ---- */

static float float_of(argument a) {
    const uint32_t bits = (uint32_t)a.value;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

/* Six arguments are a head: rows, stride, cells, the slot of to_float (0: none), block, bytes. */
static lcy_head head_of(const lcy_kernels *k, const argument a[], void *const p[]) {
    lcy_head h = {p[0], a[1].value, p[2], NULL, (int32_t)a[4].value, (int32_t)a[5].value};
    if ((uint64_t)a[3].value >= sizeof *k / sizeof h.to_float) give_up("a malformed head");
    if (a[3].value) memcpy(&h.to_float, (const uint8_t *)k + a[3].value * (int64_t)sizeof h.to_float, sizeof h.to_float);
    return h;
}

static int64_t run(uint32_t what, const lcy_kernels *k, any_fn f, const argument a[], void *const p[]) {
    lcy_head h[2];
    float *rows[MOST_ARGUMENTS];
#define N(i) a[i].value
    switch (what) {
    case RUN_MATMUL:
        ((lcy_matmul_fn)f)(N(0), N(1), N(2), p[3], N(4), p[5], N(6), p[7], N(8));
        return 0;
    case RUN_CONVERT:
        ((lcy_from_float_fn)f)(N(0), p[1], p[2]);
        return 0;
    case RUN_QUANTIZE:
        return ((lcy_quantize_fn)f)(N(0), N(1), p[2], p[3], p[4]);
    case RUN_NORM:
        ((lcy_rms_norm_fn)f)(N(0), p[1], p[2], float_of(a[3]), p[4]);
        return 0;
    case RUN_SILU:
        ((lcy_silu_mul_fn)f)(N(0), p[1], p[2], p[3], p[4]);
        return 0;
    case RUN_SOFTMAX:
        ((lcy_softmax_fn)f)(N(0), p[1], float_of(a[2]), p[3]);
        return 0;
    case RUN_SCORES:
        h[0] = head_of(k, a + 2, p + 2);
        ((lcy_kq_fn)f)(N(0), N(1), h, N(8), p[9], p[10], N(11), p[12]);
        return 0;
    case RUN_VALUES: /* each row of the output is an argument of its own */
        h[0] = head_of(k, a + 3, p + 3);
        for (int i = 12; i < MOST_ARGUMENTS; i++) rows[i - 12] = p[i];
        ((lcy_pv_fn)f)(N(0), N(1), p[2], h, p[9], N(10), rows, p[11]);
        return 0;
    case RUN_FLASH:
        h[0] = head_of(k, a + 2, p + 2);
        h[1] = head_of(k, a + 8, p + 8);
        ((lcy_flash_fn)f)(N(0), N(1), h, h + 1, p[14], float_of(a[15]), p[16]);
        return 0;
    default:
        give_up("an unknown request");
        return 0;
    }
#undef N
}

static void fill_table(lcy_kernels *k, uint32_t level) {
    const lcy_isa *isa = level ? lcy_isa_at((int)level - 1) : NULL;
    if (level && !isa) give_up("an unknown level");
    lcy_kernels_init(k, isa ? isa->needs : 0);
}

/* This CPU's features and the number of levels as u32; then plain C and each level: 16 bytes of name, its needs as u64,
 * its table as addresses. */
static void tables(void) {
    uint32_t head[2] = {lcy_cpu_features(), 0};
    while (lcy_isa_at((int)head[1])) head[1]++;
    answer(head, sizeof head);
    for (uint32_t level = 0; level <= head[1]; level++) {
        const lcy_isa *isa = level ? lcy_isa_at((int)level - 1) : NULL;
        char name[16] = {0};
        const uint64_t needs = isa ? isa->needs : 0;
        lcy_kernels k;
        strncpy(name, isa ? isa->name : "reference", sizeof name - 1);
        fill_table(&k, level);
        answer(name, sizeof name);
        answer(&needs, sizeof needs);
        answer(&k, sizeof k);
    }
}

static void serve(const request *r) {
    static place places[MOST_ARGUMENTS];
    argument a[MOST_ARGUMENTS];
    void *p[MOST_ARGUMENTS] = {0};
    lcy_kernels k;
    any_fn f;
    if (r->arguments > MOST_ARGUMENTS || r->slot >= sizeof k / sizeof f) give_up("a malformed request");
    take(a, r->arguments * sizeof *a);
    for (uint32_t i = 0; i < r->arguments; i++) {
        const size_t bytes = (size_t)a[i].value;
        if (a[i].kind != IS_READ && a[i].kind != IS_WRITTEN && a[i].kind != IS_ROOM) continue;
        p[i] = a[i].kind == IS_READ ? buffer_at(places + i, bytes) : written_at(places + i, bytes);
        if (a[i].kind != IS_ROOM) take(p[i], bytes);
    }
    fill_table(&k, r->level);
    memcpy(&f, (const uint8_t *)&k + r->slot * sizeof f, sizeof f);
    int64_t status = run(r->what, &k, f, a, p);
    for (uint32_t i = 0; i < r->arguments; i++)
        if ((a[i].kind == IS_WRITTEN || a[i].kind == IS_ROOM) && !margins_are_whole(p[i], (size_t)a[i].value)) status = TOUCHED;
    answer(&status, sizeof status);
    for (uint32_t i = 0; i < r->arguments; i++)
        if (a[i].kind == IS_WRITTEN) answer(p[i], (size_t)a[i].value);
}

int main(void) {
    for (request r; fread(&r, sizeof r, 1, stdin) == 1; fflush(stdout)) {
        if (r.what == RUN_TABLES) tables();
        else serve(&r);
    }
    return 0;
}
