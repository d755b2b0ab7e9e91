"""GGUFFile on sound files: values, arrays, tensors, byte orders, the texts of the metadata dump."""

import gc
import os
import struct

import pytest

from gguf_files import IDS, f32, gguf, info, pair, small
from llamacy.errors import GGUFError
from llamacy.gguf import GGUFFile
from llamacy.gguf._mapped import Mapped
from llamacy.gguf.types import TYPES, VALUE_NAMES, align_up, row_bytes

VALUES = {
    "general.architecture": b"llama", "t.u8": 200, "t.i8": -100, "t.u16": 60000, "t.i16": -30000, "t.u32": 4000000000,
    "t.i32": -2000000000, "t.f32": struct.unpack("f", struct.pack("f", 0.1))[0], "t.bool": True, "t.u64": 1 << 63,
    "t.i64": -(1 << 62), "t.f64": -2.5, "t.text": b'a\\b"c\n\0 end',
    "a.str": [b"", "\u2581x".encode(), b"\xff\0", b'q"\\'], "a.f32": [1.5, -0.25, 3.0], "a.i32": [-1, 2],
    "a.u8": [1, 2, 255], "a.bool": [False, True, True], "a.i64": [-(1 << 40)], "a.none": [],
}


@pytest.fixture
def make(tmp_path):
    """A function: bytes -> GGUFFile of a file with them."""
    made = []

    def make(data, name="m.gguf", **options):
        path = tmp_path / name
        path.write_bytes(data)
        made.append(GGUFFile(path, **options))
        return made[-1]

    yield make
    for g in made:
        g.close()


@pytest.fixture(params=[("<", 3), ("<", 2), (">", 3), (">", 2)], ids=["little v3", "little v2", "big v3", "big v2"])
def every(request, make):
    return make(small(*request.param)), request.param


def test_every_value_is_read(every):
    g, (order, version) = every
    assert (g.version, g.byteorder, g.alignment) == (version, {"<": "little", ">": "big"}[order], 32)
    assert (g.n_kv, g.n_tensors, g.n_splits) == (len(VALUES), 2, 1)
    assert g.keys() == list(VALUES)
    for key, expected in VALUES.items():
        assert g[key] == expected and type(g[key]) is type(expected), key
        assert g.get(key) == expected and key in g
    assert [type(item) for item in g["a.bool"]] == [bool] * 3


def test_missing_keys(make):
    g = make(small())
    assert g.get("no") is None and g.get("no", 7) == 7 and "no" not in g
    for ask in (g.__getitem__, g.kind, g.type_name, g.elem_type, g.count, g.strings, g.numbers, g.format_value, g.raw):
        with pytest.raises(KeyError):
            ask("no")


def test_types_and_kinds(make):
    g = make(small())
    for name in ("u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64"):
        assert (g.type_name(f"t.{name}"), g.kind(f"t.{name}")) == (name, "int")
    assert [(g.type_name(k), g.kind(k)) for k in ("t.f32", "t.f64", "t.bool", "t.text")] == \
        [("f32", "float"), ("f64", "float"), ("bool", "bool"), ("str", "str")]
    assert (g.type_name("a.str"), g.kind("a.str")) == ("arr[str,4]", "arr")
    assert (g.elem_type("a.str"), g.count("a.str")) == ("str", 4)
    assert (g.type_name("a.none"), g.elem_type("a.none"), g.count("a.none")) == ("arr[f32,0]", "f32", 0)


def test_strings_stay_undecoded(every):
    s = every[0].strings("a.str")
    assert len(s) == 4 and list(s) == VALUES["a.str"]
    assert (s.buffer.format, s.offsets.format, s.lengths.format) == ("B", "Q", "Q")
    assert s.buffer.readonly and s.lengths.tolist() == [0, 4, 2, 3]
    assert bytes(s.buffer[s.offsets[3]:s.offsets[3] + 3]) == b'q"\\'
    with pytest.raises(IndexError):
        s[4]


@pytest.mark.parametrize("key, code", [("a.f32", "f"), ("a.i32", "i"), ("a.u8", "B"), ("a.i64", "q"), ("a.none", "f")])
def test_numbers_have_their_c_type(every, key, code):
    n = every[0].numbers(key)
    assert n.format == code and n.readonly and n.contiguous and n.tolist() == VALUES[key]


