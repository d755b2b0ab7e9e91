"""Vocabularies with merges: vocab.json with merges.txt, tokenizer.json, and fast Llama tokenizers (hfft)."""

import os
import re

from llamacy.convert.errors import ConvertError, NotHere, shorten
from llamacy.convert.jsonfile import load, load_if_there
from llamacy.convert.special import special_texts
from llamacy.convert.vocabulary import ADDED_SCORE, BYTE, CONTROL, NORMAL, USER_DEFINED, Vocabulary, ids_in_order


def load_bpe(folder):
    """Vocabulary of byte-level BPE. Errors  NotHere: none in the folder; ConvertError."""
    base_path = os.path.join(folder, "vocab.json")
    if os.path.exists(base_path):
        base, added = load(base_path), load_if_there(os.path.join(folder, "added_tokens.json")) or {}
    else:
        base_path = os.path.join(folder, "tokenizer.json")
        tokenizer = Tokenizer(base_path)
        if not tokenizer.is_byte_level:
            raise NotHere(f"{base_path}: not a byte-level BPE tokenizer")
        base, added = tokenizer.vocab, {text: id for text, id in tokenizer.added.items() if text not in tokenizer.vocab}
    vocabulary = Vocabulary("gpt2", "bpe", base_path, added=(CONTROL, ADDED_SCORE))
    for text in ids_in_order(base, 0, base_path):
        vocabulary.add(text, 0.0, NORMAL)
    vocabulary.end_of_base()
    for text in ids_in_order(added, len(base), base_path):
        vocabulary.add(text, ADDED_SCORE, CONTROL)
    return vocabulary


def load_hfft(folder):
    """Vocabulary of a fast Llama tokenizer: SentencePiece's texts in a tokenizer.json. Errors as above."""
    path = os.path.join(folder, "tokenizer.json")
    tokenizer = Tokenizer(path)
    if tokenizer.is_llama3:
        raise ConvertError(f"{path}: Llama 3 must be converted with --vocab-type bpe")
    if not tokenizer.is_llama:
        raise NotHere(f"{path}: not a fast Llama tokenizer")
    special = special_texts(folder)
    vocabulary = Vocabulary("llama", "hfft", path)
    for text in ids_in_order(tokenizer.vocab, 0, path):
        is_byte = re.fullmatch(r"<0x[0-9A-Fa-f]{2}>", text)
        vocabulary.add(text, ADDED_SCORE, BYTE if is_byte else CONTROL if text in special else NORMAL)
    vocabulary.end_of_base()
    n = len(vocabulary)
    added = {text: id for text, id in tokenizer.added.items() if id >= n}
    for text in ids_in_order(added, n, path):
        vocabulary.add(text, ADDED_SCORE, CONTROL if text in special else USER_DEFINED)
    return vocabulary


class Tokenizer:
    """A tokenizer.json: values (all of it), vocab {text: id}, added {text: id}. Errors  NotHere, ConvertError."""

    def __init__(self, path):
        if not os.path.exists(path):
            raise NotHere(f"{path}: no such file")
        self.path = path
        self.values = load(path)
        self.model = self._object("model")
        self.vocab = self.model.get("vocab")
        self.added = {}
        self.special_added = set()
        added = self.values.get("added_tokens") or []
        for token in added if isinstance(added, list) else [added]:
            if (
                not isinstance(token, dict)
                or not isinstance(token.get("content"), str)
                or type(token.get("id")) is not int
            ):
                raise ConvertError(
                    f"{path}: added_tokens: found {shorten(token)}, expected an object with content and id"
                )
            self.added.setdefault(token["content"], token["id"])
            if token.get("special"):
                self.special_added.add(token["content"])
        if self.model.get("type") == "BPE" and not isinstance(self.vocab, dict):
            raise ConvertError(f"{path}: model.vocab: found {type(self.vocab).__name__}, expected an object")

    def _object(self, name):
        value = self.values.get(name)
        return value if isinstance(value, dict) else {}

    @property
    def is_byte_level(self):
        return (self.model.get("type") == "BPE" and not self.model.get("byte_fallback")
                and self._object("decoder").get("type") == "ByteLevel")

    @property
    def is_llama3(self):
        return (self.model.get("type") == "BPE" and bool(self.model.get("ignore_merges"))
                and self.model.get("byte_fallback") is False)

    @property
    def is_llama(self):
        return (self.model.get("type") == "BPE" and bool(self.model.get("byte_fallback"))
                and self._object("decoder").get("type") == "Sequence")


def merges_of(values, path, pairs=True):
    """Merges of a tokenizer.json as a list of 'a b', None if it has none. pairs: lists of two are merges as well."""
    merges = (values.get("model") or {}).get("merges") if isinstance(values.get("model"), dict) else None
    if not isinstance(merges, list) or not merges or (not pairs and not isinstance(merges[0], str)):
        return None
    found = []
    for merge in merges:
        if (
            isinstance(merge, list)
            and len(merge) == 2
            and all(isinstance(part, str) and " " not in part for part in merge)
        ):
            merge = " ".join(merge)
        if not isinstance(merge, str):
            raise ConvertError(f"{path}: model.merges: found {shorten(merge)}, expected two texts")
        found.append(merge)
    return found
