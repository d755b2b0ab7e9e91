"""What every test may ask for: the repository, the reference's recorded facts, a small model, a way to start ./main."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo():
    """The repository's root folder."""
    return REPO


@pytest.fixture(scope="session")
def shared():
    """The folder of recorded facts (spec/, golden/, data/): $LLAMACY_SHARED, else ../shared beside the repository."""
    folder = Path(os.environ.get("LLAMACY_SHARED") or REPO.parent / "shared")
    if not (folder / "golden").is_dir():
        pytest.skip(f"no recorded facts at {folder} (set LLAMACY_SHARED)")
    return folder


@pytest.fixture(scope="session")
def random_256():
    """A llama-shaped F16 model of random weights, 256 wide: every format's blocks fit, and its text is noise."""
    return REPO / "tests" / "data" / "random-256-f16.gguf"


def command(name):
    """argv that starts tool `name` in this interpreter, as bin/<name> does."""
    code = f"import sys; sys.path.insert(0, {str(REPO)!r}); sys.argv[0] = './{name}'; " \
           f"from llamacy.cli.{name} import run; run()"
    return [sys.executable, *(["-S"] if name in ("main", "quantize") else []), "-E", "-c", code]


@pytest.fixture(scope="session")
def main_command():
    """argv (a list) that starts ./main."""
    return command("main")


@pytest.fixture
def run_main(main_command, tmp_path):
    """Run ./main with arguments in an empty folder; stdin is `input`, then ends. Returns CompletedProcess."""

    def run(*args, input=b"", timeout=120, **kwargs):
        argv = [*main_command, *map(os.fspath, args)]
        return subprocess.run(argv, input=input, capture_output=True, timeout=timeout, cwd=tmp_path, **kwargs)

    return run


@pytest.fixture
def copied_tree(tmp_path):
    """A function: copy files or folders of the repository (relative paths) into a fresh folder, return that."""

    def copy(*names, to="a tree"):
        target = tmp_path / to
        for name in names:
            source, goal = REPO / name, target / name
            goal.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, goal, symlinks=True)
            else:
                shutil.copy2(source, goal)
        return target

    return copy
