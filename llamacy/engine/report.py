"""The lines a load writes to the log, in the reference's form: scripts read sizes, counts and names out of them."""

from llamacy.arch import rope_mode
from llamacy.engine.labels import FILE_TYPES, TYPE_TO_FILE_TYPE, model_type
from llamacy.gguf.types import TYPES

VERSIONS = {1: b"GGUF V1 (support until nov 2023)", 2: b"GGUF V2", 3: b"GGUF V3 (latest)"}
SPECIAL = ("BOS", "EOS", "UNK", "SEP", "PAD", "CLS", "MASK", "LF", "PRE", "SUF", "MID", "EOT")
MIB = 1024.0 * 1024.0
TENSOR_OVERHEAD = 368  # bytes the reference books per tensor


class Report:
    """Writes blocks A to D of a load. log: called with bytes of whole lines."""

    def __init__(self, gguf, log):
        self.gguf = gguf
        self.log = log

    def metadata(self):
        g, log = self.gguf, self.log
        if g.n_splits > 1:
            log(b"llama_model_loader: additional %d GGUFs metadata loaded.\n" % (g.n_splits - 1))
        log(b"llama_model_loader: loaded meta data with %d key-value pairs and %d tensors from %s (version %s)\n"
            % (g.n_kv, g.n_tensors, fsencode(g.path), VERSIONS[g.version]))
        log(b"llama_model_loader: Dumping metadata keys/values. Note: KV overrides do not apply in this output.\n")
        for i, key in enumerate(g.keys()):
            log(b"llama_model_loader: - kv %3d: %42s %-16s = %s\n"
                % (i, key.encode("utf-8", "surrogateescape"), g.type_name(key).encode(), g.format_value(key)))
        for type, n in sorted(self.type_counts().items()):
            log(b"llama_model_loader: - type %4s: %4d tensors\n" % (TYPES[type].name.encode(), n))

    def type_counts(self):
        counts = {}
        for t in self.gguf.tensors.values():
            counts[t.type] = counts.get(t.type, 0) + 1
        return counts

    def vocabulary(self, vocab):
        if vocab.special_mismatch:
            self.log(b"llm_load_vocab: mismatch in special tokens definition ( %d/%d vs %d/%d ).\n"
                     % (vocab.n_special, vocab.n_tokens, vocab.n_non_normal, vocab.n_tokens))
        else:
            self.log(b"llm_load_vocab: special tokens definition check successful ( %d/%d ).\n"
                     % (vocab.n_special, vocab.n_tokens))

    def model(self, model):
        """Block C. Returns the description `ARCH TYPE FTYPE`, as bytes."""
        hp, vocab = model.hparams, model.vocab
        kind, ftype = model_type(model.arch, hp), self.file_type()
        name = self.gguf.get("general.name")
        rows = [
            ("format", VERSIONS[self.gguf.version]), ("arch", model.arch.encode()), ("vocab type", vocab.kind.encode()),
            ("n_vocab", hp.n_vocab), ("n_merges", vocab.n_merges), ("n_ctx_train", hp.n_ctx_train), ("n_embd", hp.n_embd),
            ("n_head", hp.n_head), ("n_head_kv", hp.n_head_kv), ("n_layer", hp.n_layer), ("n_rot", hp.n_rot),
            ("n_embd_head_k", hp.n_embd_head_k), ("n_embd_head_v", hp.n_embd_head_v), ("n_gqa", hp.n_gqa),
            ("n_embd_k_gqa", hp.n_embd_k_gqa), ("n_embd_v_gqa", hp.n_embd_v_gqa), ("f_norm_eps", b"%.1e" % hp.f_norm_eps),
            ("f_norm_rms_eps", b"%.1e" % hp.f_norm_rms_eps), ("f_clamp_kqv", b"%.1e" % 0.0),
            ("f_max_alibi_bias", b"%.1e" % 0.0), ("f_logit_scale", b"%.1e" % 0.0), ("n_ff", hp.n_ff),
            ("n_expert", hp.n_expert), ("n_expert_used", hp.n_expert_used), ("causal attn", 1), ("pooling type", 0),
            ("rope type", rope_mode(model.arch)), ("rope scaling", hp.rope_scaling.encode()),
            ("freq_base_train", b"%.1f" % hp.rope_freq_base), ("freq_scale_train", b"%g" % hp.rope_freq_scale),
            ("n_yarn_orig_ctx", hp.n_yarn_orig_ctx), ("rope_finetuned", b"yes" if hp.rope_finetuned else b"unknown"),
            ("ssm_d_conv", 0), ("ssm_d_inner", 0), ("ssm_d_state", 0), ("ssm_dt_rank", 0), ("model type", kind),
            ("model ftype", ftype), ("model params", amount(model.n_params)), ("model size", size(model)),
            ("general.name", name if isinstance(name, bytes) else b"n/a"),
        ]
        for label, value in rows:
            self.log(b"llm_load_print_meta: %-16s = %s\n" % (label.encode(), b"%d" % value if isinstance(value, int) else value))
        self.special_tokens(vocab)
        return b"%s %s %s" % (model.arch.encode(), kind, ftype)

    def special_tokens(self, vocab):
        ids = (vocab.bos, vocab.eos, vocab.unk, vocab.sep, vocab.pad, vocab.cls, vocab.mask, vocab.lf, vocab.prefix,
               vocab.suffix, vocab.middle, vocab.eot)
        for label, token in zip(SPECIAL, ids):
            if 0 <= token < vocab.n_tokens:
                self.log(b"llm_load_print_meta: %-16s = %d '%s'\n" % (label.encode() + b" token", token, vocab.text(token)))

    def file_type(self):
        known = self.gguf.get("general.file_type")
        if isinstance(known, int):
            return FILE_TYPES.get(known, b"unknown, may not work")
        counts = self.type_counts()
        guess = TYPE_TO_FILE_TYPE.get(max(counts, key=counts.get)) if counts else None
        return FILE_TYPES.get(guess, b"unknown, may not work") + b" (guessed)"

    def tensors(self, model, progress):
        """Block D: sizes, and a dot whenever the loaded share grew by a whole percent."""
        log = self.log
        log(b"llm_load_tensors: ggml ctx size = %7.2f MiB\n" % ((self.gguf.n_tensors + 1) * TENSOR_OVERHEAD / MIB))
        log(b"llm_load_tensors: %10s buffer size = %8.2f MiB\n" % (b"CPU", model.size / MIB))
        done = percent = 0
        for t in self.gguf.tensors.values():
            done += t.nbytes
            now = done * 100 // model.size if model.size else 100
            if progress:
                progress(done / model.size if model.size else 1.0)
            if now > percent:
                percent = now
                log(b".")
        log(b"\n")


def fsencode(path):
    return path.encode("utf-8", "surrogateescape")


def amount(n):
    for limit, unit in ((1e12, b"T"), (1e9, b"B"), (1e6, b"M")):
        if n >= limit:
            return b"%.2f %s" % (n / limit, unit)
    return b"%.2f K" % (n / 1e3)


def size(model):
    bits = model.size * 8.0 / model.n_params if model.n_params else 0.0
    if model.size >= 1024 * MIB:
        return b"%.2f GiB (%.2f BPW) " % (model.size / MIB / 1024, bits)
    return b"%.2f MiB (%.2f BPW) " % (model.size / MIB, bits)
