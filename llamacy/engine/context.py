"""A context: one model's cache, threads and scratch memory, and the decode call."""

from time import perf_counter

from llamacy.arch import rope_mode
from llamacy.engine._run import Runner, row_bytes
from llamacy.engine.memory import Need, available, check as check_memory
from llamacy.errors import LlamacyError

CACHE_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20}
MIB = 1024.0 * 1024.0
PAD = 256       # cells come in multiples of this
MIN_BATCH = 32
MAX_THREADS = 512
TILE_ROWS, TILE_SCORES = 32, 1 << 18       # of kernels/attend.c
MAX_CTX = 1 << 26   # cells; far beyond any model, and their rows still have addresses


class Timings:
    """Milliseconds and token counts. A decode of one token counts as eval, of more as prompt eval."""

    def __init__(self):
        self.t_load_ms = 0.0
        self.reset()

    def reset(self):
        self.start = perf_counter()
        self.t_p_eval_ms = self.t_eval_ms = 0.0
        self.n_p_eval = self.n_eval = 0

    def add(self, n, seconds):
        if n == 1:
            self.n_eval += 1
            self.t_eval_ms += 1000 * seconds
        else:
            self.n_p_eval += n
            self.t_p_eval_ms += 1000 * seconds


def nothing(*args):
    pass


