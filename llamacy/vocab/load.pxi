# From the arrays of a file to a complete Core.

cdef error_in(gguf, key, message):
    """The error to raise about the value of `key`."""
    return ModelError(f"error loading model vocabulary: {one_line(gguf.path)}: {key}: {message}")


cdef int load_tokens(Core *c, Buffers buffers, gguf) except -1:
    """Token texts, scores and types, and the tables over them."""
    key = "tokenizer.ggml.tokens"
    if key not in gguf:
        raise ModelError("error loading model vocabulary: cannot find tokenizer vocab in model file")
    strings = gguf.strings(key)
    if not 0 < len(strings) < MOST_TEXTS:
        raise error_in(gguf, key, f"{len(strings)} tokens")
    c.tokens = buffers.texts(strings)
    if c.kind == RWKV:
        unescape_tokens(c)
    c.scores = <const float *> one_per_token(c, buffers, gguf, "tokenizer.ggml.scores", "f32")
    c.types = <const int32_t *> one_per_token(c, buffers, gguf, "tokenizer.ggml.token_type", "i32")
    add_tokens(c, gguf, key)
    find_byte_tokens(c)
    add_special(c)
    if c.kind in (WPM, UGM, RWKV):
        collect_lengths(&c.tokens, c.longest, NULL, c.tokens.count, &c.lengths)
    return 0


cdef const void *one_per_token(const Core *c, Buffers buffers, gguf, key, elem) except? NULL:
    """An array of numbers, NULL if there is none."""
    if key not in gguf:
        return NULL
    view = gguf.numbers(key, elem)
    if len(view) != c.tokens.count:
        raise error_in(gguf, key, f"{len(view)} values, expected {c.tokens.count}, one per token")
    return buffers.add(view)


cdef int add_tokens(Core *c, gguf, key) except -1:
    """Check all texts, and put them into their table."""
    cdef const uint8_t *text
    cdef uint64_t n
    cdef uint32_t id
    cdef int32_t twin
    table_new(&c.all, &c.tokens, c.tokens.count)
    for id in range(c.tokens.count):
        text = c.tokens.base + c.tokens.offset[id]
        n = c.tokens.length[id]
        if n == 0 and c.later:
            continue  # never found in a text
        if n == 0:
            raise error_in(gguf, key, f"token {id} is empty")
        if c.kind != RWKV and not is_utf8(text, n):
            raise error_in(gguf, key, f"token {id} is not valid UTF-8")
        twin = table_add(&c.all, &c.tokens, hash_on(0, text, n), id)
        if twin >= 0:
            raise error_in(gguf, key, f"tokens {twin} and {id} have the same text")
        c.longest = max(c.longest, n)
        c.n_non_normal += type_of(c, id) != NORMAL
        c.any_user_defined |= type_of(c, id) == USER_DEFINED
        c.spaces_inside |= c.kind == SPM and has_space_inside(text, n)
    return 0


cdef bint has_space_inside(const uint8_t *text, uint64_t n) noexcept nogil:
    """True if a U+2581 follows another character."""
    cdef uint64_t i = 0
    while n - i >= 3 and memcmp(text + i, SPACE, 3) == 0:
        i += 3
    while n - i >= 3:
        if memcmp(text + i, SPACE, 3) == 0:
            return True
        i += 1
    return False


cdef int find_byte_tokens(Core *c) except -1:
    """SPM writes byte b as <0xB>, or as the token that is just this byte. BPE has only the latter."""
    cdef int b
    for b in range(256):
        c.byte_token[b] = id_of(c, b"<0x%02X>" % b) if c.kind in (SPM, UGM) else -1
        if c.byte_token[b] < 0 and c.kind != UGM:
            c.byte_token[b] = id_of(c, bytes((b,)))
    c.all_bytes = min([c.byte_token[b] for b in range(256)]) >= 0
    return 0


