"""The build: what setup.py finds, compiles again and leaves out; what make accepts and says; what a wheel holds."""

import ctypes
import importlib.util
import os
import re
import subprocess
import sys
import time
import zipfile

import pytest

# what `make` and its caller may have set
OURS = r"MAKE|MFLAGS|LD_PRELOAD|PYTHONMALLOC|LLAMACY_|LLAMA_|MODEL$|PYTHON$|CC$"
ENV = {name: value for name, value in os.environ.items() if not re.match(OURS, name)}
EXPORT = '__attribute__((visibility("default"))) '
ISA = "/*@isa arch={}; rank={}; cflags={}; */\n#include \"../lcy.h\"\n"


def run(*argv, cwd, **env):
    """Run a command in a plain environment; stdout and stderr together."""
    return subprocess.run([str(a) for a in argv], cwd=cwd, env={**ENV, **env}, text=True, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture
def script(repo, monkeypatch):
    """setup.py as a module, without its setup() call; the current folder is the repository."""
    monkeypatch.chdir(repo)
    monkeypatch.delenv("LLAMACY_DEBUG", raising=False)
    monkeypatch.delenv("LLAMACY_SANITIZE", raising=False)
    spec = importlib.util.spec_from_file_location("llamacy_setup", repo / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(copied_tree):
    """A tiny project with the real build files: one C file, one module that uses it, one that does not."""
    root = copied_tree("setup.py", "pyproject.toml", "README.md", "Makefile", "bin", "llamacy/__init__.py",
                       *(f"llamacy/cli/{name}.py" for name in ("__init__", "quantize", "server", "convert")))
    files = {
        "kernels/lcy.h": "int answer(void);\n",
        "kernels/answer.c": '#include "lcy.h"\n' + EXPORT + "int answer(void) { return 42; }\n",
        "llamacy/_lcy.pxd": 'cdef extern from "lcy.h":\n    int answer()\n',
        "llamacy/room/__init__.py": "",
        "llamacy/room/linked.pyx": "from llamacy._lcy cimport answer\n\ndef ask():\n    return answer()\n",
        "llamacy/room/alone.pyx": "def ask():\n    return 1\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def build(root, *options, **env):
    return run(sys.executable, "setup.py", "-q", "build_ext", "--inplace", *options, cwd=root, **env)


# ------------------------------------------------------------------------------------------ the repository


def test_formats_are_the_headers_with_a_descriptor(script, repo):
    headers = (repo / "kernels" / "formats").glob("*.h")
    described = {path.stem for path in headers if "const lcy_format " in path.read_text()}
    assert described and set(script.formats()) == described


def test_isas_come_weakest_first_and_are_known_to_the_compiler(script):
    found = [(name, reason) for name, _, _, reason in script.isas()]
    if script.ARCH == "x86_64":
        assert [name for name, reason in found if reason is None] == [
            "avx2", "avxvnni", "avx512", "avx512bf16", "avx512vbmi", "avx512amx"]


def test_no_flag_names_the_building_machine(script):
    flags = [*script.COMMON, *script.OPTIMISE, *(f for _, _, isa_flags, _ in script.isas() for f in isa_flags)]
    named = [flag for flag in flags if flag.startswith(("-march=", "-mtune=", "-mcpu=")) or "fast-math" in flag]
    assert not [flag for flag in named if not re.fullmatch(r"-march=armv8\.\d-a(\+\w+)*", flag)]  # how ARM names features


def test_nothing_is_contracted_and_the_oracle_has_no_vector_flags(script):
    assert "-ffp-contract=off" in script.COMMON
    oracle = [*script.COMMON, *script.OPTIMISE, *script.FILE_FLAGS["kernels/formats.c"]]
    assert not [flag for flag in oracle if flag.startswith("-m")]
    for ext in script.extensions():
        assert "-ffp-contract=off" in ext.extra_compile_args, ext.name


def test_library_exports_only_its_own_names(repo):
    library = repo / "llamacy" / "liblcy.so"
    assert ctypes.CDLL(str(library)).lcy_format_of
    symbols = run("nm", "-D", "--defined-only", library, cwd=repo).stdout.split("\n")
    names = [line.split()[-1] for line in symbols if line]
    assert names and not [name for name in names if not name.startswith(("lcy_", "__asan", "__ubsan", "__odr_asan"))]


# ------------------------------------------------------------------------------------------ a tree of its own


def test_tree_builds_and_works_after_it_moved(tree, tmp_path):
    done = build(tree)
    assert done.returncode == 0, done.stdout
    assert "liblcy.so and 2 extension modules" in done.stdout
    tree = tree.rename(tmp_path / "moved tree")
    ask = "from llamacy.room import alone, linked; print(alone.ask() + linked.ask())"
    assert run(sys.executable, "-c", ask, cwd=tree).stdout == "43\n"
    assert not list(tree.glob("llamacy/**/*.c"))


def test_second_build_compiles_nothing_and_a_header_or_flag_compiles_again(tree):
    assert "answer.c" in build(tree).stdout
    assert "answer.c" not in build(tree).stdout
    time.sleep(0.01)
    (tree / "kernels/lcy.h").touch()
    assert "answer.c" in build(tree).stdout
    script = tree / "setup.py"
    script.write_text(script.read_text().replace('"-Wall", ', '"-Wall", "-DCHANGED", '))
    assert "-DCHANGED" in build(tree).stdout


def test_a_generated_list_follows_the_folder(tree):
    here = os.uname().machine
    for name, text in {"formats/q9.h": "const lcy_format lcy_format_q9 = {0};\n",
                       "formats/plain.h": "typedef int plain;\n", "formats/common/help.h": "",
                       "strong/isa.c": ISA.format(here, 9, "-O1"), "weak/isa.c": ISA.format(here, 1, ""),
                       "alien/isa.c": ISA.format("pdp11", 1, "-O1"),
                       "unknown/isa.c": ISA.format(here, 5, "-mno-such-thing")}.items():
        path = tree / "kernels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = build(tree)
    assert done.returncode == 0, done.stdout
    gen = tree / "build" / "gen"
    assert (gen / "formats.inc").read_text() == "X(q9)\n"
    assert (gen / "formats_all.h").read_text() == '#include "formats/q9.h"\n'
    assert (gen / "isas.inc").read_text() == "X(weak)\nX(strong)\n"
    assert "left out: alien: for pdp11" in done.stdout
    assert re.search("left out: unknown: .* does not know -mno-such-thing", done.stdout)


def test_isa_without_its_first_line_is_named(tree):
    (tree / "kernels/fast").mkdir()
    (tree / "kernels/fast/isa.c").write_text("int x;\n")
    done = build(tree)
    assert done.returncode == 1 and "kernels/fast/isa.c: line 1 should be" in done.stdout


def test_failures_are_named_at_the_end_and_the_rest_is_built(tree):
    (tree / "llamacy/room/broken.pyx").write_text("def ask(:\n")
    (tree / "kernels/wrong.c").write_text("int wrong(\n")
    done = build(tree)
    assert done.returncode == 1
    assert re.findall("^failed: (.*)", done.stdout, re.M) == [
        "kernels/wrong.c: does not compile", "llamacy/room/broken.pyx: Cython refuses it",
        "llamacy.room.linked: does not compile"]         # for there is no library that it could be linked to
    assert list(tree.glob("llamacy/room/alone.*.so"))


def test_debug_mode_is_kept_apart_and_checks_bounds(tree):
    (tree / "llamacy/room/alone.pyx").write_text("def ask(list a, Py_ssize_t i):\n    return a[i]\n")
    check = "from llamacy.room import alone\nprint(alone.ask.__doc__)\nalone.ask([1], {})"
    assert build(tree, LLAMACY_DEBUG="1").returncode == 0
    assert "IndexError" in run(sys.executable, "-c", check.format(5), cwd=tree).stdout
    assert build(tree).returncode == 0
    assert run(sys.executable, "-c", check.format(0), cwd=tree).stdout == "None\n"      # the other file is there again


def test_wheel_holds_the_library_the_modules_and_the_commands(tree, tmp_path):
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    done = run(*pip_wheel, "-q", "-w", tmp_path, ".", cwd=tree)
    assert done.returncode == 0, done.stdout
    wheel, = tmp_path.glob("llamacy-*.whl")
    assert "none-any" not in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points, = [archive.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    assert "llamacy/liblcy.so" in names and "llamacy/cli/quantize.py" in names
    assert len([name for name in names if name.startswith("llamacy/room/") and name.endswith(".so")]) == 2
    assert not [name for name in names if name.endswith((".c", ".pyx", ".pxd"))]
    for tool in ("main", "quantize", "server", "convert", "imatrix"):
        assert f"llamacy-{tool} = llamacy.cli.{tool}:run" in entry_points
    assert "llamacy-gguf-split = llamacy.cli.gguf_split:run" in entry_points


# ------------------------------------------------------------------------------------------------------ make


@pytest.mark.parametrize("targets", ["", "main quantize server imatrix gguf-split", "test", "bench", "sanitize", "clean",
                                     "distclean", "-j", "-j4 main"])
def test_make_accepts(tree, targets):
    done = run("make", "-n", *targets.split(), cwd=tree)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("flag", ["LLAMA_CUBLAS", "LLAMA_CUDA", "LLAMA_METAL"])
def test_make_for_a_gpu_says_that_it_builds_for_the_cpu(tree, flag):
    line = f"{flag}=1: this build has no GPU kernels yet; making a CPU build\n"
    assert line in run("make", "-n", f"{flag}=1", cwd=tree).stdout
    assert line in run("make", "-n", cwd=tree, **{flag: "1"}).stdout
    assert "GPU" not in run("make", "-n", cwd=tree).stdout


PYTHON = """#!/bin/sh
# A Python that lacks things: each word of $LACKS ends what asks for it.
case "$2" in
    *Python.h*) case $LACKS in *header*) exit 1 ;; esac ;;
    *ensurepip*) case $LACKS in *venv*) exit 1 ;; esac ;;
    *version_info*) case $LACKS in *old*) exit 1 ;; esac ;;
    pip) case $LACKS in *venv*) exit 1 ;; esac ;;
esac
exec "{}" "$@"
"""
GCC = """#!/bin/sh
case $LACKS in *stdio*) exit 1 ;; esac
exec gcc "$@"
"""


@pytest.mark.parametrize("lacks, settings, line", [
    ("", ["PYTHON=no-such-python"], "Python 3.11 or later: apt-get install python3 python3-dev python3-venv"),
    ("old", [], "Python 3.11 or later: apt-get install python3 python3-dev python3-venv"),
    ("header", [], "Python.h: apt-get install python3-dev"),
    ("venv", [], "venv (or pip): apt-get install python3-venv"),
    ("", ["CC=no-such-compiler"], "no-such-compiler: apt-get install gcc libc6-dev"),
    ("stdio", [], "stdio.h: apt-get install libc6-dev"),
    ("header venv", ["CC=no-such-compiler"],
     "Python.h, venv (or pip), no-such-compiler: apt-get install python3-dev python3-venv gcc libc6-dev"),
])
def test_make_names_what_is_missing(tree, lacks, settings, line):
    """In one line, with the packages that have it."""
    for name, text in (("python", PYTHON.format(sys.executable)), ("cc", GCC)):
        (tree / name).write_text(text)
        (tree / name).chmod(0o755)
    done = run("make", "PYTHON=./python", "CC=./cc", *settings, cwd=tree, LACKS=lacks)
    assert done.returncode == 2 and done.stdout.splitlines()[0] == f"make: missing: {line}", done.stdout


@pytest.mark.parametrize("model", [None, "my model.gguf"])
def test_make_demo_tells_a_story(tree, model):
    """Of the bundled model, or of MODEL, whatever its name holds."""
    (tree / "main").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (tree / "main").chmod(0o755)
    done = run("make", "demo", "TOOLS=", *([f"MODEL={model}"] if model else []), cwd=tree)
    assert done.returncode == 0 and f"-m\n{model or 'bundled'}\n-n\n" in done.stdout, done.stdout
    assert "Once upon a time\n" in done.stdout


def test_ci_calls_the_readme_test_command(repo):
    assert re.search(r"^make test\b", (repo / "README.md").read_text(), re.M)
    assert (repo / ".ci" / "run").read_text().endswith("\nmake test\n")
