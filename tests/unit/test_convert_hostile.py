"""Checkpoints that lie: each ends in one error that names the file; no code runs, no claimed memory is taken."""

import os
import pickle
import struct
import subprocess
import sys
import zipfile

import pytest

pytest.importorskip("numpy", reason="llamacy.convert needs numpy")

from llamacy.convert import checkpoint, safetensors, spm, statedict, torchzip
from llamacy.convert.errors import ConvertError
from llamacy.convert.log import WARNING, Log
from tests.conftest import REPO
from tests.unit import convert_files as files
from tests.unit.convert_files import integer, name, numbers, save_zip, state_dict, storage, tensor, text

ENTRY = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def st(data=bytes(16), n=None, **tensors):
    return files.safetensors(
        {key: ENTRY | value if isinstance(value, dict) else value for key, value in tensors.items()}, data, n
    )


SAFETENSORS = {
    "only four bytes": (b"\x10\0\0\0", "expected a header"),
    "a header longer than the file": (st(a={}, n=1 << 40), "header length"),
    "a header that ends outside": (st(a={}, n=1000), "header length"),
    "a header of nothing": (files.safetensors(b""), "not JSON"),
    "a header that is no JSON": (files.safetensors(b"{\"a\": "), "not JSON"),
    "a header that is no UTF-8": (files.safetensors(b"{\"\xff\": 1}"), "not JSON"),
    "a header that is a list": (files.safetensors([1, 2]), "expected an object"),
    "a header nested without end": (files.safetensors(b"[" * 100000), "not JSON"),
    "a number of many digits": (files.safetensors(b"{\"a\": " + b"9" * 10000 + b"}"), "not JSON"),
    "a name twice": (files.safetensors(b'{"a": 1, "a": 2}'), "twice"),
    "a tensor that is a number": (st(a=7), "expected an object with dtype"),
    "a tensor without a shape": (
        files.safetensors({"a": {"dtype": "F32", "data_offsets": [0, 16]}}, bytes(16)),
        "dtype, shape",
    ),
    "an unknown type": (st(a={"dtype": "F99"}), "dtype"),
    "a type that is a list": (st(a={"dtype": ["F32"]}), "dtype"),
    "a negative size": (st(a={"shape": [-2, -2]}), "shape"),
    "a size that is a text": (st(a={"shape": ["2", 2]}), "shape"),
    "a size that is true": (st(a={"shape": [True, 4]}), "shape"),
    "sizes whose product wraps round": (st(a={"shape": [1 << 62, 4]}), "shape"),
    "many sizes": (st(a={"shape": [1] * 1000 + [4]}), "shape"),
    "an enormous empty shape": (st(data=b"", a={"shape": [0, 1 << 62, 1 << 62], "data_offsets": [0, 0]}), "shape"),
    "data outside the file": (st(a={"data_offsets": [0, 1 << 50], "shape": [1 << 48]}), "data_offsets"),
    "data that end before they begin": (st(a={"data_offsets": [16, 0]}), "data_offsets"),
    "negative offsets": (st(a={"data_offsets": [-16, 0]}), "data_offsets"),
    "more data than the shape": (st(data=bytes(32), a={"data_offsets": [0, 32]}), "expected 16"),
    "less data than the shape": (st(data=bytes(8), a={"data_offsets": [0, 8]}), "expected 16"),
    "tensors that overlap": (st(data=bytes(24), a={}, b={"data_offsets": [8, 24]}), "overlaps"),
    "two names for the same bytes": (st(a={}, b={}), "overlaps"),
    "a gap before the first": (st(data=bytes(32), a={"data_offsets": [16, 32]}), "gap"),
    "bytes behind the last": (st(data=bytes(20), a={}), "20 bytes of data"),
}


