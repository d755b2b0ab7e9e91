/* keys.h: scores, with one lane per key. Needs a lanes.h, a turn.h and ops/attention.h.
 *
 * A tile of keys is turned so that a register holds one channel of 16 keys; the turning is paid once for all query rows.
 * The order of ops/attention.h then is a plain binary tree: with the channels of a block of 64 in the order of their bits
 * reversed (channel 16 j + l: l as the tree of lcy_sum16 takes it, then j), neighbours are added, then pairs, then fours.
 * No sum crosses lanes, and what is left over after whole blocks of 64 is added channel by channel.
 *
 * Products of halves are exact in f32: one fma gives the sum of two of them, and none has to begin at +0. All that may come
 * of it is a sum of -0 instead of 0, which is put right at the end. */
#ifndef LCY_SIMD_KEYS_H
#define LCY_SIMD_KEYS_H

enum { KEYS = 16 }; /* of a tile: floats from one channel to the next */

typedef enum { K_HALVES, K_FLOATS } k_kind; /* every use is a constant */

/* Where channel e of a head, `whole` of whose channels are in whole blocks, stands in a tile: that channel of all blocks together. */
static const uint8_t reversed[8] = {0, 4, 2, 6, 1, 5, 3, 7};
static inline int64_t place_of(int64_t e, int64_t whole) {
    return e >= whole ? e : (reversed[e % 8] * 8 + reversed[e / 8 % 8]) * (whole / 64) + e / 64;
}

/* ---- turning ---- */

/* Up to KEYS keys from number `first` on, of n that there are, -> tile[channel's place][KEYS]; missing ones repeat the last. */
LCY_INLINE void turn_keys(k_kind kind, int64_t d, int64_t whole, int64_t first, int64_t n, const lcy_head *k, float *tile) {
    const uint8_t *key[KEYS];
    int64_t e = 0;
    for (int64_t i = 0; i < KEYS; i++)
        key[i] = (const uint8_t *)k->rows + k->cells[first + i < n ? first + i : n - 1] * k->stride;
#pragma GCC unroll 1
    for (; e + 8 <= d; e += 8) {
        float *const to = tile + place_of(e, whole) * KEYS; /* from there steps are the same for all e: constants, mostly */
        lanes channel[8];
        if (kind == K_HALVES)
            lanes_turn_halves(channel, key, e);
        else
            lanes_turn_floats(channel, key, e);
        for (int64_t c = 0; c < 8; c++) lanes_store(to + (e < whole ? reversed[c] * (whole / 8) : c) * KEYS, channel[c]);
    }
    for (; e < d; e++)
        for (int64_t i = 0; i < KEYS; i++)
            tile[e * KEYS + i] = kind == K_HALVES ? lcy_f16_to_f32(((const uint16_t *)key[i])[e]) : ((const float *)key[i])[e];
}

/* ---- dots ---- */

/* scores of some query rows with a tile, or what will become them */
typedef struct { lanes at[KQ_ROWS]; } scores;

/* At once: a compiler that puts sums off runs out of registers. */
LCY_INLINE scores scores_add(int rows, scores a, scores b) {
    for (int r = 0; r < rows; r++) {
        a.at[r] = lanes_add(a.at[r], b.at[r]);
        lanes_hold(&a.at[r]);
    }
    return a;
}

LCY_INLINE scores scores_zero(int rows) {
    scores s;
    for (int r = 0; r < rows; r++) s.at[r] = lanes_same(0);
    return s;
}

/* a + one channel of the tile's keys; without an a, just that. Keys are held in a register for all rows. */
LCY_INLINE scores scores_of_channel(int rows, int64_t d, const scores *a, const float *k, const float *q) {
    scores s;
    lanes key = lanes_load(k);
    lanes_hold(&key);
    for (int r = 0; r < rows; r++) {
        s.at[r] = a ? lanes_fma(key, lanes_same(q[r * d]), a->at[r]) : lanes_mul(key, lanes_same(q[r * d]));
        lanes_hold(&s.at[r]);
    }
    return s;
}

/* One channel of every block: one lane of one accumulator in the order of ops/attention.h. */
LCY_INLINE scores scores_of_1(k_kind kind, int rows, int64_t d, int64_t blocks, const float *k, const float *q) {
    const scores zero = scores_zero(rows);
    scores s = scores_of_channel(rows, d, kind == K_HALVES ? NULL : &zero, k, q);
    for (int64_t b = 1; b < blocks; b++) s = scores_of_channel(rows, d, &s, k + b * KEYS, q + b);
    return s;
}

/* Known to the compiler: it is no question while the program runs. */
#define ONE_BLOCK(blocks) (__builtin_constant_p(blocks) && (blocks) == 1)

/* The tree, a level per function. */
#define SCORES_OF(n, half)                                                                                           \
    LCY_INLINE scores scores_of_##n(k_kind kind, int rows, int64_t d, int64_t blocks, const float *k, const float *q) { \
        const scores a = scores_of_##half(kind, rows, d, blocks, k, q);                                              \
        if (half == 1 && kind == K_HALVES && ONE_BLOCK(blocks)) return scores_of_channel(rows, d, &a, k + KEYS, q + 1); \
        const scores b = scores_of_##half(kind, rows, d, blocks, k + half * blocks * KEYS, q + half * blocks);       \
        return scores_add(rows, a, b);                                                                               \
    }
SCORES_OF(2, 1)
SCORES_OF(4, 2)
SCORES_OF(8, 4)
SCORES_OF(16, 8)

