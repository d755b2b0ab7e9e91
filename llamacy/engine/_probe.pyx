"""What this machine can do: the kernels chosen for it, how fast it reads memory, multiplies bytes, and multiplies weights."""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free

from llamacy._lcy cimport *


def levels():
    """[(name, True if this CPU has it and LLAMACY_CPU does not forbid it)] of the levels that were built, weakest first."""
    cdef uint32_t cpu = lcy_cpu_features()
    cdef const lcy_isa *isa
    found = []
    while True:
        isa = lcy_isa_at(len(found))
        if isa is NULL:
            return found
        found.append((isa.name.decode(), isa.needs & cpu == isa.needs))


def read_rate(int threads, *, int64_t megabytes=256, double seconds=0.5):
    """Bytes per second that `threads` threads read together from memory far larger than the caches.

    Errors  MemoryError: no room for the buffer, or no threads.
    """
    cdef double rate
    with nogil:
        rate = lcy_probe_read(threads, megabytes << 20, seconds)
    if rate == 0:
        raise MemoryError(f"no room to measure memory: {megabytes} MiB, {threads} threads")
    return rate


def int8_rate(int threads, *, double seconds=0.2):
    """(multiply-adds of bytes per second of `threads` threads, name of the kernels that do them).

    Errors  MemoryError: no threads to be had.
    """
    cdef double rate
    cdef const char *level
    with nogil:
        rate = lcy_probe_int8(threads, seconds, &level)
    if rate == 0:
        raise MemoryError(f"no room to measure products: {threads} threads")
    return rate, level.decode()


def multiply(int type, int64_t k, int64_t tokens, weights):
    """Multiply whole rows of `k` weights of this format with so many tokens of zeros. Without the GIL.

    Errors  ValueError: a format without products, or rows that do not divide into its blocks.
    """
    cdef lcy_kernels kernels
    cdef const lcy_format *f = lcy_format_of(type)
    cdef Py_buffer view
    cdef int64_t stride = <int64_t> lcy_row_bytes(type, k), packed, rows
    cdef void *x
    cdef float *out
    lcy_kernels_init(&kernels, lcy_cpu_features())
    if f is NULL or stride == 0 or kernels.matmul[type] is NULL:
        raise ValueError("no products with weights of this format, or rows of another length")
    packed = <int64_t> lcy_row_bytes(f.dot_with, k)
    PyObject_GetBuffer(weights, &view, PyBUF_SIMPLE)
    rows = view.len // stride
    x, out = calloc(tokens, packed + 64), <float *> calloc(tokens * rows + 16, sizeof(float))
    if x is not NULL and out is not NULL:
        with nogil:
            kernels.matmul[type](k, rows, tokens, view.buf, stride, x, packed, out, rows)
    free(x)
    free(out)
    PyBuffer_Release(&view)
