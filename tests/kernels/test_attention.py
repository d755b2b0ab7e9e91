"""Attention: plain C against the formulas in numpy, every ISA level against plain C, bit for bit."""

from ctypes import byref, c_void_p

import numpy as np
import pytest

import lcy
from lcy import guarded, operation, pointer
from levels import PLAIN, own_operations

REFERENCE = PLAIN
HEADS = (8, 16, 20, 32, 40, 64, 80, 96, 128, 192, 256)
PACKED = ("q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl")
COUNTS = (1, 2, 15, 16, 17, 31, 33, 100, 128, 129, 300, 512, 513, 600)
CELLS = 600
each_level = pytest.mark.parametrize("isa, table", own_operations())


def same(a, b):
    return (a.view(np.uint32) == b.view(np.uint32)).all()


def numbers(rng, *shape):
    """Ordinary values with some extreme ones between."""
    x = rng.standard_normal(shape, dtype=np.float32)
    x.flat[:: 7] *= 100
    x.flat[3:: 11] = 0
    return x


class Cache:
    """Rows of keys or values of a format, with gaps between them; its cells in an order of their own."""

    def __init__(self, rng, fmt, values, ordered=False, gap=24):
        self.fmt = lcy.BY_NAME[fmt]
        packed = lcy.from_float(self.fmt, values)
        self.rows = np.full((len(values), packed.shape[1] + gap), 0xA5, np.uint8)
        self.rows[:, :packed.shape[1]] = packed
        self.cells = (np.arange(len(values)) if ordered else rng.permutation(len(values))).astype(np.int32)
        self.floats = lcy.to_float(self.fmt, packed)[self.cells]  # in the order in which they are seen

    def head(self, table):
        convert = table.to_float[self.fmt.type] if isinstance(table, lcy.Kernels) else lcy.CONVERT()
        head = lcy.Head(pointer(self.rows), self.rows.strides[0], pointer(self.cells), convert, self.fmt.block, self.fmt.bytes)
        head.fmt = self.fmt
        return head


def scratch(d, rows):
    """(array, check) of as many floats as lcy_attention_scratch says."""
    return guarded(4 * (rows * (d + 1024) + max(d, 64) * 512))


def run_kq(table, name, n, cache, q):
    """(rows, n) scores; the floats between the rows must stay."""
    rows, d = q.shape
    out, check = guarded(4 * rows * (n + 5))
    room, check_room = scratch(d, rows)
    operation(table, name)(d, n, byref(cache.head(table)), rows, pointer(q), pointer(out), n + 5, pointer(room))
    check()
    check_room()
    out = out.reshape(rows, -1)
    assert (out[:, 4 * n:] == 0xA5).all(), "written between the rows of the output"
    return np.ascontiguousarray(out[:, :4 * n]).view(np.float32)


def run_pv(table, name, n, cache, p):
    """(rows, d) sums; row r sees n[r] cells."""
    rows, d, n = len(n), cache.floats.shape[1], np.array(n, np.int32)
    places = [guarded(4 * d) for _ in range(rows)]
    pointers = (c_void_p * rows)(*(pointer(out) for out, _ in places))
    room, check_room = scratch(d, rows)
    operation(table, name)(d, rows, pointer(n), byref(cache.head(table)), pointer(p), p.shape[1],
                           pointers, pointer(room))
    for _, check in (*places, (room, check_room)):
        check()
    return np.stack([out.view(np.float32) for out, _ in places])


def run_flash(table, n, k, v, q):
    out, check = guarded(4 * len(q))
    operation(table, "flash_f16")(len(q), n, byref(k.head(table)), byref(v.head(table)), pointer(q), 0.125, pointer(out))
    check()
    return out.view(np.float32)


# --- the formulas

@pytest.mark.parametrize("d", HEADS)
@pytest.mark.parametrize("fmt", ("f16", "f32"))
def test_scores_are_the_formula(rng, fmt, d):
    cache, q = Cache(rng, fmt, numbers(rng, CELLS, d)), rng.standard_normal((3, d), dtype=np.float32)
    expected = q.astype(np.float64) @ cache.floats.T
    bound = 1e-5 * (np.abs(q) @ np.abs(cache.floats.T))
    assert (np.abs(run_kq(REFERENCE, f"kq_{fmt}", CELLS, cache, q) - expected) <= bound).all()