@pytest.mark.parametrize("shift", range(8))
def test_numbers_are_copied_only_when_unaligned(make, shift):
    """A Python memoryview hides where it points to, so ask whether the bytes it shows are those of the mapping."""
    g = make(gguf([pair("x" * (8 + shift), "arr:f32", [1.0, 2.0])]))
    start = 24 + 8 + 8 + shift + 16
    numbers = g.numbers("x" * (8 + shift))
    assert numbers.tolist() == [1.0, 2.0]
    assert isinstance(numbers.obj, Mapped) == (start % 4 == 0)


def test_wrong_array_types_are_named(make):
    g = make(small())
    line = r"m\.gguf: at byte \d+: key 't.u32': key t.u32 has wrong type u32 but expected type arr$"
    with pytest.raises(GGUFError, match=line):
        g.count("t.u32")
    with pytest.raises(GGUFError, match=r"key a.i32 has wrong type arr\[i32,2\] but expected type arr\[str\]$"):
        g.strings("a.i32")
    with pytest.raises(GGUFError, match=r"key a.i32 has wrong type arr\[i32,2\] but expected type arr\[f32\]$"):
        g.numbers("a.i32", "f32")
    with pytest.raises(GGUFError, match=r"key a.str has wrong type arr\[str,4\] but expected type array of numbers$"):
        g.numbers("a.str")


def test_dump_texts(every):
    g = every[0]
    expected = {
        "general.architecture": b"llama", "t.u8": b"200", "t.i8": b"-100", "t.f32": b"0.100000", "t.bool": b"true",
        "t.u64": b"9223372036854775808", "t.f64": b"-2.500000", "t.text": b'a\\b"c\\n',
        "a.f32": b"[1.500000, -0.250000, 3.000000]", "a.bool": b"[false, true, true]",
        "a.str": '["", "\u2581x", "\\xff", "q\\"\\\\"]'.encode().replace(b"\\xff", b"\xff"),
        "a.none": b"[]", "a.u8": b"[1, 2, 255]",
    }
    assert {key: g.format_value(key) for key in expected} == expected


@pytest.mark.parametrize("value, shown", [
    (b"x" * 40, b"x" * 40),
    (b"x" * 41, b"x" * 37 + b"..."),
    (b"\n" * 50, b"\\n" * 37 + b"..."),
    ("\u00e9".encode() * 21, "\u00e9".encode() * 18 + b"\xc3..."),
    (b"abc\0def", b"abc"),
], ids=["40 bytes", "41 bytes", "line breaks", "cut inside a character", "nul"])
def test_long_values_are_cut(make, value, shown):
    assert make(gguf([pair("k", "str", value)])).format_value("k") == shown


@pytest.mark.parametrize("order", "<>")
def test_long_arrays_are_cut(make, order):
    g = make(gguf([pair("s", "arr:str", [""] * 500, order), pair("n", "arr:u8", [7] * 500, order),
                   pair("f", "arr:f32", [0.5] * 500, order)], order=order))
    assert g.format_value("s") == b'["", "", "", "", "", "", "", "", "", ...'
    assert g.format_value("n") == b"[7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, ..."
    assert g.format_value("f") == b"[0.500000, 0.500000, 0.500000, 0.5000..."


def test_tensors(every):
    g, (order, _) = every
    first, second = g.tensors.values()
    assert list(g.tensors) == ["first.weight", "second.weight"]
    assert (first.name, first.ne, first.type, first.nbytes, first.shard) == ("first.weight", (32,), 0, 128, 0)
    assert (second.ne, second.nbytes, second.offset - first.offset) == ((4, 2), 32, 128)
    assert first.offset % 32 == 0
    for tensor, numbers in ((first, range(32)), (second, range(8))):
        data = g.data(tensor.name)
        assert data.readonly and data.format == "B" and len(data) == tensor.nbytes
        assert data.cast("f").tolist() == list(numbers)  # this machine's byte order whatever the file's
        at = tensor.offset
        assert bytes(g.mapping(0)[at:at + tensor.nbytes]) == f32(*numbers, order=order)
    assert len(g.mapping(0)) == os.stat(g.path).st_size
    with pytest.raises(KeyError):
        g.data("third.weight")


