# cython: language_level=3
"""Grammars: which tokens may come next if the text is to follow the rules of a GBNF grammar.

    text -> Parser -> Rules -> Language (with the Trie of a vocabulary) -> Grammar: one text on its way through

Source: grammar-parser.cpp and llama_grammar of llama.cpp b2794. Differs: every limit is checked, so that no grammar can
hang or crash; left recursion is refused; a range written the wrong way round ([z-a]) matches nothing. The parts:

    arrays.pxi      growable arrays and tables in C
    gbnf.pxi        text -> elements
    rules.pxi       elements -> rules to walk through
    order.pxi       what a rule may begin with; refuses left recursion
    stacks.pxi      where a text stands in a grammar
    trie.pxi        the tokens as a tree of bytes
    verdicts.pxi    the tokens that fit
"""
cimport cython
from cpython.buffer cimport (Py_buffer, PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release,
                             PyObject_GetBuffer)
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memcmp, memcpy, memset

from llamacy.errors import GrammarError, one_line

PREFIX = "parse: error parsing grammar: "

include "arrays.pxi"
include "gbnf.pxi"
include "rules.pxi"
include "order.pxi"
include "stacks.pxi"
include "trie.pxi"
include "verdicts.pxi"

cdef enum:
    ANSWERS = 32  # sets of tokens that a Grammar keeps
    MINUS_INFINITY = 0xFF800000


def parse_grammar(bytes text not None):
    """Check a grammar. Returns its Parser: what its symbols and rules are, in the reference's form.

    Errors  GrammarError
    """
    return Rules(text).parser


ctypedef struct Answer:
    uint32_t set
    size_t count  # of the tokens; 0 with tokens NULL: not in use
    uint64_t *tokens  # (n_words,)


