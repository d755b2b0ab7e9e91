"""Llama and models that differ from it in a few lines: minicpm, command-r, olmo, plamo."""

from llamacy.convert.errors import ConvertError
from llamacy.convert.hf.base import Model, with_experts, with_permuted
from llamacy.convert.llama import stretched
from llamacy.convert.output import F32, Item

CODE_LLAMA = 32016  # tokens; its four tokens for filling in have no names in the files
EXPERTS = {f"w{i}.weight": f"experts.w{i}.weight" for i in (1, 2, 3)}


class Llama(Model):
    """Llama, Mistral, Mixtral."""

    arch = "llama"
    vocabularies = ("spm", "llama_hf", "gpt2")

    def keys(self):
        yield from self.usual_keys()
        yield "vocab_size", self.number("vocab_size")
        yield "rope.dimension_count", self.n_embd // self.n_heads
        yield from self.scaling_keys()

    def vocabulary_keys(self, out):
        if self.number("vocab_size") == CODE_LLAMA:
            for kind, id in (("prefix", 32007), ("suffix", 32008), ("middle", 32009), ("eot", 32010)):
                out.add(f"tokenizer.ggml.{kind}_token_id", "u32", id)

    def items(self):
        found, source = super().items(), self.scaling.rope_llama3
        if source is not None:
            factors = stretched(source, self.n_embd // self.n_heads, self.rope_base or 10000.0)
            found.append(Item("rope_freqs.weight", F32, factors))
        return found

    def rearranged(self):
        pairs = with_permuted(self.source(), self.n_heads, self.n_heads_kv)
        n_experts = self.number("num_local_experts", least=0, default=0)
        for name, tensor in with_experts(pairs, n_experts, "experts.", EXPERTS):
            if ".block_sparse_moe.experts." in name:
                name = name.removeprefix("model.").replace("block_sparse_moe", "feed_forward")
            yield name, tensor


class MiniCpm(Llama):
    arch = "minicpm"
    vocabularies = ("llama_hf",)

    def keys(self):
        yield "general.name", "MiniCPM"
        yield "context_length", self.number("max_position_embeddings")
        yield "embedding_length", self.n_embd
        yield "block_count", self.n_layers
        yield "feed_forward_length", self.number("intermediate_size")
        yield "rope.dimension_count", self.n_embd // self.n_heads
        yield "attention.head_count", self.n_heads
        yield "attention.head_count_kv", self.n_heads_kv
        yield "attention.layer_norm_rms_epsilon", self.real("rms_norm_eps")
        yield self.file_type()

    def vocabulary_keys(self, out):
        pass


class CommandR(Model):
    arch = "command-r"

    def keys(self):
        for key, value in self.usual_keys():
            yield key, self.number("model_max_length", "max_position_embeddings") if key == "context_length" else value
        yield "logit_scale", self.real("logit_scale")
        yield "rope.scaling.type", "none"


class Olmo(Model):
    arch = "olmo"

    def keys(self):
        yield from self.usual_keys()
        yield "attention.layer_norm_epsilon", 1e-5
        yield "attention.clamp_kqv", self.real("clip_qkv", required=False)

    def rearranged(self):
        yield from with_permuted(self.source(), self.n_heads, self.n_heads_kv)


class Plamo(Model):
    """40 heads share 5 of k and v, every fifth the same; readers want those that share side by side."""

    arch = "plamo"
    vocabularies = ("spm",)
    SHARED, GROUPS = 8, 5

    def keys(self):
        yield "general.name", "PLaMo"
        yield "context_length", 4096
        yield "embedding_length", self.n_embd
        yield "feed_forward_length", self.number("intermediate_size")
        yield "block_count", self.n_layers
        yield "attention.head_count", self.n_heads
        yield "attention.head_count_kv", 5
        yield "attention.layer_norm_rms_epsilon", self.real("rms_norm_eps")

    def rearranged(self):
        for name, tensor in self.source():
            q, o = name.endswith(".self_attn.q_proj.weight"), name.endswith(".self_attn.o_proj.weight")
            d = tensor.shape[0] // (self.SHARED * self.GROUPS)
            if (q or o) and tensor.shape != (self.n_embd, self.SHARED * self.GROUPS * d):
                raise ConvertError(f"{name}: shape {list(tensor.shape)}, expected a square of {self.n_embd}")
            heads = self.SHARED, self.GROUPS, d
            if q:
                tensor = tensor.rearranged(lambda a: a.reshape(*heads, a.shape[1]).swapaxes(0, 1), tensor.shape)
            elif o:
                tensor = tensor.rearranged(lambda a: a.reshape(a.shape[0], *heads).swapaxes(1, 2), tensor.shape)
            yield name, tensor
