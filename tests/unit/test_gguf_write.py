"""GGUFWriter: the exact bytes, both byte orders, and a file that appears whole or not at all."""

import array
import io
import os

import pytest

from gguf_files import f32, gguf, info, pair, small
from llamacy.gguf import GGUFFile, GGUFWriter
from llamacy.gguf.types import TYPES


def kind_of(g, key):
    return f"arr:{g.elem_type(key)}" if g.kind(key) == "arr" else g.type_name(key)


def written(**options):
    """(writer, function that completes it and returns the bytes)."""
    target = io.BytesIO()
    writer = GGUFWriter(target, **options)

    def bytes_of():
        writer.close()
        return target.getvalue()

    return writer, bytes_of


@pytest.fixture(params=[("little", 3), ("little", 2), ("big", 3), ("big", 2)], ids=lambda p: f"{p[0]} v{p[1]}")
def form(request):
    return {"byteorder": request.param[0], "version": request.param[1]}


def code(form):
    return {"little": "<", "big": ">"}[form["byteorder"]]


def test_every_value_and_the_layout(form, tmp_path):
    """What is read from the hand-made file and written value by value is that file, and zeros up to the alignment."""
    whole = small(code(form), form["version"])
    (tmp_path / "hand.gguf").write_bytes(whole)
    writer, bytes_of = written(**form)
    with GGUFFile(tmp_path / "hand.gguf") as g:
        for key in g.keys():
            writer.add(key, kind_of(g, key), g[key])
        for t in g.tensors.values():
            writer.add_tensor(t.name, t.ne, t.type, g.mapping(0)[t.offset:t.offset + t.nbytes])
        assert bytes_of() == whole + bytes(-len(whole) % 32)


def test_copied_values(form, tmp_path):
    (tmp_path / "hand.gguf").write_bytes(small(code(form), form["version"]))
    for byteorder, order in (("little", "<"), ("big", ">")):
        with GGUFFile(tmp_path / "hand.gguf") as g, GGUFWriter(tmp_path / "copy.gguf", byteorder=byteorder) as w:
            for key in g.keys():
                w.copy(g, key)
        with GGUFFile(tmp_path / "hand.gguf") as g, GGUFFile(tmp_path / "copy.gguf") as copy:
            assert copy.byteorder == byteorder and copy.n_kv == g.n_kv > 10
            assert copy.keys() == g.keys()
            assert [(copy.type_name(k), copy[k]) for k in g.keys()] == [(g.type_name(k), g[k]) for k in g.keys()]


def test_rewriting_the_bundled_model(random_256, tmp_path):
    """quantize's way: copy the pairs, declare the tensors, stream their data in pieces. Identical bytes."""
    path = tmp_path / "copy.gguf"
    with GGUFFile(random_256) as g, GGUFWriter(path, version=g.version) as w:
        for key in g.keys():
            w.copy(g, key)
        for t in g.tensors.values():
            w.add_tensor(t.name, t.ne, t.type, t.nbytes)
        for t in g.tensors.values():
            data = g.data(t.name)
            for start in range(0, len(data), 300_000):
                w.write(data[start:start + 300_000])
    assert path.read_bytes() == random_256.read_bytes()


def test_rewriting_value_by_value(random_256, tmp_path):
    path = tmp_path / "copy.gguf"
    with GGUFFile(random_256) as g, GGUFWriter(path) as w:
        for key in g.keys():
            kind = kind_of(g, key)
            value = g.strings(key) if kind == "arr:str" else g.numbers(key) if kind.startswith("arr:") else g[key]
            w.add(key, kind, value)
        for t in g.tensors.values():
            w.add_tensor(t.name, t.ne, t.type, g.data(t.name))
    assert path.read_bytes() == random_256.read_bytes()


def test_rewriting_the_shared_models(shared, tmp_path):
    paths = sorted((shared / "data" / "models").glob("*.gguf"))
    assert len(paths) >= 7
    for source in paths:
        with GGUFFile(source) as g, GGUFWriter(tmp_path / "copy.gguf") as w:
            for key in g.keys():
                w.copy(g, key)
            for t in g.tensors.values():
                w.add_tensor(t.name, t.ne, t.type, g.data(t.name))
        assert (tmp_path / "copy.gguf").read_bytes() == source.read_bytes(), source.name


def test_rewriting_a_vocabulary(shared, tmp_path):
    """Files of the Python tools end right behind the last pair."""
    source = shared / "data" / "vocab" / "ggml-vocab-llama-spm.gguf"
    with GGUFFile(source) as g, GGUFWriter(tmp_path / "copy.gguf", version=g.version, pad_header=False) as w:
        for key in g.keys():
            w.copy(g, key)
    assert (tmp_path / "copy.gguf").read_bytes() == source.read_bytes()


