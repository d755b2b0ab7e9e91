"""Reading a line that a user types, from any stdin: a pipe, a file, a terminal without readline.

A reader's `read(multiline)` returns (line, more, ended). `line` ends in a newline unless the user or the end of input
took it away; `more` says that another line belongs to the same input; `ended` that there was nothing left to read.

    last character    line                    more
    \\                 without it, newline     not multiline
    /                 without it              False
    other             newline                 multiline
"""

import os

CHUNK = 65536


class ByteSource:
    """A file descriptor, byte by byte. Bytes that were read ahead stay here, so there may be only one for each."""

    def __init__(self, fd=0):
        self.fd = fd
        self._ahead = bytearray()

    def next(self):
        """The next byte as a number, or -1 at the end of input."""
        return self._ahead.pop(0) if self._ahead or self._fill() else -1

    def until_newline(self):
        """Bytes up to and including the next newline; without it if the input ends first."""
        start = 0
        while (end := self._ahead.find(b"\n", start)) < 0:
            start = len(self._ahead)
            if not self._fill():
                end = start
                break
        line = bytes(self._ahead[:end + 1])
        del self._ahead[:end + 1]
        return line

    def character(self):
        """The next UTF-8 character as bytes, b"" at the end of input. A byte that starts none is one by itself."""
        first = self.next()
        if first < 0:
            return b""
        char = bytearray((first,))
        wanted = 4 if 0xF0 <= first < 0xF8 else 3 if 0xE0 <= first < 0xF0 else 2 if 0xC0 <= first < 0xE0 else 1
        while len(char) < wanted and (self._ahead or self._fill()) and self._ahead[0] & 0xC0 == 0x80:
            char.append(self._ahead.pop(0))
        return bytes(char)

    def _fill(self):
        try:
            data = os.read(self.fd, CHUNK)
        except BlockingIOError:                # another program that shares the file has made it so
            import select
            select.select((self.fd,), (), ())
            return self._fill()
        self._ahead += data
        return bool(data)


def finish(line, multiline):
    """Apply the table above to a line without its newline."""
    if line.endswith(b"\\"):
        return line[:-1] + b"\n", not multiline
    if line.endswith(b"/"):
        return line[:-1], False
    return line + b"\n", multiline


class SimpleReader:
    """Whole lines as they come: no echo, no change of the terminal."""

    def __init__(self, source):
        self.source = source

    def read(self, multiline):
        line = self.source.until_newline()
        if not line:
            return b"", False, True
        return *finish(line.removesuffix(b"\n"), multiline), False


class EchoReader:
    """Character by character with an echo and backspace, the same on a terminal in raw mode and on a pipe.

    A backslash or slash is shown in the prompt's colour while it is the last character, and taken back when the line
    ends with it. `screen` has echo(bytes) and highlight(bool).
    """

    def __init__(self, source, screen, keyboard):
        self.source = source
        self.screen = screen
        self.keyboard = keyboard     # Ctrl+D at the start of a line is the end only if somebody presses it
        self._cells = []             # (bytes, columns) of each character of the line

    def read(self, multiline):
        self._cells = cells = []
        marked = False
        while True:
            char = self.source.character()
            if char in (b"", b"\x04", b"\n", b"\r"):
                break
            if marked:
                self._redraw_last(False)
            self._type(char)
            marked = bool(cells) and cells[-1][0] in (b"\\", b"/")
            if marked:
                self._redraw_last(True)
        ended = char in (b"", b"\x04")
        if marked:
            return *self._finish_marked(multiline), False
        line = self._text()
        if ended:
            return line, False, not line and (not char or self.keyboard)
        self.screen.echo(b"\n")
        return line + b"\n", multiline, False

    def _text(self):
        return b"".join([char for char, _ in self._cells])

    def _type(self, char):
        if char == b"\x1b":
            self._skip_escape()
        elif char in (b"\b", b"\x7f"):
            self._backspace()
        else:
            self.screen.echo(char)
            self._cells.append((char, columns(char)))

    def _skip_escape(self):
        if self.source.character() in (b"[", b"\x1b"):
            while (char := self.source.character()) and not (char.isalpha() or char == b"~"):
                pass

    def _backspace(self):
        width = 0
        while self._cells and not width:        # a combining mark goes with the character that it stands on
            width = self._cells.pop()[1]
            self.screen.echo(b"\b \b" * width)

    def _redraw_last(self, marked):
        self.screen.highlight(marked)
        self.screen.echo(b"\b" + self._cells[-1][0])

    def _finish_marked(self, multiline):
        self.screen.echo(b"\b \b")
        line, more = finish(self._text(), multiline)
        if line.endswith(b"\n"):
            self.screen.echo(b"\n")
        elif line == b" ":                      # the blank that was typed only to get past a prefix
            self.screen.echo(b"\b")
            line = b""
        return line, more


def columns(char):
    """Columns of a terminal that one character (bytes) takes: 0 for marks and controls, 2 for wide ones."""
    if len(char) == 1:
        return 0 if char < b" " or char == b"\x7f" else 1
    from unicodedata import category, east_asian_width
    try:
        text = char.decode()
    except UnicodeDecodeError:
        return 1
    return 0 if category(text) in ("Mn", "Me", "Cf", "Cc") else 2 if east_asian_width(text) in "WF" else 1
