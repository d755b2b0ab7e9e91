/* rows.h: from a rule for one block to the functions of a descriptor. */
#ifndef LCY_FORMATS_COMMON_ROWS_H
#define LCY_FORMATS_COMMON_ROWS_H

#include "../../lcy.h"

/* One block of a format: x (block) floats -> y. q (block): the imatrix values of these columns, or NULL. */
typedef void (*lcy_block_fn)(void *y, const float *x, const float *q);

/* Every block of one row, without weights: the body of a from_float. */
static inline void lcy_row_of_blocks(int64_t n, int block, size_t bytes, void *y, const float *x, lcy_block_fn fit) {
    uint8_t *out = y;
    for (int64_t i = 0; i < n; i += block, out += bytes) fit(out, x + i, NULL);
}

/* Every block of every row: the body of a quantize whose rule sees one block at a time.
 * One imatrix row (n) serves all rows. */
static inline lcy_status lcy_rows_of_blocks(int64_t rows, int64_t n, int block, size_t bytes, void *y, const float *x,
                                            const float *imatrix, lcy_block_fn fit) {
    uint8_t *out = y;
    if (rows < 0 || n < 0 || n % block) return LCY_E_ARG;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i += block, out += bytes, x += block) fit(out, x, imatrix ? imatrix + i : NULL);
    return LCY_OK;
}

/* The same for formats that have one rule for files and the run time and know no weights (F16, BF16, ...). */
static inline lcy_status lcy_rows_of_elements(int64_t rows, int64_t n, size_t row_bytes, void *y, const float *x,
                                              lcy_from_float_fn convert) {
    uint8_t *out = y;
    if (rows < 0 || n < 0) return LCY_E_ARG;
    for (int64_t r = 0; r < rows; r++) convert(n, out + r * row_bytes, x + r * n);
    return LCY_OK;
}

#endif