def turned(raw, block, *scales):
    """The other byte order by hand: in each block of `block` bytes the two bytes at each of `scales` change places."""
    out = bytearray(raw)
    for start in range(0, len(raw), block):
        for at in scales:
            out[start + at], out[start + at + 1] = raw[start + at + 1], raw[start + at]
    return bytes(out)


@pytest.mark.parametrize("name, ne, scales", [
    ("f16", 3, [0]), ("bf16", 3, [0]), ("i16", 3, [0]), ("q8_0", 64, [0]), ("q4_0", 64, [0]), ("q4_1", 64, [0, 2]),
    ("q2_K", 512, [80, 82]), ("q3_K", 512, [108]), ("q4_K", 512, [0, 2]), ("q5_K", 512, [0, 2]), ("q6_K", 512, [208]),
    ("iq4_nl", 64, [0]), ("i8", 3, []),
])
def test_big_endian_data_is_turned(make, name, ne, scales):
    number = {t.name: i for i, t in TYPES.items()}[name]
    raw = bytes(i * 37 % 251 for i in range(row_bytes(number, ne)))
    g = make(gguf([], [info("t", (ne,), number, 0, ">")], raw, order=">"))
    assert bytes(g.data("t")) == turned(raw, TYPES[number].bytes, *scales)


@pytest.mark.parametrize("name, size", [("f32", 4), ("i32", 4), ("i64", 8), ("f64", 8)])
def test_big_endian_wide_numbers_are_turned(make, name, size):
    number = {t.name: i for i, t in TYPES.items()}[name]
    raw = bytes(range(3 * size))
    g = make(gguf([], [info("t", (3,), number, 0, ">")], raw, order=">"))
    assert bytes(g.data("t")) == b"".join(raw[i:i + size][::-1] for i in range(0, 3 * size, size))


@pytest.mark.parametrize("name", ["q5_0", "q5_1", "q8_1", "q8_K", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s",
                                  "iq1_s", "iq1_m", "iq4_xs"])
def test_big_endian_data_without_a_known_layout_is_refused(make, name):
    number = {t.name: i for i, t in TYPES.items()}[name]
    g = make(gguf([], [info("t", (256,), number, 0, ">")], bytes(row_bytes(number, 256)), order=">"))
    line = f"tensor 't': type {name} cannot be read in the other byte order, the file is big-endian"
    with pytest.raises(GGUFError, match=line):
        g.data("t")


@pytest.mark.parametrize("number", TYPES)
def test_every_tensor_type_has_its_size(make, number):
    n = TYPES[number].block * 2
    g = make(gguf([], [info("t", (n, 3), number, 0)], bytes(row_bytes(number, n) * 3)))
    assert g.tensors["t"].nbytes == 6 * TYPES[number].bytes


def test_type_tables():
    assert len(TYPES) == 29 and 4 not in TYPES and 5 not in TYPES and max(TYPES) == 30
    assert {name: i for i, name in enumerate(VALUE_NAMES)} == IDS
    assert row_bytes(12, 512) == 288 and row_bytes(1, 7) == 14
    for type, n in ((12, 255), (4, 32), (31, 32)):
        with pytest.raises(ValueError):
            row_bytes(type, n)
    assert [align_up(n, 32) for n in (0, 1, 32, 33)] == [0, 32, 32, 64]


def test_type_numbers_are_those_of_the_kernels(repo):
    """The C side has its own table; two of them must not drift apart."""
    lines = (repo / "kernels" / "lcy.h").read_text().splitlines()
    names = dict(line.strip(" ,").split(" = ") for line in lines if line.startswith("    LCY_") and " = " in line)
    for number, info in TYPES.items():
        assert int(names[f"LCY_{info.name.upper()}"]) == number


def test_alignment_key_moves_the_data(make):
    g = make(gguf([pair("general.alignment", "u32", 256)], [info("t", (1,), 0, 0), info("u", (1,), 0, 256)],
                  f32(5.0) + bytes(252) + f32(6.0), alignment=256))
    assert g.alignment == 256 and g.tensors["t"].offset == 256
    assert [g.data(name).cast("f")[0] for name in "tu"] == [5.0, 6.0]


