"""Plans and contexts as C runs them: Python lists become structs once, then a decode is one call."""
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport errno
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, strerror

cimport cython
from posix.mman cimport mlock

from llamacy._lcy cimport *

from llamacy.errors import ContextFull, LlamacyError

OPS = {
    "embed": LCY_OP_EMBED, "rms_norm": LCY_OP_RMS_NORM, "quantize": LCY_OP_QUANTIZE, "matmul": LCY_OP_MATMUL,
    "rope": LCY_OP_ROPE, "kv_store": LCY_OP_KV_STORE, "attention": LCY_OP_ATTENTION, "silu_mul": LCY_OP_SILU_MUL,
    "add": LCY_OP_ADD, "control": LCY_OP_CONTROL, "select": LCY_OP_SELECT, "route": LCY_OP_ROUTE,
    "experts": LCY_OP_EXPERTS, "combine": LCY_OP_COMBINE,
}

ERRORS = {
    LCY_E_ARG: ValueError, LCY_E_FORMAT: LlamacyError, LCY_E_NOMEM: MemoryError, LCY_E_FULL: ContextFull,
    LCY_E_ABORTED: KeyboardInterrupt,
}


cdef int check(lcy_status status, str what) except -1:
    if status != LCY_OK:
        raise ERRORS[status](what)
    return 0


@cython.final
cdef class Held:
    """The memory of a buffer, held for as long as C points into it. (Typed memoryviews would load `collections`.)"""
    cdef Py_buffer view

    def __cinit__(self, owner, Py_ssize_t itemsize=1, bint writable=False):
        PyObject_GetBuffer(owner, &self.view, PyBUF_ND | PyBUF_FORMAT | (PyBUF_WRITABLE if writable else 0))
        if self.view.itemsize != itemsize:
            PyBuffer_Release(&self.view)
            raise ValueError("a buffer of items of %d bytes, expected %d" % (self.view.itemsize, itemsize))

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    cdef uint8_t *bytes(self) noexcept nogil:
        return <uint8_t *> self.view.buf

    cdef float *floats(self) noexcept nogil:
        return <float *> self.view.buf

    cdef Py_ssize_t count(self) noexcept nogil:
        return self.view.len // self.view.itemsize


def dot_with(int type):
    """The format that activations must have for weights of `type`; None if there are no such weights."""
    cdef const lcy_format *f = lcy_format_of(type)
    return None if f is NULL or f.to_float is NULL else <int> f.dot_with


def row_bytes(int type, int64_t n):
    """Bytes of a row of n elements; 0 if n does not divide into blocks or the type is unknown."""
    return lcy_row_bytes(type, n)


def lock_memory(data):
    """Pin the pages of a buffer; None, or why the system refused."""
    cdef Held held = Held(data)
    if mlock(held.bytes(), <size_t> held.count()) == 0:
        return None
    return strerror(errno).decode("utf-8", "replace")


def first_bad_row(int type, int64_t n, data):
    """Index of the first row with a value that is not finite; -1 if there is none. data: whole rows of n elements."""
    cdef Held rows = Held(data)
    cdef const lcy_format *f = lcy_format_of(type)
    cdef int64_t stride = <int64_t> lcy_row_bytes(type, n), r = 0, i, bad = -1
    cdef float *row
    if f is NULL or f.to_float is NULL or stride == 0:
        return -1
    row = <float *> malloc(<size_t> n * sizeof(float))
    if row is NULL:
        raise MemoryError("no memory to check a tensor's values")
    with nogil:
        while bad < 0 and (r + 1) * stride <= rows.count():
            f.to_float(n, row, rows.bytes() + r * stride)
            for i in range(n):
                if not isfinite(row[i]):
                    bad = r
                    break
            r += 1
    free(row)
    return bad


