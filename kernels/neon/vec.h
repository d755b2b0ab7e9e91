/* vec.h (neon): the vocabulary that kernels/simd/ is written in, with pairs of 128-bit registers.
 *
 * Two registers side by side have the shape of one of AVX2: a tile is V_ROWS = 8 rows, a `vi` holds 16 bytes of 2
 * blocks, and 32 registers are 16 pairs. Whoever tunes for AVX2 tunes for this, and a broadcast activation meets two
 * registers of weights.
 *
 * All bytes are signed: there is s8 * s8 here, so codes up to 127 need no care and signed ones no offset. With the dot
 * product instructions four products go to 32 bits at once; without them products are added in 16 bits first, so
 * functions that add many say how large codes may be.
 */
#ifndef LCY_NEON_VEC_H
#define LCY_NEON_VEC_H

#include <arm_neon.h>
#include <stdint.h>

#include "../scalar.h"

#define LCY_INLINE static inline __attribute__((always_inline))
#if defined(__ARM_FEATURE_DOTPROD)
#define V_NAME(name) name##_dotprod
#else
#define V_NAME(name) name##_neon
#endif
#define V_ROWS 8
#define V_LANES 2
#define V_IN_MEMORY(array) ((void)(array)) /* no instruction could use it there */

typedef struct { int32x4_t lo, hi; } vi;
typedef struct { float32x4_t lo, hi; } vf;

LCY_INLINE int8x16_t v_s8(int32x4_t a) { return vreinterpretq_s8_s32(a); }
LCY_INLINE uint8x16_t v_u8(int32x4_t a) { return vreinterpretq_u8_s32(a); }
LCY_INLINE int16x8_t v_s16(int32x4_t a) { return vreinterpretq_s16_s32(a); }
LCY_INLINE uint32x4_t v_u32(int32x4_t a) { return vreinterpretq_u32_s32(a); }
LCY_INLINE int64x2_t v_s64(int32x4_t a) { return vreinterpretq_s64_s32(a); }
LCY_INLINE int32x4_t v_of_s8(int8x16_t a) { return vreinterpretq_s32_s8(a); }
LCY_INLINE int32x4_t v_of_u8(uint8x16_t a) { return vreinterpretq_s32_u8(a); }
LCY_INLINE int32x4_t v_of_s16(int16x8_t a) { return vreinterpretq_s32_s16(a); }
LCY_INLINE int32x4_t v_of_u32(uint32x4_t a) { return vreinterpretq_s32_u32(a); }

/* ---- loads ---- */

LCY_INLINE int32x4_t v_16bytes(const void *p) { return v_of_u8(vld1q_u8(p)); }

/* lane l: 16 bytes at p[l] + at */
LCY_INLINE vi v_lanes(const uint8_t *const p[V_LANES], int64_t at) {
    return (vi){v_16bytes(p[0] + at), v_16bytes(p[1] + at)};
}

/* 16 bytes to every lane; 4 bytes to every dword */
LCY_INLINE vi v_same16(const void *p) { const int32x4_t a = v_16bytes(p); return (vi){a, a}; }
LCY_INLINE vi v_set32(int32_t c) { const int32x4_t a = vdupq_n_s32(c); return (vi){a, a}; }
LCY_INLINE vi v_same4(const void *p) { int32_t v; memcpy(&v, p, 4); return v_set32(v); }
LCY_INLINE vi v_load(const void *p) { return (vi){v_16bytes(p), v_16bytes((const uint8_t *)p + 16)}; }
LCY_INLINE void v_store(void *p, vi a) {
    vst1q_u8(p, v_u8(a.lo));
    vst1q_u8((uint8_t *)p + 16, v_u8(a.hi));
}
LCY_INLINE vf v_loadf(const float *p) { return (vf){vld1q_f32(p), vld1q_f32(p + 4)}; }
LCY_INLINE void v_storef(float *p, vf a) {
    vst1q_f32(p, a.lo);
    vst1q_f32(p + 4, a.hi);
}
/* V_ROWS halves as floats */
LCY_INLINE vf v_halves(const uint16_t *p) {
    const float16x8_t h = vreinterpretq_f16_u16(vld1q_u16(p));
    return (vf){vcvt_f32_f16(vget_low_f16(h)), vcvt_high_f32_f16(h)};
}

