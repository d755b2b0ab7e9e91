/* iq4_nl.h: IQ4_NL is Q4_0 whose codes pass through a table of 16 values. Needs a vec.h. */
#ifndef LCY_SIMD_IQ4_NL_H
#define LCY_SIMD_IQ4_NL_H

#include "../formats/common/iq_curve.h"
#include "../formats/iq4_nl.h"
#include "blocks32.h"

LCY_INLINE v_codes32 v_codes_iq4_nl(const v_tile *b) {
    const vi curve = v_same16(lcy_iq_curve);
    v_codes32 c = v_codes_nibbles(b, 2);
    for (int i = 0; i < 4; i++) c.low[i] = v_shuffle8(curve, c.low[i]), c.high[i] = v_shuffle8(curve, c.high[i]);
    return c;
}

LCY_INLINE void v_rows_iq4_nl(vi out[8], const v_tile *b) { v_rows_of_curve(out, b, 2, lcy_iq_curve); }

static const v_format32 v_iq4_nl = {18, 255, V_SIGNED_OFFSET, 1, 0, 0, 0, v_codes_iq4_nl, v_rows_iq4_nl};
V_MATMUL32(iq4_nl)

#endif
