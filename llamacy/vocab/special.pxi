# Special tokens: which tokens are found in a text as a whole, and cutting a text at them.
#
# As in the reference the texts decide, not the types: a token is special if it has two characters or more and cannot
# be split, between two characters, into two other tokens. All byte tokens of Llama vocabularies and many ordinary word
# pieces of BERT are special by this rule. For a vocabulary that the reference cannot read (Core.later) the types
# decide, and user-defined tokens are found even where no special ones are asked for.

cdef struct Fragment:
    uint32_t start, size
    int32_t token  # -1: plain text

cdef struct Fragments:
    Fragment *data
    size_t count, room

cdef struct Ranked:
    uint64_t key  # place in the order << 32 | start
    Fragment fragment


cdef bint splits(const Core *c, const uint8_t *text, uint64_t n, const uint64_t *prefixes) noexcept nogil:
    """True if `text` is two tokens one after the other. prefixes (n + 1,): see hash_prefixes.

    From the end on: that finds a split sooner, because tokens were made by adding a short piece to a long one.
    """
    cdef uint64_t i, right
    for i in range(n - 1, 0, -1):
        if text[i] & 0xC0 == 0x80:  # inside a character
            continue
        right = hash_between(prefixes, i, n - i)
        if (table_may_have(&c.all, right) and table_may_have(&c.all, prefixes[i])
                and table_find(&c.all, &c.tokens, right, text + i, n - i) >= 0
                and table_find(&c.all, &c.tokens, prefixes[i], text, i) >= 0):
            return True
    return False


cdef int list_special(const Core *c, uint64_t *prefixes, Ids *out) noexcept nogil:
    """Append all special tokens in order. prefixes (c.longest + 1,): scratch."""
    cdef uint32_t id
    cdef uint64_t n
    cdef const uint8_t *text
    for id in range(c.tokens.count):
        text = c.tokens.base + c.tokens.offset[id]
        n = c.tokens.length[id]
        if c.later:
            if n and type_of(c, id) in (CONTROL_TOKEN, USER_DEFINED, UNKNOWN) and push_id(out, id):
                return NO_MEMORY
            continue
        if n <= <uint64_t> lead_length(text[0]):  # one character
            continue
        hash_prefixes(text, n, prefixes)
        if not splits(c, text, n, prefixes) and push_id(out, id):
            return NO_MEMORY
    return 0


cdef inline uint32_t first_two(const uint8_t *text, uint64_t n) noexcept nogil:
    """The first two of n > 0 bytes as a number; a missing one counts as 0."""
    return <uint32_t> text[0] << 8 | (text[1] if n > 1 else 0)


cdef void add_start(Core *c, const uint8_t *text, uint64_t n) noexcept nogil:
    """Let a special token be looked for where these bytes are."""
    if n == 1:
        memset(c.special_starts + (<uint32_t> text[0] << 8), 1, 0x100)
    else:
        c.special_starts[first_two(text, n)] = 1


cdef int push_fragment(Fragments *f, uint64_t start, uint64_t size, int32_t token) noexcept nogil:
    if grow(<void **> &f.data, &f.room, f.count + 1, sizeof(Fragment)):
        return NO_MEMORY
    f.data[f.count].start = <uint32_t> start
    f.data[f.count].size = <uint32_t> size
    f.data[f.count].token = token
    f.count += 1
    return 0


cdef int find_all(const Core *c, const uint8_t *text, uint64_t n, const uint64_t *prefixes, bint user_only,
                  Fragments *out) noexcept nogil:
    """Append every occurrence of a special token, overlapping ones too, in the order of their places.

    user_only: of user-defined tokens.

    There are one or two at a place in sane vocabularies. The limit keeps others from filling the memory.
    """
    cdef uint64_t i, size, limit = 16 * n + 0x10000
    cdef size_t k
    cdef int32_t token
    for i in range(n):
        if not c.special_starts[first_two(text + i, n - i)]:
            continue
        for k in range(c.special_lengths.count):
            size = c.special_lengths.data[k]
            if size > n - i:
                continue
            token = table_find(&c.special, &c.tokens, hash_between(prefixes, i, size), text + i, size)
            if token < 0 or user_only and type_of(c, token) != USER_DEFINED:
                continue
            if out.count == limit:
                return TOO_MANY
            if push_fragment(out, i, size, token):
                return NO_MEMORY
    return 0


cdef bint any_overlap(const Fragments *f) noexcept nogil:
    """f: in the order of their places."""
    cdef size_t i
    cdef uint32_t end = 0
    for i in range(f.count):
        if f.data[i].start < end:
            return True
        end = max(end, f.data[i].start + f.data[i].size)
    return False


