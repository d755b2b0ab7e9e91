"""The log: two channels, one file, never stdout."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import params

from llamacy.cli.log import Log, command_line, file_name, write_stderr

REPO = Path(__file__).resolve().parent.parent.parent
STAMP = rb"\[\d{10}\] "


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines_of(path):
    """The lines of a log file without their time stamps."""
    lines = path.read_bytes().splitlines()
    assert lines and all(re.match(STAMP, line) for line in lines)
    return [re.sub(STAMP, b"", line, count=1) for line in lines]


def test_channels(folder, capfdbinary):
    log = Log()
    log.tee(b"for both\n")
    log.log(b"for the file\n")
    log.tee(b"\xff\0 raw\n")
    log.close()
    assert capfdbinary.readouterr() == (b"", b"for both\n\xff\0 raw\n")
    assert lines_of(folder / "main.log") == [b"for both", b"for the file", b"\xff\0 raw"]


def test_each_call_has_a_stamp_not_each_line(folder, capfdbinary):
    log = Log()
    for text in (b".", b".", b"a\nb\n"):
        log.tee(text)
    log.close()
    assert re.fullmatch(STAMP + rb"\." + STAMP + rb"\." + STAMP + b"a\nb\n", (folder / "main.log").read_bytes())


def test_no_file_before_the_first_line(folder, capfdbinary):
    log = Log()
    assert list(folder.iterdir()) == []
    log.log(b"x\n")
    log.close()
    assert [path.name for path in folder.iterdir()] == ["main.log"]


def test_start_and_command_line(folder, capfdbinary):
    log = Log()
    log.start(["./main", "-p", "a b", "", "m\udcff"])
    log.close()
    assert capfdbinary.readouterr() == (b"", b"Log start\n")
    assert lines_of(folder / "main.log") == [b"Log start", b'Cmd: ./main -p "a b"  m\xff']
    assert command_line(["main"]) == b"Cmd: main\n"


def test_log_test(folder, capfdbinary):
    log = Log()
    log.start(["main"], test=True)
    log.close()
    out, err = capfdbinary.readouterr()
    assert out == b"" and err.count(b"log test") == 1
    assert len(lines_of(folder / "main.log")) == 4


def test_disabled(folder, capfdbinary):
    log = Log.of(params("--log-disable"))
    assert not log.on
    log.start(["main"], test=True)
    log.tee(b"x\n")
    log.close()
    assert capfdbinary.readouterr() == (b"", b"") and list(folder.iterdir()) == []


@pytest.mark.parametrize("words, name", [
    ([], "main.log"), (["--log-disable", "--log-enable"], "main.log"), (["--log-file", "run"], "run.log"),
    (["--log-file", ""], "unnamed.log"), (["--log-append"], "main.log"),
])
def test_name_of_the_file(words, name, folder, capfdbinary):
    log = Log.of(params(*words))
    log.log(b"x\n")
    log.close()
    assert [path.name for path in folder.iterdir()] == [name]


def test_new_name_for_each_run():
    assert re.fullmatch(r"main\.\d+\.log", file_name("main", True))
    assert file_name("a/b", False) == "a/b.log"


def test_append_and_truncate(folder, capfdbinary):
    for words, text in (([], b"1\n"), (["--log-append"], b"2\n"), (["--log-append"], b"3\n")):
        log = Log.of(params(*words))
        log.log(text)
        log.close()
    assert lines_of(folder / "main.log") == [b"1", b"2", b"3"]
    log = Log()
    log.log(b"4\n")
    log.close()
    assert lines_of(folder / "main.log") == [b"4"]


def test_stderr_takes_the_place_of_a_file_that_cannot_be_made(folder, capfdbinary):
    (folder / "main.log").mkdir()
    log = Log()
    log.log(b"for the file\n")
    log.tee(b"for both\n")
    log.close()
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert re.fullmatch(rb"Failed to open logfile 'main\.log' with error 'Is a directory'\n"
                        + STAMP + b"for the file\n" + STAMP + b"for both\n", err)
    write_stderr(b"stderr is still open\n")
    assert capfdbinary.readouterr().err == b"stderr is still open\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk(folder, capfdbinary):
    (folder / "main.log").symlink_to("/dev/full")
    log = Log()
    log.tee(b"one\n")
    log.tee(b"two\n")
    out, err = capfdbinary.readouterr()
    assert (out, err) == (b"", b"one\nFailed to write logfile 'main.log': No space left on device\ntwo\n")


def test_lines_after_close_go_to_stderr_only(folder, capfdbinary):
    log = Log()
    log.tee(b"one\n")
    log.close()
    log.close()
    log.tee(b"two\n")
    assert capfdbinary.readouterr().err == b"one\ntwo\n"
    assert lines_of(folder / "main.log") == [b"one"]


def test_closed_stderr_is_no_reason_to_stop(folder):
    code = f"import sys; sys.path.insert(0, {str(REPO)!r}); import os; os.close(2); from llamacy.cli.log import Log; " \
           "log = Log(); log.tee(b'x\\n'); log.tee(b'y\\n'); log.close(); os.write(1, b'text')"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, b"text")
