/* quantize.c (avx2): the file quantizers. */
#include "fit.h"

#include "../simd/iq_quantize.h"
#include "../simd/parts.h"
#include "../simd/quantize.h"

void lcy_fill_quantizers_avx2(lcy_kernels *k) {
    fill_quantizers(k);
    fill_iq_quantizers(k);
}
