/* quantize.h (neon): what quantize.c gives to isa.c. */
#ifndef LCY_NEON_QUANTIZE_H
#define LCY_NEON_QUANTIZE_H

#include "../kernels.h"

void lcy_neon_fill_quantizers(lcy_kernels *k);

#endif
