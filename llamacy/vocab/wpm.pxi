# WPM (BERT): text is stripped of accents and case, cut into words and punctuation, and each word covered greedily with
# the longest tokens there are.

cdef inline bint is_ascii_punctuation(uint32_t c) noexcept nogil:
    return 0x21 <= c <= 0x2F or 0x3A <= c <= 0x40 or 0x5B <= c <= 0x60 or 0x7B <= c <= 0x7E


cdef inline bint stands_alone(uint32_t c, uint32_t category) noexcept nogil:
    """Punctuation, CJK ideographs, full-width forms: a word of its own. The gap before U+2B920 is the reference's."""
    return (category & PUNCTUATION or is_ascii_punctuation(c) or 0x4E00 <= c <= 0x9FFF or 0x3400 <= c <= 0x4DBF
            or 0x20000 <= c <= 0x2A6DF or 0x2A700 <= c <= 0x2B73F or 0x2B740 <= c <= 0x2B81F or 0x2B920 <= c <= 0x2CEAF
            or 0xF900 <= c <= 0xFAFF or 0x2F800 <= c <= 0x2FA1F or 0x3000 <= c <= 0x303F or 0xFF00 <= c <= 0xFFEF)


cdef int wpm_word(const Core *c, const uint8_t *word, size_t n, uint64_t *prefixes, Ids *out) noexcept nogil:
    """Append the tokens of a word (n,), U+2581 included. Bytes that begin no token are left out; UNK if that is all.

    prefixes (n + 1,): scratch.
    """
    cdef size_t i = 0, k, before = out.count
    cdef uint64_t size
    cdef int32_t id
    hash_prefixes(word, n, prefixes)
    while i < n:
        id = -1
        size = 1
        for k in range(c.lengths.count):
            if c.lengths.data[k] > n - i:
                continue
            size = c.lengths.data[k]
            id = table_find(&c.all, &c.tokens, hash_between(prefixes, i, size), word + i, size)
            if id >= 0:
                break
        if id < 0:
            i += 1
            continue
        if push_id(out, id):
            return NO_MEMORY
        i += size
    return push_id(out, c.unk) if out.count == before and c.unk >= 0 else 0


cdef int end_word(const Core *c, uint8_t *word, size_t *size, uint64_t **prefixes, size_t *room,
                  Ids *out) noexcept nogil:
    """Append the tokens of the word collected so far, if any, and begin the next one: U+2581 alone."""
    cdef size_t n = size[0]
    size[0] = 3
    if n == 3:
        return 0
    if grow(<void **> prefixes, room, n + 1, sizeof(uint64_t)):
        return NO_MEMORY
    return wpm_word(c, word, n, prefixes[0], out)


cdef int wpm_tokenize(const Core *c, const uint8_t *text, uint64_t n, Ids *out) noexcept nogil:
    """Append the tokens of one piece of text. What is no valid UTF-8 counts as U+FFFD."""
    cdef uint8_t *word = <uint8_t *> malloc(3 + 4 * n)
    cdef uint64_t *prefixes = NULL
    cdef size_t room = 0, size = 3
    cdef uint64_t i = 0
    cdef uint32_t code, category  # of category the bit
    cdef bint alone
    cdef int step, status = 0
    if word is NULL:
        return NO_MEMORY
    memcpy(word, SPACE, 3)
    while i < n and not status:
        step = decode(text + i, n - i, &code)
        if step == 0:
            code = REPLACEMENT
            step = 1
        i += step
        code = first_of_decomposition(code)
        category = <uint32_t> 1 << category_of(code)
        if category & (MARK | CONTROL):
            continue
        alone = stands_alone(code, category)
        if alone or category & SEPARATOR:
            status = end_word(c, word, &size, &prefixes, &room, out)
        if category & SEPARATOR or status:
            continue
        size += encode(lower_of(code), word + size)
        if alone:
            status = end_word(c, word, &size, &prefixes, &room, out)
    if not status:
        status = end_word(c, word, &size, &prefixes, &room, out)
    free(prefixes)
    free(word)
    return status
