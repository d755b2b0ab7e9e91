"""The user's terminal: its mode during a run, and a line editor with history on it (the standard library's)."""

import _signal
import os

from .lines import columns, finish


class TerminalMode:
    """Keys typed while the program writes are kept and not shown; `restore` puts back what was found."""

    def __init__(self, fd=0):
        import termios
        self._termios = termios
        self._fd = fd
        self._found = termios.tcgetattr(fd)
        self.quiet()
        _signal.signal(_signal.SIGTERM, self._terminated)

    def quiet(self):
        """Byte by byte, no echo. Signals stay on: Ctrl+C must work."""
        self._set(self._termios.ICANON | self._termios.ECHO)

    def editing(self):
        """The same with echo, which readline takes as the sign that it may show what is typed."""
        self._set(self._termios.ICANON)

    def restore(self):
        self._apply(list(self._found))
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)

    def _terminated(self, number, frame):
        self.restore()
        os.kill(os.getpid(), number)

    def _set(self, off):
        mode = list(self._found)
        mode[3] &= ~off
        mode[6] = list(mode[6])
        mode[6][self._termios.VMIN], mode[6][self._termios.VTIME] = 1, 0
        self._apply(mode)

    def _apply(self, mode):
        try:
            self._termios.tcsetattr(self._fd, self._termios.TCSADRAIN, mode)
        except self._termios.error:
            pass                                                    # the terminal is gone: nothing left to set


class Row:
    """What stands on the last row of the terminal: readline must know it, or it draws over it."""

    LIMIT = 4096      # bytes of a line that are looked at; longer lines are rare and then only drawn less well

    def __init__(self):
        self._line = b""

    def wrote(self, data):
        _, newline, after = data.rpartition(b"\n")
        self._line = (after if newline else self._line + data)[-self.LIMIT:]

    def text(self, width):
        """The last row of the line (str) on a terminal `width` columns wide, and the columns it takes."""
        row, used = [], 0
        for char in self._line.decode("utf-8", "ignore"):
            size = columns(char.encode())
            if used + size > width:
                row, used = [], 0
            if char.isprintable():
                row.append(char)
                used += size
        return "".join(row), used


class ReadlineReader:
    """Lines with editing and history. The editor draws on `screen_fd`, wherever stdout goes."""

    def __init__(self, mode, row, screen_fd, colors=(b"", b"")):
        """`colors`: codes for the row as it stands and for what is typed."""
        _utf8_locale()
        import readline
        import sys
        for stream in (sys.stdin, sys.stdout):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
        readline.parse_and_bind("set enable-bracketed-paste off")   # pasted lines are lines, as if they were typed
        readline.parse_and_bind("set input-meta on")
        readline.parse_and_bind("set output-meta on")
        readline.parse_and_bind("set convert-meta off")
        self.mode = mode
        self.row = row
        self.screen_fd = screen_fd
        self.colors = [f"\x01{code.decode()}\x02" if code else "" for code in colors]   # \x01 \x02: takes no column

    def read(self, multiline):
        width = _width(self.screen_fd)
        prompt, used = self.row.text(width)
        if prompt:
            os.write(self.screen_fd, b"\r")                         # readline draws the row again, in place
        try:
            line = self._edit(prompt and prompt.join(self.colors)).encode("utf-8", "surrogateescape")
        except EOFError:
            os.write(self.screen_fd, b"\n")
            self.row.wrote(b"\n")
            return b"", False, True
        self.row.wrote(b"\n")
        text, more = finish(line, multiline)
        if not text.endswith(b"\n"):
            self._back_to_end(prompt, used, line, width)
        return text if text != b" " else b"", more, False

    def _edit(self, prompt):
        """input() with its screen as file 1: that is the only screen Python's readline knows."""
        stdout = os.dup(1)
        try:
            os.dup2(self.screen_fd, 1)
            self.mode.editing()
            return input(prompt)
        finally:
            self.mode.quiet()
            os.dup2(stdout, 1)
            os.close(stdout)

    def _back_to_end(self, prompt, used, line, width):
        """Undo the newline of the Enter key and take back the slash: the answer goes on in the same row."""
        kept = prompt + line[:-1].decode("utf-8", "ignore")
        column = (used + sum(columns(char.encode()) for char in kept[len(prompt):])) % width
        os.write(self.screen_fd, b"\x1b[A\x1b[%dG\x1b[K" % (column + 1))
        self.row.wrote(kept.encode())


def usable(screen_fd):
    """True if a line editor can work: stdin and screen are terminals that can move a cursor, and readline is there."""
    if not (os.isatty(0) and os.isatty(screen_fd)) or os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        import readline                                             # noqa: F401: only whether it is there
    except ImportError:
        return False
    return True


def _width(fd):
    try:
        return os.get_terminal_size(fd).columns or 80
    except OSError:
        return 80


def _utf8_locale():
    """Readline asks the locale what a character is; text is UTF-8 here whatever the locale says."""
    import _locale
    if "UTF-8" not in _locale.nl_langinfo(_locale.CODESET).upper():
        os.environ["LC_ALL"] = "C.UTF-8"
        try:
            _locale.setlocale(_locale.LC_CTYPE, "C.UTF-8")
        except _locale.Error:
            pass                                                    # a system without it: bytes pass through singly
