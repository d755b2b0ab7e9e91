"""./quantize against recorded runs of the reference: the same bytes, or the same refusal."""

import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPO / "tests" / "unit"))

from quantized import quantize

from llamacy.gguf import GGUFFile
from llamacy.gguf.types import TYPES
from llamacy.quantize import _rows

RECORDED_FOLDER = 28     # bytes of "./././": what stood before the imatrix's name was not recorded, but had 24 to 32 bytes


class Case:
    """A recorded run: options, type, and the status, size, hash or tensor types that it must have."""

    def __init__(self, row, model, imatrices):
        self.args, self.type, self.rc = row["args"], row["type"], row["rc"]
        self.size, self.sha256, self.tensors = row.get("size"), row.get("sha256"), row.get("tensors")
        self.model, self.imatrices = model, imatrices

    @property
    def imatrix(self):
        return "--imatrix" in self.args

    def run(self, folder):
        """CompletedProcess; the output is o.gguf."""
        args = [*self.args]
        if self.imatrix:
            at = args.index("--imatrix") + 1
            os.symlink(self.imatrices / args[at], folder / args[at])
            args[at] = "./" * (RECORDED_FOLDER // 2) + args[at]
        return quantize(*args, self.model, "o.gguf", self.type, 2, cwd=folder, check=False)

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
WRITTEN = [case for case in CASES if case.rc == 0 and not case.imatrix]
WEIGHTED = [case for case in CASES if case.rc == 0 and case.imatrix]
REFUSED = [case for case in CASES if case.rc != 0]


def test_the_record_is_whole():
    assert len(OWN) == 87 and len(CASES) in (87, 153)
    assert len(WRITTEN) > len(WEIGHTED) > len(REFUSED) > 10


@pytest.mark.skipif(not ALL.exists(), reason=f"no recorded facts at {SHARED} (set LLAMACY_SHARED)")
def test_our_copy_of_the_record_is_true():
    rows = [row for row in json.loads(ALL.read_text()) if row["model"] == "random-256-f16.gguf"]
    assert OWN == [{key: row[key] for key in ("type", "args", "rc", "size", "sha256") if key in row} for row in rows]


@pytest.mark.parametrize("case", WRITTEN, ids=str)
def test_the_same_file(case, tmp_path):
    done = case.run(tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    data = (tmp_path / "o.gguf").read_bytes()
    with GGUFFile(tmp_path / "o.gguf") as gguf:
        types = {name: TYPES[tensor.type].name.upper() for name, tensor in gguf.tensors.items()}
    assert case.tensors in (None, types)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (case.size, case.sha256)


@pytest.mark.parametrize("case", WEIGHTED, ids=str)
def test_the_same_size_and_the_weights_where_they_belong(case, tmp_path):
    """The hash of these files hangs on a path that was not recorded. That the bytes of a tensor are right given its weights is
    tested with recorded vectors, and by the logits of whole models."""
    done = case.run(tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "o.gguf").stat().st_size == case.size
    weights = read_imatrix(case.imatrices / case.args[case.args.index("--imatrix") + 1])
    used = 0
    with GGUFFile(case.model) as source, GGUFFile(tmp_path / "o.gguf") as gguf:
        assert gguf["quantize.imatrix.entries_count"] == len(weights)
        for name, tensor in gguf.tensors.items():
            before = source.tensors[name]
            if tensor.type != before.type:
                own = weights.get(name)
                used += own is not None
                expected = _rows.convert(before.type, tensor.type, before.ne[0], source.data(name), own)
                assert bytes(gguf.data(name)) == expected, name
            else:
                assert gguf.data(name) == source.data(name), name
    assert used == len(weights)


def read_imatrix(path):
    """{name: means}, read once more and differently."""
    raw, at, found = path.read_bytes(), 4, {}
    for _ in range(int.from_bytes(raw[:4], "little")):
        n = int.from_bytes(raw[at:at + 4], "little")
        name, at = raw[at + 4:at + 4 + n].decode(), at + 4 + n
        calls, n = np.frombuffer(raw, "<i4", 2, at)
        found[name] = np.frombuffer(raw, "<f4", n, at + 8) / np.float32(calls)
        at += 8 + 4 * n
    return found


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_the_same_refusal(case, tmp_path):
    done = case.run(tmp_path)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == case.rc == 1
    assert any("without an importance matrix" in line or "Missing importance matrix for tensor" in line
               for line in lines[-2:]), lines
    assert not (tmp_path / "o.gguf").exists() and not list(tmp_path.glob(".llamacy*"))
