"""Vocabularies as convert-hf-to-gguf.py writes them: the names of the functions are the kinds in docs/convert.md.

Each returns a Vocabulary, or raises NotHere if the folder has none of this kind. Differs: an unknown way to cut text is
an error that shows what differs.
"""

import os

from llamacy.convert import bpe, choose, pre, ranks, spm
from llamacy.convert.errors import ConvertError, NotHere
from llamacy.convert.jsonfile import load, load_if_there
from llamacy.convert.special import special_texts
from llamacy.convert.vocabulary import BYTE, CONTROL, MAX_TOKENS, NORMAL, UNUSED, USER_DEFINED, Vocabulary

MINUS = -1000.0


def find(model):
    """The first of the model's vocabularies that is there. Errors  ConvertError: none."""
    reasons = []
    for name in model.vocabularies:
        try:
            return RULES[name](model)
        except NotHere as error:
            reasons.append(str(error))
    raise ConvertError(f"{model.folder}: no vocabulary: {'; '.join(reasons)}")


# --- byte-level BPE

def gpt2(model):
    """tokenizer.json, or vocab.json and merges.txt; ids without a token are filled up."""
    base, added, special, path = _words(model.folder)
    vocabulary = Vocabulary("gpt2", "bpe", path)
    vocabulary.has_scores = False
    vocabulary.pre = _pre(model, path)
    vocabulary.first = choose.first_of(load(path)) if path.endswith("tokenizer.json") else None
    _fill(vocabulary, model, base, added, special)
    return vocabulary


def _words(folder):
    """(vocab {text: id}, added {text: id}, texts of special ones, path)"""
    path = os.path.join(folder, "tokenizer.json")
    if os.path.exists(path):
        tokenizer = bpe.Tokenizer(path)
        if tokenizer.model.get("type") not in ("BPE", "WordPiece") or not isinstance(tokenizer.vocab, dict):
            raise NotHere(f"{path}: not a tokenizer of words and merges")
        return tokenizer.vocab, tokenizer.added, tokenizer.special_added, path
    path = os.path.join(folder, "vocab.json")
    if not os.path.exists(path):
        raise NotHere(f"{folder}: no tokenizer.json and no vocab.json")
    added = load_if_there(os.path.join(folder, "added_tokens.json")) or {}
    return load(path), added, special_texts(folder), path


def _fill(vocabulary, model, base, added, special):
    texts = {}
    for text, id in [*base.items(), *added.items()]:
        if type(id) is not int or not 0 <= id < MAX_TOKENS:
            raise ConvertError(f"{vocabulary.path}: token {text[:80]!r}: id: found {str(id)[:80]}")
        texts[id] = text
    n = model.n_vocab(max(texts, default=-1) + 1)
    if max(texts, default=-1) >= n:
        raise ConvertError(f"{vocabulary.path}: id {max(texts)}, but the model has {n} tokens")
    for id in range(n):
        text = texts.get(id)
        if text is None:
            vocabulary.add(f"[PAD{id}]", 0.0, USER_DEFINED)
        elif text in added:
            vocabulary.add(text, 0.0, CONTROL if text in special else USER_DEFINED)
        else:
            vocabulary.add(text, 0.0, NORMAL)
    vocabulary.end_of_base()


def _pre(model, path):
    tokenizer = os.path.join(model.folder, "tokenizer.json")
    if values := load_if_there(tokenizer):
        return pre.recognise(tokenizer, values, model.arch)
    config = load_if_there(os.path.join(model.folder, "tokenizer_config.json")) or {}
    if config.get("tokenizer_class") in choose.GPT2_CLASSES:
        return "gpt-2"
    raise ConvertError(f"{path} does not tell how text is cut into words: a tokenizer.json does")


def bert(model):
    """WordPiece: beginnings of words are marked instead of their continuations."""
    base, added, special, path = _words(model.folder)
    vocabulary = Vocabulary("bert", "bpe", path)
    vocabulary.has_scores = False
    vocabulary.pre = _pre(model, path)
    _fill(vocabulary, model, base, added, special)
    vocabulary.texts = [_bert_text(text) for text in vocabulary.texts]
    return vocabulary


def _bert_text(text):
    if text.startswith(b"[") and text.endswith(b"]"):
        return text
    return text[2:] if text.startswith(b"##") else "▁".encode() + text


