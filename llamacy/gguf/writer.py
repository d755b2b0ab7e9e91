"""Writing a GGUF file, byte for byte as the layout rules say.

    header, key-value pairs, tensor infos, zeros to a multiple of the alignment, then the data of each tensor, each with
    zeros to a multiple of the alignment behind it, the last one too. Offsets count from the start of the data.
"""

import struct
import sys

from llamacy.gguf.output import AtomicFile
from llamacy.gguf.types import (ARRAY, BOOL, DEFAULT_ALIGNMENT, MAGIC, MAX_DIMS, MAX_KEY, MAX_NAME, MIN_ALIGNMENT,
                                STRING, TYPES, VALUE_FORMATS, VALUE_NAMES, VERSIONS, align_up, row_bytes)
from llamacy.gguf.values import swap_elements

ALIGNMENT_KEY = "general.alignment"


class GGUFWriter:
    """Declare keys and tensors, then `write` the data of the tensors in that order, then `close`.

        with GGUFWriter("model.gguf") as w:
            w.add("general.architecture", "str", "llama")
            w.add_tensor("output_norm.weight", (64,), 0)
            w.write(data)

    A path gets its file only when all of it is on the disk (see AtomicFile); leaving the block by an exception leaves
    nothing. To a file object the bytes are written as they come, and it is not closed.

    byteorder   of metadata; tensor data are written as they are given, so the caller turns them (byteorder.swap_data).
    alignment   other than 32 is recorded as general.alignment, the first key. Adding that key later changes it too.
    pad_header  False: no zeros behind the metadata of a file without tensors.
    Errors      ValueError: a key, name, value, shape or an amount of data that cannot be in a GGUF file.
    """

    def __init__(self, target, *, byteorder="little", version=3, alignment=DEFAULT_ALIGNMENT, pad_header=True):
        if byteorder not in ("little", "big") or version not in VERSIONS:
            raise ValueError(f"byte order {byteorder!r}, version {version!r}: expected little or big, 2 or 3")
        self.byteorder = byteorder
        self.version = version
        self.alignment = DEFAULT_ALIGNMENT
        self._order = "<" if byteorder == "little" else ">"
        self._pad_header = pad_header
        self._records = {}  # key -> type and value as bytes
        self._tensors = []  # (name, ne, type, nbytes, data or None)
        self._names = set()
        self._next = None  # index of the tensor that is being written; None before the header is
        self._left = 0  # bytes of it still to come
        self._owned = not hasattr(target, "write")
        if alignment != DEFAULT_ALIGNMENT:
            self.add(ALIGNMENT_KEY, "u32", alignment)
        self._file = AtomicFile(target) if self._owned else target

    # --- metadata

    def add(self, key, kind, value):
        """Add a pair. kind: u8 … f64, bool, str, or arr:<one of these>. Strings are bytes or str.

        Arrays are sequences; a buffer with the right element type is taken without a look at its items.
        """
        if key == ALIGNMENT_KEY and (kind != "u32" or value < MIN_ALIGNMENT or value & (value - 1)):
            raise ValueError(f"{key}: found {kind} {value}, expected u32, a power of two, at least {MIN_ALIGNMENT}")
        self._add(key, self._encode(key, kind, value))
        if key == ALIGNMENT_KEY:
            self.alignment = value

    def copy(self, source, key):
        """Add a pair as it is in `source`, a GGUFFile, with all its bytes."""
        if source.byteorder != self.byteorder or key == ALIGNMENT_KEY:
            kind = f"arr:{source.elem_type(key)}" if source.kind(key) == "arr" else source.type_name(key)
            return self.add(key, kind, source[key])
        type, raw = source.raw(key)
        return self._add(key, self._pack("I", type) + bytes(raw))

    def _add(self, key, record):
        self._still_declaring()
        _identifier(key, MAX_KEY)
        if key in self._records:
            raise ValueError(f"{key}: duplicated key")
        self._records[key] = record

    def _encode(self, key, kind, value):
        array, elem = kind.startswith("arr:"), kind.removeprefix("arr:")
        if elem not in VALUE_NAMES or elem == "arr":
            raise ValueError(f"{key}: unknown kind {kind!r}")
        type = VALUE_NAMES.index(elem)
        try:
            body = self._items(type, value if array else [value])
        except (struct.error, OverflowError, TypeError) as exc:
            raise ValueError(f"{key}: the value does not fit {kind}: {exc}") from None
        return self._pack("IIQ", ARRAY, type, len(value)) + body if array else self._pack("I", type) + body

    def _items(self, type, items):
        if type == STRING:
            return b"".join([self._string(item) for item in items])
        if type == BOOL and not all(item in (0, 1) for item in items):
            raise TypeError("expected bools")
        code = VALUE_FORMATS[type]
        raw = None if isinstance(items, (list, tuple)) else _buffer(items, code)
        if raw is None:
            return struct.pack(f"{self._order}{len(items)}{code}", *items)
        return bytes(raw) if self.byteorder == sys.byteorder else swap_elements(raw, raw.itemsize)

    def _string(self, text):
        text = text.encode() if isinstance(text, str) else text
        return self._pack("Q", len(text)) + text

    def _pack(self, codes, *numbers):
        return struct.pack(self._order + codes, *numbers)

    # --- tensors

    def add_tensor(self, name, ne, type, data=None):
        """Declare a tensor. ne: 1 to 4 sizes, innermost first, written as given. type: a number of types.TYPES.

        data  the tensor's bytes; or None, or their number: then they are to come through `write`.
        """
        self._still_declaring()
        _identifier(name, MAX_NAME)
        ne = tuple(ne)
        if name in self._names:
            raise ValueError(f"{name}: duplicated tensor name")
        if not 1 <= len(ne) <= MAX_DIMS or min(ne) < 1 or type not in TYPES:
            raise ValueError(f"{name}: shape {ne} of type {type}, expected 1 to {MAX_DIMS} sizes of a known type")
        nbytes = row_bytes(type, ne[0])
        for n in ne[1:]:
            nbytes *= n
        if isinstance(data, int):
            found, data = data, None
        else:
            data = None if data is None else memoryview(data).cast("B")
            found = nbytes if data is None else len(data)
        if found != nbytes:
            raise ValueError(f"{name}: found {found} bytes, expected {nbytes} for {ne} of type {TYPES[type].name}")
        self._names.add(name)
        self._tensors.append((name, ne, type, nbytes, data))

    def write(self, data):
        """Append to the data of the tensor whose turn it is. Any pieces will do, but none of two tensors."""
        if self._next is None:
            self._begin()
        data = memoryview(data).cast("B")
        if self._next == len(self._tensors):
            raise ValueError(f"{len(data)} bytes of data, but all {len(self._tensors)} tensors are complete")
        name = self._tensors[self._next][0]
        if len(data) > self._left:
            raise ValueError(f"{name}: {len(data)} bytes of data, but only {self._left} are missing")
        self._file.write(data)
        self._left -= len(data)
        if self._left == 0:
            self._finish_tensor()

    def _begin(self):
        """Write the metadata and the tensors at the start whose data are here already."""
        infos = []
        offset = 0
        for name, ne, type, nbytes, _ in self._tensors:
            infos.append(self._string(name) + self._pack(f"I{len(ne)}QIQ", len(ne), *ne, type, offset))
            offset += align_up(nbytes, self.alignment)
        head = MAGIC + self._pack("IQQ", self.version, len(self._tensors), len(self._records))
        pairs = [self._string(key) + record for key, record in self._records.items()]
        head = b"".join([head, *pairs, *infos])
        self._file.write(head)
        if self._tensors or self._pad_header:
            self._file.write(bytes(-len(head) % self.alignment))
        self._next = -1
        self._advance()

    def _finish_tensor(self):
        self._file.write(bytes(-self._tensors[self._next][3] % self.alignment))
        self._advance()

    def _advance(self):
        """On to the next tensor whose data are still to come."""
        self._next += 1
        while self._next < len(self._tensors):
            nbytes, data = self._tensors[self._next][3:]
            if data is None:
                self._left = nbytes
                return
            self._file.write(data)
            self._file.write(bytes(-nbytes % self.alignment))
            self._next += 1

    def _still_declaring(self):
        if self._next is not None:
            raise ValueError("the header is written already: keys and tensors come before data")

    # --- the end

    def close(self):
        """Complete the file. ValueError: data are missing. OSError: disk full and the like. Either leaves no file."""
        if self._file is None:
            return
        try:
            if self._next is None:
                self._begin()
            if self._next < len(self._tensors):
                raise ValueError(f"{self._tensors[self._next][0]}: {self._left} bytes of data are missing")
            if self._owned:
                self._file.commit()
            self._file = None
        finally:
            self.abort()

    def abort(self):
        """Give up: nothing is left of the file. Does nothing after `close`."""
        if self._file is not None and self._owned:
            self._file.abort()
        self._file = None

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        if failed:
            self.abort()
        else:
            self.close()


def _buffer(items, code):
    """memoryview of `items` if they are contiguous numbers of that very type, else None."""
    try:
        raw = memoryview(items)
    except TypeError:
        return None
    return raw if raw.format == code and raw.contiguous else None


def _identifier(text, longest):
    """Check a key or a tensor name."""
    n = len(text.encode())
    if not 1 <= n <= longest or "\0" in text:
        raise ValueError(f"{text!r}: expected 1 to {longest} bytes without NUL")
