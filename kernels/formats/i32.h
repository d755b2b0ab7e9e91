/* I32: a plain little-endian array. Stored in files beside the weights, never a weight of a product itself. */
#ifndef LCY_FORMATS_I32_H
#define LCY_FORMATS_I32_H

#include "../lcy.h"

#ifdef LCY_REFERENCE
const lcy_format lcy_format_i32 = {.type = LCY_I32, .name = "i32", .block = 1, .bytes = 4, .dot_with = LCY_I32};
#endif
#endif
