# cython: language_level=3
"""The vocabulary of a model: text to token ids and back.

Nothing is copied from the file and no Python object is made per token: the texts are views into the mapping, found
through open-addressing tables of 4 bytes per slot (texts.pxi), and ids are numbers. The parts, in the order in which a
text meets them:

    special.pxi          cut at special tokens
    spm.pxi              SPM: score-driven merging       } merge.pxi: the engine of both
    bpe.pxi, split.pxi   BPE: words, then ranked merging }
    wpm.pxi              WPM: greedy cover of words
    ugm.pxi              UGM: the best cover of a normalized text
    rwkv.pxi             RWKV: greedy cover of the text
"""
from cpython.buffer cimport Py_buffer, PyBUF_FORMAT, PyBUF_ND, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from llamacy.errors import ModelError, one_line

cdef const uint8_t *SPACE = <const uint8_t *> b"\xe2\x96\x81"  # U+2581, how SPM and WPM write the space before a word

cdef enum:
    GIL_FREE_FROM = 8192  # bytes: below that, giving the GIL away costs more than it gives
    MOST_TEXTS = 1 << 30  # so that a slot of a table always holds a number of one, and a bit of its hash
    LONGEST_TEXT = 1 << 28  # bytes: positions of escaped text stay well within 32 bits

include "texts.pxi"
include "buffers.pxi"
include "unicode.pxi"
include "core.pxi"
include "merge.pxi"
include "special.pxi"
include "order.pxi"
include "known.pxi"
include "spm.pxi"
include "split.pxi"
include "bpe.pxi"
include "wpm.pxi"
include "ugm.pxi"
include "rwkv.pxi"
include "load.pxi"
include "pieces.pxi"
include "keys.pxi"
include "for_tests.pxi"


def ignore(line):
    """The `warn` of a Vocab that was given none."""


