"""The random numbers: the 32-bit Mersenne Twister, drawn from and written down as the C++ library of GNU does it."""

from libc.stdint cimport uint32_t

from llamacy.errors import LlamacyError

cdef enum:
    N = 624
    M = 397


cdef class Mt19937:
    """A generator of 32-bit numbers. The same seed gives the same numbers everywhere."""

    def __cinit__(self, seed=0):
        self.seed(<uint32_t> (seed & 0xFFFFFFFF))

    cdef void seed(self, uint32_t value) noexcept nogil:
        cdef int i
        self.state[0] = value
        for i in range(1, N):
            value = 1812433253U * (value ^ (value >> 30)) + <uint32_t> i
            self.state[i] = value
        self.position = N

    cdef uint32_t next(self) noexcept nogil:
        cdef uint32_t y
        if self.position >= N:
            twist(self.state)
            self.position = 0
        y = self.state[self.position]
        self.position += 1
        y ^= y >> 11
        y ^= (y << 7) & 0x9D2C5680U
        y ^= (y << 15) & 0xEFC60000U
        return y ^ (y >> 18)

    cdef double uniform(self) noexcept nogil:
        """A number in [0, 1) made of two outputs, the low half first; their sum is rounded to 53 bits."""
        cdef double low = self.next()
        cdef double u = (low + self.next() * 4294967296.0) / 18446744073709551616.0
        return u if u < 1.0 else 0.99999999999999988897769753748        # 1 - 2^-53

    def next32(self):
        """The next number, 0 to 2**32 - 1."""
        return self.next()

    def state_text(self):
        """The state as bytes: 624 numbers and the position among them, with blanks between."""
        return b" ".join([b"%d" % self.state[i] for i in range(N)] + [b"%d" % self.position])

    def load_text(self, text):
        """Take over a state that state_text wrote.

        Errors  LlamacyError: it is not one; nothing has changed.
        """
        words = bytes(text).split()
        if len(words) != N + 1:
            raise LlamacyError(f"random generator's state: found {len(words)} numbers, expected {N + 1}")
        for i, word in enumerate(words):
            if len(word) > 10 or not word.isdigit() or int(word) > 0xFFFFFFFF:
                found = ascii(word[:10].decode("latin-1"))
                raise LlamacyError(f"random generator's state: number {i}: found {found}, expected 0 to 4294967295")
        numbers = [int(word) for word in words]
        if numbers[N] > N:
            raise LlamacyError(f"random generator's state: position: found {numbers[N]}, expected 0 to {N}")
        for i in range(N):
            self.state[i] = numbers[i]
        self.position = numbers[N]


cdef void twist(uint32_t *x) noexcept nogil:
    """Make the next 624 numbers of the recurrence. x: (624,)"""
    cdef int i
    cdef uint32_t y
    for i in range(N):
        y = (x[i] & 0x80000000U) | (x[(i + 1) % N] & 0x7FFFFFFFU)
        x[i] = x[(i + M) % N] ^ (y >> 1) ^ (0x9908B0DFU if y & 1 else 0U)
