# UGM (T5): the text is normalized by a table in the file, and of all ways to cover it with tokens the one with the
# highest sum of scores is taken. Made to give what SentencePiece's unigram models give, to the last bit of the sums.

cdef enum:
    LEAF = 1 << 8  # bits of a unit of the table, a double-array trie
    FAR = 1 << 9
    LABEL = 0x800000FF

cdef struct Step:  # the best way to a place of the text
    float score
    int32_t token  # UNSEEN: no way yet; UNCOVERED: a character that no token stands for
    uint32_t start, next  # where the step begins; where the one that begins here ends, once that is known

cdef enum:
    MOST_GROWTH = 64  # bytes for one; no table of a real model makes more than 11
    UNCOVERED = -1
    UNSEEN = -2


cdef inline uint32_t charsmap_unit(const Charsmap *m, uint64_t at) noexcept nogil:
    """0, which leads nowhere, for a place that the table does not have."""
    cdef const uint8_t *p = m.units + 4 * at
    if at >= m.n_units:
        return 0
    return p[0] | <uint32_t> p[1] << 8 | <uint32_t> p[2] << 16 | <uint32_t> p[3] << 24


cdef inline uint64_t offset_of(uint32_t unit) noexcept nogil:
    return <uint64_t> (unit >> 10) << ((unit & FAR) >> 6)


cdef uint64_t charsmap_find(const Charsmap *m, const uint8_t *text, uint64_t n, uint64_t *value) noexcept nogil:
    """Bytes of the longest beginning of `text` that the table replaces; 0: there is none. value: of the text for it."""
    cdef uint64_t at = 0, i, longest = 0
    cdef uint32_t unit = charsmap_unit(m, 0)
    at = offset_of(unit)
    for i in range(n):
        if text[i] == 0:
            break
        at ^= text[i]
        unit = charsmap_unit(m, at)
        if unit & <uint32_t> LABEL != text[i]:
            break
        at ^= offset_of(unit)
        if unit & LEAF:
            longest = i + 1
            value[0] = charsmap_unit(m, at) & 0x7FFFFFFF
    return longest


cdef int strict_length(const uint8_t *text, uint64_t n) noexcept nogil:
    """Bytes of the character at the beginning of `text`; 0: none, or an overlong form or a surrogate."""
    cdef uint32_t code = 0
    cdef int size = decode(text, n, &code)
    if size > 1 and code < (0x80 if size == 2 else 0x800 if size == 3 else 0x10000) or 0xD800 <= code < 0xE000:
        return 0
    return size


cdef uint64_t normal_form(const Charsmap *m, const uint8_t *text, uint64_t n, const uint8_t **form,
                          uint64_t *size) noexcept nogil:
    """What the next character or characters are replaced by: form (size,). Returns how many bytes that was."""
    cdef uint64_t value = 0
    cdef uint64_t taken = charsmap_find(m, text, n, &value) if m.n_units else 0
    cdef const void *end
    if taken and value < m.n_texts:
        form[0] = m.texts + value
        end = memchr(form[0], 0, m.n_texts - value)
        size[0] = (<const uint8_t *> end) - form[0] if end is not NULL else m.n_texts - value
        return taken
    taken = strict_length(text, n)
    form[0] = text if taken else <const uint8_t *> b"\xef\xbf\xbd"
    size[0] = taken or 3
    return taken or 1


cdef int append_form(uint8_t **out, size_t *size, size_t *room, const uint8_t *form, uint64_t n,
                     uint64_t limit) noexcept nogil:
    """Append with U+2581 for each space. TOO_LONG: that would be more than `limit` bytes."""
    cdef uint64_t i
    if size[0] + 3 * n > limit:
        return TOO_LONG
    if grow(<void **> out, room, size[0] + 3 * n, 1):
        return NO_MEMORY
    for i in range(n):
        if form[i] == c' ':
            memcpy(out[0] + size[0], SPACE, 3)
            size[0] += 3
        else:
            out[0][size[0]] = form[i]
            size[0] += 1
    return 0


