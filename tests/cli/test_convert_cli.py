"""convert.py as a command: flags, one line per error, exit codes, files that are written whole or not at all."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

np = pytest.importorskip("numpy", reason="convert.py needs numpy")
pytest.importorskip("tqdm", reason="convert.py needs tqdm")

from llamacy.gguf import GGUFFile
from tests.conftest import REPO
from tests.unit import convert_files as files
from tests.unit.convert_files import LLAMA


@pytest.fixture
def convert(tmp_path):
    """Run convert.py in tmp_path. Returns CompletedProcess with text."""

    def run(*args, script="convert.py", **kwargs):
        return subprocess.run(
            [sys.executable, REPO / script, *map(str, args)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            **kwargs,
        )

    return run


@pytest.fixture
def model(tmp_path):
    """A folder `model` with a small one of 300 tokens."""
    return files.save_model(tmp_path / "model", files.llama(np.random.default_rng(3)))


def last(done):
    return done.stderr.splitlines()[-1]


def refused(done, reason, status=1):
    assert done.returncode == status and done.stdout == "" and "Traceback" not in done.stderr, done.stderr
    assert reason in last(done), done.stderr
    return True


def test_what_it_says(convert, model):
    done = convert("model", "--outtype", "f16")
    assert done.returncode == 0 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == "INFO:convert:Loading model file model/model.safetensors"
    assert lines[1].startswith(
        "INFO:convert:params = Params(n_vocab=300, n_embd=32, n_layer=2, n_ctx=64, n_ff=48, n_head=4, n_head_kv=2, "
    )
    assert lines[2] == "INFO:convert:Loaded vocab file PosixPath('model/tokenizer.model'), type 'spm'"
    assert lines[3] == "INFO:convert:Vocab info: <SentencePieceVocab with 300 base tokens and 0 added tokens>"
    assert lines[4] == (
        "INFO:convert:Special vocab info: <SpecialVocab with 0 merges, special tokens {'bos': 1, 'eos': 2}, "
        "add special tokens unset>"
    )
    assert lines[5] == "INFO:convert:Writing model/ggml-model-f16.gguf, format 1"
    assert lines[6] == "WARNING:convert:Ignoring added_tokens.json since model matches vocab size without it."
    written = "INFO:convert:[{}/21] Writing tensor {} | size {}  | type F16  | T+   0"
    assert written.format(" 2", "blk.0.attn_q.weight".ljust(38), "    32 x     32") in lines
    assert written.format(" 8", "blk.0.ffn_down.weight".ljust(38), "    32 x     48") in lines
    assert lines[-1] == "INFO:convert:Wrote model/ggml-model-f16.gguf"


def test_dump(convert, model):
    done = convert("model", "--dump")
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "model_plus.paths = [PosixPath('model/model.safetensors')]",
        "model_plus.format = 'safetensors'",
        "model_plus.vocab = None",
    ]
    assert lines[3].startswith(
        "model.embed_tokens.weight: shape=[300, 32] type=UnquantizedDataType(name='F32', dtype=dtype('float32'), "
        "valid_conversions=['F16', 'Q8_0']); safetensors F32 data in model/model.safetensors"
    )
    assert len(lines) == 3 + 21
    assert convert("model/model.safetensors", "--dump-single").stdout == done.stdout
    assert refused(convert("model", "--dump-single"), "Is a directory")


@pytest.mark.parametrize("n", [1, 8, -5, 0])
def test_threads_change_no_byte(convert, model, n):
    assert convert("model", "--outfile", "one", "--concurrency", 1).returncode == 0
    assert convert("model", "--outfile", "many", "--concurrency", n).returncode == 0
    assert (model.parent / "one").read_bytes() == (model.parent / "many").read_bytes()


@pytest.mark.parametrize(
    "args, reason",
    [
        (["--vocab-only", "--no-vocab"], "--vocab-only does not make sense with --no-vocab"),
        (["--vocab-only"], "need --outfile"),
        (["--vocab-type", "foo"], "Unsupported vocabulary type 'foo'"),
        (["--vocab-type", "bpe"], "Could not find a tokenizer"),
        (["--vocab-dir", "nowhere"], "Could not find a tokenizer"),
        (["--outfile", "no/folder/x"], "no such folder"),
        (["--outfile", "model/model.safetensors"], "this is an input"),
        (["--outtype", "q8_0"], "multiple of 32"),
    ],
)
def test_refusals(convert, model, args, reason):
    before = {path: path.read_bytes() for path in model.iterdir()}
    assert refused(convert("model", *args), reason)
    assert {path: path.read_bytes() for path in model.iterdir()} == before


@pytest.mark.parametrize("args", [["--outtype", "bf16"], ["--foo"], ["--ctx", "x"], []])
def test_wrong_usage(convert, model, args):
    done = convert(*(["model", *args] if args else []))
    assert done.returncode == 2 and done.stderr.startswith("usage: convert.py")


def test_flags_may_be_shortened_and_joined(convert, model):
    done = convert("--outt=f16", "--vocab-t", "spm", "model", "--outfile=x.gguf")
    assert done.returncode == 0 and (model.parent / "x.gguf").exists()


def test_no_context(convert, model):
    (model / "config.json").unlink()
    tensors = {
        "model.embed_tokens.weight": np.zeros((300, 128)),
        "model.layers.0.self_attn.q_proj.weight": np.zeros((128, 128)),
        "model.layers.0.self_attn.k_proj.weight": np.zeros((128, 128)),
    }
    files.save_safetensors(model / "model.safetensors", tensors)
    done = convert("model")
    assert done.returncode == 2
    assert "error: The model doesn't have a context size, and you didn't specify one with --ctx" in done.stderr
    assert convert("model", "--ctx", "99").returncode == 0
    with GGUFFile(str(model / "ggml-model-f32.gguf")) as gguf:
        assert gguf["llama.context_length"] == 99


def test_two_models_in_a_folder(convert, model):
    shutil.copy(model / "model.safetensors", model / "model-00001-of-00001.safetensors")
    assert refused(convert("model"), "several models")


def test_the_vocabulary_is_found_without_a_flag(convert, tmp_path):
    shutil.copytree(REPO / "tests/data/convert/hf-bpe", tmp_path / "Meta-Llama-3-8B-hf")
    (tmp_path / "Meta-Llama-3-8B-hf").chmod(0o755)
    done = convert("Meta-Llama-3-8B-hf/")
    assert done.returncode == 0, done.stderr
    assert (
        "INFO:convert:vocabulary: found bpe in Meta-Llama-3-8B-hf/tokenizer.json (as with --vocab-type bpe)"
        in done.stderr.splitlines()
    )
    first = (tmp_path / "Meta-Llama-3-8B-hf/ggml-model-f32.gguf").read_bytes()
    assert convert("Meta-Llama-3-8B-hf/", "--vocab-type", "bpe").returncode == 0
    assert (tmp_path / "Meta-Llama-3-8B-hf/ggml-model-f32.gguf").read_bytes() == first
    with GGUFFile(str(tmp_path / "Meta-Llama-3-8B-hf/ggml-model-f32.gguf")) as gguf:
        assert gguf["tokenizer.ggml.pre"] == b"llama-bpe" and gguf.count("tokenizer.ggml.merges") == 244
        keys = gguf.keys()
        assert keys[keys.index("tokenizer.ggml.model") + 1] == "tokenizer.ggml.pre"


def test_llama_3_as_meta_has_it(convert, tmp_path):
    """Slices of a checkpoint, params.json, and a tokenizer.model of ranks."""
    rng = np.random.default_rng(5)
    from tests.unit.test_convert_vocab import rank_folder
    folder, tokens = rank_folder(tmp_path)
    n = len(tokens) + 256
    shapes = {
        "tok_embeddings": (n, 64),
        "norm": (64,),
        "output": (n, 64),
        "layers.0.attention.wq": (64, 64),
        "layers.0.attention.wk": (32, 64),
        "layers.0.attention.wv": (32, 64),
        "layers.0.attention.wo": (64, 64),
        "layers.0.feed_forward.w1": (96, 64),
        "layers.0.feed_forward.w3": (96, 64),
        "layers.0.feed_forward.w2": (64, 96),
        "layers.0.attention_norm": (64,),
        "layers.0.ffn_norm": (64,),
    }
    whole = {f"{name}.weight": rng.standard_normal(shape) for name, shape in shapes.items()}
    for i in range(2):
        part = {
            name: (
                value
                if value.ndim == 1
                else np.array_split(value, 2, axis=int(name.endswith(("wo.weight", "w2.weight"))))[i]
            )
            for name, value in whole.items()
        }
        files.save_torch(
            tmp_path / f"consolidated.{i:02}.pth", {name: ("BF16", files.bf16(value)) for name, value in part.items()}
        )
    (tmp_path / "params.json").write_text(
        json.dumps(
            {
                "dim": 64,
                "n_layers": 1,
                "n_heads": 4,
                "n_kv_heads": 2,
                "norm_eps": 1e-5,
                "rope_theta": 500000.0,
                "vocab_size": n,
            }
        )
    )
    done = convert(tmp_path, "--verify", "--verbose")
    assert done.returncode == 0, done.stderr
    with GGUFFile(str(tmp_path / "ggml-model-f32.gguf")) as gguf:
        assert (gguf["llama.context_length"], gguf["tokenizer.ggml.pre"], gguf["tokenizer.ggml.add_bos_token"]) == (
            8192,
            b"llama-bpe",
            True,
        )
        assert (gguf["tokenizer.ggml.bos_token_id"], gguf["tokenizer.ggml.eos_token_id"]) == (n - 256, n - 255)
        found = np.frombuffer(gguf.data("token_embd.weight"), "<f4").reshape(n, 64)
        assert (found == (files.bf16(whole["tok_embeddings.weight"]).astype(np.uint32) << 16).view(np.float32)).all()
        assert len(gguf.tensors) == 12


def test_vocabulary_alone_needs_no_weights(convert, model):
    (model / "model.safetensors").write_bytes(b"not read")
    assert convert("model", "--vocab-only", "--outfile", "v.gguf").returncode == 0
    with GGUFFile(str(model.parent / "v.gguf")) as gguf:
        assert (
            not gguf.tensors and "general.file_type" not in gguf.keys() and gguf.count("tokenizer.ggml.tokens") == 300
        )


def test_padding_and_unknown_tensors(convert, tmp_path):
    config = LLAMA | {"vocab_size": 310}
    tensors = files.llama(np.random.default_rng(1), config) | {"vision.tower.weight": np.zeros((2, 2))}
    model = files.save_model(tmp_path / "model", tensors, config, vocabulary=False)
    (model / "tokenizer.model").write_bytes(files.sentencepiece(files.pieces(300)))
    assert refused(convert("model"), "Unexpected tensor name: vision.tower.weight. Use --skip-unknown")
    assert refused(convert("model", "--skip-unknown"), "Add the --pad-vocab option and try again.")
    assert not list(tmp_path.rglob("*.gguf"))
    assert convert("model", "--skip-unknown", "--pad-vocab").returncode == 0
    with GGUFFile(str(model / "ggml-model-f32.gguf")) as gguf:
        assert gguf["tokenizer.ggml.tokens"][-1] == b"<dummy00010>"


def test_verify(convert, model):
    pytest.importorskip("sentencepiece", reason="the sentencepiece library is not installed")
    done = convert(REPO / "tests/data/convert/hf-spm", "--outfile", "x.gguf", "--verify", "--outtype", "q8_0")
    assert done.returncode == 0 and "verify: 21 tensors are what was written" in done.stderr
    assert last(done).startswith("INFO:convert:verify: ") and last(done).endswith(
        "texts become the same tokens as in sentencepiece"
    )


def test_verify_finds_what_is_wrong(tmp_path):
    from llamacy.convert import verify
    from llamacy.convert.errors import ConvertError
    from llamacy.convert.log import WARNING, Log
    from llamacy.convert.metadata import Metadata
    from llamacy.convert.output import Item, Output
    from llamacy.convert.tensor import Tensor
    made = Metadata()
    made.add("general.architecture", "str", "llama")
    values = np.arange(64, dtype="<f4").reshape(2, 32)
    output = Output(str(tmp_path / "x.gguf"), made, [Item("a", 8, Tensor("F32", [values]))])
    output.write(1, Log(WARNING), verify=True)
    verify.run(output, None, Log(WARNING))
    raw = bytearray((tmp_path / "x.gguf").read_bytes())
    (tmp_path / "x.gguf").write_bytes(raw[:-1] + b"?")
    verify.run(output, None, Log(WARNING))          # the padding behind the data
    raw[-96 + 40] ^= 1
    (tmp_path / "x.gguf").write_bytes(raw)
    with pytest.raises(ConvertError, match="verification failed: a: checksum"):
        verify.run(output, None, Log(WARNING))
    values += 1                                     # the source is not what was written
    output.write(1, Log(WARNING), verify=True)
    values += 1
    with pytest.raises(ConvertError, match="not those of the checkpoint"):
        verify.run(output, None, Log(WARNING))


def test_values_that_are_not_finite_are_told(convert, tmp_path):
    tensors = files.llama(np.random.default_rng(1))
    tensors["lm_head.weight"][5, 7] = 1e9
    files.save_model(tmp_path / "model", tensors)
    done = convert("model", "--outtype", "f16")
    assert (
        done.returncode == 0
        and "WARNING:convert:output.weight: 1 values or blocks are infinite or not a number" in done.stderr
    )


def test_a_full_disk_is_seen_before(model, monkeypatch, capsys, tmp_path):
    from llamacy.cli.convert import main
    stat = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result((1, 1, 100, 100, 100, *stat[5:])))
    assert main(["convert.py", str(model), "--outfile", str(tmp_path / "y.gguf")]) == 1
    assert "the output needs" in capsys.readouterr().err and not (tmp_path / "y.gguf").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(model, tmp_path, number):
    """The output of a pipe that nobody reads blocks the run until the signal comes."""
    code = "import os, sys, time; sys.path.insert(0, sys.argv[1])\n" \
           "from llamacy.cli import convert\nfrom llamacy.convert import output\n" \
           "def begin(self, item):\n    print('at work', flush=True)\n    time.sleep(60)\n" \
           "output.Progress.begin = begin\n" \
           "sys.exit(convert.main(['convert.py', *sys.argv[2:]]))"
    process = subprocess.Popen([sys.executable, "-c", code, REPO, str(model), "--outfile", str(tmp_path / "out.gguf")],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "at work\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "nothing was written" in errors.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_the_system_python_goes_on_in_the_projects(tmp_path, copied_tree):
    """convert.py of a tree with .venv, started by an interpreter outside any environment."""
    tree = copied_tree(
        "convert.py",
        "convert-hf-to-gguf.py",
        "llamacy/__init__.py",
        "llamacy/cli/__init__.py",
        "llamacy/cli/environment.py",
    )
    (tree / ".venv/bin").mkdir(parents=True)
    (tree / ".venv/bin/python").write_text('#!/bin/sh\necho "ours:" "$@"\n')
    (tree / ".venv/bin/python").chmod(0o755)
    for script in ("convert.py", "convert-hf-to-gguf.py"):
        code = (
            "import runpy, sys; sys.prefix = sys.base_prefix; sys.argv = sys.argv[1:]\n"
            "sys.path.insert(0, sys.argv[0].rpartition('/')[0])\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, tree / script, "x y", "--foo"], capture_output=True, text=True
        )
        assert done.stdout == f"ours: {tree / script} x y --foo\n", done.stderr


def test_missing_libraries_are_one_line(tmp_path, copied_tree):
    tree = copied_tree("convert.py", "llamacy/__init__.py", "llamacy/cli/__init__.py", "llamacy/cli/environment.py")
    done = subprocess.run([sys.executable, "-S", tree / "convert.py", "x"], capture_output=True, text=True)
    assert (
        done.returncode == 1
        and done.stderr.startswith("convert.py: numpy is not installed for ")
        and "run make" in done.stderr
    )
    assert len(done.stderr.splitlines()) == 1
