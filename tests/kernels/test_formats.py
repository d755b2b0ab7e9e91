"""The plain C of every format: layout, rounding rules, quantized bytes against recorded ones, order of the dot product.

The codebook formats (IQ...) have test_iq.py; what holds for every format is tested here for them too.
"""

import ctypes
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lcy
import vectors
from levels import LEVELS, PLAIN, own
from test_matmul import HALVES, random_weights, same_bits

GOLDEN = json.loads((Path(__file__).resolve().parents[1] / "golden" / "format_vectors.json").read_text())
E_ARG = 1

# name: (type, block, bytes, activations)
TABLE = {
    "f32": (0, 1, 4, "f32"), "f16": (1, 1, 2, "f32"), "q4_0": (2, 32, 18, "q8_0"), "q4_1": (3, 32, 20, "q8_1"),
    "q5_0": (6, 32, 22, "q8_0"), "q5_1": (7, 32, 24, "q8_1"), "q8_0": (8, 32, 34, "q8_0"), "q8_1": (9, 32, 36, "q8_1"),
    "q2_K": (10, 256, 84, "q8_K"), "q3_K": (11, 256, 110, "q8_K"), "q4_K": (12, 256, 144, "q8_K"),
    "q5_K": (13, 256, 176, "q8_K"), "q6_K": (14, 256, 210, "q8_K"), "q8_K": (15, 256, 292, "q8_K"),
    "iq2_xxs": (16, 256, 66, "q8_K"), "iq2_xs": (17, 256, 74, "q8_K"), "iq3_xxs": (18, 256, 98, "q8_K"),
    "iq1_s": (19, 256, 50, "q8_K"), "iq4_nl": (20, 32, 18, "q8_0"), "iq3_s": (21, 256, 110, "q8_K"),
    "iq2_s": (22, 256, 82, "q8_K"), "iq4_xs": (23, 256, 136, "q8_K"), "i8": (24, 1, 1, "i8"), "i16": (25, 1, 2, "i16"),
    "i32": (26, 1, 4, "i32"), "i64": (27, 1, 8, "i64"), "f64": (28, 1, 8, "f64"), "iq1_m": (29, 256, 56, "q8_K"),
    "bf16": (30, 1, 2, "bf16"),
}
QUANTIZED = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_K", "q3_K", "q4_K", "q5_K", "q6_K"]

libm = ctypes.CDLL(None)
libm.fmaf.restype = ctypes.c_float
libm.fmaf.argtypes = [ctypes.c_float] * 3


# ------------------------------------------------------------------------------------------------ the list of formats


def test_table():
    found = {f.name.decode(): (f.type, f.block, f.bytes, lcy.lib.lcy_format_of(f.dot_with).contents.name.decode())
             for f in lcy.FORMATS}
    assert found == TABLE


@pytest.mark.parametrize("number", [-2**31, -1, 4, 5, 31, 32, 1000, 2**31 - 1])
def test_unknown_types(number):
    assert not lcy.lib.lcy_format_of(number)
    assert lcy.lib.lcy_row_bytes(number, 256) == 0


def test_row_bytes():
    for fmt in lcy.FORMATS:
        assert lcy.lib.lcy_row_bytes(fmt.type, 0) == 0
        assert lcy.lib.lcy_row_bytes(fmt.type, 3 * fmt.block) == 3 * fmt.bytes
        assert lcy.lib.lcy_row_bytes(fmt.type, -fmt.block) == 0
        if fmt.block > 1:
            assert lcy.lib.lcy_row_bytes(fmt.type, fmt.block + 1) == 0
    assert lcy.lib.lcy_row_bytes(0, 2**62) == 0, "a product that does not fit"


def test_every_weight_format_has_a_product():
    plain = lcy.kernels(0)
    for name, fmt in lcy.BY_NAME.items():
        weights = name not in ("q8_1", "q8_K", "i8", "i16", "i32", "i64", "f64")
        for table in [plain, *(level for _, level in LEVELS)]:
            assert bool(table.matmul[fmt.type]) == weights, name
            assert bool(table.to_float[fmt.type]) == weights, name