def test_padding_behind_a_header_without_tensors():
    for pad, expected in ((True, gguf([pair("k", "u8", 1)])), (False, gguf([pair("k", "u8", 1)], alignment=1))):
        writer, bytes_of = written(pad_header=pad)
        writer.add("k", "u8", 1)
        assert bytes_of() == expected


def test_data_given_and_data_streamed_mix(form):
    order = code(form)
    infos = [info(f"t{i}", (3,), 0, 32 * i, order) for i in range(5)]
    data = b"".join(f32(i, i, i) + bytes(20) for i in range(5))
    expected = gguf([], infos, data, version=form["version"], order=order)
    for given in range(32):
        writer, bytes_of = written(**form)
        for i in range(5):
            writer.add_tensor(f"t{i}", (3,), 0, f32(i, i, i) if given >> i & 1 else None)
        for i in range(5):
            if not given >> i & 1:
                writer.write(f32(i))
                writer.write(b"")
                writer.write(f32(i, i))
        assert bytes_of() == expected


@pytest.mark.parametrize("how", ["argument", "key"])
def test_alignment(how, tmp_path):
    path = tmp_path / "m.gguf"
    with GGUFWriter(path, **({"alignment": 64} if how == "argument" else {})) as w:
        if how == "key":
            w.add("general.alignment", "u32", 64)
        w.add("k", "u8", 1)
        w.add_tensor("a", (3,), 0, f32(1, 2, 3))
        w.add_tensor("b", (1,), 0, f32(4))
    expected = gguf([pair("general.alignment", "u32", 64), pair("k", "u8", 1)],
                    [info("a", (3,), 0, 0), info("b", (1,), 0, 64)],
                    f32(1, 2, 3) + bytes(52) + f32(4) + bytes(60), alignment=64)
    assert path.read_bytes() == expected
    with GGUFFile(path) as g, GGUFWriter(tmp_path / "copy.gguf") as w:
        w.copy(g, "general.alignment")
        assert w.alignment == 64


