"""Rows from one type to another: the same bytes however they are cut, and no NaN gets through."""

import numpy as np
import pytest

from llamacy.gguf.types import TYPES, row_bytes
from llamacy.quantize import _rows
from llamacy.quantize.workers import Workers

NUMBER = {info.name: number for number, info in TYPES.items()}
F32, F16, BF16 = NUMBER["f32"], NUMBER["f16"], NUMBER["bf16"]
WRITABLE = [info.name for number, info in TYPES.items() if _rows.is_writable(number)]
SCALES = {  # bytes of a block where an f16 number stands
    "q4_0": (0,), "q4_1": (0, 2), "q5_0": (0,), "q5_1": (0, 2), "q8_0": (0,), "q2_K": (80, 82), "q3_K": (108,), "q4_K": (0, 2),
    "q5_K": (0, 2), "q6_K": (208,), "iq2_xxs": (0,), "iq2_xs": (0,), "iq2_s": (0,), "iq3_xxs": (0,), "iq3_s": (0,),
    "iq1_s": (0,), "iq4_nl": (0,), "iq4_xs": (0,)}


@pytest.fixture
def rows():
    """(6, 512) floats with a zero row."""
    x = np.random.default_rng(1).standard_normal((6, 512), dtype=np.float32)
    x[2] = 0
    return x


def weights_for(n):
    return (np.arange(n) % 7 + 1).astype(np.float32)


def test_the_types_that_can_be_written():
    assert set(WRITABLE) == {*SCALES, "f32", "f16", "bf16", "iq1_m"}
    assert not any(_rows.is_writable(NUMBER[name]) for name in ("q8_1", "q8_K", "i8", "i16", "i32", "i64", "f64"))
    assert not any(_rows.is_readable(NUMBER[name]) for name in ("i8", "i16", "i32", "i64"))
    assert not _rows.is_readable(4) and not _rows.is_writable(99)


@pytest.mark.parametrize("name", WRITABLE)
def test_rows_are_independent(name, rows):
    target, weights = NUMBER[name], weights_for(512)
    whole = _rows.convert(F32, target, 512, rows, weights)
    assert whole == b"".join(_rows.convert(F32, target, 512, row, weights) for row in rows)
    assert len(whole) == 6 * row_bytes(target, 512)


@pytest.mark.parametrize("name", ["q4_0", "q4_K", "iq3_s"])
def test_long_tensors_are_cut_into_steps_without_a_trace(name):
    x = np.random.default_rng(2).standard_normal((150, 1024), dtype=np.float32).astype(np.float16)
    whole = _rows.convert(F16, NUMBER[name], 1024, x)
    assert whole == b"".join(_rows.convert(F16, NUMBER[name], 1024, part) for part in np.split(x, 5))


@pytest.mark.parametrize("name", WRITABLE)
def test_f16_and_bf16_are_widened_first(name, rows):
    weights = weights_for(512)
    half = rows.astype(np.float16)
    wide = half.astype(np.float32)
    assert _rows.convert(F16, NUMBER[name], 512, half, weights) == _rows.convert(F32, NUMBER[name], 512, wide, weights)
    upper = (rows.view(np.uint32) >> 16).astype(np.uint16)
    wide = (upper.astype(np.uint32) << 16).view(np.float32)
    assert _rows.convert(BF16, NUMBER[name], 512, upper, weights) == _rows.convert(F32, NUMBER[name], 512, wide, weights)


def test_plain_numbers_equal_numpy(rows):
    assert _rows.convert(F32, F16, 512, rows) == rows.astype(np.float16).tobytes()
    assert _rows.convert(F16, F32, 512, rows.astype(np.float16)) == rows.astype(np.float16).astype(np.float32).tobytes()
    assert _rows.convert(F32, F32, 512, rows) == rows.tobytes()


def test_weights_matter(rows):
    for name in ("q4_0", "q4_K", "iq4_xs"):
        assert _rows.convert(F32, NUMBER[name], 512, rows) != _rows.convert(F32, NUMBER[name], 512, rows, weights_for(512))


@pytest.mark.parametrize("args", [(F32, NUMBER["q4_0"], 33), (F32, NUMBER["q8_1"], 32), (NUMBER["i32"], F32, 32), (F32, 4, 32),
                                  (99, F32, 32), (F32, NUMBER["q4_K"], 32)])
def test_types_and_rows_that_do_not_fit(args):
    with pytest.raises(ValueError):
        _rows.convert(*args, bytes(4 * args[2]))


def test_buffers_that_do_not_fit():
    with pytest.raises(ValueError):
        _rows.convert(F32, F16, 32, bytes(100))
    with pytest.raises(ValueError):
        _rows.convert(F32, F16, 32, bytes(128), bytes(124))


