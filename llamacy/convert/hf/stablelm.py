"""StableLM."""

from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.hf.base import Model
from llamacy.convert.output import F32
from llamacy.convert.tensor import stack

NORMS = ("q_layernorm", "k_layernorm")


class StableLM(Model):
    arch = "stablelm"
    vocabularies = ("gpt2", "qwen")

    def keys(self):
        yield "general.name", self.folder_name
        yield "context_length", self.number("max_position_embeddings")
        yield "embedding_length", self.n_embd
        yield "block_count", self.n_layers
        yield "feed_forward_length", self.number("intermediate_size")
        yield "rope.dimension_count", int(
            self.real("partial_rotary_factor", "rope_pct") * (self.n_embd // self.n_heads)
        )
        yield "attention.head_count", self.n_heads
        yield "attention.head_count_kv", self.n_heads_kv
        yield "use_parallel_residual", bool(self.config.values.get("use_parallel_residual", True))
        yield "attention.layer_norm_epsilon", self.real("layer_norm_eps", "norm_eps")

    def rearranged(self):
        """The norms of single heads become one matrix per layer."""
        waiting = {}
        for name, tensor in self.source():
            start, found, rest = name.partition(".norms.")
            if not found or not start.endswith(NORMS):
                yield name, tensor
                continue
            n = self.n_heads if start.endswith(NORMS[0]) else self.n_heads_kv
            heads = waiting.setdefault(start, {})
            heads[rest.partition(".")[0]] = tensor
            if len(heads) == n:
                del waiting[start]
                yield start + ".weight", _stacked(start, [heads.get(str(i)) for i in range(n)])
        if waiting:
            raise ConvertError(f"Unprocessed norms: {shorten(', '.join(waiting))}")

    def type_of(self, name, target, tensor):
        return F32 if target.endswith("_norm.weight") else super().type_of(name, target, tensor)


def _stacked(name, parts):
    if None in parts or any((part.shape, part.dtype) != (parts[0].shape, parts[0].dtype) for part in parts):
        raise ConvertError(f"{shorten(name)}: the norms of the heads differ in number, shape or type")
    return stack(parts)
