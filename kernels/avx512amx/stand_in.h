/* stand_in.h (avx512amx): tiles in memory, for tests on machines without AMX. Included by amx.h.
 *
 * It does what the instructions do, and ends the process where they would end it with #GP or #UD; and also where a thread
 * gets new shapes before it gave its tiles back, which a CPU allows and we do not. Products go one byte at a time, by
 * other instructions than the kernels that are compared with them.
 */
#ifndef LCY_AMX_STAND_IN_H
#define LCY_AMX_STAND_IN_H

#include <string.h>

enum { AMX_TILES = 8 };

typedef struct {
    int configured;
    amx_shape shape;
    _Alignas(64) uint8_t of[AMX_TILES][AMX_ROWS][AMX_BYTES];
} amx_state;

static _Thread_local amx_state amx_now;

/* SIGILL, which is also what #UD becomes */
static inline void amx_needs(int truth) {
    if (!truth) __builtin_trap();
}

static inline void amx_configure(const amx_shape *s) {
    static const uint8_t zero[14];
    amx_needs(!amx_now.configured);
    amx_needs(s->palette == 1 && s->start_row == 0 && !memcmp(s->zero, zero, sizeof zero));
    for (int t = 0; t < 16; t++) {
        amx_needs(s->rows[t] <= AMX_ROWS && s->bytes[t] <= AMX_BYTES);
        amx_needs((s->rows[t] == 0) == (s->bytes[t] == 0));
        amx_needs(t < AMX_TILES || s->rows[t] == 0);
    }
    memset(&amx_now, 0, sizeof amx_now);
    amx_now.shape = *s;
    amx_now.configured = 1;
}

static inline void amx_release(void) { memset(&amx_now, 0, sizeof amx_now); }

static inline void amx_needs_tile(int tile) {
    amx_needs(amx_now.configured && tile >= 0 && tile < AMX_TILES && amx_now.shape.rows[tile]);
}

static inline void amx_zero(int tile) {
    amx_needs_tile(tile);
    memset(amx_now.of[tile], 0, sizeof amx_now.of[tile]);
}

static inline void amx_load(int tile, const void *p, int64_t stride) {
    amx_zero(tile); /* what the shape leaves out */
    for (int r = 0; r < amx_now.shape.rows[tile]; r++)
        memcpy(amx_now.of[tile][r], (const uint8_t *)p + r * stride, amx_now.shape.bytes[tile]);
}

static inline void amx_store(int tile, void *p, int64_t stride) {
    amx_needs_tile(tile);
    for (int r = 0; r < amx_now.shape.rows[tile]; r++)
        memcpy((uint8_t *)p + r * stride, amx_now.of[tile][r], amx_now.shape.bytes[tile]);
}

/* byte n of each dword, widened */
static inline __m512i amx_byte(__m512i a, int n, int is_signed) {
    const __m512i top = _mm512_slli_epi32(a, (unsigned)(24 - 8 * n));
    return is_signed ? _mm512_srai_epi32(top, 24) : _mm512_srli_epi32(top, 24);
}

static inline void amx_add(int sum, int a, int b, int is_signed) {
    const amx_shape *s = &amx_now.shape;
    amx_needs_tile(sum), amx_needs_tile(a), amx_needs_tile(b);
    amx_needs(sum != a && a != b && sum != b);
    amx_needs(s->bytes[sum] % 4 == 0 && s->bytes[a] % 4 == 0 && s->bytes[b] % 4 == 0);
    amx_needs(s->rows[sum] == s->rows[a] && s->bytes[sum] == s->bytes[b] && s->bytes[a] / 4 == s->rows[b]);
    for (int r = 0; r < s->rows[sum]; r++) {
        __m512i row = _mm512_load_si512(amx_now.of[sum][r]);
        for (int n = 0; n < s->bytes[a]; n++) {
            const __m512i x = _mm512_set1_epi32((int8_t)amx_now.of[a][r][n]);
            const __m512i w = amx_byte(_mm512_load_si512(amx_now.of[b][n / 4]), n % 4, is_signed);
            row = _mm512_add_epi32(row, _mm512_mullo_epi32(x, w));
        }
        _mm512_store_si512(amx_now.of[sum][r], row);
    }
}

static inline void amx_add_signed(int sum, int a, int b) { amx_add(sum, a, b, 1); }
static inline void amx_add_unsigned(int sum, int a, int b) { amx_add(sum, a, b, 0); }

#endif
