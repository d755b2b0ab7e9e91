# Which special token is looked for first, where several overlap in a text (runs of spaces in GPT-NeoX vocabularies),
# and which of several end-of-turn tokens counts.
#
# The reference goes through a hash map of its standard library (libstdc++'s unordered_map), so the order is an
# accident; but it is the same accident in every run, and the ids follow from it. It is worked out here from how that
# map is built: one list through all entries, in which each bucket's entries stand together, and the bucket filled last
# comes first. First a map of all tokens in order of id, then one of the special tokens in the order in which the first
# map lists them. Costs a few milliseconds, and is done only when it matters.

cdef enum:
    N_PRIMES = 22
    HASH_SEED = 0xC70F6907

# How many buckets the map has as it grows. With more tokens than the last the order is fixed, but not the reference's.
cdef uint64_t[N_PRIMES] PRIMES = [
    13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043, 85229, 172933, 351061, 712697, 1447153, 2938679,
    5967347, 12117689, 24607243, 49969847]


cdef inline uint64_t fold(uint64_t v) noexcept nogil:
    return v ^ v >> 47


cdef uint64_t library_hash(const uint8_t *text, uint64_t n) noexcept nogil:
    """std::hash of a string in libstdc++ on 64-bit little-endian machines: MurmurHash64A with a fixed seed."""
    cdef uint64_t factor = 0xC6A4A7935BD1E995
    cdef uint64_t h = HASH_SEED ^ n * factor
    cdef uint64_t i = 0, k, word
    while i + 8 <= n:
        word = 0
        for k in range(8):
            word |= <uint64_t> text[i + k] << 8 * k
        h = (h ^ fold(word * factor) * factor) * factor
        i += 8
    if i < n:
        word = 0
        for k in range(n - i):
            word |= <uint64_t> text[i + k] << 8 * k
        h = (h ^ word) * factor
    return fold(fold(h) * factor)


cdef struct Chain:
    uint32_t n  # entries are numbered 0 … n - 1; n stands for the list's head
    uint64_t *hash  # (n,)
    int32_t *next  # (n + 1,) -1: the list ends
    int32_t *before  # (n_buckets,) the entry before a bucket's first one; -1: the bucket is empty
    uint64_t n_buckets


cdef void link(Chain *c, int32_t entry) noexcept nogil:
    """Put an entry at the front of its bucket's entries, or of the list if there are none."""
    cdef uint64_t bucket = c.hash[entry] % c.n_buckets
    cdef int32_t before = c.before[bucket]
    if before < 0:
        before = c.n
        if c.next[before] >= 0:
            c.before[c.hash[c.next[before]] % c.n_buckets] = entry
        c.before[bucket] = before
    c.next[entry] = c.next[before]
    c.next[before] = entry


cdef void spread(Chain *c, uint64_t n_buckets) noexcept nogil:
    """Put all entries, in the list's order, into that many empty buckets."""
    cdef int32_t entry = c.next[c.n], following
    c.n_buckets = n_buckets
    memset(c.before, 0xFF, n_buckets * sizeof(int32_t))
    c.next[c.n] = -1
    while entry >= 0:
        following = c.next[entry]
        link(c, entry)
        entry = following


cdef int list_chain(uint64_t *hash, uint32_t n, int32_t *out) except -1:
    """out (n,): the entries with these hashes (n,), put in one after the other, as the map lists them."""
    cdef Chain c
    cdef int32_t i, entry
    cdef int growth = 0
    while growth < N_PRIMES - 1 and PRIMES[growth] < n:
        growth += 1
    c.n = n
    c.hash = hash
    c.next = <int32_t *> malloc((<size_t> n + 1) * sizeof(int32_t))
    c.before = <int32_t *> malloc(PRIMES[growth] * sizeof(int32_t))
    try:
        if c.next is NULL or c.before is NULL:
            raise MemoryError()
        c.next[n] = -1
        growth = 0
        spread(&c, PRIMES[0])
        for i in range(<int32_t> n):
            if i == <int64_t> c.n_buckets and growth < N_PRIMES - 1:
                growth += 1
                spread(&c, PRIMES[growth])
            link(&c, i)
        entry = c.next[n]
        for i in range(<int32_t> n):
            out[i] = entry
            entry = c.next[entry]
    finally:
        free(c.next)
        free(c.before)
    return 0


cdef int list_tokens(const Core *c, const int32_t *ids, uint32_t n, int32_t *out) except -1:
    """out (n,): the tokens `ids` (n,), put into a map in that order, as it lists them; ids NULL: the first n tokens."""
    cdef uint64_t *hash = <uint64_t *> malloc(n * sizeof(uint64_t))
    cdef uint32_t i
    cdef int32_t id
    try:
        if hash is NULL:
            raise MemoryError()
        for i in range(n):
            id = ids[i] if ids is not NULL else <int32_t> i
            hash[i] = library_hash(c.tokens.base + c.tokens.offset[id], c.tokens.length[id])
        list_chain(hash, n, out)
        if ids is not NULL:
            for i in range(n):
                out[i] = ids[out[i]]
    finally:
        free(hash)
    return 0


cdef int find_order(Core *c) except -1:
    """Fill c.order, unless another thread has done so."""
    cdef uint32_t n = c.tokens.count, count = 0, i
    cdef int32_t *listed = <int32_t *> malloc(n * sizeof(int32_t))
    cdef int32_t *chosen = <int32_t *> malloc(n * sizeof(int32_t))
    cdef int32_t *order = <int32_t *> calloc(n, sizeof(int32_t))
    try:
        if c.order is not NULL:
            return 0
        if listed is NULL or chosen is NULL or order is NULL:
            raise MemoryError()
        list_tokens(c, NULL, n, listed)
        for i in range(n):
            if is_special(c, listed[i]):
                chosen[count] = listed[i]
                count += 1
        list_tokens(c, chosen, count, listed)
        for i in range(count):
            order[listed[i]] = <int32_t> i
        c.order = order
        order = NULL
    finally:
        free(listed)
        free(chosen)
        free(order)
    return 0


cdef first_listed(const Core *c, ids):
    """The one of some token ids that the reference's map of all tokens lists first."""
    cdef int32_t *listed = <int32_t *> malloc(c.tokens.count * sizeof(int32_t))
    cdef uint32_t i = 0
    try:
        if listed is NULL:
            raise MemoryError()
        list_tokens(c, NULL, c.tokens.count, listed)
        while listed[i] not in ids:
            i += 1
        return listed[i]
    finally:
        free(listed)
