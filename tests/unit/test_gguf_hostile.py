"""GGUFFile on broken and hostile files: always one GGUFError that says where, nothing else, and little memory."""

import os
import random
import re
import socket
import subprocess
import sys

import pytest

from gguf_files import IDS, f32, gguf, header, info, pack, pair, payload, small, string
from llamacy.errors import GGUFError
from llamacy.gguf import GGUFFile

TWO = (info("first", (32,), 0, 0), info("second", (32,), 0, 128))  # 256 bytes of data
DATA = bytes(256)


def one(*args, data=DATA, **options):
    return gguf([], [info(*args)], data, **options)


def key_type(number):
    return header(0, 1) + string("k") + pack("I", number) + bytes(64)


def array(elem, count, body=b""):
    return header(0, 1) + string("k") + pack("IIQ", IDS["arr"], elem, count) + body


def aligned(kind, value):
    return gguf([pair("general.alignment", kind, value)], TWO, DATA + bytes(512))


# name: (the file, byte of the error, what the line says)
FILES = {
    # the start of the file
    "empty file": (b"", 0, "magic: the file is empty"),
    "shorter than the magic": (b"GGU", 0, "magic: invalid magic characters 'GGU'"),
    "other magic": (b"GGML" + small()[4:], 0, "magic: invalid magic characters 'GGML', expected 'GGUF'"),
    "unprintable magic": (b"\x1b[2J" + small()[4:], 0, r"magic: invalid magic characters '\\x1b\[2J'"),
    "only the magic": (b"GGUF", 4, "version: failed to read header: expected 4 bytes, found 0"),
    "half a header": (small()[:20], 16, "key-value count: failed to read header: expected 8 bytes, found 4"),
    "version 0": (gguf(version=0), 4, "version: found 0, expected 2 or 3"),
    "version 1": (gguf(version=1), 4, "version: GGUFv1 is no longer supported"),
    "version 4": (gguf(version=4), 4, "version: found 4, expected 2 or 3"),
    "version 2^32-1": (gguf(version=0xFFFFFFFF), 4, "version: found 4294967295, expected 2 or 3"),
    "big-endian version, little-endian rest": (gguf([pair("k", "u8", 1)], version=0x03000000), 16,
                                               "failed to read header: found 7205759.*the file is big-endian"),
    # counts
    "tensor count 2^63": (gguf(n_tensors=1 << 63), 8, "tensor count: failed to read header: found 9223372036854775808"),
    "tensor count 2^64-1": (gguf(n_tensors=(1 << 64) - 1), 8, "tensor count: failed to read header"),
    "tensor count 2^50": (gguf(n_tensors=1 << 50), 8,
                          "tensor count: failed to read header: found 1125899906842624, expected at most"),
    "tensor count one more than fits": (header(2, 0) + bytes(47), 8, "tensor count: .*found 2, expected at most 1"),
    "pair count 2^40": (gguf(n_pairs=1 << 40), 16, "key-value count: failed to read header: found 1099511627776"),
    "pair count 2^64-1": (gguf(n_pairs=(1 << 64) - 1), 16, "key-value count: failed to read header"),
    "pair count one more than fits": (header(0, 2) + bytes(25), 16, "key-value count: .*found 2, expected at most 1"),
    "pairs and tensors that fit only one by one": (header(1, 1) + bytes(36), 8, "tensor count: .*expected at most 0"),
    "pair count one too high": (gguf([pair("k", "u8", 1)], TWO, DATA, n_pairs=2), 56,
                                "tensor 0 name: found a length of 0"),  # the info of `first` reads as an i8 pair
    "tensor count one too high": (gguf([], TWO, DATA, n_tensors=3), None, "tensor 2 name: found a length of 0"),
    # keys and values
    "key of 2^62 bytes": (header(0, 1) + pack("Q", 1 << 62) + bytes(64), 24,
                          "pair 0 key: failed to read key-value pairs: found 4611686018427387904, expected at most 64"),
    "key of 65536 bytes": (gguf([pair("k" * 65536, "u8", 1)]), 24,
                           "key: found a length of 65536 bytes, expected 1 to 65535"),
    "empty key": (gguf([pair("", "u8", 1)]), 24, "key: found a length of 0 bytes"),
    "NUL in a key": (gguf([pair("a\0b", "u8", 1)]), 24, r"key: found a NUL byte in b'a\\x00b'"),
    "key that is not UTF-8": (gguf([pair(b"a\xff", "u8", 1)]), 24, r"key: expected UTF-8, found b'a\\xff'"),
    "duplicate key": (gguf([pair("k", "u8", 1), pair("l", "u8", 1), pair("k", "u32", 2)]), 52,
                      "key-value pair 2 key: duplicated key 'k'"),
    "value type 13": (key_type(13), 33, "key 'k' type: .*found invalid type 13, expected 0 to 12"),
    "value type 2^32-1": (key_type(0xFFFFFFFF), 33, "key 'k' type: .*found invalid type 4294967295"),
    "string of 2^62 bytes": (header(0, 1) + string("k") + pack("IQ", 8, 1 << 62) + bytes(64), 37,
                             "string length: failed to read key-value pairs: found 4611686018427387904, expected at"),
    "string of 2^64-1 bytes": (header(0, 1) + string("k") + pack("IQ", 8, (1 << 64) - 1), 37,
                               "key 'k' string length: failed to read"),
    "string one byte beyond the end": (header(0, 1) + string("k") + pack("IQ", 8, 65) + bytes(64), 37,
                                       "found 65, expected at most 64"),
    "number cut off": (header(0, 1) + string("k") + pack("I", IDS["u64"]) + bytes(7), 37,
                       "value: .*expected 8 bytes, found 7"),
    "bool 2": (header(0, 1) + string("k") + pack("IB", IDS["bool"], 2), 37, "value: found 2, expected a bool"),
    "array of arrays": (array(IDS["arr"], 1, bytes(64)), 37,
                        "key 'k' array element type: arrays of arrays are not supported"),
    "array of type 13": (array(13, 1, bytes(64)), 37, "key 'k' array element type: .*found invalid type 13"),
    "array of 2^60": (array(IDS["u32"], 1 << 60, bytes(64)), 41,
                      r"array count: array size is too large \(1152921504606846976\), expected at most 16"),
    "array of 2^62 u32: size wraps to 0": (array(IDS["u32"], 1 << 62, bytes(64)), 41,
                                           "array count: array size is too large"),
    "array of 2^61 f64: size wraps to 0": (array(IDS["f64"], 1 << 61, bytes(64)), 41,
                                           "array count: array size is too large"),
    "array of 2^64-1 bytes": (array(IDS["u8"], (1 << 64) - 1, bytes(64)), 41, "array count: array size is too large"),
    "array of 2^60 strings": (array(IDS["str"], 1 << 60, bytes(64)), 41,
                              "array count: array size is too large .*at most 8"),
    "array one longer than the file": (array(IDS["u16"], 33, bytes(64)), 41,
                                       r"array size is too large \(33\), expected at most 32"),
    "array of bools with a 3": (array(IDS["bool"], 3, b"\0\1\3" + bytes(32)), 51, "found 3, expected a bool"),
    "string in an array of 2^62 bytes": (array(IDS["str"], 2, string("ab") + pack("Q", 1 << 62) + bytes(9)), 59,
                                         "key 'k' array element 1: .*found 4611686018427387904, expected at most 9"),
    "string in an array that wraps": (array(IDS["str"], 2, string("ab") + pack("Q", (1 << 64) - 18) + bytes(9)), 59,
                                      "key 'k' array element 1: .*found 18446744073709551598"),
    "strings of an array cut off": (array(IDS["str"], 2, string("abcdefgh") + bytes(4)), 65,
                                    "element 1: .*expected 8 bytes, found 4"),
    # alignment
    "alignment as a string": (aligned("str", "32"), None,
                              "general.alignment' type: has wrong type str but expected type u32"),
    "alignment as i32": (aligned("i32", 32), None, "general.alignment' type: has wrong type i32 but expected type u32"),
    "alignment as an array": (aligned("arr:u32", [32]), None,
                              "general.alignment' type: has wrong type arr but expected type u32"),
    "alignment 0": (aligned("u32", 0), None, "general.alignment' value: found 0, expected a power of two"),
    "alignment 33": (aligned("u32", 33), None, "general.alignment' value: found 33, expected a power of two"),
    "alignment 4": (aligned("u32", 4), None, "general.alignment' value: found 4, expected a power of two, at least 8"),
    "alignment 2^31": (aligned("u32", 1 << 31), None,
                       "tensor 'first' data is not within the file bounds.* from offset 2147483648 on"),
    "alignment 256, data at 128": (aligned("u32", 256), None,
                                   "tensor 'second' offset: found 128, expected a multiple of the alignment 256"),
    # tensor infos
    "name of 64 bytes": (one("n" * 64, (32,), 0, 0), 24, "tensor 0 name: found a length of 64 bytes, expected 1 to 63"),
    "name of 2^62 bytes": (header(1, 0) + pack("Q", 1 << 62) + bytes(64), 24,
                           "tensor 0 name: failed to read tensor info: found 46116"),
    "empty name": (one("", (32,), 0, 0), 24, "tensor 0 name: found a length of 0"),
    "NUL in a name": (one("a\0b", (32,), 0, 0), 24, r"tensor 0 name: found a NUL byte in b'a\\x00b'"),
    "name that is not UTF-8": (one(b"\xc3", (32,), 0, 0), 24, "tensor 0 name: expected UTF-8"),
    "duplicate name": (gguf([], [TWO[0], info("first", (32,), 0, 128)], DATA), 61,
                       "failed to read tensor info: duplicated tensor name first"),
    "5 dimensions": (one("t", (1,) * 5, 0, 0), 33,
                     "tensor 't' n_dims: failed to read tensor info: found 5, expected at most 4"),
    "2^32-1 dimensions": (header(1, 0) + string("t") + pack("I", 0xFFFFFFFF) + bytes(64), 33,
                          "n_dims: .*found 4294967295"),
    "dimension 0": (one("t", (32, 0), 0, 0), 45, "tensor 't' dimension 1: found 0, expected 1 or more"),
    "dimension -1": (one("t", (-1,), 0, 0), 37, "tensor 't' dimension 0: found -1, expected 1 or more"),
    "dimension -2^63": (one("t", (-(1 << 63),), 0, 0), 37, "tensor 't' dimension 0: found -9223372036854775808"),
    "two negative dimensions": (one("t", (-4, -8), 0, 0), 37, "tensor 't' dimension 0: found -4"),
    "product 2^64": (one("t", (1 << 32, 1 << 32), 0, 0), 45,
                     "dimension 1: found 4294967296, but all dimensions multiplied"),
    "product 2^63": (one("t", (1 << 21,) * 3, 0, 0), 53, "dimension 2: found 2097152, but all dimensions multiplied"),
    "product wraps to 32": (one("t", (32, (1 << 59) + 1), 0, 0), 45,
                            "dimension 1: found 576460752303423489, but all dimensions multiplied"),
    "bytes wrap": (one("t", (1 << 62,), 0, 0), None, "not within the file bounds.*found 18446744073709551616 bytes"),
    "bytes wrap, i64": (one("t", (1 << 61,), 27, 0), None,
                        "not within the file bounds.*found 18446744073709551616 bytes"),
    "type 31": (one("t", (32,), 31, 0), 45, "tensor 't' type: found 31, expected a known type, 0 to 30"),
    "type 255": (one("t", (32,), 255, 0), 45, "tensor 't' type: found 255, expected a known type"),
    "type -1": (one("t", (32,), -1, 0), 45, "tensor 't' type: found -1, expected a known type"),
    "type -2^31": (one("t", (32,), -(1 << 31), 0), 45, "tensor 't' type: found -2147483648, expected a known type"),
    "type 4": (one("t", (32,), 4, 0), 45, "tensor 't' type: found 4, a type that was removed"),
    "type 5": (one("t", (32,), 5, 0), 45, "tensor 't' type: found 5, a type that was removed"),
    "33 elements of q4_0": (one("t", (33,), 2, 0), 45,
                            r"tensor 't' of type 2 \(q4_0\) number of elements \(33\) is not a multiple of "
                                                       r"block size \(32\)"),
    "rows of 16 in q4_0": (one("t", (16, 2), 2, 0), 53,
                           r"type: found type 2 \(q4_0\) with rows of 16 elements, .* block size \(32\)"),
    "rows of 128 in q4_K": (one("t", (128, 2), 12, 0), 53, r"type: found type 12 \(q4_K\) with rows of 128"),
    "infos cut off": (header(2, 0) + info("a", (1,), 0, 0) + info("t", (1, 1, 1, 1), 0, 32)[:-9], None,
                      "tensor 't' type: failed to read tensor info: expected 4 bytes, found 3"),
    # data
    "no data": (gguf([], TWO), 53,
                "tensor 'first' data is not within the file bounds, model is corrupted or incomplete: found 128 bytes"),
    "one byte short": (gguf([], TWO, DATA[1:]), None, "tensor 'second' data is not within the file bounds"),
    "offset beyond the end": (one("t", (32,), 0, 1 << 20), 49, "tensor 't' data is not within the file bounds"),
    "offset 2^64-32: sum wraps": (one("t", (8,), 0, (1 << 64) - 32), 49,
                                  "tensor 't' data is not within the file bounds"),
    "offset 2^63": (one("t", (8,), 0, 1 << 63), 49, "tensor 't' data is not within the file bounds"),
    "offset 16": (one("t", (8,), 0, 16), 49, "tensor 't' offset: found 16, expected a multiple of the alignment 32"),
    "same offset": (gguf([], [TWO[0], info("second", (32,), 0, 0)], DATA), None,
                    "tensor 'second' offset: .*inside tensor 'first'"),
    "overlap": (gguf([], [TWO[0], info("second", (32,), 0, 96)], DATA), None,
                "tensor 'second' offset: .*inside tensor 'first'"),
    "overlap, not in order": (gguf([], [info("a", (64,), 0, 256), info("b", (96,), 0, 0)], bytes(512)), None,
                              "tensor 'a' offset: .*inside tensor 'b'"),
    "overlap, one around the other": (gguf([], [info("a", (8,), 0, 64), info("b", (64,), 0, 0)], DATA), None,
                                      "tensor 'a' offset: .*inside tensor 'b'"),
    # texts that could break the line
    "line break and escapes in a key": (gguf([pair("a\n\x1b[31mb", "u8", 1), pair("a\n\x1b[31mb", "u8", 1)]), None,
                                        r"duplicated key 'a\\n\\x1b\[31mb'"),
    "a long key": (gguf([pair("k" * 60000, "u8", 1), pair("k" * 60000, "u8", 1)]), None,
                   r"duplicated key 'k{77}\.\.\.'$"),
    "control characters in a name": (one("a\r\u202eb", (0,), 0, 0), None, r"tensor 'a\\r\\u202eb' dimension 0"),
}


