/* amx.h (avx512amx): AMX's tiles, eight registers of up to 16 rows of 64 bytes, in words of ours.
 *
 * Numbers of tiles are part of the instruction, so these words are macros and take literals. The barriers tell the
 * compiler that a tile is loaded from memory, which GCC's own macros keep from it: it would drop or delay the stores of
 * what is only read so.
 *
 * LCY_STAND_IN builds the same kernels for a machine without tiles: stand_in.h.
 */
#ifndef LCY_AMX_H
#define LCY_AMX_H

#include <immintrin.h>
#include <stdint.h>

enum { AMX_ROWS = 16, AMX_BYTES = 64 }; /* of a whole tile */

/* What LDTILECFG reads: rows of each tile, and bytes of a row. */
typedef struct {
    uint8_t palette, start_row, zero[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} amx_shape;
_Static_assert(sizeof(amx_shape) == 64, "LDTILECFG reads 64 bytes");

#if defined(LCY_STAND_IN)
#include "stand_in.h"
#else

#define AMX_MEMORY() __asm__ volatile("" ::: "memory")

/* A thread's tiles get their shapes (a static object: see above), and go: while they are in use each switch of threads
 * saves 8 KiB more. */
#define amx_configure(shape) _tile_loadconfig(shape)
#define amx_release() _tile_release()

#define amx_zero(tile) _tile_zero(tile)
/* from and to rows that are `stride` bytes apart */
#define amx_load(tile, p, stride) do { AMX_MEMORY(); _tile_loadd(tile, p, stride); } while (0)
#define amx_store(tile, p, stride) do { _tile_stored(tile, p, stride); AMX_MEMORY(); } while (0)

/* sum[i][j] += the sum over n of a[i][n] * b[n / 4][4 j + n % 4], in 32 bits that wrap. Bytes of a are signed; those of b
 * as the name says. */
#define amx_add_signed(sum, a, b) _tile_dpbssd(sum, a, b)
#define amx_add_unsigned(sum, a, b) _tile_dpbsud(sum, a, b)

#endif

#endif
