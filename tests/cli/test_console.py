"""Readers of lines, colours, and the terminal: first as functions, then on a pty."""

import os
import sys

import pytest

from llamacy.cli.lines import ByteSource, EchoReader, SimpleReader, columns
from llamacy.cli.terminal import Row
from pty_terminal import Terminal, draw


@pytest.fixture
def typed():
    """A function: bytes -> a ByteSource that reads them and then the end."""
    ends = []

    def source(data):
        read, write = os.pipe()
        ends.append(read)
        os.write(write, data)
        os.close(write)
        return ByteSource(read)

    yield source
    for fd in ends:
        os.close(fd)


class Screen:
    """Collects what a reader shows; a highlight is `<` and `>`."""

    def __init__(self):
        self.shown = b""

    def echo(self, data):
        self.shown += data

    def highlight(self, on):
        self.shown += b"<" if on else b">"


ECHOED = {                       # typed, multiline -> line, more, ended, shown
    "plain": (b"hello\n", False, b"hello\n", False, False, b"hello\n"),
    "carriage return": (b"hello\r", False, b"hello\n", False, False, b"hello\n"),
    "empty": (b"\n", False, b"\n", False, False, b"\n"),
    "empty, multiline": (b"\n", True, b"\n", True, False, b"\n"),
    "multiline": (b"hello\n", True, b"hello\n", True, False, b"hello\n"),
    "backslash": (b"a\\\n", False, b"a\n", True, False, b"a\\<\b\\\b \b\n"),
    "backslash, multiline": (b"a\\\n", True, b"a\n", False, False, b"a\\<\b\\\b \b\n"),
    "slash": (b"a/\n", False, b"a", False, False, b"a/<\b/\b \b"),
    "slash, multiline": (b"a/\n", True, b"a", False, False, b"a/<\b/\b \b"),
    "a blank before the slash": (b" /\n", False, b"", False, False, b" /<\b/\b \b\b"),
    "slash inside": (b"a/b\n", False, b"a/b\n", False, False, b"a/<\b/>\b/b\n"),
    "end": (b"", False, b"", False, True, b""),
    "end inside a line": (b"abc", False, b"abc", False, False, b"abc"),
    "end after a backslash": (b"abc\\", False, b"abc\n", True, False, b"abc\\<\b\\\b \b\n"),
    "Ctrl+D inside a line": (b"abc\x04", False, b"abc", False, False, b"abc"),
    "Ctrl+D first, from a pipe": (b"\x04abc\n", False, b"", False, False, b""),
    "backspace": (b"ab\x7fc\n", False, b"ac\n", False, False, b"ab\b \bc\n"),
    "backspace at the start": (b"\x08a\n", False, b"a\n", False, False, b"a\n"),
    "backspace over two columns": ("你\x7f!\n".encode(), False, b"!\n", False, False, "你".encode() + b"\b \b\b \b!\n"),
    "backspace over a mark": ("e\u0301\x7fx\n".encode(), False, b"x\n", False, False, "e\u0301".encode() + b"\b \bx\n"),
    "backspace over a slash": (b"a/\x7f\n", False, b"a\n", False, False, b"a/<\b/>\b/\b \b\n"),
    "arrow": (b"a\x1b[1;5Cb\n", False, b"ab\n", False, False, b"ab\n"),
    "key with a tilde": (b"a\x1b[3~b\n", False, b"ab\n", False, False, b"ab\n"),
    "not text": (b"a\xffb\xe4\n", False, b"a\xffb\xe4\n", False, False, b"a\xffb\xe4\n"),
    "a cut character": (b"\xe4\xbdx\n", False, b"\xe4\xbdx\n", False, False, b"\xe4\xbdx\n"),
    "UTF-8": ("Zoë 你好 🙂\n".encode(), False, "Zoë 你好 🙂\n".encode(), False, False, "Zoë 你好 🙂\n".encode()),
}


@pytest.mark.parametrize("case", ECHOED.values(), ids=ECHOED.keys())
def test_echo_reader(case, typed):
    data, multiline, line, more, ended, shown = case
    screen = Screen()
    assert EchoReader(typed(data), screen, False).read(multiline) == (line, more, ended)
    assert screen.shown == shown


def test_ctrl_d_on_a_keyboard_is_the_end(typed):
    assert EchoReader(typed(b"\x04abc\n"), Screen(), True).read(False) == (b"", False, True)


def test_echo_reader_goes_on_after_a_line(typed):
    reader = EchoReader(typed("a/\né\nlast".encode()), Screen(), False)
    assert [reader.read(False) for _ in range(4)] == [
        (b"a", False, False), ("é\n".encode(), False, False), (b"last", False, False), (b"", False, True)]


