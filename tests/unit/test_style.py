"""Rules of the source that no reader should have to check: who imports whom, what a start loads, how text looks."""

import ast
import json
import re
import subprocess
import sys

import pytest

# A room may import from its own layer and from those below. Modules at the top of the package may be imported by all.
LAYERS = [{"_lcy", "errors"}, {"gguf", "vocab", "arch"}, {"engine", "sampling", "convert", "quantize"},
          {"api", "cli", "server"}]
LAYER = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}

# Modules that cost a start more than they give: each pulls in others, or runs regular expressions or class machinery.
HEAVY = {
    "argparse", "asyncio", "collections", "concurrent", "contextlib", "ctypes", "dataclasses", "datetime", "decimal",
    "email", "enum", "fractions", "functools", "gettext", "glob", "http", "importlib.metadata", "importlib.util",
    "inspect", "json", "locale", "logging", "multiprocessing", "numpy", "pathlib", "pickle", "pkg_resources",
    "platform", "random", "re", "setuptools", "shutil", "site", "socket", "subprocess", "tempfile", "textwrap",
    "threading", "tokenize", "traceback", "typing", "unittest", "urllib", "uuid", "warnings", "zipfile",
}

SOURCES = ("kernels/**/*.[ch]", "llamacy/**/*.py", "llamacy/**/*.pyx", "llamacy/**/*.pxd", "llamacy/server/web/**/*.[chj]*",
           "tests/**/*.py", "tools/**/*.py", "setup.py", "convert.py", "Makefile", "bin/*")
WIDEST = 140           # a row of the options table; text keeps to 120


def sources(repo, *patterns):
    found = sorted(path for pattern in patterns or SOURCES for path in repo.glob(pattern) if path.is_file())
    assert found
    return found


def imports(path, repo):
    """Dotted names that a .py, .pyx or .pxd file imports or cimports anywhere; relative ones made absolute."""
    package = path.relative_to(repo).parts[:-1]

    def absolute(module, dots):
        base = package[:len(package) - dots + 1] if dots else ()
        return ".".join([*base, *([module] if module else [])])

    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{absolute(node.module, node.level)}.{alias.name}" for alias in node.names)
        return
    for line in path.read_text().splitlines():
        if match := re.match(r"\s*from\s+(\.*)([\w.]*)\s+c?import\s+\(?([\w, *]+)", line):
            names = [name.split(" as ")[0].strip() for name in match[3].split(",")]
            yield from (f"{absolute(match[2], len(match[1]))}.{name}" for name in names if name)
        elif match := re.match(r"\s*c?import\s+([\w., ]+)", line):
            yield from (name.split(" as ")[0].strip() for name in match[1].split(","))


def test_rooms_import_only_downwards(repo):
    known, wrong = 0, []
    for path in sources(repo, "llamacy/*/**/*.py", "llamacy/*/**/*.pyx", "llamacy/*/**/*.pxd"):
        room = path.relative_to(repo).parts[1]
        assert room in LAYER, f"{path}: a room that no layer has"
        for name in imports(path, repo):
            parts = name.split(".")
            if parts[0] == "llamacy" and len(parts) > 1 and parts[1] in LAYER:
                known += 1
                if LAYER[parts[1]] > LAYER[room]:
                    wrong.append(f"{path.relative_to(repo)} imports {name}")
    assert known > 10 and not wrong, "\n".join(wrong)


def test_all_c_declarations_are_in_one_pxd(repo):
    headers = {path.name for path in (repo / "kernels").rglob("*.h")}
    users = {path.name for path in sources(repo, "llamacy/**/*.pyx", "llamacy/**/*.pxd")
             for name in re.findall(r'cdef extern from "([^"]+)"', path.read_text()) if name.split("/")[-1] in headers}
    assert users == {"_lcy.pxd"}


def test_kernels_know_no_python_and_no_files_and_never_exit(repo):
    forbidden = re.compile(r"Python\.h|fcntl\.h|\b(f?printf|puts|fopen|open|exit|_exit|abort)\s*\(")
    found = [f"{path}: {match[0]}" for path in sources(repo, "kernels/**/*.[ch]")
             if (match := forbidden.search(re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)))]
    assert not found, found


def loaded(repo, tmp_path, *argv):
    """Modules that a run of main leaves loaded, beyond those of a bare interpreter, and its exit code."""
    code = "import sys, os\nbare = set(sys.modules)\nsys.path.insert(0, {!r})\nsys.argv = {!r}\n" \
           "from llamacy.cli.main import run\ntry:\n    run()\nexcept SystemExit as end:\n    code = end.code\n" \
           "files = {{n: getattr(m, '__file__', None) or '' for n, m in sys.modules.items() if n not in bare}}\n" \
           "import json\nos.write(3, json.dumps([code or 0, files]).encode())\n"
    report = tmp_path / "modules.json"
    script = code.format(str(repo), ["./main", *map(str, argv)])
    command = ["sh", "-c", 'exec "$@" 3> "$0"', report, sys.executable, "-I", "-S", "-X", "utf8", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert report.exists() and report.stat().st_size, done.stderr.decode()
    return json.loads(report.read_text())


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["-m", "MODEL", "-p", "a", "-n", "1", "--log-disable"]],
                         ids=["version", "help", "one token"])
def test_start_loads_nothing_heavy(repo, tmp_path, random_256, argv):
    code, files = loaded(repo, tmp_path, *(random_256 if word == "MODEL" else word for word in argv))
    assert code == 0 and "llamacy.cli.main" in files
    heavy = sorted(name for name in files if name in HEAVY or name.split(".")[0] in HEAVY)
    assert not heavy, f"heavy: {heavy}; all: {sorted(files)}"
    assert not [path for path in files.values() if "site-packages" in path]
    assert len(files) < 60, sorted(files)


def test_lines_are_short_and_tidy(repo):
    wrong = []
    for path in sources(repo):
        for number, line in enumerate(path.read_text().split("\n"), 1):
            if len(line) > WIDEST or line != line.rstrip() or ("\t" in line and path.name != "Makefile"):
                wrong.append(f"{path.relative_to(repo)}:{number}")
    assert not wrong, wrong


def test_modules_say_what_they_are(repo):
    silent = [path for path in sources(repo, "llamacy/**/*.py", "llamacy/**/*.pyx", "tests/**/*.py")
              if path.stat().st_size and not re.match(r'(#[^\n]*\n)*\s*r?"""\S', path.read_text())]
    assert not silent, silent


def test_nothing_is_left_for_later(repo):
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|#if 0\b")
    found = [path for path in sources(repo) if path.name != "test_style.py" and marks.search(path.read_text())]
    assert not found, found
