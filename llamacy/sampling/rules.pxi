# Elements -> what a walk through the grammar needs, and the checks that make such a walk end.

# A position is a place in `code`: one of these in the upper bits, a number in the lower ones.
cdef enum:
    AT_END = 0
    AT_CLASS = 0x40000000  # the number of a class of characters
    AT_RULE = 0x80000000  # the number of a rule
    NUMBER = 0x3FFFFFFF

ctypedef struct CharClass:
    uint32_t at  # in `spans`: lower bound, upper bound, lower …, ascending and apart
    uint32_t size  # in pairs
    int32_t negated


ctypedef struct Span:
    uint32_t low, high


@cython.final
cdef class Rules:
    """A grammar ready to be walked through. Nothing in it changes any more.

    Errors  GrammarError: a text that is no grammar, a name without a rule, no root, left recursion.
    """

    cdef Parser parser
    cdef Order order
    cdef Array code  # the alternatives of all rules, each with AT_END behind it; last: AT_RULE root, AT_END
    cdef Array starts  # (n_alternatives + 1,) position of each alternative
    cdef Array first  # (n_rules + 1,) the first alternative of each rule
    cdef Array classes  # CharClass …
    cdef Array spans
    cdef Array edges  # ascending: where the code points are cut into pieces which every class has or lacks as a whole
    cdef uint32_t piece_of_ascii[128]
    cdef uint32_t root  # position: before root

    def __cinit__(self, bytes text not None):
        self.parser = Parser(text)
        if self.parser.at.count == 0:
            raise GrammarError(f"{PREFIX}no rules")
        if "root" not in self.parser.numbers:
            raise GrammarError("llama_sampling_init: grammar does not contain a 'root' symbol")
        self.compile()
        self.cut()
        self.order = Order(self)

    def __dealloc__(self):
        free(self.code.data)
        free(self.starts.data)
        free(self.first.data)
        free(self.classes.data)
        free(self.spans.data)
        free(self.edges.data)

    cdef int compile(self) except -1:
        cdef uint32_t rule
        for rule in range(self.parser.at.count):
            push(&self.first, <uint32_t> self.starts.count)
            if self.parser.size.data[rule]:  # else a name that no rule uses any more
                self.compile_rule(self.parser.elements.data + 2 * self.parser.at.data[rule])
        push(&self.first, <uint32_t> self.starts.count)
        self.root = <uint32_t> self.code.count
        push(&self.starts, self.root)
        push(&self.code, AT_RULE | <uint32_t> self.parser.numbers["root"])
        push(&self.code, AT_END)
        return 0

    cdef int compile_rule(self, const uint32_t *e) except -1:
        """e: kind, value, kind, value … up to the END."""
        push(&self.starts, <uint32_t> self.code.count)
        while e[0] != END:
            if e[0] == ALT:
                push(&self.code, AT_END)
                push(&self.starts, <uint32_t> self.code.count)
                e += 2
            elif e[0] == RULE_REF:
                push(&self.code, AT_RULE | e[1])
                e += 2
            else:
                e = self.compile_class(e)
        push(&self.code, AT_END)
        return 0

    cdef const uint32_t *compile_class(self, const uint32_t *e) except NULL:
        cdef CharClass c
        cdef size_t begin = self.spans.count
        c.negated = e[0] == CHAR_NOT
        while True:
            push(&self.spans, e[1])
            e += 2
            if e[0] == CHAR_RNG_UPPER:
                push(&self.spans, e[1])
                e += 2
            else:
                push(&self.spans, self.spans.data[self.spans.count - 1])
            if e[0] != CHAR_ALT:
                break
        self.spans.count = begin + 2 * merge_spans(<Span *> (self.spans.data + begin), (self.spans.count - begin) // 2)
        c.at = <uint32_t> begin
        c.size = <uint32_t> (self.spans.count - begin) // 2
        push(&self.code, AT_CLASS | <uint32_t> (self.classes.count // 3))
        push_all(&self.classes, <const uint32_t *> &c, 3)
        return e

    cdef int cut(self) except -1:
        """Find the edges: every code point of a piece is in the same classes."""
        cdef size_t i
        reserve(&self.edges, self.spans.count + 1)
        for i in range(self.spans.count // 2):
            push(&self.edges, self.spans.data[2 * i])
            if self.spans.data[2 * i + 1] != 0xFFFFFFFF:
                push(&self.edges, self.spans.data[2 * i + 1] + 1)
        self.edges.count = sort_unique(self.edges.data, self.edges.count)
        for i in range(128):
            self.piece_of_ascii[i] = self.search_piece(<uint32_t> i)
        return 0

    cdef uint32_t search_piece(self, uint32_t c) noexcept nogil:
        """How many edges are not above c."""
        cdef size_t low = 0, high = self.edges.count, middle
        while low < high:
            middle = (low + high) // 2
            if self.edges.data[middle] <= c:
                low = middle + 1
            else:
                high = middle
        return <uint32_t> low

    cdef inline uint32_t piece(self, uint32_t c) noexcept nogil:
        """The number of the piece that code point c is in."""
        return self.piece_of_ascii[c] if c < 128 else self.search_piece(c)

    cdef inline const CharClass *char_class(self, uint32_t position) noexcept nogil:
        return <const CharClass *> self.classes.data + (self.code.data[position] & NUMBER)

    cdef bint meets(self, const CharClass *c, uint32_t low, uint32_t high) noexcept nogil:
        """Does any code point from low to high stand in the class as it is written, before a ^ turns it round?"""
        cdef const Span *spans = <const Span *> (self.spans.data + c.at)
        cdef size_t begin = 0, end = c.size, middle
        while begin < end:  # the first span that does not end below `low`
            middle = (begin + end) // 2
            if spans[middle].high < low:
                begin = middle + 1
            else:
                end = middle
        return begin < c.size and spans[begin].low <= high

    cdef inline bint matches(self, uint32_t position, uint32_t c) noexcept nogil:
        cdef const CharClass *k = self.char_class(position)
        return self.meets(k, c, c) != k.negated


cdef int by_low(const void *a, const void *b) noexcept nogil:
    cdef uint32_t x = (<const Span *> a).low, y = (<const Span *> b).low
    return (x > y) - (x < y)


cdef size_t merge_spans(Span *s, size_t count) noexcept nogil:
    """Put spans in order, join those that touch, drop those that are empty; return how many are left."""
    cdef size_t i, n = 0
    if count > 1:
        qsort(s, count, sizeof(Span), &by_low)
    for i in range(count):
        if s[i].low > s[i].high:
            continue
        if n and (s[i].low <= s[n - 1].high or s[i].low - 1 == s[n - 1].high):
            s[n - 1].high = max(s[n - 1].high, s[i].high)
        else:
            s[n] = s[i]
            n += 1
    return n