/* ---- integers ---- */

/* the compiler forgets what it knows of a */
LCY_INLINE void v_hide(vi *a) { __asm__ volatile("" : "+w"(a->lo), "+w"(a->hi)); }
LCY_INLINE vi v_zero(void) { return v_set32(0); }
LCY_INLINE vi v_set8(int c) { const int32x4_t a = v_of_s8(vdupq_n_s8((int8_t)c)); return (vi){a, a}; }
LCY_INLINE vi v_and(vi a, vi b) { return (vi){vandq_s32(a.lo, b.lo), vandq_s32(a.hi, b.hi)}; }
LCY_INLINE vi v_or(vi a, vi b) { return (vi){vorrq_s32(a.lo, b.lo), vorrq_s32(a.hi, b.hi)}; }
/* (a & mask) | b */
LCY_INLINE vi v_and_or(vi a, vi mask, vi b) { return v_or(v_and(a, mask), b); }
LCY_INLINE vi v_sub8(vi a, vi b) {
    return (vi){v_of_s8(vsubq_s8(v_s8(a.lo), v_s8(b.lo))), v_of_s8(vsubq_s8(v_s8(a.hi), v_s8(b.hi)))};
}
LCY_INLINE vi v_add32(vi a, vi b) { return (vi){vaddq_s32(a.lo, b.lo), vaddq_s32(a.hi, b.hi)}; }
LCY_INLINE vi v_sub32(vi a, vi b) { return (vi){vsubq_s32(a.lo, b.lo), vsubq_s32(a.hi, b.hi)}; }
/* by vectors of one constant, which compilers turn into the immediate forms */
LCY_INLINE vi v_shr32(vi a, int n) {
    const uint32x4_t by = vdupq_n_u32((uint32_t)n);
    return (vi){v_of_u32(v_u32(a.lo) >> by), v_of_u32(v_u32(a.hi) >> by)};
}
LCY_INLINE vi v_shl32(vi a, int n) {
    const uint32x4_t by = vdupq_n_u32((uint32_t)n);
    return (vi){v_of_u32(v_u32(a.lo) << by), v_of_u32(v_u32(a.hi) << by)};
}
LCY_INLINE vi v_sra32(vi a, int n) {
    const int32x4_t by = vdupq_n_s32(n);
    return (vi){a.lo >> by, a.hi >> by};
}
LCY_INLINE vi v_shr32_by(vi a, vi n) {
    return (vi){v_of_u32(v_u32(a.lo) >> v_u32(n.lo)), v_of_u32(v_u32(a.hi) >> v_u32(n.hi))};
}
LCY_INLINE vi v_shuffle8(vi table, vi index) {
    return (vi){v_of_u8(vqtbl1q_u8(v_u8(table.lo), v_u8(index.lo))), v_of_u8(vqtbl1q_u8(v_u8(table.hi), v_u8(index.hi)))};
}

LCY_INLINE int32_t v_sum_bytes32(const int8_t *p) {
    return vaddlvq_s16(vaddl_s8(vld1_s8(p), vld1_s8(p + 8))) + vaddlvq_s16(vaddl_s8(vld1_s8(p + 16), vld1_s8(p + 24)));
}

/* bytes whose bit of `bits` is set in `a` become c, the others 0 */
LCY_INLINE vi v_bytes_if(vi a, vi bits, vi c) {
    return (vi){v_of_u8(vandq_u8(vtstq_u8(v_u8(a.lo), v_u8(bits.lo)), v_u8(c.lo))),
                v_of_u8(vandq_u8(vtstq_u8(v_u8(a.hi), v_u8(bits.hi)), v_u8(c.hi)))};
}

