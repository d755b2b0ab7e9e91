"""Baichuan, Orion, Xverse: Llama's shape, other names of things. Differs: k is permuted by its own number of heads."""

from llamacy.convert.hf.base import Model, with_permuted
from llamacy.convert.tensor import permuted

CONTEXT = ("max_sequence_length", "max_position_embeddings", "model_max_length")


class Baichuan(Model):
    arch = "baichuan"
    vocabularies = ("spm",)

    def keys(self):
        yield "general.name", self.folder_name
        yield "general.source.huggingface.repository", str(self.config.values.get("_name_or_path") or "")
        yield "tensor_data_layout", "Meta AI original pth"
        yield "context_length", self.number(*CONTEXT)
        yield "embedding_length", self.n_embd
        yield "block_count", self.n_layers
        yield "feed_forward_length", self.number("intermediate_size")
        yield "rope.dimension_count", self.n_embd // self.n_heads
        yield "attention.head_count", self.n_heads
        yield "attention.head_count_kv", self.n_heads_kv
        yield "attention.layer_norm_rms_epsilon", self.real("rms_norm_eps")
        yield from self.scaling_keys()

    def rearranged(self):
        """Of W_pack the thirds, behind all other tensors."""
        later = []
        for name, tensor in self.source():
            start, found, _ = name.partition("W_pack.weight")
            if not found:
                yield name, tensor
                continue
            n = tensor.shape[0] // 3
            later += [(start + "q_proj.weight", permuted(tensor.rows(0, n), self.n_heads)),
                      (start + "k_proj.weight", permuted(tensor.rows(n, 2 * n), self.n_heads_kv)),
                      (start + "v_proj.weight", tensor.rows(2 * n, 3 * n))]
        yield from later


class Xverse(Baichuan):
    arch = "xverse"
    vocabularies = ("xverse",)

    def rearranged(self):
        yield from with_permuted(self.source(), self.n_heads, self.n_heads_kv)


class Orion(Model):
    arch = "orion"
    vocabularies = ("spm",)

    def keys(self):
        yield self.file_type()
        yield "general.name", self.folder_name
        yield "general.source.huggingface.repository", str(self.config.values.get("_name_or_path") or "")
        yield "tensor_data_layout", "Meta AI original pth"
        yield "context_length", self.number(*CONTEXT)
        yield "embedding_length", self.n_embd
        yield "block_count", self.n_layers
        yield "feed_forward_length", self.number("intermediate_size")
        yield "attention.head_count", self.n_heads
        yield "attention.head_count_kv", self.n_heads_kv
        yield "attention.layer_norm_epsilon", self.real("rms_norm_eps")
