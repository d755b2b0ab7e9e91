# The texts of all tokens as one tree of bytes, so that a beginning that many tokens share is checked once.

@cython.final
cdef class Trie:
    """The tokens of a vocabulary, by their bytes. Nothing in it changes any more.

    A node is a byte after those of its parents; nodes lie in the order in which a walk meets them, parents first. Left
    out are tokens without text and those that end a generation. A text ends at its first NUL, as in the reference.
    """

    cdef size_t n_tokens, n_nodes
    cdef uint32_t depth  # of the deepest node; the first byte of a token is at depth 1
    cdef uint8_t *byte  # (n_nodes,)
    cdef uint32_t *level  # (n_nodes,) its depth
    cdef uint32_t *behind  # (n_nodes,) the first node that is not below it
    cdef uint32_t *first  # (n_nodes + 1,) of the tokens that end in it, in `ids`
    cdef Array ids
    cdef Array ends  # tokens that end a generation
    cdef dict languages  # text of a grammar -> Language, the latest last

    def __cinit__(self, vocab):
        self.languages = {}
        self.n_tokens = vocab.n_tokens
        cdef list pieces = self.texts(vocab)
        order = sorted(range(len(pieces)), key=pieces.__getitem__)
        self.allocate(pieces)
        self.fill(pieces, order)

    def __dealloc__(self):
        free(self.byte)
        free(self.level)
        free(self.behind)
        free(self.first)
        free(self.ids.data)
        free(self.ends.data)

    cdef list texts(self, vocab):
        """bytes by token; empty for those to be left out."""
        piece = vocab.piece
        pieces = [piece(id, False).partition(b"\0")[0] for id in range(self.n_tokens)]
        for id in range(self.n_tokens):
            if vocab.is_eog(id):
                pieces[id] = b""
                push(&self.ends, id)
        return pieces

    cdef int allocate(self, list pieces) except -1:
        cdef size_t most = 1 + sum(map(len, pieces))
        if most >= NOTHING:
            raise MemoryError()
        self.byte = <uint8_t *> malloc(most)
        self.level = <uint32_t *> malloc(most * sizeof(uint32_t))
        self.behind = <uint32_t *> malloc(most * sizeof(uint32_t))
        self.first = <uint32_t *> malloc(most * sizeof(uint32_t))
        if self.byte is NULL or self.level is NULL or self.behind is NULL or self.first is NULL:
            raise MemoryError()
        reserve(&self.ids, len(pieces))
        return 0

    cdef int fill(self, list pieces, list order) except -1:
        cdef bytes piece, last = b""
        cdef Array path  # the nodes of the last text
        cdef size_t same
        cdef const uint8_t *text
        memset(&path, 0, sizeof(path))
        try:
            for id in order:
                piece = pieces[id]
                if not piece:
                    continue
                text = <const uint8_t *> PyBytes_AS_STRING(piece)
                same = common(text, len(piece), <const uint8_t *> PyBytes_AS_STRING(last), len(last))
                self.close(&path, same)
                self.add(&path, text, len(piece))
                push(&self.ids, id)
                last = piece
            self.close(&path, 0)
            self.first[self.n_nodes] = <uint32_t> self.ids.count
        finally:
            free(path.data)
        return 0

    cdef void close(self, Array *path, size_t keep) noexcept:
        while path.count > keep:
            path.count -= 1
            self.behind[path.data[path.count]] = <uint32_t> self.n_nodes

    cdef int add(self, Array *path, const uint8_t *text, size_t size) except -1:
        """Nodes for all bytes of a text that `path` has none for."""
        while path.count < size:
            self.byte[self.n_nodes] = text[path.count]
            self.level[self.n_nodes] = <uint32_t> path.count + 1
            self.first[self.n_nodes] = <uint32_t> self.ids.count
            push(path, <uint32_t> self.n_nodes)
            self.n_nodes += 1
        self.depth = max(self.depth, <uint32_t> path.count)
        return 0


cdef size_t common(const uint8_t *a, size_t n, const uint8_t *b, size_t m) noexcept nogil:
    """How many bytes two texts begin with alike."""
    cdef size_t i = 0
    while i < n and i < m and a[i] == b[i]:
        i += 1
    return i


cdef dict TRIES = {}  # id of a vocabulary -> weak reference to it, Trie


cdef Trie trie_of(vocab):
    """Made once for each vocabulary that is alive."""
    from weakref import ref
    key = id(vocab)
    if key not in TRIES:
        trie = Trie(vocab)
        TRIES[key] = ref(vocab, lambda gone: TRIES.pop(key, None)), trie
    return TRIES[key][1]
