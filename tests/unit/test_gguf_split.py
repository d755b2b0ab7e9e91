"""Models in several files: all parts together are one model, and parts that do not belong are named."""

import itertools

import pytest

from gguf_files import f32, gguf, info, pair
from llamacy.errors import GGUFError
from llamacy.gguf import GGUFFile
from llamacy.gguf.split import split_name, split_prefix


def part(no, count, tensors, /, total=5, order="<", keys=(), **replaced):
    """A part with f32 tensors of 8 elements, all equal to the number in their name; replaced: other split pairs."""
    own = {"no": ("u16", no), "count": ("u16", count), "tensors_count": ("i32", total), **replaced}
    pairs = [*keys, *(pair(f"split.{name.replace('_', '.')}", *value, order) for name, value in own.items() if value)]
    infos = [info(f"t{n}", (8,), 0, 32 * i, order) for i, n in enumerate(tensors)]
    return gguf(pairs, infos, b"".join(f32(*[n] * 8, order=order) for n in tensors), order=order)


@pytest.fixture
def write(tmp_path):
    """A function: write the parts of a sound model of three, some of them replaced; returns the first one's path."""

    def write(prefix="a model", order="<", **changed):
        parts = {
            "first": part(0, 3, [0, 1], order=order, keys=[pair("general.name", "str", "whole", order)]),
            "second": part(1, 3, [2, 3], order=order),
            "third": part(2, 3, [4], order=order),
        } | changed
        paths = [tmp_path / f"{prefix}-{i + 1:05d}-of-00003.gguf" for i in range(3)]
        for path, data in zip(paths, parts.values()):
            if data is not None:
                path.write_bytes(data)
        return paths[0]

    return write


@pytest.mark.parametrize("order", "<>")
def test_all_parts_are_one_model(write, order):
    with GGUFFile(write(order=order)) as g:
        assert (g.n_splits, g.n_tensors, g.n_kv, g["general.name"]) == (3, 5, 4, b"whole")
        assert list(g.tensors) == ["t0", "t1", "t2", "t3", "t4"]
        assert [t.shard for t in g.tensors.values()] == [0, 0, 1, 1, 2]
        for n, name in enumerate(g.tensors):
            assert g.data(name).cast("f").tolist() == [float(n)] * 8
            t = g.tensors[name]
            assert bytes(g.mapping(t.shard)[t.offset:t.offset + t.nbytes]) == f32(*[n] * 8, order=order)
            assert g.part_path(t.shard).endswith(f"-{t.shard + 1:05d}-of-00003.gguf")


def test_one_part_alone(write):
    first = write(third=None)
    with GGUFFile(first, splits=False) as g:
        assert (g.n_splits, list(g.tensors), g["split.count"]) == (1, ["t0", "t1"], 3)
    with GGUFFile(first.with_name("a model-00002-of-00003.gguf"), splits=False) as g:
        assert (g["split.no"], list(g.tensors)) == (1, ["t2", "t3"])


@pytest.mark.parametrize("count", [0, 1])
def test_one_file_with_split_keys(tmp_path, count):
    """gguf-split --merge leaves the keys with count 0; a split of one part has any name."""
    (tmp_path / "m.gguf").write_bytes(part(0, count, [0, 1]))
    with GGUFFile(tmp_path / "m.gguf") as g:
        assert g.n_splits == 1 and g.n_tensors == 2


def test_metadata_only_first_part(write):
    with GGUFFile(write(first=part(0, 3, [], total=3))) as g:
        assert [t.shard for t in g.tensors.values()] == [1, 1, 2]


def test_missing_part(write):
    line = "failed to load GGUF split 3 of 3: No such file or directory: .*a model-00003-of-00003.gguf"
    with pytest.raises(FileNotFoundError, match=line):
        GGUFFile(write(third=None))


def test_not_the_first_part(write):
    path = write().with_name("a model-00002-of-00003.gguf")
    with pytest.raises(GGUFError, match="illegal split file: 1, model must be loaded with the first split"):
        GGUFFile(path)


