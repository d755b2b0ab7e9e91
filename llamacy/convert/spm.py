"""SentencePiece vocabularies: tokenizer.model.

The file is one protobuf message. Of it a model needs field 1, the pieces: {1: text, 2: score, 3: type}; of field 3,
what is done to text first, a few flags. Reading these takes less than the library does, and a damaged file meets
checks, not C++.
"""

import os
import struct

from llamacy.convert.errors import ConvertError, NotHere
from llamacy.convert.files import read_bytes
from llamacy.convert.jsonfile import load_if_there
from llamacy.convert.vocabulary import (ADDED_SCORE, BYTE, CONTROL, MAX_TOKENS, NORMAL, UNKNOWN, UNUSED, USER_DEFINED,
                                        Vocabulary, ids_in_order)

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# a piece's type -> that of a token; pieces that a user defined count as normal
TYPES = {1: NORMAL, 2: UNKNOWN, 3: CONTROL, 4: NORMAL, 5: UNUSED, 6: BYTE}


def load(folder):
    """Vocabulary of a folder, or of the one above it. Errors  NotHere; ConvertError: not a SentencePiece file."""
    path, added_path = find(folder)
    vocabulary = Vocabulary("llama", "spm", path)
    pieces, _ = read(path)
    for text, score, piece_type in pieces:
        vocabulary.add(text, score, TYPES[piece_type])
    vocabulary.end_of_base()
    found = load_if_there(added_path) if added_path else None
    added = {text: id for text, id in (found or {}).items() if type(id) is not int or id >= len(pieces)}
    for text in ids_in_order(added, len(pieces), added_path):
        vocabulary.add(text, ADDED_SCORE, USER_DEFINED)
    return vocabulary


def find(folder):
    """(tokenizer.model, added_tokens.json or None) of a folder or a file's; added tokens only beside it."""
    here = os.path.join(folder, "tokenizer.model")
    if os.path.exists(here):
        return here, os.path.join(folder, "added_tokens.json")
    above = os.path.join(os.path.dirname(os.path.normpath(folder)) or ".", "tokenizer.model")
    if os.path.exists(above):
        return above, None
    raise NotHere(f"{folder}: no tokenizer.model")


def is_sentencepiece(path):
    """A rough look: the first field is a piece, and its message begins with a text."""
    head = read_bytes(path)[:16]
    return len(head) > 2 and head[0] == 0x0A and 0x0A in head[2:4]


class Normalizer:
    """What is done to text first. rule: a table of characters; adds_prefix: a space; drops_spaces: but for one."""

    def __init__(self, fields=()):
        found = {number: value for number, kind, value in fields if kind in (VARINT, BYTES)}
        self.rule = str(found.get(1, b"identity"), "utf-8")
        self.adds_prefix = bool(found.get(3, 1))
        self.drops_spaces = bool(found.get(4, 1))

    @property
    def changes_text(self):
        """True if it does what readers of GGUF files do not."""
        return self.drops_spaces or self.rule != "identity"


def read(path):
    """([(text, score, type)], Normalizer). Errors  ConvertError."""
    raw = read_bytes(path)
    pieces, normalizer = [], Normalizer()
    try:
        for number, kind, value in _fields(raw):
            if number == 1 and kind == BYTES:
                pieces.append(_piece(value))
            elif number == 3 and kind == BYTES:
                normalizer = Normalizer(_fields(value))
    except (IndexError, struct.error, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ConvertError(f"{path}: not a SentencePiece model: {error}") from None
    if not 0 < len(pieces) <= MAX_TOKENS:
        raise ConvertError(f"{path}: not a SentencePiece model: found {len(pieces)} pieces")
    return pieces, normalizer


def _piece(raw):
    text, score, type = b"", 0.0, 1
    for number, kind, value in _fields(raw):
        if (number, kind) == (1, BYTES):
            text = bytes(value)
            text.decode()
        elif (number, kind) == (2, FIXED32):
            score, = struct.unpack("<f", value)
        elif (number, kind) == (3, VARINT):
            type = value
    if type not in TYPES:
        raise KeyError(f"a piece of type {type}")
    return text, score, type


def _fields(raw):
    """Yield (number, kind, value) of a message: an int, or a memoryview of the bytes."""
    raw, at = memoryview(raw), 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(raw, at)
            yield number, kind, value
            continue
        if kind == BYTES:
            n, at = _varint(raw, at)
        elif kind in (FIXED32, FIXED64):
            n = 4 if kind == FIXED32 else 8
        else:
            raise IndexError(f"a field of kind {kind} at byte {at}")
        if n > len(raw) - at:
            raise IndexError(f"a field of {n} bytes at byte {at}, {len(raw) - at} are left")
        yield number, kind, raw[at:at + n]
        at += n


def _varint(raw, at):
    value = 0
    for i in range(10):
        byte = raw[at + i]
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise IndexError(f"a number without an end at byte {at}")