cdef int add_special(Core *c) except -1:
    """The special tokens and what finds them fast."""
    cdef Ids ids
    cdef size_t i
    cdef const uint8_t *text
    cdef uint64_t *prefixes = <uint64_t *> malloc((c.longest + 1) * sizeof(uint64_t))
    memset(&ids, 0, sizeof(ids))
    try:
        if prefixes is NULL or list_special(c, prefixes, &ids):
            raise MemoryError()
        table_new(&c.special, &c.tokens, <uint32_t> ids.count)
        for i in range(ids.count):
            text = c.tokens.base + c.tokens.offset[ids.data[i]]
            table_add(&c.special, &c.tokens, hash_on(0, text, c.tokens.length[ids.data[i]]), ids.data[i])
            add_start(c, text, c.tokens.length[ids.data[i]])
            c.n_normal_special += type_of(c, ids.data[i]) == NORMAL
        collect_lengths(&c.tokens, c.longest, ids.data, ids.count, &c.special_lengths)
        c.n_special = <int> ids.count
        if c.later:
            order_by_length(c, &ids)
    finally:
        free(prefixes)
        free(ids.data)
    return 0


cdef int load_ugm(Core *c, Buffers buffers, gguf, bint squeeze) except -1:
    """What only UGM has. squeeze: leave out needless spaces."""
    cdef uint32_t id
    cdef bint any_normal = False
    c.squeeze = squeeze
    for id in range(c.tokens.count):
        if type_of(c, id) == NORMAL and c.scores is not NULL:
            c.least_score = min(c.least_score, c.scores[id]) if any_normal else c.scores[id]
            c.best_score = max(c.best_score, c.scores[id]) if any_normal else c.scores[id]
            any_normal = True
    key = "tokenizer.ggml.precompiled_charsmap"
    if key in gguf:
        load_charsmap(c, buffers, gguf, key)
    return 0


cdef int load_charsmap(Core *c, Buffers buffers, gguf, key) except -1:
    """Bytes: the size of the trie in bytes (32 bits), the trie, the texts."""
    cdef const uint8_t *data
    cdef uint64_t size, n
    if gguf.kind(key) != "arr" or gguf.elem_type(key) not in ("u8", "i8"):
        raise error_in(gguf, key, f"has wrong type {gguf.type_name(key)}, expected bytes")
    view = gguf.numbers(key)
    n = len(view)
    if n == 0:
        return 0
    data = <const uint8_t *> buffers.add(view)
    size = data[0] | data[1] << 8 | data[2] << 16 | <uint64_t> data[3] << 24 if n >= 4 else 0
    if n < 4 or size % 4 or size > n - 4:
        raise error_in(gguf, key, f"{n} bytes, but the first four say {size} + 4, a multiple of 4, and more")
    c.charsmap.units = data + 4
    c.charsmap.n_units = size // 4
    c.charsmap.texts = data + 4 + size
    c.charsmap.n_texts = n - 4 - size
    return 0


cdef int load_merges(Core *c, Buffers buffers, gguf) except -1:
    """Only where they are: the table is made when the first text comes."""
    key = "tokenizer.ggml.merges"
    if key not in gguf:
        raise ModelError("error loading model vocabulary: cannot find tokenizer merges in model file")
    merges = gguf.strings(key)
    if len(merges) >= MOST_TEXTS:
        raise error_in(gguf, key, f"{len(merges)} merges")
    c.merges = buffers.texts(merges)
    return 0


cdef int linefeed_of_bpe(const Core *c) except? -1:
    """The reference tokenizes U+010A, how a newline is written here, as ordinary text and takes the first token.

    So it is not the newline: its two bytes are written as characters again, which only one merge could join.
    """
    cdef uint32_t i
    first, second = [chr(code_of_byte[b]).encode() for b in b"\xc4\x8a"]
    cdef bytes pair = first + b" " + second
    for i in range(c.merges.count):
        if is_text(&c.merges, i, <const uint8_t *> PyBytes_AS_STRING(pair), PyBytes_GET_SIZE(pair)):
            return id_of(c, first + second)
    return id_of(c, first)
