"""Models with fused q, k and v, or with GPT-2's names."""

from llamacy.convert.hf.base import CONTEXT, Model, with_output
from llamacy.convert.output import F32
from llamacy.convert.tensor import Tensor


class GptNeoX(Model):
    arch = "gptneox"

    def keys(self):
        yield "general.name", self.folder_name
        yield "context_length", self.number("max_position_embeddings")
        yield "embedding_length", self.number("hidden_size")
        yield "block_count", self.n_layers
        yield "feed_forward_length", self.number("intermediate_size")
        yield "rope.dimension_count", int(self.real("rotary_pct") * (self.number("hidden_size") // self.n_heads))
        yield "attention.head_count", self.n_heads
        yield "use_parallel_residual", bool(self.config.values.get("use_parallel_residual", True))
        yield "attention.layer_norm_epsilon", self.real("layer_norm_eps")


class Bloom(Model):
    arch = "bloom"

    @property
    def n_embd(self):
        return self.number("hidden_size", "n_embed")

    def keys(self):
        yield "general.name", "Bloom"
        yield "context_length", self.number("seq_length", default=self.n_embd)
        yield "embedding_length", self.n_embd
        yield "feed_forward_length", 4 * self.n_embd
        yield "block_count", self.n_layers
        yield "attention.head_count", self.heads
        yield "attention.head_count_kv", self.heads
        yield "attention.layer_norm_epsilon", self.real("layer_norm_epsilon")
        yield self.file_type()

    @property
    def heads(self):
        return self.number("n_head", "num_attention_heads")

    def rearranged(self):
        """Rows come as q, k, v of one head after the other; they go as all of q, all of k, all of v."""
        def rule(a):
            return a.reshape(self.heads, 3, -1, *a.shape[1:]).swapaxes(0, 1)
        pairs = ((name.removeprefix("transformer."), tensor) for name, tensor in self.source())
        for name, tensor in with_output(pairs, "word_embeddings.weight"):
            yield name, tensor.rearranged(rule, tensor.shape) if "query_key_value" in name else tensor


class Mpt(Model):
    arch = "mpt"
    vocabularies = ("gpt2", "spm")

    @property
    def n_embd(self):
        return self.number("d_model")

    def keys(self):
        attention = self.inside("attn_config")
        yield "general.name", self.folder_name
        yield "context_length", self.number("max_seq_len")
        yield "embedding_length", self.n_embd
        yield "block_count", self.number("n_layers")
        yield "feed_forward_length", 4 * self.n_embd
        yield "attention.head_count", self.number("n_heads")
        yield "attention.head_count_kv", attention.number("kv_n_heads", required=False)
        yield "attention.layer_norm_epsilon", 1e-5
        yield "attention.clamp_kqv", attention.number("clip_qkv", kind=float, least=0, required=False)
        slope = (
            attention.number("alibi_bias_max", kind=float, least=0, default=8.0)
            if attention.values.get("alibi")
            else 0.0
        )
        yield "attention.max_alibi_bias", slope

    def target(self, names, name):
        if name.endswith(".act.scales"):
            return super().target(names, name.removesuffix(".scales")) + ".act.scales"
        return super().target(names, name)


class Falcon(Model):
    arch = "falcon"

    @property
    def heads(self):
        return self.number("num_attention_heads", "n_head")

    @property
    def heads_kv(self):
        return self.number("num_kv_heads", "n_head_kv", default=1)

    def keys(self):
        yield "general.name", "Falcon"
        yield "context_length", 2048
        yield "tensor_data_layout", "jploski"
        yield "embedding_length", self.number("hidden_size")
        yield "feed_forward_length", 4 * self.number("hidden_size")
        yield "block_count", self.number("num_hidden_layers", "n_layer")
        yield "attention.head_count", self.heads
        yield "attention.head_count_kv", self.heads_kv
        yield "attention.layer_norm_epsilon", self.real("layer_norm_epsilon")
        yield self.file_type()

    def rearranged(self):
        """Rows come in groups, some heads of q that share the k and v behind them; they go as q, k, v."""
        for name, tensor in self.source():
            yield name, self._regrouped(tensor) if "query_key_value" in name else tensor

    def _regrouped(self, tensor):
        group = self.heads // self.heads_kv + 2
        a = tensor.rearranged(lambda a: a.reshape(self.heads_kv, group, -1, *a.shape[1:])).views[0]
        return Tensor(tensor.dtype, [a[:, :-2], a[:, -2], a[:, -1]], tensor.shape, origin=tensor.origin)


class Starcoder(Model):
    arch = "starcoder"

    def keys(self):
        yield "general.name", "StarCoder"
        yield "context_length", self.number("n_positions")
        yield "embedding_length", self.number("n_embd")
        yield "feed_forward_length", 4 * self.number("n_embd")
        yield "block_count", self.number("n_layer")
        yield "attention.head_count", self.number("n_head")
        yield "attention.head_count_kv", 1
        yield "attention.layer_norm_epsilon", self.real("layer_norm_epsilon")
        yield self.file_type()


class Starcoder2(Model):
    arch = "starcoder2"


class Refact(Model):
    arch = "refact"

    @property
    def n_ff(self):
        return 256 * ((int(8 * self.number("n_embd") / 3) + 255) // 256)

    def keys(self):
        yield "general.name", "Refact"
        yield "context_length", self.number("n_positions")
        yield "embedding_length", self.number("n_embd")
        yield "feed_forward_length", self.n_ff
        yield "block_count", self.number("n_layer")
        yield "attention.head_count", self.number("n_head")
        yield "attention.head_count_kv", 1
        yield "attention.layer_norm_rms_epsilon", self.real("layer_norm_epsilon")
        yield self.file_type()

    def rearranged(self):
        """Fused matrices are cut in two; the parts stand behind all others."""
        later, d = [], self.number("n_embd") // self.number("n_head")
        for name, tensor in self.source():
            start, _, kind = name.removeprefix("transformer.h.").partition(".")
            parts = {
                "attn.kv.weight": ("self_attn.k_proj", d, "self_attn.v_proj"),
                "attn.q.weight": ("self_attn.q_proj", None, None),
                "mlp.gate_up_proj.weight": ("mlp.gate_proj", self.n_ff, "mlp.up_proj"),
            }.get(kind)
            if parts is None:
                yield name, tensor
                continue
            first, rows, second = parts
            later.append((f"model.layers.{start}.{first}.weight", tensor if rows is None else tensor.rows(0, rows)))
            if second:
                later.append((f"model.layers.{start}.{second}.weight", tensor.rows(rows, tensor.shape[0])))
        yield from later


class Gpt2(Model):
    arch = "gpt2"
    skipped = (".attn.bias", ".attn.masked_bias")

    def keys(self):
        yield "general.name", self.folder_name
        yield "block_count", self.number("n_layer")
        yield "context_length", self.number("n_ctx", "n_positions")
        yield "embedding_length", self.number("n_embd")
        yield "feed_forward_length", 4 * self.number("n_embd")
        yield "attention.head_count", self.number("n_head")
        yield "attention.layer_norm_epsilon", self.real("layer_norm_epsilon")
        yield self.file_type()

    def rearranged(self):
        """Its matrices are stored the other way round."""
        names = set(self.tensors)
        embedding = "transformer.wte.weight" if "transformer.wte.weight" in names else "wte.weight"
        for name, tensor in with_output(self.source(), embedding):
            turned = name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight"))
            yield name, tensor.transposed() if turned else tensor


class CodeShell(Model):
    arch = "codeshell"

    def keys(self):
        yield "general.name", "CodeShell"
        yield "context_length", self.number("n_positions")
        yield "embedding_length", self.number("n_embd")
        yield "feed_forward_length", 4 * self.number("n_embd")
        yield "block_count", self.number("n_layer")
        yield "attention.head_count", self.number("n_head")
        yield "attention.head_count_kv", self.number("num_query_groups")
        yield "attention.layer_norm_epsilon", self.real("layer_norm_epsilon")
        yield self.file_type()
        yield "rope.freq_base", 10000.0
        yield "rope.scaling.type", "linear"
        yield "rope.scaling.factor", 1.0

    def rearranged(self):
        yield from with_output(self.source(), "transformer.wte.weight")


class Persimmon(Model):
    arch = "persimmon"
    vocabularies = ("spm",)
    skipped = (".self_attention.rotary_emb.inv_freq", ".self_attn.rotary_emb.inv_freq")

    @property
    def n_layers(self):
        return self.number("num_layers", "num_hidden_layers")

    def keys(self):
        width = self.number("hidden_size")
        yield "general.name", "persimmon-8b-chat"
        yield "context_length", self.number(*CONTEXT)
        yield "embedding_length", width
        yield "block_count", self.n_layers
        yield "feed_forward_length", self.number("intermediate_size")
        yield "rope.dimension_count", width // self.n_heads // 2
        yield "attention.head_count", self.n_heads
        yield "attention.head_count_kv", self.n_heads
        yield "rope.freq_base", self.real("rope_theta")
        yield "attention.layer_norm_epsilon", self.real("layer_norm_eps")

    def type_of(self, name, target, tensor):
        return F32