/* pairs: s16 a * s16 b, two products added to acc, 32 bits */
LCY_INLINE int32x4_t v_pairs16_one(int16x8_t a, int16x8_t b) {
    return vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b));
}
LCY_INLINE vi v_pairs16(vi acc, vi a, vi b) {
    return (vi){vaddq_s32(acc.lo, v_pairs16_one(v_s16(a.lo), v_s16(b.lo))),
                vaddq_s32(acc.hi, v_pairs16_one(v_s16(a.hi), v_s16(b.hi)))};
}

#define V_SIGNED_OFFSET 0

#if defined(__ARM_FEATURE_DOTPROD)

/* ---- a block of 32 codes against 32 activations, four 32-bit sums per lane ---- */

LCY_INLINE vi v_dot4(vi acc, vi a, vi b) {
    return (vi){vdotq_s32(acc.lo, v_s8(a.lo), v_s8(b.lo)), vdotq_s32(acc.hi, v_s8(a.hi), v_s8(b.hi))};
}
LCY_INLINE vi v_dot32(vi low, vi xlow, vi high, vi xhigh) { return v_dot4(v_dot4(v_zero(), low, xlow), high, xhigh); }

/* ---- many tokens: register g holds codes 4 g .. 4 g + 3 of every row of the tile; x: their activations ---- */

/* acc + the sums over n (1, 4 or 8) registers and activations x. most: the largest code, for ISAs that add in 16 bits */
LCY_INLINE vi v_dot_rows(vi acc, const vi *codes, int n, const int8_t *x, int most) {
    (void)most;
    if (n % 4) {
        for (int g = 0; g < n; g++) acc = v_dot4(acc, codes[g], v_same4(x + 4 * g));
        return acc;
    }
    for (int g = 0; g < n; g += 4) {
        const int8x16_t q = vld1q_s8(x + 4 * g);
        acc.lo = vdotq_laneq_s32(acc.lo, v_s8(codes[g].lo), q, 0);
        acc.hi = vdotq_laneq_s32(acc.hi, v_s8(codes[g].hi), q, 0);
        acc.lo = vdotq_laneq_s32(acc.lo, v_s8(codes[g + 1].lo), q, 1);
        acc.hi = vdotq_laneq_s32(acc.hi, v_s8(codes[g + 1].hi), q, 1);
        acc.lo = vdotq_laneq_s32(acc.lo, v_s8(codes[g + 2].lo), q, 2);
        acc.hi = vdotq_laneq_s32(acc.hi, v_s8(codes[g + 2].hi), q, 2);
        acc.lo = vdotq_laneq_s32(acc.lo, v_s8(codes[g + 3].lo), q, 3);
        acc.hi = vdotq_laneq_s32(acc.hi, v_s8(codes[g + 3].hi), q, 3);
    }
    return acc;
}

/* ---- panels of many tokens (kernels/simd/panel.h) ---- */

#define V_PANELS 1
#define V_ABREAST 1 /* registers of rows and tokens of a tile: its 2 x 6 products, 2 x 6 float sums, 6 of activations */
#define V_TILE 6
#define V_FOLDED_OFFSET 0 /* bytes are signed, and Q3_K's -4 times -32 is none */

/* Activations of four groups fill a register; a product takes group g of them. */
#define V_BY_LANE 1
typedef int8x16_t v_groups;
LCY_INLINE v_groups v_load_groups(const int8_t *p) { return vld1q_s8(p); }
LCY_INLINE vi v_add_product_at(vi sum, vi codes, v_groups x, int g) {
#define AT(n) (vi){vdotq_laneq_s32(sum.lo, v_s8(codes.lo), x, n), vdotq_laneq_s32(sum.hi, v_s8(codes.hi), x, n)}
    return g == 0 ? AT(0) : g == 1 ? AT(1) : g == 2 ? AT(2) : AT(3);
#undef AT
}

