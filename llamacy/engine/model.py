"""A model: the file, its hyper-parameters, vocabulary and weights. Loading logs the lines that the reference logs."""

from llamacy import arch as architectures
from llamacy.engine.hparams import HParams
from llamacy.engine.memory import check_weights
from llamacy.engine.override import Overrides
from llamacy.engine.report import Report
from llamacy.engine.weights import Weights, bytes_of
from llamacy.errors import ModelError
from llamacy.gguf import GGUFFile
from llamacy.vocab import Vocab


def nothing(*args):
    pass


class Model:
    """A model file, ready to make contexts of.

    `overrides`: rows (key, kind, value); `log`: called with bytes of whole lines; `progress`: called with 0.0 to 1.0.
    Errors  OSError: the file cannot be read. GGUFError, ModelError: it is not a model that this engine runs. MemoryError: the
            weights do not fit into memory of our own, or locked.
    """

    def __init__(self, path, *, use_mmap=True, use_mlock=False, check_tensors=False, overrides=(), log=nothing,
                 progress=None):
        self.gguf = GGUFFile(path)
        self.path = self.gguf.path
        report = Report(self.gguf, log)
        report.metadata()
        metadata = Overrides(self.gguf, overrides, log)
        lookup = metadata.lookup
        name = lookup("general.architecture", "str", required=True).decode("utf-8", "replace")
        family = architectures.family(name)
        if family is None:
            raise ModelError(f"error loading model architecture: unknown model architecture: '{name}'")
        self.arch = name
        self.hparams = HParams(self.gguf, metadata, name)
        self.vocab = Vocab(self.gguf, lookup, lambda text: log(b"llm_load_vocab: " + text.encode("utf-8", "replace") + b"\n")
                           if isinstance(text, str) else log(text))
        if self.vocab.n_tokens != self.hparams.n_vocab:
            raise ModelError(f"vocab size mismatch: {self.vocab.n_tokens} tokens, n_vocab {self.hparams.n_vocab}")
        self.size = sum(t.nbytes for t in self.gguf.tensors.values())
        self.private, self.locked = not use_mmap, use_mlock
        if self.private or self.locked:
            check_weights(self.size, "--mlock" if use_mmap else "--no-mmap")
        self.weights = Weights(self.gguf, self.hparams, family.tensors(self.hparams), use_mmap=use_mmap)
        self._build = family.build
        self.n_params = sum(count(t.ne) for t in self.gguf.tensors.values())
        report.vocabulary(self.vocab)
        self.desc = report.model(self).decode()
        if check_tensors:
            self.check_values()
        if use_mlock:
            self.lock(log)
        report.tensors(self, progress)
        self.gguf.check()

    def plan(self, embeddings=False):
        """The forward pass as C runs it. `embeddings`: up to the last norm only."""
        from llamacy.engine.builder import PlanBuilder
        builder = PlanBuilder(self.hparams, embeddings)
        self._build(self.weights, builder)
        return builder.build()

    def check_values(self):
        """Errors  ModelError: a weight is not a finite number."""
        from llamacy.engine._run import first_bad_row
        for w in self.weights.all():
            bad = first_bad_row(w.type, w.k, w.data)
            if bad >= 0:
                raise ModelError(f"found tensors with invalid data: '{w.name}', row {bad}")

    def lock(self, log):
        from llamacy.engine._run import lock_memory
        locked = 0
        for w in self.weights.all():
            reason = lock_memory(w.data)
            if reason:
                log(b"warning: failed to mlock %d-byte buffer (after previously locking %d bytes): %s\n"
                    b"Try increasing RLIMIT_MEMLOCK ('ulimit -l' as root).\n" % (len(w.data), locked, reason.encode()))
                return
            locked += bytes_of(w)

    def apply_lora(self, path, scale=1.0, base_path=None, log=nothing):
        """Add a LoRA adapter to the weights, which must be private (use_mmap=False). Contexts see it at once."""
        from llamacy.engine.lora import apply
        apply(self, path, scale, base_path, log)

    def close(self):
        self.gguf.close()


def count(ne):
    n = 1
    for d in ne:
        n *= d
    return n
