/* kernels.h: one typedef and one contract per kernel, and the table of them.
 *
 * A kernel is pure: pointers and sizes in, memory out, no globals, no allocation. Whatever the ISA, the result equals
 * that of the plain C entry of the table bit for bit (the order of every reduction is fixed, see lcy.h).
 */
#ifndef LCY_KERNELS_H
#define LCY_KERNELS_H

#include "lcy.h"

/* out[t * out_stride + r] = dot(row r of w, row t of x) for r < rows, t < tokens.
 * w: rows of k packed weights, w_stride bytes apart. x: rows of k activations in the weight's dot_with format, x_stride
 * bytes apart. out_stride in floats. rows and tokens may be any number >= 0. Nothing outside the result is written and
 * nothing outside the rows is read. */
typedef void (*lcy_matmul_fn)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,
                              const void *x, int64_t x_stride, float *out, int64_t out_stride);

/* f16 -> f16 tables over all 65536 bit patterns: the reference rounds exp and SiLU through F16. */
typedef struct lcy_tables {
    uint16_t exp[65536 + 1];  /* one more, so that 32-bit gathers of 16-bit entries stay inside */
    uint16_t silu[65536 + 1];
} lcy_tables;

/* y[i] = (x[i] * s) * w[i], s = 1 / sqrt(mean(x^2) + eps); squares are summed in double, lane = i mod 8. w may be NULL. */
typedef void (*lcy_rms_norm_fn)(int64_t n, const float *x, const float *w, float eps, float *y);

/* y[i] = silu(g[i]) * u[i], silu through the table. y may be g or u. */
typedef void (*lcy_silu_mul_fn)(int64_t n, const float *g, const float *u, float *y, const lcy_tables *t);

/* x[i] = exp(x[i] * scale - max) / sum, in place; exp through the table, sum in double. n >= 1. */
typedef void (*lcy_softmax_fn)(int64_t n, float *x, float scale, const lcy_tables *t);

/* The rows of one head of K or V, as a sequence sees them: its i-th cell is number cells[i]. */
typedef struct lcy_head {
    const void *rows;     /* of cell 0 */
    int64_t stride;       /* bytes from cell to cell */
    const int32_t *cells; /* in the order of positions */
    lcy_to_float_fn to_float; /* of a packed format, and the size of its blocks; else not looked at */
    int32_t block, bytes;
} lcy_head;

enum { LCY_SPAN = 512, LCY_BAND = 64 }; /* cells and channels of values that are summed in one go */

/* Floats of scratch memory that kq and pv need for heads of d and so many query rows. */
static inline int64_t lcy_attention_scratch(int64_t d, int64_t rows) {
    return rows * (d + 16 * LCY_BAND) + (d > LCY_BAND ? d : LCY_BAND) * LCY_SPAN;
}

/* out[r * out_stride + i] = dot(row r of q, row i of k) for r < rows, i < n. q (rows, d) is prepared: f32 for F32, f32
 * rounded through f16 for F16. One read of a key serves all rows. Order: ops/attention.h. */
typedef void (*lcy_kq_fn)(int64_t d, int64_t n, const lcy_head *k, int64_t rows, const float *q, float *out,
                          int64_t out_stride, float *scratch);

/* out[r][j] = sum over i < n[r] of p[r * p_stride + i] * (row i of v)[j]: 16 lanes, lane = i mod 16, fma, then the tree of
 * lcy_sum16. One read of a value serves all rows, the better the closer their n are. */
typedef void (*lcy_pv_fn)(int64_t d, int64_t rows, const int32_t *n, const lcy_head *v, const float *p, int64_t p_stride,
                          float *const *out, float *scratch);

/* Attention of one query row over f16 keys and values as the reference's -fa does it on a CPU: one pass, running maximum,
 * the sum of values kept in f16. q (d) rounded through f16. out (d). */
typedef void (*lcy_flash_fn)(int64_t d, int64_t n, const lcy_head *k, const lcy_head *v, const float *q, float scale,
                             float *out);

/* Multiplies bytes in registers, as fast as this level can: what a product of quantized weights cannot exceed.
 * Returns the number of multiply-adds done; *sink gets a number that depends on all of them. */
typedef int64_t (*lcy_int8_peak_fn)(int64_t rounds, int32_t *sink);

/* CPU features that an ISA level may need. */
enum {
    LCY_CPU_AVX2 = 1 << 0,
    LCY_CPU_FMA = 1 << 1,
    LCY_CPU_F16C = 1 << 2,
    LCY_CPU_AVX512 = 1 << 3,      /* F, BW, DQ, VL, CD */
    LCY_CPU_AVX512_VNNI = 1 << 4,
    LCY_CPU_AVX512_BF16 = 1 << 5,
    LCY_CPU_AVX_VNNI = 1 << 6,
    LCY_CPU_AVX512_VBMI = 1 << 7,
    LCY_CPU_NEON = 1 << 8,
    LCY_CPU_DOTPROD = 1 << 9,
    LCY_CPU_I8MM = 1 << 10,
    LCY_CPU_AMX_INT8 = 1 << 11
};

typedef struct lcy_kernels {
    lcy_matmul_fn matmul[LCY_TYPE_COUNT];         /* by type of the weights */
    lcy_to_float_fn to_float[LCY_TYPE_COUNT];     /* NULL where the format has none */
    lcy_from_float_fn from_float[LCY_TYPE_COUNT]; /* NULL where the format has none */
    lcy_rms_norm_fn rms_norm;
    lcy_silu_mul_fn silu_mul;
    lcy_softmax_fn softmax;
    lcy_kq_fn kq_f16, kq_f32;
    lcy_pv_fn pv_f16, pv_f32, pv_packed; /* packed: any format that has to_float */
    lcy_flash_fn flash_f16;
    lcy_quantize_fn quantize[LCY_TYPE_COUNT];     /* NULL where the format has none */
    lcy_int8_peak_fn int8_peak;
} lcy_kernels;

/* An ISA level: a folder with one isa.c that exports one of these. */
typedef struct lcy_isa {
    const char *name;            /* folder name: "avx2" */
    uint32_t needs;              /* CPU features, all of them */
    void (*fill)(lcy_kernels *); /* replaces the entries it does better */
} lcy_isa;

/* The features of this CPU, masked by the environment's LLAMACY_CPU if set (a level's name: that level and those below
 * it; "reference": none). AMX is among them once the system has allowed this process its tiles, which this call asks for. */
LCY_API uint32_t lcy_cpu_features(void);

/* Fills the table: plain C first, then every built level that `cpu` has all needs of, weakest first. */
LCY_API void lcy_kernels_init(lcy_kernels *k, uint32_t cpu);

/* The built levels, weakest first, for tests and reports. i from 0; NULL after the last. */
LCY_API const lcy_isa *lcy_isa_at(int i);

#endif
