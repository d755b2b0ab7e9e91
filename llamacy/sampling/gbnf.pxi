# The text of a grammar -> elements, exactly as the reference numbers and rewrites them. No recursion: a group that is
# open is a frame on a list, so that depth costs memory in proportion to the text and nothing else.

# Kinds of element
cdef enum:
    END = 0
    ALT = 1
    RULE_REF = 2
    CHAR = 3
    CHAR_NOT = 4
    CHAR_RNG_UPPER = 5  # the upper bound of the char before it
    CHAR_ALT = 6  # one more char of the same class

cdef enum:
    LONGEST_GRAMMAR = 1 << 22  # bytes
    LONGEST_REST = 160  # characters of the text that an error quotes


def quoted_rest(bytes rest):
    """The place of an error, as its message shows it: one line, and not the whole file."""
    text = one_line(rest[:4 * LONGEST_REST].decode("utf-8", "backslashreplace"))
    return text if len(text) <= LONGEST_REST else text[:LONGEST_REST] + "..."


cdef bint is_word(uint8_t c) noexcept nogil:
    return c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c == c'-' or c'0' <= c <= c'9'


cdef int hex_value(uint8_t c) noexcept nogil:
    """-1: no hexadecimal digit."""
    if c'0' <= c <= c'9':
        return c - c'0'
    if c'a' <= (c | 0x20) <= c'f':
        return (c | 0x20) - c'a' + 10
    return -1