@pytest.mark.parametrize("name", FILES)
def test_refused(tmp_path, name):
    data, at, expected = FILES[name]
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(GGUFError) as caught:
        GGUFFile(path)
    line = str(caught.value)
    assert re.match(rf"{re.escape(str(path))}: at byte \d+: \S", line), line
    assert re.search(expected, line), line
    assert line.isprintable() and len(line) < 400 + len(str(path)), line
    assert caught.value.path == str(path) and (at is None or caught.value.offset == at), line


def test_cut_at_every_byte(tmp_path):
    """`small` ends with its last tensor's last byte, so every shorter file is broken."""
    path = tmp_path / "cut.gguf"
    for order, version in (("<", 3), (">", 3), ("<", 2)):
        whole = small(order, version)
        path.write_bytes(whole)
        GGUFFile(path).close()
        for n in range(len(whole)):
            path.write_bytes(whole[:n])
            with pytest.raises(GGUFError, match=r"cut\.gguf: at byte \d+: ") as caught:
                GGUFFile(path)
            assert caught.value.offset <= n


def read_everything(path):
    """Open the file and look at all of it; True if it was accepted."""
    try:
        with GGUFFile(path) as g:
            for key in g.keys():
                g.format_value(key), g[key], g.raw(key), g.type_name(key), g.kind(key)
            total = sum(sum(g.data(name)) for name in g.tensors if g.tensors[name].nbytes < 4096)
            return total >= 0
    except GGUFError as exc:
        assert str(exc).isprintable()
        return False


