"""The launchers: found from anywhere, arguments untouched, nothing of the surroundings let in."""

import os
import subprocess
import sys

import pytest

TOOLS = ("main", "quantize", "server", "imatrix", "gguf-split", "tokenize", "llama-bench", "doctor", "llamacy")
REPORT = """import os, sys
def run():
    for arg in sys.argv:
        sys.stdout.buffer.write(os.fsencode(arg) + b"|")
    sys.exit(3)
"""


@pytest.fixture
def tree(copied_tree):
    """A folder with spaces that has the launchers and a package whose main writes its argv and exits with 3."""
    root = copied_tree("bin", to="a tree of ours")
    (root / "llamacy/cli").mkdir(parents=True)
    for name in ("__init__.py", "cli/__init__.py"):
        (root / "llamacy" / name).write_text("")
    (root / "llamacy/cli/main.py").write_text(REPORT)
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").symlink_to(sys.executable)
    return root


def launch(*argv, **kwargs):
    done = subprocess.run([os.fspath(a) for a in argv], capture_output=True, timeout=60, **kwargs)
    return done.returncode, done.stdout, done.stderr


def test_all_launchers_have_one_text(repo):
    launchers = sorted(path.name for path in (repo / "bin").iterdir())
    assert launchers == sorted(TOOLS)
    assert len({(repo / "bin" / name).read_bytes() for name in launchers}) == 1
    assert all(os.access(repo / "bin" / name, os.X_OK) for name in launchers)


def test_argv_0_is_what_was_typed(tree):
    assert launch("bin/main", "-n", "1", cwd=tree) == (3, b"bin/main|-n|1|", b"")
    assert launch("../bin/main", cwd=tree / "bin") == (3, b"../bin/main|", b"")
    assert launch(tree / "bin/main", cwd="/") == (3, os.fsencode(tree / "bin/main") + b"|", b"")


def test_a_copy_beside_the_makefile_works(tree):
    (tree / "main").write_bytes((tree / "bin/main").read_bytes())
    (tree / "main").chmod(0o755)
    assert launch("./main", cwd=tree) == (3, b"./main|", b"")
    assert launch("sh", "main", "x", cwd=tree) == (3, b"main|x|", b"")


@pytest.mark.parametrize("target", ["a tree of ours/bin/main", "{tmp}/a tree of ours/bin/main", "links/second"])
def test_through_a_symlink(tree, tmp_path, target):
    (tmp_path / "links").mkdir()
    (tmp_path / "links/second").symlink_to("../a tree of ours/bin/main")
    (tmp_path / "my llm").symlink_to(target.format(tmp=tmp_path))
    assert launch("./my llm", "-h", cwd=tmp_path) == (3, b"./my llm|-h|", b"")
    assert launch(tmp_path / "my llm", cwd="/")[0] == 3


def test_from_the_path(tree):
    code, out, _ = launch("main", "x", cwd="/", env={**os.environ, "PATH": f"{tree}/bin:{os.environ['PATH']}"})
    assert (code, out) == (3, os.fsencode(tree / "bin/main") + b"|x|")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "en_US.ISO-8859-1"])
def test_arguments_arrive_as_the_bytes_they_were(tree, locale):
    words = [b"", b" ", b"two\nlines", b"$HOME `x` \"'\\", "ünï 🦙".encode(), b"\xff\xfe\x80", b"-c", b"--"]
    code, out, err = launch(tree / "bin/main", *map(os.fsdecode, words), env={**os.environ, "LC_ALL": locale})
    assert (code, err) == (3, b"")
    assert out.split(b"|")[1:-1] == words


def test_surroundings_are_not_imported(tree, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("llamacy.py", "os.py", "sys.py", "struct.py"):
        (elsewhere / name).write_text("raise SystemExit('the wrong module')")
    env = {**os.environ, "PYTHONPATH": os.fspath(elsewhere), "PYTHONHOME": "/nowhere", "PYTHONSTARTUP": "x"}
    assert launch(tree / "bin/main", cwd=elsewhere, env=env)[0] == 3


def test_before_make_one_line_says_so(tree):
    (tree / ".venv/bin/python").unlink()
    code, out, err = launch("bin/main", cwd=tree)
    assert (code, out) == (1, b"")
    assert err == b"bin/main: llamacy is not built yet: run make in bin/..\n"


@pytest.fixture
def real_tree(tree, repo):
    """The launchers with this repository's package behind them."""
    for path in sorted((tree / "llamacy").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tree / "llamacy").rmdir()
    (tree / "llamacy").symlink_to(repo / "llamacy")
    return tree


def test_server_reads_its_flags(real_tree):
    code, out, err = launch("bin/server", "x", cwd=real_tree)
    assert (code, err) == (1, b"error: unknown argument: x\n") and out.startswith(b"usage: bin/server [options]\n")


@pytest.mark.parametrize("tool", ["imatrix", "gguf-split"])
def test_other_tools_start(real_tree, tmp_path, tool):
    """A dash in a tool's name is an underscore in its module's."""
    code, out, err = launch(real_tree / "bin" / tool, "--version", cwd=tmp_path)
    assert (code, out) == (0, b"") and err.startswith(b"version: ")
    code, out, err = launch(real_tree / "bin" / tool, "--foo", cwd=tmp_path)
    assert code == 1 and err == b"error: unknown argument: --foo\n"
    assert os.fsencode(f"usage: {real_tree}/bin/{tool} [options]") in out


def test_main_starts(real_tree, tmp_path):
    code, out, err = launch(real_tree / "bin/main", "--version", cwd=tmp_path)
    assert (code, out) == (0, b"")
    assert err.startswith(b"version: ")


def test_unknown_argument_prints_the_usage_with_the_typed_name(real_tree):
    code, out, err = launch("bin/main", "--foo", cwd=real_tree)
    assert code == 1 and b"error: unknown argument: --foo\n" in err
    assert b"usage: bin/main [options]" in out