@pytest.mark.parametrize("raw, reason", SAFETENSORS.values(), ids=SAFETENSORS)
def test_safetensors(tmp_path, raw, reason):
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw)
    with pytest.raises(ConvertError, match=reason) as caught:
        safetensors.read(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 1000


# --- pickles

class Attack:
    """What pickle.loads would run."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


MARK = "a file that the pickle made"
GLOBALS = {
    "os.system": pickle.dumps(Attack(os.system, ("touch '%s'" % MARK,)), 2),
    "builtins.eval": pickle.dumps(Attack(eval, ("open('%s', 'w')" % MARK,)), 2),
    "builtins.open, protocol 4": pickle.dumps(Attack(open, (MARK, "w")), 4),
    "subprocess.run": pickle.dumps(Attack(subprocess.run, (["touch", MARK],)), 2),
    "a torch name that runs code": b"\x80\x02" + name("torch.hub", "load") + b"(" + text("x") + b"tR.",
    "torch.load": b"\x80\x02" + name("torch", "load") + b"(" + text("x") + b"tR.",
    "a module that only begins with torch": b"\x80\x02" + name("torchevil", "FloatStorage") + b".",
    "a dotted attribute": b"\x80\x02" + name("torch", "FloatStorage.__init__.__globals__") + b".",
    "collections.namedtuple": b"\x80\x02" + name("collections", "namedtuple") + b"(" + text("x") + text("y") + b"tR.",
    "posix.system in a tensor's hooks": state_dict(
        {
            "a": name("torch._utils", "_rebuild_tensor_v2")
            + b"("
            + storage("F32", "0")
            + integer(0)
            + numbers([1])
            + numbers([1])
            + b"\x89"
            + name("posix", "system")
            + text("touch x")
            + b"\x85RtR"
        }
    ),
}


@pytest.mark.parametrize("raw", GLOBALS.values(), ids=GLOBALS)
@pytest.mark.parametrize("flag", [(), ("--dump",), ("--dump-single",)], ids=["convert", "dump", "dump-single"])
def test_globals_outside_the_list_are_refused_and_nothing_runs(tmp_path, raw, flag):
    path = tmp_path / "pytorch_model.bin"
    save_zip(path, raw)
    done = subprocess.run(
        [sys.executable, REPO / "convert.py", path, *flag], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 1 and "names the global" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["pytorch_model.bin"]


def nested(depth):
    """A tuple of the same tuple twice, and so on: its text would have 2 ** depth characters."""
    return b")" + b"2\x86" * depth


PICKLES = {
    "nothing": (b"", "damaged"),
    "no end": (b"\x80\x02}", "damaged"),
    "an empty stack": (b"\x80\x02.", "damaged"),
    "a list": (b"\x80\x02].", "expected names and tensors"),
    "a text instead of a tensor": (state_dict({"a": text("x")}), "expected a tensor"),
    "a storage instead of a tensor": (state_dict({"a": storage("F32", "0")}), "expected a tensor"),
    "a storage that is not there": (state_dict({"a": tensor("F32", "9", [2])}), "no entry"),
    "a storage that is another file": (state_dict({"a": tensor("F32", "../../../etc/passwd", [2])}), "no entry"),
    "a tensor longer than its storage": (state_dict({"a": tensor("F32", "0", [5])}), "needs elements up to 4"),
    "an offset outside": (state_dict({"a": tensor("F32", "0", [2], offset=3)}), "needs elements"),
    "a negative offset": (state_dict({"a": tensor("F32", "0", [2], offset=-1)}), "natural numbers"),
    "a stride outside": (state_dict({"a": tensor("F32", "0", [2, 2], stride=[1 << 40, 1])}), "needs elements"),
    "a negative stride": (state_dict({"a": tensor("F32", "0", [2], stride=[-1])}), "natural numbers"),
    "a shape repeated by stride 0": (
        state_dict({"a": tensor("F32", "0", [1 << 30, 1 << 20], stride=[0, 0])}),
        "repeats",
    ),
    "an enormous shape": (state_dict({"a": tensor("F32", "0", [1 << 59, 1 << 59])}), "needs elements|natural"),
    "a shape without strides": (state_dict({"a": tensor("F32", "0", [2, 2], stride=[1])}), "natural numbers"),
    "a shape of texts": (
        state_dict(
            {
                "a": name("torch._utils", "_rebuild_tensor_v2")
                + b"("
                + storage("F32", "0")
                + integer(0)
                + text("x")
                + b"\x85"
                + text("y")
                + b"\x85tR"
            }
        ),
        "natural numbers",
    ),
    "many dimensions": (state_dict({"a": tensor("F32", "0", [1] * 50)}), "dimensions"),
    "a text of 4 GiB": (b"\x80\x02X\xff\xff\xff\xff", "damaged"),
    "an integer of 255 bytes": (b"\x80\x02\x8a\xff" + bytes(255) + b".", "damaged"),
    "a memo far out": (b"\x80\x02}r\xff\xff\xff\xff.", "names and tensors|no tensors"),
    "a memo that was never set": (b"\x80\x02h\x07.", "damaged"),
    "tuples whose text has no end": (b"\x80\x02" + nested(200) + b"Q.", "damaged"),
    "such tuples for a shape": (
        state_dict(
            {
                "a": name("torch._utils", "_rebuild_tensor_v2")
                + b"("
                + storage("F32", "0")
                + nested(99)
                + nested(99)
                + nested(99)
                + b"tR"
            }
        ),
        "damaged",
    ),
    "such tuples for a key": (b"\x80\x02}" + nested(99) + b"Ns.", "damaged"),
    "tuples in tuples": (b"\x80\x02)" + b"\x85" * 1_000_000 + b"Q.", "damaged"),
    "rebuilding of rebuilding": (
        b"\x80\x02" + name("torch._tensor", "_rebuild_from_type_v2") * 2 + b")" + b"\x85" * 100000 + b"R.",
        "damaged",
    ),
    "a call of a tensor": (b"\x80\x02" + tensor("F32", "0", [1]) + b")R.", "damaged"),
    "a call of the type Tensor": (b"\x80\x02" + name("torch", "Tensor") + b")R.", "damaged"),
    "attributes of a text": (b"\x80\x02" + text("x") + b"}b.", "damaged"),
    "an instance (INST)": (b"\x80\x02(ios\nsystem\n.", "not one of a state dict"),
    "a new object (NEWOBJ)": (b"\x80\x02" + name("torch", "Tensor") + b")\x81.", "not one of a state dict"),
    "an extension code (EXT1)": (b"\x80\x02\x82\x01.", "not one of a state dict"),
    "an out-of-band buffer": (b"\x80\x05\x97.", "not one of a state dict"),
}


@pytest.mark.parametrize("raw, reason", PICKLES.values(), ids=PICKLES)
def test_pickles(tmp_path, raw, reason):
    path = tmp_path / "model.pth"
    save_zip(path, raw, {"0": bytes(16)})
    if raw.startswith(b"\x80\x02}r"):
        assert torchzip.read(str(path)) == {}
        return
    with pytest.raises(ConvertError, match=reason) as caught:
        torchzip.read(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_the_list_of_globals_is_closed():
    assert statedict.ALLOWED == {
        ("collections", "OrderedDict"),
        ("torch", "Tensor"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch._tensor", "_rebuild_from_type_v2"),
        *(
            ("torch", f"{kind}Storage")
            for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
        ),
    }


# --- archives

def sound(path):
    save_zip(path, state_dict({"a": tensor("F32", "0", [2, 2])}), {"0": bytes(16)})
    return bytearray(path.read_bytes())


def patch_central(raw, at, value):
    """Change a field of the last entry of the central directory."""
    entry = raw.rindex(b"PK\1\2")
    raw[entry + at:entry + at + 4] = struct.pack("<I", value)
    return raw


ARCHIVES = {
    "only the two letters": (lambda raw: b"PK" + bytes(20), "sound zip"),
    "cut in the middle": (lambda raw: raw[: len(raw) // 2], "sound zip"),
    "a directory outside": (lambda raw: raw[:-6] + struct.pack("<I", 1 << 30) + raw[-2:], "sound zip|entry|header"),
    "an entry that starts outside": (lambda raw: patch_central(raw, 42, 1 << 30), "header is at"),
    "an entry that starts elsewhere": (lambda raw: patch_central(raw, 42, 7), "bytes at"),
    "an entry larger than the file": (
        lambda raw: patch_central(patch_central(raw, 20, 1 << 30), 24, 1 << 30),
        "but the file has",
    ),
    "an entry that says two sizes": (lambda raw: patch_central(raw, 24, 1 << 30), "compressed or encrypted"),
    "two entries in one place": (lambda raw: patch_central(raw, 42, 0), "overlap"),
}


@pytest.mark.parametrize("damage, reason", ARCHIVES.values(), ids=ARCHIVES)
def test_archives(tmp_path, damage, reason):
    path = tmp_path / "model.bin"
    path.write_bytes(damage(sound(path)))
    with pytest.raises(ConvertError, match=reason):
        torchzip.read(str(path))


def test_a_compressed_entry_is_refused(tmp_path):
    path = tmp_path / "model.bin"
    save_zip(path, state_dict({}), {"0": bytes(1 << 20)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ConvertError, match="compressed"):
        torchzip.read(str(path))


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_pickle(tmp_path, count):
    path = tmp_path / "model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "3")
        for i in range(count):
            archive.writestr(f"{i}/data.pkl", state_dict({}))
    with pytest.raises(ConvertError, match=f"found {count} entries"):
        torchzip.read(str(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_the_archive(tmp_path):
    path = tmp_path / "model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        for raw in (state_dict({}), b"\x80\x02}."):
            archive.writestr("archive/data.pkl", raw)
    with pytest.raises(ConvertError, match="two entries"):
        torchzip.read(str(path))


# --- other files


@pytest.mark.parametrize(
    "raw, reason",
    [
        (b"", "empty"),
        (b"GGUF" + bytes(20), "GGUF file already"),
        (b"\x80\x02}q\0.", "before 1.6"),
        (b"\xff" * 64, "unknown format"),
        (b"abc", "unknown format"),
    ],
    ids=["empty", "gguf", "old pickle", "noise", "short"],
)
def test_other_formats_are_named(tmp_path, raw, reason):
    path = tmp_path / "model.pth"
    path.write_bytes(raw)
    with pytest.raises(ConvertError, match=reason):
        checkpoint.open_all(str(path), Log(WARNING))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x0a",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\x05\x0a\x09abc",
        b"\x0a\x03\x18\x63\x00",
        b"\x0b\x0c",
        b"\x0a\x04\x0a\x02\xff\xfe",
        files.sentencepiece([("a", 0.0, 9)]),
        b"not a protobuf at all, but text" * 10,
    ],
    ids=["empty", "cut", "long number", "text outside", "wrong type", "groups", "no UTF-8", "piece of type 9", "text"],
)
def test_tokenizer_models(tmp_path, raw):
    path = tmp_path / "tokenizer.model"
    path.write_bytes(raw)
    with pytest.raises(ConvertError, match="not a SentencePiece model"):
        spm.read(str(path))


def test_memory_stays_small(tmp_path):
    """All lies at once under a limit of memory that none of their claims would fit in."""
    script = "import resource, sys; sys.path.insert(0, sys.argv[1])\n" \
             "from llamacy.convert import safetensors, torchzip\n" \
             "resource.setrlimit(resource.RLIMIT_DATA, (1 << 29, 1 << 29))\n" \
             "for path in sys.argv[2:]:\n" \
             "    try:\n        (safetensors if path.endswith('s') else torchzip).read(path)\n" \
             "    except Exception as error:\n        print(type(error).__name__)\n"
    paths = []
    for i, (raw, _) in enumerate(SAFETENSORS.values()):
        paths.append(tmp_path / f"{i}.safetensors")
        paths[-1].write_bytes(raw)
    for i, (raw, _) in enumerate(PICKLES.values()):
        paths.append(tmp_path / f"{i}.bin")
        save_zip(paths[-1], raw, {"0": bytes(16)})
    done = subprocess.run([sys.executable, "-c", script, REPO, *paths], capture_output=True, text=True, timeout=120,
                          env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ConvertError"] * (len(paths) - 1), done.stderr
    assert len(paths) > 60
