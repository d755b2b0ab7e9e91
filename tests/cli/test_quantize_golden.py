"""./quantize against recorded runs of the reference: the same bytes, or the same refusal."""

import hashlib
import json
import os
import re
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPO / "tests" / "unit"))

from quantized import quantize

from llamacy.gguf import GGUFFile
from llamacy.gguf.types import TYPES


def recorded_folder():
    """Where the imatrix files lay when the reference ran. Files hold that path; the record has only their names. It is beside
    the folder of the recorded checkpoints, which their tokenizer names."""
    tokenizer = (REPO / "tests" / "data" / "convert" / "hf-spm" / "tokenizer.model").read_bytes()
    return re.search(rb"(/[a-z/]+/)data/convert/", tokenizer)[1].decode() + "golden/"


FOLDER = recorded_folder()


class Case:
    """A recorded run: options, type, and the status, size, hash or tensor types that it must have."""

    def __init__(self, row, model, imatrices):
        self.args, self.type, self.rc = row["args"], row["type"], row["rc"]
        self.size, self.sha256, self.tensors = row.get("size"), row.get("sha256"), row.get("tensors")
        self.model, self.imatrices = model, imatrices

    def run(self, folder):
        """(CompletedProcess, bytes of the output). An imatrix is named by a path as long as the recorded one, and has that
        one's place in the bytes."""
        args, given, recorded = [*self.args], b"", b""
        if "--imatrix" in args:
            at = args.index("--imatrix") + 1
            recorded = (FOLDER + args[at]).encode()
            os.symlink(self.imatrices / args[at], folder / args[at])
            args[at] = args[at].rjust(len(recorded), "/").replace("//", "./", len(FOLDER) // 2)
            given = args[at].encode()
        done = quantize(*args, self.model, "o.gguf", self.type, 2, cwd=folder, check=False)
        if done.returncode:
            return done, None
        data = (folder / "o.gguf").read_bytes()
        assert not given or data.count(given) == 1
        return done, data.replace(given, recorded) if given else data

    def __str__(self):
        return f"{self.model.stem} {self.type} {' '.join(self.args)}".rstrip()


OWN = json.loads((REPO / "tests" / "golden" / "quantize_random256.json").read_text())["runs"]
SHARED = Path(os.environ.get("LLAMACY_SHARED") or REPO.parent / "shared")
ALL = SHARED / "golden" / "quantize.json"


def cases():
    """All recorded runs; without the folder of recorded facts those on the model that is in this repository."""
    if ALL.exists():
        return [Case(row, SHARED / "data" / "models" / row["model"], SHARED / "golden") for row in json.loads(ALL.read_text())]
    return [Case(row, REPO / "tests" / "data" / "random-256-f16.gguf", REPO / "tests" / "golden") for row in OWN]


CASES = cases()
WRITTEN = [case for case in CASES if case.rc == 0]
REFUSED = [case for case in CASES if case.rc != 0]


def test_the_record_is_whole():
    assert len(OWN) == 87 and len(CASES) in (87, 153)
    assert len(WRITTEN) > len(REFUSED) > 10


@pytest.mark.skipif(not ALL.exists(), reason=f"no recorded facts at {SHARED} (set LLAMACY_SHARED)")
def test_our_copy_of_the_record_is_true():
    rows = [row for row in json.loads(ALL.read_text()) if row["model"] == "random-256-f16.gguf"]
    assert OWN == [{key: row[key] for key in ("type", "args", "rc", "size", "sha256") if key in row} for row in rows]


@pytest.mark.parametrize("case", WRITTEN, ids=str)
def test_the_same_file(case, tmp_path):
    done, data = case.run(tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    with GGUFFile(tmp_path / "o.gguf") as gguf:
        types = {name: TYPES[tensor.type].name.upper() for name, tensor in gguf.tensors.items()}
    assert case.tensors in (None, types)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (case.size, case.sha256)


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_the_same_refusal(case, tmp_path):
    done, _ = case.run(tmp_path)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == case.rc == 1
    assert any("without an importance matrix" in line or "Missing importance matrix for tensor" in line
               for line in lines[-2:]), lines
    assert not (tmp_path / "o.gguf").exists() and not list(tmp_path.glob(".llamacy*"))
