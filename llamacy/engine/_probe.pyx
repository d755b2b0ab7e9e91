"""What this machine can do at most, measured: bytes read and bytes multiplied per second."""
from llamacy._lcy cimport *


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