# ------------------------------------------------------------------------------------------------------ f16 and bf16


def to_float_tables():
    return [pytest.param(None, id="plain"), *(pytest.param(table, id=name) for name, table in LEVELS)]


@pytest.mark.parametrize("table", to_float_tables())
def test_every_f16(table):
    codes = np.arange(65536, dtype=np.uint16)
    with np.errstate(invalid="ignore"):
        want = codes.view(np.float16).astype(np.float32)
    got = lcy.to_float(lcy.BY_NAME["f16"], codes.view(np.uint8)[None], table)[0]
    finite = ~np.isnan(want)
    assert (np.isnan(got) == np.isnan(want)).all()
    same_bits(got[finite], want[finite])


def f16_inputs():
    """Random bit patterns, every half, the middles between halves and their neighbours."""
    rng = np.random.default_rng(3)
    halves = np.arange(0x7C01, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = ((halves[:-2].astype(np.float64) + halves[1:-1]) / 2).astype(np.float32)
    around = [np.nextafter(middles, np.float32(s)) for s in (0, 1e30)]
    x = np.concatenate([rng.integers(0, 2**32, 50000, np.uint32).view(np.float32), halves, middles, *around,
                        np.float32([65519.996, 65520, 65535, 1e-45, 2**-25, 3 * 2**-26])])
    return np.concatenate([x, -x])


@pytest.mark.parametrize("table", to_float_tables())
def test_f16_rounding(table):
    x = f16_inputs()
    with np.errstate(over="ignore", invalid="ignore"):
        want = x.astype(np.float16).view(np.uint16)
    got = lcy.from_float(lcy.BY_NAME["f16"], x[None], table).view(np.uint16)[0]
    number = ~np.isnan(x)
    np.testing.assert_array_equal(got[number], want[number])
    assert ((got[~number] & 0x7E00) == 0x7E00).all(), "a NaN stays a quiet NaN"


def test_bf16():
    codes = np.arange(65536, dtype=np.uint16)
    fmt = lcy.BY_NAME["bf16"]
    same_bits(lcy.to_float(fmt, codes.view(np.uint8)[None])[0], (codes.astype(np.uint32) << 16).view(np.float32))
    rounded = {0x3F808000: 0x3F80, 0x3F818000: 0x3F82, 0x3F807FFF: 0x3F80, 0x3F808001: 0x3F81, 0x7F7FFFFF: 0x7F80,
               0x7F800001: 0x7FC0, 0xFF800000: 0xFF80, 0x80000001: 0x8000}
    bits = np.array(list(rounded), np.uint32)
    assert lcy.from_float(fmt, bits.view(np.float32)[None]).view(np.uint16)[0].tolist() == list(rounded.values())


# ---------------------------------------------------------------------------------------------------- recorded bytes


def check_vector(v):
    fmt = lcy.BY_NAME[v["type"]]
    x = vectors.make(v["formula"], v["rows"], v["cols"])
    if v["path"] == "quantize":
        status, packed = lcy.quantize(fmt, x, vectors.imatrix(v["cols"]) if v["imatrix"] else None)
        assert status == 0
    else:
        packed = lcy.from_float(fmt, x)
    assert packed.reshape(-1)[:fmt.bytes].tobytes().hex() == v["first_block_hex"]
    assert hashlib.sha256(packed.tobytes()).hexdigest() == v["sha256"]
    if v["dequant_f32le_sha256"] and fmt.to_float:
        assert hashlib.sha256(lcy.to_float(fmt, packed).tobytes()).hexdigest() == v["dequant_f32le_sha256"]


@pytest.mark.parametrize("v", GOLDEN["vectors"],
                         ids=lambda v: f"{v['type']}-{v['path']}-{v['formula']}{'-imatrix' * v['imatrix']}")
def test_recorded_vector(v):
    check_vector(v)


def test_all_recorded_vectors(shared):
    """The 64 x 512 matrices too, which are too large to copy."""
    known = [v for v in json.loads((shared / "golden" / "quant_vectors.json").read_text())["vectors"]
             if not v["type"].startswith("iq") and v["path"] != "reference"]
    assert len(known) == 69
    for v in known:
        check_vector(v)


# ------------------------------------------------------------------------------------------------------ quantizing


@pytest.mark.parametrize("name", [n for n in QUANTIZED if n != "q8_0"])
def test_run_time_rule_is_the_file_rule(name):
    x = np.random.default_rng(5).standard_normal((3, 512)).astype(np.float32)
    np.testing.assert_array_equal(lcy.from_float(lcy.BY_NAME[name], x), lcy.quantize(lcy.BY_NAME[name], x)[1])


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantize_takes_whole_blocks_only(name):
    fmt = lcy.BY_NAME[name]
    x, y = np.zeros(512, np.float32), np.zeros(1024, np.uint8)
    assert fmt.quantize(1, fmt.block + 1, lcy.pointer(y), lcy.pointer(x), None) == E_ARG
    assert fmt.quantize(-1, fmt.block, lcy.pointer(y), lcy.pointer(x), None) == E_ARG
    assert fmt.quantize(0, fmt.block, lcy.pointer(y), lcy.pointer(x), None) == 0
    assert fmt.quantize(1, fmt.block + 1, lcy.pointer(y), lcy.pointer(x), lcy.pointer(x)) == E_ARG
    assert not y.any()


@pytest.mark.parametrize("name", QUANTIZED)
def test_rows_are_independent(name):
    fmt, rng = lcy.BY_NAME[name], np.random.default_rng(6)
    x, q = rng.standard_normal((4, 512)).astype(np.float32), rng.random(512).astype(np.float32)
    for imatrix in (None, q):
        together = lcy.quantize(fmt, x, imatrix)[1]
        alone = np.concatenate([lcy.quantize(fmt, row[None], imatrix)[1] for row in x])
        np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("name", QUANTIZED)
def test_any_float_can_be_quantized(name):
    """Infinities, NaNs, numbers whose squares or inverses overflow, weights of zero: bytes come out, nothing breaks."""
    odd = np.float32([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, -1e-38, 1e-30, 0, -0.0, 1])
    rng = np.random.default_rng(4)
    x = rng.choice(odd, (24, 256))
    x[:len(odd)] = odd[:, None]
    weights = [None, np.zeros(256, np.float32), np.full(256, 3e38, np.float32), rng.choice(odd[3:], 256)]
    for imatrix in weights:
        status, packed = lcy.quantize(lcy.BY_NAME[name], x, imatrix)
        assert status == 0 and packed.shape == (24, lcy.row_bytes(lcy.BY_NAME[name], 256))


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantizing_loses_little(name):
    """The error is that of the format's step, whatever the sign or size of the numbers."""
    bits = int(name[1])
    x = np.random.default_rng(11).uniform(-1, 1, (8, 512)).astype(np.float32)
    for scaled in (x, -x, x * 1000, np.abs(x), x + 5):
        packed = lcy.quantize(lcy.BY_NAME[name], scaled)[1]
        error = np.abs(lcy.to_float(lcy.BY_NAME[name], packed) - scaled)
        reach = np.abs(scaled).max()
        assert error.max() < 1.3 * 2 * reach / 2**bits


# ----------------------------------------------------------------------------------------------------- dot products


def activations(fmt, x):
    """(packed rows, what they mean as integers (rows, n), scales (rows, blocks), s of Q8_1 or None)."""
    packed = lcy.from_float(fmt, x)
    blocks = packed.reshape(len(x), -1, fmt.bytes)
    at = {"q8_0": 2, "q8_1": 4, "q8_K": 4}[fmt.name.decode()]
    q = blocks[..., at:at + fmt.block].view(np.int8).astype(np.int64).reshape(len(x), -1)
    scale = blocks[..., :4 if fmt.block == 256 else 2].copy().view(np.float32 if fmt.block == 256 else np.float16)
    s = blocks[..., 2:4].copy().view(np.float16)[..., 0].astype(np.float32) if fmt.name == b"q8_1" else None
    return packed, q, scale[..., 0].astype(np.float32), s


def with_scales(fmt, w, values):
    """The rows with every block's f16 fields set to these values."""
    blocks = w.reshape(len(w), -1, fmt.bytes).copy()
    for at, value in zip(HALVES[fmt.name.decode()], values):
        blocks[..., at:at + 2] = np.float16([value]).view(np.uint8)
    return blocks.reshape(len(w), -1)


def scales_of(fmt, w, i):
    at = HALVES[fmt.name.decode()][i]
    return w.reshape(len(w), -1, fmt.bytes)[..., at:at + 2].copy().view(np.float16)[..., 0].astype(np.float32)


def fma_steps(steps):
    """acc = fma(a, b, acc) over (a, b), all f32."""
    acc = 0.0
    for a, b in steps:
        acc = libm.fmaf(float(np.float32(a)), float(np.float32(b)), acc)
    return np.float32(acc)


def ordered_dot(name, w, x):
    """The product of one row of weights with one of activations by the order that lcy.h fixes, from integers."""
    fmt = lcy.BY_NAME[name]
    _, q, dx, s = activations(lcy.lib.lcy_format_of(fmt.dot_with).contents, x)
    d = scales_of(fmt, w, 0)[0]
    codes = lcy.to_float(fmt, with_scales(fmt, w, [1, 0]))[0].astype(np.int64)
    isum = (codes * q[0]).reshape(-1, fmt.block).sum(1)
    if name in ("q4_1", "q5_1"):
        m = scales_of(fmt, w, 1)[0]
        return fma_steps(step for b in range(len(d)) for step in ((isum[b], d[b] * dx[0, b]), (m[b], s[0, b])))
    if len(HALVES[name]) == 1:
        return fma_steps((isum[b], d[b] * dx[0, b]) for b in range(len(d)))
    dmin = scales_of(fmt, w, 1)[0]
    least = lcy.to_float(fmt, with_scales(fmt, w, [0, 1]))[0].astype(np.int64)
    msum = (least * q[0]).reshape(-1, fmt.block).sum(1)
    return fma_steps(step for b in range(len(d))
                     for step in ((isum[b], d[b] * dx[0, b]), (msum[b], dmin[b] * dx[0, b])))


@pytest.mark.parametrize("name", QUANTIZED)
def test_dot_order(name):
    fmt, rng = lcy.BY_NAME[name], np.random.default_rng(21)
    for n in (1024, 2048, 5632):
        w, x = random_weights(fmt, rng, 1, n), rng.standard_normal((1, n)).astype(np.float32)
        packed = activations(lcy.lib.lcy_format_of(fmt.dot_with).contents, x)[0]
        got = np.float32([fmt.dot(n, lcy.pointer(w), lcy.pointer(packed))])
        same_bits(got, np.float32([ordered_dot(name, w, x)]))


@pytest.mark.parametrize("name", [n for n in QUANTIZED if len(HALVES[n]) == 1])
def test_dot_order_of_short_rows(name):
    """Below LCY_SHORT_ROW weights: 8 lanes of four neighbours in every 32, one fma per lane and block, then a tree."""
    fmt, rng = lcy.BY_NAME[name], np.random.default_rng(22)
    for n in (fmt.block, 2 * fmt.block, 1024 - fmt.block):
        w, x = random_weights(fmt, rng, 1, n), rng.standard_normal((1, n)).astype(np.float32)
        packed, q, dx, _ = activations(lcy.lib.lcy_format_of(fmt.dot_with).contents, x)
        d = scales_of(fmt, w, 0)[0]
        codes = lcy.to_float(fmt, with_scales(fmt, w, [1]))[0].astype(np.int64)
        isum = (codes * q[0]).reshape(-1, fmt.block // 32, 8, 4).sum((1, 3))
        lane = np.float32([fma_steps((isum[b, i], d[b] * dx[0, b]) for b in range(len(d))) for i in range(8)])
        four = lane[:4] + lane[4:]
        got = np.float32([fmt.dot(n, lcy.pointer(w), lcy.pointer(packed))])
        same_bits(got, np.float32([(four[0] + four[2]) + (four[1] + four[3])]))


def tree(lanes):
    """16 -> 8 -> 4 -> (0 + 2) + (1 + 3)"""
    eight = lanes[:8] + lanes[8:]
    four = eight[:4] + eight[4:]
    return (four[0] + four[2]) + (four[1] + four[3])


def lane_sums(w, x, count):
    return np.array([fma_steps(zip(w[i::count], x[i::count])) for i in range(count)], np.float32)


@pytest.mark.parametrize("name", ["f32", "f16"])
@pytest.mark.parametrize("n", [16, 48, 160, 8, 63, 65, 130, 257])
def test_dot_order_of_floats(name, n):
    fmt, rng = lcy.BY_NAME[name], np.random.default_rng(n)
    packed = lcy.from_float(fmt, rng.standard_normal((1, n)))
    w, x = lcy.to_float(fmt, packed)[0], rng.standard_normal(n).astype(np.float32)
    got = np.float32([fmt.dot(n, lcy.pointer(packed), lcy.pointer(x))])
    if n % 16 == 0:
        same_bits(got, np.float32([tree(lane_sums(w, x, 16))]))
        return
    if name == "f16":
        x = x.astype(np.float16).astype(np.float32)
    whole = n - n % 64
    a = lane_sums(w[:whole], x[:whole], 64).reshape(4, 16) if whole else np.zeros((4, 16), np.float32)
    total = tree((a[0] + a[2]) + (a[1] + a[3]))
    total = np.float64(total) if name == "f16" else total
    for i in range(whole, n):
        total = total + type(total)(w[i]) * type(total)(x[i])
    same_bits(got, np.float32([total]))


@pytest.mark.parametrize("n", [1, 2, 16, 31, 32, 33, 63, 64, 130, 160])
def test_dot_order_of_bf16(n):
    """Lane l takes elements 2 l + 1, then 2 l of each 32; zeros end the row."""
    fmt, rng = lcy.BY_NAME["bf16"], np.random.default_rng(n)
    w, x = (lcy.from_float(fmt, rng.standard_normal((1, n))) for _ in "wx")
    padded = [np.pad(lcy.to_float(fmt, a)[0], (0, -n % 32)).reshape(-1, 16, 2)[..., ::-1] for a in (w, x)]
    lanes = [fma_steps(zip(padded[0][:, lane].ravel(), padded[1][:, lane].ravel())) for lane in range(16)]
    same_bits(np.float32([fmt.dot(n, lcy.pointer(w), lcy.pointer(x))]), np.float32([tree(np.float32(lanes))]))


# Sums of three products a, b, c (of lane 0: elements 1, 0, 33) and what is left of them: numbers below 2^-126 are zeros.
SMALL = [((2**-63, 2**-63), (0, 0), (0, 0), 2**-126),
         ((2**-63, 2**-64), (0, 0), (0, 0), 0),                              # a step's result
         ((2**-63, 2**-64), (2**-63, 2**-64), (0, 0), 0),                    # does not come back
         ((2**-63, 2**-62), (-(2**-63), 2**-63), (0, 0), 2**-126),
         ((2**-127, 2.0**100), (1, 2**-20), (0, 0), 2**-20),                 # a weight
         ((2.0**100, 2**-127), (1, 2**-20), (0, 0), 2**-20),                 # an activation
         ((2**-63, 2**-63), (2**-75, -(2**-76) * 1.5), (0, 0), 0),           # 2^-126 in F32's last place, but below in 24 bits
         ((2.0**100, 1), (-(2.0**100), 1), (2**-63, 2**-63), 2**-126)]


@pytest.mark.parametrize("level, table", [("plain", PLAIN), *LEVELS], ids=lambda value: value if isinstance(value, str) else "")
def test_small_numbers_in_bf16(level, table):
    fmt = lcy.BY_NAME["bf16"]
    w, x = np.zeros((2, len(SMALL), 64), np.float32)
    for row, (*factors, _) in enumerate(SMALL):
        for at, (a, b) in zip((1, 0, 33), factors):
            w[row, at], x[row, at] = a, b
    got = [lcy.matmul(table.matmul[fmt.type], 64, lcy.from_float(fmt, w[i:i + 1]), lcy.from_float(fmt, x[i:i + 1]))[0, 0]
           for i in range(len(SMALL))]
    assert got == [left for *_, left in SMALL]


@pytest.mark.parametrize("name", [n for n in TABLE if n in HALVES or n == "iq1_m"])
def test_dot_is_the_product_of_what_the_bytes_mean(name):
    fmt, rng = lcy.BY_NAME[name], np.random.default_rng(23)
    with_ = lcy.lib.lcy_format_of(fmt.dot_with).contents
    n = 5 * max(fmt.block, 64)
    w, x = random_weights(fmt, rng, 8, n), rng.standard_normal((1, n)).astype(np.float32)
    packed, q, dx, _ = activations(with_, x)
    products = lcy.to_float(fmt, w).astype(np.float64) * (q[0] * np.repeat(dx[0].astype(np.float64), with_.block))
    for row, product in zip(w, products):
        got = fmt.dot(n, lcy.pointer(row), lcy.pointer(packed))
        assert abs(got - product.sum()) <= np.abs(product).sum() * (4e-4 if with_.name == b"q8_1" else 2e-6)


# ------------------------------------------------------------------------------- conversions of the ISA levels


def conversion_inputs():
    """Rows of 512: noise of several sizes, ties of magnitude, constants, infinities, NaNs, denormals."""
    rng = np.random.default_rng(12)
    x = [rng.standard_normal(512) * s for s in (1, 1e-3, 1e4, 1e-30, 1e30, 1e-40)]
    x += [np.zeros(512), np.full(512, -0.0), np.ones(512), -np.ones(512), np.full(512, 3.4e38), np.full(512, 1e-45)]
    for first in (1, -1):  # of two equal magnitudes the first counts
        x += [np.where(np.arange(512) % 256 == 37, first * 2, np.where(np.arange(512) % 256 == 200, -first * 2, 0.5))]
    x += [np.arange(512) - 256.0, (np.arange(512) % 255 - 127) + 0.5, (np.arange(512) % 255) / 2 - 63.5]
    for odd in (np.inf, -np.inf, np.nan):
        x += [np.where(np.arange(512) == 300, odd, x[0]), np.full(512, odd)]
    return np.array(x, np.float32)


@pytest.mark.parametrize("level, table, fmt", own("from_float"))
def test_from_float_matches_plain(level, table, fmt):
    x, scales = conversion_inputs(), [0, 2] if fmt.name == b"q8_1" else []
    got, want = (lcy.without_signs_of_nan(fmt, lcy.from_float(fmt, x, t), scales) for t in (table, None))
    np.testing.assert_array_equal(got, want)
    for n in range(0, 40) if fmt.block == 1 else [0]:
        np.testing.assert_array_equal(lcy.from_float(fmt, x[:1, :n], table), lcy.from_float(fmt, x[:1, :n]))


@pytest.mark.parametrize("level, table, fmt", own("to_float"))
def test_to_float_matches_plain(level, table, fmt):
    packed = np.random.default_rng(13).integers(0, 256, (40, 3 * fmt.bytes * max(1, 40 // fmt.block)), np.uint8)
    same_bits(lcy.to_float(fmt, packed, table), lcy.to_float(fmt, packed))


# ------------------------------------------------------------------------------------------------ choosing a level


def features(limit):
    """lcy_cpu_features() of a process started with LLAMACY_CPU=limit."""
    code = f"import ctypes; print(ctypes.CDLL({os.fspath(lcy.LIBRARY)!r}).lcy_cpu_features() & 0xffffffff)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "LLAMACY_CPU": limit})
    return int(done.stdout)


def test_environment_limits_the_level():
    full = features("")
    assert features("reference") == 0
    assert features("no such level") == full
    needed = i = 0
    while isa := lcy.lib.lcy_isa_at(i):
        needed, i = needed | isa.contents.needs, i + 1
        assert features(isa.contents.name.decode()) == full & needed, isa.contents.name


def test_levels_end_with_null():
    count = 0
    while lcy.lib.lcy_isa_at(count):
        count += 1
    assert not lcy.lib.lcy_isa_at(-1) and not lcy.lib.lcy_isa_at(count + 1) and not lcy.lib.lcy_isa_at(2**31 - 1)
