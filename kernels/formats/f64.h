/* F64: a plain little-endian array. Stored in files beside the weights, never a weight of a product itself. */
#ifndef LCY_FORMATS_F64_H
#define LCY_FORMATS_F64_H

#include "../lcy.h"

#ifdef LCY_REFERENCE
const lcy_format lcy_format_f64 = {.type = LCY_F64, .name = "f64", .block = 1, .bytes = 8, .dot_with = LCY_F64};
#endif
#endif
