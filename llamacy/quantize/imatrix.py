"""Importance matrices: for each tensor, how much each of its columns matters.

    i32 n_entries | n_entries times: i32 length, name, i32 calls, i32 n, f32 value[n] | i32 chunks, i32 length, dataset

Little-endian, nothing aligned; the last part may be missing. A value is a sum of squared activations over `calls`
calls.
"""

import struct

from llamacy.errors import LlamacyError, one_line
from llamacy.quantize._rows import divided

MOST_BYTES = 127         # of a string in the output's metadata


class ImatrixError(LlamacyError):
    """The file cannot be used."""


class Imatrix:
    """path (str, as given); entries {tensor name: float32 view of means}; chunks; dataset (bytes, None: not told)."""

    def __init__(self, path, entries, chunks=0, dataset=None):
        self.path = path
        self.entries = entries
        self.chunks = chunks
        self.dataset = dataset

    def filtered(self, include=(), exclude=()):
        """Another one, with only the entries whose names contain one of `include` (if any) and none of `exclude`."""
        kept = {name: values for name, values in self.entries.items()
                if not any(part in name for part in exclude)
                and (not include or any(part in name for part in include))}
        return Imatrix(self.path, kept, self.chunks, self.dataset)

    def metadata(self):
        """[(key, kind, value)] for the output, in order."""
        rows = [("quantize.imatrix.file", "str", self.path.encode("utf-8", "surrogateescape")[:MOST_BYTES])]
        if self.dataset:
            rows.append(("quantize.imatrix.dataset", "str", self.dataset[:MOST_BYTES]))
        rows.append(("quantize.imatrix.entries_count", "i32", len(self.entries)))
        if self.chunks > 0:
            rows.append(("quantize.imatrix.chunks_count", "i32", self.chunks))
        return rows


class Cursor:
    """Reads a file's bytes front to back. Nothing is taken that is not there."""

    def __init__(self, data):
        self.data = memoryview(data)
        self.at = 0

    def take(self, n):
        """The next n bytes, or None."""
        if not 0 <= n <= len(self.data) - self.at:
            return None
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self):
        """The next i32; -1 if there is none (every number here is a count)."""
        raw = self.take(4)
        return -1 if raw is None else struct.unpack("<i", raw)[0]


def load(path):
    """Imatrix of a file. Errors  ImatrixError, which says where the file is wrong."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as exc:
        raise ImatrixError(f"failed to open {one_line(path)}: {exc.strerror}") from None
    cursor = Cursor(data)
    n_entries = cursor.number()
    if n_entries < 1:
        raise ImatrixError(f"no data in file {one_line(path)}")
    entries = {}
    for i in range(n_entries):
        name, values = _entry(cursor, i, path)
        entries[name] = values
    chunks, dataset = _trailer(cursor, path)
    return Imatrix(path, entries, chunks, dataset)


def _trailer(cursor, path):
    """(chunks, dataset); (0, None) if there is no trailer."""
    if cursor.at == len(cursor.data):
        return 0, None
    chunks = cursor.number()
    dataset = cursor.take(cursor.number())
    if dataset is None:
        raise ImatrixError(f"failed reading the name of the dataset from {one_line(path)}")
    return chunks, bytes(dataset)


def _entry(cursor, i, path):
    """(name, values) of entry i."""
    name = cursor.take(cursor.number())
    if not name:
        raise ImatrixError(f"failed reading name for entry {i + 1} from {one_line(path)}")
    calls, n = cursor.number(), cursor.number()
    if n < 1:
        raise ImatrixError(f"failed reading number of values for entry {i}")
    raw = cursor.take(4 * n)
    if raw is None:
        raise ImatrixError(f"failed reading data for entry {i}")
    name = bytes(name).partition(b"\0")[0].decode("utf-8", "surrogateescape")
    values = divided(raw, calls)
    if values is None:
        raise ImatrixError(f"entry {i} ({one_line(name)}) holds a value that is not a finite number of at least 0")
    return name, values
