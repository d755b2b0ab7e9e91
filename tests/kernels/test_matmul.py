"""Every ISA level's products equal plain C bit for bit, and touch nothing but their output."""

import numpy as np
import pytest

import lcy
from levels import EMULATED, LEVELS, NATIVE, PLAIN, own

# Where a block keeps its f16 scales: random bytes there would be infinities and NaNs.
HALVES = {"q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q8_0": [0], "q2_K": [80, 82], "q3_K": [108],
          "q4_K": [0, 2], "q5_K": [0, 2], "q6_K": [208], "iq2_xxs": [0], "iq2_xs": [0], "iq2_s": [0], "iq3_xxs": [0],
          "iq3_s": [0], "iq1_s": [0], "iq4_nl": [0], "iq4_xs": [0]}
FLOATS = {"f32": np.float32, "f16": np.float16}
ROWS = [1, 2, 3, 4, 7, 15, 16, 17, 33, 290]
TOKENS = [*range(1, 10)]
LONG = 1024  # LCY_SHORT_ROW


each_product = pytest.mark.parametrize("level, table, fmt", own("matmul"))


def random_weights(fmt, rng, rows, n):
    """Rows of arbitrary codes under finite scales of either sign."""
    name = fmt.name.decode()
    if name in FLOATS or name == "bf16":
        return lcy.from_float(fmt, rng.standard_normal((rows, n)))
    packed = rng.integers(0, 256, (rows, n // fmt.block, fmt.bytes), np.uint8)
    if name == "iq1_m":  # its scale is spread over the top bits of four words: keep its exponent small
        packed[..., 55] &= 0xBF
    for at in HALVES.get(name, []):
        halves = (rng.standard_normal(packed.shape[:2]) / 64).astype(np.float16)
        packed[..., at:at + 2] = halves[..., None].view(np.uint8)
    return packed.reshape(rows, -1)


def worst_weights(fmt, rows, n):
    """Rows whose every code and integer scale is at an end of its range."""
    name = fmt.name.decode()
    if name in FLOATS or name == "bf16":
        x = np.zeros((rows, n), np.float32)
        x[0::3], x[1::3, ::2], x[2::3, 1::2] = 60000.0, -60000.0, 6e-8
        return lcy.from_float(fmt, x)
    packed = np.empty((rows, n // fmt.block, fmt.bytes), np.uint8)
    packed[:] = np.resize(np.array([0x00, 0xFF, 0x7F, 0x80], np.uint8), rows)[:, None, None]
    if name == "iq1_m":
        packed[..., 55] &= 0xBF
    for at in HALVES.get(name, []):
        packed[..., at:at + 2] = np.array([1.0], np.float16).view(np.uint8)
    return packed.reshape(rows, -1)


def worst_activations(fmt, tokens, n):
    """Activations that quantize to all 127, all -127, alternating ends, zeros."""
    x = np.ones((tokens, n), np.float32)
    x[1::4], x[2::4, ::2], x[3::4] = -1, -1, 0
    return lcy.from_float(fmt, x)


def expected(fmt, n, w, x):
    """Plain C: the format's dot, row by row."""
    return lcy.matmul(PLAIN.matmul[fmt.type], n, w, x)


def same_bits(got, want):
    """Equal as bits; a NaN or a lost sign of zero is a difference too."""
    assert got.shape == want.shape
    np.testing.assert_array_equal(got.view(np.uint32), want.view(np.uint32))


def same_numbers(got, want):
    """Equal as bits, but any NaN equals any other."""
    nan = np.isnan(want)
    np.testing.assert_array_equal(np.isnan(got), nan)
    same_bits(got[~nan], want[~nan])


def lengths(fmt):
    """Row lengths: short ones, which have orders of their own, then odd counts of blocks; for floats odd ones too."""
    if fmt.block == 1:
        return [16, 48, 64, 256, 1040] + [1, 8, 15, 63, 65, 100, 200, 257]
    long = (0, 1, 8, 21) if fmt.block == 32 else (0, 1, 3)
    return [fmt.block, fmt.block * 2, fmt.block * 3] + [LONG + fmt.block * k for k in long]


@pytest.mark.parametrize("name, needs", lcy.built())
def test_built_levels_are_tested(name, needs):
    lacking = needs & ~lcy.lib.lcy_cpu_features()
    if lacking:
        pytest.skip(f"this CPU cannot run {name}: it lacks features {lacking:#x} of kernels.h")
    assert name in [level for level, _ in NATIVE]


def test_levels_replace_every_product():
    """No format is left to plain C on a level that this machine or the emulator has."""
    for (_, plain), *levels in filter(None, (NATIVE, EMULATED)):
        for name, table in levels:
            left = [fmt.name for fmt in lcy.FORMATS
                    if fmt.dot and lcy.address(table.matmul[fmt.type]) == lcy.address(plain.matmul[fmt.type])]
            assert not left, name


def test_plain_product_is_the_dot():
    rng = np.random.default_rng(6)
    for fmt in lcy.FORMATS:
        if not fmt.dot:
            continue
        n = 2 * max(fmt.block, 32)
        w, with_ = random_weights(fmt, rng, 3, n), lcy.lib.lcy_format_of(fmt.dot_with).contents
        x = lcy.from_float(with_, rng.standard_normal((2, n)))
        dots = [[fmt.dot(n, lcy.pointer(row), lcy.pointer(token)) for row in w] for token in x]
        same_bits(expected(fmt, n, w, x), np.array(dots, np.float32))


@each_product
def test_random_rows(level, table, fmt):
    rng = np.random.default_rng(7)
    with_ = lcy.lib.lcy_format_of(fmt.dot_with).contents
    for n in lengths(fmt):
        w = random_weights(fmt, rng, max(ROWS), n)
        x = lcy.from_float(with_, rng.standard_normal((max(TOKENS), n)))
        want = expected(fmt, n, w, x)
        assert np.isfinite(want).all() and np.abs(want).max() > 0
        for rows in ROWS:
            same_bits(lcy.matmul(table.matmul[fmt.type], n, w[:rows], x[:1]), want[:1, :rows])
        for tokens in TOKENS:
            same_bits(lcy.matmul(table.matmul[fmt.type], n, w[:33], x[:tokens]), want[:tokens, :33])


@each_product
def test_any_count_of_rows_and_tokens(level, table, fmt):
    rng = np.random.default_rng(8)
    with_ = lcy.lib.lcy_format_of(fmt.dot_with).contents
    for n in (2 * max(fmt.block, 32), LONG + 2 * max(fmt.block, 32)):
        w = random_weights(fmt, rng, max(ROWS), n)
        x = lcy.from_float(with_, rng.standard_normal((70, n)))
        want = expected(fmt, n, w, x)
        for rows in ROWS:
            for tokens in [*TOKENS, 31, 33, 70]:
                same_bits(lcy.matmul(table.matmul[fmt.type], n, w[:rows], x[:tokens]), want[:tokens, :rows])
        assert lcy.matmul(table.matmul[fmt.type], n, w[:0], x[:3]).size == 0
        assert lcy.matmul(table.matmul[fmt.type], n, w[:3], x[:0]).size == 0


@each_product
def test_many_tokens(level, table, fmt):
    """Widths on both sides of every change of kernel, rows that fill no tile, worst codes between random ones."""
    rng = np.random.default_rng(11)
    with_ = lcy.lib.lcy_format_of(fmt.dot_with).contents
    for n, rows, widths in ((LONG, 37, (7, 8, 9, 10, 11, 33, 512, 523)), (2048, 70, (12, 33)), (5632, 35, (9, 64))):
        w, x = random_weights(fmt, rng, rows, n), lcy.from_float(with_, rng.standard_normal((max(widths), n)))
        w[rows // 2:rows // 2 + 5] = worst_weights(fmt, 5, n)
        x[1:5] = worst_activations(with_, 4, n)
        want = expected(fmt, n, w, x)
        for tokens in widths:
            same_bits(lcy.matmul(table.matmul[fmt.type], n, w, x[:tokens]), want[:tokens])


@each_product
def test_long_rows(level, table, fmt):
    """Rows of real models, rows for fewer tokens at a time than there are, and rows longer than a kernel keeps at all."""
    rng = np.random.default_rng(10)
    with_ = lcy.lib.lcy_format_of(fmt.dot_with).contents
    for n, widths in ((2048, range(1, 10)), (5632, range(1, 10)), (256 * 43 + fmt.block, (1, 2, 8, 9)),
                      (256 * 131, (1, 2, 5)), (256 * 513, (1, 2))):
        w = random_weights(fmt, rng, 18, n)
        x = lcy.from_float(with_, rng.standard_normal((max(widths), n)))
        want = expected(fmt, n, w, x)
        for tokens in widths:
            same_bits(lcy.matmul(table.matmul[fmt.type], n, w, x[:tokens]), want[:tokens])


@each_product
def test_worst_case(level, table, fmt):
    with_ = lcy.lib.lcy_format_of(fmt.dot_with).contents
    for n in lengths(fmt):
        w, x = worst_weights(fmt, 33, n), worst_activations(with_, 9, n)
        want = expected(fmt, n, w, x)
        assert np.isfinite(want).all()
        for tokens in TOKENS:
            same_bits(lcy.matmul(table.matmul[fmt.type], n, w, x[:tokens]), want[:tokens])


@pytest.mark.parametrize("level, table", LEVELS, ids=lambda value: value if isinstance(value, str) else "")
def test_small_and_large_bf16(level, table):
    """Any bits at all: infinities, numbers that overflow, that no longer have 24 bits, that are zero below 2^-126."""
    fmt, rng = lcy.BY_NAME["bf16"], np.random.default_rng(12)
    for low, high in ((0, 0x8000), (0, 0x400), (0x1E00, 0x2100), (0x3E00, 0x4100)):
        for n in (32, 70, 256):
            w, x = ((rng.integers(low, high, (40, n)) | rng.integers(0, 2, (40, n)) << 15).astype(np.uint16).view(np.uint8)
                    for _ in "wx")
            want = expected(fmt, n, w, x)
            same_numbers(lcy.matmul(table.matmul[fmt.type], n, w, x), want)
            assert np.isfinite(want).all() or high == 0x8000


@each_product
def test_rows_apart(level, table, fmt):
    """Rows need not follow one another: other bytes lie between the rows of weights and of activations."""
    rng = np.random.default_rng(9)
    with_ = lcy.lib.lcy_format_of(fmt.dot_with).contents
    for n in (2 * max(fmt.block, 32), LONG + 2 * max(fmt.block, 32)):
        w, x = random_weights(fmt, rng, 19, n), lcy.from_float(with_, rng.standard_normal((5, n)))
        want = expected(fmt, n, w, x)
        wide_w = np.full((19, w.shape[1] + 10), 0xFF, np.uint8)
        wide_x = np.full((5, x.shape[1] + 12), 0xFF, np.uint8)
        wide_w[:, :w.shape[1]], wide_x[:, :x.shape[1]] = w, x
        for tokens in (1, 5):
            same_bits(lcy.matmul(table.matmul[fmt.type], n, wide_w, wide_x[:tokens]), want[:tokens])
