"""Keys and values of the output: those of the input, with what has become different."""

from llamacy.engine.labels import TYPE_TO_FILE_TYPE
from llamacy.errors import UsageError
from llamacy.gguf import GGUFWriter
from llamacy.gguf.split import COUNT, NO, TENSORS
from llamacy.gguf.types import DEFAULT_ALIGNMENT, TYPES
from llamacy.gguf.writer import ALIGNMENT_KEY
from llamacy.quantize.model import guess_file_type

VERSION, FILE_TYPE = "general.quantization_version", "general.file_type"
QUANTIZATION_VERSION = 2
SPLIT_KEYS = (NO, COUNT, TENSORS)
STORED = {"float": "f32", "bool": "bool", "str": "str"}     # types of overridden values; integers: see below
INTEGERS = {"u8": (0, 255), "i8": (-128, 127), "u16": (0, 65535), "i16": (-32768, 32767), "u32": (0, 2**32 - 1),
            "i32": (-2**31, 2**31 - 1), "u64": (0, 2**64 - 1), "i64": (-2**63, 2**63 - 1)}


def pairs(gguf, settings, imatrix=None, warn=None):
    """{key: (kind, value)}, or {key: None} where the input's pair is copied; in file order.

    Errors  UsageError: an override that cannot be stored.
    """
    found = {key: None for key in gguf.keys()}
    found[VERSION] = "u32", QUANTIZATION_VERSION
    found[FILE_TYPE] = "u32", _file_type(gguf, settings, warn)
    for key in SPLIT_KEYS:
        found.pop(key, None)
    for key, kind, value in settings.overrides:
        found[key] = _overridden(gguf, found, key, kind, value)
    if imatrix is not None:
        found.update((key, (kind, value)) for key, kind, value in imatrix.metadata())
    return found


def split_pairs(no, count, n_tensors):
    """The keys that a part of a split model has, part `no` from 0."""
    return {NO: ("u16", no), COUNT: ("u16", count), TENSORS: ("i32", n_tensors)}


def _file_type(gguf, settings, warn):
    if settings.ftype.base is not None:
        return settings.ftype.id
    known = gguf.get(FILE_TYPE)
    if isinstance(known, int) and 0 <= known < 2**32:
        return known
    guess, unknown = guess_file_type(gguf, TYPE_TO_FILE_TYPE)
    if unknown is not None and warn:
        warn(f"unknown type {TYPES[unknown].name}")
    return guess


def _overridden(gguf, found, key, kind, value):
    """(kind, value) to be stored. An integer keeps the type that it had: readers insist on it."""
    if key in SPLIT_KEYS:
        raise UsageError(f"--override-kv: {key} says how a model is split and cannot be overridden")
    if kind != "int":
        return STORED[kind], value
    old = found[key][0] if found.get(key) else gguf.type_name(key) if key in gguf else "i32"
    kind = "u32" if key == ALIGNMENT_KEY else old if old in INTEGERS else "i32"
    low, high = INTEGERS[kind]
    if not low <= value <= high:
        raise UsageError(f"--override-kv: {key} is {value}, expected {low} to {high} (type {kind})")
    return kind, value


def add(writer, gguf, pairs):
    """Declare the pairs to a GGUFWriter. Errors  UsageError: a pair that no GGUF file can hold."""
    for key, pair in pairs.items():
        try:
            if pair is None:
                writer.copy(gguf, key)
            else:
                writer.add(key, *pair)
        except (ValueError, OverflowError) as exc:
            raise UsageError(f"--override-kv: {exc}") from None


class _Counter:
    """A file object that only counts."""

    def __init__(self):
        self.n = 0

    def write(self, data):
        self.n += len(data)


def measure(gguf, pairs, infos):
    """(bytes of a file's metadata and tensor infos, its alignment). infos: [(name, ne)]."""
    counter = _Counter()
    with GGUFWriter(counter, pad_header=False) as writer:
        add(writer, gguf, pairs)
        alignment = writer.alignment or DEFAULT_ALIGNMENT
    n = counter.n + sum(8 + len(name.encode()) + 4 + 8 * len(ne) + 4 + 8 for name, ne in infos)
    return n, alignment
