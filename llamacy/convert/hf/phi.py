"""Phi-2 and Phi-3."""

from llamacy.convert.hf.base import Model


class Phi2(Model):
    arch = "phi2"

    def keys(self):
        width, heads = self.number("hidden_size", "n_embd"), self.number("num_attention_heads", "n_head")
        yield "general.name", "Phi2"
        yield "context_length", self.number("n_positions", "max_position_embeddings")
        yield "embedding_length", width
        yield "feed_forward_length", 4 * width
        yield "block_count", self.n_layers
        yield "attention.head_count", heads
        yield "attention.head_count_kv", heads
        yield "attention.layer_norm_epsilon", self.real("layer_norm_epsilon", "layer_norm_eps")
        yield "rope.dimension_count", int(self.real("partial_rotary_factor") * width) // heads
        yield self.file_type()
        yield "tokenizer.ggml.add_bos_token", False


class Phi3(Model):
    """Differs: the feed-forward length is the config's (8192 of the one size there was in the reference)."""

    arch = "phi3"
    vocabularies = ("phi3",)

    def keys(self):
        yield "general.name", "Phi3"
        yield "context_length", self.number("max_position_embeddings", "n_positions")
        yield "embedding_length", self.n_embd
        yield "feed_forward_length", self.number("intermediate_size")
        yield "block_count", self.n_layers
        yield "attention.head_count", self.n_heads
        yield "attention.head_count_kv", self.n_heads
        yield "attention.layer_norm_rms_epsilon", self.real("rms_norm_eps")
        yield "rope.dimension_count", self.n_embd // self.n_heads
        yield self.file_type()
