/* I16: a plain little-endian array. Stored in files beside the weights, never a weight of a product itself. */
#ifndef LCY_FORMATS_I16_H
#define LCY_FORMATS_I16_H

#include "../lcy.h"

#ifdef LCY_REFERENCE
const lcy_format lcy_format_i16 = {.type = LCY_I16, .name = "i16", .block = 1, .bytes = 2, .dot_with = LCY_I16};
#endif
#endif
