"""What the rules must know of a model, read from its metadata and checked as the reference's loader checks it."""

from llamacy.engine.override import Overrides
from llamacy.errors import ModelError
from llamacy.quantize.rules import OUTPUT, WITHOUT_OUTPUT

RMS, NORM = "attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"

# Architectures that the reference knows, by the keys they need besides those of all.
ARCHITECTURES = {
    **dict.fromkeys(("llama", "minicpm", "grok", "baichuan", "refact", "qwen", "qwen2", "qwen2moe", "phi3", "plamo",
                     "internlm2", "gemma", "xverse"), {RMS: "f32"}),
    **dict.fromkeys(("falcon", "starcoder", "persimmon", "bloom", "stablelm", "phi2", "gpt2", "codeshell", "orion",
                     "starcoder2", "olmo"), {NORM: "f32"}),
    **dict.fromkeys(("bert", "nomic-bert"), {NORM: "f32", "attention.causal": "bool"}),
    **dict.fromkeys(("gptj", "gptneox"), {}),
    "mpt": {NORM: "f32", "attention.max_alibi_bias": "f32"},
    "dbrx": {NORM: "f32", "attention.clamp_kqv": "f32"},
    "command-r": {NORM: "f32", "logit_scale": "f32"},
    "mamba": {RMS: "f32", "ssm.conv_kernel": "u32", "ssm.inner_size": "u32", "ssm.state_size": "u32",
              "ssm.time_step_rank": "u32"},
}
REQUIRED = ("context_length", "embedding_length", "feed_forward_length", "attention.head_count", "block_count")
OPTIONAL = {
    "attention.key_length": "u32", "attention.value_length": "u32", "rope.scaling.original_context_length": "u32",
    "rope.freq_base": "f32", "rope.scaling.factor": "f32", "rope.scale_linear": "f32", "rope.scaling.finetuned": "bool",
}
KINDS = {"u32": "int", "f32": "float", "bool": "bool", "str": "str"}
MOST_EXPERTS = 60
ROPE_SCALING = (b"none", b"linear", b"yarn")


class Facts:
    """arch, n_layer, n_head, n_head_kv, n_expert, and what follows from them and from the names of the tensors:

    n_attn_v    tensors with weights of attention values
    tied        True: there is no output tensor, the token embeddings serve as one

    Errors  ModelError: the metadata are not those of a model.
    """

    def __init__(self, gguf, overrides=(), log=None):
        self._gguf = gguf
        self._metadata = Overrides(gguf, overrides, log)
        self.arch = self._read("general.architecture", "str", required=True).decode("utf-8", "replace")
        if self.arch not in ARCHITECTURES:
            raise ModelError(f"unknown model architecture: '{self.arch}'")
        required = [self._own(key, "u32", required=True) for key in REQUIRED]
        _, self.n_embd, _, self.n_head, self.n_layer = required
        self.n_head_kv = self._own("attention.head_count_kv", "u32", self.n_head)
        self.n_expert = self._own("expert_count", "u32", 0)
        self._check_experts(self._own("expert_used_count", "u32", 0))
        self._check_vocabulary()
        self._check_rope()
        for key, type in OPTIONAL.items():
            self._own(key, type)
        for key, type in ARCHITECTURES[self.arch].items():
            self._own(key, type, required=True)
        names = gguf.tensors
        self.n_attn_v = sum("attn_v.weight" in name or "attn_qkv.weight" in name for name in names)
        if self.n_attn_v not in (0, self.n_layer):
            raise ModelError(f"{self.n_attn_v} tensors are named attn_v.weight or attn_qkv.weight, "
                             f"expected one for each of {self.n_layer} layers, or none")
        self.tied = self.arch in WITHOUT_OUTPUT or OUTPUT not in names

    @property
    def shared(self):
        """Query heads that share a value head; 0 if there are no value heads."""
        return self.n_head // self.n_head_kv if self.n_head_kv else 0

    @property
    def is_70b(self):
        """True for the sizes that the reference calls 70B: their attention values are small."""
        if self.n_layer != 80:
            return False
        return self.arch in ("qwen2", "olmo") or (
            self.arch == "llama" and self.n_head != self.n_head_kv and self.n_expert != 8)

    def _own(self, key, type, default=None, required=False):
        value = self._read(f"{self.arch}.{key}", type, required)
        return default if value is None else value

    def _read(self, key, type, required=False):
        """The value of a key that must have exactly this type; an override of the right kind comes before it."""
        given = self._metadata.rows.get(key)
        overridden = given is not None and given[0] == KINDS[type]
        if key in self._gguf and not overridden and self._gguf.type_name(key) != type:
            raise ModelError(f"key {key} has wrong type {self._gguf.type_name(key)} but expected type {type}")
        return self._metadata.lookup(key, KINDS[type], required=required)

    def _check_experts(self, used):
        if self.n_expert > MOST_EXPERTS or used > self.n_expert or bool(used) != bool(self.n_expert):
            raise ModelError(f"{used} of {self.n_expert} experts are used, expected at most {MOST_EXPERTS} and "
                             "some of them used, or none at all")

    def _check_vocabulary(self):
        tokens = "tokenizer.ggml.tokens"
        if self._own("vocab_size", "u32") is not None:
            return
        if tokens not in self._gguf:
            raise ModelError(f"key not found in model: {tokens}")
        if self._gguf.kind(tokens) != "arr":
            raise ModelError(f"key {tokens} has wrong type {self._gguf.type_name(tokens)} but expected type arr[str]")

    def _check_rope(self):
        scaling = self._own("rope.scaling.type", "str", b"linear")
        if scaling not in ROPE_SCALING:
            raise ModelError(f"{self.arch}.rope.scaling.type is '{scaling.decode('utf-8', 'replace')}', "
                             "expected none, linear or yarn")
        expected = self.n_embd // self.n_head if self.n_head else 0
        found = self._own("rope.dimension_count", "u32", expected)
        if self.arch in ("llama", "falcon") and found != expected:
            raise ModelError(f"invalid n_rot: {found}, expected {expected}")


def guess_file_type(gguf, by_tensor_type):
    """(general.file_type for a file that has none, type that is unknown or None): that of most tensors, plus 1024.

    Of types that are equally frequent it is the one that was so first. by_tensor_type: tensor type -> file type.
    """
    counts, most = {}, None
    for tensor in gguf.tensors.values():
        counts[tensor.type] = counts.get(tensor.type, 0) + 1
        if most is None or counts[tensor.type] > counts[most]:
            most = tensor.type
    known = most is None or most in by_tensor_type
    return 1024 + by_tensor_type.get(most, 0), None if known else most
