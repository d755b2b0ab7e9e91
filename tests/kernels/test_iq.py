"""The codebook formats (IQ1, IQ2, IQ3, IQ4): layouts, products, and quantized bytes against recorded ones."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import iq_layouts
import lcy
import vectors
from levels import PLAIN, own

NAMES = ["iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq4_nl", "iq4_xs"]
BLOCKS = [name for name in NAMES if name != "iq4_nl"]  # of 256 weights
NEED_IMATRIX = ["iq1_s", "iq2_xxs", "iq2_xs"]
GOLDEN = json.loads((Path(__file__).resolve().parents[1] / "golden" / "iq_vectors.json").read_text())["vectors"]
E_ARG = 1


def blocks(name, count):
    """Zeroed blocks (count, bytes) whose scale d is 1."""
    b = np.zeros((count, lcy.BY_NAME[name].bytes), np.uint8)
    if name == "iq1_m":
        b[:, 53], b[:, 55] = 0xC0, 0x30  # nibbles 2 and 3 of 0x3c00
    else:
        b[:, 1] = 0x3C
    return b


def put_index(name, b, index):
    """Writes the codebook indices (count, groups) into blocks."""
    low = (index & 255).astype(np.uint8)
    high = index >> 8

    def gather(n, width):  # n fields of `width` bits per byte or word
        return (high.reshape(len(b), -1, n) << (np.arange(n) * width)).sum(-1)

    if name == "iq2_xxs":
        b[:, 2:66].reshape(-1, 8, 8)[:, :, :4] = low.reshape(-1, 8, 4)
    elif name == "iq2_xs":
        b[:, 2:66] = index.astype(np.uint16).view(np.uint8)
    elif name == "iq2_s":
        b[:, 2:34], b[:, 66:74] = low, gather(4, 2)
    elif name == "iq3_xxs":
        b[:, 2:66] = low
    elif name == "iq3_s":
        b[:, 2:66], b[:, 66:74] = low, gather(8, 1)
    elif name == "iq1_s":
        b[:, 2:34], b[:, 34:50] = low, gather(4, 3).astype(np.uint16).view(np.uint8)
    elif name == "iq1_m":
        b[:, :32], b[:, 32:48] = low, gather(2, 4)
    return b


def every_point(name):
    """Blocks that hold each point of the codebook once, in order."""
    count, width, _ = iq_layouts.CODEBOOKS["iq1_s" if name == "iq1_m" else name]
    return put_index(name, blocks(name, count * width // 256), np.arange(count).reshape(-1, 256 // width))


def codebook(name):
    """The points (count, width) as the format's dequantizer shows them."""
    if name == "iq4_xs":
        return None
    name = "iq1_s" if name == "iq1_m" else name
    count, width, _ = iq_layouts.CODEBOOKS[name]
    y = lcy.to_float(lcy.BY_NAME[name], every_point(name)).reshape(count, width)
    return (y - 0.125 if name == "iq1_s" else y / iq_layouts.FACTOR[name]).astype(np.int64)


def random_blocks(name, rng, count):
    """Any bytes under a scale of moderate size."""
    b = rng.integers(0, 256, (count, lcy.BY_NAME[name].bytes), np.uint8)
    d = (rng.choice([-1, 1], count) * (rng.random(count) + 0.25) / 64).astype(np.float16)
    if name == "iq1_m":
        for k in range(4):
            b[:, 49 + 2 * k] = b[:, 49 + 2 * k] & 15 | (d.view(np.uint16) >> 4 * k & 15) << 4
    else:
        b[:, :2] = d.view(np.uint8).reshape(-1, 2)
    return b


def worst_blocks(name, rng):
    """Blocks that between them hold every point, every pattern of signs, every scale code, and the largest of all."""
    ends = random_blocks(name, rng, 8)
    at = slice(0, 48) if name == "iq1_m" else slice(2, None)  # all but d
    for i, fill in enumerate([0x00, 0xFF, 0x55, 0xAA, 0x7F, 0x80, 0x0F, 0xF0]):
        ends[i, at] = fill
    every = [ends]
    if name == "iq2_xs":  # 7 bits of signs above each index
        every.append(put_index(name, blocks(name, 128), np.repeat(np.arange(128)[:, None] << 9 | 511, 32, 1)))
    elif name in ("iq2_xxs", "iq3_xxs"):  # one word: four times the same 7 bits, and each code
        word = np.arange(128, dtype=np.uint64)
        word = (word | word << 7 | word << 14 | word << 21 | (word & 15) << 28).astype(np.uint32)
        b = random_blocks(name, rng, 128)
        if name == "iq2_xxs":
            b[:, 2:66].reshape(-1, 8, 8)[:, :, 4:] = word.view(np.uint8).reshape(-1, 1, 4)
        else:
            b[:, 66:98] = np.tile(word.view(np.uint8).reshape(-1, 4), (1, 8))
        every.append(b)
    elif name in ("iq2_s", "iq3_s"):
        b, at = random_blocks(name, rng, 256), 34 if name == "iq2_s" else 74
        b[:, at:at + 32] = np.arange(256)[:, None]
        every.append(b)
    if name in BLOCKS and name != "iq4_xs":
        every.append(every_point(name))
    return np.concatenate(every + [random_blocks(name, rng, 64)])


