"""Reading a GGUF file: metadata and tensor data straight from the mapped file, split files included."""

import os

from llamacy.errors import GGUFError
from llamacy.gguf import values
from llamacy.gguf._scan import scan, string_array
from llamacy.gguf.mapping import check_whole, map_file
from llamacy.gguf.types import ARRAY, STRING, VALUE_NAMES

CLOSED = memoryview(b"")  # reading from it raises ValueError
CLOSED.release()


class Part:
    """One file of a model: its mapping and what the scan found in it."""

    def __init__(self, path, shard=0):
        self.path = path
        self.view = map_file(path)
        try:
            self.header = scan(path, self.view, shard)
        finally:
            check_whole(path, self.view)

    def error(self, key, message):
        """The GGUFError to raise about the value of `key` (or any other field)."""
        value = self.header.values.get(key)
        return GGUFError(self.path, value and value.start, f"key '{key}'" if value else key, message)

    def wrong_type(self, key, expected):
        found = values.type_name(self.header.values[key])
        return self.error(key, f"key {key} has wrong type {found} but expected type {expected}")

    def load(self, value):
        """The value as Python knows it; arrays as lists."""
        if value.type == STRING:
            return bytes(self.view[value.start:value.start + value.nbytes])
        if value.type != ARRAY:
            return values.numbers(self.view, value, self.header.swap)[0]
        if value.elem == STRING:
            return list(self.strings(value))
        return values.numbers(self.view, value, self.header.swap).tolist()

    def shown(self, value):
        """bytes: the value as in the last column of the metadata dump."""
        if value.type != ARRAY:
            return values.shown(values.text(self.load(value)))
        if value.elem == STRING:
            head = string_array(self.path, self.view, value, self.header.swap, values.SHOWN)
        else:
            head = values.numbers(self.view, value, self.header.swap, values.SHOWN)
        return values.shown(values.array_text(head))

    def strings(self, value):
        return string_array(self.path, self.view, value, self.header.swap)

    def scalar(self, key, type):
        """The value of `key`, which must have the type named `type`; None if there is no such key."""
        value = self.header.values.get(key)
        if value is not None and VALUE_NAMES[value.type] != type:
            raise self.wrong_type(key, type)
        return None if value is None else self.load(value)

    def close(self):
        self.view = CLOSED  # the mapping goes with the last view of it that someone holds


class GGUFFile:
    """A model file, mapped read-only; with `splits`, the other parts of a split model too.

    Errors  OSError: the file, or a part of it, cannot be opened. GGUFError: its bytes are wrong, in any way; nothing is
            allocated from a number in the file before that was compared with the file's size.
    Differs from the reference, which accepts these or crashes. Refused: a key or a tensor that is there twice; keys and
            names that are empty, too long (65535 and 63 bytes), not UTF-8 or with a NUL; bools other than 0 and 1; an
            alignment that is no power of two or below 8; tensors that overlap, are unaligned or whose rows end inside
            a block; parts that say they belong elsewhere. Strings keep all their bytes, NUL too.
    """

    def __init__(self, path, *, splits=True):
        self.path = os.fsdecode(path)
        first = Part(self.path)
        self._parts = [first]
        self._values = first.header.values
        self.version = first.header.version
        self.byteorder = first.header.byteorder
        self.alignment = first.header.alignment
        if splits and "split.count" in self._values:
            from llamacy.gguf.split import other_parts
            self._parts += other_parts(first, Part)
        self.tensors = {t.name: t for part in self._parts for t in part.header.tensors}
        self.n_kv = len(self._values)
        self.n_tensors = len(self.tensors)
        self.n_splits = len(self._parts)

    # --- metadata

    def keys(self):
        """All keys of the first part, in file order."""
        return list(self._values)

    def __contains__(self, key):
        return key in self._values

    def __getitem__(self, key):
        return self._parts[0].load(self._values[key])

    def get(self, key, default=None):
        return self[key] if key in self._values else default

    def type_name(self, key):
        """u32, str, arr[str,32000]: as the metadata dump prints it."""
        return values.type_name(self._values[key])

    def kind(self, key):
        """int, float, bool, str or arr."""
        return values.kind(self._values[key])

    def elem_type(self, key):
        """Type of an array's elements: str, f32, i32 …"""
        return VALUE_NAMES[self._array(key).elem]

    def count(self, key):
        """Number of an array's elements."""
        return self._array(key).count

    def strings(self, key):
        """StringArray: where the strings of an array stand, none of them decoded."""
        return self._parts[0].strings(self._array(key, "str"))

    def numbers(self, key, elem=None):
        """memoryview of an array of numbers, read-only; of the element type `elem` ("f32") if that is given.

        It shows the file itself where it can (file in this machine's byte order, numbers aligned), else a copy.
        """
        value = self._array(key, elem)
        if value.elem == STRING:
            raise self._parts[0].wrong_type(key, "array of numbers")
        return values.numbers(self._parts[0].view, value, self._parts[0].header.swap)

    def _array(self, key, elem=None):
        value = self._values[key]
        if value.type != ARRAY or elem not in (None, VALUE_NAMES[value.elem]):
            raise self._parts[0].wrong_type(key, f"arr[{elem}]" if elem else "arr")
        return value

    def raw(self, key):
        """(type id, memoryview): a value byte for byte as in the file, with its length or its array header."""
        value = self._values[key]
        start = value.start - {STRING: 8, ARRAY: 12}.get(value.type, 0)
        return value.type, self._parts[0].view[start:value.start + value.nbytes]

    def format_value(self, key):
        """bytes: the last column of the metadata dump."""
        return self._parts[0].shown(self._values[key])

    # --- tensors

    def data(self, name):
        """memoryview 'B' of a tensor's bytes, read-only: the file itself, or a copy in this machine's byte order.

        Errors  KeyError: no such tensor. GGUFError: the file has the other byte order, the type no known layout in it.
        """
        tensor = self.tensors[name]
        part = self._parts[tensor.shard]
        raw = part.view[tensor.offset:tensor.offset + tensor.nbytes]
        if not part.header.swap:
            return raw
        from llamacy.gguf.byteorder import swap_data
        try:
            return memoryview(swap_data(raw, tensor.type)).toreadonly()
        except ValueError as exc:
            raise GGUFError(part.path, tensor.offset, f"tensor '{name}'",
                            f"{exc}, the file is {self.byteorder}-endian") from None

    def mapping(self, shard=0):
        """memoryview 'B' of all bytes of one part."""
        return self._parts[shard].view[:]

    def part_path(self, shard):
        """Path of one part."""
        return self._parts[shard].path

    def check(self):
        """Errors  GGUFError: a part has become shorter since it was opened; what was read from there since then is zeros."""
        for part in self._parts:
            if part.view is not CLOSED:
                check_whole(part.path, part.view)

    def close(self):
        """Give the mapping back. Views that were handed out stay valid and keep it until they are gone."""
        for part in self._parts:
            part.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
