/* few.h: what the products with one to V_FEW tokens share (few32.h, few256.h). Needs a vec.h. */
#ifndef LCY_SIMD_FEW_H
#define LCY_SIMD_FEW_H

#include "ask.h"
#include "tiles.h"

enum {
    V_FEW = 8,
    V_FEW_WIDTHS = 4, /* tiles for 1, 2, 4, 8 tokens */
    V_FEW_BLOCKS = 4096, /* tokens x blocks of 32 activations that are prepared at a time */
    V_SOONER = 8192,     /* bytes by which v_ask asks for a line before it asks again */
};

/* Tiles are made for 1, 2, 4 and V_FEW tokens: half of the code that one for each number would be. In between the next
 * one sums its last token again and again, for nobody; what each token gets does not depend on those beside it. */
LCY_INLINE int v_few_width(int64_t tokens, int64_t fit) {
    int width = 1;
    while (width < tokens && width < V_FEW && 2 * width <= fit) width *= 2;
    return width;
}

/* the V_ROWS sums of each of `tokens` tokens -> where they belong, the first `keep` of each */
LCY_INLINE void v_keep_few(float *out, int64_t out_stride, const float sums[V_FEW][V_ROWS], int tokens, int keep) {
    for (int t = 0; t < tokens; t++) memcpy(out + t * out_stride, sums[t], (size_t)keep * sizeof(float));
}

LCY_INLINE uint16_t v_half_at(const uint8_t *p) { uint16_t h; memcpy(&h, p, 2); return h; }
LCY_INLINE uint32_t v_word_at(const uint8_t *p) { uint32_t w; memcpy(&w, p, 4); return w; }
LCY_INLINE float v_float_at(const uint8_t *p) { return lcy_f16_to_f32(v_half_at(p)); }

/* What is copied from each row's block by scalar moves: those ports are idle here, the shuffle port is the busiest. */
typedef struct {
    uint16_t d[V_ROWS], m[V_ROWS];
    uint32_t fifth[V_ROWS];
} v_sides;

/* the halves at `at` of each row, and those after them */
LCY_INLINE void v_copy_halves(v_sides *to, int both, const v_tile *t, int64_t at) {
    volatile v_sides *s = to;
    for (int r = 0; r < V_ROWS; r++) {
        s->d[r] = v_half_at(v_tile_row(t, r) + at);
        if (both) s->m[r] = v_half_at(v_tile_row(t, r) + at + 2);
    }
}

/* Asks for bytes that the next tile will read. */
LCY_INLINE void v_ask(const uint8_t *p, int bytes) { lcy_ask(p, bytes, V_SOONER); }

/* Reads a byte of every line. Nobody has asked for a first tile; in order it comes as fast as memory can give, as 16 rows
 * side by side at a quarter of that. */
LCY_INLINE void v_touch(const uint8_t *p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) (void)*(const volatile uint8_t *)(p + i);
}

/* A tile of rows against the activations that few32.h or few256.h prepared. next: where the next tile's rows begin. */
typedef void (*v_few_fn)(v_tile t, const uint8_t *next, const void *x, float *out, int64_t out_stride, int keep);

/* All rows, of row_bytes, against `some` tokens; the tile sums `width` of them. */
LCY_INLINE void v_few_rows(v_few_fn tile, v_tiling all, int64_t row_bytes, int width, int some, const void *x, float *out,
                           int64_t out_stride) {
    float sums[V_FEW][V_ROWS];
    if (all.tiles) v_touch(all.w, (all.step - 1) * all.stride + row_bytes);
    for (int64_t i = 0; i < all.tiles; i++) {
        const int64_t r = v_first_row(all, i);
        const uint8_t *next = all.w + (r + all.step) * all.stride;
        if (some == width) {
            tile(v_tile_of(all, i, 0), next, x, out + r, out_stride, all.step);
        } else {
            tile(v_tile_of(all, i, 0), next, x, sums[0], V_ROWS, V_ROWS);
            v_keep_few(out + r, out_stride, sums, some, all.step);
        }
    }
}

/* few_<name>: the tiles of a format; sum: v_tile32_few or v_tile256_few */
#define V_FEW_TILE(name, tokens, sum)                                                                                \
    static __attribute__((noinline)) void V_NAME(few##tokens##_##name)(v_tile t, const uint8_t *next, const void *x, \
                                                                      float *out, int64_t out_stride, int keep) {    \
        sum(v_##name, tokens, t, next, x, out, out_stride, keep);                                                    \
    }
#define V_FEW_TILES(name, sum)                                                                                       \
    V_FEW_TILE(name, 1, sum)                                                                                         \
    V_FEW_TILE(name, 2, sum)                                                                                         \
    V_FEW_TILE(name, 4, sum)                                                                                         \
    V_FEW_TILE(name, 8, sum)                                                                                         \
    static const v_few_fn V_NAME(few_##name)[V_FEW_WIDTHS] = {                                                       \
        V_NAME(few1_##name), V_NAME(few2_##name), V_NAME(few4_##name), V_NAME(few8_##name)};

#endif
