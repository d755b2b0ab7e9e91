"""A file that appears whole or not at all."""

import os
import stat


class AtomicFile:
    """Writes beside `path` under a temporary name; `commit` makes it `path`, `abort` makes it nothing.

    A symbolic link stays one: the file it points to is replaced. A device or a pipe (/dev/null) is written directly.
    """

    def __init__(self, path):
        self.path = os.path.realpath(path)
        try:
            mode = os.stat(self.path).st_mode
        except FileNotFoundError:
            mode = None
        if mode is None or stat.S_ISREG(mode):
            self.temporary, fd = _create_beside(self.path)
            if mode is not None:
                os.fchmod(fd, stat.S_IMODE(mode))
        else:
            self.temporary, fd = None, os.open(self.path, os.O_WRONLY)
        self._file = open(fd, "wb")
        self.write = self._file.write

    def commit(self):
        """The bytes are on the disk before the name is. Errors  OSError: then nothing has changed under `path`."""
        try:
            self._file.flush()
            if self.temporary:
                os.fsync(self._file.fileno())
            self._file.close()
            if self.temporary:
                os.replace(self.temporary, self.path)
                self.temporary = None
                _sync_folder(os.path.dirname(self.path))
        except BaseException:
            self.abort()
            raise

    def abort(self):
        """Leave nothing behind. Does nothing after `commit`."""
        try:
            self._file.close()
        except OSError:
            pass  # the disk is full: what could not be flushed is thrown away with the rest
        if self.temporary:
            os.unlink(self.temporary)
            self.temporary = None


def _create_beside(path):
    """(name, descriptor) of a new file in the same folder, so that it can be renamed to `path`."""
    folder = os.path.dirname(path)
    for i in range(1000):
        name = os.path.join(folder, f".llamacy-{os.getpid()}-{i}.tmp")
        try:
            return name, os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        except OSError as exc:
            raise OSError(exc.errno, os.strerror(exc.errno), path) from None  # the name that the user knows
    raise FileExistsError(f"{folder}: too many unfinished files .llamacy-*.tmp")


def _sync_folder(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError:
        pass  # some file systems cannot; the file itself is safe
    finally:
        os.close(fd)
