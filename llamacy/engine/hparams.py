"""The hyper-parameters of a model, read and checked."""

from llamacy.errors import ModelError

ROPE_SCALING = ("none", "linear", "yarn")
LIMITS = {  # what the engine can hold at all; far above every model there is
    "context_length": 1 << 30, "embedding_length": 1 << 20, "feed_forward_length": 1 << 22, "attention.head_count": 1 << 12,
    "attention.head_count_kv": 1 << 12, "block_count": 1 << 12, "expert_count": 512, "expert_used_count": 512,
}


class HParams:
    """Numbers of one model, named as the log names them (n_embd, n_head, ...). Keys: spec of each architecture."""

    def __init__(self, gguf, overrides, arch):
        self.arch = arch
        self._get = overrides.lookup
        self._prefix = arch + "."
        self.n_ctx_train = self.number("context_length")
        self.n_embd = self.number("embedding_length")
        self.n_ff = self.number("feed_forward_length")
        self.n_head = self.number("attention.head_count")
        self.n_layer = self.number("block_count")
        self.n_expert = self.number("expert_count", 0)
        self.n_expert_used = self.number("expert_used_count", 0)
        self.n_head_kv = self.number("attention.head_count_kv", self.n_head)
        self.n_vocab = self.vocab_size(gguf)
        self.read_heads()
        self.read_rope()
        self.f_norm_rms_eps = self.real("attention.layer_norm_rms_epsilon", None, required=True)
        self.f_norm_eps = 0.0
        self.check()

    def number(self, key, default=None):
        """An integer key of the architecture; required when there is no default."""
        value = self._get(self._prefix + key, "int", default, required=default is None)
        if not 0 <= value <= LIMITS.get(key, 0xFFFFFFFF):
            raise ModelError(f"{self._prefix}{key} is {value}, expected 0 to {LIMITS.get(key, 0xFFFFFFFF)}")
        return value

    def real(self, key, default, required=False):
        return self._get(self._prefix + key, "float", default, required=required)

    def vocab_size(self, gguf):
        tokens = "tokenizer.ggml.tokens"
        count = gguf.count(tokens) if tokens in gguf else None
        return self.number("vocab_size", count)

    def read_heads(self):
        if not self.n_head or not self.n_head_kv or self.n_head % self.n_head_kv or self.n_embd % self.n_head:
            raise ModelError(f"heads do not fit: n_embd {self.n_embd}, n_head {self.n_head}, n_head_kv {self.n_head_kv}")
        per_head = self.n_embd // self.n_head
        self.n_embd_head_k = self.number("attention.key_length", per_head)
        self.n_embd_head_v = self.number("attention.value_length", per_head)
        self.n_rot = self.number("rope.dimension_count", self.n_embd_head_k)
        self.n_gqa = self.n_head // self.n_head_kv
        self.n_embd_k_gqa = self.n_embd_head_k * self.n_head_kv
        self.n_embd_v_gqa = self.n_embd_head_v * self.n_head_kv

    def read_rope(self):
        self.rope_finetuned = self._get(self._prefix + "rope.scaling.finetuned", "bool", False)
        self.n_yarn_orig_ctx = self.number("rope.scaling.original_context_length", self.n_ctx_train)
        self.rope_freq_base = self.real("rope.freq_base", 10000.0)
        kind = self._get(self._prefix + "rope.scaling.type", "str", b"linear").decode("utf-8", "replace")
        if kind not in ROPE_SCALING:
            raise ModelError(f"{self._prefix}rope.scaling.type is '{kind}', expected none, linear or yarn")
        self.rope_scaling = kind
        factor = self.real("rope.scaling.factor", None)
        factor = self.real("rope.scale_linear", 0.0) if factor is None else factor
        self.rope_freq_scale = 1.0 / factor if factor else 1.0

    def check(self):
        if not (self.n_embd and self.n_layer and self.n_vocab and self.n_ctx_train):
            raise ModelError("a model needs n_embd, n_layer, n_vocab and n_ctx_train above 0")
        if bool(self.n_expert) != bool(self.n_expert_used) or self.n_expert_used > self.n_expert:
            raise ModelError(f"{self.n_expert_used} experts used of {self.n_expert}")
        if not self.n_embd_head_k or self.n_embd_head_k > 4096 or self.n_embd_head_v > 4096 or not self.n_embd_head_v:
            raise ModelError(f"head sizes are {self.n_embd_head_k} and {self.n_embd_head_v}, expected 1 to 4096")
        if self.n_rot % 2 or not 0 < self.n_rot <= self.n_embd_head_k:
            raise ModelError(f"invalid n_rot: {self.n_rot}, expected {self.n_embd_head_k}")
        if not self.f_norm_rms_eps > 0:
            raise ModelError(f"layer_norm_rms_epsilon is {self.f_norm_rms_eps}, expected above 0")
