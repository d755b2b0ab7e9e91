"""What all classes share: keys of the usual names, tensors as they are, types by shape.

Source  class Model of convert-hf-to-gguf.py, llama.cpp b2794.
"""

import os
import re

from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.names import NameMap
from llamacy.convert.output import F16, F32, Q8_0, Item
from llamacy.convert.params import Params, Source
from llamacy.convert.params import scaling as set_scaling
from llamacy.convert.tensor import permuted, stack

LAYERS = ("n_layers", "num_hidden_layers", "n_layer")
EMBEDDING, CONTEXT = ("hidden_size", "n_embd"), ("max_position_embeddings", "n_ctx")
FEED_FORWARD, HEADS = ("intermediate_size", "n_inner"), ("num_attention_heads", "n_head")
HEADS_KV = ("num_key_value_heads",)
NORM_EPS = ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")
SKIPPED = (".attention.masked_bias", ".attention.bias", ".attention.rotary_emb.inv_freq", ".rotary_emb.inv_freq")
KINDS = {int: "u32", float: "f32", bool: "bool", str: "str"}
FILE_TYPES = {F32: 0, F16: 1, Q8_0: 7}


class Model:
    """One model: its config and tensors.

    A subclass names its `arch` and its `vocabularies` (functions of hf/vocab.py, the first that is there counts), and
    overrides `keys`, what is written; `rearranged`, tensors under the names that convert/names.py knows; `type_of`.

    type  F32, F16 or Q8_0: of matrices
    """

    arch = None
    vocabularies = ("gpt2",)
    skipped = SKIPPED

    def __init__(self, checkpoint, values, type, log):
        self.folder = checkpoint.folder
        self.config = Source(os.path.join(checkpoint.folder, "config.json"), values)
        self.tensors = checkpoint.tensors
        self.type = type
        self.log = log

    # --- numbers

    def number(self, *names, **options):
        return self.config.number(*names, **options)

    def real(self, *names, least=0, **options):
        return self.config.number(*names, kind=float, least=least, **options)

    def inside(self, name):
        """Source of an object in the config."""
        return Source(self.config.path, self.config.object(name) or {})

    @property
    def n_layers(self):
        return self.number(*LAYERS)

    @property
    def n_embd(self):
        return self.number(*EMBEDDING)

    @property
    def n_heads(self):
        return self.number(*HEADS)

    @property
    def n_heads_kv(self):
        return self.number(*HEADS_KV, default=self.n_heads)

    def n_vocab(self, n_tokens):
        """Tokens of the model; n_tokens: of its tokenizer, if the config does not say."""
        return self.number("vocab_size", default=n_tokens)

    @property
    def folder_name(self):
        return os.path.basename(os.path.abspath(self.folder))

    # --- keys

    def metadata(self, out):
        """Add the keys of the model itself, without those of its vocabulary."""
        out.add("general.architecture", "str", self.arch)
        for key, value in self.keys():
            if value is None or value == "":
                continue
            if "." in key and key.split(".")[0] in ("general", "tokenizer"):
                out.add(key, KINDS[type(value)], value)
            else:
                out.add(f"{self.arch}.{key}", KINDS[type(value)], value)

    def keys(self):
        """Yield (key without the architecture's name, value); a value of None is left out."""
        yield from self.usual_keys()

    def usual_keys(self):
        yield "general.name", self.folder_name
        yield "block_count", self.n_layers
        yield "context_length", self.number(*CONTEXT, required=False)
        yield "embedding_length", self.n_embd
        yield "feed_forward_length", self.number(*FEED_FORWARD, required=False)
        yield "attention.head_count", self.n_heads
        yield "attention.head_count_kv", self.number(*HEADS_KV, required=False)
        yield "rope.freq_base", self.rope_base
        yield "attention.layer_norm_rms_epsilon", self.real("rms_norm_eps", required=False)
        yield "attention.layer_norm_epsilon", self.real(*NORM_EPS, required=False)
        yield "expert_count", self.number("num_local_experts", required=False)
        yield "expert_used_count", self.number("num_experts_per_tok", required=False)
        yield self.file_type()

    def file_type(self):
        return "general.file_type", FILE_TYPES[self.type]

    @property
    def rope_base(self):
        """Newer files have it inside an object."""
        return self.inside("rope_parameters").number("rope_theta", kind=float, least=0, required=False,
                                                     default=self.real("rope_theta", required=False))

    @property
    def scaling(self):
        """Params with what stretches the angles."""
        found = Params()
        for name in ("rope_parameters", "rope_scaling"):
            if self.config.values.get(name):
                set_scaling(found, self.inside(name))
                break
        return found

    def scaling_keys(self):
        found = self.scaling
        yield "rope.scaling.type", found.rope_scaling_type
        yield "rope.scaling.factor", found.f_rope_scale
        yield "rope.scaling.original_context_length", found.n_orig_ctx
        yield "rope.scaling.finetuned", found.rope_finetuned

    def special(self, found, vocabulary):
        """Change what the files say of special tokens."""

    def vocabulary_keys(self, out):
        """Add keys that stand behind the vocabulary's own."""

    # --- tensors

    def items(self):
        """The tensors of the file, in the order of the checkpoint. Errors  ConvertError: a name that is not known."""
        names, found = NameMap(self.arch, self.n_layers), {}
        for name, tensor in self.rearranged():
            target = self.target(names, name)
            if target in found:
                raise ConvertError(f"tensor {shorten(name)}: another one is {target} already")
            tensor = squeezed(tensor)
            found[target] = Item(target, self._fitting(self.type_of(name, target, tensor), tensor), tensor)
        return list(found.values())

    def target(self, names, name):
        found = names.find(name)
        if found is None:
            raise ConvertError(f"Can not map tensor {shorten(name)!r}")
        return found[0]

    def source(self):
        """Yield (name, tensor) of what is not skipped."""
        for name, tensor in self.tensors.items():
            if not name.endswith(self.skipped):
                yield name, tensor

    def rearranged(self):
        yield from self.source()

    def type_of(self, name, target, tensor):
        """F32 or the type of matrices. name: the tensor's before it was renamed."""
        matrix = len(tensor.shape) > 1
        if tensor.dtype == "F16":
            return self.type if matrix and not target.endswith("_norm.weight") else F32
        return self.type if len(tensor.shape) == 3 or matrix and name.endswith(".weight") else F32

    def _fitting(self, type, tensor):
        """Rows that do not divide into blocks stay F16."""
        return F16 if type == Q8_0 and tensor.shape[-1] % 32 else type


