"""Metadata values: from the bytes of the file to Python, and to the text of the metadata dump."""

from llamacy.gguf.types import ARRAY, VALUE_FORMATS, VALUE_NAMES, VALUE_SIZES

SHOWN = 40  # bytes of a value in the dump; a longer one is cut and gets "...". No array has more elements in 40 bytes


def numbers(view, value, swap, most=None):
    """memoryview of the first `most` numbers of an array (or of a scalar) in this machine's byte order.

    view is the whole file. No copy if they stand at a multiple of their size, so that C code may read them as they are.
    """
    t = value.elem if value.type == ARRAY else value.type
    size = VALUE_SIZES[t]
    nbytes = value.nbytes if most is None else min(value.nbytes, most * size)
    raw = view[value.start:value.start + nbytes]
    if swap and size > 1:
        raw = memoryview(swap_elements(raw, size)).toreadonly()
    elif value.start % size:
        raw = memoryview(bytes(raw))
    return raw.cast(VALUE_FORMATS[t])


def swap_elements(raw, size):
    """bytearray: the elements of `size` bytes in `raw`, each turned round."""
    raw = bytes(raw)  # strided slices of bytes are much faster than those of a memoryview
    swapped = bytearray(len(raw))
    for i in range(size):
        swapped[i::size] = raw[size - 1 - i::size]
    return swapped


def type_name(value):
    """u32, str, arr[str,32000]: as the metadata dump prints it."""
    if value.type == ARRAY:
        return f"arr[{VALUE_NAMES[value.elem]},{value.count}]"
    return VALUE_NAMES[value.type]


def kind(value):
    """int, float, bool, str or arr."""
    name = VALUE_NAMES[value.type]
    if name in ("str", "arr", "bool"):
        return name
    return "float" if name[0] == "f" else "int"


def text(item):
    """A scalar as the dump prints it. Strings end at a NUL byte there, as the reference's do."""
    if isinstance(item, bytes):
        return item.partition(b"\0")[0]
    if isinstance(item, bool):
        return b"true" if item else b"false"
    return b"%f" % item if isinstance(item, float) else b"%d" % item


def array_text(items):
    """[a, b, "c"]"""
    return b"[" + b", ".join(quoted(item) if isinstance(item, bytes) else text(item) for item in items) + b"]"


def quoted(item):
    """A string inside an array."""
    return b'"' + text(item).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def shown(line):
    """The value's column of the dump: at most 40 bytes, without line breaks."""
    if len(line) > SHOWN:
        line = line[:SHOWN - 3] + b"..."
    return line.replace(b"\n", b"\\n")
