/*@isa arch=aarch64; rank=30; cflags=-march=armv8.2-a+dotprod; */
/* NEON with dot products of bytes: the quantized formats again; all else is that of the level below. */
#include "../neon/products.h"

const lcy_isa lcy_isa_dotprod = {"dotprod", LCY_CPU_NEON | LCY_CPU_DOTPROD, fill_products};
