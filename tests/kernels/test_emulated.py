"""Kernels of other machines. ARM's plain C gives what this one's gives, each CPU gets its levels, recorded bytes hold.

That its levels equal plain C is tested with everybody's: test_matmul.py, test_ops.py, test_quantizers.py and so on.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import lcy
import remote
import vectors
from levels import EMULATED, LEVELS, PLAIN, STAND_INS
from test_matmul import expected, lengths, random_weights, same_bits

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
VECTORS = [v for name in ("format_vectors.json", "iq_vectors.json") for v in json.loads((GOLDEN / name).read_text())["vectors"]
           if v["path"] == "quantize"]
NEON, DOTPROD, I8MM = 1 << 8, 1 << 9, 1 << 10  # LCY_CPU_...

emulated = pytest.mark.skipif(not EMULATED, reason=remote.missing() or "")


@emulated
@pytest.mark.parametrize("processor, features", [
    ("cortex-a53", NEON), ("neoverse-n1", NEON | DOTPROD), ("max", NEON | DOTPROD | I8MM)])
def test_a_processor_is_known_by_its_features(processor, features):
    server = remote.on(processor)
    assert server.tables()[0] == features
    server.stop()


@emulated
@pytest.mark.parametrize("limit, features", [
    ("reference", 0), ("neon", NEON), ("dotprod", NEON | DOTPROD), ("no such level", NEON | DOTPROD | I8MM)])
def test_environment_limits_the_level(limit, features):
    server = remote.on("max", f"LLAMACY_CPU={limit}")
    assert server.tables()[0] == features
    server.stop()


@pytest.mark.skipif(not STAND_INS, reason="AVX-512 VNNI or build/stand-in/kernel-server is missing: make kernel-servers")
def test_stand_ins_are_tested():
    assert [name for name, _ in STAND_INS] == ["reference", "avxvnni", "avx512amx"]


@emulated
def test_levels_come_weakest_first():
    assert [name for name, _ in EMULATED] == ["reference", "neon", "dotprod", "i8mm"]


@emulated
@pytest.mark.parametrize("fmt", [fmt for fmt in lcy.FORMATS if fmt.dot], ids=lambda fmt: fmt.name.decode())
def test_plain_c_is_the_same(fmt):
    """Products, conversions; the first is what `expected` gives on this machine."""
    rng, (_, plain) = np.random.default_rng(31), EMULATED[0]
    with_ = lcy.lib.lcy_format_of(fmt.dot_with).contents
    for n in lengths(fmt):
        w, x = random_weights(fmt, rng, 5, n), lcy.from_float(with_, rng.standard_normal((3, n)))
        same_bits(lcy.matmul(plain.matmul[fmt.type], n, w, x), expected(fmt, n, w, x))
        same_bits(lcy.to_float(fmt, w, plain), lcy.to_float(fmt, w, PLAIN))
    if fmt.from_float:
        x = np.float32(rng.standard_normal((4, 512)))
        np.testing.assert_array_equal(lcy.from_float(fmt, x, plain), lcy.from_float(fmt, x, PLAIN))


@pytest.mark.parametrize("level, table", [*LEVELS, *[("aarch64 reference", table) for _, table in EMULATED[:1]]],
                         ids=lambda value: value if isinstance(value, str) else "")
def test_every_level_writes_the_recorded_bytes(level, table):
    """Whole small tensors, every format that the reference's quantize writes: one file wherever it was made."""
    assert {v["type"] for v in VECTORS} == {fmt.name.decode() for fmt in lcy.FORMATS if fmt.quantize} - {"bf16"}
    for v in VECTORS:
        x = vectors.make(v["formula"], v["rows"], v["cols"])
        status, packed = lcy.quantize(lcy.BY_NAME[v["type"]], x, vectors.imatrix(v["cols"]) if v["imatrix"] else None, table)
        assert status == 0 and hashlib.sha256(packed.tobytes()).hexdigest() == v["sha256"], (v["type"], v["formula"])
