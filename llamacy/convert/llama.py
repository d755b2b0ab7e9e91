"""Models of the llama shape, as the reference's convert.py makes them: keys, names, types, order."""

import math
from pathlib import PurePath

import numpy as np

from llamacy.convert import special
from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.metadata import Metadata
from llamacy.convert.names import DROPPED, NameMap
from llamacy.convert.output import F16, F32, Q8_0, Item
from llamacy.convert.tensor import Tensor, permuted, stack

# --outtype -> general.file_type, type of matrices
OUTTYPES = {"f32": (0, F32), "f16": (1, F16), "q8_0": (7, Q8_0)}
CONTEXT_OF_LLAMA2 = 4096


# --- metadata

def metadata(params, folder, outtype, vocabulary, found):
    """Keys of a file. outtype: a key of OUTTYPES, or None: not said. vocabulary, found (Special): None without any."""
    out = Metadata()
    out.add("general.architecture", "str", "llama")
    out.add_text("general.name", "LLaMA v2" if params.n_ctx == CONTEXT_OF_LLAMA2 else name_of(folder))
    _numbers(out, params)
    if outtype is not None:
        out.add("general.file_type", "u32", OUTTYPES[outtype][0])
    if vocabulary is None:
        out.add("tokenizer.ggml.model", "str", "no_vocab")
    else:
        tokens(out, vocabulary)
    return out


def name_of(folder):
    """The reference calls a model by the folder above its own."""
    return str(PurePath(folder).parent).split("/")[-1]


