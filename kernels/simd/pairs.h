/* pairs.h: 16 lanes of two neighbouring BF16, for levels that multiply floats only. Needs a lanes.h. */
#ifndef LCY_PAIRS
#define LCY_PAIRS

typedef struct {
    lanes odd, even; /* widened */
} pairs;

static inline pairs pairs_of(lanes bits) { return (pairs){lanes_upper_halves(bits), lanes_shift_left(bits, 16)}; }
static inline lanes pairs_dot(pairs w, pairs x, lanes acc) {
    return lanes_fma(w.even, x.even, lanes_fma(w.odd, x.odd, acc));
}

#endif
