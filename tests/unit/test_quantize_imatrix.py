"""Importance matrices: read from good files and from bad ones."""

import struct

import pytest

from llamacy.quantize.imatrix import ImatrixError, load

ENTRIES = [(b"blk.0.attn_q.weight", 3, (3.0, 1.5, 0.0)), (b"blk.1.ffn_up.weight", 0, (7.0,)), (b"output.weight", 1, (2.0, 4.0))]


def entry(name, calls, values):
    return struct.pack(f"<i{len(name)}sii{len(values)}f", len(name), name, calls, len(values), *values)


def file_of(*entries, trailer=b"", count=None):
    return struct.pack("<i", len(entries) if count is None else count) + b"".join(entries) + trailer


def trailer(chunks, dataset):
    return struct.pack("<ii", chunks, len(dataset)) + dataset


def loaded(tmp_path, data):
    path = tmp_path / "weights.imatrix"
    path.write_bytes(data)
    return load(str(path))


def test_means_and_trailer(tmp_path):
    found = loaded(tmp_path, file_of(*(entry(*e) for e in ENTRIES), trailer=trailer(16, b"calib.txt")))
    assert {name: list(values) for name, values in found.entries.items()} == {
        "blk.0.attn_q.weight": [1.0, 0.5, 0.0], "blk.1.ffn_up.weight": [7.0], "output.weight": [2.0, 4.0]}
    assert (found.chunks, found.dataset) == (16, b"calib.txt")
    assert found.metadata() == [
        ("quantize.imatrix.file", "str", str(tmp_path / "weights.imatrix").encode()[:127]),
        ("quantize.imatrix.dataset", "str", b"calib.txt"), ("quantize.imatrix.entries_count", "i32", 3),
        ("quantize.imatrix.chunks_count", "i32", 16)]


def test_division_is_that_of_floats(tmp_path):
    """One rounding, as float / (float) int has it."""
    found = loaded(tmp_path, file_of(entry(b"a", 3, (1.0,)), entry(b"b", 16777217, (1.0,))))
    assert found.entries["a"][0] == struct.unpack("<f", struct.pack("<f", 1 / 3))[0]
    assert found.entries["b"][0] == 2.0**-24


def test_without_trailer(tmp_path):
    found = loaded(tmp_path, file_of(entry(*ENTRIES[0])))
    assert (found.chunks, found.dataset) == (0, None)
    assert [row[0] for row in found.metadata()] == ["quantize.imatrix.file", "quantize.imatrix.entries_count"]


def test_a_name_that_comes_again_replaces_the_first(tmp_path):
    found = loaded(tmp_path, file_of(entry(b"a", 1, (1.0,)), entry(b"a\0b", 1, (2.0, 3.0))))
    assert {name: list(values) for name, values in found.entries.items()} == {"a": [2.0, 3.0]}


@pytest.mark.parametrize("include, exclude, names", [
    ((), (), {"blk.0.attn_q.weight", "blk.1.ffn_up.weight", "output.weight"}), (("ffn", "output"), (), {
        "blk.1.ffn_up.weight", "output.weight"}), ((), ("blk",), {"output.weight"}), (("nothing",), (), set())])
def test_filters(tmp_path, include, exclude, names):
    found = loaded(tmp_path, file_of(*(entry(*e) for e in ENTRIES)))
    assert set(found.filtered(include, exclude).entries) == names


ONE = entry(b"name", 1, (1.0, 2.0))


@pytest.mark.parametrize("data, text", [
    (b"", "no data in file"), (b"\1\0", "no data in file"), (file_of(), "no data in file"),
    (file_of(count=-1), "no data in file"), (file_of(ONE, count=2), "failed reading name for entry 2 from"),
    (file_of(ONE[:3]), "failed reading name for entry 1 from"), (file_of(ONE[:6]), "failed reading name for entry 1"),
    (file_of(struct.pack("<i", -1) + ONE[4:]), "failed reading name for entry 1"),
    (file_of(struct.pack("<i", 2**31 - 1) + ONE[4:]), "failed reading name for entry 1"),
    (file_of(struct.pack("<i", 0) + ONE[4:]), "failed reading name for entry 1"),
    (file_of(ONE[:14]), "failed reading number of values for entry 0"),
    (file_of(entry(b"name", 1, ())), "failed reading number of values for entry 0"),
    (file_of(ONE[:12] + struct.pack("<i", -5)), "failed reading number of values for entry 0"),
    (file_of(ONE[:12] + struct.pack("<i", 2**31 - 1) + ONE[16:]), "failed reading data for entry 0"),
    (file_of(ONE[:-1]), "failed reading data for entry 0"), (file_of(ONE, trailer=b"\0\0"), "name of the dataset"),
    (file_of(ONE, trailer=struct.pack("<ii", 1, 2**31 - 1)), "name of the dataset"),
    (file_of(entry(b"name", 1, (-1.0,))), "not a finite number"), (file_of(entry(b"name", 1, (float("nan"),))), "not a finite"),
    (file_of(entry(b"name", 1, (float("inf"),))), "not a finite number")])
def test_damaged(tmp_path, data, text):
    with pytest.raises(ImatrixError, match=text):
        loaded(tmp_path, data)


def test_every_cut_is_found(tmp_path):
    whole = file_of(*(entry(*e) for e in ENTRIES), trailer=trailer(16, b"calib.txt"))
    without_trailer = len(file_of(*(entry(*e) for e in ENTRIES)))
    for n in range(len(whole)):
        if n != without_trailer:
            with pytest.raises(ImatrixError):
                loaded(tmp_path, whole[:n])


def test_no_such_file(tmp_path):
    with pytest.raises(ImatrixError, match="failed to open .*missing"):
        load(str(tmp_path / "missing"))