@cython.final
cdef class Grammar:
    """A text on its way through a grammar.

    vocab   n_tokens, piece(id, special) -> bytes, is_eog(id). Its pieces are read once, however many grammars use it.
    Errors  GrammarError: text is no grammar; or, from any method, too many ways to go on. Nothing has changed then.
    """

    cdef Language language
    cdef object vocab
    cdef Stacks stacks
    cdef uint32_t start, set  # sets of stacks: at the beginning, now
    cdef Decoder decoder
    cdef Answer answers[ANSWERS]
    cdef int next_answer
    cdef size_t room  # what the stacks may weigh

    def __cinit__(self, bytes text not None, vocab):
        self.language = language(text, vocab)
        self.vocab = vocab
        self.stacks = Stacks(self.language.rules)
        self.start = self.set = self.stacks.begin()
        self.room = MUCH

    def __dealloc__(self):
        cdef int i
        for i in range(ANSWERS):
            free(self.answers[i].tokens)

    def reset(self):
        """Back to the beginning."""
        self.set = self.start
        memset(&self.decoder, 0, sizeof(self.decoder))

    def clone(self):
        """Another one at the same place."""
        cdef Grammar other = Grammar(self.language.rules.parser.text, self.vocab)
        other.set = other.stacks.copy(self.stacks, self.set)
        other.decoder = self.decoder
        return other

    def is_complete(self):
        """May the text end here?"""
        return self.stacks.has(self.set, COMPLETE)

    def allows(self, token):
        """May this token come next?"""
        cdef Decoder decoder
        if self.vocab.is_eog(token):
            return self.is_complete()
        return self.follow(token, &decoder) != NO_STACKS

    def accept(self, token):
        """Go on by one token. Errors  GrammarError: it does not fit."""
        cdef Decoder decoder
        cdef uint32_t set
        if self.vocab.is_eog(token):
            if not self.is_complete():
                raise GrammarError(f"token {token} ends the text before the grammar does")
            return
        set = self.follow(token, &decoder)
        if set == NO_STACKS:
            raise GrammarError(f"token {token} does not fit the grammar")
        self.set = set
        self.decoder = decoder
        self.decoder.strict = decoder.missing > 0

    cdef uint32_t follow(self, token, Decoder *decoder) except? 0xFFFFFFFF:
        """The set after a token; NO_STACKS: it does not fit. decoder: gets its state after it."""
        cdef bytes piece = self.vocab.piece(token, False).partition(b"\0")[0]
        cdef uint32_t set
        cdef uint8_t byte
        self.tidy()
        set = self.set
        decoder[0] = self.decoder
        for byte in piece:
            set = self.stacks.read(set, decoder, byte)
            if set == NO_STACKS:
                break
        return set if piece and self.stacks.fits(set, decoder) else NO_STACKS

    def filter(self, logits):
        """Set the logits of all tokens that may not come next to -infinity; return how many may.

        Shapes  logits (n_vocab,) float32, contiguous, writable.
        Errors  ValueError: they are not.
        """
        cdef Py_buffer view
        cdef const Answer *answer
        PyObject_GetBuffer(logits, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE)
        try:
            if view.format is NULL or view.format != b"f" or <size_t> view.len != 4 * self.language.trie.n_tokens:
                raise ValueError(f"logits: found {view.len} bytes, expected {self.language.trie.n_tokens} float32")
            self.tidy()
            answer = self.answer()
            forbid(<uint32_t *> view.buf, self.language.trie.n_tokens, answer.tokens)
            return answer.count
        finally:
            PyBuffer_Release(&view)

    cdef const Answer *answer(self) except NULL:
        """The tokens that may come next, kept if they depend on the set of stacks alone."""
        cdef Answer *a
        cdef int i
        if self.decoder.missing == 0:
            for i in range(ANSWERS):
                if self.answers[i].tokens is not NULL and self.answers[i].set == self.set:
                    return &self.answers[i]
        a = &self.answers[self.next_answer]
        if a.tokens is NULL:
            a.tokens = <uint64_t *> malloc((self.language.n_words + 1) * sizeof(uint64_t))
            if a.tokens is NULL:
                raise MemoryError()
        a.set = NO_STACKS  # which is never asked for: nothing is kept if an error comes
        memset(a.tokens, 0, self.language.n_words * sizeof(uint64_t))
        self.language.judge_set(self.stacks, self.set, self.decoder, a.tokens)
        a.count = count_bits(a.tokens, self.language.n_words)
        if self.decoder.missing == 0:
            a.set = self.set
            self.next_answer = (self.next_answer + 1) % ANSWERS
        return a

    cdef int tidy(self) except -1:
        """Before anything is asked: drop the stacks of the past if they weigh too much."""
        cdef Stacks fresh
        cdef uint32_t start, set
        cdef int i
        self.stacks.left = MOST_WORK
        if self.stacks.weight() < self.room:
            return 0
        fresh = Stacks(self.language.rules)
        start, set = fresh.copy(self.stacks, self.start), fresh.copy(self.stacks, self.set)
        self.stacks, self.start, self.set = fresh, start, set
        self.room = max(<size_t> MUCH, 2 * fresh.weight())
        for i in range(ANSWERS):
            self.answers[i].set = NO_STACKS
        return 0


cdef size_t count_bits(const uint64_t *words, size_t count) noexcept nogil:
    cdef size_t i, n = 0
    cdef uint64_t w
    for i in range(count):
        w = words[i]
        while w:
            w &= w - 1
            n += 1
    return n


cdef void forbid(uint32_t *logits, size_t count, const uint64_t *tokens) noexcept nogil:
    """logits (count,) as the bits of floats; tokens: a bit for each that may come.

    Without a jump, which would be mispredicted every other time: 3 times faster where half of the tokens fit.
    """
    cdef size_t i
    cdef uint32_t keep
    for i in range(count):
        keep = 0 - <uint32_t> (tokens[i >> 6] >> (i & 63) & 1)
        logits[i] = logits[i] & keep | MINUS_INFINITY & ~keep
