"""gguf-split: the words, the plan, the bytes of the parts and of what is merged; nothing is ever overwritten."""

import hashlib
import signal
import struct
import subprocess

import pytest

from tools import HEAVY, argv, loaded, run

from gguf_files import f32, gguf, info, pair
from llamacy.cli.gguf_split import parse
from llamacy.errors import UsageError
from llamacy.gguf import GGUFFile

USAGE = b"\nusage: ./gguf-split [options] GGUF_IN GGUF_OUT\n"

# Recorded from the reference's gguf-split on random-256-f16.gguf: arguments, then of each part the number of tensors,
# the size that its line tells and the start of its SHA-256; and that of the merged file.
MERGED = "e02a2b7453a84564"
SPLITS = [
    ([], [
        (39, 6, "f867ef7592dae6fc"),
    ]),
    (["--split-max-tensors", "7"], [
        (7, 0, "16ad4dd53b325691"), (7, 1, "528cda9992cf2344"), (7, 1, "9ffb32ddad0ddaf7"), (7, 0, "933e9676e1540452"),
        (7, 1, "2fc9470335c2238f"), (4, 1, "28bbac1bfdf22585"),
    ]),
    (["--split-max-size", "1M"], [
        (9, 0, "be9eacd70bb0be5d"), (2, 0, "13c1f70bc738b9f6"), (7, 0, "98ceb07fb09b22c9"), (2, 0, "4e88519d3f47ab98"),
        (7, 0, "2e28964adb0a927a"), (2, 0, "9d62282cb41e2d2f"), (7, 0, "fe649b719785c7f6"), (2, 0, "6d48df65ac24625a"),
        (1, 0, "da7456a0a7b3dbe7"),
    ]),
    (["--no-tensor-first-split", "--split-max-size", "2M"], [
        (0, 0, "41e06cbb38d919a8"), (11, 1, "3b3ba29cc8cca03f"), (11, 1, "dc39c423d547d8d7"),
        (14, 1, "3d940daf668a1e4a"), (3, 1, "f10be771a23e8723"),
    ]),
    (["--no-tensor-first-split", "--split_max_tensors", "20"], [
        (0, 0, "306a14d1e2be5b2a"), (20, 3, "e733577375dc1936"), (19, 3, "7cda5c9c87c7b294"),
    ]),
    (["--split-max-size", "1G"], [
        (39, 6, "f867ef7592dae6fc"),
    ]),
]


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def split(folder, *words, output="x"):
    """(CompletedProcess, paths of the parts)"""
    done = run("gguf-split", *words, output, cwd=folder)
    return done, sorted(folder.glob(f"{output}-*.gguf"))


@pytest.mark.parametrize("words, rows", SPLITS, ids=[" ".join(words) or "no words" for words, _ in SPLITS])
def test_parts_are_the_reference_s(tmp_path, random_256, words, rows):
    done, paths = split(tmp_path, *words, random_256)
    names = [f"x-{no:05d}-of-{len(rows):05d}.gguf" for no in range(1, len(rows) + 1)]
    assert [path.name for path in paths] == names and [sha(path) for path in paths] == [row[2] for row in rows]
    lines = [f"n_split: {len(rows)}"]
    lines += [f"split {no:05d}: n_tensors = {n}, total_size = {size}M" for no, (n, size, _) in enumerate(rows, 1)]
    lines += [f"Writing file {name} ... done" for name in names]
    total = f"gguf_split: {len(rows)} gguf split written with a total of 39 tensors.\n"
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "\n".join(lines) + "\n", total)
    merged = run("gguf-split", "--merge", paths[0], "whole.gguf", cwd=tmp_path)
    assert merged.returncode == 0 and sha(tmp_path / "whole.gguf") == MERGED
    assert merged.stderr.decode().endswith(f"whole.gguf merged from {len(rows)} split with 39 tensors.\n")