def qwen(model):
    """Ranks, as tiktoken has them, in qwen.tiktoken, and special tokens behind them."""
    path = os.path.join(model.folder, "qwen.tiktoken")
    if not os.path.exists(path):
        raise NotHere(f"{path}: no such file")
    found = ranks.read(path)
    vocabulary = Vocabulary("gpt2", "tiktoken", path, merges=ranks.merges(found), pre="qwen2")
    vocabulary.has_scores = False
    letters, n = ranks.byte_letters(), model.n_vocab(len(found) + len(QWEN_SPECIAL))
    special = {text: len(found) + i for i, text in enumerate(QWEN_SPECIAL) if len(found) + i < n}
    _fill(
        vocabulary,
        model,
        {"".join([letters[b] for b in token]): id for token, id in found.items()},
        special,
        set(special),
    )
    vocabulary.special = {kind: len(found) for kind in ("bos", "eos", "unk")}
    return vocabulary


QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{i}|>" for i in range(205))]


# --- SentencePiece

def sentencepiece(model):
    vocabulary = _pieces(model.folder)
    _append_added(vocabulary, model.folder)
    n = model.n_vocab(len(vocabulary))
    if n > MAX_TOKENS:
        raise ConvertError(f"{model.folder}: a vocabulary of {n}, expected at most {MAX_TOKENS}")
    for i in range(1, n - len(vocabulary) + 1):
        vocabulary.add(f"[PAD{i}]", MINUS, UNUSED)
    if len(vocabulary) != n:
        raise ConvertError(f"{vocabulary.path}: {len(vocabulary)} tokens, but the model has {n}")
    return vocabulary


def _pieces(folder):
    path = os.path.join(folder, "tokenizer.model")
    if not os.path.exists(path):
        raise NotHere(f"{path}: no such file")
    vocabulary = Vocabulary("llama", "spm", path, pre="default")
    pieces, vocabulary.normalizer = spm.read(path)
    for text, score, kind in pieces:
        vocabulary.add(text, score, spm.TYPES[kind])
    vocabulary.end_of_base()
    return vocabulary


def _append_added(vocabulary, folder):
    """Texts that are not there yet, in the order of the file."""
    known = set(vocabulary.texts)
    for text in load_if_there(os.path.join(folder, "added_tokens.json")) or {}:
        if text.encode("utf-8", "surrogatepass") not in known:
            vocabulary.add(text, MINUS, USER_DEFINED)


def llama_hf(model):
    """A fast Llama tokenizer."""
    path = os.path.join(model.folder, "tokenizer.json")
    if bpe.Tokenizer(path).is_llama3:
        raise NotHere(f"{path}: Llama 3's")
    vocabulary = bpe.load_hfft(model.folder)
    vocabulary.pre = "default"
    return vocabulary


def phi3(model):
    """Pieces, and added tokens at their own ids."""
    vocabulary = _pieces(model.folder)
    n = model.n_vocab(len(vocabulary))
    if not len(vocabulary) <= n <= MAX_TOKENS:
        raise ConvertError(f"{vocabulary.path}: {len(vocabulary)} tokens, but the model has {n}")
    for i in range(len(vocabulary), n):
        vocabulary.add(f"[PAD{i}]", -10000.0, 2)
    for text, id in (load_if_there(os.path.join(model.folder, "added_tokens.json")) or {}).items():
        if type(id) is int and 0 <= id < n:
            vocabulary.texts[id], vocabulary.scores[id], vocabulary.types[id] = text.encode(), MINUS, USER_DEFINED
    return vocabulary


def internlm2(model):
    """As SentencePiece; a NUL, which C programs take for the end of a text, has another name."""
    vocabulary = _pieces(model.folder)
    vocabulary.texts = ["🐉".encode() if text == b"\0" else text for text in vocabulary.texts]
    _append_added(vocabulary, model.folder)
    vocabulary.adds_space = vocabulary.normalizer.adds_prefix
    return vocabulary


def xverse(model):
    """A tokenizer.json of SentencePiece's texts, without scores."""
    base, added, special, path = _words(model.folder)
    vocabulary = Vocabulary("llama", "hfft", path, pre="default")
    vocabulary.has_scores = False
    _fill(vocabulary, model, base, added, special)
    for i, text in enumerate(vocabulary.texts):
        if len(text) == 6 and text.startswith(b"<0x") and text.endswith(b">"):
            vocabulary.types[i] = BYTE
    return vocabulary


RULES = {"gpt2": gpt2, "bert": bert, "qwen": qwen, "spm": sentencepiece, "llama_hf": llama_hf, "phi3": phi3,
         "internlm2": internlm2, "xverse": xverse}
