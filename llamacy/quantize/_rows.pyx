"""Rows of a tensor: checked, and turned from one type into another, without the GIL.

A call works on some rows and on nothing shared, so calls may run on any number of threads and the bytes are the same.
Inside a call rows are taken in steps whose floats stay in the cache.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cimport cython

from llamacy._lcy cimport *

from llamacy.errors import LlamacyError

cdef enum:
    STEP = 1 << 16          # elements of a step: 256 KiB of floats
    NOWHERE = -1

cdef lcy_kernels kernels
lcy_kernels_init(&kernels, lcy_cpu_features())


class BadValue(LlamacyError):
    """A value that is not a number. index: the element or the block, from the buffer's start. fresh: in the result."""

    def __init__(self, what, index, fresh=False):
        super().__init__(f"found {what} value at block {index}")
        self.what = what
        self.index = index
        self.fresh = fresh


@cython.final
cdef class Held:
    """The bytes of a buffer, held while C points into them. (Typed memoryviews would load `collections`.)"""

    cdef Py_buffer view

    def __cinit__(self, data, bint writable=False):
        PyObject_GetBuffer(data, &self.view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)

    def __dealloc__(self):
        PyBuffer_Release(&self.view)


def is_readable(int type):
    """True if tensors of this type can be turned into floats."""
    cdef const lcy_format *f = lcy_format_of(type)
    return f is not NULL and f.to_float is not NULL


def is_writable(int type):
    """True if there is a rule for files of this type."""
    cdef const lcy_format *f = lcy_format_of(type)
    return f is not NULL and f.quantize is not NULL


def divided(raw, int32_t calls):
    """The float32 values in `raw`, divided by `calls` if that is above 0; None if one is negative or not finite."""
    cdef Held source = Held(raw)
    out = bytearray(raw)
    cdef Held result = Held(out, True)
    cdef float *y = <float *> result.view.buf
    cdef int64_t n = source.view.len // 4, i
    cdef bint good = True
    with nogil:
        for i in range(n):
            if calls > 0:
                y[i] = y[i] / <float> calls
            good = good and isfinite(y[i]) and y[i] >= 0
    return memoryview(out).cast("f") if good else None


def check(int type, data):
    """Look at all values of plain numbers, at all scales of blocks. BadValue: one is NaN or infinite."""
    cdef Held held = Held(data)
    cdef const uint8_t *x = <const uint8_t *> held.view.buf
    cdef int64_t nbytes = held.view.len, bad
    with nogil:
        bad = first_bad(type, x, nbytes)
    if bad != NOWHERE:
        raise BadValue(what_is(type, x, bad), bad)


def convert(int source, int target, int64_t n, data, weights=None):
    """bytes: the rows of n elements in `data`, of type `source`, as type `target` by the rule of files.

    weights  buffer of n float32: what the columns matter; or None.
    Errors   BadValue: NaN or infinity in `data` or, where a number is too large for the type, in the result.
             ValueError: a type that cannot be read or written, rows that do not divide into its blocks.
    """
    cdef const lcy_format *from_ = lcy_format_of(source)
    cdef const lcy_format *to = lcy_format_of(target)
    cdef int64_t in_row = <int64_t> lcy_row_bytes(source, n), out_row = <int64_t> lcy_row_bytes(target, n)
    if from_ is NULL or from_.to_float is NULL or to is NULL or to.quantize is NULL or in_row == 0 or out_row == 0:
        raise ValueError(f"rows of {n} of type {source} cannot become type {target}")
    cdef Held held = Held(data)
    cdef Held held_weights = None if weights is None else Held(weights)
    if held.view.len % in_row or (weights is not None and held_weights.view.len != 4 * n):
        raise ValueError(f"{held.view.len} bytes of data for rows of {in_row}, or weights for other columns than {n}")
    cdef int64_t rows = held.view.len // in_row, bad = NOWHERE
    cdef bytes out = PyBytes_FromStringAndSize(NULL, rows * out_row)
    cdef uint8_t *y = <uint8_t *> PyBytes_AS_STRING(out)
    cdef const uint8_t *x = <const uint8_t *> held.view.buf
    cdef const float *w = NULL
    cdef lcy_status status
    if weights is not None:
        w = <const float *> held_weights.view.buf
    with nogil:
        status = convert_rows(from_, to, rows, n, x, in_row, y, out_row, w, &bad)
        if status == LCY_OK:
            bad = first_bad(target, y, rows * out_row)
    if status == LCY_E_FORMAT:
        raise BadValue(what_is(source, x, bad), bad)
    if status == LCY_E_NOMEM:
        raise MemoryError("no memory to convert a tensor")
    if status != LCY_OK:
        raise ValueError(f"type {target} refuses rows of {n} elements")
    if bad != NOWHERE:
        raise BadValue(what_is(target, y, bad), bad, fresh=True)
    return out


