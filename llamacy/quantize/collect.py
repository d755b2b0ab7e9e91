"""A text goes through a model in chunks; each weight's inputs are squared and summed, and the perplexity is told."""

from math import exp, sqrt
from time import perf_counter

from llamacy.errors import UsageError
from llamacy.quantize._score import surprise
from llamacy.quantize.sums import Sums

LEAST = 16               # tokens of a batch that counts: shorter ones are a tail, not a sample
OUTPUT = "output.weight"


class Perplexity:
    """exp of the mean surprise, and its standard error."""

    def __init__(self):
        self.count = 0
        self.total = self.squares = 0.0

    def add(self, value):
        self.count += 1
        self.total += value
        self.squares += value * value

    @property
    def value(self):
        return exp(self.total / self.count)

    @property
    def error(self):
        """None if it cannot be told."""
        if self.count < 2:
            return None
        mean = self.total / self.count
        variance = self.squares / self.count - mean * mean
        return sqrt(variance / (self.count - 1)) * self.value if variance > 0 else None


class Collector:
    """Decodes tokens and keeps the sums of all matrices of the layers, with `output` of output.weight too.

    context  needs as many outputs as the longest batch has tokens: the last layer computes only what is asked for
    """

    def __init__(self, context, output=False):
        self.context = context
        matrices = {w.name: w for w in context.model.weights.all()
                    if w.rows > 1 and (w.name.startswith("blk.") or output and w.name == OUTPUT)}
        self.slices = {name: w.slices for name, w in matrices.items()}
        self.sums = Sums(context.collect_squares(matrices.__contains__))

    def decode(self, tokens, pos):
        """Run one batch (n <= n_ubatch); returns the names whose sums grew.

        Of a batch that is too short only those of experts grow, as the reference has it.
        """
        n = len(tokens)
        counted = [name for name, slices in self.slices.items() if n >= LEAST or slices > 1]
        kept = {} if n >= LEAST else {name: bytes(values) for name, values in self.sums.values.items()
                                      if self.slices[name] == 1}
        self.context.decode_batch(tokens, range(pos, pos + n), (0,) * n, b"\1" * n)
        for name, values in kept.items():
            memoryview(self.sums.values[name]).cast("B")[:] = values
        for name in counted:
            self.sums.calls[name] += 1
        return counted


def chunks_of(tokens, n_ctx, most=-1, skip=0):
    """(tokens without the first `skip` chunks, number of chunks). most: -1: all.

    Errors  UsageError: the text is too short.
    """
    if skip > 0:
        if (skip + 2) * n_ctx >= len(tokens):
            raise UsageError(f"there will be not enough tokens left after removing {skip} chunks")
        tokens = tokens[skip * n_ctx:]
    if len(tokens) < 2 * n_ctx:
        raise UsageError(f"you need at least {2 * n_ctx} tokens for a context of {n_ctx} tokens: "
                         f"the data file you provided tokenizes to only {len(tokens)} tokens")
    n_chunks = len(tokens) // n_ctx
    return tokens, n_chunks if most < 0 else min(most, n_chunks)


def run(collector, tokens, n_chunks, *, n_batch, bos=None, perplexity=None, collected=lambda names, n: None):
    """Decode the chunks, each from an empty context; a generator of the seconds that each decode took.

    bos         a token in the place of each chunk's first one; None: that stays
    perplexity  Perplexity that gets the second half of each chunk, or None
    collected   called after each batch with the names whose sums grew, and the number of tokens
    """
    context = collector.context
    n_ctx = context.n_ctx
    for chunk in range(n_chunks):
        text = tokens[chunk * n_ctx:(chunk + 1) * n_ctx]
        start, scored = perf_counter(), 0.0
        context.kv_clear()
        for at, end in batches(n_ctx, n_batch, context.n_ubatch):
            piece = text[at:end]
            if bos is not None and at == 0:
                piece = [bos, *piece[1:]]
            names = collector.decode(piece, at)
            before = perf_counter()
            if perplexity is not None:
                for pos in range(max(at, n_ctx // 2), min(end, n_ctx - 1)):
                    perplexity.add(surprise(context.output(pos - at), text[pos + 1]))
            collected(names, end - at)
            scored += perf_counter() - before
        yield perf_counter() - start - scored


def batches(n_ctx, n_batch, n_ubatch):
    """(start, end) of the pieces of a context: batches, cut into micro-batches."""
    for start in range(0, n_ctx, n_batch):
        stop = min(start + n_batch, n_ctx)
        for at in range(start, stop, n_ubatch):
            yield at, min(at + n_ubatch, stop)
