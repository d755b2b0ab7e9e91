"""Llama 3's own tokenizer.model: lines of `base64 rank`, as the tiktoken library reads them.

The library's reader keeps a copy of every file it has seen under a name made of the path, and would go on using that
copy after the file has changed; the format is two words a line, so it is read here, and the library is what --verify
asks.
"""

import base64
import binascii
import os

from llamacy.convert.errors import ConvertError, NotHere, shorten
from llamacy.convert.files import read_bytes
from llamacy.convert.vocabulary import ADDED_SCORE, CONTROL, NORMAL, Vocabulary

N_RESERVED = 251
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", *(f"<|reserved_special_token_{i}|>" for i in range(4)),
           "<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>", "<|eot_id|>",
           *(f"<|reserved_special_token_{i}|>" for i in range(5, N_RESERVED))]
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")
MAX_TOKEN = 1 << 10  # bytes


def find(folder):
    """The path of a rank file in a folder, or None."""
    path = os.path.join(folder, "tokenizer.model")
    return path if os.path.isfile(path) and is_ranks(path) else None


def is_ranks(path):
    """A look at the first line."""
    words = read_bytes(path)[:2 * MAX_TOKEN].split(b"\n", 1)[0].split()
    return len(words) == 2 and words[1].isdigit() and _token(words[0]) is not None


def load(folder, n_vocab=None):
    """Vocabulary with merges. n_vocab: of the model, so that there are as many special tokens as it has room for."""
    path = find(folder)
    if path is None:
        raise NotHere(f"{folder}: no tokenizer.model of ranks")
    ranks = read(path)
    vocabulary = Vocabulary(
        "gpt2", "tiktoken", path, added=(CONTROL, ADDED_SCORE), merges=merges(ranks), pre="llama-bpe"
    )
    letters = byte_letters()
    for token in ranks:
        vocabulary.add("".join([letters[byte] for byte in token]), 0.0, NORMAL)
    vocabulary.end_of_base()
    for text in SPECIAL[:max(2, (n_vocab or len(ranks) + len(SPECIAL)) - len(ranks))]:
        vocabulary.add(text, ADDED_SCORE, CONTROL)
    vocabulary.special = {"bos": len(ranks), "eos": len(ranks) + 1}
    return vocabulary


def read(path):
    """{token: rank}, in the order of ranks, which are 0, 1, 2, ... Errors  ConvertError."""
    ranks = {}
    for number, line in enumerate(read_bytes(path).split(b"\n"), 1):
        if not line.strip():
            continue
        words = line.split()
        token = _token(words[0]) if len(words) == 2 else None
        if token is None or words[1] != b"%d" % len(ranks) or token in ranks:
            raise ConvertError(
                f"{path}: line {number}: found {shorten(line)}, expected a new token in base64 and the rank "
                f"{len(ranks)}"
            )
        ranks[token] = len(ranks)
    if not all(bytes([byte]) in ranks for byte in range(256)):
        raise ConvertError(f"{path}: not every byte is a token")
    return ranks


def _token(word):
    try:
        token = base64.b64decode(word, validate=True)
    except binascii.Error:
        return None
    return token if 0 < len(token) <= MAX_TOKEN else None


def merges(ranks):
    """Every way to make a token of two others, in the order in which the tokens are made: the same words come out."""
    letters = byte_letters()
    found = []
    for token in ranks:
        halves = []
        for i in range(1, len(token)):
            left, right = ranks.get(token[:i]), ranks.get(token[i:])
            if left is not None and right is not None:
                halves.append((left, right, i))
        for _, _, i in sorted(halves):
            found.append(f"{''.join([letters[b] for b in token[:i]])} {''.join([letters[b] for b in token[i:]])}")
    return found


def byte_letters():
    """The printable character that stands for each byte in vocabularies of GPT-2's kind."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]
