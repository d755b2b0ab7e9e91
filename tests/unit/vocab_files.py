"""Small vocabularies written to GGUF files: those of golden/tokens_small.json, and any other from its keys."""

import json

from llamacy.gguf import GGUFFile, GGUFWriter
from llamacy.vocab import Vocab

PREFIX = "tokenizer.ggml."
BYTE_TOKENS = [f"<0x{b:02X}>" for b in range(256)]

# An SPM vocabulary in which nothing is wrong, for tests to break: key -> (kind, value)
SPM = {
    "model": ("str", "llama"),
    "tokens": ("arr:str", ["<unk>", "<s>", "</s>", *BYTE_TOKENS, "a", "b", "ab"]),
    "scores": ("arr:f32", [0.0] * 262),
    "token_type": ("arr:i32", [2, 3, 3] + [6] * 256 + [1] * 3),
}


def golden(repo):
    """The recorded facts: dict."""
    return json.loads((repo / "tests/golden/tokens_small.json").read_text())


def write(path, keys, architecture="llama"):
    """Write a file with these keys: (kind, value), None for a key to leave out; names without a dot get the prefix."""
    with GGUFWriter(path) as w:
        w.add("general.architecture", "str", architecture)
        for name, item in keys.items():
            if item is not None:
                w.add(name if "." in name else PREFIX + name, *item)
    return path


def spm_of(path, tokens, types=None):
    """The Vocab of an SPM file with just these tokens."""
    keys = {"model": ("str", "llama"), "tokens": ("arr:str", tokens), "token_type": types and ("arr:i32", types)}
    return load(path, keys)


def load(path, keys, lookup=None, warn=None, **more):
    """The Vocab of a file with these keys."""
    return Vocab(GGUFFile(write(path, keys, **more)), lookup, warn)


def byte_characters():
    """The 256 characters that BPE writes bytes with, in order of the bytes."""
    others = iter(range(0x100, 0x200))
    return [chr(b if 0x21 <= b <= 0x7E or 0xA1 <= b <= 0xAC or b >= 0xAE else next(others)) for b in range(256)]


def bpe_keys(merges, extra=(), extra_types=(), pre="default"):
    """Keys of a BPE vocabulary: bytes, the joined merges, `extra`. BOS and EOS are <|endoftext|>, if that is there."""
    tokens = list(dict.fromkeys(byte_characters() + [merge.replace(" ", "", 1) for merge in merges])) + list(extra)
    end = tokens.index("<|endoftext|>") if "<|endoftext|>" in tokens else 0
    return {
        "model": ("str", "gpt2"), "pre": ("str", pre), "tokens": ("arr:str", tokens), "merges": ("arr:str", merges),
        "token_type": ("arr:i32", [1] * (len(tokens) - len(extra)) + list(extra_types)),
        "bos_token_id": ("u32", end), "eos_token_id": ("u32", end),
    }


def golden_keys(facts, name, pre=None):
    """Keys of a vocabulary of golden/tokens_small.json: spm, wpm, or bpe with a pre-type."""
    if name == "bpe":
        return bpe_keys(facts["bpe"]["merges"], facts["bpe"]["extra"], facts["bpe"]["extra_types"], pre)
    return {key: tuple(item) for key, item in facts[name]["keys"].items()}


def differences(vocab, texts, expected, add_special=True, parse_special=True):
    """One line for each text whose tokens are not the expected ones: both as pieces from the first that differs on."""
    lines = []
    for text, right in zip(texts, expected, strict=True):
        found = vocab.tokenize(text, add_special, parse_special)
        if found != right:
            same = next((i for i, (a, b) in enumerate(zip(found, right)) if a != b), min(len(found), len(right)))
            shown = [[(id, vocab.text(id)) for id in ids[same:same + 6]] for ids in (found, right)]
            lines.append(f"{text!r}: token {same}: found {shown[0]}, expected {shown[1]}")
    return lines