cdef class Vocab:
    """The vocabulary of a GGUF file.

    gguf    a GGUFFile. The vocabulary keeps the mapping alive.
    lookup  lookup(key, kind, default=None): the value of a scalar key, with overrides; kind: "int", "bool", "str".
    warn    called with each warning: bytes, one line with its end.
    Errors  ModelError, GGUFError: the file's vocabulary cannot be used.
    Source  llama.cpp b2794; for files that it cannot read (`later`) later versions and the libraries that made them.
            Differs: SPM writes UNK where byte tokens are missing; BPE honours add_eos_token; bytes that are no UTF-8
            are no error in BPE and WPM; more tokens end a generation.
    """

    cdef Core *core
    cdef Buffers buffers
    cdef object gguf
    cdef readonly int n_tokens, n_merges
    cdef readonly int bos, eos, unk, sep, pad, cls, mask, lf, prefix, suffix, middle, eot  # -1: none
    cdef readonly int add_bos, add_eos  # -1: the file does not say
    cdef readonly bint add_space_prefix
    cdef readonly int n_special, n_non_normal
    cdef readonly bint special_mismatch
    cdef readonly bytes pre  # BPE: the pre-type in use
    cdef object programs  # BPE: what core.patterns points into
    cdef object row  # BPE: the pre-type's
    cdef readonly object ends  # frozenset: tokens that end a generation
    cdef object __weakref__

    def __cinit__(self, gguf, lookup=None, warn=None):
        self.core = <Core *> calloc(1, sizeof(Core))
        if self.core is NULL:
            raise MemoryError()
        self.buffers = Buffers()
        self.gguf = gguf
        self.load(lookup or file_lookup(gguf), warn or ignore)

    def __dealloc__(self):
        if self.core is not NULL:
            core_free(self.core)

    # --- loading

    cdef load(self, lookup, warn):
        cdef Core *c = self.core
        model = lookup("tokenizer.ggml.model", "str")
        if model is None:
            raise ModelError("error loading model vocabulary: key not found in model: tokenizer.ggml.model")
        if model not in KINDS:
            name = one_line(model.decode("utf-8", "replace"))
            warn(f"llm_load_vocab: unknown tokenizer: '{name}'\n".encode())
            raise ModelError(f"vocab size mismatch: {one_line(self.gguf.path)}: unknown tokenizer '{name}'")
        c.kind, defaults = KINDS[model]
        c.later = c.kind in (UGM, RWKV)
        if c.kind == BPE:
            self.load_row(lookup, warn)
        if c.kind != NO_VOCAB:
            load_tokens(c, self.buffers, self.gguf)
        self.n_tokens = c.tokens.count
        self.n_special, self.n_non_normal = c.n_special, c.n_non_normal
        self.special_mismatch = c.n_normal_special > 0 or c.n_special != c.n_non_normal
        self.load_ids(read_ids(self.gguf, lookup, warn, c.kind, defaults, self.n_tokens))
        self.add_bos = flag(lookup("tokenizer.ggml.add_bos_token", "bool"))
        self.add_eos = flag(lookup("tokenizer.ggml.add_eos_token", "bool"))
        self.add_space_prefix = c.kind in (SPM, BPE)
        if c.kind == UGM:
            self.load_ugm()
        if c.kind == SPM:
            self.add_space_prefix = file_lookup(self.gguf)("tokenizer.ggml.add_space_prefix", "bool", True)
            if self.lf == -1:
                warn(b"llm_load_vocab: no token stands for a newline\n")
        elif c.kind == BPE:
            self.load_bpe(warn)
        elif c.kind in (UGM, RWKV):
            self.lf = id_of(c, b"\n")
        self.find_ends()

    cdef load_ids(self, ids):
        cdef Core *c = self.core
        (self.bos, self.eos, self.unk, self.sep, self.pad, self.cls, self.mask,
         self.prefix, self.suffix, self.middle, self.eot) = [ids[name] for name in NAMES]
        if self.eot == -1:
            found = [id for id in [id_of(c, text) for text in END_OF_TURN] if id != -1]
            self.eot = first_listed(c, found) if len(found) > 1 else found[0] if found else -1
        if c.later:
            self.find_infill()
        c.unk = -1 if c.kind == BPE else self.unk
        self.lf = -1
        if c.kind == SPM:
            self.lf = c.byte_token[10]
        elif c.kind == WPM:
            self.lf = 0  # the default of PAD, whatever the key says

    cdef find_infill(self):
        """Later files name these ids otherwise, or leave them to be told by their texts."""
        found = {}
        for name, key in LATER_KEYS.items():
            ids = ids_of_keys(self.gguf, [key], self.n_tokens) or [id_of(self.core, text) for text in LATER_TEXTS[name]]
            found[name] = max(ids)
        self.prefix = found["prefix"] if self.prefix == -1 else self.prefix
        self.suffix = found["suffix"] if self.suffix == -1 else self.suffix
        self.middle = found["middle"] if self.middle == -1 else self.middle

    cdef find_ends(self):
        ids = [self.eos, self.eot, *ids_of_keys(self.gguf, END_KEYS, self.n_tokens)]
        self.ends = frozenset(ids + [id_of(self.core, text) for text in ENDS]) - {-1}

    cdef load_ugm(self):
        lookup = file_lookup(self.gguf)
        self.add_space_prefix = lookup("tokenizer.ggml.add_space_prefix", "bool", False)
        load_ugm(self.core, self.buffers, self.gguf, lookup("tokenizer.ggml.remove_extra_whitespaces", "bool", False))

    cdef load_row(self, lookup, warn):
        """The pre-type, which decides by which rules the rest is read."""
        from llamacy.vocab.pretypes import DEFAULT, PRE_TYPES
        self.pre = lookup("tokenizer.ggml.pre", "str")
        if not self.pre:
            warn(MISSING_PRE)
            self.pre = DEFAULT.encode()
        name = one_line(self.pre.decode("utf-8", "replace"))
        if name not in PRE_TYPES:
            raise ModelError(f"error loading model vocabulary: unknown pre-tokenizer type: '{name}'")
        self.row = PRE_TYPES[name]
        self.core.later, self.core.ignore_merges = self.row.later, self.row.ignore_merges

    cdef load_bpe(self, warn):
        load_merges(self.core, self.buffers, self.gguf)
        self.n_merges = self.core.merges.count
        if not self.core.later:
            self.lf = linefeed_of_bpe(self.core)
            return
        self.lf = id_of(self.core, chr(code_of_byte[10]).encode())
        if self.lf == -1:
            self.lf = self.pad
            warn(b"llm_load_vocab: no token stands for a newline, using the padding token\n")

    cdef prepare_bpe(self):
        """The tables that only tokenizing needs."""
        cdef Core *c = self.core
        cdef int i
        from llamacy.vocab.pattern import compile
        programs = [compile(pattern, self.row.later) for pattern in self.row.patterns]
        assert len(programs) <= MAX_PATTERNS
        if self.programs is not None:  # another thread was faster; from here on no other one can run
            return
        table_new(&c.pairs, &c.merges, c.merges.count)
        list_pairs(c)
        for i in range(len(programs)):
            c.patterns[i] = <const uint32_t *> self.buffers.add(programs[i])
        c.n_patterns = len(programs)
        self.programs = programs

    # --- tokens

    @property
    def kind(self):
        """As the log names it."""
        return ("no vocab", "SPM", "BPE", "WPM", "UGM", "RWKV")[self.core.kind]

    def __len__(self):
        return self.n_tokens

    cdef bint has(self, int64_t id) noexcept:
        return 0 <= id < self.n_tokens

    def find(self, bytes text not None):
        """The id of the token with this text; -1: there is none."""
        return id_of(self.core, text)

    def text(self, id):
        """bytes: the token as the file writes it (RWKV: without escapes); empty for an id out of range."""
        if not self.has(id):
            return b""
        cdef int32_t i = id
        return (<const char *> self.core.tokens.base + self.core.tokens.offset[i])[:self.core.tokens.length[i]]

    def token_type(self, id):
        """0 undefined (or id out of range), 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte."""
        if not self.has(id):
            return 0
        return type_of(self.core, id)

    def score(self, id):
        return self.core.scores[<int32_t> id] if self.has(id) and self.core.scores is not NULL else 0.0

    def is_eog(self, id):
        """True for the tokens that end a generation."""
        return id in self.ends

    def piece(self, id, bint special=True):
        """bytes: what a token adds to the output. Control tokens are their text if `special`, else nothing."""
        text = self.text(id)
        type = self.token_type(id)
        if type == CONTROL_TOKEN:
            return text if special else b""
        if type == USER_DEFINED:
            return text
        if type == NORMAL:
            return (bytes_of_codes(text) if self.core.kind == BPE else text if self.core.kind == RWKV
                    else text.replace(SPACE[:3], b" "))
        if type == UNKNOWN and self.core.kind != BPE:
            return b"\xe2\x96\x85"
        if type == BYTE and self.core.kind in (SPM, UGM):
            return byte_of_text(text)
        return b""

    def pieces(self, ids, bint special=True):
        """bytes: the pieces of all ids."""
        return b"".join([self.piece(id, special) for id in ids])

    def main_add_bos(self):
        """What `main` takes for granted when it counts the tokens to keep; tokenize decides differently for old BPE."""
        if self.core.later:
            return self.puts_bos()
        return self.core.kind == SPM if self.add_bos == -1 else bool(self.add_bos)

    cdef bint puts_bos(self) noexcept:
        """True if add_special means BOS."""
        if self.add_bos != -1:
            return self.add_bos == 1
        return not self.core.later or self.core.kind == BPE and self.row.bos

    cdef bint puts_eos(self) noexcept:
        return self.add_eos == 1 or self.add_eos == -1 and self.core.kind == UGM

    # --- text to tokens

    def tokenize(self, bytes text not None, bint add_special, bint parse_special):
        """list of ids. Any bytes will do.

        add_special     put BOS (CLS) before, EOS (SEP) behind, as the vocabulary wants it
        parse_special   the texts of special tokens become these tokens
        Errors          ModelError: the vocabulary has no token for a byte (some BPE ones lack rare bytes).
                        ValueError: more than LONGEST_TEXT bytes.
        """
        cdef const uint8_t *p = <const uint8_t *> PyBytes_AS_STRING(text)
        cdef uint64_t n = PyBytes_GET_SIZE(text)
        cdef Ids ids
        cdef size_t i
        cdef int32_t before, behind
        cdef int status
        if self.n_tokens == 0:
            raise ModelError("the model has no vocabulary: text cannot be tokenized")
        if n > LONGEST_TEXT:
            raise ValueError(f"text of {n} bytes, at most {LONGEST_TEXT} can be tokenized at once")
        if self.core.kind == BPE and self.programs is None:
            self.prepare_bpe()
        memset(&ids, 0, sizeof(ids))
        try:
            before, behind = self.around() if add_special else (-1, -1)
            status = self.run(p, n, before, behind, parse_special, &ids)
            if status == NEED_ORDER:
                find_order(self.core)
                ids.count = 0
                status = self.run(p, n, before, behind, parse_special, &ids)
            self.check(status)
            return [ids.data[i] for i in range(ids.count)]
        finally:
            free(ids.data)

    cdef int check(self, int status) except -1:
        """Raise what a status of tokenizing means."""
        if status == NO_MEMORY:
            raise MemoryError()
        if status > 0:
            raise ModelError(f"the text cannot be tokenized: the vocabulary has no token for byte 0x{status - 1:02X}")
        if status == TOO_LONG:
            raise ModelError("the vocabulary's table of normal forms makes the text too long: it cannot be right")
        if status == TOO_MANY:
            raise ModelError("too many special tokens overlap in the text: the vocabulary cannot be right")
        return 0

    cdef around(self):
        """(the token to put before a text, the one to put behind it); -1: none."""
        if self.core.kind == WPM:
            return self.cls, self.sep
        return self.bos if self.puts_bos() else -1, self.eos if self.puts_eos() else -1

    cdef int run(self, const uint8_t *text, uint64_t n, int32_t before, int32_t behind, bint parse_special,
                 Ids *out) noexcept:
        cdef int status
        if n < GIL_FREE_FROM:
            return self.tokenize_into(text, n, before, behind, parse_special, out)
        with nogil:
            status = self.tokenize_into(text, n, before, behind, parse_special, out)
        return status

    cdef int tokenize_into(self, const uint8_t *text, uint64_t n, int32_t before, int32_t behind, bint parse_special,
                           Ids *out) noexcept nogil:
        """Append `before`, the tokens of all fragments, `behind`; -1: nothing."""
        cdef Fragments f
        cdef size_t i
        cdef int status = 0
        memset(&f, 0, sizeof(f))
        if before >= 0:
            status = push_id(out, before)
        if not status:
            status = cut(self.core, text, n, parse_special, &f)
        for i in range(f.count):
            if not status:
                status = self.tokenize_fragment(text, &f.data[i], i == 0, out)
        if behind >= 0 and not status:
            status = push_id(out, behind)
        free(f.data)
        return status

    cdef int tokenize_fragment(self, const uint8_t *text, const Fragment *f, bint first, Ids *out) noexcept nogil:
        """Append the tokens of one fragment of `text`. SPM puts a space before the first, UGM before each."""
        if f.token >= 0:
            return push_id(out, f.token)
        if self.core.kind == SPM:
            return spm_tokenize(self.core, text + f.start, f.size, first and self.add_space_prefix, out)
        if self.core.kind == UGM:
            return ugm_tokenize(self.core, text + f.start, f.size, self.add_space_prefix, out)
        if self.core.kind == RWKV:
            return rwkv_tokenize(self.core, text + f.start, f.size, out)
        if self.core.kind == BPE:
            return bpe_tokenize(self.core, text + f.start, f.size, out)
        return wpm_tokenize(self.core, text + f.start, f.size, out)
