# cython: language_level=3
"""The sampler: from a row of logits to a token.

    row -> bias, guidance -> logits -> penalties, grammar -> candidates -> samplers -> draw -> token
           (in place)        (a copy, with which all else is done)

Source: common/sampling.cpp of llama.cpp b2794. Differs: a step in which the grammar allows no token never stops the
run; among equal logits the lower id comes first. The parts:

    history.pxi          tokens chosen so far, and penalties for them
    candidates.pxi       the candidates and how they are put in order
    chain.pxi            one function for each sampler
"""
from cpython.buffer cimport Py_buffer, PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE
from cpython.buffer cimport PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, expf, fabsf, log2f, logf, powf
from libc.stdint cimport INT32_MAX, INT32_MIN, SIZE_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memmove, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from os import urandom

from llamacy.sampling._rng cimport Mt19937

from llamacy.sampling.params import NAMES, RANDOM_SEED

include "history.pxi"
include "candidates.pxi"
include "chain.pxi"

ctypedef struct Bias:
    int32_t id
    float value

ctypedef struct Settings:
    int top_k, mirostat, last_n
    size_t min_keep
    float top_p, min_p, tfs_z, typical_p, temp, range, exponent, repeat, frequency, presence, tau, eta, scale
    const char *letters            # of the samplers, in order; ends with 0
    int32_t newline                # exempt from penalties; -1: no token is


cdef class Row:
    """Holds on to a caller's floats. Errors  ValueError: they are not (n,) float32, writable."""

    cdef Py_buffer view
    cdef float *data                               # (n,)

    def __cinit__(self, floats, size_t n, name):
        PyObject_GetBuffer(floats, &self.view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE)
        if self.view.format is NULL or self.view.format != b"f" or <size_t> self.view.len != 4 * n:
            found = f"{self.view.len} bytes of '{(<bytes> self.view.format).decode() if self.view.format else 'B'}'"
            raise ValueError(f"{name}: found {found}, expected {n} float32")
        self.data = <float *> self.view.buf

    def __dealloc__(self):
        PyBuffer_Release(&self.view)


