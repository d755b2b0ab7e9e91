# All that tokenizing needs, in C: read by any number of threads, changed by none once it is complete.

cdef enum:  # types of tokens
    NORMAL = 1
    UNKNOWN = 2
    CONTROL_TOKEN = 3
    USER_DEFINED = 4
    BYTE = 6

cdef enum:
    NO_VOCAB = 0
    SPM = 1
    BPE = 2
    WPM = 3
    UGM = 4
    RWKV = 5
    MAX_PATTERNS = 8

cdef struct Lengths:
    uint64_t *data  # longest first, each once
    size_t count

cdef struct Charsmap:  # see ugm.pxi
    const uint8_t *units  # (n_units,) 32 bits each, little-endian, anywhere in the file
    uint64_t n_units
    const uint8_t *texts  # (n_texts,) what characters are replaced by; each ends with a 0
    uint64_t n_texts

cdef struct Core:
    int kind
    bint later  # special tokens and more by the rules of versions after the reference
    bint ignore_merges  # BPE: a word that is a token is that token
    Texts tokens
    uint64_t *unescaped  # RWKV: what `tokens` points into
    Table all  # every token
    const float *scores  # (tokens.count,), NULL: all 0
    const int32_t *types  # (tokens.count,), NULL: all NORMAL
    uint64_t longest
    int n_special, n_normal_special, n_non_normal  # special tokens, those of type NORMAL; tokens of another type
    int32_t byte_token[256]  # what stands for a byte that no longer token covers; -1: nothing
    int32_t unk  # -1 for BPE, where it is often the end-of-text token
    Table special
    Lengths special_lengths
    uint8_t special_starts[0x10000]  # 1: a special token begins with these two bytes
    int32_t *order  # (tokens.count,): place of a special token in the order of search; NULL until it matters
    Lengths lengths  # WPM, UGM, RWKV: of all tokens
    bint spaces_inside  # SPM: some token has a space behind another character
    bint any_user_defined
    bint all_bytes  # UGM: there is a token for each byte
    bint squeeze  # UGM: leave out needless spaces
    float least_score, best_score  # UGM: of NORMAL tokens
    Charsmap charsmap  # UGM
    Texts merges  # BPE
    Table pairs
    const uint32_t *patterns[MAX_PATTERNS]
    size_t n_patterns


cdef void core_free(Core *c) noexcept:
    free(c.unescaped)
    free(c.all.slots)
    free(c.special.slots)
    free(c.special_lengths.data)
    free(c.order)
    free(c.lengths.data)
    free(c.pairs.slots)
    free(c)


cdef inline int32_t type_of(const Core *c, uint32_t id) noexcept nogil:
    return c.types[id] if c.types is not NULL else NORMAL


cdef int32_t id_of(const Core *c, bytes text) noexcept:
    """-1: there is no token with this text."""
    cdef const uint8_t *p = <const uint8_t *> PyBytes_AS_STRING(text)
    cdef uint64_t n = PyBytes_GET_SIZE(text)
    return table_find(&c.all, &c.tokens, hash_on(0, p, n), p, n) if c.tokens.count else -1


cdef int collect_lengths(const Texts *texts, uint64_t longest, const int32_t *ids, size_t count,
                         Lengths *out) except -1:
    """The distinct lengths of the texts `ids` (count,), or of the first `count` if that is NULL, longest first."""
    cdef uint8_t *seen = <uint8_t *> calloc(longest + 1, 1)
    cdef uint64_t n
    cdef size_t i, kinds = 0
    if seen is NULL:
        raise MemoryError()
    for i in range(count):
        n = texts.length[ids[i] if ids is not NULL else i]
        kinds += not seen[n]
        seen[n] = 1
    out.data = <uint64_t *> malloc((kinds + 1) * sizeof(uint64_t))
    if out.data is not NULL:
        for n in range(longest, 0, -1):
            if seen[n]:
                out.data[out.count] = n
                out.count += 1
    free(seen)
    if out.data is NULL:
        raise MemoryError()
    return 0
