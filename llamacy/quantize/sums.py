"""What an importance matrix is made of: sums of squared activations; collected, kept in files and combined."""

import struct
from array import array
from math import isfinite
from operator import add

from llamacy.errors import LlamacyError, ModelError, UsageError, one_line
from llamacy.gguf.output import AtomicFile
from llamacy.quantize.imatrix import Cursor, ImatrixError


class Sums:
    """values {tensor name: float32 array, experts one after another}; calls {tensor name: batches that went in}."""

    def __init__(self, values=None, calls=None):
        self.values = {} if values is None else values
        self.calls = dict.fromkeys(self.values, 0) if calls is None else calls

    @property
    def n_calls(self):
        """Batches that went into the tensor that got most."""
        return max(self.calls.values(), default=0)

    def add(self, other):
        """Add what another one has, tensor by tensor. Errors  UsageError: a tensor has another size there."""
        for name, values in other.values.items():
            own = self.values.get(name)
            if own is None:
                self.values[name] = array("f", values)
            elif len(own) != len(values):
                raise UsageError(f"{one_line(name)}: {len(values)} values, expected {len(own)}: "
                                 "the file is of another model")
            else:
                memoryview(own)[:] = array("f", map(add, own, values))       # in place: C may hold the array
            self.calls[name] = self.calls.get(name, 0) + other.calls[name]

    def collected(self):
        """[(name, calls, values)] of the tensors that saw data.

        Errors  ModelError: a sum is infinite or not a number. LlamacyError: there are none.
        """
        rows = []
        for name, values in self.values.items():
            total = sum(values)
            if not isfinite(total):
                raise ModelError(f"{one_line(name)}: the sum of its squared inputs is {total}: the model is damaged, "
                                 "or its numbers do not fit")
            if total > 0 and self.calls[name] > 0:
                rows.append((name, self.calls[name], values))
        if not rows:
            raise LlamacyError("no data were collected")
        return rows

    def save(self, path, dataset=b""):
        """Write a file: all of it or, after an error, nothing. Errors  those of `collected`; OSError."""
        rows = self.collected()
        file = AtomicFile(path)
        try:
            file.write(struct.pack("<i", len(rows)))
            for name, calls, values in rows:
                raw = name.encode("utf-8", "surrogateescape")
                file.write(struct.pack(f"<i{len(raw)}sii", len(raw), raw, calls, len(values)))
                file.write(struct.pack(f"<{len(values)}f", *values))
            file.write(struct.pack(f"<ii{len(dataset)}s", self.n_calls, len(dataset), dataset))
            file.commit()
        except BaseException:
            file.abort()
            raise


def load(path):
    """Sums of a file. Errors  ImatrixError."""
    try:
        with open(path, "rb") as file:
            cursor = Cursor(file.read())
    except OSError as error:
        raise ImatrixError(f"failed to open {one_line(path)}: {error.strerror}") from None
    n_entries = cursor.number()
    if n_entries < 1:
        raise ImatrixError(f"no data in file {one_line(path)}")
    sums = Sums()
    for i in range(n_entries):
        name, calls, values = _entry(cursor, i, path)
        sums.values[name], sums.calls[name] = values, calls
    return sums


def _entry(cursor, i, path):
    name = cursor.take(cursor.number())
    if not name:
        raise ImatrixError(f"failed reading name for entry {i + 1} from {one_line(path)}")
    calls, n = cursor.number(), cursor.number()
    if n < 1 or calls < 0:
        raise ImatrixError(f"failed reading number of values for entry {i} from {one_line(path)}")
    raw = cursor.take(4 * n)
    if raw is None:
        raise ImatrixError(f"failed reading data for entry {i} from {one_line(path)}")
    values = array("f", struct.unpack(f"<{n}f", raw))
    if not all(value >= 0 and isfinite(value) for value in values):
        raise ImatrixError(f"entry {i} of {one_line(path)} holds a value that is not a finite number of at least 0")
    return bytes(name).partition(b"\0")[0].decode("utf-8", "surrogateescape"), calls, values


def coverage(values, slices):
    """How much of a tensor saw data: (experts with any, columns with any in those experts, columns of those)."""
    k = len(values) // slices
    seen = [sum(value > 0 for value in values[i * k:(i + 1) * k]) for i in range(slices)]
    used = [n for n in seen if n]
    return len(used), sum(used), len(used) * k