def add_low_rank(int type, int64_t k, base, int base_type, a, b, int64_t rank, float scaling, out):
    """out = base + scaling * (b . a), row by row, each row back in `type`.

    Shapes  base (rows of k elements of base_type), a (k, rank), b (rows, rank) float32, out (rows of k elements of type).
    Errors  ValueError: a type that cannot be read or written, or sizes that do not fit.
    """
    cdef const lcy_format *fb = lcy_format_of(base_type)
    cdef const lcy_format *fo = lcy_format_of(type)
    cdef Held hb = Held(base), ha = Held(a, 4), hr = Held(b, 4), ho = Held(out, 1, True)
    cdef int64_t rows = hr.count() // rank, r, i, j
    cdef int64_t in_stride = <int64_t> lcy_row_bytes(base_type, k), out_stride = <int64_t> lcy_row_bytes(type, k)
    cdef float sum
    cdef float *row
    cdef float *left = ha.floats()
    cdef float *right = hr.floats()
    if fb is NULL or fb.to_float is NULL or fo is NULL or fo.from_float is NULL:
        raise ValueError("a LoRA adapter cannot be applied to tensors of this type")
    if ha.count() != k * rank or hb.count() != rows * in_stride or ho.count() != rows * out_stride:
        raise ValueError("shapes of adapter and tensor do not fit")
    row = <float *> malloc(<size_t> k * sizeof(float))
    if row is NULL:
        raise MemoryError("no memory to apply a LoRA adapter")
    with nogil:
        for r in range(rows):
            fb.to_float(k, row, hb.bytes() + r * in_stride)
            for i in range(k):
                sum = 0
                for j in range(rank):
                    sum += left[i * rank + j] * right[r * rank + j]
                row[i] += sum * scaling
            fo.from_float(k, ho.bytes() + r * out_stride, row)
    free(row)


@cython.final
cdef class Plan:
    """A plan in C's memory. Keeps the buffers of its tensors alive."""
    cdef lcy_plan plan
    cdef lcy_step *steps
    cdef lcy_slot *slots
    cdef lcy_tensor *tensors
    cdef list owners
    cdef readonly list names                     # of the tensors
    cdef readonly int n_vocab, n_steps
    cdef readonly int64_t arena                  # bytes of values per token

    def __cinit__(self, steps, slots, tensors, int64_t arena, int logits, dict sizes):
        """steps: rows (op, layer, n, selected, in, out, w, b, p, f); slots: (bytes, offset); tensors: (type, slices, k,
        rows, buffer, name); sizes: n_layers, n_embd, n_vocab, n_heads, n_heads_kv, head_k, head_v."""
        self.steps = <lcy_step *> calloc(len(steps) + 1, sizeof(lcy_step))
        self.slots = <lcy_slot *> calloc(len(slots) + 1, sizeof(lcy_slot))
        self.tensors = <lcy_tensor *> calloc(len(tensors) + 1, sizeof(lcy_tensor))
        if self.steps is NULL or self.slots is NULL or self.tensors is NULL:
            raise MemoryError("no memory for a plan")
        self.owners = []
        self.names = [row[5] for row in tensors]
        for i, row in enumerate(steps):
            fill_step(&self.steps[i], row)
        for i, (size, offset) in enumerate(slots):
            self.slots[i] = lcy_slot(bytes=size, offset=offset)
        for i, row in enumerate(tensors):
            self.fill_tensor(&self.tensors[i], row)
        self.n_vocab, self.n_steps, self.arena = sizes["n_vocab"], len(steps), arena
        self.plan = lcy_plan(
            steps=self.steps, tensors=self.tensors, slots=self.slots, n_steps=len(steps), n_tensors=len(tensors),
            n_slots=len(slots), arena=arena, logits=logits, n_layers=sizes["n_layers"], n_embd=sizes["n_embd"],
            n_vocab=sizes["n_vocab"], n_heads=sizes["n_heads"], n_heads_kv=sizes["n_heads_kv"],
            head_k=sizes["head_k"], head_v=sizes["head_v"])

    cdef int fill_tensor(self, lcy_tensor *t, tuple row) except -1:
        cdef Held data = Held(row[4])
        t.type, t.slices, t.k, t.rows = row[0], row[1], row[2], row[3]
        t.stride = <int64_t> lcy_row_bytes(t.type, t.k)
        if t.stride == 0 or data.count() < t.stride * t.rows * t.slices:
            raise ValueError("a tensor is smaller than its shape says")
        t.data = data.bytes()
        self.owners.append(data)
        return 0

    def __dealloc__(self):
        free(self.steps)
        free(self.slots)
        free(self.tensors)


