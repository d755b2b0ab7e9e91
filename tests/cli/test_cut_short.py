"""A model file that another process cuts short while it is in use: one line and exit 1, no signal."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

REASON = b"became shorter while it was in use"


@pytest.fixture
def copy(random_256, tmp_path):
    return shutil.copy(random_256, tmp_path / "model.gguf")


def cut(path):
    os.truncate(path, 200_000)


def test_main(main_command, copy, tmp_path):
    """Cut after the first text has come."""
    argv = [*main_command, "-m", copy, "-p", "a", "-n", "-1", "-c", "4096", "-t", "3", "--ignore-eos"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as run:
        assert run.stdout.read(8)
        cut(copy)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 1, err
    assert err.splitlines()[-1].endswith(b"model.gguf: file: " + REASON), err


def test_engine(copy):
    """All threads meet the gap; later decodes fail too; the file may go, and its neighbours do not mind."""
    from llamacy.engine import Context, Model
    from llamacy.errors import GGUFError
    other = shutil.copy(copy, copy.with_name("other.gguf"))
    model, untouched = Model(copy), Model(other)
    ctx, fine = Context(model, n_threads=4), Context(untouched, n_threads=4)
    ctx.decode([1, 2, 3], 0)
    cut(copy)
    for at in (3, 4):
        with pytest.raises(GGUFError, match=REASON.decode()):
            ctx.decode([5] * 16, at)
    fine.decode([1, 2, 3], 0)
    with pytest.raises(GGUFError, match="not within the file bounds"):
        Model(copy)


def test_quantize_leaves_nothing(copy, tmp_path):
    """The input is cut between the scan and the reading; no output appears."""
    code = f"""
import os, sys
sys.argv = ["./quantize", {os.fspath(copy)!r}, "out.gguf", "q8_0"]
from llamacy.quantize import rewrite
jobs = rewrite._jobs
def late(*args):
    os.truncate({os.fspath(copy)!r}, 200_000)
    yield from jobs(*args)
rewrite._jobs = late
from llamacy.cli.quantize import run
run()
"""
    repo = os.fspath(__file__).rsplit("/tests/", 1)[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path, timeout=60,
                          env={**os.environ, "PYTHONPATH": repo})
    assert done.returncode == 1, done.stderr
    assert REASON in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["model.gguf"]


def test_other_bus_errors_still_end_the_process(copy, tmp_path):
    code = f"""
import mmap, os
from llamacy.gguf import GGUFFile
model = GGUFFile({os.fspath(copy)!r})
with open("other", "w+b") as file:
    file.truncate(1 << 16)
    own = mmap.mmap(file.fileno(), 1 << 16, access=mmap.ACCESS_READ)
    file.truncate(0)
own[-1]
"""
    repo = os.fspath(__file__).rsplit("/tests/", 1)[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path, timeout=60,
                          env={**os.environ, "PYTHONPATH": repo})
    assert done.returncode == -signal.SIGBUS
