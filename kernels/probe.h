/* probe.h: what this machine can do at most, measured: the lines that a speed is compared with. */
#ifndef LCY_PROBE_H
#define LCY_PROBE_H

#include "lcy.h"

/* Bytes per second that `threads` threads read together from memory of `bytes` bytes, each its share; the best of the passes
 * that fit into `seconds`, at least two. 0: no memory or no threads. */
LCY_API double lcy_probe_read(int threads, int64_t bytes, double seconds);

/* Multiply-adds of bytes per second that `threads` threads do together with the strongest level of this CPU, and its name.
 * The best of the rounds that fit into `seconds`. 0: no threads. */
LCY_API double lcy_probe_int8(int threads, double seconds, const char **level);

#endif