def activations(name, rng, tokens, n):
    """Packed rows: noise, and rows of nothing but the ends of the range."""
    x = rng.standard_normal((tokens, n))
    if tokens > 1:
        x[1] = np.where(rng.random(n) < 0.5, -1, 1)
    if tokens > 2:
        x[2] = 1
    return lcy.from_float(lcy.lib.lcy_format_of(lcy.BY_NAME[name].dot_with).contents, x)


def unpacked_activations(name, x):
    """(tokens, bytes) -> scales (tokens, blocks) and codes (tokens, blocks, block), as integers."""
    size, at = (34, 2) if name == "iq4_nl" else (292, 4)
    b = x.reshape(len(x), -1, size)
    d = b[..., :at].copy().view(np.float16 if at == 2 else np.float32)[..., 0].astype(np.float32)
    return d, b[..., at:at + (32 if at == 2 else 256)].view(np.int8).astype(np.int64)


def decode(name, b):
    """(n, bytes) -> d (n,), integer weights (n, block) with the integer scale in them, by numpy."""
    if name == "iq4_nl":
        codes = iq_layouts.bits(b[:, 2:], [0, 4], 4).transpose(0, 2, 1).reshape(-1, 32)
        return iq_layouts.halves(b, 0), iq_layouts.CURVE[codes]
    d, scale, value = iq_layouts.DECODERS[name](b, codebook(name))
    return d, np.repeat(scale, 16, 1) * value


# ---- layouts ----


@pytest.mark.parametrize("name", iq_layouts.CODEBOOKS)
def test_codebook(name):
    points = codebook(name)
    assert len({tuple(p) for p in points}) == len(points)
    assert hashlib.sha256(points.astype(np.int8).tobytes()).hexdigest() == iq_layouts.CODEBOOKS[name][2]


@pytest.mark.parametrize("name", NAMES)
def test_to_float(name):
    b = worst_blocks(name, np.random.default_rng(1))
    d, weights = decode(name, b)
    want = d[:, None] * iq_layouts.FACTOR.get(name, 1.0) * weights
    got = lcy.to_float(lcy.BY_NAME[name], b)
    np.testing.assert_array_equal(got, want.astype(np.float32))
    assert np.isfinite(got).all() and len(np.unique(got)) > 100


# ---- products ----


@pytest.mark.parametrize("name", NAMES)
def test_dot_keeps_its_order(name):
    """Rows that are not short: exact integers per block, one fma per block in order, the format's factor last."""
    rng, fmt = np.random.default_rng(2), lcy.BY_NAME[name]
    b, count = worst_blocks(name, rng), 1024 // fmt.block
    b = b[:len(b) // count * count].reshape(-1, count * fmt.bytes)
    x = activations(name, rng, 3, count * fmt.block)
    dx, q = unpacked_activations(name, x)
    for row in b:
        d, weights = decode(name, row.reshape(count, -1))
        for t in range(3):
            acc = np.float32(0)
            for i in range(count):
                isum = np.float64(np.float32((weights[i] * q[t, i]).sum()))
                scale = np.float32(d[i]) * dx[t, i]
                acc = np.float32(isum * np.float64(scale) + np.float64(acc))
            want = acc * np.float32(iq_layouts.FACTOR.get(name, 1.0))
            assert fmt.dot(count * fmt.block, lcy.pointer(row), lcy.pointer(x[t])) == want


@pytest.mark.parametrize("level, table, fmt", [p for p in own("matmul") if p.values[2].name.decode() in NAMES])
def test_every_level_equals_plain_c(level, table, fmt):
    """Every point, sign pattern and scale code, for counts of rows and tokens that leave remainders."""
    rng, name = np.random.default_rng(3), fmt.name.decode()
    b = worst_blocks(name, rng)
    for count in (1, 3, 4, 5):  # short rows, then long ones (LCY_SHORT_ROW)
        w = b[:len(b) // count * count].reshape(-1, count * fmt.bytes)
        n = count * fmt.block
        x = activations(name, rng, 14, n)
        want = lcy.matmul(PLAIN.matmul[fmt.type], n, w, x)
        assert np.isfinite(want).all() and len(np.unique(want)) > 20
        for rows in (1, 3, 7, 8, 9, 17, len(w)):
            for tokens in (1, 2, 3, 5, 9, 14):
                got = lcy.matmul(table.matmul[fmt.type], n, w[:rows], x[:tokens])
                np.testing.assert_array_equal(got.view(np.uint32), want[:tokens, :rows].view(np.uint32))


# ---- quantized bytes ----


def vector_id(v):
    return f"{v['type']}-{v['formula']}-{v['rows']}-{v['path']}-{'imatrix' if v['imatrix'] else 'plain'}"


@pytest.mark.parametrize("v", GOLDEN, ids=vector_id)
def test_recorded_bytes(v):
    fmt = lcy.BY_NAME[v["type"]]
    x = vectors.make(v["formula"], v["rows"], v["cols"])
    if v["path"] == "from_float":
        packed = lcy.from_float(fmt, x)
    else:
        status, packed = lcy.quantize(fmt, x, vectors.imatrix(v["cols"]) if v["imatrix"] else None)
        assert status == 0
    assert hashlib.sha256(packed.tobytes()).hexdigest() == v["sha256"]
    assert hashlib.sha256(lcy.to_float(fmt, packed).tobytes()).hexdigest() == v["dequant_f32le_sha256"]


def test_recorded_bytes_are_those_of_the_shared_folder(shared):
    theirs = json.loads((shared / "golden" / "quant_vectors.json").read_text())["vectors"]
    theirs = [v for v in theirs if v["type"] in NAMES]
    assert len(theirs) == len(GOLDEN) > 40
    assert all(ours[key] == their[key] for ours, their in zip(GOLDEN, theirs) for key in ours)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in NEED_IMATRIX + ["iq1_m", "iq4_nl"]])
