/* quantize.c (avx2): the file quantizers. */
#include "fit.h"

#include "../x86/iq_quantize.h"
#include "../x86/parts.h"
#include "../x86/quantize.h"

void lcy_fill_quantizers_avx2(lcy_kernels *k) {
    fill_quantizers(k);
    fill_iq_quantizers(k);
}
