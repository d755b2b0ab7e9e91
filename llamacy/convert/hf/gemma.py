"""Gemma. Differs: f16 sources stay f16 as those of all others do."""

from llamacy.convert.hf.base import Model


class Gemma(Model):
    arch = "gemma"
    vocabularies = ("spm",)
    skipped = (*Model.skipped, "lm_head.weight")  # the embedding's, which is there

    def keys(self):
        yield "general.name", self.folder_name
        yield "context_length", self.number("max_position_embeddings")
        yield "embedding_length", self.n_embd
        yield "block_count", self.n_layers
        yield "feed_forward_length", self.number("intermediate_size")
        yield "attention.head_count", self.n_heads
        yield "attention.head_count_kv", self.n_heads_kv
        yield "attention.layer_norm_rms_epsilon", self.real("rms_norm_eps")
        yield "attention.key_length", self.number("head_dim")
        yield "attention.value_length", self.number("head_dim")
        yield self.file_type()

    def vocabulary_keys(self, out):
        for kind, id in (("prefix", 67), ("suffix", 69), ("middle", 68), ("eot", 107)):
            out.add(f"tokenizer.ggml.{kind}_token_id", "u32", id)

    def rearranged(self):
        """Its norms are stored as what they add to 1."""
        for name, tensor in self.source():
            yield name, tensor.changed(lambda x: x + 1) if name.endswith("norm.weight") else tensor