def test_run_time_rule_is_the_file_rule(name):
    x = vectors.edge8()
    np.testing.assert_array_equal(lcy.from_float(lcy.BY_NAME[name], x), lcy.quantize(lcy.BY_NAME[name], x)[1])


@pytest.mark.parametrize("name", NEED_IMATRIX + ["iq1_m"])
def test_no_run_time_rule(name):
    assert not lcy.address(lcy.BY_NAME[name].from_float)


@pytest.mark.parametrize("name", NEED_IMATRIX)
def test_needs_an_imatrix(name):
    status, packed = lcy.quantize(lcy.BY_NAME[name], vectors.edge8())
    assert status == E_ARG and (packed == 0xA5).all()


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_partial_blocks_are_refused(name):
    fmt = lcy.BY_NAME[name]
    x, w, out = np.ones((1, 250), np.float32), np.ones(250, np.float32), np.full(512, 0xA5, np.uint8)
    assert fmt.quantize(1, 250, lcy.pointer(out), lcy.pointer(x), lcy.pointer(w)) == E_ARG
    assert (out == 0xA5).all()


@pytest.mark.parametrize("name", NAMES)
def test_rows_do_not_depend_on_each_other(name):
    """One call, one call per row, and calls from several threads at once give the same bytes."""
    fmt, x, w = lcy.BY_NAME[name], vectors.lcg4(8, 512), vectors.imatrix(512)
    _, together = lcy.quantize(fmt, x, w)
    with ThreadPoolExecutor(4) as pool:
        apart = list(pool.map(lambda row: lcy.quantize(fmt, row[None], w)[1][0], x))
    np.testing.assert_array_equal(together, np.stack(apart))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weights", ["ones", "zeros", "wild"])
def test_quantized_rows_resemble_their_source(name, weights):
    """Also where the imatrix is all 0 or spans 12 orders of magnitude, which the recorded vectors leave out.

    Measured as the imatrix measures: what is left of the weighted squares. IQ4_XS keeps the reference's rule for
    weights of 0, which zeroes the block.
    """
    rng, fmt = np.random.default_rng(4), lcy.BY_NAME[name]
    x = rng.standard_normal((4, 512)).astype(np.float32)
    w = {"ones": np.ones(512), "zeros": np.zeros(512), "wild": 10.0 ** rng.integers(-6, 7, 512)}[weights]
    status, packed = lcy.quantize(fmt, x, w)
    y = lcy.to_float(fmt, packed)
    assert status == 0 and np.isfinite(y).all()
    if weights == "zeros":
        if name == "iq4_xs":
            assert (y == 0).all()
            return
        w = np.ones(512)
    left = (w * (x - y) ** 2).sum() / (w * x ** 2).sum()
    assert left < {"iq1": 0.35, "iq2": 0.2, "iq3": 0.06, "iq4": 0.02}[name[:3]]


@pytest.mark.parametrize("name", NAMES)
def test_tiny_values(name):
    """Squares that vanish in a float do not make scales of NaN."""
    x = vectors.lcg4(1, 512) * np.float32(2.0 ** -90)
    status, packed = lcy.quantize(lcy.BY_NAME[name], x, vectors.imatrix(512))
    assert status == 0 and (np.abs(lcy.to_float(lcy.BY_NAME[name], packed)) < 1e-6).all()


def test_iq3_s_zero_block_shifts_what_follows():
    """The reference's slip: after an all-zero 32 the indices and signs of the next lie one place early."""
    x = vectors.lcg4(1, 256)
    x[:, 32:64] = 0
    _, packed = lcy.quantize(lcy.BY_NAME["iq3_s"], x)
    signs = packed[0, 74:106].reshape(8, 4)
    want = np.packbits(x[0] < 0, bitorder="little").reshape(8, 4)
    np.testing.assert_array_equal(signs[0], want[0])
    np.testing.assert_array_equal(signs[1:7], want[2:8])
    assert (signs[7] == 0).all() and (packed[0, 2 + 56:2 + 64] == 0).all()
