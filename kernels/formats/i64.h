/* I64: a plain little-endian array. Stored in files beside the weights, never a weight of a product itself. */
#ifndef LCY_FORMATS_I64_H
#define LCY_FORMATS_I64_H

#include "../lcy.h"

#ifdef LCY_REFERENCE
const lcy_format lcy_format_i64 = {.type = LCY_I64, .name = "i64", .block = 1, .bytes = 8, .dot_with = LCY_I64};
#endif
#endif
