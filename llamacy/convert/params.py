"""The numbers of a llama-shaped model: from config.json, params.json, or the shapes of its tensors.

Source  Params of convert.py, llama.cpp b2794. Differs: scaling of angles under its newer names (`rope_type`,
        `rope_parameters`) counts, Llama 3 in Meta's layout has its real context, and a wrong number is an error that
        says so.
"""

import os

from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.jsonfile import load_if_there

FIELDS = ("n_vocab", "n_embd", "n_layer", "n_ctx", "n_ff", "n_head", "n_head_kv", "n_experts", "n_experts_used",
          "f_norm_eps", "rope_scaling_type", "f_rope_freq_base", "f_rope_scale", "n_orig_ctx", "rope_finetuned")
UNKNOWN = -1


class Params:
    """One attribute per name in FIELDS, None if unknown. rope_llama3: Source of Llama 3.1's angles, or None."""

    def __init__(self):
        for field in FIELDS:
            setattr(self, field, None)
        self.rope_llama3 = None

    def text(self, path_model):
        """As the reference logs it."""
        pairs = [(field, getattr(self, field)) for field in FIELDS]
        return ", ".join(
            [f"{name}={value!r}" for name, value in pairs] + ["ftype=None", f"path_model=PosixPath({path_model!r})"]
        )


class Source:
    """An object of a JSON file, with checks that name the file and the field."""

    def __init__(self, path, values):
        self.path = path
        self.values = values

    def number(self, *names, default=None, least=1, kind=int, required=True):
        """The first of `names` that is there and not null."""
        for name in names:
            value = self.values.get(name)
            if value is not None:
                good = isinstance(value, (int, float)) if kind is float else type(value) is int
                if not good or isinstance(value, bool) or not least <= value < 1 << 31:
                    raise ConvertError(f"{self.path}: {name}: found {shorten(value)}, expected "
                                       f"{'a number' if kind is float else 'an integer'} from {least}")
                return kind(value)
        if default is None and required:
            raise ConvertError(f"{self.path}: {' or '.join(names)}: missing")
        return default

    def object(self, name):
        value = self.values.get(name)
        if value is not None and not isinstance(value, dict):
            raise ConvertError(f"{self.path}: {name}: found {shorten(value)}, expected an object")
        return value


def read(checkpoint, *, ctx=None, compat=False, llama3=False):
    """Params of a checkpoint. ctx: the context if it tells none. llama3: its vocabulary is Meta's file of ranks."""
    folder, tensors = checkpoint.folder, checkpoint.tensors
    config, meta = os.path.join(folder, "config.json"), os.path.join(folder, "params.json")
    if values := load_if_there(config):
        params = _from_config(Source(config, values), compat)
    elif values := load_if_there(meta):
        params = _from_meta(Source(meta, values), tensors, llama3 and not compat)
    elif checkpoint.format == "none":
        raise ConvertError(
            f"{folder}: no config.json and no params.json: a vocabulary alone does not tell the model's numbers"
        )
    else:
        params = _guess(folder, tensors)
    if params.n_ctx == UNKNOWN:
        params.n_ctx = ctx or UNKNOWN
    return params


# --- Hugging Face

def _from_config(source, compat):
    params, number = Params(), source.number
    params.n_vocab = number("vocab_size", least=UNKNOWN)
    params.n_embd = number("hidden_size")
    params.n_layer = number("num_hidden_layers")
    params.n_ctx = number("max_sequence_length", "max_position_embeddings", least=UNKNOWN)
    params.n_ff = number("intermediate_size")
    params.n_head = number("num_attention_heads")
    params.n_head_kv = number("num_key_value_heads", default=params.n_head)
    if "num_local_experts" in source.values:
        params.n_experts = number("num_local_experts", least=0)
        params.n_experts_used = number("num_experts_per_tok", least=0)
    params.f_norm_eps = number("rms_norm_eps", kind=float, least=0)
    params.f_rope_freq_base = number("rope_theta", kind=float, least=0, required=False)
    if source.values.get("rope_parameters") and not compat:
        newer = Source(source.path, source.object("rope_parameters"))
        params.f_rope_freq_base = newer.number(
            "rope_theta", kind=float, least=0, default=params.f_rope_freq_base, required=False
        )
        scaling(params, newer, compat)
    elif source.values.get("rope_scaling"):
        scaling(params, Source(source.path, source.object("rope_scaling")), compat)
    return params