cdef lcy_status convert_rows(const lcy_format *source, const lcy_format *target, int64_t rows, int64_t n,
                             const uint8_t *x, int64_t in_row, uint8_t *y, int64_t out_row, const float *weights,
                             int64_t *bad) noexcept nogil:
    """LCY_E_FORMAT: *bad is the place of a value in x that is not a number."""
    cdef int64_t step = max(1, STEP // n), r = 0, k
    cdef bint floats = source.type == LCY_F32
    cdef lcy_status status = LCY_OK
    cdef float *work = NULL
    step = min(step, rows)
    if not floats:
        work = <float *> malloc(<size_t> (step * n) * sizeof(float))
        if work is NULL:
            return LCY_E_NOMEM
    while r < rows and status == LCY_OK:
        k = min(step, rows - r)
        bad[0] = first_bad(source.type, x + r * in_row, k * in_row)
        if bad[0] != NOWHERE:
            bad[0] += r * in_row // source.bytes
            status = LCY_E_FORMAT
            break
        if not floats:
            kernels.to_float[<int> source.type](k * n, work, x + r * in_row)
        status = kernels.quantize[<int> target.type](
            k, n, y + r * out_row, <const float *> (x + r * in_row) if floats else work, weights)
        r += k
    free(work)
    return status


# --- NaN and infinity are patterns of bits: all ones in the exponent

cdef int64_t first_bad(int type, const uint8_t *p, int64_t nbytes) noexcept nogil:
    """The first element (of plain numbers) or block that holds one; NOWHERE: there is none. p: aligned to elements."""
    if type == LCY_F32:
        return first_bad32(<const uint32_t *> p, nbytes // 4)
    if type == LCY_F16:
        return first_bad16(<const uint16_t *> p, nbytes // 2, 0x7C00)
    if type == LCY_BF16:
        return first_bad16(<const uint16_t *> p, nbytes // 2, 0x7F80)
    if type == LCY_F64:
        return first_bad64(<const uint64_t *> p, nbytes // 8)
    cdef const lcy_format *f = lcy_format_of(type)
    if f is NULL or (scale_at(type, 0) < 0 and type != LCY_IQ1_M and type != LCY_Q8_K):
        return NOWHERE
    return first_bad_block(type, p, nbytes // f.bytes, f.bytes)


cdef int64_t first_bad32(const uint32_t *p, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef uint32_t any = 0
    for i in range(n):
        any |= (p[i] & 0x7F800000) == 0x7F800000      # no way out: so the compiler takes many at a time
    if any:
        for i in range(n):
            if (p[i] & 0x7F800000) == 0x7F800000:
                return i
    return NOWHERE


cdef int64_t first_bad16(const uint16_t *p, int64_t n, uint16_t exponent) noexcept nogil:
    cdef int64_t i
    cdef uint16_t any = 0
    for i in range(n):
        any |= (p[i] & exponent) == exponent
    if any:
        for i in range(n):
            if (p[i] & exponent) == exponent:
                return i
    return NOWHERE


cdef int64_t first_bad64(const uint64_t *p, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        if (p[i] >> 52 & 0x7FF) == 0x7FF:
            return i
    return NOWHERE


cdef int64_t first_bad_block(int type, const uint8_t *p, int64_t n, int64_t size) noexcept nogil:
    cdef int64_t i
    cdef int which
    for i in range(n):
        for which in range(2):
            if is_bad16(scale(type, p + i * size, which)):
                return i
    return NOWHERE


cdef inline bint is_bad16(uint16_t h) noexcept nogil:
    return (h & 0x7C00) == 0x7C00


cdef inline int scale_at(int type, int which) noexcept nogil:
    """Where in a block the f16 number `which` stands: 0 the scale, 1 the minimum or the like. -1: there is none."""
    if type in (LCY_Q4_1, LCY_Q5_1, LCY_Q8_1, LCY_Q4_K, LCY_Q5_K):
        return 2 * which
    if type == LCY_Q2_K:
        return 80 + 2 * which
    if which == 1:
        return -1
    if type == LCY_Q3_K:
        return 108
    if type == LCY_Q6_K:
        return 208
    if type in (LCY_Q4_0, LCY_Q5_0, LCY_Q8_0, LCY_IQ2_XXS, LCY_IQ2_XS, LCY_IQ2_S, LCY_IQ3_XXS, LCY_IQ3_S, LCY_IQ1_S,
                LCY_IQ4_NL, LCY_IQ4_XS):
        return 0
    return -1


cdef inline uint16_t scale(int type, const uint8_t *block, int which) noexcept nogil:
    """A number that stands in a block; 0 where there is none. Of Q8_K's f32 it is an f16 of the same kind."""
    cdef int at, k
    cdef uint16_t h = 0
    cdef uint32_t u
    if type == LCY_Q8_K:
        memcpy(&u, block, 4)
        if (u & 0x7F800000) != 0x7F800000 or which == 1:
            return 0
        return 0x7C01 if u & 0x7FFFFF else 0x7C00
    if type == LCY_IQ1_M:                              # four bits each at the top of the last four words
        for k in range(4):
            h |= <uint16_t> (block[49 + 2 * k] >> 4 << 4 * k)
        return h
    at = scale_at(type, which)
    if at >= 0:
        memcpy(&h, block + at, 2)
    return h


cdef str what_is(int type, const uint8_t *p, int64_t index):
    """nan or inf: what `first_bad` found."""
    cdef const lcy_format *f = lcy_format_of(type)
    cdef const uint8_t *at = p + index * f.bytes
    cdef uint16_t h
    if type == LCY_F32:
        return "nan" if (<const uint32_t *> at)[0] & 0x7FFFFF else "inf"
    if type == LCY_F64:
        return "nan" if (<const uint64_t *> at)[0] & 0xFFFFFFFFFFFFF else "inf"
    if type == LCY_BF16:
        return "nan" if (<const uint16_t *> at)[0] & 0x7F else "inf"
    h = (<const uint16_t *> at)[0] if type == LCY_F16 else scale(type, at, 0)
    if not is_bad16(h):
        h = scale(type, at, 1)
    return "nan" if h & 0x3FF else "inf"