@pytest.mark.parametrize("name", ["model.gguf", "m-00001-of-00002.gguf", "m-00002-of-00003.gguf", "m-1-of-3.gguf",
                                  "m-00001-of-00003.bin"])
def test_name_that_does_not_fit(write, name):
    path = write()
    line = f"invalid split file: .*{name}, expected a name that ends in -00001-of-00003.gguf"
    with pytest.raises(GGUFError, match=line):
        GGUFFile(path.rename(path.with_name(name)))


# which part is replaced by what, the part that the error names, and what the error says
WRONG = {
    "part of another count": ("second", part(1, 4, [2, 3]), 2,
                              "key 'split.count': found 4, expected 3: the file does not belong to .*-00001-"),
    "part in the wrong place": ("second", part(2, 3, [2, 3]), 2,
                                "key 'split.no': found 2, expected 1: the file does not belong"),
    "part without keys": ("third", gguf([], [info("t4", (8,), 0, 0)], f32(*[4] * 8)), 3,
                          "split.no: found no such key, expected 2"),
    "part with a wrong type": ("third", part(2, 3, [4], no=("u32", 2)), 3,
                               "key split.no has wrong type u32 but expected type u16"),
    "part of the other byte order": ("third", part(2, 3, [4], order=">"), 3,
                                     "version: found a big-endian file, but .* is little-endian"),
    "part that is cut off": ("third", part(2, 3, [4])[:-1], 3, "tensor 't4' data is not within the file bounds"),
    "part that is empty": ("third", b"", 3, "magic: the file is empty"),
    "tensor there twice": ("third", part(2, 3, [1]), 3,
                           "invalid model: tensor 't1' is duplicated, it is also in .*-00001-of"),
    "too few tensors": ("third", part(2, 3, []), 1,
                        "split.tensors.count': corrupted model: 5 tensors expected but 4 found"),
    "too many tensors": ("third", part(2, 3, [4, 5]), 1, "corrupted model: 5 tensors expected but 6 found"),
    "total is negative": ("first", part(0, 3, [0, 1], total=-5), 1, "corrupted model: -5 tensors expected but 5 found"),
    "total as u32": ("first", part(0, 3, [0, 1], tensors_count=("u32", 5)), 1,
                     "key split.tensors.count has wrong type u32 but expected type i32"),
    "no total": ("first", part(0, 3, [0, 1], tensors_count=None), 1, "key not found in model: split.tensors.count"),
    "no number": ("first", part(0, 3, [0, 1], no=None), 1, "key not found in model: split.no"),
    "count as string": ("first", part(0, 3, [0, 1], count=("str", "3")), 1,
                        "key split.count has wrong type str but expected type u16"),
    "count as i16": ("first", part(0, 3, [0, 1], count=("i16", -1)), 1,
                     "key split.count has wrong type i16 but expected type u16"),
}


@pytest.mark.parametrize("name", WRONG)
def test_parts_that_do_not_fit(write, name):
    which, data, blamed, expected = WRONG[name]
    with pytest.raises(GGUFError, match=expected) as caught:
        GGUFFile(write(**{which: data}))
    assert caught.value.path.endswith(f"a model-{blamed:05d}-of-00003.gguf")
    assert str(caught.value).isprintable()


def test_65535_parts_that_are_not_there(tmp_path):
    path = tmp_path / "m-00001-of-65535.gguf"
    path.write_bytes(part(0, 65535, [0]))
    with pytest.raises(FileNotFoundError, match="split 2 of 65535"):
        GGUFFile(path)


def test_names():
    assert split_name("a/b", 0, 3) == "a/b-00001-of-00003.gguf"
    assert split_prefix("a/b-00001-of-00003.gguf", 0, 3) == "a/b"
    assert split_prefix("-00001-of-00003.gguf", 0, 3) is None
    for no, count in itertools.product((0, 1, 2), (2, 3, 4)):
        if (no, count) != (0, 3):
            assert split_prefix("a/b-00001-of-00003.gguf", no, count) is None
