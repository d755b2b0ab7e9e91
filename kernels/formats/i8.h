/* I8: a plain little-endian array. Stored in files beside the weights, never a weight of a product itself. */
#ifndef LCY_FORMATS_I8_H
#define LCY_FORMATS_I8_H

#include "../lcy.h"

#ifdef LCY_REFERENCE
const lcy_format lcy_format_i8 = {.type = LCY_I8, .name = "i8", .block = 1, .bytes = 1, .dot_with = LCY_I8};
#endif
#endif