cdef int by_key(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const Ranked *> a).key
    cdef uint64_t y = (<const Ranked *> b).key
    return (x > y) - (x < y)


cdef int by_place(const void *a, const void *b) noexcept nogil:
    return -1 if (<const Fragment *> a).start < (<const Fragment *> b).start else 1


cdef int drop_overlapping(const Core *c, uint64_t n, Fragments *f) noexcept nogil:
    """Keep what the reference finds in a text of n bytes: it looks for one special token after the other (c.order)."""
    cdef Ranked *ranked = <Ranked *> malloc(f.count * sizeof(Ranked))
    cdef uint8_t *taken = <uint8_t *> calloc(n, 1)
    cdef size_t i, kept = 0
    cdef Fragment *one
    cdef int status = NO_MEMORY
    if ranked is not NULL and taken is not NULL:
        status = 0
        for i in range(f.count):
            ranked[i].fragment = f.data[i]
            ranked[i].key = <uint64_t> c.order[f.data[i].token] << 32 | f.data[i].start
        qsort(ranked, f.count, sizeof(Ranked), by_key)
        for i in range(f.count):
            one = &ranked[i].fragment
            if memchr(taken + one.start, 1, one.size) is NULL:
                memset(taken + one.start, 1, one.size)
                f.data[kept] = one[0]
                kept += 1
        f.count = kept
        qsort(f.data, kept, sizeof(Fragment), by_place)
    free(ranked)
    free(taken)
    return status


cdef int find_special(const Core *c, const uint8_t *text, uint64_t n, bint user_only, Fragments *out) noexcept nogil:
    """Append the special tokens in `text`, in the order of their places. NEED_ORDER: c.order is missing for that."""
    cdef uint64_t *prefixes
    cdef uint64_t i = 0
    cdef int status
    while i < n and not c.special_starts[first_two(text + i, n - i)]:
        i += 1
    if i == n:
        return 0
    prefixes = <uint64_t *> malloc((n + 1) * sizeof(uint64_t))
    if prefixes is NULL:
        return NO_MEMORY
    hash_prefixes(text, n, prefixes)
    status = find_all(c, text, n, prefixes, user_only, out)
    free(prefixes)
    if status or not any_overlap(out):
        return status
    return NEED_ORDER if c.order is NULL else drop_overlapping(c, n, out)


cdef int cut(const Core *c, const uint8_t *text, uint64_t n, bint parse_special, Fragments *out) noexcept nogil:
    """Append plain text and special tokens in turn."""
    cdef Fragments found
    cdef uint64_t at = 0
    cdef size_t i
    cdef int status = 0
    memset(&found, 0, sizeof(found))
    if parse_special or c.later and c.any_user_defined:
        status = find_special(c, text, n, not parse_special, &found)
    for i in range(found.count):
        if not status and found.data[i].start > at:
            status = push_fragment(out, at, found.data[i].start - at, -1)
        if not status:
            status = push_fragment(out, found.data[i].start, found.data[i].size, found.data[i].token)
        at = found.data[i].start + found.data[i].size
    if not status and at < n:
        status = push_fragment(out, at, n - at, -1)
    free(found.data)
    return status


cdef int by_number(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const uint64_t *> a)[0]
    cdef uint64_t y = (<const uint64_t *> b)[0]
    return (x > y) - (x < y)


cdef int order_by_length(Core *c, const Ids *special) except -1:
    """Fill c.order: the longest of the special tokens first, of equals the one with the lowest id."""
    cdef uint64_t *keys = <uint64_t *> malloc((special.count + 1) * sizeof(uint64_t))
    cdef size_t i
    c.order = <int32_t *> calloc(c.tokens.count, sizeof(int32_t))
    if keys is not NULL and c.order is not NULL:
        for i in range(special.count):
            keys[i] = (c.longest - c.tokens.length[special.data[i]]) << 32 | <uint32_t> special.data[i]
        qsort(keys, special.count, sizeof(uint64_t), by_number)
        for i in range(special.count):
            c.order[<uint32_t> keys[i]] = <int32_t> i
    free(keys)
    if keys is NULL or c.order is NULL:
        raise MemoryError()
    return 0


cdef bint is_special(const Core *c, int32_t token) noexcept nogil:
    cdef const uint8_t *text = c.tokens.base + c.tokens.offset[token]
    cdef uint64_t n = c.tokens.length[token]
    return table_find(&c.special, &c.tokens, hash_on(0, text, n), text, n) >= 0