PLAIN = {
    "plain": (b"hello\n", False, b"hello\n", False, False),
    "carriage return stays": (b"hello\r\n", False, b"hello\r\n", False, False),
    "multiline": (b"hello\n", True, b"hello\n", True, False),
    "backslash": (b"a\\\n", False, b"a\n", True, False),
    "backslash, multiline": (b"a\\\n", True, b"a\n", False, False),
    "slash": (b"a/\n", True, b"a", False, False),
    "a blank before the slash": (b" /\n", False, b" ", False, False),
    "no newline at the end": (b"abc", False, b"abc\n", False, False),
    "end": (b"", True, b"", False, True),
    "control characters": (b"a\x04\x1b[b\x7f\n", False, b"a\x04\x1b[b\x7f\n", False, False),
}


@pytest.mark.parametrize("case", PLAIN.values(), ids=PLAIN.keys())
def test_simple_reader(case, typed):
    data, multiline, line, more, ended = case
    assert SimpleReader(typed(data)).read(multiline) == (line, more, ended)


def test_simple_reader_takes_lines_longer_than_its_buffer(typed):
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(read)
        with open(write, "wb") as pipe:
            pipe.write(b"x" * 200_000 + b"\nnext\n")
        os._exit(0)
    os.close(write)
    reader = SimpleReader(ByteSource(read))
    assert reader.read(False) == (b"x" * 200_000 + b"\n", False, False)
    assert reader.read(False) == (b"next\n", False, False)
    os.close(read)
    os.wait()


@pytest.mark.parametrize("char, width", [("a", 1), ("é", 1), ("你", 2), ("🙂", 2), ("\u0301", 0), ("\t", 0)])
def test_columns(char, width):
    assert columns(char.encode()) == width


@pytest.mark.parametrize("written, width, row", [
    (b"User:", 80, ("User:", 5)),
    (b"first\nUser:", 80, ("User:", 5)),
    (b"User:\n", 80, ("", 0)),
    (b"\x1b", 80, ("", 0)),
    (b"x" * 100, 80, ("x" * 20, 20)),
    (b"x" * 80, 80, ("x" * 80, 80)),
    ("你".encode() * 5, 9, ("你", 2)),
])
def test_row(written, width, row):
    whole, parts = Row(), Row()
    whole.wrote(written)
    for i in range(len(written)):
        parts.wrote(written[i:i + 1])
    assert whole.text(width) == parts.text(width) == row


def test_draw():
    """The terminal that the tests below look at."""
    assert draw("ab\b\bX\r\nUser: x\x1b[D\x1b[Ky\x1b[A\rQ\x1b[1m", 80) == ["Qb", "User: y"]
    assert draw("x" * 5, 3) == ["xxx", "xx"]


# ------------------------------------------------------------------------------------------------------- on a pty

CONVERSATION = """
import os, sys
sys.path.insert(0, {repo!r})
from llamacy.cli.console import Console, PROMPT, RESET, USER
with Console(**{settings!r}) as console:
    console.open_input()
    console.set_display(PROMPT)
    console.write(b"first\\nUser:")
    console.set_display(RESET)
    while True:
        console.set_display(USER)
        text = console.read({multiline!r})
        console.set_display(RESET)
        if text is None:
            break
        console.write(b"[" + repr(text).encode() + b"]" + (b"" if text.endswith(b"/") else b"\\nUser:"))
console.write(b"over\\n")
"""


def conversation(repo, multiline=False, **settings):
    code = CONVERSATION.format(repo=str(repo), multiline=multiline, settings={"interactive": True, **settings})
    return [sys.executable, "-S", "-c", code]


def answers(raw):
    """What the program understood."""
    return [part.split(b"]")[0] for part in raw.split(b"[b")[1:]]


def test_line_editing_and_history(repo):
    with Terminal(conversation(repo)) as terminal:
        terminal.read_until(b"User:")
        terminal.wait_for_editor()
        terminal.send(b"hallo\x1b[D\x1b[D\x1b[D\x7fe\n")        # two to the left of "llo": the a becomes an e
        assert b"'hello\\n'" in terminal.read_until(b"]")
        terminal.wait_for_editor()
        terminal.send(b"\x1b[A!\n")                              # up: the same again, and more
        assert b"'hello!\\n'" in terminal.read_until(b"]")
        terminal.send(b"\x04")
        assert terminal.wait() == 0
        assert terminal.screen()[:5] == ["first", "User:hello", "[b'hello\\n']", "User:hello!", "[b'hello!\\n']"]


def test_editing_keeps_what_stands_before_the_input(repo):
    """Going to the start of the line and back draws nothing over `User:`, also where the row wraps."""
    for width in (80, 10):
        with Terminal(conversation(repo), columns=width) as terminal:
            terminal.read_until(b"User:")
            terminal.wait_for_editor()
            terminal.send(b"ello\x01h\x05 you\x01\x0b" + b"abc\n")
            assert b"'abc\\n'" in terminal.read_until(b"]")
            assert "User:abc" in terminal.screen()