cdef class Sampler:
    """Chooses tokens one after another and remembers them.

    `params` (SamplingParams) is read once, here. Not for two threads at a time.
    Errors  GrammarError: the grammar cannot be used. ValueError: a bias for a token that the vocabulary does not have.
    """

    cdef readonly object params, vocab
    cdef readonly object grammar                   # Grammar or None
    cdef readonly Mt19937 rng
    cdef readonly float mu                         # Mirostat's state; starts at 0, as in the reference
    cdef readonly int64_t n_sample                 # tokens chosen
    cdef int64_t spent_ns
    cdef size_t n_vocab
    cdef Settings set
    cdef bytes letters                             # what set.letters points to
    cdef Bias *biases
    cdef size_t n_biases
    cdef History history
    cdef bint quoting                              # penalties look at `quoted` instead of the history
    cdef History quoted
    cdef bytearray memory                          # of `logits`
    cdef float *logits                             # (n_vocab,) of this step, after penalties and grammar
    cdef float *untouched                          # (n_vocab,) the row before this step; NULL without a grammar
    cdef int32_t *counts                           # (n_vocab,) all 0 between steps
    cdef Candidates pool
    cdef bint listed                               # the pool has been filled in this step
    cdef int32_t chosen                            # in this step; -1: there was none yet
    cdef bint off_grammar                          # the grammar forbids it
    cdef double u                                  # what its draw drew; -1: it took none

    def __cinit__(self, params, vocab):
        self.params = params.copy()
        self.vocab = vocab
        self.n_vocab = vocab.n_tokens
        if self.n_vocab == 0:
            raise ValueError("the vocabulary has no tokens to choose from")
        self.chosen = -1
        self.u = -1
        self.read_settings()
        self.read_biases(params.logit_bias)
        self.allocate()
        self.read_penalty_prompt(params.penalty_prompt)
        seed = params.seed & 0xFFFFFFFF
        self.rng = Mt19937(int.from_bytes(urandom(4), "little") if seed == RANDOM_SEED else seed)
        if params.grammar:
            from llamacy.sampling._grammar import Grammar
            self.grammar = Grammar(params.grammar, vocab)

    def __dealloc__(self):
        free(self.biases)
        free(self.history.tokens)
        free(self.quoted.tokens)
        free(self.untouched)
        free(self.counts)
        free(self.pool.data)
        free(self.pool.copy)
        free(self.pool.keys)
        free(self.pool.spare)

    cdef read_settings(self):
        params = self.params
        self.letters = params.samplers.encode("ascii", "replace")
        self.history.size = max(1, clip(params.n_prev))
        self.set = Settings(
            letters=PyBytes_AS_STRING(self.letters), min_keep=max(1, clip(params.min_keep)),
            top_k=clip(params.top_k), top_p=params.top_p, min_p=params.min_p, tfs_z=params.tfs_z,
            typical_p=params.typical_p, temp=params.temp, range=params.dynatemp_range,
            exponent=params.dynatemp_exponent, last_n=clip(params.penalty_last_n), repeat=params.penalty_repeat,
            frequency=params.penalty_freq, presence=params.penalty_present,
            mirostat=params.mirostat if params.mirostat in (1, 2) else 0, tau=params.mirostat_tau,
            eta=params.mirostat_eta, scale=params.cfg_scale,
            newline=-1 if params.penalize_nl or not 0 <= self.vocab.lf < self.n_vocab else self.vocab.lf)

    cdef read_biases(self, biases):
        self.biases = <Bias *> malloc((len(biases) + 1) * sizeof(Bias))
        if self.biases is NULL:
            raise MemoryError
        for id, value in biases.items():
            if not 0 <= id < self.n_vocab:
                raise ValueError(f"logit bias for token {id}: expected a token from 0 to {self.n_vocab - 1}")
            self.biases[self.n_biases] = Bias(id=id, value=value)
            self.n_biases += 1

    cdef allocate(self):
        cdef size_t n = self.n_vocab
        cdef Candidates *c = &self.pool
        self.memory = bytearray(4 * n)
        self.logits = <float *> PyByteArray_AS_STRING(self.memory)
        self.untouched = <float *> malloc(n * sizeof(float)) if self.params.grammar else NULL
        self.counts = <int32_t *> calloc(n, sizeof(int32_t))
        c.data = <Candidate *> malloc(n * sizeof(Candidate))
        c.copy = <Candidate *> malloc(n * sizeof(Candidate))
        c.keys = <uint64_t *> malloc(n * sizeof(uint64_t))
        c.spare = <uint64_t *> malloc(n * sizeof(uint64_t))
        if (self.counts is NULL or c.data is NULL or c.copy is NULL or c.keys is NULL or c.spare is NULL
                or (self.params.grammar and self.untouched is NULL)):
            raise MemoryError

    cdef read_penalty_prompt(self, tokens):
        self.quoting = tokens is not None
        self.quoted.size = SIZE_MAX
        for token in tokens or ():
            push(&self.quoted, self.checked(token))

    cdef int32_t checked(self, token) except -1:
        if not 0 <= token < self.n_vocab:
            raise ValueError(f"token {token}: expected one from 0 to {self.n_vocab - 1}")
        return token

    # --- one step -------------------------------------------------------------------------------------------------

    def sample(self, logits, guidance=None, Mt19937 context_rng=None):
        """Choose a token. Only `accept` makes it part of the history.

        Shapes  logits (n_vocab,) float32, changed in place by bias and guidance. guidance: the same shape, logits
                after the negative prompt; used if cfg_scale is above 1. context_rng: what Mirostat draws from.
        Errors  ValueError: a buffer of another kind or size, or Mirostat without context_rng.
        """
        cdef int64_t start = now()
        cdef Row row = Row(logits, self.n_vocab, "logits")
        cdef bint guided = guidance is not None and self.set.scale > 1
        cdef Row other = Row(guidance, self.n_vocab, "guidance") if guided else None
        cdef float *g = other.data if guided else NULL
        if self.set.mirostat and context_rng is None:
            raise ValueError("mirostat: expected the context's random generator, found none")
        self.off_grammar = False
        if self.grammar is None:
            with nogil:
                self.prepare(row.data, g)
                self.choose(context_rng)
        else:
            self.choose_by_grammar(row.data, g, context_rng)
        self.n_sample += 1
        self.spent_ns += now() - start
        return self.chosen

    cdef choose_by_grammar(self, float *row, float *g, Mt19937 context_rng):
        memcpy(self.untouched, row, self.n_vocab * sizeof(float))
        self.prepare(row, g)
        self.grammar.filter(memoryview(self.memory).cast("f"))
        self.choose(context_rng)
        if self.logits[self.chosen] == -INFINITY:             # it allows no token: go on without it
            memcpy(row, self.untouched, self.n_vocab * sizeof(float))
            self.prepare(row, g)
            self.choose(context_rng)
            self.off_grammar = True

    cdef void prepare(self, float *row, float *g) noexcept nogil:
        """From the model's logits to those that tokens are chosen by."""
        cdef Settings *s = &self.set
        cdef const History *source = &self.quoted if self.quoting else &self.history
        cdef size_t i, window = s.last_n if s.last_n >= 0 else self.history.size
        for i in range(self.n_biases):
            row[self.biases[i].id] += self.biases[i].value
        if g is not NULL:
            guide(row, g, self.n_vocab, s.scale)
        memcpy(self.logits, row, self.n_vocab * sizeof(float))
        window = min(window, self.quoted.count if self.quoting else self.history.size)
        if s.repeat != 1 or s.frequency != 0 or s.presence != 0:
            penalize(self.logits, source, window, self.counts, s.repeat, s.frequency, s.presence)
            if s.newline >= 0:
                self.logits[s.newline] = row[s.newline]
        self.listed = False

    cdef void choose(self, Mt19937 context_rng) noexcept nogil:
        cdef Candidates *c = &self.pool
        cdef size_t at = 0
        self.u = -1
        if self.set.temp == 0:
            self.chosen = highest(self.logits, self.n_vocab)
            return
        fill(c, self.logits, self.n_vocab)
        self.listed = True
        if self.set.temp < 0:
            softmax(c)
        elif self.set.mirostat:
            at = self.mirostat(context_rng)
        else:
            self.run_chain()
            softmax(c)
            at = draw(c, self.rng, &self.u)
        self.chosen = c.data[at].id

    cdef void run_chain(self) noexcept nogil:
        cdef Candidates *c = &self.pool
        cdef Settings *s = &self.set
        cdef const char *letter = s.letters
        while letter[0]:
            if letter[0] == b"k":
                top_k(c, s.top_k, s.min_keep)
            elif letter[0] == b"f":
                tail_free(c, s.tfs_z, s.min_keep)
            elif letter[0] == b"y":
                typical(c, s.typical_p, s.min_keep)
            elif letter[0] == b"p":
                top_p(c, s.top_p, s.min_keep)
            elif letter[0] == b"m":
                min_p(c, s.min_p, s.min_keep)
            elif letter[0] == b"t" and s.range > 0:
                dynamic_temperature(c, max(<float> 0, s.temp - s.range), max(<float> 0, s.temp + s.range), s.exponent)
            elif letter[0] == b"t":
                divide(c, s.temp)
            letter += 1

    cdef size_t mirostat(self, Mt19937 context_rng) noexcept nogil:
        """Choose so that the surprise stays near tau, by Mirostat 1 or 2."""
        cdef Candidates *c = &self.pool
        cdef Settings *s = &self.set
        cdef size_t at
        divide(c, s.temp)
        softmax(c)
        if s.mirostat == 1:
            top_k(c, mirostat_cut(c, self.mu, self.n_vocab), 1)
        else:
            drop_surprising(c, self.mu)
        softmax(c)
        at = draw(c, context_rng, &self.u)
        self.mu -= s.eta * (-log2f(c.data[at].p) - s.tau)
        return at

    def accept(self, token, bint apply_grammar):
        """Add a token to the history; `apply_grammar`: it was generated, so the grammar goes on by it.

        Errors  ValueError: no such token. GrammarError: the grammar forbids it. Nothing has changed then.
        """
        cdef int32_t id = self.checked(token)
        if apply_grammar and self.grammar is not None and not (self.off_grammar and id == self.chosen):
            self.grammar.accept(id)
        push(&self.history, id)
        if apply_grammar and self.quoting:
            push(&self.quoted, id)

    def reset(self):
        """Forget all tokens and start the grammar anew. The random numbers go on."""
        self.history.count = 0
        if self.grammar is not None:
            self.grammar.reset()

    def clone(self):
        """A sampler with the same settings, history and grammar state; its random numbers start from the seed."""
        cdef Sampler other = Sampler(self.params, self.vocab)
        copy_history(&other.history, &self.history)
        copy_history(&other.quoted, &self.quoted)
        if self.grammar is not None:
            other.grammar = self.grammar.clone()
        return other

    # --- what there is to know ------------------------------------------------------------------------------------

    @property
    def prev(self):
        """The history as a list of n_prev ids, the latest last; 0 where there was no token yet."""
        cdef const History *h = &self.history
        cdef size_t i, n = min(h.size, h.count)
        return [0] * <Py_ssize_t> (h.size - n) + [h.tokens[i] for i in range(h.count - n, h.count)]

    @property
    def last(self):
        """The latest token of the history."""
        return self.history.tokens[self.history.count - 1] if self.history.count else 0

    @property
    def t_sample_us(self):
        """Microseconds spent choosing."""
        return self.spent_ns // 1000

    def candidates(self, n):
        """The first n of the last step's candidates as a list of (id, probability).

        Where fewer were left to draw from, those follow that were dropped before, with the probability they had then.
        After a greedy choice: all, at temperature 1.
        """
        cdef Py_ssize_t i, count = min(max(n, 0), self.n_vocab)
        if self.chosen < 0:
            return []
        if not self.listed:
            fill(&self.pool, self.logits, self.n_vocab)
            softmax(&self.pool)
            self.listed = True
        return [(self.pool.data[i].id, self.pool.data[i].p) for i in range(count)]

    def explain_last(self):
        """How the last token was drawn: (u, [(id, upper border), ...]); the first border that is not below u decides.

        u is None where no random number was needed.
        """
        cdef Candidates *c = &self.pool
        cdef double total = 0, border = 0
        cdef size_t i
        if self.u < 0:
            return None, [(self.chosen, 1.0)]
        for i in range(c.size):
            total += c.data[i].p
        borders = []
        for i in range(c.size):
            border = border + c.data[i].p / total if i + 1 < c.size else 1.0
            borders.append((c.data[i].id, border))
        return self.u, borders

    def order_text(self):
        """The stages in order, as `main` prints them (bytes)."""
        if self.set.mirostat:
            return b"CFG -> Penalties -> mirostat "
        names = [NAMES[letter].encode() for letter in self.params.samplers if letter in NAMES]
        return b"CFG -> Penalties " + b"".join([b"-> %s " % name for name in names])

    def params_text(self):
        """The settings, as `main` prints them: three lines (bytes)."""
        cdef Settings *s = &self.set
        return (b"\trepeat_last_n = %d, repeat_penalty = %.3f, frequency_penalty = %.3f, presence_penalty = %.3f\n"
                b"\ttop_k = %d, tfs_z = %.3f, top_p = %.3f, min_p = %.3f, typical_p = %.3f, temp = %.3f\n"
                b"\tmirostat = %d, mirostat_lr = %.3f, mirostat_ent = %.3f"
                % (s.last_n, s.repeat, s.frequency, s.presence, s.top_k, s.tfs_z, s.top_p, s.min_p, s.typical_p, s.temp,
                   self.params.mirostat, s.eta, s.tau))


cdef inline int64_t now() noexcept nogil:
    """Nanoseconds."""
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return t.tv_sec * <int64_t> 1000000000 + t.tv_nsec


cdef int clip(value) except? -2:
    """An int of Python as one of C: what is too large is as good as the largest."""
    return max(INT32_MIN, min(INT32_MAX, value))


cdef int32_t highest(const float *x, size_t n) noexcept nogil:
    """Index of the largest, the first of equals. x: (n,)"""
    cdef size_t i, best = 0
    for i in range(1, n):
        if x[best] < x[i]:
            best = i
    return <int32_t> best