cdef int fill_step(lcy_step *s, tuple row) except -1:
    cdef int i
    s.op, s.layer, s.n, s.selected = row[0], row[1], row[2], row[3]
    for i in range(3):
        s.in_[i], s.out[i], s.w[i], s.b[i] = row[4][i], row[5][i], row[6][i], row[7][i]
    for i in range(4):
        s.p[i] = row[8][i]
    for i in range(2):
        s.f[i] = row[9][i]
    return 0


@cython.final
cdef class Floats:
    """A writable view of C floats; keeps their owner alive."""
    cdef object owner
    cdef float *data
    cdef Py_ssize_t n

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        buffer.buf = self.data
        buffer.obj = self
        buffer.len = self.n * sizeof(float)
        buffer.itemsize = sizeof(float)
        buffer.readonly = 0
        buffer.format = b"f"
        buffer.ndim = 1
        buffer.shape = &self.n
        buffer.strides = &buffer.itemsize
        buffer.suboffsets = NULL
        buffer.internal = NULL


cdef int on_poll(void *arg) noexcept with gil:
    """Lets Python see its signals; what a handler raises is kept and stops the decode."""
    runner = <Runner> arg
    try:
        PyErr_CheckSignals()
    except BaseException as exc:
        runner.error = exc
        return 1
    return 0


