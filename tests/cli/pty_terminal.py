"""A terminal for a test: a program runs on a pty, and what it draws can be looked at as text."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

PATIENCE = 30.0
KEPT = ("PATH", "LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS", "PYTHONMALLOC")  # the last four: a sanitized build needs them


class Terminal:
    """Runs argv with this as its controlling terminal. stdin, stdout: file descriptors in the terminal's place."""

    def __init__(self, argv, *, cwd=None, columns=80, stdin=None, stdout=None, env=None):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.columns = columns
        self.slave = slave                        # kept open: its mode can be asked for, and the end is not an error
        self.raw = b""

        def take_terminal():
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            argv, stdin=slave if stdin is None else stdin, stdout=slave if stdout is None else stdout,
            stderr=subprocess.PIPE, cwd=cwd, start_new_session=True, preexec_fn=take_terminal,
            env={**{name: os.environ[name] for name in KEPT if name in os.environ}, "TERM": "xterm", "LC_ALL": "C.UTF-8",
                 **(env or {})})

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)

    def echoes(self):
        """True if the terminal shows what is typed, as a shell leaves it."""
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def wait_for_editor(self):
        """Wait until the line editor has the terminal: a key that comes earlier may be shown twice."""
        deadline = time.monotonic() + PATIENCE
        while True:
            mode = termios.tcgetattr(self.slave)
            if not mode[3] & (termios.ECHO | termios.ICANON) and not mode[0] & termios.ICRNL:
                return
            assert time.monotonic() < deadline and self.process.poll() is None, self.raw
            self._collect(0.01)

    def send(self, data):
        os.write(self.master, data)

    def interrupt(self):
        """Press Ctrl+C: the signal comes from the terminal."""
        self.send(b"\x03")

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def read_until(self, text, timeout=PATIENCE):
        """Collect output until `text` was drawn since the last call; return all drawn since then."""
        start, deadline = len(self.raw), time.monotonic() + timeout
        while text not in self.raw[start:]:
            left = deadline - time.monotonic()
            assert left > 0 and self.process.poll() is None, (text, self.raw[start:])
            self._collect(min(left, 0.2))
        return self.raw[start:]

    def read_still(self, quiet=0.3):
        """Collect output until nothing came for a while; return all drawn since the last call."""
        start = len(self.raw)
        while self._collect(quiet):
            pass
        return self.raw[start:]

    def wait(self, timeout=PATIENCE):
        """The exit status, after all output is collected."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.raw
            self._collect(0.05)
        while self._collect(0.0):
            pass
        return self.process.returncode

    def stderr(self):
        """All of it; call after `wait`."""
        return self.process.stderr.read()

    def screen(self):
        """The rows as a person sees them, without blanks at their ends."""
        return draw(self.raw.decode("utf-8", "replace"), self.columns)

    def _collect(self, timeout):
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += data
        return bool(data)


def draw(text, columns):
    """What a simple terminal shows after `text`: list of rows. Understands \\r \\n \\b and CSI A C D G K P @ m h l."""
    rows, row, col, i = [[]], 0, 0, 0

    def put(char):
        nonlocal row, col
        if col == columns:
            row, col = row + 1, 0
        while len(rows) <= row:
            rows.append([])
        rows[row] += [" "] * (col + 1 - len(rows[row]))
        rows[row][col] = char
        col += 1

    while i < len(text):
        char = text[i]
        i += 1
        if char == "\x1b":
            assert text[i] == "[", repr(text[i:])
            end = i + 1
            while not text[end].isalpha() and text[end] != "@":
                end += 1
            argument, final, i = text[i + 1:end], text[end], end + 1
            count = int(argument) if argument.isdigit() else 1
            if final == "A":
                row = max(0, row - count)
            elif final == "C":
                col += count
            elif final == "D":
                col = max(0, col - count)
            elif final == "G":
                col = count - 1
            elif final == "K" and row < len(rows):
                del rows[row][col:]
            elif final == "P":
                del rows[row][col:col + count]
            elif final == "@":
                rows[row][col:col] = [" "] * count
            else:
                assert final in "mhlJK", final
        elif char == "\r":
            col = 0
        elif char == "\n":
            row += 1
            while len(rows) <= row:
                rows.append([])
        elif char == "\b":
            col = max(0, col - 1)
        elif char != "\x07":
            put(char)
    return ["".join(cells).rstrip() for cells in rows]
