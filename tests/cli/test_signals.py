"""Ctrl+C, a closed pipe, the end of the terminal: how ./main stops."""

import os
import signal
import subprocess
import time

import pytest

from pty_terminal import PATIENCE, Terminal


@pytest.fixture
def endless(main_command, random_256):
    """argv of a run that does not stop by itself and says `a` all the time."""
    return [*main_command, "-m", str(random_256), "-t", "1", "--temp", "0", "-l", "412+1000", "-p", "Q:", "-n", "-1"]


def started(argv, cwd, **kwargs):
    """A process of its own group that has begun to generate; and what it said so far."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, start_new_session=True,
                               **kwargs)
    text = b""
    while b"aaa" not in text:
        new = os.read(process.stdout.fileno(), 65536)
        assert new, process.stderr.read()
        text += new
    return process, text


def test_interrupt_of_a_plain_run(endless, tmp_path):
    process, text = started(endless, tmp_path, stdin=subprocess.DEVNULL)
    process.send_signal(signal.SIGINT)
    rest, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert not (text + rest).replace(b"<s> Q:", b"").strip(b"a")          # only text: no newline, no colour
    assert b"llama_print_timings:" in stderr and b"Traceback" not in stderr
    assert not stderr.endswith(b"Log end\n") and stderr.endswith(b" tokens\n")


def test_interrupt_while_a_long_prompt_is_read(main_command, random_256, tmp_path):
    """Nobody waits for a batch to be finished."""
    argv = [*main_command, "-m", str(random_256), "-t", "1", "-p", "a " * 8000, "-c", "8192", "-n", "1", "-b", "8192"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               cwd=tmp_path)
    assert os.read(process.stdout.fileno(), 10)                            # the prompt is shown before it is read
    time.sleep(0.2)
    assert process.poll() is None, "the prompt is too short for this test"
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert time.monotonic() - start < 2.0


def test_interrupt_before_the_run(main_command, tmp_path):
    """While a model is loaded the signal just ends the process: here it waits for a pipe to become a model."""
    os.mkfifo(tmp_path / "model.gguf")
    process = subprocess.Popen([*main_command, "-m", "model.gguf"], stderr=subprocess.PIPE, cwd=tmp_path)
    while b"seed" not in process.stderr.readline():
        pass
    time.sleep(0.1)
    if process.poll() is None:                                             # else the loader does not wait: it refused
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        assert process.returncode == -signal.SIGINT
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def test_interrupt_gives_the_user_the_word(endless, tmp_path):
    process, _ = started([*endless, "-i"], tmp_path, stdin=subprocess.PIPE)
    process.send_signal(signal.SIGINT)
    drain(process)
    process.stdin.write(b"hi\n")
    process.stdin.flush()
    assert b"hi\naaa" in read_until(process, b"hi\naaa")                   # and then it goes on
    process.send_signal(signal.SIGINT)
    drain(process)
    process.send_signal(signal.SIGINT)                                     # while it waits for input
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert b"llama_print_timings:" in stderr and b"Log end" not in stderr and b"Traceback" not in stderr


def test_interrupt_while_waiting_for_the_first_input(endless, tmp_path):
    process = subprocess.Popen([*endless, "--interactive-first"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, cwd=tmp_path, start_new_session=True)
    assert read_until(process, b"Q:")
    drain(process)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE)[0] == b""
    assert process.returncode == 130


def test_interrupt_writes_the_record(endless, tmp_path):
    process, _ = started([*endless, "--logdir", "runs"], tmp_path, stdin=subprocess.DEVNULL)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    (record,) = (tmp_path / "runs").iterdir()
    assert b"\noutput: a" in record.read_bytes()


def test_interrupt_is_no_reason_to_save(endless, tmp_path):
    process, _ = started([*endless, "--prompt-cache", "cache", "--prompt-cache-all"], tmp_path,
                         stdin=subprocess.DEVNULL)
    before = (tmp_path / "cache").read_bytes()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and b"saving final output" not in stderr
    assert (tmp_path / "cache").read_bytes() == before


def test_a_closed_pipe_ends_the_run_quietly(endless, tmp_path):
    process, _ = started(endless, tmp_path, stdin=subprocess.DEVNULL)
    process.stdout.close()
    assert process.wait(PATIENCE) == -signal.SIGPIPE
    assert b"Traceback" not in process.stderr.read() and b"error" not in process.stderr.read()
    process.stderr.close()


def test_interrupt_from_a_terminal(endless, tmp_path):
    """Ctrl+C twice: the word, then the end; the terminal is as it was, with the cursor at the start of a row."""
    for env in ({}, {"TERM": "dumb"}):
        with Terminal([*endless, "-i", "--color"], cwd=tmp_path, env=env) as terminal:
            terminal.read_until(b"aaa")
            assert not terminal.echoes()
            terminal.interrupt()
            terminal.read_until(b"\x1b[1m\x1b[32m")
            terminal.read_still()
            terminal.interrupt()
            assert terminal.wait() == 130
            assert terminal.echoes()
            assert terminal.raw.endswith(b"\x1b[0m\r\n"), terminal.raw[-80:]


def test_kill_gives_the_terminal_back(endless, tmp_path):
    for env in ({}, {"TERM": "dumb"}):
        for flags in (["-i"], ["--interactive-first"]):
            with Terminal([*endless, *flags], cwd=tmp_path, env=env) as terminal:
                terminal.read_until(b"Q:")
                while terminal.echoes():
                    time.sleep(0.01)
                terminal.process.terminate()
                assert terminal.wait() == -signal.SIGTERM
                assert terminal.echoes()


def test_kill_while_loading_leaves_the_terminal_alone(main_command, tmp_path):
    """The model is a pipe that nobody writes to, so that loading takes long enough."""
    os.mkfifo(tmp_path / "model.gguf")
    with Terminal([*main_command, "-m", "model.gguf", "-i"], cwd=tmp_path) as terminal:
        while b"seed" not in terminal.process.stderr.readline():
            pass
        assert terminal.echoes()
        terminal.process.kill()
        terminal.wait()
        assert terminal.echoes()


def test_end_of_input_on_a_terminal(endless, tmp_path):
    for env in ({}, {"TERM": "dumb"}):
        with Terminal([*endless, "--interactive-first"], cwd=tmp_path, env=env) as terminal:
            terminal.read_until(b"Q:")
            terminal.read_still()
            terminal.send(b"\x04")
            assert terminal.wait() == 0
            assert terminal.echoes() and terminal.raw.endswith(b"\n")
            assert terminal.stderr().endswith(b"Log end\n")


def drain(process, quiet=0.3):
    """Throw away output until there is none for a while: the program waits."""
    os.set_blocking(process.stdout.fileno(), False)
    last = time.monotonic()
    while time.monotonic() - last < quiet:
        if process.stdout.read():
            last = time.monotonic()
        time.sleep(0.01)
    os.set_blocking(process.stdout.fileno(), True)


def read_until(process, text):
    got = b""
    while text not in got:
        new = os.read(process.stdout.fileno(), 65536)
        assert new, got
        got += new
    return got
