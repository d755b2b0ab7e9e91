"""BERT and models like it, which make vectors of texts."""

import json
import os

from llamacy.convert.errors import ConvertError, shorten
from llamacy.convert.files import read_bytes
from llamacy.convert.hf.base import Model
from llamacy.convert.jsonfile import load_if_there
from llamacy.convert.output import F32

MEAN, CLS = 1, 2


class Bert(Model):
    arch = "bert"
    vocabularies = ("bert",)
    skipped = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")

    def keys(self):
        yield from self.usual_keys()
        yield "attention.causal", False
        yield "pooling_type", self._pooling()
        yield "tokenizer.ggml.token_type_count", 2

    def _pooling(self):
        """From the files of the sentence-transformers library, if they are there."""
        path = os.path.join(self.folder, "modules.json")
        if not os.path.exists(path):
            return None
        try:
            modules = json.loads(read_bytes(path))
            folder = next(
                (module["path"] for module in modules if module["type"] == "sentence_transformers.models.Pooling"), None
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ConvertError(f"{path}: expected a list of objects with type and path") from None
        if not isinstance(folder, str) or os.path.isabs(folder) or ".." in folder.split("/"):
            return None
        pooling = load_if_there(os.path.join(self.folder, folder, "config.json")) or {}
        if pooling.get("pooling_mode_mean_tokens"):
            return MEAN
        if pooling.get("pooling_mode_cls_token"):
            return CLS
        raise ConvertError(f"{self.folder}: pooling: only the mean of all tokens or the CLS token can be written")

    def type_of(self, name, target, tensor):
        matrix = len(tensor.shape) == 2 and name.endswith(".weight") and target != "token_types.weight"
        return self.type if matrix else F32


class NomicBert(Bert):
    arch = "nomic-bert"
    EXPECTED = {"activation_function": "swiglu", "causal": False, "qkv_proj_bias": False, "mlp_fc1_bias": False,
                "mlp_fc2_bias": False, "prenorm": False, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False}

    def keys(self):
        for name, expected in self.EXPECTED.items():
            if name in self.config.values and self.config.values[name] != expected:
                raise ConvertError(
                    f"{self.config.path}: {name}: found {shorten(self.config.values[name])}, expected {expected}"
                )
        for key, value in super().keys():
            yield key, 2048 if key == "context_length" else value
        yield "rope.freq_base", self.real("rotary_emb_base")
