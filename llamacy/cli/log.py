"""The log: stderr for the user, main.log for later. stdout is never touched.

A TEE line goes to both, a LOG line to the file only. In the file each call, not each line, starts with
`[unix seconds] `.
"""

import os
import time

from .console import write_all


class Log:
    """Both channels. The file is made at the first use; where that fails stderr takes its place.

    `on` is False after --log-disable: then nothing is written, and nothing need be formatted for `log`.
    """

    def __init__(self, name="main", *, enabled=True, new=False, append=False):
        self.path = file_name(name, new)
        self.on = enabled
        self._append = append
        self._fd = None                            # None: not tried yet; -1: tried, and there is no file

    @classmethod
    def of(cls, params):
        """The log that the --log flags ask for."""
        return cls(params.log_file, enabled=params.log_enabled, new=params.log_new, append=params.log_append)

    def tee(self, text):
        """bytes, to stderr and the file."""
        if not self.on:
            return
        if self._file() != 2:
            write_stderr(text)
        self._stamped(text)

    def log(self, text):
        """bytes, to the file only."""
        if self.on:
            self._file()
            self._stamped(text)

    def start(self, argv, test=False):
        """The lines that every log begins with. argv: str, as sys.argv."""
        self.tee(b"Log start\n")
        self.log(command_line(argv))
        if test:
            self.tee(b"log test: a line for stderr and the log file\n")
            self.log(b"log test: a line for the log file only\n")

    def close(self):
        """Closing again does nothing; a line written later is lost to the file."""
        fd, self._fd = self._fd, -1
        if fd is not None and fd > 2:
            os.close(fd)

    def _file(self):
        """The descriptor of the file; 2 if it could not be made."""
        if self._fd is None:
            try:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC |
                                   (os.O_APPEND if self._append else os.O_TRUNC), 0o666)
            except OSError as error:
                write_stderr(b"Failed to open logfile '%b' with error '%b'\n"
                             % (os.fsencode(self.path), error.strerror.encode()))
                self._fd = 2
        return self._fd

    def _stamped(self, text):
        if self._fd == -1:
            return
        line = b"[%d] %b" % (time.time(), text)
        if self._fd == 2:
            write_stderr(line)
            return
        try:
            write_all(self._fd, line)
        except OSError as error:                   # a full disk must not end the run
            write_stderr(b"Failed to write logfile '%b': %b\n" % (os.fsencode(self.path), error.strerror.encode()))
            self.close()


def write_stderr(text):
    """Write bytes to stderr, if it is there."""
    try:
        write_all(2, text)
    except OSError:
        pass                                       # closed by the caller: nobody wants to read it


def file_name(name, new):
    """NAME.log, or with --log-new NAME.THREAD.log; an empty name is `unnamed`."""
    if not new:
        return f"{name or 'unnamed'}.log"
    from _thread import get_native_id
    return f"{name or 'unnamed'}.{get_native_id()}.log"


def command_line(argv):
    """The line that records how the program was called: words with a blank in double quotes."""
    words = [os.fsencode(word) for word in argv]
    return b"Cmd:" + b"".join(b' "%b"' % word if b" " in word else b" " + word for word in words) + b"\n"