@cython.final
cdef class Parser:
    """Reads one grammar, from construction on. The text ends at its first NUL.

    Errors  GrammarError
    Source  grammar-parser.cpp of llama.cpp b2794. Differs: left recursion is refused (by Rules); any depth is read.
    """

    cdef dict numbers  # name -> number of the rules that have a name in the text
    cdef Array owner  # by rule: NOTHING, or if it was generated the rule in whose definition
    cdef bytes text
    cdef const uint8_t *p  # what is to be read next; there is always a NUL behind the text
    cdef const uint8_t *start
    cdef Array elements  # kind, value, kind, value …: the finished rules, one after another
    cdef Array at, size  # by rule: its place in elements, counted in elements; size 0: not defined
    cdef Array open  # kind, value …: of the rules that are being read, the innermost last
    cdef Array frames  # four numbers for each group that is open: see begin()
    cdef size_t rule  # the innermost of them: its number,
    cdef size_t first  # where it begins in `open`,
    cdef size_t last  # and where its last item begins: what * + ? apply to
    cdef uint32_t outermost  # the rule whose definition is being read

    def __cinit__(self, bytes text not None):
        if len(text) > LONGEST_GRAMMAR:
            raise GrammarError(f"{PREFIX}{len(text)} bytes, expected at most {LONGEST_GRAMMAR}")
        self.numbers = {}
        self.text = text
        self.p = self.start = <const uint8_t *> PyBytes_AS_STRING(text)
        self.space(True)
        while self.p[0]:
            self.definition()
        self.check_defined()

    def __dealloc__(self):
        free(self.owner.data)
        free(self.elements.data)
        free(self.at.data)
        free(self.size.data)
        free(self.open.data)
        free(self.frames.data)

    def symbols(self):
        """dict: name -> number, in order of first appearance; generated rules are <rule>_<number>."""
        names = dict(zip(self.numbers.values(), self.numbers))
        return {names.get(i) or f"{names[self.owner.data[i]]}_{i}": i for i in range(self.owner.count)}

    def rules(self):
        """For every rule the list of its elements (kind, value)."""
        return [self.rule_elements(i) for i in range(self.at.count)]

    cdef list rule_elements(self, size_t rule):
        cdef const uint32_t *e = self.elements.data + 2 * self.at.data[rule]
        cdef size_t i
        return [(e[2 * i], e[2 * i + 1]) for i in range(self.size.data[rule])]

    cdef str name(self, uint32_t rule):
        """Of the rule in the text that `rule` is or belongs to."""
        if self.owner.data[rule] != NOTHING:
            rule = self.owner.data[rule]
        return next(name for name, number in self.numbers.items() if number == rule)

    # --- letters

    cdef error(self, str what, const uint8_t *at):
        rest = self.text[at - self.start:].split(b"\0", 1)[0]
        return GrammarError(f"{PREFIX}{what} at {quoted_rest(rest)}")

    cdef void space(self, bint newlines) noexcept:
        """Skip blanks and comments."""
        cdef uint8_t c = self.p[0]
        while c == c' ' or c == c'\t' or c == c'#' or newlines and (c == c'\r' or c == c'\n'):
            self.p += 1
            if c == c'#':
                while self.p[0] and self.p[0] != c'\r' and self.p[0] != c'\n':
                    self.p += 1
            c = self.p[0]

    cdef str word(self):
        cdef const uint8_t *begin = self.p
        while is_word(self.p[0]):
            self.p += 1
        if self.p == begin:
            raise self.error("expecting name", begin)
        return (<const char *> begin)[:self.p - begin].decode("ascii")

    cdef int64_t hexadecimal(self, int digits) except -1:
        cdef const uint8_t *begin = self.p
        cdef int64_t value = 0
        while self.p < begin + digits and hex_value(self.p[0]) >= 0:
            value = value << 4 | hex_value(self.p[0])
            self.p += 1
        if self.p < begin + digits:
            raise self.error(f"expecting {digits} hex chars", begin)
        return value

    cdef int64_t code_point(self) except -1:
        """A code point of a literal or class. Bytes that are no UTF-8 stand for something too, as in the reference."""
        cdef uint8_t c = self.p[0]
        cdef int more
        cdef int64_t value
        if c == 0:
            raise GrammarError(f"{PREFIX}unexpected end of input")
        if c == c'\\':
            return self.escape()
        more = 3 if c >= 0xF0 else 2 if c >= 0xE0 else 1 if c >= 0xC0 else 0
        value = c & (0x7F >> more)
        self.p += 1
        while more > 0 and self.p[0]:
            value = value << 6 | (self.p[0] & 0x3F)
            self.p += 1
            more -= 1
        return value

    cdef int64_t escape(self) except -1:
        cdef uint8_t c = self.p[1]
        self.p += 2
        if c == c'x' or c == c'u' or c == c'U':
            return self.hexadecimal(2 if c == c'x' else 4 if c == c'u' else 8)
        if c == c'\\' or c == c'"' or c == c'[' or c == c']':
            return c
        if c == c't' or c == c'r' or c == c'n':
            return c'\t' if c == c't' else c'\r' if c == c'r' else c'\n'
        raise self.error("unknown escape", self.p - 2)

    # --- symbols

    cdef uint32_t symbol(self, str name) except? 0xFFFFFFFF:
        """The number of a name of the text."""
        number = self.numbers.get(name)
        if number is None:
            number = self.numbers[name] = self.new_rule(NOTHING)
        return number

    cdef uint32_t new_rule(self, uint32_t owner) except? 0xFFFFFFFF:
        push(&self.owner, owner)
        push(&self.at, 0)
        push(&self.size, 0)  # not even an END: not defined
        return <uint32_t> self.owner.count - 1

    cdef int define(self, uint32_t rule, size_t begin) except -1:
        """The open elements from `begin` on are a rule. They leave the list."""
        self.put(END, 0)
        self.at.data[rule] = <uint32_t> (self.elements.count // 2)
        self.size.data[rule] = <uint32_t> ((self.open.count - begin) // 2)
        push_all(&self.elements, self.open.data + begin, self.open.count - begin)
        self.open.count = begin
        return 0

    cdef int put(self, uint32_t kind, uint32_t value) except -1:
        push(&self.open, kind)
        push(&self.open, value)
        return 0

    # --- rules

    cdef int definition(self) except -1:
        self.outermost = self.rule = self.symbol(self.word())
        self.space(False)
        if not (self.p[0] == c':' and self.p[1] == c':' and self.p[2] == c'='):
            raise self.error("expecting ::=", self.p)
        self.p += 3
        self.space(True)
        self.first = self.last = self.open.count
        while self.item():
            pass
        if self.frames.count:
            raise self.error("expecting ')'", self.p)
        self.define(self.rule, self.first)
        if self.p[0] and self.p[0] != c'\r' and self.p[0] != c'\n':
            raise self.error("expecting newline or end", self.p)
        self.space(True)
        return 0

    cdef bint item(self) except -1:
        """Read one thing of a definition. False: what comes does not belong to it."""
        cdef uint8_t c = self.p[0]
        if c == c'"':
            self.literal()
        elif c == c'[':
            self.char_class()
        elif is_word(c):
            number = self.symbol(self.word())
            self.last = self.open.count
            self.put(RULE_REF, number)
        elif c == c'(':
            return self.begin()
        elif c == c')' and self.frames.count:
            self.end()
        elif c == c'|':
            self.p += 1
            self.put(ALT, 0)
            self.last = self.open.count
            self.space(True)
            return True
        elif c == c'*' or c == c'+' or c == c'?':
            self.repeat(c)
        else:
            return False
        self.space(self.frames.count > 0)
        return True

    cdef int literal(self) except -1:
        self.p += 1
        self.last = self.open.count
        while self.p[0] != c'"':
            self.put(CHAR, <uint32_t> self.code_point())
        self.p += 1
        return 0

    cdef int char_class(self) except -1:
        cdef uint32_t kind = CHAR
        self.p += 1
        if self.p[0] == c'^':
            kind = CHAR_NOT
            self.p += 1
        self.last = self.open.count
        while self.p[0] != c']':
            self.put(kind, <uint32_t> self.code_point())
            kind = CHAR_ALT
            if self.p[0] == c'-' and self.p[1] != c']':
                self.p += 1
                self.put(CHAR_RNG_UPPER, <uint32_t> self.code_point())
        self.p += 1
        return 0

    cdef bint begin(self) except -1:
        """A group opens: a generated rule of its own."""
        self.p += 1
        self.space(True)
        number = self.new_rule(self.outermost)
        push(&self.frames, <uint32_t> self.rule)
        push(&self.frames, <uint32_t> self.first)
        self.rule = number
        self.first = self.last = self.open.count
        return True

    cdef int end(self) except -1:
        """The innermost group closes: it becomes an item of the rule around it."""
        number = self.rule
        self.p += 1
        self.define(number, self.first)
        self.frames.count -= 2
        self.rule = self.frames.data[self.frames.count]
        self.first = self.frames.data[self.frames.count + 1]
        self.last = self.open.count
        self.put(RULE_REF, number)
        return 0

    cdef int repeat(self, uint8_t operator) except -1:
        """S* -> S' ::= S S' | nothing.  S+ -> S' ::= S S' | S.  S? -> S' ::= S | nothing."""
        cdef size_t begin, size = self.open.count - self.last
        if size == 0:
            raise self.error("expecting preceding item to */+/?", self.p)
        self.p += 1
        number = self.new_rule(self.outermost)
        begin = self.open.count
        reserve(&self.open, 2 * size + 8)  # so that what is copied stays where it is
        push_all(&self.open, self.open.data + self.last, size)
        if operator != c'?':
            self.put(RULE_REF, number)
        self.put(ALT, 0)
        if operator == c'+':
            push_all(&self.open, self.open.data + self.last, size)
        self.define(number, begin)
        self.open.count = self.last
        self.put(RULE_REF, number)
        return 0

    cdef int check_defined(self) except -1:
        cdef uint32_t rule, i
        cdef const uint32_t *e
        for rule in range(self.at.count):
            for i in range(self.size.data[rule]):
                e = self.elements.data + 2 * (self.at.data[rule] + i)
                if e[0] == RULE_REF and self.size.data[e[1]] == 0:
                    raise GrammarError(f"{PREFIX}Undefined rule identifier '{self.name(e[1])}'")
        return 0
