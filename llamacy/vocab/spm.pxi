# SPM: the pair whose joined text is the token of the highest score is merged first; unknown characters become bytes.

cdef inline uint32_t order_of_score(float score) noexcept nogil:
    """A number that is smaller the higher the score is; all floats keep their order, and -0 equals 0."""
    cdef uint32_t bits
    score += 0.0
    memcpy(&bits, &score, 4)
    if bits >> 31:  # negative: the pattern grows as the score falls
        return bits
    return bits ^ <uint32_t> 0x7FFFFFFF


cdef uint32_t spm_rank(const Core *c, const uint8_t *text, const Symbol *left, const Symbol *right) noexcept nogil:
    cdef uint64_t size = <uint64_t> left.size + right.size
    cdef int32_t id
    if size > c.longest:
        return UNRANKED
    id = table_find(&c.all, &c.tokens, left.hash * power(right.size) + right.hash, text + left.start, size)
    if id < 0:
        return UNRANKED
    return order_of_score(c.scores[id] if c.scores is not NULL else 0)


cdef uint64_t spm_escape(const uint8_t *text, uint64_t n, bint prefix, uint8_t *out) noexcept nogil:
    """out (3 * (n + 1),): `text`, after a space if `prefix`, with U+2581 for each space. Returns its length."""
    cdef uint64_t i, size = 0
    if prefix:
        memcpy(out, SPACE, 3)
        size = 3
    for i in range(n):
        if text[i] == c' ':
            memcpy(out + size, SPACE, 3)
            size += 3
        else:
            out[size] = text[i]
            size += 1
    return size


cdef int no_token(const Core *c, const uint8_t *text, uint64_t n) noexcept nogil:
    """The status that names the first byte of `text`; BPE has written it as a character."""
    cdef uint32_t code = text[0]
    if c.kind == BPE:
        decode(text, n, &code)
        code = byte_of_code[code]
    return 1 + <int> code


cdef int push_bytes(const Core *c, const uint8_t *text, uint64_t n, Ids *out) noexcept nogil:
    """The tokens of the bytes of one character; UNK for all of them if one has no token."""
    cdef size_t before = out.count
    cdef uint64_t i
    for i in range(n):
        if c.byte_token[text[i]] < 0:
            out.count = before
            return no_token(c, text + i, n - i) if c.unk < 0 else push_id(out, c.unk)
        if push_id(out, c.byte_token[text[i]]):
            return NO_MEMORY
    return 0


cdef int push_symbols(const Core *c, Work *w, Ids *out) noexcept nogil:
    """What is left after merging: a symbol that is no token is written byte by byte."""
    cdef int32_t i = 0 if w.count else -1, id
    cdef int status
    cdef Symbol *s
    while i >= 0:
        s = &w.symbols[i]
        id = table_find(&c.all, &c.tokens, s.hash, w.text + s.start, s.size)
        status = push_id(out, id) if id >= 0 else push_bytes(c, w.text + s.start, s.size, out)
        if status:
            return status
        i = s.next
    return 0


cdef int spm_word(const Core *c, Work *w, const uint8_t *escaped, uint64_t start, uint64_t end,
                  Ids *out) noexcept nogil:
    """Append the tokens of escaped[start:end], which no token crosses."""
    cdef uint64_t step
    if start_symbols(w, escaped, end - start):
        return NO_MEMORY
    while start < end:
        step = lead_length(escaped[start])
        step = step if step < end - start else end - start
        add_symbol(w, <uint32_t> start, <uint32_t> step)
        start += step
    cdef int status = merge_symbols(c, w, spm_rank)
    return status if status else push_symbols(c, w, out)


cdef uint64_t spm_word_end(const uint8_t *escaped, uint64_t at, uint64_t size, bint whole,
                           uint64_t *hash) noexcept nogil:
    """Where the word that begins at `at` ends: before the first space that follows another character, unless `whole`.

    No token has a space behind another character (whole would be set), so nothing is merged across that place. hash:
    the word's.
    """
    cdef uint64_t i = at, k, step
    cdef bint space, inside = False
    hash[0] = 0
    while i < size:
        space = escaped[i] == 0xE2 and size - i >= 3 and escaped[i + 1] == 0x96 and escaped[i + 2] == 0x81
        if space and inside and not whole:
            return i
        inside = not space
        step = lead_length(escaped[i])
        step = step if step < size - i else size - i
        for k in range(step):
            hash[0] = hash[0] * base + escaped[i + k] + 1
        i += step
    return size


cdef int spm_words(const Core *c, const uint8_t *escaped, uint64_t size, Ids *out) noexcept nogil:
    """Append the tokens of all words."""
    cdef uint64_t at = 0, end, hash
    cdef size_t first
    cdef int status = 0
    cdef Known known
    cdef Work w
    memset(&w, 0, sizeof(w))
    known_new(&known, escaped, size)
    while at < size and not status:
        end = spm_word_end(escaped, at, size, c.spaces_inside, &hash)
        first = out.count
        if not known_copy(&known, hash, at, end - at, out, &status):
            status = spm_word(c, &w, escaped, at, end, out)
            if not status:
                known_add(&known, hash, at, end - at, first, out.count)
        at = end
    free(known.slots)
    work_free(&w)
    return status


cdef int spm_tokenize(const Core *c, const uint8_t *text, uint64_t n, bint prefix, Ids *out) noexcept nogil:
    """Append the tokens of one piece of text. Never fails for what the bytes are, only for want of tokens or memory."""
    cdef uint8_t *escaped = <uint8_t *> malloc(3 * (n + 1))
    cdef int status = NO_MEMORY
    if escaped is not NULL:
        status = spm_words(c, escaped, spm_escape(text, n, prefix, escaped), out)
    free(escaped)
    return status