@pytest.mark.parametrize("number", TYPES)
def test_sizes_of_all_types(number):
    t = TYPES[number]
    writer, bytes_of = written()
    writer.add_tensor("t", (t.block, 2, 3), number, 6 * t.bytes)
    writer.write(bytes(range(200)) * (6 * t.bytes // 200) + bytes(6 * t.bytes % 200))
    padded = bytes(6 * t.bytes + -6 * t.bytes % 32)
    assert len(bytes_of()) == len(gguf([], [info("t", (t.block, 2, 3), number, 0)], padded))


def test_buffers_are_taken_whole(form):
    """array.array, memoryview and lists of the same numbers give the same bytes."""
    results = []
    for items in ([0.5, -1.0, 2.0], array.array("f", [0.5, -1.0, 2.0]), memoryview(array.array("f", [0.5, -1.0, 2.0])),
                  array.array("d", [0.5, -1.0, 2.0]), memoryview(array.array("f", [0.5, 9.0, -1.0, 9.0, 2.0]))[::2]):
        writer, bytes_of = written(**form)
        writer.add("k", "arr:f32", items)
        results.append(bytes_of())
    order = code(form)
    assert set(results) == {gguf([pair("k", "arr:f32", [0.5, -1.0, 2.0], order)], version=form["version"], order=order)}


@pytest.mark.parametrize("kind, value", [
    ("u8", 256), ("u8", -1), ("i8", 128), ("u32", 1 << 32), ("i64", 1 << 63), ("u16", 1.5), ("u32", "1"), ("f32", 1e40),
    ("f32", "x"), ("bool", 2), ("str", 5), ("arr:u8", [1, 300]), ("arr:str", ["a", 1]),
    ("arr:bool", [0, 2]), ("arr:f32", None),
])
def test_values_that_do_not_fit(kind, value):
    writer, _ = written()
    with pytest.raises(ValueError, match=f"^the.key: the value does not fit {kind}: "):
        writer.add("the.key", kind, value)


def test_what_cannot_be_in_a_file():
    writer, bytes_of = written()
    writer.add("k", "u8", 1)
    writer.add_tensor("t", (4,), 0)
    for call, words in [
        (lambda: writer.add("k", "u8", 2), "k: duplicated key"),
        (lambda: writer.add("l", "f16", 2), "l: unknown kind 'f16'"),
        (lambda: writer.add("l", "arr:arr", []), "l: unknown kind 'arr:arr'"),
        (lambda: writer.add("", "u8", 2), "'': expected 1 to 65535 bytes without NUL"),
        (lambda: writer.add("a\0", "u8", 2), "expected 1 to 65535 bytes without NUL"),
        (lambda: writer.add("general.alignment", "u32", 48), "general.alignment: found u32 48"),
        (lambda: writer.add("general.alignment", "i32", 64), "general.alignment: found i32 64"),
        (lambda: writer.add_tensor("t", (4,), 0), "t: duplicated tensor name"),
        (lambda: writer.add_tensor("n" * 64, (4,), 0), "expected 1 to 63 bytes without NUL"),
        (lambda: writer.add_tensor("u", (), 0), r"u: shape \(\)"),
        (lambda: writer.add_tensor("u", (1,) * 5, 0), "u: shape"),
        (lambda: writer.add_tensor("u", (4, 0), 0), "u: shape"),
        (lambda: writer.add_tensor("u", (4,), 5), "u: shape .* of type 5"),
        (lambda: writer.add_tensor("u", (33,), 2), r"33 elements of type 2 \(q4_0\) are not a multiple of block size"),
        (lambda: writer.add_tensor("u", (4,), 0, b"123"), "u: found 3 bytes, expected 16"),
        (lambda: writer.add_tensor("u", (4,), 0, 15), "u: found 15 bytes, expected 16"),
        (lambda: writer.write(bytes(17)), "t: 17 bytes of data, but only 16 are missing"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
    writer.write(f32(1, 2, 3, 4))
    with pytest.raises(ValueError, match="1 bytes of data, but all 1 tensors are complete"):
        writer.write(b"x")
    for call in (lambda: writer.add("l", "u8", 1), lambda: writer.add_tensor("u", (4,), 0)):
        with pytest.raises(ValueError, match="the header is written already"):
            call()
    assert bytes_of() == gguf([pair("k", "u8", 1)], [info("t", (4,), 0, 0)], f32(1, 2, 3, 4) + bytes(16))


@pytest.mark.parametrize("options", [{"byteorder": "middle"}, {"version": 1}, {"version": 4}, {"alignment": 48},
                                     {"alignment": 0}])
def test_wrong_options(options, tmp_path):
    with pytest.raises(ValueError):
        GGUFWriter(tmp_path / "m.gguf", **options)
    assert not os.listdir(tmp_path)


def test_missing_data_leave_the_old_file(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="t: 12 bytes of data are missing"):
        with GGUFWriter(path) as w:
            w.add_tensor("t", (4,), 0)
            w.write(f32(1))
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["m.gguf"]


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        with GGUFWriter(path) as w:
            w.add_tensor("t", (4,), 0)
            w.write(f32(1, 2, 3, 4))
            assert path.read_bytes() == b"old" and len(os.listdir(tmp_path)) == 2
            raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["m.gguf"]


def test_the_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "m.gguf"
    with GGUFWriter(path) as w:
        w.add_tensor("t", (4,), 0)
        w.write(f32(1, 2, 3, 4))
        assert not path.exists()
    assert os.listdir(tmp_path) == ["m.gguf"]
    w.close()
    w.abort()
    assert os.listdir(tmp_path) == ["m.gguf"]


def test_mode_and_link_of_the_old_file_stay(tmp_path):
    (tmp_path / "real.gguf").write_bytes(b"old")
    (tmp_path / "real.gguf").chmod(0o640)
    (tmp_path / "link.gguf").symlink_to("real.gguf")
    GGUFWriter(tmp_path / "link.gguf").close()
    assert (tmp_path / "link.gguf").is_symlink() and (tmp_path / "real.gguf").read_bytes() == gguf()
    assert (tmp_path / "real.gguf").stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_not_replaced(tmp_path):
    before = os.stat("/dev/null")
    with GGUFWriter("/dev/null") as w:
        w.add("k", "u8", 1)
    after = os.stat("/dev/null")
    assert (before.st_ino, before.st_mode, before.st_rdev) == (after.st_ino, after.st_mode, after.st_rdev)


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.such/m.gguf"):
        GGUFWriter(tmp_path / "no such" / "m.gguf")
    with pytest.raises(IsADirectoryError):
        GGUFWriter(tmp_path)
    assert not os.listdir(tmp_path)


def test_a_full_disk_leaves_nothing(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left"):
        with GGUFWriter("/dev/full") as w:
            w.add_tensor("t", (4096,), 0)
            w.write(bytes(16384))


def test_a_file_object_is_left_open():
    target = io.BytesIO()
    with GGUFWriter(target) as w:
        w.add("k", "u8", 1)
    assert not target.closed and target.getvalue() == gguf([pair("k", "u8", 1)])
