"""A file in memory, read-only."""

import errno
import os
import stat

from llamacy.errors import GGUFError
from llamacy.gguf._mapped import Mapped


def map_file(path):
    """memoryview of the whole file, mapped read-only; the mapping goes with the last view of it.

    OSError: cannot be read. GGUFError: not a file with bytes in it.

    The size is that of this moment. If another process cuts the file short later, what is missing reads as zeros, and
    check_whole says so.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # O_NONBLOCK: a named pipe would wait for its writer
    try:
        info = os.fstat(fd)
        if stat.S_ISDIR(info.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(info.st_mode):
            raise GGUFError(path, None, "file", "found a device, pipe or socket, expected a regular file")
        if info.st_size == 0:
            raise GGUFError(path, 0, "magic", "the file is empty, expected 'GGUF'")
        try:
            return memoryview(Mapped(fd, info.st_size))
        except OSError as exc:
            raise OSError(exc.errno, f"cannot be mapped: {os.strerror(exc.errno)}", path) from None
    finally:
        os.close(fd)


def check_whole(path, view):
    """Errors  GGUFError: the file behind a view of map_file has become shorter."""
    if not view.obj.whole():
        raise GGUFError(path, None, "file", "became shorter while it was in use")
