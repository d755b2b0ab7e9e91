"""Operations: plain C against the formulas in numpy, every ISA level against plain C, bit for bit."""

import numpy as np
import pytest

from lcy import guarded, operation, pointer
from levels import PLAIN, own_operations

REFERENCE = PLAIN
SIZES = (1, 3, 8, 15, 16, 17, 64, 172, 256, 1000)
halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)


def half_table(function):
    with np.errstate(all="ignore"):
        return np.append(function(halves).astype(np.float16).view(np.uint16), np.uint16(0))


TABLES = np.concatenate([half_table(np.exp), half_table(lambda x: x / (1 + np.exp(-x)))])
EXP, SILU = (TABLES[i * 65537:i * 65537 + 65536].view(np.float16).astype(np.float32) for i in range(2))


def through(table, x):
    """A table's values for floats, which are first rounded to f16."""
    return table[np.float32(x).astype(np.float16).view(np.uint16)]


def floats(n, call):
    """What `call` writes to n floats, with nothing around them touched."""
    out, check = guarded(4 * n)
    call(pointer(out))
    check()
    return out.view(np.float32)


def same(a, b):
    return (a.view(np.uint32) == b.view(np.uint32)).all()


def numbers(rng, *shape):
    """Ordinary values with some extreme ones between."""
    x = rng.standard_normal(shape, dtype=np.float32)
    x.flat[:: 7] *= 100
    x.flat[3:: 11] = 0
    return x



each_level = pytest.mark.parametrize("isa, table", own_operations())


def run_norm(table, x, w, eps=1e-5):
    kernel = operation(table, "rms_norm")
    return floats(len(x), lambda out: kernel(len(x), pointer(x), None if w is None else pointer(w), eps, out))


def run_softmax(table, x, scale):
    kernel = operation(table, "softmax")
    out, check = guarded(4 * len(x))
    out.view(np.float32)[:] = x
    kernel(len(x), pointer(out), scale, pointer(TABLES))
    check()
    return out.view(np.float32)


def run_silu(table, g, u):
    kernel = operation(table, "silu_mul")
    return floats(len(g), lambda out: kernel(len(g), pointer(g), pointer(u), out, pointer(TABLES)))


# --- the formulas

def test_norm_is_the_formula(rng):
    for n in SIZES:
        x, w = numbers(rng, n), numbers(rng, n)
        expected = x / np.sqrt((x.astype(np.float64) ** 2).mean() + 1e-5)
        assert np.allclose(run_norm(REFERENCE, x, None), expected, rtol=1e-6)
        assert np.allclose(run_norm(REFERENCE, x, w), expected * w, rtol=1e-6)


def test_softmax_is_the_formula(rng):
    for n in SIZES:
        x = numbers(rng, n)
        e = through(EXP, x * np.float32(0.3) - (x * np.float32(0.3)).max())
        assert np.allclose(run_softmax(REFERENCE, x, 0.3), e / e.sum(dtype=np.float64), rtol=1e-6)


def test_silu_is_the_formula(rng):
    g, u = numbers(rng, 1000), numbers(rng, 1000)
    assert (run_silu(REFERENCE, g, u) == through(SILU, g) * u).all()


# --- the levels

@each_level
def test_norm(rng, isa, table):
    for n in SIZES:
        x, w = numbers(rng, n), numbers(rng, n)
        assert same(run_norm(table, x, w), run_norm(REFERENCE, x, w)), n
        assert same(run_norm(table, x, None), run_norm(REFERENCE, x, None)), n


@each_level
def test_softmax(rng, isa, table):
    for n in SIZES:
        for x in (numbers(rng, n), np.full(n, -3e4, np.float32), np.linspace(-70000, 0, n, dtype=np.float32)):
            assert same(run_softmax(table, x, 0.125), run_softmax(REFERENCE, x, 0.125)), n


@each_level
def test_softmax_takes_every_exponential_from_the_table(rng, isa, table):
    """All f16 numbers up to 0, as distances from the maximum; scale 1 keeps them what they are."""
    x = halves[0x8000:0xFC01].copy()
    assert same(run_softmax(table, x, 1.0), run_softmax(REFERENCE, x, 1.0))
    x[5] = np.nan
    assert np.array_equal(run_softmax(table, x, 1.0), run_softmax(REFERENCE, x, 1.0), equal_nan=True)


@each_level
def test_silu_mul(rng, isa, table):
    for n in SIZES:
        g, u = numbers(rng, n), numbers(rng, n)
        assert same(run_silu(table, g, u), run_silu(REFERENCE, g, u)), n


@pytest.fixture
def rng():
    return np.random.default_rng(7)
