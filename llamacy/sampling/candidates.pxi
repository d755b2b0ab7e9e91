# The candidates of one step and how they are put in order. Textual part of _sampler.pyx.
#
# data (n_vocab,): what is still in the race comes first, `size` of it; behind it lies what earlier stages dropped, each
# with the p it had then, because reports of probabilities may reach there.

ctypedef struct Candidate:
    int32_t id
    float logit
    float p

ctypedef struct Candidates:
    Candidate *data                # (n_vocab,)
    size_t size
    bint sorted                    # by logit, highest first
    bint by_id                     # in the order of ids
    Candidate *copy                # (n_vocab,) scratch
    uint64_t *keys                 # (n_vocab,) scratch: order << 32 | position in data; lowest first
    uint64_t *spare                # (n_vocab,) scratch

cdef enum:
    FEW = 24                       # keys: below that, insertion is faster than counting
    COARSE = 12                    # bits by which a partial selection tells candidates apart

cdef uint32_t LAST = 0xFFFFFFFF    # order of what is not a number


cdef void fill(Candidates *c, const float *logits, size_t n) noexcept nogil:
    """All tokens take part. logits: (n,)"""
    cdef size_t i
    for i in range(n):
        c.data[i].id = <int32_t> i
        c.data[i].logit = logits[i]
        c.data[i].p = 0
    c.size = n
    c.sorted = False
    c.by_id = True


cdef inline uint32_t ascending(float x) noexcept nogil:
    """A number that orders as x does; -0 and 0 are equal."""
    cdef uint32_t bits
    if x != x:
        return LAST
    x = x + <float> 0.0
    memcpy(&bits, &x, 4)
    return ~bits if bits >> 31 else bits | 0x80000000U


cdef inline uint32_t descending(float x) noexcept nogil:
    return ~ascending(x) if x == x else LAST


cdef uint64_t *sort_keys(uint64_t *keys, uint64_t *spare, size_t n) noexcept nogil:
    """Sort by the upper half; equals keep their order. Returns where the result is: keys or spare.

    Counting by 11, 11 and 10 bits: the time is the same whatever the numbers are, 128 000 in half a millisecond.
    """
    cdef uint32_t count[3][2048]
    cdef uint32_t total, before
    cdef uint64_t key
    cdef size_t i, j
    cdef int digit, shift
    if n < FEW:
        for i in range(1, n):
            key = keys[i]
            j = i
            while j > 0 and keys[j - 1] >> 32 > key >> 32:
                keys[j] = keys[j - 1]
                j -= 1
            keys[j] = key
        return keys
    memset(count, 0, sizeof(count))
    for i in range(n):
        count[0][(keys[i] >> 32) & 2047] += 1
        count[1][(keys[i] >> 43) & 2047] += 1
        count[2][keys[i] >> 54] += 1
    for digit in range(3):
        shift = 32 + 11 * digit
        if count[digit][(keys[0] >> shift) & 2047] == n:     # all alike
            continue
        total = 0
        for i in range(2048):
            before = total
            total += count[digit][i]
            count[digit][i] = before
        for i in range(n):
            key = keys[i]
            j = (key >> shift) & 2047
            spare[count[digit][j]] = key
            count[digit][j] += 1
        keys, spare = spare, keys
    return keys


cdef void sort_by_id(Candidates *c) noexcept nogil:
    """So that a stable sort afterwards puts the lower id first among equals."""
    cdef size_t i
    cdef uint64_t *order
    for i in range(c.size):
        c.keys[i] = <uint64_t> <uint32_t> c.data[i].id << 32 | i
    order = sort_keys(c.keys, c.spare, c.size)
    place(c, order, c.size)
    c.by_id = True


cdef size_t best_keys(Candidates *c, size_t k) noexcept nogil:
    """Put the keys of at least the k best candidates into c.keys, in the order of data; returns how many they are.

    A histogram of the logits' upper bits tells which candidates cannot be among them.
    """
    cdef uint32_t count[1 << COARSE]
    cdef size_t i, n = 0, seen = 0
    cdef uint32_t limit = 0, order
    memset(count, 0, sizeof(count))
    for i in range(c.size):
        count[descending(c.data[i].logit) >> (32 - COARSE)] += 1
    while True:
        seen += count[limit]
        if seen >= k:
            break
        limit += 1
    for i in range(c.size):
        order = descending(c.data[i].logit)
        if order >> (32 - COARSE) <= limit:
            c.keys[n] = <uint64_t> order << 32 | i
            n += 1
    return n


cdef void place(Candidates *c, const uint64_t *order, size_t k) noexcept nogil:
    """Bring the candidates at the k positions in `order` to the front, in that order; the others follow."""
    cdef size_t i, at, hole = 0
    cdef uint8_t *chosen = <uint8_t *> (c.spare if order == c.keys else c.keys)     # (k,)
    memset(chosen, 0, k)
    for i in range(k):
        at = order[i] & 0xFFFFFFFFU
        c.copy[i] = c.data[at]
        if at < k:
            chosen[at] = 1
    for i in range(k):
        at = order[i] & 0xFFFFFFFFU
        if at >= k:                                           # its place goes to one that must leave the front
            while chosen[hole]:
                hole += 1
            c.data[at] = c.data[hole]
            hole += 1
    memcpy(c.data, c.copy, k * sizeof(Candidate))


cdef void bring_best(Candidates *c, size_t k) noexcept nogil:
    """Put the k best first, best of all first, the lower id first among equals."""
    cdef size_t n
    if not c.by_id:
        sort_by_id(c)
    n = best_keys(c, k)
    place(c, sort_keys(c.keys, c.spare, n), k)
    c.by_id = False


cdef void sort(Candidates *c) noexcept nogil:
    if not c.sorted:
        bring_best(c, c.size)
        c.sorted = True


cdef void softmax(Candidates *c) noexcept nogil:
    cdef size_t i
    cdef float p, top, total = 0
    if c.size == 0:
        return
    sort(c)
    top = c.data[0].logit
    for i in range(c.size):
        p = expf(c.data[i].logit - top)
        c.data[i].p = p
        total += p
    for i in range(c.size):
        c.data[i].p /= total