def test_random_changes_never_escape(tmp_path):
    """Bytes and bits changed at random: a GGUFError or success, and both happen."""
    rng = random.Random(20240505)
    path = tmp_path / "changed.gguf"
    outcomes = {True: 0, False: 0}
    for round in range(6000):
        data = bytearray(small(rng.choice("<>")))
        end = len(data) - 160  # the metadata
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(end)
            data[at] = rng.choice((data[at] ^ 1 << rng.randrange(8), rng.randrange(256), 0, 255))
        path.write_bytes(data)
        outcomes[read_everything(path)] += 1
    assert min(outcomes.values()) > 300, outcomes


def test_random_numbers_in_wide_fields_never_escape(tmp_path):
    """Whole 32 and 64-bit fields replaced by numbers that overflow when added or multiplied."""
    rng = random.Random(2794)
    nasty = [0, 1, 31, 32, 255, *((1 << n) + d for n in (31, 32, 60, 61, 62, 63, 64) for d in (-32, -1, 0))]
    path = tmp_path / "changed.gguf"
    outcomes = {True: 0, False: 0}
    whole = small()
    for round in range(4000):
        data = bytearray(whole)
        size = rng.choice((4, 8))
        at = rng.randrange(4, len(whole) - 168)
        data[at:at + size] = (rng.choice(nasty) & (1 << 8 * size) - 1).to_bytes(size, "little")
        path.write_bytes(data)
        outcomes[read_everything(path)] += 1
    assert min(outcomes.values()) > 20, outcomes


