"""For the tests of tools that are no ./main: how bin/NAME would start them, with this interpreter."""

import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "unit"))

from test_style import HEAVY     # the path is known only now


__all__ = ["HEAVY", "REPO", "argv", "loaded", "run"]


def argv(name):
    """argv that starts tool `name` ("gguf-split"), without the packages of this interpreter."""
    module = name.replace("-", "_")
    code = f"import sys; sys.path.insert(0, {str(REPO)!r}); sys.argv[0] = './{name}'; " \
           f"from llamacy.cli.{module} import run; run()"
    return [sys.executable, "-S", "-E", "-X", "utf8", "-c", code]


def run(name, *words, cwd, timeout=120):
    """CompletedProcess of tool `name` in folder `cwd`, nothing on stdin."""
    words = [os.fspath(word) for word in words]
    return subprocess.run([*argv(name), *words], stdin=subprocess.DEVNULL, capture_output=True, cwd=cwd,
                          timeout=timeout)


def loaded(name, *words, cwd):
    """Names of the modules that a run of tool `name` leaves loaded, beyond those of a bare interpreter."""
    *start, code = argv(name)
    code = "import atexit, os, sys; bare = set(sys.modules); " \
           "atexit.register(lambda: os.write(3, '\\n'.join(set(sys.modules) - bare).encode())); " + code
    report = Path(cwd, "modules.txt")
    shell = ["sh", "-c", 'exec "$@" 3> "$0"', report, *start, code, *map(os.fspath, words)]
    subprocess.run(shell, stdin=subprocess.DEVNULL, capture_output=True, cwd=cwd, timeout=120)
    return set(report.read_text().split())
