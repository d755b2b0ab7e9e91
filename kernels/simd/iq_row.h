/* iq_row.h: a row of a format of iq.h against one token. Needs a vec.h and an ISA's iq.h.
 *
 * Magnitudes x signed activations give pairs of 16 bits (at most 2 * 127 * 127: nothing saturates), pairs x scale give
 * 32 bits, all sums are exact; then one conversion and one fma per block, as the plain C does.
 */
#ifndef LCY_SIMD_IQ_ROW_H
#define LCY_SIMD_IQ_ROW_H

#include "iq.h"

/* Fetches a block that comes 2 KiB later. The hardware does not foresee beyond a page: from memory, IQ4_XS goes from
 * 4.1 to 8.2 GB/s, IQ1_S from 2.1 to 3.6 (Sapphire Rapids, one thread). */
LCY_INLINE void lcy_iq_prefetch(const uint8_t *w, size_t bytes) {
    for (size_t i = 0; i < bytes + 63; i += 64) __builtin_prefetch(w + 2048 + i);
}

/* One row against one token. */
LCY_INLINE float lcy_iq_row(int64_t blocks, const uint8_t *w, const lcy_block_q8_k *x, const lcy_iq_traits *f) {
    float acc = 0;
    for (int64_t i = 0; i < blocks; i++, w += f->bytes, x++) {
        lcy_iq_begun s;
        lcy_iq_prefetch(w, f->bytes);
        f->begin(&s, w);
        acc = fmaf((float)lcy_iq_sum(lcy_iq_block_sums(w, &s, x, f)), s.d * x->d, acc);
    }
    return acc * f->factor;
}

#endif