def test_merged_file_is_the_model(tmp_path, random_256):
    _, paths = split(tmp_path, "--split-max-tensors", "9", random_256)
    run("gguf-split", "--merge", paths[0], "whole.gguf", cwd=tmp_path)
    with GGUFFile(random_256) as old, GGUFFile(tmp_path / "whole.gguf") as new:
        assert new.keys() == [*old.keys(), "split.no", "split.count", "split.tensors.count"]
        assert all(new.raw(key) == old.raw(key) for key in old.keys())
        assert [new[key] for key in new.keys()[-3:]] == [0, 0, 39]
        assert list(new.tensors) == list(old.tensors)
        assert all(new.data(name) == old.data(name) for name in old.tensors)


def test_a_merged_file_comes_back_byte_for_byte(tmp_path, random_256):
    _, paths = split(tmp_path, random_256)
    run("gguf-split", "--merge", paths[0], "whole.gguf", cwd=tmp_path)
    _, paths = split(tmp_path, "--split-max-size", "1M", "whole.gguf", output="y")
    run("gguf-split", "--merge", paths[0], "again.gguf", cwd=tmp_path)
    assert len(paths) == 9 and (tmp_path / "again.gguf").read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_a_split_model_is_split_anew_as_a_whole(tmp_path, random_256):
    _, first = split(tmp_path, "--split-max-tensors", "13", random_256)
    _, second = split(tmp_path, "--split-max-tensors", "20", first[0], output="y")
    _, direct = split(tmp_path, "--split-max-tensors", "20", random_256, output="z")
    assert len(first) == 3 and len(second) == 2
    assert [path.read_bytes() for path in second] == [path.read_bytes() for path in direct]


def test_dry_run_writes_nothing(tmp_path, random_256):
    done, paths = split(tmp_path, "--dry-run", "--split-max-tensors", "30", random_256)
    assert done.returncode == 0 and paths == []
    assert done.stdout.decode().splitlines()[0] == "n_split: 2" and b"Writing" not in done.stdout
    _, paths = split(tmp_path, random_256)
    done = run("gguf-split", "--dry-run", "--merge", paths[0], "whole.gguf", cwd=tmp_path)
    assert done.returncode == 0 and not (tmp_path / "whole.gguf").exists()
    assert b"whole.gguf would be merged from 1 split with 39 tensors.\n" in done.stderr


def small(order="<", alignment=None):
    """A file with three tensors of 8 floats, the last with a size of 1 behind it; a NUL in a string."""
    pairs = [pair("general.name", "str", b"a\0b", order), pair("n", "u64", 2**63, order)]
    if alignment:
        pairs.append(pair("general.alignment", "u32", alignment, order))
    step = alignment or 32
    shapes = [("a", (8,)), ("b", (4, 2)), ("c", (8, 1))]
    infos = [info(name, ne, 0, step * i, order) for i, (name, ne) in enumerate(shapes)]
    data = b"".join(f32(*[n] * 8, order=order).ljust(step, b"\0") for n in (1, 2, 3))
    return gguf(pairs, infos, data, alignment=step, order=order)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("alignment", [None, 64])
def test_what_the_reference_breaks_survives(tmp_path, order, alignment):
    """The other byte order and another alignment; strings keep all their bytes."""
    (tmp_path / "m.gguf").write_bytes(small(order, alignment))
    done, paths = split(tmp_path, "--split-max-tensors", "2", "m.gguf")
    assert done.returncode == 0 and len(paths) == 2, done.stderr
    assert run("gguf-split", "--merge", paths[0], "whole.gguf", cwd=tmp_path).returncode == 0
    with GGUFFile(tmp_path / "whole.gguf") as whole:
        assert whole.alignment == (alignment or 32) and whole.byteorder == ("little" if order == "<" else "big")
        assert (whole["general.name"], whole["n"], whole["split.count"]) == (b"a\0b", 2**63, 0)
        assert [t.ne for t in whole.tensors.values()] == [(8,), (4, 2), (8,)]
        for n, name in enumerate("abc", 1):
            assert whole.data(name).cast("f").tolist() == [n] * 8