@pytest.mark.parametrize("d", HEADS)
@pytest.mark.parametrize("fmt", ("f16", "f32", "q8_0"))
def test_weighted_values_are_the_formula(rng, fmt, d):
    if d % lcy.BY_NAME[fmt].block:
        return
    cache, p = Cache(rng, fmt, numbers(rng, CELLS, d)), rng.random((2, CELLS), dtype=np.float32)
    found = run_pv(REFERENCE, "pv_packed" if fmt == "q8_0" else f"pv_{fmt}", (CELLS, 7), cache, p)
    p[1, 7:] = 0
    assert (np.abs(found - p.astype(np.float64) @ cache.floats) <= 1e-5 * (p @ np.abs(cache.floats))).all()


@pytest.mark.parametrize("d", HEADS)
def test_one_pass_attention_is_near_the_formula(rng, d):
    """Its sums are kept in f16, so near is all it can be."""
    k, v = (Cache(rng, "f16", numbers(rng, 50, d) / 50) for _ in range(2))
    q = rng.standard_normal(d, dtype=np.float32)
    e = np.exp(k.floats.astype(np.float64) @ q * 0.125)
    assert np.abs(run_flash(REFERENCE, 50, k, v, q) - e / e.sum() @ v.floats).max() < 0.02 * np.abs(v.floats).max()


# --- the levels

@each_level
@pytest.mark.parametrize("d", HEADS)
@pytest.mark.parametrize("fmt", ("f16", "f32"))
def test_scores(rng, isa, table, fmt, d):
    for ordered in (True, False):
        cache = Cache(rng, fmt, numbers(rng, CELLS, d), ordered)
        for i, n in enumerate(COUNTS):
            q = lcy.to_float(lcy.BY_NAME[fmt], lcy.from_float(lcy.BY_NAME[fmt], numbers(rng, 1 + i % 9, d)))
            q[-1] *= i % 3 - 1  # also products that are all 0, some of them -0
            assert same(run_kq(table, f"kq_{fmt}", n, cache, q), run_kq(REFERENCE, f"kq_{fmt}", n, cache, q)), (n, len(q))


@each_level
@pytest.mark.parametrize("d", HEADS)
@pytest.mark.parametrize("fmt", ("f16", "f32", *PACKED))
def test_values(rng, isa, table, fmt, d):
    if d % lcy.BY_NAME[fmt].block:
        return
    name = "pv_packed" if fmt in PACKED else f"pv_{fmt}"
    for ordered in (True, False):
        cache = Cache(rng, fmt, numbers(rng, CELLS, d), ordered)
        for i, most in enumerate(COUNTS):
            rows = 1 + i % 9
            n = np.maximum(most - np.arange(rows)[::-1] // (1 + i % 3), 0)  # several heads of tokens that follow each other
            p = np.abs(numbers(rng, rows, most + 3))
            assert same(run_pv(table, name, n, cache, p), run_pv(REFERENCE, name, n, cache, p)), n


@each_level
@pytest.mark.parametrize("d", (16, 64))
def test_values_of_cells_that_a_row_does_not_see_do_no_harm(rng, isa, table, d):
    values = numbers(rng, CELLS, d)
    values[40:] = np.inf
    cache, p = Cache(rng, "f16", values, ordered=True), np.ones((6, CELLS), np.float32)
    assert np.isfinite(run_pv(table, "pv_f16", (40, 39, 38, 37, 33, 1), cache, p)).all()


@each_level
@pytest.mark.parametrize("d", HEADS)
def test_one_pass_attention(rng, isa, table, d):
    k, v = (Cache(rng, "f16", numbers(rng, CELLS, d)) for _ in range(2))
    for n in COUNTS:
        q = rng.standard_normal(d, dtype=np.float32)
        assert same(run_flash(table, n, k, v, q), run_flash(REFERENCE, n, k, v, q)), n


@pytest.fixture
def rng():
    return np.random.default_rng(7)
