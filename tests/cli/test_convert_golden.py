"""convert.py against the reference's own files, byte for byte, and what the converted models say against transformers.

How both were recorded stands in tests/golden/convert.json and tests/golden/convert_greedy.json.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from llamacy.gguf import GGUFFile
from llamacy.vocab import Vocab
from tests.conftest import REPO

pytest.importorskip("numpy", reason="convert.py needs numpy")
pytest.importorskip("tqdm", reason="convert.py needs tqdm")

CASES = json.loads((REPO / "tests/golden/convert.json").read_text())["cases"]
GREEDY = json.loads((REPO / "tests/golden/convert_greedy.json").read_text())["rows"]
# runs that the reference refuses, and why ours end well
BETTER = {("meta-pth", "--vocab-only"): "the numbers that params.json leaves out are read from the tensors' shapes"}


@pytest.fixture
def convert(tmp_path):
    """Run convert.py in a folder that holds a copy of checkpoint `name`. Returns CompletedProcess; stderr is text."""

    def run(name, *args, config=None):
        shutil.copytree(REPO / "tests/data/convert" / name, tmp_path / name)
        (tmp_path / name).chmod(0o755)
        if config:
            path = tmp_path / name / "config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | config))
        return subprocess.run([sys.executable, REPO / "convert.py", name, *args], cwd=tmp_path, capture_output=True,
                              text=True, timeout=120)

    return run


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join([case["dir"], *case["args"]]))
def test_same_bytes(convert, tmp_path, case):
    args = ["out.gguf" if word == "OUT" else word for word in case["args"]]
    done = convert(case["dir"], *args, *(["--compat-b2794"] if "bpe" in args else []))
    assert done.stdout == ""
    written = {os.path.relpath(path, tmp_path) for path in tmp_path.rglob("*.gguf")}
    if case["rc"] == 0:
        assert done.returncode == 0, done.stderr
        found = {os.path.basename(path): hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() for path in written}
        assert found == {name: facts["sha256"] for name, facts in case["files"].items()}
    elif any((case["dir"], word) in BETTER for word in args):
        assert done.returncode == 0 and len(written) == 1, done.stderr
    else:
        assert done.returncode == 1 and not written
        errors = [line for line in done.stderr.splitlines() if not line.startswith(("INFO:", "WARNING:"))]
        assert len(errors) == 1 and errors[0].startswith("convert.py: error: "), done.stderr


def test_all_cases_are_there(repo):
    assert len(CASES) == 55 and sum(case["rc"] == 0 for case in CASES) == 49
    assert {case["dir"] for case in CASES} == {path.name for path in (repo / "tests/data/convert").iterdir()}


MODELS = {row["dir"] + (" stretched" if "config" in row else ""): row for row in GREEDY}


@pytest.mark.parametrize("name", MODELS)
def test_converted_models_say_what_transformers_says(convert, run_main, tmp_path, name):
    folder, change = MODELS[name]["dir"], MODELS[name].get("config")
    done = convert(folder, "--outtype", "f32", "--outfile", "model.gguf", config=change)
    assert done.returncode == 0, done.stderr
    with GGUFFile(str(tmp_path / "model.gguf")) as gguf:
        vocab = Vocab(gguf)
    rows = [row for row in GREEDY if row["dir"] == folder and row.get("config") == change]
    assert len(rows) == 3
    for row in rows:
        assert vocab.tokenize(row["prompt"].encode(), True, True) == row["ids"]
        done = run_main("-m", "model.gguf", "-p", row["prompt"], "-n", "16", "--temp", "0", "--ignore-eos",
                        "--repeat-penalty", "1", "--log-disable")
        assert done.returncode == 0 and len(row["tokens"]) == 16
        assert done.stdout == vocab.pieces(row["ids"], True) + vocab.pieces(row["tokens"], True)