class Context:
    """Decodes tokens of a model.

    Sizes   n_ctx: 0 means the model's training length; rounded up to a multiple of 256. n_batch: at most n_ctx, at least 32.
            n_ubatch: at most n_batch; 0 means n_batch. n_outputs: rows of logits a decode can keep.
    embeddings: a row is then the hidden state after the last norm (its first n_embd numbers), not logits.
    Errors  LlamacyError: sizes or cache types that cannot be. MemoryError: no room for it; the sentence says what would fit.
    """

    def __init__(self, model, *, n_ctx=512, n_batch=2048, n_ubatch=512, n_threads=1, n_threads_batch=-1, type_k="f16",
                 type_v="f16", flash_attn=False, rope_freq_base=0.0, rope_freq_scale=0.0, rope_scaling=None, yarn_orig_ctx=0,
                 yarn_ext_factor=-1.0, yarn_attn_factor=1.0, yarn_beta_fast=32.0, yarn_beta_slow=1.0, defrag_thold=-1.0,
                 seed=0, n_seq_max=1, n_outputs=1, embeddings=False, log=nothing):
        from llamacy.sampling import Mt19937
        self.model = model
        self.flash_attn = bool(flash_attn)
        self.rng = Mt19937(seed & 0xFFFFFFFF)
        self.timings = Timings()
        self.sizes(n_ctx, n_batch, n_ubatch, log)
        self.types(type_k, type_v)
        rope = self.rope(rope_freq_base, rope_freq_scale, rope_scaling, yarn_orig_ctx, yarn_ext_factor, yarn_attn_factor,
                         yarn_beta_fast, yarn_beta_slow)
        par = {"n_ctx": self.n_ctx, "n_ubatch": self.n_ubatch, "n_outputs": n_outputs, "n_threads": clamp(n_threads),
               "n_threads_batch": clamp(n_threads_batch if n_threads_batch > 0 else n_threads), "type_k": CACHE_TYPES[type_k],
               "type_v": CACHE_TYPES[type_v], "flash": int(self.flash_attn)}
        self._plan = model.plan(embeddings)
        need = self.need(par)
        check_memory(need, log)
        try:
            self._run = Runner(self._plan, par, [rope])
        except MemoryError:
            raise MemoryError(need.sentence(*available())) from None
        except ValueError as exc:
            raise LlamacyError(f"cache types {type_k}, {type_v}: {exc}") from None
        self.logits = self._run.logits()
        self.report(rope, n_outputs, log)

    def sizes(self, n_ctx, n_batch, n_ubatch, log):
        if n_batch < 0 or n_ubatch < 0:
            raise LlamacyError(f"-b {n_batch} -ub {n_ubatch}: expected 0 or more")
        if not n_batch and not n_ubatch:
            raise LlamacyError("n_batch and n_ubatch cannot both be zero")
        wanted = n_ctx if n_ctx > 0 else self.model.hparams.n_ctx_train
        if wanted > MAX_CTX:
            raise LlamacyError(f"a context of {wanted} tokens, expected at most {MAX_CTX}")
        self.n_ctx = -(-wanted // PAD) * PAD
        self.n_batch = min(self.n_ctx, n_batch)
        if self.n_batch < MIN_BATCH:
            log(b"llama_new_context_with_model: n_batch is less than GGML_KQ_MASK_PAD - increasing to %d\n" % MIN_BATCH)
            self.n_batch = MIN_BATCH
        self.n_ubatch = min(self.n_batch, n_ubatch or n_batch or MIN_BATCH)

    def need(self, par):
        """What lcy_ctx_new is going to take (memory.Need)."""
        hp, threads = self.model.hparams, max(par["n_threads"], par["n_threads_batch"])
        widths = hp.n_embd_k_gqa, hp.n_embd_v_gqa
        cell_k, cell_v = (hp.n_layer * row_bytes(par[name], n) for name, n in zip(("type_k", "type_v"), widths))
        small = [hp.n_layer * row_bytes(CACHE_TYPES["q8_0"], n) for n in widths]
        share = hp.n_head // hp.n_head_kv
        scores, room = attention_floats(self.n_ctx, share, max(hp.n_embd_head_k, hp.n_embd_head_v))
        per_cell = 4 * threads * share
        fixed = par["n_ubatch"] * self._plan.arena + 4 * par["n_outputs"] * hp.n_vocab
        fixed += 4 * threads * (scores + room) - self.n_ctx * per_cell
        useful = all(small) and sum(small) < cell_k + cell_v and hp.n_embd_head_k % 32 == hp.n_embd_head_v % 32 == 0
        held = self.model.private or self.model.locked
        return Need(self.n_ctx, cell_k, cell_v, per_cell, max(0, fixed), small if useful else None,
                    self.model.size if held else 0, 0 if held else self.model.size)

    def types(self, type_k, type_v):
        for name in (type_k, type_v):
            if name not in CACHE_TYPES:
                raise LlamacyError(f"Invalid cache type: {name}; expected one of {' '.join(CACHE_TYPES)}")
        self.type_k, self.type_v = type_k, type_v

    def rope(self, base, scale, scaling, orig_ctx, ext_factor, attn_factor, beta_fast, beta_slow):
        """The rotation of this context: flags first, then what the model says."""
        hp = self.model.hparams
        scaling = scaling or hp.rope_scaling
        factors = self.model.weights.get("rope_freqs")
        return {
            "n_dims": hp.n_rot, "mode": rope_mode(self.model.arch), "orig_ctx": orig_ctx or hp.n_yarn_orig_ctx,
            "base": base or hp.rope_freq_base, "freq_scale": 1.0 if scaling == "none" else scale or hp.rope_freq_scale,
            "ext_factor": (1.0 if scaling == "yarn" else 0.0) if ext_factor < 0 else ext_factor,
            "attn_factor": attn_factor, "beta_fast": beta_fast, "beta_slow": beta_slow,
            "factors": factors and factors.data.cast("f"),
        }

    def report(self, rope, n_outputs, log):
        """Block E of a load."""
        who = b"llama_new_context_with_model: "
        cells, hp = self.n_ctx * self.model.hparams.n_layer, self.model.hparams
        k = cells * row_bytes(CACHE_TYPES[self.type_k], hp.n_embd_k_gqa) / MIB
        v = cells * row_bytes(CACHE_TYPES[self.type_v], hp.n_embd_v_gqa) / MIB
        log(who + b"n_ctx      = %d\n" % self.n_ctx)
        log(who + b"n_batch    = %d\n" % self.n_batch)
        log(who + b"n_ubatch   = %d\n" % self.n_ubatch)
        log(who + b"flash_attn = %d\n" % self.flash_attn)
        log(who + b"freq_base  = %.1f\n" % rope["base"])
        log(who + b"freq_scale = %g\n" % rope["freq_scale"])
        log(b"llama_kv_cache_init: %10s KV buffer size = %8.2f MiB\n" % (b"CPU", k + v))
        log(who + b"KV self size  = %7.2f MiB, K (%s): %7.2f MiB, V (%s): %7.2f MiB\n"
            % (k + v, self.type_k.encode(), k, self.type_v.encode(), v))
        log(who + b"%10s  output buffer size = %8.2f MiB\n" % (b"CPU", n_outputs * hp.n_vocab * 4 / MIB))
        log(who + b"%10s compute buffer size = %8.2f MiB\n" % (b"CPU", self._run.scratch_bytes() / MIB))
        log(who + b"graph nodes  = %d\n" % self._plan.n_steps)
        log(who + b"graph splits = 1\n")

    # --- decoding

    def decode(self, tokens, pos, seq=0):
        """Run `tokens` at positions pos, pos + 1, … of sequence `seq`; leaves the logits of the last one in `self.logits`.

        Errors  ContextFull: no room, nothing has changed. ValueError: no tokens, or one out of range. KeyboardInterrupt, or
                what a signal handler raised: the cells of these tokens are free again. GGUFError: the model's file has
                been cut short, and no result since then is to be trusted.
        """
        n = len(tokens)
        start = perf_counter()
        self._run.decode(tokens, range(pos, pos + n), (seq,) * n)
        self.model.gguf.check()
        self.timings.add(n, perf_counter() - start)

    def decode_batch(self, tokens, positions, seqs, want):
        """Run tokens of several sequences side by side; want: bytes, nonzero where `output` is to be kept.

        Errors  as decode.
        """
        start = perf_counter()
        self._run.decode(tokens, positions, seqs, want)
        self.model.gguf.check()
        self.timings.add(len(tokens), perf_counter() - start)

    def output(self, row):
        """Row of logits number `row` of the last decode: float32, writable, a view that the next decode overwrites."""
        return self._run.logits(row)

    def abort(self):
        """Stop the decode that is running. From any thread, also from a signal handler."""
        self._run.abort()

    def reset_timings(self):
        self.timings.reset()

    def collect_squares(self, wanted):
        """{name: float32 array (slices * k)} of the weights that `wanted(name)` picks; from now on each decode adds the squares
        of what they are multiplied with: what an importance matrix is made of."""
        from array import array
        squares = {w.name: array("f", bytes(4 * w.k * w.slices)) for w in self.model.weights.all() if wanted(w.name)}
        self._run.collect(squares)
        return squares

    # --- the cache

    def kv_clear(self):
        self._run.kv_clear()

    def kv_remove(self, seq, p0=-1, p1=-1):
        """Forget positions [p0, p1) of a sequence (-1: all sequences, from the start, to the end)."""
        self._run.kv_remove(seq, p0, p1)

    def kv_shift(self, seq, p0, p1, delta):
        self._run.kv_shift(seq, p0, p1, delta)

    def kv_divide(self, seq, p0, p1, d):
        self._run.kv_divide(seq, p0, p1, d)

    def kv_copy(self, source, to, p0=-1, p1=-1):
        self._run.kv_copy(source, to, p0, p1)

    @property
    def kv_used(self):
        """Cells in use."""
        return self._run.kv_used()

    def kv_max_pos(self, seq=0):
        """Highest position of a sequence; -1 if it is empty."""
        return self._run.kv_max_pos(seq)

    # --- state and control vectors

    def session_header(self):
        from llamacy.engine.state import header
        return header(self.model)

    def state_bytes(self):
        """The state as session files hold it: generator, logits, cache."""
        from llamacy.engine.state import dump
        return dump(self)

    def load_state(self, buffer, log=nothing):
        """The reverse of state_bytes. Errors  LlamacyError: it does not fit this context; nothing has changed."""
        from llamacy.engine.state import load
        load(self, buffer, log)

    def set_control_vector(self, vectors, layer_start=0, layer_end=0):
        """vectors: {layer index from 1: float32 buffer (n_embd)}; empty removes them. Layers outside the range stay free."""
        from array import array
        hp = self.model.hparams
        if not vectors:
            self._run.set_control(None)
            return
        rows = array("f", bytes(4 * hp.n_layer * hp.n_embd))
        first, last = layer_start if layer_start > 0 else 1, layer_end if layer_end > 0 else hp.n_layer
        for layer, vector in vectors.items():
            if len(vector) != hp.n_embd:
                raise LlamacyError("control vector n_embd does not match model")
            if first <= layer <= last and 0 < layer < hp.n_layer:
                rows[layer * hp.n_embd:(layer + 1) * hp.n_embd] = array("f", vector)
        self._run.set_control(rows)

    def close(self):
        self._run.close()


def attention_floats(n_ctx, share, head):
    """(scores, the kernels' own room) of a thread, in floats: what kernels/attend.c claims."""
    rows, row = max(TILE_ROWS, share), n_ctx + 32
    return min(max(TILE_SCORES, row * share), row * rows), rows * (3 * head + 1024) + max(head, 64) * 256


def clamp(threads):
    """More threads than this are a typing error, and each costs memory."""
    return min(max(1, threads), MAX_THREADS)