def test_model_without_tensors(tmp_path):
    (tmp_path / "m.gguf").write_bytes(gguf([pair("general.name", "str", "x")]))
    done, paths = split(tmp_path, "m.gguf")
    assert done.stdout.startswith(b"n_split: 1\nsplit 00001: n_tensors = 0, total_size = 0M\n") and len(paths) == 1
    assert run("gguf-split", "--merge", paths[0], "whole.gguf", cwd=tmp_path).returncode == 0


# --- refusals


@pytest.mark.parametrize("words, line", [
    (["--foo", "a", "b"], "unknown argument: --foo"),
    (["--split_max_tensor", "1", "a", "b"], "unknown argument: --split-max-tensor"),
    ([], "bad arguments"),
    (["a"], "bad arguments"),
    (["--merge", "a"], "bad arguments"),
    (["--split-max-tensors"], "invalid parameter for argument: --split-max-tensors"),
    (["--split-max-tensors", "x", "a", "b"], "invalid parameter for argument: --split-max-tensors"),
    (["--split-max-tensors", "0", "a", "b"], "--split-max-tensors: 0 is out of range (accepted: 1 to 2147483647)"),
    (["--split-max-size", "5K", "a", "b"], "supported units are M (megabytes) or G (gigabytes), but got: K"),
    (["--split-max-size", "", "a", "b"], "supported units are M (megabytes) or G (gigabytes), but got: "),
    (["--split-max-size", "0M", "a", "b"], "size must be a positive value"),
    (["--split-max-size", "-1G", "a", "b"], "size must be a positive value"),
    (["--split-max-size", "M", "a", "b"], "invalid parameter for argument: --split-max-size"),
])
def test_words_that_make_no_command(tmp_path, words, line):
    done = run("gguf-split", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr.decode()) == (1, f"error: {line}\n") and done.stdout.startswith(USAGE)
    with pytest.raises(UsageError):
        parse("gguf-split", words)


def test_words_that_do():
    words = ["--merge", "--split", "--split_max_size", "2G", "--no-tensor-first-split", "in", "--out", "more"]
    request = parse("x", words)
    assert (request.merge, request.max_bytes, request.metadata_first) == (False, 2 << 30, True)
    assert (request.input, request.output) == ("in", "--out")
    request = parse("x", ["--split-max-size", "3M", "--split-max-tensors", "4", "--merge", "in", "out"])
    assert (request.merge, request.max_bytes, request.max_tensors) == (True, 0, 4)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--version"]])
def test_questions(tmp_path, words):
    done = run("gguf-split", *words, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(USAGE) if words != ["--version"] else done.stderr.startswith(b"version: 2794 (")


def refused(folder, *words):
    """The last line of a run that fails; nothing on stdout but a plan."""
    done = run("gguf-split", *words, cwd=folder)
    assert done.returncode == 1 and b"Writing" not in done.stdout
    return done.stderr.decode().splitlines()[-1]


def test_files_that_exist_are_kept(tmp_path, random_256):
    (tmp_path / "x-00002-of-00002.gguf").write_bytes(b"mine")
    words = ["--split-max-tensors", "20", random_256, "x"]
    assert refused(tmp_path, *words).startswith("gguf_split: error: x-00002-of-00002.gguf exists already and is not")
    assert [path.name for path in tmp_path.iterdir()] == ["x-00002-of-00002.gguf"]
    _, (part,) = split(tmp_path, random_256, output="y")
    before = part.read_bytes()
    assert "exists already" in refused(tmp_path, "--merge", part, part)
    assert part.read_bytes() == before


@pytest.mark.parametrize("limit, line", [
    (["--split-max-size", "1M"], "one of splits have 0 tensors. Maybe size or tensors limit is too small"),
    (["--split-max-size", "1M", "--no-tensor-first-split"], "one of splits have 0 tensors"),
])
def test_first_tensor_larger_than_a_part(tmp_path, limit, line):
    big = gguf([], [info("a", (1 << 19,), 0, 0)], bytes(4 << 19))
    (tmp_path / "m.gguf").write_bytes(big)
    assert refused(tmp_path, *limit, "m.gguf", "x").startswith(f"gguf_split: error: {line}")
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]


