/* quantize.c (neon): the file quantizers, four blocks at a time; those of IQ formats are left to plain C.
 *
 * A unit of its own, for its registers are single ones. */
#include "single.h"

#include "quantize.h"
#include "../simd/quantize.h"

void lcy_neon_fill_quantizers(lcy_kernels *k) { fill_quantizers(k); }
