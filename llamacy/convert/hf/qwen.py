"""Qwen, Qwen2, Qwen2Moe."""

from llamacy.convert.hf.base import Model, with_experts


class Qwen(Model):
    arch = "qwen"
    vocabularies = ("qwen",)

    def keys(self):
        yield "general.name", "Qwen"
        yield "context_length", self.number("max_position_embeddings")
        yield "block_count", self.n_layers
        yield "embedding_length", self.n_embd
        yield "feed_forward_length", self.number("intermediate_size")
        yield "rope.freq_base", self.real("rotary_emb_base")
        yield "rope.dimension_count", self.n_embd // self.n_heads
        yield "attention.head_count", self.n_heads
        yield "attention.layer_norm_rms_epsilon", self.real("layer_norm_epsilon")


class Qwen2(Model):
    arch = "qwen2"
    vocabularies = ("spm", "gpt2")


class Qwen2Moe(Model):
    arch = "qwen2moe"
    EXPERTS = {f"{name}.weight": f"experts.{name}.weight" for name in ("down_proj", "gate_proj", "up_proj")}

    def keys(self):
        yield from self.usual_keys()
        yield "expert_count", self.number("num_experts")

    def rearranged(self):
        yield from with_experts(self.source(), self.number("num_experts"), "experts.", self.EXPERTS)
