from libc.stdint cimport uint32_t


cdef class Mt19937:
    cdef uint32_t state[624]
    cdef uint32_t position                       # of the next number in state; 624: all used

    cdef void seed(self, uint32_t value) noexcept nogil
    cdef uint32_t next(self) noexcept nogil
    cdef double uniform(self) noexcept nogil
