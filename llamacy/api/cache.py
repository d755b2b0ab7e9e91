"""What the context holds: tokens of one sequence, and the logits behind them."""

from typing import Any


class Cache:
    """Evaluates texts, of which only the part is computed that is not there yet.

    tokens   ids in the context
    scores   (n_ctx, n_vocab) float32, a numpy array with the logits behind each of them; None without `keep_all`
    """

    def __init__(self, context: Any, n_vocab: int, keep_all: bool) -> None:
        self.context = context
        self.tokens: list[int] = []
        self.scores = None
        self.evaluated = False             # the context's logits are those behind the last token
        if keep_all:
            import numpy
            self.scores = numpy.zeros((context.n_ctx, n_vocab), numpy.float32)

    def evaluate(self, tokens: list[int]) -> Any:
        """Hold just these tokens; returns the row of logits behind the last one, writable, good until the next call.

        Errors  ContextFull, and KeyboardInterrupt after an abort; what is in the cache then, `tokens` tells.
        """
        if not (self.evaluated and tokens == self.tokens):
            at = self.common(tokens)
            self.forget(at)
            while at < len(tokens):
                piece = tokens[at:at + self.context.n_batch]
                self.decode(piece, at)
                at += len(piece)
        return self.row()

    def common(self, tokens: list[int]) -> int:
        """How many of these tokens need no evaluation; one is left, for its logits."""
        most = min(len(self.tokens), len(tokens) - 1)
        if self.tokens[:most] == tokens[:most]:
            return most
        return next(i for i in range(most) if self.tokens[i] != tokens[i])

    def forget(self, keep: int) -> None:
        if keep < len(self.tokens):
            self.context.kv_remove(0, keep if keep else -1, -1)
            del self.tokens[keep:]
        self.evaluated = False

    def decode(self, piece: list[int], at: int) -> None:
        n = len(piece)
        if self.scores is None:
            self.context.decode(piece, at)
        else:
            self.context.decode_batch(piece, range(at, at + n), (0,) * n, bytes([1]) * n)
            for i in range(n):
                self.scores[at + i] = self.context.output(i)
        self.tokens += piece
        self.evaluated = True

    def row(self) -> Any:
        if self.scores is None:
            return self.context.logits
        return memoryview(self.scores[len(self.tokens) - 1].copy())
