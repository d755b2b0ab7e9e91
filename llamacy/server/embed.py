"""Embeddings: the hidden state of a prompt's last token, of length 1."""

from array import array
from math import sqrt

from .task import Vector


class Embedder:
    """A context of its own, so that slots keep what they hold. For the engine's thread only."""

    def __init__(self, model, config):
        from ..engine import Context
        self.n_embd = model.hparams.n_embd
        self.most = config.n_ubatch or config.n_batch
        self.context = Context(
            model, n_ctx=self.most, n_batch=self.most, n_ubatch=self.most, n_threads=config.n_threads,
            n_threads_batch=config.n_threads_batch if config.n_threads_batch > 0 else config.n_threads,
            rope_freq_base=config.rope_freq_base, rope_freq_scale=config.rope_freq_scale, rope_scaling=config.rope_scaling,
            yarn_ext_factor=config.yarn_ext_factor, yarn_attn_factor=config.yarn_attn_factor,
            yarn_beta_fast=config.yarn_beta_fast, yarn_beta_slow=config.yarn_beta_slow, flash_attn=config.flash_attn,
            type_k=config.cache_type_k, type_v=config.cache_type_v, embeddings=True)

    def vector(self, tokens):
        """Vector; empty if the prompt is longer than a micro-batch, or has no tokens."""
        if not 0 < len(tokens) <= self.most:
            return Vector([])
        self.context.kv_clear()
        self.context.decode(tokens, 0)
        return Vector(normalised(self.context.logits[:self.n_embd]))

    def close(self):
        self.context.close()


def normalised(values):
    """Float32 numbers (list) of Euclidean length 1; zeros stay."""
    length = sqrt(sum(x * x for x in values))
    scale = array("f", [1.0 / length if length > 0 else 0.0])[0]
    return array("f", [x * scale for x in values]).tolist()