def test_too_many_parts(tmp_path):
    infos = [info(f"t{i}", (1,), 24, 32 * i) for i in range(65536)]
    (tmp_path / "m.gguf").write_bytes(gguf([], infos, bytes(32 * 65536)))
    line = refused(tmp_path, "--dry-run", "--split-max-tensors", "1", "m.gguf", "x")
    assert "65536 splits, expected at most 65535" in line


def test_what_cannot_be_merged(tmp_path, random_256):
    _, paths = split(tmp_path, "--split-max-tensors", "20", random_256)
    merge = ("gguf-split", "--merge")
    assert refused(tmp_path, "--merge", random_256, "w").endswith("input file does not contain split.count metadata")
    assert "unexpected input file name: " in refused(tmp_path, "--merge", paths[1], "w")
    assert refused(tmp_path, "--merge", "nothing", "w") == "gguf_merge: error: nothing: No such file or directory"
    (tmp_path / "text").write_text("hello")
    assert "invalid magic characters 'hell'" in refused(tmp_path, "--merge", "text", "w")
    assert run(*merge, paths[0], "whole.gguf", cwd=tmp_path).returncode == 0
    assert refused(tmp_path, "--merge", "whole.gguf", "w").endswith("does not contain a valid split count 0")
    paths[1].unlink()
    assert "failed to load GGUF split 2 of 2" in refused(tmp_path, "--merge", paths[0], "w")
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("kind, value", [("str", "3"), ("u32", 3), ("arr", None)])
def test_split_count_of_another_type(tmp_path, kind, value):
    record = pair("split.count", kind, value) if value else \
        struct.pack("<Q", 11) + b"split.count" + struct.pack("<IIQ", 9, 2, 0)
    (tmp_path / "m-00001-of-00003.gguf").write_bytes(gguf([record]))
    assert "valid split count" in refused(tmp_path, "--merge", "m-00001-of-00003.gguf", "w")


def test_a_full_disk_leaves_nothing(tmp_path, random_256):
    _, (part,) = split(tmp_path, random_256)
    assert refused(tmp_path, "--merge", part, "/dev/full") == "gguf_merge: error: No space left on device"
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); " \
            "resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20)); "
    *start, code = argv("gguf-split")
    done = subprocess.run([*start, limit + code, "--split-max-tensors", "20", random_256, "y"], cwd=tmp_path,
                          capture_output=True, timeout=60)
    assert done.returncode == 1 and done.stderr.endswith(b"File too large\n"), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [part.name]     # the first part was complete, and is gone too


def test_a_signal_leaves_nothing(tmp_path, random_256):
    """SIGTERM in the middle of the second part."""
    trap = "import os, llamacy.gguf.parts as p; real = p._write\n" \
           "def write(gguf, part, copying):\n" \
           "    real(gguf, part, copying)\n" \
           "    if '-00002-' in part.path: os.kill(os.getpid(), 15)\n" \
           "p._write = write\n"
    *start, code = argv("gguf-split")
    start_path, _, rest = code.partition("from llamacy.cli")
    words = ["--split-max-tensors", "9", random_256, "x"]
    done = subprocess.run([*start, f"{start_path}\n{trap}from llamacy.cli{rest}", *words], cwd=tmp_path,
                          capture_output=True, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert done.stderr.endswith(b"gguf_split: stopped by SIGTERM, nothing is left of the output\n")
    assert not list(tmp_path.iterdir())


def test_start_loads_nothing_heavy(tmp_path, random_256):
    found = loaded("gguf-split", random_256, "x", cwd=tmp_path)
    assert "llamacy.gguf.parts" in found and not found & HEAVY
    assert not [name for name in found if name.startswith(("llamacy.engine", "llamacy.vocab", "llamacy.sampling"))]
