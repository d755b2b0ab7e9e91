"""A file in memory, read-only."""

import errno
import mmap
import os
import stat

from llamacy.errors import GGUFError


def map_file(path):
    """memoryview of the whole file, mapped read-only; the mapping goes with the last view of it.

    OSError: cannot be read. GGUFError: not a file with bytes in it.

    The size is that of this moment: a file that another process cuts short later kills the reader (SIGBUS), as it does
    any program that maps files.
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
            return memoryview(mmap.mmap(fd, info.st_size, access=mmap.ACCESS_READ))
        except ValueError:
            raise GGUFError(path, None, "file", "the file was cut short while it was being opened") from None
        except OSError as exc:
            raise OSError(exc.errno, f"cannot be mapped: {os.strerror(exc.errno)}", path) from None
    finally:
        os.close(fd)