def test_hostile_counts_allocate_nothing(tmp_path):
    """Every file of the table with a number beyond the file's size, under a limit of 200 MB of address space more."""
    paths = []
    for i, (name, (data, _, _)) in enumerate(FILES.items()):
        if "2^" in name or "wrap" in name:
            paths.append(tmp_path / f"{i}.gguf")
            paths[-1].write_bytes(data)
    assert len(paths) > 20
    script = """
import resource, sys
from llamacy.errors import GGUFError
from llamacy.gguf import GGUFFile
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 200_000_000,) * 2)
for path in sys.argv[1:]:
    try:
        GGUFFile(path)
    except GGUFError:
        continue
    sys.exit(path)
"""
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("no /proc here")
    done = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, timeout=60,
                          cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    assert done.returncode == 0, done.stderr.decode()


def test_a_terabyte_of_nothing(tmp_path):
    """A sparse file passes every bound made of its size; what it holds makes no sense, and that is found at once."""
    path = tmp_path / "sparse.gguf"
    for head in (header(0, 1 << 32), header(1 << 32, 0), header(1, 0), array(IDS["str"], 0)[:24]):
        path.write_bytes(head)
        os.truncate(path, 1 << 40)
        with pytest.raises(GGUFError, match="found a length of 0 bytes"):
            GGUFFile(path)