cdef int ugm_normalize(const Core *c, const uint8_t *text, uint64_t n, bint prefix, uint8_t **out,
                       size_t *size) noexcept nogil:
    """out (size,): allocated; the normalized text. With c.squeeze no spaces at the ends and none behind a space."""
    cdef size_t room = 0
    cdef uint64_t i = 0, taken, form_size = 0, limit = min(MOST_GROWTH * (n + 1), <uint64_t> 0x7FFFFFFF)
    cdef int status = 0
    cdef const uint8_t *form = NULL
    cdef bint after_space = c.squeeze
    while c.squeeze and i < n:
        taken = normal_form(&c.charsmap, text + i, n - i, &form, &form_size)
        if form_size != 1 or form[0] != c' ':
            break
        i += taken
    if i < n and prefix:
        status = append_form(out, size, &room, <const uint8_t *> b" ", 1, limit)
    while i < n and not status:
        i += normal_form(&c.charsmap, text + i, n - i, &form, &form_size)
        while after_space and form_size and form[0] == c' ':
            form += 1
            form_size -= 1
        if form_size:
            status = append_form(out, size, &room, form, form_size, limit)
            after_space = c.squeeze and form[form_size - 1] == c' '
    while c.squeeze and size[0] >= 3 and memcmp(out[0] + size[0] - 3, SPACE, 3) == 0:
        size[0] -= 3
    return status


cdef inline void offer_step(Step *to, float score, int32_t token, uint64_t start) noexcept nogil:
    if to.token == UNSEEN or score > to.score:
        to.score = score
        to.token = token
        to.start = <uint32_t> start


cdef inline float ugm_score(const Core *c, int32_t id, uint64_t size) noexcept nogil:
    """User-defined tokens are worth more than all that could stand in their place."""
    if type_of(c, id) == USER_DEFINED:
        return <float> (size * c.best_score - 0.1)
    return c.scores[id] if c.scores is not NULL else 0


cdef void ugm_cover(const Core *c, const uint8_t *text, uint64_t n, const uint64_t *prefixes,
                    Step *steps) noexcept nogil:
    """steps (n + 1,): the best way to each end of a character. prefixes (n + 1,): see hash_prefixes."""
    cdef uint64_t i = 0, size, character
    cdef size_t k
    cdef int32_t id
    cdef bint single
    for i in range(n + 1):
        steps[i].token = UNSEEN
    steps[0].score = 0
    i = 0
    while i < n:
        character = lead_length(text[i])
        character = character if character < n - i else n - i
        single = False
        for k in range(c.lengths.count):
            size = c.lengths.data[c.lengths.count - 1 - k]  # the shortest first: it wins a draw
            if size > n - i:
                break
            id = table_find(&c.all, &c.tokens, hash_between(prefixes, i, size), text + i, size)
            if id < 0 or type_of(c, id) != NORMAL and type_of(c, id) != USER_DEFINED:
                continue
            offer_step(&steps[i + size], steps[i].score + ugm_score(c, id, size), id, i)
            single = single or size == character
        if not single:
            offer_step(&steps[i + character], steps[i].score + (c.least_score - <float> 10), UNCOVERED, i)
        i += character


cdef int ugm_push(const Core *c, const uint8_t *text, uint64_t n, Step *steps, Ids *out) noexcept nogil:
    """Append the tokens of the best way to the end. Neighbours that are uncovered become one UNK, or their bytes."""
    cdef uint64_t at = n, start
    cdef int32_t id, before = UNSEEN
    cdef int status = 0
    while at:
        start = steps[at].start
        steps[start].next = <uint32_t> at
        at = start
    while at < n and not status:
        start = at
        at = steps[start].next
        id = steps[at].token
        if id != UNCOVERED:
            status = push_id(out, id)
        elif c.all_bytes:
            status = push_bytes(c, text + start, at - start, out)
        elif before != UNCOVERED and c.unk >= 0:
            status = push_id(out, c.unk)
        before = id
    return status


cdef int ugm_tokenize(const Core *c, const uint8_t *text, uint64_t n, bint prefix, Ids *out) noexcept nogil:
    """Append the tokens of one piece of text. What is no valid UTF-8 counts as U+FFFD."""
    cdef uint8_t *normal = NULL
    cdef size_t size = 0
    cdef uint64_t *prefixes = NULL
    cdef Step *steps = NULL
    cdef int status = ugm_normalize(c, text, n, prefix, &normal, &size)
    if not status and size:
        prefixes = <uint64_t *> malloc((size + 1) * sizeof(uint64_t))
        steps = <Step *> malloc((size + 1) * sizeof(Step))
        status = NO_MEMORY
        if prefixes is not NULL and steps is not NULL:
            hash_prefixes(normal, size, prefixes)
            ugm_cover(c, normal, size, prefixes, steps)
            status = ugm_push(c, normal, size, steps, out)
    free(normal)
    free(prefixes)
    free(steps)
    return status