LCY_INLINE scores scores_of_64(k_kind kind, int rows, int64_t d, int64_t blocks, const float *k, const float *q) {
    scores part[4];
    for (int i = 0; i < 4; i++)
        part[i] = scores_of_16(kind, rows, d, blocks, k + i * 16 * blocks * KEYS, q + i * 16 * blocks);
    const scores s = scores_add(rows, scores_add(rows, part[0], part[1]), scores_add(rows, part[2], part[3]));
    return kind == K_HALVES ? scores_add(rows, s, scores_zero(rows)) : s;
}

/* Channels after whole blocks: products of halves are exact, and added in double. */
LCY_INLINE lanes add_rest(k_kind kind, int64_t n, lanes sum, const float *k, const float *q) {
    if (kind == K_FLOATS) {
        for (int64_t e = 0; e < n; e++) sum = lanes_add(sum, lanes_mul(lanes_load(k + e * KEYS), lanes_same(q[e])));
        return sum;
    }
    double_lanes wide = lanes_widen(sum);
    for (int64_t e = 0; e < n; e++)
        wide = double_lanes_add(wide, lanes_widen(lanes_mul(lanes_load(k + e * KEYS), lanes_same(q[e]))));
    return lanes_narrow(wide);
}

/* out[r][i], i < n, of a tile. q is in the order of the tile's channels. */
LCY_INLINE void scores_of_tile(k_kind kind, int rows, int64_t d, int64_t whole, int64_t n, const float *tile, const float *q,
                               float *out, int64_t out_stride) {
    scores s = whole ? scores_of_64(kind, rows, d, whole / 64, tile, q) : scores_zero(rows);
    for (int r = 0; r < rows; r++) {
        float all[KEYS];
        if (whole < d) s.at[r] = add_rest(kind, d - whole, s.at[r], tile + whole * KEYS, q + r * d + whole);
        lanes_store(n >= KEYS ? out + r * out_stride : all, s.at[r]);
        if (n < KEYS) memcpy(out + r * out_stride, all, (size_t)n * sizeof *all);
    }
}

/* whole: channels in whole blocks of 64 */
LCY_INLINE void scores_of_keys(k_kind kind, int64_t d, int64_t whole, int64_t n, const lcy_head *k, int64_t rows,
                               const float *q, float *out, int64_t out_stride, float *scratch) {
    float *const turned = scratch, *const tile = scratch + rows * d;
    for (int64_t e = 0; e < d; e++)
        for (int64_t r = 0; r < rows; r++) turned[r * d + place_of(e, whole)] = q[r * d + e];
    for (int64_t i = 0; i < n; i += KEYS, out += KEYS) {
        int64_t r = 0;
        turn_keys(kind, d, whole, i, n, k, tile);
        for (; r + KQ_ROWS <= rows; r += KQ_ROWS)
            scores_of_tile(kind, KQ_ROWS, d, whole, n - i, tile, turned + r * d, out + r * out_stride, out_stride);
        for (; KQ_ROWS > 2 && r + 2 <= rows; r += 2)
            scores_of_tile(kind, 2, d, whole, n - i, tile, turned + r * d, out + r * out_stride, out_stride);
        for (; r < rows; r++) scores_of_tile(kind, 1, d, whole, n - i, tile, turned + r * d, out + r * out_stride, out_stride);
    }
}

/* One key and one row, whole blocks of 64: sums across lanes cost less than turning a tile for a single row. */
static inline float LANES_NAME(key_dot)(int64_t d, const uint16_t *row, const float *q) {
    lanes a0 = lanes_same(0), a1 = a0, a2 = a0, a3 = a0;
    for (int64_t e = 0; e < d; e += 64) {
        a0 = lanes_fma(lanes_halves(row + e), lanes_load(q + e), a0);
        a1 = lanes_fma(lanes_halves(row + e + 16), lanes_load(q + e + 16), a1);
        a2 = lanes_fma(lanes_halves(row + e + 32), lanes_load(q + e + 32), a2);
        a3 = lanes_fma(lanes_halves(row + e + 48), lanes_load(q + e + 48), a3);
    }
    return sum_folded(lanes_fold(lanes_add(lanes_add(a0, a2), lanes_add(a1, a3))));
}

/* The usual sizes of a head are constants: their loops are unrolled. */
static void LANES_NAME(kq_f16)(int64_t d, int64_t n, const lcy_head *k, int64_t rows, const float *q, float *out,
                               int64_t out_stride, float *scratch) {
    if (rows == 1 && d % 64 == 0)
        for (int64_t i = 0; i < n; i++)
            out[i] = LANES_NAME(key_dot)(d, (const uint16_t *)((const uint8_t *)k->rows + k->cells[i] * k->stride), q);
    else if (d == 64)
        scores_of_keys(K_HALVES, 64, 64, n, k, rows, q, out, out_stride, scratch);
    else if (d == 128)
        scores_of_keys(K_HALVES, 128, 128, n, k, rows, q, out, out_stride, scratch);
    else if (d / 64 == 1)
        scores_of_keys(K_HALVES, d, 64, n, k, rows, q, out, out_stride, scratch);
    else
        scores_of_keys(K_HALVES, d, d & ~(int64_t)63, n, k, rows, q, out, out_stride, scratch);
}

static void LANES_NAME(kq_f32)(int64_t d, int64_t n, const lcy_head *k, int64_t rows, const float *q, float *out,
                               int64_t out_stride, float *scratch) {
    scores_of_keys(K_FLOATS, d, d & ~(int64_t)63, n, k, rows, q, out, out_stride, scratch);
}

#undef SCORES_OF
#undef ONE_BLOCK
#endif