def _numbers(out, params):
    for key, kind, value in (
            ("vocab_size", "u32", params.n_vocab),
            ("context_length", "u32", params.n_ctx),
            ("embedding_length", "u32", params.n_embd),
            ("block_count", "u32", params.n_layer),
            ("feed_forward_length", "u32", params.n_ff),
            ("rope.dimension_count", "u32", params.n_embd // params.n_head),
            ("attention.head_count", "u32", params.n_head),
            ("attention.head_count_kv", "u32", params.n_head_kv),
            ("expert_count", "u32", params.n_experts or None),
            ("expert_used_count", "u32", params.n_experts_used or None),
            ("attention.layer_norm_rms_epsilon", "f32", params.f_norm_eps),
            ("rope.freq_base", "f32", params.f_rope_freq_base),
            ("rope.scaling.type", "str", params.rope_scaling_type),
            ("rope.scaling.factor", "f32", params.f_rope_scale),
            ("rope.scaling.original_context_length", "u32", params.n_orig_ctx),
            ("rope.scaling.finetuned", "bool", params.rope_finetuned)):
        if value is not None:
            out.add(f"llama.{key}", kind, value)


def tokens(out, vocabulary):
    out.add("tokenizer.ggml.model", "str", vocabulary.model)
    if vocabulary.pre:
        out.add("tokenizer.ggml.pre", "str", vocabulary.pre)
    out.add("tokenizer.ggml.tokens", "arr:str", vocabulary.texts)
    if vocabulary.has_scores:
        out.add("tokenizer.ggml.scores", "arr:f32", vocabulary.scores)
    out.add("tokenizer.ggml.token_type", "arr:i32", vocabulary.types)
    if vocabulary.adds_space is not None:
        out.add("tokenizer.ggml.add_space_prefix", "bool", vocabulary.adds_space)


# --- tensors

def items(checkpoint, params, outtype, *, skip_unknown, log):
    """(items, outtype): the tensors in the reference's order, and their type. outtype None: by the source."""
    tensors = _permute(_stack_experts(dict(checkpoint.tensors), params), params, log)
    renamed = _rename(tensors, params, skip_unknown, log)
    if outtype is None:
        outtype = _type_of(renamed)
    matrix = OUTTYPES[outtype][1]
    found = [Item(name, matrix if len(tensor.shape) > 1 else F32, tensor) for name, tensor in renamed.items()]
    if params.rope_llama3 is not None:
        base = params.f_rope_freq_base or 10000.0
        found.append(
            Item("rope_freqs.weight", F32, stretched(params.rope_llama3, params.n_embd // params.n_head, base))
        )
    return found, outtype


def _type_of(tensors):
    if "blk.0.attn_q.weight" not in tensors:
        raise ConvertError("tensor blk.0.attn_q.weight is missing: name the type of the output with --outtype")
    dtype = tensors["blk.0.attn_q.weight"].dtype
    if dtype not in ("F32", "BF16", "F16"):
        raise ConvertError(f"tensor blk.0.attn_q.weight is of type {dtype}: name the type of the output with --outtype")
    return "f16" if dtype == "F16" else "f32"


EXPERTS = (
    "layers.{i}.feed_forward.experts.{e}.w{w}.weight",
    "model.layers.{i}.block_sparse_moe.experts.{e}.w{w}.weight",
)


def _stack_experts(tensors, params):
    """The matrices of all experts of a layer become one, at the end of the model."""
    for i in range(params.n_layer if params.n_experts else 0):
        for w in (1, 2, 3):
            parts = []
            for e in range(params.n_experts):
                names = [name.format(i=i, e=e, w=w) for name in EXPERTS]
                name = next((name for name in names if name in tensors), None)
                if name is None:
                    raise ConvertError(f"Expert tensor not found: {names[0]}")
                parts.append(tensors.pop(name))
            if any((part.shape, part.dtype) != (parts[0].shape, parts[0].dtype) for part in parts):
                raise ConvertError(f"layer {i}: the matrices w{w} of the experts differ in shape or type")
            tensors[f"layers.{i}.feed_forward.experts.w{w}.weight"] = stack(parts)
    return tensors


def _permute(tensors, params, log):
    """q and k from Hugging Face's order of rows to Meta's; a fused W_pack becomes three tensors at the end."""
    i = 0
    while True:
        prefix = f"model.layers.{i}.self_attn."
        q, k, v, pack = (f"{prefix}{name}.weight" for name in ("q_proj", "k_proj", "v_proj", "W_pack"))
        if q in tensors:
            tensors[q] = permuted(tensors[q], params.n_head)
            if k not in tensors:
                raise ConvertError(f"tensor {k} is missing")
            tensors[k] = permuted(tensors[k], params.n_head_kv)
        elif pack in tensors:
            whole = tensors.pop(pack)
            n = whole.shape[0] // 3
            tensors[q] = permuted(whole.rows(0, n), params.n_head)
            tensors[k] = permuted(whole.rows(n, 2 * n), params.n_head_kv)
            tensors[v] = whole.rows(2 * n, 3 * n)
        else:
            return tensors
        log.debug(f"Permuting layer {i}")
        i += 1


def _rename(tensors, params, skip_unknown, log):
    names, renamed = NameMap("llama", params.n_layer), {}
    for name, tensor in tensors.items():
        found = names.find(name)
        if found is None:
            if not skip_unknown:
                raise ConvertError(
                    f"Unexpected tensor name: {shorten(name)}. Use --skip-unknown to ignore it (e.g. LLaVA)"
                )
            log.warning(f"Unexpected tensor name: {shorten(name)} - skipping")
            continue
        target, kind = found
        if kind in DROPPED:
            log.debug(f"skipping tensor {target}")
            continue
        if target in renamed:
            raise ConvertError(f"tensor {shorten(name)}: another one is {target} already")
        log.debug(f"{name:48} -> {target:40} | {tensor.dtype:6} | {list(tensor.shape)}")
        renamed[target] = tensor
    return renamed


def stretched(source, dims, base):
    """(dims / 2) what the angles of Llama 3.1 are divided by: slow ones by `factor`, fast ones by 1."""
    factor, low, high = (
        source.number(name, kind=float, least=1e-9) for name in ("factor", "low_freq_factor", "high_freq_factor")
    )
    context = source.number("original_max_position_embeddings")
    if high <= low:
        raise ConvertError(f"{source.path}: high_freq_factor: found {high}, expected more than low_freq_factor, {low}")
    found = []
    for i in range(dims // 2):
        turns = context / (2 * math.pi * base ** (2 * i / dims))
        smooth = min(1.0, max(0.0, (turns - low) / (high - low)))
        found.append(1 / ((1 - smooth) / factor + smooth))
    return Tensor("F32", [np.array(found, "<f4")], origin="rope scaling of config.json")


# --- what the special tokens add

def add_special(out, vocabulary, found, log):
    """The end of the metadata. What only the tokenizer itself knows holds where the files say nothing."""
    for kind, id in vocabulary.special.items():
        found.ids.setdefault(kind, id)
    if vocabulary.first is not None and vocabulary.first == found.ids.get("bos"):
        found.flags.setdefault("bos", True)
    if vocabulary.merges:
        found.merges = vocabulary.merges
    special.write(found, out, log, want_merges=vocabulary.model == "gpt2")
