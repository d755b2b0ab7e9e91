# Texts that stay in the mapped file, and hash tables over them.
#
# The hash of a text of n bytes is the sum of (byte[i] + 1) * B^(n - 1 - i) mod 2^64, so that
#     hash(xy) = hash(x) * B^len(y) + hash(y)          joins two neighbours, and
#     hash(y)  = hash(xy) - hash(x) * B^len(y)         cuts one off,
# both without looking at the bytes again. B is odd, of the longest period, and another one in each process: no file can
# be written so that its tokens collide. A table has 4 bytes per slot and is at most two thirds full, so that those of a
# usual vocabulary stay in the L2 cache; texts are compared only where the bits that a slot keeps of the hash agree.

cdef enum:
    SMALL_POWERS = 256

cdef uint64_t base = (<uint64_t> <Py_hash_t> hash(b"llamacy.vocab")) & ~<uint64_t> 7 | 5
cdef uint64_t small_powers[SMALL_POWERS]


cdef struct Texts:
    const uint8_t *base
    const uint64_t *offset  # (count,)
    const uint64_t *length  # (count,)
    uint32_t count

cdef struct Table:
    uint32_t *slots  # low owner_bits: index of a text + 1, 0: free; above them: low bits of the mixed hash
    uint64_t mask
    uint32_t owner_mask
    int shift, owner_bits


cdef void fill_small_powers() noexcept:
    cdef int i
    small_powers[0] = 1
    for i in range(1, SMALL_POWERS):
        small_powers[i] = small_powers[i - 1] * base


fill_small_powers()


cdef inline uint64_t power(uint64_t n) noexcept nogil:
    """B^n"""
    cdef uint64_t result = 1, square = base
    if n < SMALL_POWERS:
        return small_powers[n]
    while n:
        if n & 1:
            result *= square
        square *= square
        n >>= 1
    return result


cdef inline uint64_t hash_on(uint64_t h, const uint8_t *text, uint64_t n) noexcept nogil:
    """The hash of a text with hash `h`, followed by `text`."""
    cdef uint64_t i
    for i in range(n):
        h = h * base + text[i] + 1
    return h


cdef void hash_prefixes(const uint8_t *text, uint64_t n, uint64_t *out) noexcept nogil:
    """out (n + 1,): out[i] is the hash of the first i bytes."""
    cdef uint64_t i
    out[0] = 0
    for i in range(n):
        out[i + 1] = out[i] * base + text[i] + 1


cdef inline uint64_t hash_between(const uint64_t *prefixes, uint64_t start, uint64_t size) noexcept nogil:
    return prefixes[start + size] - prefixes[start] * power(size)


cdef inline uint64_t mixed(uint64_t h) noexcept nogil:
    """The low bits of a hash depend on the low bits of the bytes alone: spread them."""
    return (h ^ h >> 29) * <uint64_t> 0x9E3779B97F4A7C15


cdef int bits_of(uint64_t n) noexcept nogil:
    """How many bits are needed to write n."""
    cdef int bits = 0
    while n >> bits:
        bits += 1
    return bits


cdef int table_new(Table *t, const Texts *texts, uint32_t count) except -1:
    """An empty table for up to `count` of the texts."""
    cdef int bits = max(4, bits_of(<uint64_t> count * 3 / 2))
    t.slots = <uint32_t *> calloc(<size_t> 1 << bits, sizeof(uint32_t))
    if t.slots is NULL:
        raise MemoryError()
    t.mask = (<uint64_t> 1 << bits) - 1
    t.shift = 64 - bits
    t.owner_bits = bits_of(texts.count)
    t.owner_mask = (<uint32_t> 1 << t.owner_bits) - 1
    return 0


cdef inline bint is_text(const Texts *texts, uint32_t i, const uint8_t *text, uint64_t n) noexcept nogil:
    return texts.length[i] == n and memcmp(texts.base + texts.offset[i], text, n) == 0


cdef inline int32_t candidate(const Table *t, uint64_t m, uint64_t *at) noexcept nogil:
    """The next text that may have the mixed hash m; -1: there is no other.

    *at: the slot where to look, m >> t.shift to begin with; then the one behind what was found, or the free one.
    """
    cdef uint32_t tag = <uint32_t> m << t.owner_bits >> t.owner_bits
    cdef uint32_t slot = t.slots[at[0]]
    while slot:
        at[0] = (at[0] + 1) & t.mask
        if slot >> t.owner_bits == tag:
            return <int32_t> (slot & t.owner_mask) - 1
        slot = t.slots[at[0]]
    return -1


cdef inline int32_t table_find(const Table *t, const Texts *texts, uint64_t h, const uint8_t *text,
                               uint64_t n) noexcept nogil:
    """Index of `text` (n,), whose hash is h; -1: not in the table."""
    cdef uint64_t m = mixed(h)
    cdef uint64_t at = m >> t.shift
    cdef int32_t i = candidate(t, m, &at)
    while i >= 0 and not is_text(texts, i, text, n):
        i = candidate(t, m, &at)
    return i


cdef inline bint table_may_have(const Table *t, uint64_t h) noexcept nogil:
    """False: no text with this hash is in the table. True: most likely one is."""
    cdef uint64_t m = mixed(h)
    cdef uint64_t at = m >> t.shift
    return candidate(t, m, &at) >= 0


cdef inline int32_t table_add(Table *t, const Texts *texts, uint64_t h, uint32_t index) noexcept nogil:
    """Put text number `index`, whose hash is h, into the table. Returns -1, or the index of an equal text there."""
    cdef uint64_t m = mixed(h)
    cdef uint64_t at = m >> t.shift
    cdef int32_t i = candidate(t, m, &at)
    while i >= 0 and not is_text(texts, i, texts.base + texts.offset[index], texts.length[index]):
        i = candidate(t, m, &at)
    if i < 0:
        t.slots[at] = <uint32_t> m << t.owner_bits | (index + 1)
    return i
