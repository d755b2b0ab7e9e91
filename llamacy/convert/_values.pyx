"""Numbers of one type as another, by the rules of the reference's convert.py, without the GIL.

F16 rounds to nearest, ties to even; what is too large becomes infinite. Q8_0 is not the rule of `quantize`: a weight is
divided by the unrounded scale, and ties go to even.

A call works on one piece and on nothing shared, so any number of threads may call, and the bytes are the same.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from llamacy._lcy cimport *

cdef enum:
    STEP = 1 << 13              # elements: their floats stay in the cache
    BLOCK = 32
    BLOCK_BYTES = 34

cdef lcy_kernels kernels
lcy_kernels_init(&kernels, lcy_cpu_features())


def convert(int source, int target, const uint8_t[::1] data not None):
    """(bytes, bad): the numbers in `data`, of type F32, F16 or BF16, as F32, F16 or Q8_0; of them bad are not finite.

    ValueError: another type, or an amount of data that is no whole number of its elements or of blocks of 32.
    """
    cdef const lcy_format *from_ = lcy_format_of(source)
    cdef const lcy_format *to = lcy_format_of(target)
    if source not in (LCY_F32, LCY_F16, LCY_BF16) or target not in (LCY_F32, LCY_F16, LCY_Q8_0):
        raise ValueError(f"type {source} cannot become type {target}")
    cdef int64_t n = data.shape[0] // from_.bytes, bad
    if data.shape[0] == 0 or data.shape[0] % from_.bytes or n % to.block:
        raise ValueError(f"{data.shape[0]} bytes: no whole number of elements, or of blocks of {to.block}")
    cdef bytes out = PyBytes_FromStringAndSize(NULL, n // to.block * to.bytes)
    cdef uint8_t *y = <uint8_t *> PyBytes_AS_STRING(out)
    cdef const uint8_t *x = &data[0]
    with nogil:
        bad = convert_all(from_, to, n, y, x)
    return out, bad


cdef int64_t convert_all(const lcy_format *source, const lcy_format *target, int64_t n, uint8_t *y,
                         const uint8_t *x) noexcept nogil:
    cdef float[STEP] work
    cdef int64_t at = 0, k, bad = 0
    while at < n:
        k = min(STEP, n - at)
        if source.type == LCY_F32:
            memcpy(work, x, <size_t> k * 4)      # the file's own bytes may stand at any address
        else:
            widen(source.type, k, work, x)
        bad += put(target.type, k, y, work)
        x += k * source.bytes
        y += k // target.block * target.bytes
        at += k
    return bad


cdef void widen(int type, int64_t n, float *y, const uint8_t *x) noexcept nogil:
    cdef uint16_t[STEP] halves
    memcpy(halves, x, <size_t> n * 2)
    kernels.to_float[type](n, y, halves)


cdef int64_t put(int type, int64_t n, uint8_t *y, const float *x) noexcept nogil:
    cdef uint16_t[STEP] halves
    if type == LCY_F32:
        memcpy(y, x, <size_t> n * 4)
        return count_bad(n, x)
    if type == LCY_F16:
        lcy_format_of(LCY_F16).from_float(n, halves, x)
        memcpy(y, halves, <size_t> n * 2)
        return count_bad16(n, halves)
    return put_blocks(n // BLOCK, y, x)


cdef int64_t put_blocks(int64_t n, uint8_t *y, const float *x) noexcept nogil:
    cdef float[BLOCK] quotient
    cdef uint16_t half
    cdef float d, v
    cdef int64_t b, bad = 0
    cdef int i
    for b in range(n):
        d = abs_max(x) / 127
        lcy_format_of(LCY_F16).from_float(1, &half, &d)
        memcpy(y, &half, 2)
        bad += (half & 0x7C00) == 0x7C00
        for i in range(BLOCK):
            quotient[i] = x[i] / d if d != 0 else 0
        round_all(<int8_t *> (y + 2), quotient)
        x += BLOCK
        y += BLOCK_BYTES
    return bad


cdef inline float abs_max(const float *x) noexcept nogil:
    """Of 32 values. As integers, because their order is the same and the compiler may then take many at a time."""
    cdef int32_t[BLOCK] bits
    cdef int32_t most = 0
    cdef float value
    cdef int i
    memcpy(bits, x, sizeof(bits))
    for i in range(BLOCK):
        most = max(most, bits[i] & 0x7FFFFFFF)
    memcpy(&value, &most, 4)
    return value


cdef inline void round_all(int8_t *y, const float *x) noexcept nogil:
    """Nearest integers, ties to even, of 32 values up to 127: adding 1.5 * 2^23 leaves them in the lowest bits."""
    cdef float[BLOCK] shifted
    cdef int32_t[BLOCK] bits
    cdef int i
    for i in range(BLOCK):
        shifted[i] = x[i] + <float> 12582912.0
    memcpy(bits, shifted, sizeof(bits))
    for i in range(BLOCK):
        y[i] = <int8_t> ((bits[i] & 0x007FFFFF) - 0x00400000)


# --- infinity and NaN have all ones in the exponent

cdef int64_t count_bad(int64_t n, const float *x) noexcept nogil:
    cdef int64_t i, bad = 0
    cdef uint32_t u
    for i in range(n):
        memcpy(&u, x + i, 4)
        bad += (u & 0x7F800000) == 0x7F800000
    return bad


cdef int64_t count_bad16(int64_t n, const uint16_t *x) noexcept nogil:
    cdef int64_t i, bad = 0
    for i in range(n):
        bad += (x[i] & 0x7C00) == 0x7C00
    return bad
