"""Embeddings: hidden states after the last norm, one for each token or pooled to one."""

from math import sqrt
from typing import Any

POOLINGS = {-1: "none", 0: "none", 1: "mean", 2: "first", 3: "last"}


class Embedder:
    """A context of its own, made when it is first needed, so that texts and embeddings do not disturb each other."""

    def __init__(self, model: Any, sizes: dict[str, Any], pooling: str) -> None:
        self.model, self.sizes, self.pooling = model, sizes, pooling
        self.most: int = sizes["n_batch"]
        self.context: Any = None

    def vector(self, tokens: list[int], normalize: bool, truncate: bool) -> "list[float] | list[list[float]]":
        """Errors  ValueError: no tokens, or more than n_batch without `truncate`."""
        if len(tokens) > self.most and not truncate:
            raise ValueError(f"a text of {len(tokens)} tokens, expected at most n_batch = {self.most}")
        rows = self.rows(tokens[:self.most])
        if self.pooling == "mean":
            rows = [[sum(column) / len(rows) for column in zip(*rows)]]
        elif self.pooling != "none":
            rows = rows[:1] if self.pooling == "first" else rows[-1:]
        rows = [normalised(row) for row in rows] if normalize else rows
        return rows if self.pooling == "none" else rows[0]

    def rows(self, tokens: list[int]) -> list[list[float]]:
        if self.context is None:
            from ..engine import Context
            self.context = Context(self.model, n_ctx=self.most, n_outputs=self.most, embeddings=True, **self.sizes)
        n, n_embd = len(tokens), self.model.hparams.n_embd
        self.context.kv_clear()
        self.context.decode_batch(tokens, range(n), (0,) * n, bytes([1]) * n)
        return [self.context.output(i)[:n_embd].tolist() for i in range(n)]

    def close(self) -> None:
        if self.context is not None:
            self.context.close()


def normalised(row: list[float]) -> list[float]:
    length = sqrt(sum(x * x for x in row))
    return [x / length for x in row] if length > 0 else row