/* pairs of 16 bits per row -> one register for the first of each, one for the second */
LCY_INLINE vi v_row_pairs(vi pairs) {
    return (vi){v_of_s16(vuzp1q_s16(v_s16(pairs.lo), v_s16(pairs.hi))), v_of_s16(vuzp2q_s16(v_s16(pairs.lo), v_s16(pairs.hi)))};
}
/* sum + pairs x numbers 2 n and 2 n + 1 of sums, of which there are 8 or 16 */
LCY_INLINE vi v_add_pairs(vi sum, vi pairs, const int16_t *sums, int n) {
    const int16x8_t x = vld1q_s16(sums + n / 4 * 8), a = v_s16(pairs.lo), b = v_s16(pairs.hi);
#define AT(n)                                                                                                         \
    (vi){vmlal_laneq_s16(vmlal_laneq_s16(sum.lo, vget_low_s16(a), x, 2 * n), vget_low_s16(b), x, 2 * n + 1),          \
         vmlal_high_laneq_s16(vmlal_high_laneq_s16(sum.hi, a, x, 2 * n), b, x, 2 * n + 1)}
    return n % 4 == 0 ? AT(0) : n % 4 == 1 ? AT(1) : n % 4 == 2 ? AT(2) : AT(3);
#undef AT
}
LCY_INLINE vi v_mul16(vi a, vi b) {
    return (vi){v_of_s16(vmulq_s16(v_s16(a.lo), v_s16(b.lo))), v_of_s16(vmulq_s16(v_s16(a.hi), v_s16(b.hi)))};
}
LCY_INLINE vi v_sra16(vi a, int n) {
    const int16x8_t by = vdupq_n_s16((int16_t)n);
    return (vi){v_of_s16(v_s16(a.lo) >> by), v_of_s16(v_s16(a.hi) >> by)};
}

/* rows of a register that count */
typedef struct { int from, to; } v_some;
LCY_INLINE v_some v_some_of(int from, int to) { return (v_some){from, to}; }
LCY_INLINE vf v_load_some(const float *p, v_some m) {
    float all[V_ROWS] = {0};
    if (m.from == 0 && m.to == V_ROWS) return v_loadf(p);
    memcpy(all + m.from, p + m.from, (size_t)(m.to - m.from) * sizeof *p);
    return v_loadf(all);
}
LCY_INLINE void v_store_some(float *p, vf a, v_some m) {
    float all[V_ROWS];
    v_storef(m.from == 0 && m.to == V_ROWS ? p : all, a);
    if (m.from != 0 || m.to != V_ROWS) memcpy(p + m.from, all + m.from, (size_t)(m.to - m.from) * sizeof *p);
}

#else

/* n registers a[i] * b[i] added in 16 bits, then four neighbours to 32 */
LCY_INLINE int32x4_t v_dot4_run(int32x4_t acc, int n, const int8x16_t *a, const int8x16_t *b) {
    int16x8_t low = vmull_s8(vget_low_s8(a[0]), vget_low_s8(b[0])), high = vmull_high_s8(a[0], b[0]);
    for (int i = 1; i < n; i++) {
        low = vmlal_s8(low, vget_low_s8(a[i]), vget_low_s8(b[i]));
        high = vmlal_high_s8(high, a[i], b[i]);
    }
    return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}

/* four neighbours to 32 bits in any order: the lanes of a block are all added in the end */
LCY_INLINE int32x4_t v_dot32_one(int8x16_t low, int8x16_t xlow, int8x16_t high, int8x16_t xhigh) {
    int16x8_t p = vmlal_high_s8(vmull_s8(vget_low_s8(low), vget_low_s8(xlow)), low, xlow);
    p = vmlal_high_s8(vmlal_s8(p, vget_low_s8(high), vget_low_s8(xhigh)), high, xhigh);
    return vpaddlq_s16(p);
}

/* codes up to 31: four products fit 16 bits */
LCY_INLINE vi v_dot32(vi low, vi xlow, vi high, vi xhigh) {
    return (vi){v_dot32_one(v_s8(low.lo), v_s8(xlow.lo), v_s8(high.lo), v_s8(xhigh.lo)),
                v_dot32_one(v_s8(low.hi), v_s8(xlow.hi), v_s8(high.hi), v_s8(xhigh.hi))};
}

