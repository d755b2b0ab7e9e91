/* values.h: sums of values, weighted by probabilities. Needs a lanes.h and ops/attention.h.
 *
 * The order of ops/attention.h gives every row and channel 16 sums, one for the cells i = l mod 16 each. All l of a span of
 * cells are done one after another: then a few rows times a few registers of channels stay in registers, and each value
 * that is read serves all the rows. Between spans the sums lie in scratch: [row][l][channel]. Values of a span come from
 * near caches but for the first time, and while the first rows are summed those of the next span are asked for, one after
 * another, as memory likes it. */
#ifndef LCY_SIMD_VALUES_H
#define LCY_SIMD_VALUES_H

/* How values lie in memory; every use is a constant, so nothing of it is left in the code. */
typedef enum { V_HALVES, V_FLOATS, V_PACKED } v_kind;

enum { ROW_SUMS = 16 * LCY_BAND }; /* of one row in scratch */

LCY_INLINE int64_t bytes_of_channels(v_kind kind, const lcy_head *v, int64_t c) {
    return kind == V_PACKED ? c / v->block * v->bytes : c * (kind == V_HALVES ? 2 : 4);
}

/* A span of cells: `cells` and `p` begin with its first one. */
typedef struct {
    v_kind kind;           /* V_HALVES or V_FLOATS */
    const uint8_t *values; /* of cell number 0 */
    int64_t stride;
    const int32_t *cells;
    const float *p;
    int64_t p_stride;
    int64_t asked;         /* for how many cells after this span to ask */
} span;

LCY_INLINE lanes span_value(const span *s, int64_t i, int64_t channel) {
    const uint8_t *row = s->values + s->cells[i] * s->stride;
    return s->kind == V_HALVES ? lanes_halves((const uint16_t *)row + channel) : lanes_load((const float *)row + channel);
}

/* Value number i of the next span, if it is wanted. */
LCY_INLINE void ask_for_value(const span *s, int64_t i, int64_t channel, int regs) {
    const int64_t size = s->kind == V_HALVES ? 2 : 4;
    for (int64_t b = 0; b < 16 * regs * size && i < s->asked; b += 64)
        __builtin_prefetch(s->values + s->cells[LCY_SPAN + i] * s->stride + channel * size + b);
}

/* Cells `from` <= i < `to` into sums [row][l][LCY_BAND], `regs` registers of channels; fresh: there are no sums yet. */
LCY_INLINE void weigh_registers(int rows, int regs, int fresh, int64_t from, int64_t to, span s, int64_t channel, float *sums) {
    for (int64_t first = from; first < from + 16 && (fresh || first < to); first++) {
        lanes acc[PV_ROWS][PV_ALONE > PV_LANES ? PV_ALONE : PV_LANES];
        float *const at = sums + (first & 15) * LCY_BAND + channel;
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < regs; c++) acc[r][c] = fresh ? lanes_same(0) : lanes_load(at + r * ROW_SUMS + 16 * c);
        for (int64_t i = first; i < to; i += 16) {
            ask_for_value(&s, first * (LCY_SPAN / 16) + i / 16, channel, regs);
            for (int c = 0; c < regs; c++) {
                const lanes value = span_value(&s, i, channel + 16 * c);
                for (int r = 0; r < rows; r++) acc[r][c] = lanes_fma(value, lanes_same(s.p[r * s.p_stride + i]), acc[r][c]);
            }
        }
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < regs; c++) lanes_store(at + r * ROW_SUMS + 16 * c, acc[r][c]);
    }
}

LCY_INLINE void weigh_channels(int rows, int fresh, int64_t from, int64_t to, span s, int64_t channels, float *sums) {
    const int regs = rows > 1 ? PV_LANES : PV_ALONE;
    int64_t c = 0;
    for (; c + 16 * regs <= channels; c += 16 * regs) weigh_registers(rows, regs, fresh, from, to, s, c, sums);
    for (; c < channels; c += 16) weigh_registers(rows, 1, fresh, from, to, s, c, sums);
}

/* Some rows, which end at different cells: together as far as all go, then each alone. */
LCY_INLINE void weigh_rows(int rows, int64_t i0, int64_t i1, const int32_t *n, span s, int64_t channels, float *sums) {
    int64_t all = i1;
    for (int r = 0; r < rows; r++) all = n[r] < all ? n[r] : all;
    all = all > i0 ? all - i0 : 0;
    if (i0)
        weigh_channels(rows, 0, 0, all, s, channels, sums);
    else
        weigh_channels(rows, 1, 0, all, s, channels, sums);
    for (int r = 0; r < rows && rows > 1; r++, s.p += s.p_stride, sums += ROW_SUMS)
        weigh_channels(1, 0, all, (n[r] < i1 ? n[r] : i1) - i0, s, channels, sums);
}

