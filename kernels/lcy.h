/* lcy.h: the types that the kernels and everyone above them share.
 *
 * Knows nothing of Python, files or flags. Sizes are in elements unless a name says bytes; a row is `ne[0]` contiguous
 * elements; ne[0] is the fastest dimension, as in GGUF. Functions never exit, abort or print: they return an lcy_status.
 *
 * The fixed order of every reduction (docs/design.md says why): logits must not depend on threads, batch width or ISA, so a
 * dot product has one order that every kernel of every ISA keeps:
 *   quantized weights   integer sums inside a block are exact; then one step per block, in block order b = 0, 1, ...:
 *                       acc = fma((float) isum_b, dw_b * dx_b, acc); formats with minimums then do
 *                       acc = fma(-(float) msum_b, dmin_b * dx_b, acc). Both products are rounded to f32 before the fma.
 *   short rows          below LCY_SHORT_ROW weights keep the reference's own orders instead: models that small are where one
 *                       last bit, amplified by the rounding of activations, changes a text. They are written down in each
 *                       format's dot; mostly 8 lanes, lane = 4 neighbouring weights, exact lane sums, one fma per lane and
 *                       block, then lcy_sum8. Rows of real models take the order above, which costs an eighth.
 *   F32, F16            see formats/f32.h: 16 lanes, lane = index mod 16, then the halving tree of lcy_sum16.
 *   BF16                see formats/bf16.h: 16 lanes of two neighbours, then the same tree; numbers below 2^-126 are zeros.
 */
#ifndef LCY_H
#define LCY_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define LCY_API __attribute__((visibility("default")))
#else
#define LCY_API
#endif

typedef enum lcy_status {
    LCY_OK = 0,
    LCY_E_ARG,     /* a caller's mistake: shapes or types that do not fit */
    LCY_E_FORMAT,  /* a file's bytes are not what its format says */
    LCY_E_NOMEM,
    LCY_E_FULL,    /* no free cell in the KV cache; nothing has changed */
    LCY_E_ABORTED, /* the abort flag was raised */
    LCY_STATUS_COUNT
} lcy_status;

/* Tensor types. The numbers are those of GGUF files. */
typedef enum lcy_type {
    LCY_F32 = 0,
    LCY_F16 = 1,
    LCY_Q4_0 = 2,
    LCY_Q4_1 = 3,
    LCY_Q5_0 = 6,
    LCY_Q5_1 = 7,
    LCY_Q8_0 = 8,
    LCY_Q8_1 = 9,
    LCY_Q2_K = 10,
    LCY_Q3_K = 11,
    LCY_Q4_K = 12,
    LCY_Q5_K = 13,
    LCY_Q6_K = 14,
    LCY_Q8_K = 15,
    LCY_IQ2_XXS = 16,
    LCY_IQ2_XS = 17,
    LCY_IQ3_XXS = 18,
    LCY_IQ1_S = 19,
    LCY_IQ4_NL = 20,
    LCY_IQ3_S = 21,
    LCY_IQ2_S = 22,
    LCY_IQ4_XS = 23,
    LCY_I8 = 24,
    LCY_I16 = 25,
    LCY_I32 = 26,
    LCY_I64 = 27,
    LCY_F64 = 28,
    LCY_IQ1_M = 29,
    LCY_BF16 = 30,
    LCY_TYPE_COUNT = 31
} lcy_type;

enum { LCY_SHORT_ROW = 1024 };

/* One row of n weights against one row of activations in the weight's `dot_with` format. n % block == 0. */
typedef float (*lcy_dot_fn)(int64_t n, const void *w, const void *x);

/* n elements: packed <-> f32. n % block == 0. Reads and writes nothing past them. */
typedef void (*lcy_to_float_fn)(int64_t n, float *y, const void *x);
typedef void (*lcy_from_float_fn)(int64_t n, void *y, const float *x);

/* f32 rows -> the bytes of a file (the exact rule of the reference's quantizer), strict IEEE, no contraction.
 * x (rows, n); imatrix (n) weights >= 0 or NULL; y rows * row_bytes. LCY_E_ARG: this format needs an imatrix and got none. */
typedef lcy_status (*lcy_quantize_fn)(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix);

/* A tensor format, whole. One per file in formats/; a format that is not stored in files has quantize == NULL. */
typedef struct lcy_format {
    lcy_type type;
    const char *name;             /* as logs print it: "q4_K" */
    int32_t block;                /* elements in a block */
    int32_t bytes;                /* bytes of a block */
    lcy_type dot_with;            /* format of the activations */
    lcy_to_float_fn to_float;     /* NULL: not readable as f32 (integers, activation formats) */
    lcy_from_float_fn from_float; /* the run-time rule (activations, KV cache); NULL: none */
    lcy_quantize_fn quantize;     /* the file rule; NULL: never written to a file */
    lcy_dot_fn dot;               /* plain C, the oracle of every faster kernel; NULL: not a weight format */
} lcy_format;

/* The format of a type number, or NULL if there is none (removed and unknown numbers; any int is safe to ask). */
LCY_API const lcy_format *lcy_format_of(int type);

/* Bytes of a row of n elements; 0 if n is not a multiple of the block or the type is unknown. */
LCY_API size_t lcy_row_bytes(int type, int64_t n);

#endif