def test_things_that_are_no_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.gguf"):
        GGUFFile(tmp_path / "nothing.gguf")
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        GGUFFile(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GGUFError, match="pipe: file: found a device, pipe or socket, expected a regular file"):
        GGUFFile(tmp_path / "pipe")
    with pytest.raises(GGUFError, match="/dev/null: file: found a device"):
        GGUFFile("/dev/null")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(os.path.relpath(tmp_path / "s"))
        with pytest.raises(OSError):
            GGUFFile(tmp_path / "s")
    os.symlink("loop", tmp_path / "loop")
    with pytest.raises(OSError, match="loop"):
        GGUFFile(tmp_path / "loop")


def test_unreadable_file(tmp_path):
    path = tmp_path / "secret.gguf"
    path.write_bytes(small())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(PermissionError, match="secret.gguf"):
        GGUFFile(path)


def test_strings_of_a_file_that_changes_under_us(tmp_path):
    """The mapping shows later writes: the walk that makes the table of strings must not trust the first one."""
    data = array(IDS["str"], 3, string("ab") + string("cd") + string("ef"))
    path = tmp_path / "changing.gguf"
    path.write_bytes(data)
    with GGUFFile(path) as g:
        assert g["k"] == [b"ab", b"cd", b"ef"]
        with open(path, "r+b") as f:
            f.seek(data.index(string("cd")))
            f.write(pack("Q", 1 << 40))
        with pytest.raises(GGUFError, match="array element 1: the file was changed while it was being read"):
            g.strings("k")


def test_a_refused_file_stays_closed(tmp_path):
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("no /proc here")
    path = tmp_path / "refused.gguf"
    path.write_bytes(gguf([], TWO))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        with pytest.raises(GGUFError):
            GGUFFile(path)
    with open("/proc/self/maps") as maps:
        assert "refused.gguf" not in maps.read()
    assert len(os.listdir("/proc/self/fd")) == before


def test_helpers_make_what_they_say():
    """The files above are only as good as their builder."""
    assert header(1, 2) == b"GGUF\3\0\0\0" + bytes([1, *[0] * 7, 2, *[0] * 7])
    assert pair("k", "u16", 258) == bytes([1, *[0] * 7]) + b"k" + b"\2\0\0\0" + b"\2\1"
    assert pair("k", "u16", 258, ">") == bytes([*[0] * 7, 1]) + b"k" + b"\0\0\0\2" + b"\1\2"
    assert payload("str", "ab") == bytes([2, *[0] * 7]) + b"ab"
    assert len(info("t", (1, 2), 0, 0)) == 8 + 1 + 4 + 16 + 4 + 8 and f32(1.0) == b"\0\0\x80?"
