"""The state part of a session file, and the header that says for which model it is.

Layout (little-endian): u64 size of the generator's text, the text; u64 number of outputs, i32 each; u64 number of logits, f32
each; u64 number of embeddings, f32 each; u64 bytes of cache, u32 cells, u32 n_ctx, u32 cells used, u32 V transposed; per
layer K rows, then V; per cell i32 position, u64 number of sequences, i32 each.
Source  llama_state_get_data of llama.cpp b2794, session version 6.
"""

from struct import Struct, error as StructError, pack

from llamacy.errors import LlamacyError

HPARAMS = Struct("<BBxx13I4fI4I3f2Bxxiii")
TOKEN_TYPES = 0  # n_vocab_type: kinds of tokens that BERT tells apart (tokenizer.ggml.token_type_count)
SCALINGS = {"none": 0, "linear": 1, "yarn": 2}
MAX_RNG = 65536


def header(model):
    """The 120 bytes of hyper-parameters."""
    from llamacy.arch import rope_mode
    hp = model.hparams
    return HPARAMS.pack(
        0, hp.rope_finetuned, hp.n_vocab, hp.n_ctx_train, hp.n_embd, hp.n_head, hp.n_head_kv, hp.n_layer, hp.n_rot,
        hp.n_embd_head_k, hp.n_embd_head_v, hp.n_ff, hp.n_expert, hp.n_expert_used, TOKEN_TYPES, hp.f_norm_eps,
        hp.f_norm_rms_eps, hp.rope_freq_base, hp.rope_freq_scale, hp.n_yarn_orig_ctx, 0, 0, 0, 0, 0.0, 0.0, 0.0, 1, 0, 0,
        rope_mode(model.arch), SCALINGS[hp.rope_scaling])


def dump(ctx):
    rng = ctx.rng.state_text()
    run, transposed = ctx._run, not ctx.flash_attn and ctx.type_v in ("f16", "f32")
    top = run.kv_top()
    cache = run.kv_read(top, transposed)
    logits = ctx.logits.tobytes()
    parts = [pack("<Q", len(rng)), rng, pack("<Qi", 1, 0), pack("<Q", len(logits) // 4), logits, pack("<Q", 0),
             pack("<QIIII", len(cache), top, ctx.n_ctx, run.kv_used(), transposed), cache]
    for pos, seqs in run.kv_cells(top):
        ids = [s for s in range(64) if seqs >> s & 1]
        parts.append(pack(f"<iQ{len(ids)}i", pos, len(ids), *ids))
    return b"".join(parts)


class Reader:
    """Takes fields off a buffer; a field that runs past the end is an error."""

    def __init__(self, buffer):
        self.view = memoryview(buffer).cast("B")
        self.at = 0

    def take(self, n, what):
        if n < 0 or n > len(self.view) - self.at:
            raise LlamacyError(f"session state: {what} at byte {self.at}: found {len(self.view) - self.at} bytes, expected {n}")
        self.at += n
        return self.view[self.at - n:self.at]

    def numbers(self, form, what):
        fields = Struct("<" + form)
        try:
            return fields.unpack(self.take(fields.size, what))
        except StructError:
            raise LlamacyError(f"session state: {what} at byte {self.at}: not numbers") from None


def load(ctx, buffer, log):
    """Reads everything first and changes the context last, so that a bad file leaves it as it was."""
    r = Reader(buffer)
    n, = r.numbers("Q", "size of the generator's state")
    if n > MAX_RNG:
        raise LlamacyError(f"session state: generator's state of {n} bytes, expected at most {MAX_RNG}")
    rng = bytes(r.take(n, "generator's state"))
    n, = r.numbers("Q", "number of outputs")
    r.take(4 * min(n, 1 << 40), "outputs")
    logits = floats(r, "logits")
    floats(r, "embeddings")
    size, top, n_ctx, used, transposed = r.numbers("QIIII", "cache header")
    check_cache(ctx, size, top, transposed)
    cache = r.take(size, "cache")
    cells = [cell(r) for _ in range(top)]
    if top and n_ctx != ctx.n_ctx:
        log(b"llama_state_set_data: state contains %d KV cells, was saved with kv_size=%d, but is loaded with kv_size=%d "
            b"(fine, but different)\n" % (top, n_ctx, ctx.n_ctx))
    ctx.rng.load_text(rng)
    ctx.logits[:min(len(logits), len(ctx.logits))] = logits[:len(ctx.logits)]
    ctx._run.kv_write(top, bool(transposed), cache, cells)


def floats(r, what):
    n, = r.numbers("Q", f"number of {what}")
    return memoryview(bytes(r.take(4 * min(n, 1 << 40), what))).cast("f")


def check_cache(ctx, size, top, transposed):
    if top > ctx.n_ctx:
        raise LlamacyError(f"session state: {top} cells, but the context has {ctx.n_ctx}: try -c {top}")
    if size != ctx._run.kv_bytes(top):
        raise LlamacyError(f"session state: cache of {size} bytes for {top} cells, expected {ctx._run.kv_bytes(top)}: "
                           f"it was written by another model or with other -ctk, -ctv")
    if bool(transposed) == ctx.flash_attn and top:
        raise LlamacyError("session state: written %s -fa, but this run is %s it"
                           % (("without", "with") if transposed else ("with", "without")))


def cell(r):
    pos, n = r.numbers("iQ", "cell")
    if n > 64:
        raise LlamacyError(f"session state: a cell of {n} sequences, expected at most 64")
    ids = r.numbers(f"{n}i", "sequences of a cell")
    if any(not 0 <= s < 64 for s in ids):
        raise LlamacyError("session state: a cell of a sequence above 63")
    return pos, sum(1 << s for s in ids)