/* ---- many tokens: register g holds codes 4 g .. 4 g + 3 of every row of the tile; x: their activations ---- */

/* registers whose products can be added in 16 bits: most * 127 * this stays below 32768 */
LCY_INLINE int v_narrow_sums(int most) { return most <= 31 ? 8 : most <= 63 ? 4 : 2; }

/* acc + the sums over n (1, 4 or 8) registers and activations x. most: the largest code; -128 is one of 128 */
LCY_INLINE vi v_dot_rows(vi acc, const vi *codes, int n, const int8_t *x, int most) {
    const int some = v_narrow_sums(most) < n ? v_narrow_sums(most) : n;
    for (int g = 0; g < n; g += some) {
        int8x16_t low[8], high[8], q[8];
        for (int i = 0; i < some; i++) {
            low[i] = v_s8(codes[g + i].lo), high[i] = v_s8(codes[g + i].hi);
            q[i] = v_s8(v_same4(x + 4 * (g + i)).lo);
        }
        acc = (vi){v_dot4_run(acc.lo, some, low, q), v_dot4_run(acc.hi, some, high, q)};
    }
    return acc;
}

#endif

LCY_INLINE vi v_scaled_sum(vi acc, vi sum, vi scale) {
    return (vi){vmlaq_s32(acc.lo, sum.lo, scale.lo), vmlaq_s32(acc.hi, sum.hi, scale.hi)};
}

#define v_add_scaled v_scaled_sum

/* The same times a scale per row; scale: what v_row_scale made of a register of 32-bit scales */
LCY_INLINE vi v_row_scale(vi scale) { return scale; }
LCY_INLINE vi v_dot_rows_scaled(vi acc, const vi *codes, int n, const int8_t *x, int most, vi scale) {
    return v_scaled_sum(acc, v_dot_rows(v_zero(), codes, n, x, most), scale);
}
/* signed codes as v_dot_rows_signed takes them */
LCY_INLINE vi v_row_signed(vi codes) { return codes; }
LCY_INLINE vi v_dot_rows_signed(vi acc, const vi *codes, int n, const int8_t *x) {
    return v_dot_rows(acc, codes, n, x, 128);
}

/* sum[t] += the sums over 8 registers for each of a few tokens, 32 activations each */
LCY_INLINE void v_dot_few(vi sum[], const vi codes[8], int tokens, const int8_t *x, int most, int is_signed) {
    for (int t = 0; t < tokens; t++) sum[t] = v_dot_rows(sum[t], codes, 8, x + 32 * t, is_signed ? 128 : most);
}

/* byte n (a constant) of each dword, as v_few_scale takes it */
LCY_INLINE vi v_byte_scale(vi bytes, int n, int is_signed) {
    return is_signed ? v_sra32(v_shl32(bytes, 24 - 8 * n), 24) : v_and(v_shr32(bytes, 8 * n), v_set32(255));
}

/* The same for four registers whose sums have a scale: part[t] += the sums over them, for tokens whose activations are
 * `apart` bytes apart; then acc[t] += scale x part[t], which begins anew. */
LCY_INLINE void v_few_dot(vi part[], vi acc[], const vi codes[4], int tokens, const int8_t *x, int apart, int most,
                          vi scale) {
    (void)acc, (void)scale;
    for (int t = 0; t < tokens; t++) part[t] = v_dot_rows(part[t], codes, 4, x + apart * t, most);
}
LCY_INLINE void v_few_scale(vi part[], vi acc[], int tokens, vi scale) {
    for (int t = 0; t < tokens; t++) acc[t] = v_scaled_sum(acc[t], part[t], scale), part[t] = v_zero();
}

/* ---- lanes -> one block or row per 32-bit element ---- */