LCY_INLINE void weigh_span(int64_t rows, int64_t i0, int64_t i1, const int32_t *n, span s, int64_t channels, float *sums) {
    int64_t r = 0;
    for (; r + PV_ROWS <= rows; r += PV_ROWS, s.p += PV_ROWS * s.p_stride, sums += PV_ROWS * ROW_SUMS, s.asked = 0)
        weigh_rows(PV_ROWS, i0, i1, n + r, s, channels, sums);
    for (; r < rows; r++, s.p += s.p_stride, sums += ROW_SUMS, s.asked = 0)
        weigh_rows(1, i0, i1, n + r, s, channels, sums);
}

/* The tree of lcy_sum16 over [l][LCY_BAND]. */
static inline void sum_band(const float *sums, int64_t channels, float *out) {
    for (int64_t c = 0; c < channels; c += 16) {
        lanes a[16];
        for (int l = 0; l < 16; l++) a[l] = lanes_load(sums + l * LCY_BAND + c);
        for (int width = 8; width > 2; width /= 2)
            for (int l = 0; l < width; l++) a[l] = lanes_add(a[l], a[l + width]);
        lanes_store(out + c, lanes_add(lanes_add(a[0], a[2]), lanes_add(a[1], a[3])));
    }
}

/* Packed values become floats in `tile`, row by row. */
LCY_INLINE span span_of(v_kind kind, const lcy_head *v, int64_t i0, int64_t i1, int64_t c0, int64_t c1, float *tile,
                        const int32_t *counted) {
    if (kind != V_PACKED)
        return (span){kind, (const uint8_t *)v->rows + bytes_of_channels(kind, v, c0), v->stride, v->cells + i0, NULL, 0, 0};
    unpack_values(v, i0, i1, c0, c1, tile);
    return (span){V_FLOATS, (const uint8_t *)tile, (c1 - c0) * (int64_t)sizeof *tile, counted, NULL, 0, 0};
}

LCY_INLINE void weigh_band(v_kind kind, int64_t rows, const int32_t *n, const lcy_head *v, int64_t c0, int64_t c1,
                           const float *p, int64_t p_stride, float *const *out, float *scratch) {
    int32_t counted[LCY_SPAN];
    int64_t most = 0;
    for (int32_t i = 0; i < LCY_SPAN; i++) counted[i] = i;
    for (int64_t r = 0; r < rows; r++) most = n[r] > most ? n[r] : most;
    for (int64_t i = 0, end; i < most; i = end) {
        end = most - i < LCY_SPAN ? most : i + LCY_SPAN;
        span s = span_of(kind, v, i, end, c0, c1, scratch + rows * ROW_SUMS, counted);
        s.p = p + i;
        s.p_stride = p_stride;
        s.asked = kind == V_PACKED ? 0 : most - end;
        weigh_span(rows, i, end, n, s, c1 - c0, scratch);
    }
    for (int64_t r = 0; r < rows; r++) sum_band(scratch + r * ROW_SUMS, c1 - c0, out[r] + c0);
}

/* Channels in whole registers; their number. */
LCY_INLINE int64_t weigh(v_kind kind, int64_t d, int64_t rows, const int32_t *n, const lcy_head *v, const float *p,
                         int64_t p_stride, float *const *out, float *scratch) {
    const int64_t whole = d & ~(int64_t)15;
    for (int64_t c = 0; c < whole; c += LCY_BAND)
        weigh_band(kind, rows, n, v, c, whole - c < LCY_BAND ? whole : c + LCY_BAND, p, p_stride, out, scratch);
    return whole;
}

static void LANES_NAME(pv_f16)(int64_t d, int64_t rows, const int32_t *n, const lcy_head *v, const float *p,
                               int64_t p_stride, float *const *out, float *scratch) {
    const int64_t done = weigh(V_HALVES, d, rows, n, v, p, p_stride, out, scratch);
    for (int64_t r = 0; r < rows && done < d; r++) pv_f16_row(done, d, n[r], v, p + r * p_stride, out[r]);
}

static void LANES_NAME(pv_f32)(int64_t d, int64_t rows, const int32_t *n, const lcy_head *v, const float *p,
                               int64_t p_stride, float *const *out, float *scratch) {
    const int64_t done = weigh(V_FLOATS, d, rows, n, v, p, p_stride, out, scratch);
    for (int64_t r = 0; r < rows && done < d; r++) pv_f32_row(done, d, n[r], v, p + r * p_stride, out[r]);
}

/* Blocks have 32 channels or more, so nothing is left over. */
static void LANES_NAME(pv_packed)(int64_t d, int64_t rows, const int32_t *n, const lcy_head *v, const float *p,
                                  int64_t p_stride, float *const *out, float *scratch) {
    weigh(V_PACKED, d, rows, n, v, p, p_stride, out, scratch);
}

#endif