@pytest.mark.parametrize("data", [
    gguf([pair("k", "u8", 1)]),
    gguf([pair("k", "u8", 1)]).rstrip(b"\0"),
    gguf(),
    gguf([pair("k", "arr:str", [])]),
    gguf([], [info("t", (), 0, 0)], f32(1.0)),
    gguf([], [info("b", (1,), 0, 32), info("a", (1,), 0, 0)], bytes(36)),
    gguf([], [info("t", (1,), 0, 0)], f32(1.0) + b"more"),
    gguf([], [info("t" * 63, (1, 1, 1, 1), 0, 0)], f32(1.0)),
    gguf([pair("k" * 65535, "u8", 1)]),
    gguf([pair("k", "arr:f64", [1.0] * 3), pair("l", "str", b"\0\xff\xfe")]),
], ids=["vocabulary only, padded", "vocabulary only, not padded", "nothing in it", "empty array", "no dimensions",
        "not in order", "trailing bytes", "longest name", "longest key", "bytes in a string"])
def test_unusual_but_sound_files(make, data):
    assert make(data).n_tensors <= 2


def test_no_dimensions_are_one_element(make):
    g = make(gguf([], [info("t", (), 0, 0)], f32(7.5)))
    assert g.tensors["t"].ne == (1,) and g.data("t").cast("f").tolist() == [7.5]


def test_views_outlive_the_file_object(make):
    g = make(small())
    data, strings, numbers = g.data("second.weight"), g.strings("a.str"), g.numbers("a.i32")
    g.close()
    g.close()
    gc.collect()
    assert data.cast("f")[7] == 7.0 and strings[1] == "\u2581x".encode() and numbers[0] == -1
    with pytest.raises(ValueError):
        g.data("second.weight")


def test_close_gives_the_mapping_back(make, tmp_path):
    def maps():
        with open("/proc/self/maps") as f:
            return sum("closing.gguf" in line for line in f)

    if not os.path.exists("/proc/self/maps"):
        pytest.skip("no /proc here")
    g = make(small(), "closing.gguf")
    assert maps() == 1
    g.close()
    assert maps() == 0
    open_files = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with GGUFFile(tmp_path / "closing.gguf") as g:
            assert g.n_tensors == 2
    assert (maps(), len(os.listdir("/proc/self/fd"))) == (0, open_files)


def test_paths_of_every_kind(tmp_path):
    path = tmp_path / "a b \u00fc.gguf"
    path.write_bytes(small())
    for form in (path, str(path), os.fsencode(path)):
        with GGUFFile(form) as g:
            assert g.path == str(path) and g["t.u8"] == 200


def test_the_bundled_model(random_256):
    with GGUFFile(random_256) as g:
        assert (g.version, g.byteorder, g.alignment, g.n_splits) == (3, "little", 32, 1)
        assert g["general.architecture"] == b"llama" and g["llama.embedding_length"] == 256
        tokens = len(g.strings("tokenizer.ggml.tokens"))
        assert tokens == g.count("tokenizer.ggml.scores") == g.tensors["token_embd.weight"].ne[1] > 0
        assert g.tensors["output_norm.weight"].ne == (256,) and len(g.data("output_norm.weight")) == 1024
        assert max(t.offset + t.nbytes for t in g.tensors.values()) <= os.stat(random_256).st_size


def test_dump_of_the_stories_model(shared):
    with GGUFFile(shared / "data" / "models" / "stories260K-f32.gguf") as g:
        assert (g.n_kv, g.n_tensors) == (17, 48)
        rows = {key: (g.type_name(key), g.format_value(key)) for key in g.keys()}
        assert rows["general.architecture"] == ("str", b"llama")
        assert rows["llama.attention.layer_norm_rms_epsilon"] == ("f32", b"0.000010")
        assert rows["tokenizer.ggml.tokens"] == ("arr[str,512]", b'["<unk>", "<s>", "</s>", "<0x00>", "<...')
        assert rows["tokenizer.ggml.token_type"] == ("arr[i32,512]", b"[2, 3, 3, 6, 6, 6, 6, 6, 6, 6, 6, 6, ...")


def test_all_shared_files_open(shared):
    paths = sorted((shared / "data").glob("*/*.gguf"))
    assert len(paths) >= 21
    for path in paths:
        with GGUFFile(path) as g:
            tokens = g.strings("tokenizer.ggml.tokens")
            assert list(tokens) == g["tokenizer.ggml.tokens"] and len(tokens) > 400
            assert g.kind("general.architecture") == "str" and all(g.format_value(key) for key in g.keys())