LCY_INLINE vi v_low32(vi a, vi b) { return (vi){vzip1q_s32(a.lo, b.lo), vzip1q_s32(a.hi, b.hi)}; }
LCY_INLINE vi v_high32(vi a, vi b) { return (vi){vzip2q_s32(a.lo, b.lo), vzip2q_s32(a.hi, b.hi)}; }
LCY_INLINE int32x4_t v_low64_one(int32x4_t a, int32x4_t b) { return vreinterpretq_s32_s64(vzip1q_s64(v_s64(a), v_s64(b))); }
LCY_INLINE int32x4_t v_high64_one(int32x4_t a, int32x4_t b) { return vreinterpretq_s32_s64(vzip2q_s64(v_s64(a), v_s64(b))); }
LCY_INLINE vi v_low64(vi a, vi b) { return (vi){v_low64_one(a.lo, b.lo), v_low64_one(a.hi, b.hi)}; }
LCY_INLINE vi v_high64(vi a, vi b) { return (vi){v_high64_one(a.lo, b.lo), v_high64_one(a.hi, b.hi)}; }

/* ---- floats ---- */

LCY_INLINE vf v_setf(float x) { const float32x4_t a = vdupq_n_f32(x); return (vf){a, a}; }
LCY_INLINE vf v_zerof(void) { return v_setf(0); }
LCY_INLINE vf v_float(vi a) { return (vf){vcvtq_f32_s32(a.lo), vcvtq_f32_s32(a.hi)}; }
LCY_INLINE vf v_mul(vf a, vf b) { return (vf){vmulq_f32(a.lo, b.lo), vmulq_f32(a.hi, b.hi)}; }
LCY_INLINE vf v_addf(vf a, vf b) { return (vf){vaddq_f32(a.lo, b.lo), vaddq_f32(a.hi, b.hi)}; }
LCY_INLINE vf v_subf(vf a, vf b) { return (vf){vsubq_f32(a.lo, b.lo), vsubq_f32(a.hi, b.hi)}; }
LCY_INLINE vf v_fma(vf a, vf b, vf c) { return (vf){vfmaq_f32(c.lo, a.lo, b.lo), vfmaq_f32(c.hi, a.hi, b.hi)}; }
LCY_INLINE vf v_fnma(vf a, vf b, vf c) { return (vf){vfmsq_f32(c.lo, a.lo, b.lo), vfmsq_f32(c.hi, a.hi, b.hi)}; }

LCY_INLINE void v_transpose4(float32x4_t a[4]) {
    const float32x4_t p = vtrn1q_f32(a[0], a[1]), q = vtrn2q_f32(a[0], a[1]);
    const float32x4_t r = vtrn1q_f32(a[2], a[3]), s = vtrn2q_f32(a[2], a[3]);
    const float64x2_t P = vreinterpretq_f64_f32(p), Q = vreinterpretq_f64_f32(q);
    const float64x2_t R = vreinterpretq_f64_f32(r), S = vreinterpretq_f64_f32(s);
    a[0] = vreinterpretq_f32_f64(vtrn1q_f64(P, R)), a[1] = vreinterpretq_f32_f64(vtrn1q_f64(Q, S));
    a[2] = vreinterpretq_f32_f64(vtrn2q_f64(P, R)), a[3] = vreinterpretq_f32_f64(vtrn2q_f64(Q, S));
}

/* V_ROWS x V_ROWS */
LCY_INLINE void v_transpose_square(vf a[V_ROWS]) {
    float32x4_t q[2][2][4]; /* rows 4 i .. 4 i + 3, columns 4 j .. 4 j + 3 */
    for (int r = 0; r < 8; r++) q[r / 4][0][r % 4] = a[r].lo, q[r / 4][1][r % 4] = a[r].hi;
    for (int i = 0; i < 4; i++) v_transpose4(q[i / 2][i % 2]);
    for (int c = 0; c < 8; c++) a[c] = (vf){q[0][c / 4][c % 4], q[1][c / 4][c % 4]};
}

#endif
