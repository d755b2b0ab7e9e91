"""Mamba, a model without attention."""

import numpy as np

from llamacy.convert.hf.base import Model
from llamacy.convert.output import F32

MATRICES = ("ssm_in.weight", "ssm_out.weight", "token_embd.weight", "output.weight")


class Mamba(Model):
    arch = "mamba"

    @property
    def width(self):
        return self.number("hidden_size", "d_model")

    @property
    def inner(self):
        return self.number("intermediate_size", "d_inner", default=2 * self.width)

    def n_vocab(self, n_tokens):
        unit = self.number("pad_vocab_size_multiple", default=8)
        return -(-self.number("vocab_size", default=n_tokens) // unit) * unit

    def keys(self):
        yield "general.name", self.folder_name
        yield "context_length", 1 << 20
        yield "embedding_length", self.width
        yield "feed_forward_length", 0
        yield "attention.head_count", 0
        yield "block_count", self.n_layers
        yield "ssm.conv_kernel", self.number("conv_kernel", "d_conv", default=4)
        yield "ssm.inner_size", self.inner
        yield "ssm.state_size", self.number("state_size", "d_state", default=16)
        yield "ssm.time_step_rank", self.number("time_step_rank", "dt_rank", default=-(-self.width // 16))
        yield "attention.layer_norm_rms_epsilon", self.real("layer_norm_epsilon", "rms_norm_eps", default=1e-5)
        yield self.file_type()

    @property
    def n_layers(self):
        return self.number("n_layers", "num_hidden_layers", "n_layer")

    def rearranged(self):
        embedding = self.tensors.get("backbone.embedding.weight") or self.tensors.get("backbone.embeddings.weight")
        for name, tensor in self.source():
            if name.endswith(".A_log"):
                tensor = tensor.changed(lambda x: -np.exp(x))
            if name == "lm_head.weight" and embedding is not None and _same(tensor, embedding):
                continue
            yield name, tensor

    def type_of(self, name, target, tensor):
        return self.type if target.endswith(MATRICES) else F32


def _same(a, b):
    """Whether two tensors have the same numbers."""
    return (a.shape, a.dtype) == (b.shape, b.dtype) and all(
        np.array_equal(x(), y()) for (_, x), (_, y) in zip(a.pieces(), b.pieces()))
