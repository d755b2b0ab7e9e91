/* ask.h: asking memory for what will be read. */
#ifndef LCY_SIMD_ASK_H
#define LCY_SIMD_ASK_H

#include <stdint.h>

/* Asks for bytes in the order in which they lie in memory: rows side by side would come a tenth slower. The CPU drops such a
 * request when too many are under way, and a line that does not come costs more than all this: so each is asked for twice,
 * once `sooner` bytes earlier. Into the second-level cache: what is asked for is mostly more than the first holds. */
static inline __attribute__((always_inline)) void lcy_ask(const uint8_t *p, int bytes, int sooner) {
    for (int i = 0; i < bytes; i += 64) {
        __builtin_prefetch(p + i, 0, 2);
        __builtin_prefetch(p + sooner + i, 0, 2);
    }
}

#endif
