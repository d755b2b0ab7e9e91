# RWKV: the longest token that the text begins with, again and again. Tokens are any bytes; the file writes them with
# escapes, as in a Python string.

cdef inline int hex_digit(uint8_t c) noexcept nogil:
    """-1: it is none"""
    if 0x30 <= c <= 0x39:
        return c - 0x30
    c |= 0x20
    return c - 0x57 if 0x61 <= c <= 0x66 else -1


cdef uint64_t unescape(const uint8_t *text, uint64_t n, uint8_t *out) noexcept nogil:
    """out (n,): `text` with \\t, \\n, \\r and \\xHH as the bytes they stand for. Returns how many there are."""
    cdef uint64_t i = 0, size = 0
    while i < n:
        if text[i] != c'\\' or i + 1 == n:
            out[size] = text[i]
            i += 1
        elif text[i + 1] == c'x' and n - i >= 4 and hex_digit(text[i + 2]) >= 0 and hex_digit(text[i + 3]) >= 0:
            out[size] = <uint8_t> (hex_digit(text[i + 2]) << 4 | hex_digit(text[i + 3]))
            i += 4
        else:
            i += 1
            out[size] = 9 if text[i] == c't' else 10 if text[i] == c'n' else 13 if text[i] == c'r' else text[i]
            i += 1
        size += 1
    return size


cdef int unescape_tokens(Core *c) except -1:
    """Let c.tokens be the bytes, in memory of its own."""
    cdef uint64_t total = 0, at = 0
    cdef uint32_t i
    cdef uint8_t *bytes_of_all
    for i in range(c.tokens.count):
        total += c.tokens.length[i]
    c.unescaped = <uint64_t *> malloc(2 * <size_t> c.tokens.count * sizeof(uint64_t) + total)
    if c.unescaped is NULL:
        raise MemoryError()
    bytes_of_all = <uint8_t *> (c.unescaped + 2 * <size_t> c.tokens.count)
    for i in range(c.tokens.count):
        c.unescaped[i] = at
        at += unescape(c.tokens.base + c.tokens.offset[i], c.tokens.length[i], bytes_of_all + at)
        c.unescaped[c.tokens.count + i] = at - c.unescaped[i]
    c.tokens.base = bytes_of_all
    c.tokens.offset = c.unescaped
    c.tokens.length = c.unescaped + c.tokens.count
    return 0


cdef int32_t longest_token(const Core *c, const uint8_t *text, uint64_t n, const uint64_t *prefixes, uint64_t at,
                           uint64_t *size) noexcept nogil:
    """The longest token at a place of the text, and its size; -1: there is none. prefixes (n + 1,): hash_prefixes."""
    cdef size_t k
    cdef int32_t id
    for k in range(c.lengths.count):
        size[0] = c.lengths.data[k]
        if size[0] > n - at:
            continue
        id = table_find(&c.all, &c.tokens, hash_between(prefixes, at, size[0]), text + at, size[0])
        if id >= 0:
            return id
    return -1


cdef int rwkv_tokenize(const Core *c, const uint8_t *text, uint64_t n, Ids *out) noexcept nogil:
    """Append the tokens of one piece of text."""
    cdef uint64_t *prefixes = <uint64_t *> malloc((n + 1) * sizeof(uint64_t))
    cdef uint64_t at = 0, size = 0
    cdef int32_t id
    cdef int status = 0 if prefixes is not NULL else NO_MEMORY
    if not status:
        hash_prefixes(text, n, prefixes)
    while at < n and not status:
        id = longest_token(c, text, n, prefixes, at, &size)
        if id < 0:
            id = c.unk
            size = 1
        status = push_id(out, id) if id >= 0 else no_token(c, text + at, 1)
        at += size
    free(prefixes)
    return status