@pytest.mark.parametrize("bad, what", [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "inf")])
@pytest.mark.parametrize("dtype, type", [(np.float32, F32), (np.float16, F16), (np.float64, NUMBER["f64"])])
def test_values_that_are_no_numbers(bad, what, dtype, type):
    x = np.ones((300, 320), dtype)
    _rows.check(type, x)
    x[290, 17] = bad
    with pytest.raises(_rows.BadValue) as caught:
        _rows.check(type, x)
    assert (caught.value.what, caught.value.index, caught.value.fresh) == (what, 290 * 320 + 17, False)
    if dtype != np.float64:
        with pytest.raises(_rows.BadValue) as caught:
            _rows.convert(type, NUMBER["q8_0"], 320, x)
        assert (caught.value.what, caught.value.index, caught.value.fresh) == (what, 290 * 320 + 17, False)


def test_bf16_values_that_are_no_numbers():
    x = np.full(64, 0x3F80, np.uint16)
    _rows.check(BF16, x)
    for bits, what in ((0x7F80, "inf"), (0xFFC0, "nan")):
        x[5] = bits
        with pytest.raises(_rows.BadValue, match=f"{what} value at block 5"):
            _rows.check(BF16, x)


@pytest.mark.parametrize("name", SCALES)
def test_scales_that_are_no_numbers(name):
    info = TYPES[NUMBER[name]]
    for at in SCALES[name]:
        for bits, what in ((0x7C00, "inf"), (0xFE00, "nan")):
            blocks = np.full((9, info.bytes), 0xFF, np.uint8)     # everything but the scales may have all bits set
            for each in SCALES[name]:
                blocks[:, each:each + 2] = (0, 0x3C)
            _rows.check(NUMBER[name], blocks)
            blocks[7, at:at + 2] = (bits & 255, bits >> 8)
            with pytest.raises(_rows.BadValue, match=f"{what} value at block 7"):
                _rows.check(NUMBER[name], blocks)


def test_the_scattered_scale_of_iq1_m():
    blocks = np.full((4, 56), 0xFF, np.uint8)
    blocks[:, 49::2] &= 0x0F
    _rows.check(NUMBER["iq1_m"], blocks)
    for k, nibble in enumerate((0, 0, 0xC, 7)):
        blocks[2, 49 + 2 * k] |= nibble << 4
    with pytest.raises(_rows.BadValue, match="inf value at block 2"):
        _rows.check(NUMBER["iq1_m"], blocks)


def test_q8_k_and_q8_1():
    blocks = np.zeros((3, 292), np.uint8)
    _rows.check(NUMBER["q8_K"], blocks)
    blocks[1, :4] = (0, 0, 0xC0, 0x7F)
    with pytest.raises(_rows.BadValue, match="nan value at block 1"):
        _rows.check(NUMBER["q8_K"], blocks)
    blocks = np.zeros((3, 36), np.uint8)
    blocks[2, 2:4] = (0, 0x7C)
    with pytest.raises(_rows.BadValue, match="inf value at block 2"):
        _rows.check(NUMBER["q8_1"], blocks)


def test_integers_can_be_anything():
    for name in ("i8", "i16", "i32", "i64"):
        _rows.check(NUMBER[name], b"\xff" * 64)


@pytest.mark.parametrize("name, value", [("f16", 1e6), ("q8_0", 1e8), ("q4_0", 1e7), ("q4_K", 1e8)])
def test_weights_too_large_for_the_new_type(name, value):
    x = np.ones((2, 256), np.float32)
    x[1, 3] = value
    with pytest.raises(_rows.BadValue) as caught:
        _rows.convert(F32, NUMBER[name], 256, x)
    assert caught.value.fresh and caught.value.index == 256 // TYPES[NUMBER[name]].block + (3 if name == "f16" else 0)


@pytest.mark.parametrize("n", (1, 2, 7))
def test_workers_keep_the_order(n):
    with Workers(n) as workers:
        assert list(workers.in_order((lambda i=i: i * i) for i in range(100))) == [i * i for i in range(100)]
        assert list(workers.in_order(())) == []


@pytest.mark.parametrize("n", (1, 3))
def test_an_error_comes_at_its_turn_and_ends_the_work(n):
    done = []

    def job(i):
        done.append(i)
        if i in (5, 7):
            raise KeyError(i)
        return i

    got = []
    with pytest.raises(KeyError, match="5"), Workers(n) as workers:
        for i in workers.in_order((lambda i=i: job(i)) for i in range(1000)):
            got.append(i)
    assert got == [0, 1, 2, 3, 4] and len(done) < 20


def test_the_caller_works_where_no_thread_can_start(monkeypatch):
    from llamacy.quantize import workers as module

    def refuse(*args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module, "start_new_thread", refuse)
    with Workers(4) as workers:
        assert list(workers.in_order((lambda i=i: i) for i in range(5))) == [0, 1, 2, 3, 4]
