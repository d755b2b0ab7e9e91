# BPE: characters are cut into words, each word's bytes are written as printable characters, and these are merged in the
# order of the merges list.

cdef enum:
    BYTE_CODES = 0x100 + 68  # the 68 bytes that are not printable are written as U+0100 and following

cdef uint16_t code_of_byte[256]
cdef int16_t byte_of_code[BYTE_CODES]  # -1: stands for no byte


cdef void fill_byte_codes() noexcept:
    cdef int b, code = 0x100
    memset(byte_of_code, 0xFF, sizeof(byte_of_code))
    for b in range(256):
        if 0x21 <= b <= 0x7E or 0xA1 <= b <= 0xAC or 0xAE <= b:
            code_of_byte[b] = b
        else:
            code_of_byte[b] = code
            code += 1
        byte_of_code[code_of_byte[b]] = b


fill_byte_codes()


cdef inline uint64_t hash_of_pair(uint64_t left, uint64_t right) noexcept nogil:
    return mixed(left) + right


cdef void list_pairs(Core *c) noexcept:
    """Fill c.pairs: text number i of c.merges is "left right" and has rank i; the first of equals counts.

    The text is cut at the first space behind its first byte; one without such a space can never be used.
    """
    cdef uint32_t i
    cdef uint64_t n, left
    cdef const uint8_t *text
    cdef const uint8_t *space
    for i in range(c.merges.count):
        text = c.merges.base + c.merges.offset[i]
        n = c.merges.length[i]
        space = <const uint8_t *> memchr(text + 1, c' ', n - 1) if n > 2 else NULL
        if space is NULL:
            continue
        left = space - text
        table_add(&c.pairs, &c.merges, hash_of_pair(hash_on(0, text, left), hash_on(0, space + 1, n - left - 1)), i)


cdef uint32_t bpe_rank(const Core *c, const uint8_t *text, const Symbol *left, const Symbol *right) noexcept nogil:
    """The symbols hold no space, so a merge that begins with the left one and a space was cut just there."""
    cdef uint64_t m = mixed(hash_of_pair(left.hash, right.hash))
    cdef uint64_t at = m >> c.pairs.shift
    cdef uint64_t size = <uint64_t> left.size + 1 + right.size
    cdef const uint8_t *merge
    cdef int32_t rank = candidate(&c.pairs, m, &at)
    while rank >= 0:
        merge = c.merges.base + c.merges.offset[rank]
        if (c.merges.length[rank] == size and merge[left.size] == c' '
                and memcmp(merge, text + left.start, left.size) == 0
                and memcmp(merge + left.size + 1, text + right.start, right.size) == 0):
            return rank
        rank = candidate(&c.pairs, m, &at)
    return UNRANKED


cdef int bpe_word(const Core *c, Work *w, const uint32_t *codes, size_t n, uint8_t *written, Ids *out) noexcept nogil:
    """Append the tokens of one word. codes (n,). written (8 * n,): scratch for its bytes as printable characters."""
    cdef uint8_t raw[4]
    cdef size_t i, size = 0
    cdef int k, step, status
    cdef int32_t id
    if start_symbols(w, written, 4 * n):
        return NO_MEMORY
    for i in range(n):
        for k in range(encode(codes[i], raw)):
            step = encode(code_of_byte[raw[k]], written + size)
            add_symbol(w, <uint32_t> size, step)
            size += step
    if c.ignore_merges:
        id = table_find(&c.all, &c.tokens, hash_on(0, written, size), written, size)
        if id >= 0 and type_of(c, id) == NORMAL:
            return push_id(out, id)
    status = merge_symbols(c, w, bpe_rank)
    return status if status else push_symbols(c, w, out)


cdef int bpe_words(const Core *c, const uint32_t *codes, const uint32_t *ends, size_t count, Ids *out) noexcept nogil:
    """Append the tokens of all words; word i ends before codes[ends[i]]."""
    cdef uint8_t *written = NULL
    cdef size_t room = 0, i, k, first, start = 0
    cdef uint64_t hash
    cdef Known known
    cdef Work w
    cdef int status = 0
    memset(&w, 0, sizeof(w))
    known_new(&known, codes, ends[count - 1] if count else 0)
    for i in range(count):
        hash = 0
        for k in range(start, ends[i]):
            hash = hash * base + codes[k] + 1
        first = out.count
        if not known_copy(&known, hash, 4 * start, 4 * (ends[i] - start), out, &status):
            status = grow(<void **> &written, &room, 8 * (ends[i] - start), 1)
            if not status:
                status = bpe_word(c, &w, codes + start, ends[i] - start, written, out)
            if not status:
                known_add(&known, hash, 4 * start, 4 * (ends[i] - start), first, out.count)
        if status:
            break
        start = ends[i]
    free(known.slots)
    work_free(&w)
    free(written)
    return status


cdef int bpe_tokenize(const Core *c, const uint8_t *text, uint64_t n, Ids *out) noexcept nogil:
    """Append the tokens of one piece of text. A byte that is no part of valid UTF-8 becomes the token of that byte."""
    cdef uint32_t *codes = <uint32_t *> malloc(n * sizeof(uint32_t))
    cdef uint8_t *categories = <uint8_t *> malloc(n)
    cdef uint32_t *ends = <uint32_t *> malloc(2 * n * sizeof(uint32_t))  # two lists, read and written in turn
    cdef size_t i, count
    cdef int status = NO_MEMORY
    if codes is not NULL and categories is not NULL and ends is not NULL:
        count = decode_all(text, n, codes)
        for i in range(count):
            categories[i] = category_of(codes[i])
        ends[0] = <uint32_t> count
        count = 1
        for i in range(c.n_patterns):
            count = split_pieces(c.patterns[i], codes, categories, ends + (i & 1) * n, count, ends + (~i & 1) * n)
        status = bpe_words(c, codes, ends + (c.n_patterns & 1) * n, count, out)
    free(codes)
    free(categories)
    free(ends)
    return status
