"""Where a run's text goes and the user's lines come from.

Text goes to stdout, raw and at once. Colours and the echo of typed text go to the controlling terminal if there is one,
so that `./main --color > file` leaves the file clean; without one, or with --simple-io, they go to stdout too.
"""

import os

from ..errors import LlamacyError

RESET, PROMPT, USER, ERROR = b"\x1b[0m", b"\x1b[33m", b"\x1b[1m\x1b[32m", b"\x1b[1m\x1b[31m"


class Console:
    """stdout, the terminal, the colour that is on, and the line reader. Use `with`: leaving restores the terminal."""

    def __init__(self, *, simple_io=False, color=False, interactive=False):
        self.color = color
        self.display = RESET
        self.simple_io = simple_io
        self._tty = _controlling_terminal() if not simple_io and (color or interactive) else -1
        self._mode = None
        self._row = None
        self._read_line = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        """Colours off, terminal as it was found. Closing again does nothing."""
        try:
            self.set_display(RESET)
        except OSError:
            pass                                   # nobody is there to see the colour
        mode, self._mode = self._mode, None
        if mode is not None:
            mode.restore()
        tty, self._tty = self._tty, -1
        if tty >= 0:
            os.close(tty)

    def write(self, data):
        """Text, to stdout. Errors: LlamacyError; a closed pipe ends the process before that."""
        try:
            write_all(1, data)
        except OSError as error:
            raise LlamacyError(f"cannot write to stdout: {error.strerror}") from None
        if self._row is not None:
            self._row.wrote(data)

    def open_input(self):
        """Get ready for `read`: from here on the terminal shows nothing that is typed while nobody asks for it."""
        self._read_line = self._reader()

    def set_display(self, display):
        """Switch to a colour (one of the constants), if it is not on already."""
        if self.color and display != self.display:
            self.echo(display)
        self.display = display

    def highlight(self, on):
        """For the line reader: a character that will be taken back is shown in the prompt's colour."""
        self.set_display(PROMPT if on else USER)

    def echo(self, data):
        """What is for the eye only: colours and typed text."""
        write_all(self._tty if self._tty >= 0 else 1, data)

    def read(self, multiline):
        """One input of the user, of one or more lines, or None at the end of input."""
        parts = []
        while True:
            self.set_display(USER)         # again for each line: a taken-back character leaves the prompt's colour on
            line, more, ended = self._read_line(multiline)
            parts.append(line)
            if not more:
                break
        return None if ended and not any(parts) else b"".join(parts)

    def newline_on_terminal(self):
        """Leave the row for the shell's prompt; a file or pipe gets nothing."""
        if os.isatty(1):
            write_all(1, b"\n")

    def _reader(self):
        from .lines import ByteSource, EchoReader, SimpleReader
        if self.simple_io:
            return SimpleReader(ByteSource()).read
        keyboard = os.isatty(0)
        if not keyboard:
            return EchoReader(ByteSource(), self, False).read
        from . import terminal
        self._mode = terminal.TerminalMode()
        screen = self._tty if self._tty >= 0 else 1
        if not terminal.usable(screen):
            return EchoReader(ByteSource(), self, True).read
        row = terminal.Row()
        if os.isatty(1):
            self._row = row
        return terminal.ReadlineReader(self._mode, row, screen, (RESET, USER) if self.color else (b"", b"")).read


def write_all(fd, data):
    """Write every byte, also when a pipe or a terminal takes fewer at a time."""
    while data:
        try:
            data = data[os.write(fd, data):]
        except BlockingIOError:
            import select
            select.select((), (fd,), ())


def _controlling_terminal():
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return -1
