"""Files, read with care: mapped ones may be large, others are text of a checkpoint and must not be."""

import mmap
import os
import stat

from llamacy.convert.errors import ConvertError

MAX_TEXT = 512 << 20  # bytes; the largest tokenizer.json known has 40 MB


def map_whole(path):
    """Read-only memoryview of a file. Errors  OSError; ConvertError: empty, or not a regular file."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        size = _regular_size(path, fd)
        if size == 0:
            raise ConvertError(f"{path}: the file is empty")
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ))
    finally:
        os.close(fd)


def read_bytes(path):
    """All of a file of text. Errors  OSError; ConvertError: not a regular file, or too large for what it should be."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        size = _regular_size(path, fd)
        if size > MAX_TEXT:
            raise ConvertError(f"{path}: {size} bytes, expected at most {MAX_TEXT}")
        return file.read(size)


def _regular_size(path, fd):
    info = os.fstat(fd)
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(21, "Is a directory", str(path))
    if not stat.S_ISREG(info.st_mode):
        raise ConvertError(f"{path}: found a device, pipe or socket, expected a regular file")
    return info.st_size