def squeezed(tensor):
    """Without sizes of 1; one stays if there is nothing else."""
    shape = tuple(n for n in tensor.shape if n != 1) or tensor.shape[:1]
    return tensor if shape == tensor.shape else tensor.rearranged(lambda a: a.reshape(shape), shape)


# --- what several classes do to tensors

def with_permuted(pairs, n_heads, n_heads_kv, q=".q_proj.weight", k=".k_proj.weight"):
    """q and k from the order of halves to that of pairs."""
    for name, tensor in pairs:
        if name.endswith(q):
            tensor = permuted(tensor, n_heads)
        elif name.endswith(k):
            tensor = permuted(tensor, n_heads_kv)
        yield name, tensor


def with_experts(pairs, n_experts, marker, kinds):
    """Matrices of experts become one per layer and kind, as soon as a layer has them all.

    marker  what stands before the number of the expert: a name is <start><marker><e>.<kind>
    kinds   {the end of a name: the new name's end}, in the order in which they come out; the new name is <start><new
    end>
    """
    waiting = {}
    for name, tensor in pairs:
        start, found, rest = name.partition(marker)
        number, _, kind = rest.partition(".")
        if not found or kind not in kinds or not re.fullmatch("[0-9]{1,6}", number):
            yield name, tensor
            continue
        layer = waiting.setdefault(start, {})
        layer[kind, int(number)] = tensor
        if len(layer) == n_experts * len(kinds):
            del waiting[start]
            for kind, new in kinds.items():
                yield start + new, _stacked(start + new, [layer.get((kind, e)) for e in range(n_experts)])
    if waiting:
        raise ConvertError(
            f"Unprocessed experts: {shorten(', '.join(waiting))}: not all {n_experts} of a layer are there"
        )


def _stacked(name, parts):
    if None in parts or any((part.shape, part.dtype) != (parts[0].shape, parts[0].dtype) for part in parts):
        raise ConvertError(f"{shorten(name)}: the experts differ in number, shape or type")
    return stack(parts)


def with_output(pairs, embedding):
    """The output matrix is the embedding's, if there is none of its own: a copy right behind it."""
    pairs = list(pairs)
    tied = not {"lm_head.weight", "output.weight"} & {name for name, _ in pairs}
    for name, tensor in pairs:
        yield name, tensor
        if tied and name == embedding:
            yield "output.weight", tensor
