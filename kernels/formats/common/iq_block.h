/* iq_block.h: what the formats of 256 weights with a codebook have in common, for their plain C.
 *
 *   weight i = (d * scale[i / 16]) * factor * q[i]        scale and q are integers
 *
 * A format unpacks a block into this form, and the two functions at the end are its to_float and dot. `factor` is a
 * power of two that belongs to the format: it goes last, once, so that all before it is exact.
 */
#ifndef LCY_FORMATS_COMMON_IQ_BLOCK_H
#define LCY_FORMATS_COMMON_IQ_BLOCK_H

#include "../../scalar.h"
#include "../q8_k.h"

typedef struct {
    float d;
    int8_t scale[16];
    int8_t q[256];
} lcy_iq_block;

typedef void (*lcy_iq_unpack_fn)(lcy_iq_block *out, const void *block);

/* Signs of 8 values stored in 7 bits: the number of negative ones is even, so the eighth follows. */
static inline unsigned lcy_iq_even_signs(unsigned code) {
    code &= 127;
    return code | (0x6996u >> ((code ^ code >> 4) & 15) & 1) << 7;
}

/* n values of a codebook's point: bit k of signs negates value k */
static inline void lcy_iq_signed(int n, int8_t *q, const uint8_t *point, unsigned signs) {
    for (int k = 0; k < n; k++) q[k] = (int8_t)(signs >> k & 1 ? -point[k] : point[k]);
}

/* what a scale code stands for: odd numbers */
static inline int8_t lcy_iq_odd(int code) { return (int8_t)(2 * code + 1); }

static inline void lcy_iq_to_float(int64_t n, float *y, const void *x, size_t bytes, lcy_iq_unpack_fn unpack,
                                   float factor) {
    lcy_iq_block b;
    for (int64_t i = 0; i < n / 256; i++) {
        unpack(&b, (const uint8_t *)x + (size_t)i * bytes);
        for (int k = 0; k < 256; k++) *y++ = b.d * (float)b.scale[k / 16] * factor * (float)b.q[k];
    }
}

static inline float lcy_iq_dot(int64_t n, const void *w, const void *x, size_t bytes, lcy_iq_unpack_fn unpack,
                               float factor) {
    const lcy_block_q8_k *a = x;
    lcy_iq_block b;
    float acc = 0;
    for (int64_t i = 0; i < n / 256; i++, a++) {
        int32_t sum = 0;
        unpack(&b, (const uint8_t *)w + (size_t)i * bytes);
        for (int j = 0; j < 16; j++) {
            int32_t part = 0;
            for (int k = 16 * j; k < 16 * j + 16; k++) part += b.q[k] * a->q[k];
            sum += b.scale[j] * part;
        }
        acc = fmaf((float)sum, b.d * a->d, acc);
    }
    return acc * factor;
}

#endif
