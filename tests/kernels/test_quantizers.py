"""The file quantizers of every ISA level against the plain C ones: the same bytes, whatever the finite floats."""

import os

import numpy as np
import pytest

import lcy
import vectors
from levels import is_emulated, own
from test_matmul import HALVES

each_quantizer = pytest.mark.parametrize("level, table, fmt", own("quantize"))
# Rows of 1024 of each kind and case; LLAMACY_QUANTIZER_ROWS=3200 makes it 10^5 blocks of 256 of a type.
ROWS = int(os.environ.get("LLAMACY_QUANTIZER_ROWS", "24"))
E_ARG = 1
NEEDY = {"iq1_s", "iq2_xxs", "iq2_xs"}      # refuse to work without an imatrix


def sparse(rng, shape):
    return np.where(rng.random(shape) < 0.04, rng.standard_normal(shape), 0)


def mixed_sizes(rng, shape):
    return rng.standard_normal(shape) * 2.0 ** rng.integers(-30, 30, shape)


def mixed_blocks(rng, shape):
    """Blocks of 16 that are nothing, constant, of one sign, of few values or of one spike beside ordinary ones."""
    x = rng.standard_normal((shape[0] * shape[1] // 16, 16))
    kind = rng.integers(0, 8, (len(x), 1))
    x = np.where(kind == 0, 0, x)
    x = np.where(kind == 1, x[:, :1], x)
    x = np.where(kind == 2, np.abs(x), x)
    x = np.where(kind == 3, -np.abs(x), x)
    x = np.where(kind == 4, np.round(x), x)
    x = np.where((kind == 5) & (np.arange(16) != 7), 0, x)
    return x.reshape(shape)


KINDS = {
    "normal": lambda rng, shape: rng.standard_normal(shape) / 30,
    "heavy": lambda rng, shape: rng.standard_t(2, shape),
    "constant": lambda rng, shape: np.repeat(rng.standard_normal((shape[0], shape[1] // 64)), 64, 1),
    "zero": lambda rng, shape: np.where(rng.random(shape) < 0.5, 0.0, -0.0),
    "ties": lambda rng, shape: rng.integers(-4, 5, shape) / 2,
    "few": lambda rng, shape: rng.integers(0, 3, shape) - 1.0,
    "positive": lambda rng, shape: rng.random(shape) + 3,
    "negative": lambda rng, shape: -rng.random(shape) - 3,
    "huge": lambda rng, shape: rng.standard_normal(shape) * 1e37,
    "tiny": lambda rng, shape: rng.standard_normal(shape) * 1e-30,
    "subnormal": lambda rng, shape: rng.standard_normal(shape) * 1e-41,
    "odd": lambda rng, shape: rng.choice([3e38, -3e38, 1e-45, -1e-38, 1e-30, 0, -0.0, 1], shape),
    "sparse": sparse, "sizes": mixed_sizes, "blocks": mixed_blocks,
}


def importance(rng, n):
    """None and four imatrix rows: ordinary, with zeros and of many sizes, only zeros, so large that sums overflow."""
    ordinary = rng.random(n) * 10
    odd = np.where(rng.random(n) < 0.3, 0, 10.0 ** rng.integers(-20, 12, n))
    return [None, *(np.float32(w) for w in (ordinary, odd, np.zeros(n), np.full(n, 3e38)))]


def same(table, fmt, x, imatrix, what):
    results = lcy.quantize(fmt, x, imatrix), lcy.quantize(fmt, x, imatrix, table)
    refused = imatrix is None and fmt.name.decode() in NEEDY
    assert [status for status, _ in results] == [E_ARG if refused else 0] * 2
    want, got = (lcy.without_signs_of_nan(fmt, packed, HALVES.get(fmt.name.decode(), [])) for _, packed in results)
    if not np.array_equal(want, got):
        differ = (want != got).reshape(-1, fmt.bytes).any(1)
        pytest.fail(f"{what}: {differ.sum()} of {len(differ)} blocks, the first {differ.argmax()}")


@each_quantizer
def test_same_bytes(level, table, fmt):
    rng = np.random.default_rng(fmt.type)
    for name, make in KINDS.items():
        with np.errstate(over="ignore"):
            x = np.float32(make(rng, (2 if is_emulated(level) else ROWS, 1024)))
        for k, imatrix in enumerate(importance(rng, 1024)):
            same(table, fmt, x, imatrix, f"{name}, imatrix {k}")


@each_quantizer
def test_any_number_of_rows_and_blocks(level, table, fmt):
    """Fewer blocks than lanes, and blocks of several rows in one register."""
    rng = np.random.default_rng(7)
    for rows in (1, 2, 3, 7, 8, 9, 15, 16, 17, 33):
        for n in sorted({fmt.block, 3 * fmt.block, 256, 768, 2560}):
            if n % fmt.block:
                continue
            x = np.float32(rng.standard_normal((rows, n)))
            for imatrix in (None, np.float32(rng.random(n))):
                same(table, fmt, x, imatrix, (rows, n, imatrix is None))


@each_quantizer
def test_recorded_inputs(level, table, fmt):
    for x in (vectors.edge8(), vectors.lcg4(8, 512)):
        for imatrix in (None, vectors.imatrix(x.shape[1])):
            same(table, fmt, x, imatrix, x.shape)


@each_quantizer
def test_shapes_that_are_refused(level, table, fmt):
    x, y = np.zeros(512, np.float32), np.zeros(4096, np.uint8)
    shapes = [(-1, fmt.block)] + [(1, fmt.block + 1)] * (fmt.block > 1)
    for shape in shapes:
        for imatrix in (None, lcy.pointer(x)):
            assert table.quantize[fmt.type](*shape, lcy.pointer(y), lcy.pointer(x), imatrix) == E_ARG
    for rows, n in ((0, fmt.block), (3, 0)):
        assert table.quantize[fmt.type](rows, n, lcy.pointer(y), lcy.pointer(x), lcy.pointer(x)) == 0
    assert not y.any()
