# Which tokens may come next.
#
# A token that stays within the rule on top of a stack is right or wrong whatever lies below. So each position of the
# grammar gets one Verdict, made once: the tokens that fit above a stack of which nothing else is known, and the nodes
# of the trie at which the known part ends, where it depends. The answer for a set of stacks is then the union of their
# verdicts and a walk below those few nodes, from the stack that really comes next: in the middle of a JSON string only
# what follows the closing quote is looked at again, at any depth of nesting.

cdef enum:
    MOST_VERDICTS = 1 << 25  # bytes of verdicts that a grammar keeps
    MANY_STACKS = 32  # from here on one walk with all stacks is cheaper than a union
    LANGUAGES = 4  # that a vocabulary remembers,
    REMEMBERED = 1 << 16  # if their text is not longer: bytes
    MUCH = 1 << 18  # what Stacks may weigh before they are tidied up

ctypedef struct Verdict:
    uint64_t *fits  # (n_words,) a bit for each token
    uint32_t *exits  # (n_exits,) nodes of the trie
    size_t n_exits

ctypedef struct Level:
    uint32_t set
    Decoder decoder


@cython.final
cdef class Language:
    """A grammar over a vocabulary: all that does not depend on how far a text has come."""

    cdef Rules rules
    cdef Trie trie
    cdef size_t n_words  # 64-bit words in a set of tokens
    cdef Verdict **verdicts  # (n_positions,) NULL: not made yet
    cdef size_t kept  # bytes of them
    cdef Level *levels  # (depth + 1,) of a walk
    cdef Stacks probe  # those of verdicts

    def __cinit__(self, bytes text not None, Trie trie not None):
        self.rules = Rules(text)
        self.trie = trie
        self.n_words = (trie.n_tokens + 63) // 64
        self.verdicts = <Verdict **> calloc(self.rules.code.count, sizeof(Verdict *))
        self.levels = <Level *> malloc((trie.depth + 1) * sizeof(Level))
        if self.verdicts is NULL or self.levels is NULL:
            raise MemoryError()

    def __dealloc__(self):
        if self.verdicts is not NULL:
            self.forget()
        free(self.verdicts)
        free(self.levels)

    cdef void forget(self) noexcept:
        cdef size_t i
        for i in range(self.rules.code.count):
            if self.verdicts[i] is not NULL:
                free_verdict(self.verdicts[i])
                self.verdicts[i] = NULL
        self.kept = 0

    cdef const Verdict *verdict(self, uint32_t position, uint64_t *work) except NULL:
        """Stays until the next call. work: what may still be done for this answer."""
        cdef Verdict *v = self.verdicts[position]
        if v is NULL:
            if self.kept > MOST_VERDICTS:
                self.forget()
            v = self.judge(position, work)
            self.verdicts[position] = v
            self.kept += 8 * self.n_words + 4 * v.n_exits
        return v

    cdef Verdict *judge(self, uint32_t position, uint64_t *work) except NULL:
        cdef Stacks stacks
        cdef Decoder fresh
        cdef uint32_t set
        cdef Array exits
        cdef Verdict *v = <Verdict *> calloc(1, sizeof(Verdict))
        memset(&fresh, 0, sizeof(fresh))
        memset(&exits, 0, sizeof(exits))
        try:
            if v is NULL:
                raise MemoryError()
            v.fits = <uint64_t *> calloc(self.n_words, sizeof(uint64_t))
            if v.fits is NULL:
                raise MemoryError()
            if self.probe is None or self.probe.weight() > MUCH:
                self.probe = Stacks(self.rules)
            stacks = self.probe
            stacks.left = work[0]
            set = stacks.single(stacks.node(position, stacks.single(UNKNOWN)))
            self.walk(stacks, 0, self.trie.n_nodes, set, fresh, v.fits, &exits)
            work[0] = stacks.left
        except BaseException:
            free_verdict(v)
            free(exits.data)
            raise
        v.exits, v.n_exits = exits.data, exits.count
        return v

    cdef int walk(self, Stacks stacks, size_t node, size_t end, uint32_t set, Decoder decoder, uint64_t *fits,
                  Array *exits) except -1:
        """Mark in `fits` the tokens that end in nodes from `node` to `end` and fit. `set`, `decoder`: above `node`.

        exits: gets the nodes in which a set has UNKNOWN and tokens go on; may be NULL.
        """
        cdef Trie t = self.trie
        cdef uint32_t top, id, i
        cdef Level *level
        if node == end:
            return 0
        top = t.level[node] - 1
        self.levels[top].set, self.levels[top].decoder = set, decoder
        while node < end:
            level = self.levels + t.level[node]
            level[0] = (level - 1)[0]
            level.set = stacks.read(level.set, &level.decoder, t.byte[node])
            if level.set == NO_STACKS:
                node = t.behind[node]
                continue
            if t.first[node] < t.first[node + 1] and stacks.fits(level.set, &level.decoder):
                for i in range(t.first[node], t.first[node + 1]):
                    id = t.ids.data[i]
                    fits[id >> 6] |= 1ULL << (id & 63)
            node += 1
            if exits is not NULL and level.decoder.missing == 0 and node < t.behind[node - 1]:
                if stacks.has(level.set, UNKNOWN):
                    push(exits, <uint32_t> node - 1)
        return 0

    cdef int judge_set(self, Stacks stacks, uint32_t set, Decoder decoder, uint64_t *fits) except -1:
        """Mark in `fits` (n_words,), all 0, the tokens that may come next."""
        cdef size_t i
        if stacks.has(set, COMPLETE):
            for i in range(self.trie.ends.count):
                fits[self.trie.ends.data[i] >> 6] |= 1ULL << (self.trie.ends.data[i] & 63)
        if decoder.missing or stacks.size(set) > MANY_STACKS:
            return self.walk(stacks, 0, self.trie.n_nodes, set, decoder, fits, NULL)
        for i in range(stacks.size(set)):
            if stacks.first(set)[i] != COMPLETE:
                self.judge_stack(stacks, stacks.first(set)[i], fits)
        return 0

    cdef int judge_stack(self, Stacks stacks, uint32_t stack, uint64_t *fits) except -1:
        cdef const Verdict *v = self.verdict(stacks.position.data[stack], &stacks.left)
        cdef uint32_t below = stacks.rest.data[stack], exit
        cdef Decoder fresh
        cdef size_t i
        memset(&fresh, 0, sizeof(fresh))
        for i in range(self.n_words):
            fits[i] |= v.fits[i]
        below = stacks.expand(below)
        if stacks.size(below) == 1 and stacks.has(below, COMPLETE):
            return 0
        for i in range(v.n_exits):
            exit = v.exits[i]
            self.walk(stacks, exit + 1, self.trie.behind[exit], below, fresh, fits, NULL)
        return 0


cdef void free_verdict(Verdict *v) noexcept:
    if v is not NULL:
        free(v.fits)
        free(v.exits)
        free(v)


cdef Language language(bytes text, vocab):
    """A grammar that was used a moment ago is not read again: a server gets the same one with every request."""
    cdef Trie trie = trie_of(vocab)
    found = trie.languages.pop(text, None) or Language(text, trie)
    if len(text) <= REMEMBERED:
        trie.languages[text] = found
    if len(trie.languages) > LANGUAGES:
        del trie.languages[next(iter(trie.languages))]
    return found