def test_utf8_in_any_locale(repo):
    for locale in ("C.UTF-8", "C", "POSIX", "xx_XX.ISO8859-1"):
        with Terminal(conversation(repo), env={"LC_ALL": locale}) as terminal:
            terminal.read_until(b"User:")
            terminal.wait_for_editor()
            terminal.send("Zoë你x\x7f🙂\x7f\x7fé\n".encode())
            assert repr("Zoëé\n".encode()).encode() in terminal.read_until(b"]"), locale


def test_not_utf8(repo):
    with Terminal(conversation(repo)) as terminal:
        terminal.read_until(b"User:")
        terminal.wait_for_editor()
        terminal.send(b"a\xffb\n")
        assert rb"'a\xffb\n'" in terminal.read_until(b"]")


def test_slash_keeps_the_answer_on_the_row(repo):
    with Terminal(conversation(repo)) as terminal:
        terminal.read_until(b"User:")
        terminal.wait_for_editor()
        terminal.send(b"go on/\n")
        terminal.read_until(b"]")
        assert terminal.screen()[:2] == ["first", "User:go on[b'go on']"]


def test_backslash_asks_for_another_line(repo):
    with Terminal(conversation(repo)) as terminal:
        terminal.read_until(b"User:")
        terminal.wait_for_editor()
        terminal.send(b"one\\\ntwo\n")
        assert b"'one\\ntwo\\n'" in terminal.read_until(b"]")


def test_pasted_lines_are_lines(repo):
    with Terminal(conversation(repo)) as terminal:
        terminal.read_until(b"User:")
        terminal.wait_for_editor()
        terminal.send(b"one\ntwo\n")
        assert b"'two\\n'" in terminal.read_until(b"'two\\n']")
        assert answers(terminal.raw) == [b"'one\\n'", b"'two\\n'"]


@pytest.mark.parametrize("settings, env", [({}, {}), ({}, {"TERM": "dumb"}), ({"simple_io": True}, {})])
def test_terminal_is_given_back_as_it_was(repo, settings, env):
    with Terminal(conversation(repo, **settings), env=env) as terminal:
        assert terminal.echoes()
        terminal.read_until(b"User:")
        terminal.send(b"x\n")
        terminal.read_until(b"]")
        terminal.send(b"\x04")
        assert terminal.wait() == 0
        assert terminal.echoes()
        assert terminal.raw.endswith(b"over\r\n")


def test_without_a_line_editor_the_screen_is_the_references(repo):
    """A terminal that cannot move a cursor: the plain reader's own redraws, byte for byte."""
    with Terminal(conversation(repo, color=True), env={"TERM": "dumb"}) as terminal:
        terminal.read_until(b"User:\x1b[0m\x1b[1m\x1b[32m")
        terminal.send(b"two\\\nlines\n")
        assert terminal.read_until(b"]").startswith(
            b"two\\\x1b[33m\b\\\b \b\r\n\x1b[1m\x1b[32mlines\r\n\x1b[0m[b'two\\nlines\\n']")


def test_redirected_stdout_stays_clean(repo, tmp_path):
    """Colours and typed text are for the terminal, the text is for the file."""
    for name, env in (("edited", {}), ("plain", {"TERM": "dumb"})):
        argv = conversation(repo, color=True)
        with open(tmp_path / name, "wb") as file, Terminal(argv, stdout=file.fileno(), env=env) as terminal:
            terminal.read_until(b"\x1b[32m")
            terminal.send(b"hello\n")
            terminal.read_until(b"hello")
            terminal.read_still()
            terminal.send(b"\x04")
            assert terminal.wait() == 0
        assert (tmp_path / name).read_bytes() == b"first\nUser:[b'hello\\n']\nUser:over\n"
        assert b"first" not in terminal.raw and b"hello" in terminal.raw


def test_piped_stdin_is_shown_on_the_terminal(repo):
    """With a terminal in reach the typed text is shown there, wherever it came from."""
    read, write = os.pipe()
    os.write(write, b"hi\n")
    os.close(write)
    with Terminal(conversation(repo, color=True), stdin=read) as terminal:
        os.close(read)
        assert terminal.wait() == 0
        assert b"User:\x1b[0m\x1b[1m\x1b[32mhi\r\n\x1b[0m[b'hi\\n']" in terminal.raw


def test_without_a_terminal_all_goes_to_stdout(repo):
    import subprocess
    done = subprocess.run(conversation(repo, color=True), input=b"hi/\n", capture_output=True, start_new_session=True)
    assert done.stdout == (b"\x1b[33mfirst\nUser:\x1b[0m\x1b[1m\x1b[32mhi/\x1b[33m\b/\b \b\x1b[0m[b'hi']\nUser:"
                           b"\x1b[1m\x1b[32m\x1b[0mover\n")
    simple = subprocess.run(conversation(repo, color=True, simple_io=True), input=b"hi/\n", capture_output=True)
    assert simple.stdout == (b"\x1b[33mfirst\nUser:\x1b[0m\x1b[1m\x1b[32m\x1b[0m[b'hi']\nUser:"
                             b"\x1b[1m\x1b[32m\x1b[0mover\n")
