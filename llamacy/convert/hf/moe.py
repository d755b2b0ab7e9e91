"""Models of experts that are no kind of Llama: Grok, DBRX."""

from llamacy.convert.errors import ConvertError
from llamacy.convert.hf.base import Model, with_experts
from llamacy.convert.output import F32


class Grok(Model):
    arch = "grok"
    vocabularies = ("spm",)
    EXPERTS = {f"{name}.weight": f"moe.{name}.weight" for name in ("linear", "linear_1", "linear_v")}

    def keys(self):
        for key, value in self.usual_keys():
            yield key, "Grok" if key == "general.name" else value

    def rearranged(self):
        n_experts = self.number("num_local_experts", "num_experts")
        yield from with_experts(self.source(), n_experts, "moe.", self.EXPERTS)


class Dbrx(Model):
    arch = "dbrx"

    @property
    def n_embd(self):
        return self.number("d_model")

    def keys(self):
        feed, attention = self.inside("ffn_config"), self.inside("attn_config")
        yield "general.name", str(self.config.values.get("model_type") or "dbrx")
        yield "block_count", self.number("n_layers")
        yield "context_length", self.number("max_seq_len")
        yield "embedding_length", self.n_embd
        yield "feed_forward_length", feed.number("ffn_hidden_size")
        yield "attention.head_count", self.number("n_heads")
        yield "attention.head_count_kv", attention.number("kv_n_heads")
        yield "rope.freq_base", attention.number("rope_theta", kind=float, least=0)
        yield "attention.clamp_kqv", attention.number("clip_qkv", kind=float, least=0)
        yield self.file_type()
        yield "expert_count", feed.number("moe_num_experts")
        yield "expert_used_count", feed.number("moe_top_k")
        yield "attention.layer_norm_epsilon", 1e-5

    def rearranged(self):
        """The experts are one matrix of (experts * n_ff, n_embd); the one that leads back is turned."""
        feed = self.inside("ffn_config")
        shape = feed.number("moe_num_experts"), feed.number("ffn_hidden_size"), self.n_embd
        for name, tensor in self.source():
            if ".ffn.experts.mlp." not in name:
                yield name, tensor
                continue
            if tensor.n_elements != shape[0] * shape[1] * shape[2]:
                raise ConvertError(f"{name}: shape {list(tensor.shape)}, expected the elements of {list(shape)}")
            if name.endswith(".w2"):
                tensor = tensor.rearranged(lambda a: a.reshape(shape).swapaxes(1, 2))
            else:
                tensor = tensor.rearranged(lambda a: a.reshape(shape))
            yield name + ".weight", tensor

    def type_of(self, name, target, tensor):
        return self.type if len(tensor.shape) > 1 else F32
