"""A model in several files: PREFIX-00001-of-00003.gguf and so on, each a GGUF file of its own.

    split.no             u16, from 0     only the first part has the model's metadata
    split.count          u16
    split.tensors.count  i32             tensors of all parts together
"""

import os

from llamacy.errors import GGUFError

NO, COUNT, TENSORS = "split.no", "split.count", "split.tensors.count"
TYPES = {NO: "u16", COUNT: "u16", TENSORS: "i32"}


def split_name(prefix, no, count):
    """Name of part `no` (from 0) of `count`."""
    return f"{prefix}-{no + 1:05d}-of-{count:05d}.gguf"


def split_prefix(path, no, count):
    """The part of `path` before -0000N-of-0000M.gguf, or None if it does not end so or nothing stands before."""
    suffix = split_name("", no, count)
    return path[:-len(suffix)] if path.endswith(suffix) and len(path) > len(suffix) else None


def split_key(file, key):
    """The value of one of the three keys, or None. GGUFError: it has another type."""
    return file.scalar(key, TYPES[key])


def other_parts(first, open_part):
    """Open the parts behind `first` (a part); `open_part(path, number)` makes one. Returns [] if the model is one file.

    Errors  GGUFError: not the first part, a name or a key that does not fit, tensors missing or there twice.
            OSError: a part cannot be opened.
    """
    count = split_key(first, COUNT)
    if count is None or count < 2:
        return []
    no = split_key(first, NO)
    if no is None:
        raise first.error(NO, f"key not found in model: {NO}, expected it beside {COUNT}")
    if no != 0:
        raise first.error(NO, f"illegal split file: {no}, model must be loaded with the first split")
    prefix = split_prefix(first.path, 0, count)
    if prefix is None:
        raise first.error(COUNT, f"invalid split file: {first.path}, expected a name that ends in "
                                 f"{split_name('', 0, count)}")
    parts = []
    for no in range(1, count):
        parts.append(_open(split_name(prefix, no, count), no, count, first, open_part))
    _check_tensors([first, *parts])
    return parts


def _open(path, no, count, first, open_part):
    try:
        part = open_part(path, no)
    except OSError as exc:
        text = f"failed to load GGUF split {no + 1} of {count}: {os.strerror(exc.errno)}"
        raise OSError(exc.errno, text, path) from None
    for key, expected in ((NO, no), (COUNT, count)):
        found = split_key(part, key)
        if found != expected:
            raise part.error(key, f"found {'no such key' if found is None else found}, expected {expected}: "
                                  f"the file does not belong to {first.path}")
    if part.header.byteorder != first.header.byteorder:
        raise GGUFError(path, 4, "version", f"found a {part.header.byteorder}-endian file, but {first.path} is "
                                            f"{first.header.byteorder}-endian")
    return part


def _check_tensors(parts):
    expected = split_key(parts[0], TENSORS)
    if expected is None:
        raise parts[0].error(TENSORS, f"key not found in model: {TENSORS}, expected it beside {COUNT}")
    seen = {}
    for part in parts:
        for tensor in part.header.tensors:
            if tensor.name in seen:
                raise part.error(f"tensor '{tensor.name}'", f"invalid model: tensor '{tensor.name}' is duplicated, "
                                                            f"it is also in {seen[tensor.name]}")
            seen[tensor.name] = part.path
    if len(seen) != expected:
        raise parts[0].error(TENSORS, f"corrupted model: {expected} tensors expected but {len(seen)} found")
