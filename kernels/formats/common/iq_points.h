/* iq_points.h: the codebooks of the IQ1, IQ2 and IQ3 formats as the bytes that dot products multiply.
 *
 * A codebook is a set of points; a point is 8 (IQ1, IQ2) or 4 (IQ3) digits, and an index in a file is the rank of a
 * point when keys (iq_keys.h) ascend. What a digit t stands for:
 *   IQ2      8, 25, 43               about 8 (2 t + 1)
 *   IQ3_XXS  4, 12, 20, ... 52, 62   4 (2 t + 1), but for the last
 *   IQ3_S    1, 3, ... 15            2 t + 1
 *   IQ1      8 t: the ternary value is t - 1, and eighths leave room for the shift of +-1/8 in integers
 * The tables are constants of one unit (formats.c): nothing is built at run time.
 */
#ifndef LCY_FORMATS_COMMON_IQ_POINTS_H
#define LCY_FORMATS_COMMON_IQ_POINTS_H

#include <stdint.h>

extern const uint8_t lcy_iq2_xxs_points[256][8];
extern const uint8_t lcy_iq2_xs_points[512][8];
extern const uint8_t lcy_iq2_s_points[1024][8];
extern const uint8_t lcy_iq1_points[2048][8];
extern const uint8_t lcy_iq3_xxs_points[256][4];
extern const uint8_t lcy_iq3_s_points[512][4];

#ifdef LCY_REFERENCE
#include "iq_keys.h"

#define LCY_POINT8(v, k) {v((k) & 3), v((k) >> 2 & 3), v((k) >> 4 & 3), v((k) >> 6 & 3), \
                          v((k) >> 8 & 3), v((k) >> 10 & 3), v((k) >> 12 & 3), v((k) >> 14)},
#define LCY_POINT4(v, k) {v((k) & 7), v((k) >> 3 & 7), v((k) >> 6 & 7), v((k) >> 9)},

#define LCY_VALUE_IQ2(t) 8 + 17 * (t) + (t) / 2
#define LCY_VALUE_IQ1(t) 8 * (t)
#define LCY_VALUE_IQ3_XXS(t) 4 + 8 * (t) + (t) / 7 * 2
#define LCY_VALUE_IQ3_S(t) 1 + 2 * (t)

#define LCY_POINT_IQ2(k) LCY_POINT8(LCY_VALUE_IQ2, k)
#define LCY_POINT_IQ1(k) LCY_POINT8(LCY_VALUE_IQ1, k)
#define LCY_POINT_IQ3_XXS(k) LCY_POINT4(LCY_VALUE_IQ3_XXS, k)
#define LCY_POINT_IQ3_S(k) LCY_POINT4(LCY_VALUE_IQ3_S, k)

const uint8_t lcy_iq2_xxs_points[256][8] = {LCY_KEYS_IQ2_XXS(LCY_POINT_IQ2)};
const uint8_t lcy_iq2_xs_points[512][8] = {LCY_KEYS_IQ2_XS(LCY_POINT_IQ2)};
const uint8_t lcy_iq2_s_points[1024][8] = {LCY_KEYS_IQ2_S(LCY_POINT_IQ2)};
const uint8_t lcy_iq1_points[2048][8] = {LCY_KEYS_IQ1(LCY_POINT_IQ1)};
const uint8_t lcy_iq3_xxs_points[256][4] = {LCY_KEYS_IQ3_XXS(LCY_POINT_IQ3_XXS)};
const uint8_t lcy_iq3_s_points[512][4] = {LCY_KEYS_IQ3_S(LCY_POINT_IQ3_S)};

#endif
#endif