def scaling(params, source, compat=False):
    """Set what stretches the angles. The newer name of the type is not known to the reference."""
    name = source.values.get("type") or (None if compat else source.values.get("rope_type"))
    if not name or (name == "default" and not compat):
        return
    if name == "llama3" and not compat:
        params.rope_llama3 = source
        return
    if name not in ("linear", "yarn"):
        raise ConvertError(f"{source.path}: rope_scaling: type: found {shorten(name)}, expected linear or yarn"
                           + ("" if compat else ", or llama3"))
    params.rope_scaling_type = name
    params.f_rope_scale = source.number("factor", kind=float, least=0)
    if name == "yarn":
        params.n_orig_ctx = source.number("original_max_position_embeddings")
        finetuned = source.values.get("finetuned", None if compat else True)
        if not isinstance(finetuned, bool):
            raise ConvertError(f"{source.path}: rope_scaling: finetuned: found {shorten(finetuned)}, expected a bool")
        params.rope_finetuned = finetuned


# --- Meta

def _from_meta(source, tensors, llama3):
    params, number = Params(), source.number
    experts = source.object("moe")
    params.n_embd, params.n_layer, params.n_head = number("dim"), number("n_layers"), number("n_heads")
    params.n_head_kv = number("n_kv_heads", default=params.n_head)
    params.f_norm_eps = number("norm_eps", kind=float, least=0)
    params.f_rope_freq_base = number("rope_theta", kind=float, least=0, required=False)
    params.n_ctx = _meta_context(params, experts, llama3)
    params.n_vocab = _rows(source.path, tensors, "tok_embeddings.weight")
    first = "layers.0.feed_forward.w1.weight"
    if experts:
        first = "layers.0.feed_forward.experts.0.w1.weight"
        experts = Source(source.path, experts)
        params.n_experts = experts.number("num_experts")
        params.n_experts_used = experts.number("num_experts_per_tok")
        params.f_rope_freq_base = 1e6 if params.f_rope_freq_base is None else params.f_rope_freq_base
    params.n_ff = _rows(source.path, tensors, first)
    if llama3 and source.values.get("use_scaled_rope"):
        params.n_ctx = 131072
        params.rope_llama3 = Source(source.path, LLAMA_3_1)
    return params


# How Llama 3.1 stretches its angles; Meta's params.json only says that it does.
LLAMA_3_1 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


def _meta_context(params, experts, llama3):
    """Meta's file does not tell the context: models are known by their other numbers."""
    if experts:
        return 32768
    if params.f_rope_freq_base == 1000000:
        return 16384
    if llama3:
        return 8192
    return 4096 if params.f_norm_eps == 1e-5 else 2048


def _rows(path, tensors, name):
    """Rows of a tensor that the numbers are taken from."""
    if name not in tensors:
        raise ConvertError(f"{path} tells too little: the tensor {name} is needed, and it is missing"
                           + ("" if tensors else " (with --vocab-only no tensors are read)"))
    return tensors[name].shape[0]


# --- neither

def _guess(folder, tensors):
    embedding = tensors.get("model.embed_tokens.weight") or tensors.get("tok_embeddings.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise ConvertError(
            f"{folder}: no config.json, no params.json and no embedding: expected model.embed_tokens.weight"
        )
    params = Params()
    params.n_vocab, params.n_embd = embedding.shape
    params.n_layer = 0
    while any(name.format(params.n_layer) in tensors for name in LAYER_SIGNS):
        params.n_layer += 1
    if params.n_layer == 0:
        raise ConvertError(
            f"{folder}: no config.json, no params.json and no layers: expected {LAYER_SIGNS[0].format(0)}"
        )
    params.n_head = params.n_head_kv = params.n_embd // 128
    params.n_ff = 256 * ((int(8 * params.n_embd / 3) + 255) // 256)
    params.n_ctx = UNKNOWN
    params.f_norm_eps = 1e-5
    return params


LAYER_SIGNS = ("model.layers.{}.self_attn.q_proj.weight", "model.layers.{}.self_attn.W_pack.weight",
               "layers.{}.attention.wq.weight")
