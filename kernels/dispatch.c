/* dispatch.c: the only file that asks which CPU this is. Fills the kernel table from plain C upward. */
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "ops/ops.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* ---- plain C: a product is the format's dot, row by row ---- */

static void matmul_by_dot(lcy_dot_fn dot, int64_t k, int64_t rows, int64_t tokens, const uint8_t *w, int64_t w_stride,
                          const uint8_t *x, int64_t x_stride, float *out, int64_t out_stride) {
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t r = 0; r < rows; r++)
            out[t * out_stride + r] = dot(k, w + r * w_stride, x + t * x_stride);
}

#define X(name)                                                                                                      \
    extern const lcy_format lcy_format_##name;                                                                       \
    static void matmul_##name(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,              \
                              const void *x, int64_t x_stride, float *out, int64_t out_stride) {                     \
        matmul_by_dot(lcy_format_##name.dot, k, rows, tokens, w, w_stride, x, x_stride, out, out_stride);            \
    }
#include "formats.inc"
#undef X

static void fill_reference(lcy_kernels *k) {
    memset(k, 0, sizeof *k);
    fill_ops(k);
#define X(name)                                                                               \
    {                                                                                         \
        const lcy_format *f = &lcy_format_##name;                                             \
        k->matmul[f->type] = f->dot ? matmul_##name : NULL;                                   \
        k->to_float[f->type] = f->to_float;                                                   \
        k->from_float[f->type] = f->from_float;                                               \
        k->quantize[f->type] = f->quantize;                                                   \
    }
#include "formats.inc"
#undef X
}

/* ---- the levels built for this architecture, weakest first ---- */

#define X(name) extern const lcy_isa lcy_isa_##name;
#include "isas.inc"
#undef X

#define X(name) &lcy_isa_##name,
static const lcy_isa *const lcy_isas[] = {
#include "isas.inc"
    NULL};
#undef X

const lcy_isa *lcy_isa_at(int i) {
    if (i < 0 || (size_t)i >= sizeof lcy_isas / sizeof lcy_isas[0]) return NULL;
    return lcy_isas[i];
}

void lcy_kernels_init(lcy_kernels *k, uint32_t cpu) {
    fill_reference(k);
    for (const lcy_isa *const *i = lcy_isas; *i; i++)
        if ((cpu & (*i)->needs) == (*i)->needs) (*i)->fill(k);
}

/* ---- the CPU ---- */

#if defined(__x86_64__)

/* The register state that the operating system saves: without it the registers may not be used, whatever cpuid says. */
static uint64_t saved_state(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static int bit(uint32_t word, int i) { return word >> i & 1; }

static uint32_t detect(void) {
    enum { YMM = 0x6, ZMM = 0xe6, TILES = 0x60000 };
    uint32_t a, b, c, d, c1, b7, c7, d7, a71 = 0, cpu = 0;
    if (!__get_cpuid(1, &a, &b, &c1, &d) || !bit(c1, 27) || !bit(c1, 28)) return 0; /* OSXSAVE, AVX */
    const uint64_t saved = saved_state();
    if ((saved & YMM) != YMM || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return 0;
    if (a >= 1) __get_cpuid_count(7, 1, &a71, &b, &c, &d);
    if (bit(b7, 5)) cpu |= LCY_CPU_AVX2;
    if (bit(c1, 12)) cpu |= LCY_CPU_FMA;
    if (bit(c1, 29)) cpu |= LCY_CPU_F16C;
    if (bit(a71, 4)) cpu |= LCY_CPU_AVX_VNNI;
    if ((saved & TILES) == TILES && bit(d7, 24) && bit(d7, 25)) cpu |= LCY_CPU_AMX_INT8;
    if ((saved & ZMM) != ZMM) return cpu;
    if (bit(b7, 16) && bit(b7, 17) && bit(b7, 28) && bit(b7, 30) && bit(b7, 31)) cpu |= LCY_CPU_AVX512;
    if (bit(c7, 11)) cpu |= LCY_CPU_AVX512_VNNI;
    if (bit(a71, 5)) cpu |= LCY_CPU_AVX512_BF16;
    if (bit(c7, 1)) cpu |= LCY_CPU_AVX512_VBMI;
    return cpu;
}

#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

static uint32_t detect(void) {
    enum { ASIMDDP = 20, I8MM = 13 }; /* bits of the kernel's HWCAP and HWCAP2 for arm64 */
    uint32_t cpu = LCY_CPU_NEON;
    if (getauxval(AT_HWCAP) >> ASIMDDP & 1) cpu |= LCY_CPU_DOTPROD;
    if (getauxval(AT_HWCAP2) >> I8MM & 1) cpu |= LCY_CPU_I8MM;
    return cpu;
}

#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>

static int has(const char *feature) {
    int yes = 0;
    size_t size = sizeof yes;
    return sysctlbyname(feature, &yes, &size, NULL, 0) == 0 && yes; /* a name that an older system lacks is a no */
}

static uint32_t detect(void) {
    uint32_t cpu = LCY_CPU_NEON;
    if (has("hw.optional.arm.FEAT_DotProd")) cpu |= LCY_CPU_DOTPROD;
    if (has("hw.optional.arm.FEAT_I8MM")) cpu |= LCY_CPU_I8MM;
    return cpu;
}

#elif defined(__aarch64__)

static uint32_t detect(void) { return LCY_CPU_NEON; }

#else

static uint32_t detect(void) { return 0; }

#endif

/* What the levels up to the named one need; everything if there is no such level. */
static uint32_t needs_up_to(const char *name) {
    uint32_t mask = 0;
    for (const lcy_isa *const *i = lcy_isas; *i; i++) {
        mask |= (*i)->needs;
        if (strcmp((*i)->name, name) == 0) return mask;
    }
    return UINT32_MAX;
}

static uint32_t limited(uint32_t cpu) {
    const char *limit = getenv("LLAMACY_CPU");
    if (!limit || !*limit) return cpu;
    if (strcmp(limit, "reference") == 0) return 0;
    return cpu & needs_up_to(limit);
}

/* AMX's tiles are 8 KiB of registers, which Linux (since 5.16) gives to processes that ask; without, the first instruction
 * ends the process. The answer holds for all threads, started before or later, and for children, until exec; to ask again
 * does no harm. It is a no, say, where a thread's signal stack is too small for 8 KiB more. */
static int tiles_are_allowed(void) {
#if defined(__x86_64__) && defined(__linux__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return 0;
#endif
}

uint32_t lcy_cpu_features(void) {
    const uint32_t cpu = limited(detect());
    if (cpu & LCY_CPU_AMX_INT8 && !tiles_are_allowed()) return cpu & ~(uint32_t)LCY_CPU_AMX_INT8;
    return cpu;
}
