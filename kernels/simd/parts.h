/* parts.h: a level is compiled in parts, side by side: its isa.c and a unit for each function here. Needs a vec.h. */
#ifndef LCY_SIMD_PARTS_H
#define LCY_SIMD_PARTS_H

#include "../kernels.h"

void V_NAME(lcy_fill_blocks32)(lcy_kernels *k);
void V_NAME(lcy_fill_blocks256)(lcy_kernels *k);
void V_NAME(lcy_fill_iq)(lcy_kernels *k);
void V_NAME(lcy_fill_quantizers)(lcy_kernels *k);

#endif