@cython.final
cdef class Runner:
    """A context in C: the cache, the threads, the scratch memory. Born complete; `close` may be called twice."""
    cdef lcy_ctx *ctx
    cdef Plan plan
    cdef object error, factors
    cdef float *control
    cdef float **sums
    cdef object squares
    cdef int n_outputs

    def __cinit__(self, Plan plan not None, dict par, list ropes):
        """par: the integers of lcy_ctx_params; ropes: dicts of the fields of lcy_rope, `factors` a float32 buffer."""
        cdef lcy_ctx_params p
        cdef lcy_status status
        cdef int i
        p.n_ctx, p.n_ubatch, p.n_outputs = par["n_ctx"], par["n_ubatch"], par["n_outputs"]
        p.n_threads, p.n_threads_batch = par["n_threads"], par["n_threads_batch"]
        p.type_k, p.type_v, p.flash = par["type_k"], par["type_v"], par["flash"]
        for i in range(LCY_MAX_ROPES):
            p.rope[i].n_dims = 0
            p.rope[i].factors = NULL
        self.factors = []
        for i, rope in enumerate(ropes):
            self.fill_rope(&p.rope[i], rope)
        p.poll = <int (*)(void *) noexcept nogil> on_poll
        p.poll_arg = <void *> self
        self.plan = plan
        self.n_outputs = p.n_outputs
        with nogil:
            status = lcy_ctx_new(&self.ctx, &plan.plan, &p)
        check(status, "this model cannot run with these cache types (a head must divide into their blocks)"
              if status == LCY_E_ARG else "no memory for the context")

    cdef int fill_rope(self, lcy_rope *r, dict rope) except -1:
        cdef Held factors
        r.n_dims, r.mode, r.orig_ctx = rope["n_dims"], rope["mode"], rope["orig_ctx"]
        r.base, r.freq_scale, r.ext_factor = rope["base"], rope["freq_scale"], rope["ext_factor"]
        r.attn_factor, r.beta_fast, r.beta_slow = rope["attn_factor"], rope["beta_fast"], rope["beta_slow"]
        if rope.get("factors") is not None:
            factors = Held(rope["factors"], 4)
            r.factors = factors.floats()
            self.factors.append(factors)
        return 0

    cdef lcy_ctx *handle(self) except NULL:
        if self.ctx is NULL:
            raise ValueError("context is closed")
        return self.ctx

    def close(self):
        lcy_ctx_free(self.ctx)
        self.ctx = NULL
        free(self.control)
        free(self.sums)
        self.control, self.sums, self.squares = NULL, NULL, None

    def __dealloc__(self):
        lcy_ctx_free(self.ctx)
        free(self.control)
        free(self.sums)

    def decode(self, tokens, pos, seq, want=None):
        """Run a batch. tokens, pos, seq: n integers each; want: n bytes, nonzero where logits are kept, or None: the last.

        Errors  ContextFull: no room, nothing has changed. ValueError: a token, position or sequence out of range. What a
                signal handler raised: the batch's cells are free again.
        """
        cdef int32_t n = len(tokens), i
        cdef int32_t *numbers
        if len(pos) != n or len(seq) != n or n == 0 or (want is not None and len(want) != n):
            raise ValueError("tokens, positions and sequences differ in number, or there are none")
        numbers = <int32_t *> malloc(3 * sizeof(int32_t) * n)
        if numbers is NULL:
            raise MemoryError("no memory for a batch")
        try:
            for i in range(n):
                numbers[i], numbers[n + i], numbers[2 * n + i] = tokens[i], pos[i], seq[i]
            self.decode_batch(n, numbers, None if want is None else Held(want))
        except OverflowError:
            raise ValueError("a token, position or sequence is out of range") from None
        finally:
            free(numbers)

    cdef int decode_batch(self, int32_t n, const int32_t *numbers, Held want) except -1:
        cdef lcy_ctx *ctx = self.handle()
        cdef lcy_status status
        cdef lcy_batch b
        b.n = n
        b.token, b.pos, b.seq = numbers, numbers + n, numbers + 2 * n
        b.want = NULL if want is None else want.bytes()
        self.error = None
        with nogil:
            status = lcy_ctx_decode(ctx, &b)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return check(status, "the context has no room for these tokens" if status == LCY_E_FULL else
                     "a token, position or sequence is out of range" if status == LCY_E_ARG else
                     "no memory left while decoding: try a smaller -c" if status == LCY_E_NOMEM else "decoding was stopped")

    def logits(self, int row=0):
        """(n_vocab,) float32 of output `row`, a writable view that the next decode overwrites."""
        cdef Floats view = Floats()
        if not 0 <= row < self.n_outputs:
            raise ValueError("no such row of logits")
        view.owner, view.n = self, self.plan.n_vocab
        view.data = lcy_ctx_logits(self.handle()) + <int64_t> row * self.plan.n_vocab
        return memoryview(view)

    def abort(self):
        lcy_ctx_abort(self.handle())

    def scratch_bytes(self):
        return lcy_ctx_scratch_bytes(self.handle())

    def set_control(self, rows):
        """(n_layers * n_embd,) float32, copied; None removes the vectors."""
        cdef Held held
        lcy_ctx_control(self.handle(), NULL)
        free(self.control)
        self.control = NULL
        if rows is None:
            return
        held = Held(rows, 4)
        self.control = <float *> malloc(held.view.len)
        if self.control is NULL:
            raise MemoryError("no memory for control vectors")
        memcpy(self.control, held.view.buf, held.view.len)
        lcy_ctx_control(self.ctx, self.control)

    def collect(self, dict squares not None):
        """From now on add to squares[name], writable float32 (slices * k,), the squares of what that tensor is multiplied with."""
        cdef Held sums
        cdef int i
        held = []
        if self.sums is NULL:
            self.sums = <float **> calloc(len(self.plan.names) + 1, sizeof(float *))
        if self.sums is NULL:
            raise MemoryError("no memory to collect activations")
        for i, name in enumerate(self.plan.names):
            self.sums[i] = NULL
            if name in squares:
                sums = Held(squares[name], 4, True)
                if sums.count() != self.plan.tensors[i].k * self.plan.tensors[i].slices:
                    raise ValueError("sums of another size than the rows of '%s'" % name)
                self.sums[i] = sums.floats()
                held.append(sums)
        self.squares = held
        lcy_ctx_collect(self.handle(), self.sums)

    def kv_clear(self):
        lcy_ctx_kv_clear(self.handle())

    def kv_remove(self, int32_t seq, int32_t p0, int32_t p1):
        lcy_ctx_kv_remove(self.handle(), seq, p0, p1)

    def kv_copy(self, int32_t source, int32_t to, int32_t p0, int32_t p1):
        lcy_ctx_kv_copy(self.handle(), source, to, p0, p1)

    def kv_shift(self, int32_t seq, int32_t p0, int32_t p1, int32_t delta):
        lcy_ctx_kv_shift(self.handle(), seq, p0, p1, delta)

    def kv_divide(self, int32_t seq, int32_t p0, int32_t p1, int32_t d):
        lcy_ctx_kv_divide(self.handle(), seq, p0, p1, d)

    def kv_top(self):
        return lcy_ctx_kv_top(self.handle())

    def kv_used(self):
        return lcy_ctx_kv_used(self.handle())

    def kv_max_pos(self, int32_t seq):
        return lcy_ctx_kv_max_pos(self.handle(), seq)

    def kv_bytes(self, int32_t cells):
        return lcy_ctx_kv_bytes(self.handle(), cells)

    def kv_cells(self, int32_t n):
        """[(position, bits of sequences)] of the first n cells; position -1: free."""
        cdef int32_t pos, i
        cdef uint64_t seqs
        out = []
        for i in range(n):
            lcy_ctx_kv_cell(self.handle(), i, &pos, &seqs)
            out.append((pos, seqs))
        return out

    def kv_read(self, int32_t cells, bint transposed):
        """K and V of the first `cells` cells as a session file holds them."""
        cdef lcy_ctx *ctx = self.handle()
        check(lcy_ctx_kv_turn(ctx), "no memory to turn shifted keys")
        out = PyBytes_FromStringAndSize(NULL, lcy_ctx_kv_bytes(ctx, cells))
        check(lcy_ctx_kv_read(ctx, cells, transposed, <uint8_t *> PyBytes_AS_STRING(out)),
              "V of this type cannot be stored transposed")
        return out

    def kv_write(self, int32_t cells, bint transposed, data, list where not None):
        """The reverse of kv_read; where: [(position, bits of sequences)] of the cells. Replaces all that is there."""
        cdef lcy_ctx *ctx = self.handle()
        cdef Held held = Held(data)
        cdef int32_t *pos
        cdef uint64_t *seqs
        cdef int32_t i
        if held.count() != lcy_ctx_kv_bytes(ctx, cells) or len(where) != cells:
            raise ValueError("the state does not have the size of %d cells" % cells)
        pos = <int32_t *> malloc(sizeof(int32_t) * (cells + 1))
        seqs = <uint64_t *> malloc(sizeof(uint64_t) * (cells + 1))
        try:
            if pos is NULL or seqs is NULL:
                raise MemoryError("no memory to load a state")
            for i in range(cells):
                pos[i], seqs[i] = where[i]
            check(lcy_ctx_kv_set_cells(ctx, cells, pos, seqs), "the state has more cells than the context")
            if cells:
                check(lcy_ctx_kv_write(ctx, cells, transposed, held.bytes()), "V of this type cannot be stored transposed")
        finally:
            free(pos)
            free(seqs)
