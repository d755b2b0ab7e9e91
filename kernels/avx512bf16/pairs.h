/* pairs.h (avx512bf16): 16 lanes of two neighbouring BF16, as the processor multiplies them. */
#ifndef LCY_PAIRS
#define LCY_PAIRS

typedef __m512bh pairs;

static inline pairs pairs_of(lanes bits) { return (__m512bh)bits; }

/* The odd neighbour first, then the even one, each a fma that takes and makes no number below 2^-126. */
static inline lanes pairs_dot(pairs w, pairs x, lanes acc) { return _mm512_dpbf16_ps(acc, w, x); }

#endif
