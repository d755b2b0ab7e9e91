"""./quantize: what a command line does, what is said, and what is on the disk afterwards."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import command

REPO = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPO / "tests" / "unit"))

from quantized import quantize, small_tensors, write_imatrix, write_model, write_split

from llamacy.cli import quantize_help
from llamacy.cli.quantize_params import Request, ShowUsage, default_output, parse_options, parse_positionals, parse_type
from llamacy.errors import UsageError
from llamacy.gguf import GGUFFile
from llamacy.gguf.types import TYPES
from llamacy.quantize import _rows
from llamacy.quantize.filetypes import FILE_TYPES

NUMBER = {info.name: number for number, info in TYPES.items()}
USAGE = quantize_help.usage("./quantize")


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.gguf")


@pytest.fixture
def run(tmp_path):
    """Run ./quantize in an empty folder beside the models; (status, stdout, stderr), both str."""
    folder = tmp_path / "work"
    folder.mkdir()

    def run(*args, **kwargs):
        done = quantize(*args, cwd=folder, check=False, **kwargs)
        return done.returncode, done.stdout.decode(), done.stderr.decode("utf-8", "surrogateescape")

    run.folder = folder
    return run


def types_of(path):
    with GGUFFile(path) as gguf:
        return {name: TYPES[tensor.type].name for name, tensor in gguf.tensors.items()}


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(run, *args):
    """Run what must fail: the reason, after a check that it is one line and that nothing was written."""
    before = left(run.folder)
    code, out, err = run(*args)
    assert (code, out, left(run.folder)) == (1, "", before), err
    *_, reason, last = err.splitlines()
    assert last.startswith("main: failed to quantize model from '")
    return reason.removeprefix("llama_model_quantize: failed to quantize: ")


# ------------------------------------------------------------------------------------------------ words


@pytest.mark.parametrize("words", [(), ("--help",), ("model.gguf",), ("--help", "model.gguf", "f16"), ("--pure", "--imatrix"),
                                   ("--override-kv", "--pure")])
def test_usage(run, words):
    code, out, _ = run(*words)
    assert (code, out.encode()) == (1, USAGE)


def test_options_alone(run):
    assert run("--pure", "model.gguf")[:2] == (1, "./quantize: bad arguments\n" + USAGE.decode())


@pytest.mark.parametrize("words, message", [
    (("--foo", "a", "q4_0"), "main: unknown option --foo\n"),
    (("--keep-splits", "a", "q4_0"), "main: unknown option --keep-splits; did you mean --keep-split?\n"),
    (("--pure=1", "a", "q4_0"), "main: unknown option --pure=1; did you mean --pure?\n"),
    (("--pure", "--imatrix"), "main: --imatrix needs a value: FILE\n"),
    (("--include-weights", "a", "--exclude-weights", "b", "m", "f16"),
     "main: --include-weights and --exclude-weights cannot be used together\n"),
    (("--override-kv", "a", "m", "f16"), "parse_kv_override: malformed KV override 'a'\n"),
    (("--override-kv", "a=x:1", "m", "f16"), "parse_kv_override: invalid type for KV override 'a=x:1'\n"),
    (("--override-kv", "a=bool:1", "m", "f16"), "parse_kv_override: invalid boolean value for KV override 'a=bool:1'\n"),
])
def test_usage_with_a_reason(run, words, message):
    assert run(*words) == (1, USAGE.decode(), message)


@pytest.mark.parametrize("words, message", [
    (("m.gguf", "4"), "main: missing ftype\n"), (("m.gguf", "o.gguf"), "main: missing ftype\n"),
    (("m.gguf", "o.gguf", "q9"), "main: invalid ftype 'q9'\n"), (("--pure", "m.gguf", "o.gguf", "q9"), "main: invalid ftype 'q9'\n"),
    (("m.gguf", "o.gguf", "q4_0", "--pure"), "main: invalid nthread '--pure' (stoi)\n"),
    (("m.gguf", "q4_0", "x"), "main: invalid nthread 'x' (stoi)\n"),
    (("m.gguf", "q4_0", "99999999999"), "main: invalid nthread '99999999999' (stoi)\n"),
])
def test_words_that_make_no_sense(run, words, message):
    assert run(*words) == (1, "", message)


def test_an_unknown_tensor_type_is_refused(run):
    code, out, err = run("--output-tensor-type", "q8_1", "m", "o", "q4_0")
    assert (code, out) == (1, "") and err.startswith("main: --output-tensor-type: 'q8_1' is not a type for tensors, expected ")
    assert "q6_K" in err and err.count("\n") == 1


def positionals(*words):
    request = Request()
    parse_positionals(request, list(words))
    return request


@pytest.mark.parametrize("words, output, type, threads", [
    (("d/m.gguf", "q4_0"), "d/ggml-model-Q4_0.gguf", "Q4_0", 0), (("m.gguf", "COPY"), "ggml-model-COPY.gguf", "COPY", 0),
    (("/a\\m.gguf", "12", "3"), "/a\\ggml-model-Q3_K.gguf", "Q3_K", 3), (("m", "o", "iQ4_nL", "4abc"), "o", "IQ4_NL", 4),
    (("m", "o", "1xyz", "-1"), "o", "F16", -1), (("m", " 1"), "ggml-model-F16.gguf", "F16", 0),
    (("m", "7b.gguf", "q4_0"), "7b.gguf", "Q4_0", 0), (("m", "q4_0", "q5_0", "2"), "q4_0", "Q5_0", 2),
    (("m", "7", "15"), "ggml-model-Q8_0.gguf", "Q8_0", 15), (("m", "o", "F16", "2", "more", "words"), "o", "F16", 2),
])
def test_positionals(words, output, type, threads):
    request = positionals(*words)
    assert (request.input, request.output, request.type.name, request.n_threads) == (words[0], output, type, threads)


def test_types_by_number():
    assert [parse_type(word) and parse_type(word).name for word in ("0", "2", "31", "4", "99", "x", "-1", "copy")] == [
        "F32", "Q4_0", "IQ1_M", None, None, None, None, "COPY"]
    assert default_output("m.gguf", parse_type("f16")) == "ggml-model-F16.gguf"


def test_options_come_first():
    request, words = parse_options("q", ["--pure", "--imatrix", "--x", "--include-weights", "a", "--include-weights", "b",
                                         "--output-tensor-type", "Q6_k", "--override-kv", "a.b=int:3", "m", "--pure", "o"])
    assert words == ["m", "--pure", "o"] and request.pure and request.imatrix == "--x" and request.include == ["a", "b"]
    assert request.output_type == "Q6_K" and request.overrides == [("a.b", "int", 3)] and not request.keep_split
    assert request.settings is not None and request.type is None
    with pytest.raises(ShowUsage):
        parse_options("q", ["--imatrix"])
    with pytest.raises(UsageError):
        positionals("m", "o")


def test_usage_names_every_option_and_type():
    from llamacy.cli.quantize_options import OPTIONS
    from llamacy.quantize.filetypes import FILE_TYPES
    text = USAGE.decode()
    assert all(f"\n  {row[0]} " in text for row in OPTIONS) and all(f"  {row.name:7s} : " in text for row in FILE_TYPES)
    assert "\n   2  or  Q4_0    : " in text and "\n          COPY    : " in text and max(map(len, text.splitlines())) <= 120


# ------------------------------------------------------------------------------------------------ a run


def test_what_is_said(run, model):
    code, out, err = run(model, "o.gguf", "q4_0", "1")
    assert code == 0
    assert re.fullmatch(r"\nmain: quantize time = +\d+\.\d\d ms\nmain:    total time = +\d+\.\d\d ms\n", out)
    lines = err.splitlines()
    assert re.match(r"main: build = 2794 \(", lines[0]) and lines[1].startswith("main: built with ")
    assert lines[2] == f"main: quantizing '{model}' to 'o.gguf' as Q4_0 using 1 threads"
    assert lines[3] == f"llama_model_loader: loaded meta data with 9 key-value pairs and 12 tensors from {model} " \
                       "(version GGUF V3 (latest))"
    at = lines.index(next(line for line in lines if line.startswith("[")))
    assert lines[at - 2:at] == ["llama_model_loader: - type  f32:   12 tensors",
                                f"main: the output will take 0.35 MiB ({os.path.getsize(run.folder / 'o.gguf')} bytes), "
                                "4.61 bits per weight"]
    assert lines[at:] == [
        "[   1/  12]                    token_embd.weight - [  256,    96,     1,     1], type =    f32, "
        "converting to q4_0 .. size =     0.09 MiB ->     0.01 MiB",
        "[   2/  12]                   output_norm.weight - [  256,     1,     1,     1], type =    f32, size =    0.001 MB",
        *lines[at + 2:-2],
        "llama_model_quantize_internal: model size  =     2.44 MB",
        "llama_model_quantize_internal: quant size  =     0.35 MB"]
    assert len(lines) == at + 14


def test_threads_are_named_only_if_given(run, model):
    assert "as Q4_0\n" in run(model, "o.gguf", "q4_0")[2]
    assert "as Q4_0\n" in run(model, "o.gguf", "q4_0", "0")[2]


def test_the_default_name_is_beside_the_input(run, model, tmp_path):
    code, _, err = run(model, "q8_0")
    assert code == 0 and f"to '{tmp_path}/ggml-model-Q8_0.gguf' as" in err
    assert (tmp_path / "ggml-model-Q8_0.gguf").exists() and left(run.folder) == []


@pytest.mark.parametrize("type", ["q4_0", "q4_k_m", "iq3_s", "q6_k", "f16"])
def test_threads_do_not_change_the_bytes(run, tmp_path, type):
    rng = np.random.default_rng(3)
    tensors = {"a.weight": rng.standard_normal((6000, 512), dtype=np.float32), "b.weight": np.ones((4, 256), np.float32)}
    model = write_model(tmp_path / "m.gguf", tensors)
    for threads in (1, 2, 7):
        assert run(model, f"{threads}.gguf", type, threads)[0] == 0
    one = (run.folder / "1.gguf").read_bytes()
    assert one == (run.folder / "2.gguf").read_bytes() == (run.folder / "7.gguf").read_bytes()


def test_more_threads_than_there_can_be(run, model):
    assert run(model, "o.gguf", "q4_0", 2**31 - 1)[0] == 0


@pytest.mark.parametrize("type", ["q4_k_m", "iq3_s", "q8_0"])
def test_the_cpu_does_not_change_the_bytes_of_other_inputs(run, tmp_path, type):
    half = write_model(tmp_path / "half.gguf", small_tensors("float16"))
    assert run(half, "low.gguf", "q5_1")[0] == 0
    for source in (half, "low.gguf"):
        assert len(bytes_of_levels(run, "--allow-requantize", source, "o.gguf", type)) == 1


@pytest.mark.parametrize("type", [row.name.lower() for row in FILE_TYPES])
def test_neither_cpu_nor_threads_change_the_bytes(run, tmp_path, type):
    """With an imatrix and, where that is allowed, without; more rows than one thread gets."""
    rng = np.random.default_rng(5)
    model = write_model(tmp_path / "m.gguf", {"blk.0.ffn_up.weight": rng.standard_normal((150, 256), dtype=np.float32)})
    imatrix = write_imatrix(tmp_path / "m.imatrix", {"blk.0.ffn_up.weight": rng.random(256)})
    assert len(bytes_of_levels(run, "--imatrix", imatrix, model, "o.gguf", type)) == 1
    if run(model, "o.gguf", type)[0] == 0:
        assert len(bytes_of_levels(run, model, "o.gguf", type)) == 1


def bytes_of_levels(run, *args):
    """The files that quantize makes of o.gguf on each kind of CPU, with 1, 2 and 5 threads in turn."""
    found = set()
    for level, threads in (("reference", 1), ("avx2", 2), ("avx512", 5), ("", 1)):
        env = {**os.environ, **({"LLAMACY_CPU": level} if level else {})}
        assert run(*args, threads, env=env)[0] == 0
        found.add((run.folder / "o.gguf").read_bytes())
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts private memory on Linux only")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer takes more memory than the bound")
@pytest.mark.parametrize("type", ["q4_k_m", "iq3_s", "f32", "copy"])
def test_memory_is_bounded(run, tmp_path, type):
    """At most twice the largest tensor in f32 and 64 MiB, stacks of threads included: with less to have, it would fail."""
    largest = np.zeros((8192, 1024), np.float16)
    model = write_model(tmp_path / "m.gguf", {f"{name}.weight": largest for name in "abcdef"})
    bound = 2 * 4 * largest.size + (64 << 20)
    code, _, err = run(model, "o.gguf", type, 2, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (bound, bound)))
    assert code == 0, err


def test_metadata(run, model):
    assert run(model, "o.gguf", "q5_k_s")[0] == 0
    with GGUFFile(model) as before, GGUFFile(run.folder / "o.gguf") as after:
        assert after.keys() == [*before.keys(), "general.quantization_version", "general.file_type"]
        assert after["general.file_type"] == 16 and after["general.quantization_version"] == 2
        assert all(after.raw(key)[1] == before.raw(key)[1] for key in before.keys())
        assert after["tokenizer.ggml.tokens"] == [b"a", b"b\0c"] and after.version == 3


def test_known_keys_are_replaced_in_place(run, tmp_path):
    model = write_model(tmp_path / "m.gguf", general__file_type=("str", "x"), general__quantization_version=("u32", 1),
                        split__no=("u16", 0), split__count=("u16", 0), split__tensors__count=("i32", 12))
    assert run(model, "o.gguf", "q8_0")[0] == 0
    with GGUFFile(model) as before, GGUFFile(run.folder / "o.gguf") as after:
        assert after.keys() == [key for key in before.keys() if not key.startswith("split.")]
        assert (after["general.file_type"], after.type_name("general.file_type")) == (7, "u32")


@pytest.mark.parametrize("tensors, expected", [
    (small_tensors(), 1024), (small_tensors("float16"), 1025),
    ({"a.weight": np.ones((4, 32), np.float32), "b.weight": np.ones((4, 32), np.float16)}, 1024),
    ({"a.weight": np.ones((4, 32), np.float16), "b.weight": np.ones((4, 32), np.float32)}, 1025)])
def test_copy_guesses_the_file_type(run, tmp_path, tensors, expected):
    model = write_model(tmp_path / "m.gguf", tensors)
    assert run(model, "o.gguf", "copy")[0] == 0
    with GGUFFile(model) as before, GGUFFile(run.folder / "o.gguf") as after:
        assert after["general.file_type"] == expected
        assert all(after.data(name) == before.data(name) for name in before.tensors)
    assert run(run.folder / "o.gguf", "again.gguf", "copy")[0] == 0
    assert (run.folder / "again.gguf").read_bytes() == (run.folder / "o.gguf").read_bytes()


def test_leave_output_tensor_and_types_of_single_tensors(run, model):
    assert run("--leave-output-tensor", model, "o.gguf", "q4_0")[0] == 0
    assert types_of(run.folder / "o.gguf")["output.weight"] == "f32"
    assert run("--pure", "--token-embedding-type", "q5_1", "--output-tensor-type", "bf16", model, "o.gguf", "f16")[0] == 0
    found = types_of(run.folder / "o.gguf")
    assert (found.pop("token_embd.weight"), found.pop("output.weight")) == ("q5_1", "bf16")
    assert {type for name, type in found.items() if "norm" not in name} == {"f16"}


def test_fallback_types_are_announced(run, tmp_path):
    model = write_model(tmp_path / "m.gguf", {"output.weight": np.ones((4, 96), np.float32),
                                              "blk.0.ffn_up.weight": np.ones((4, 96), np.float32),
                                              "blk.0.ffn_gate.weight": np.ones((4, 256), np.float32)})
    code, _, err = run(model, "o.gguf", "q4_k_s")
    assert code == 0 and types_of(run.folder / "o.gguf") == {"output.weight": "q8_0", "blk.0.ffn_up.weight": "q5_0",
                                                             "blk.0.ffn_gate.weight": "q4_K"}
    assert "type =    f32, \n\nllama_tensor_get_type : tensor cols 96 x 4 are not divisible by 256, required for q4_K - using " \
           "fallback quantization q5_0\nconverting to q5_0 .. size = " in err
    assert err.endswith("WARNING: 1 of 2 tensor(s) required fallback quantization\n")


def test_shapes_lose_trailing_ones(run, tmp_path):
    tensors = {"a.weight": np.ones((1, 256), np.float32), "b.weight": np.ones((2, 1, 256), np.float32),
               "c.bias": np.ones((1, 1, 2, 32), np.float32)}
    assert run(write_model(tmp_path / "m.gguf", tensors), "o.gguf", "q8_0")[0] == 0
    with GGUFFile(run.folder / "o.gguf") as gguf:
        assert [tensor.ne for tensor in gguf.tensors.values()] == [(256,), (256, 1, 2), (32, 2)]
    assert list(types_of(run.folder / "o.gguf").values()) == ["f32", "q8_0", "f32"]


def test_quantized_input(run, model):
    assert run(model, "q8.gguf", "q8_0")[0] == 0
    assert run("q8.gguf", "same.gguf", "q8_0")[0] == 0
    assert (run.folder / "same.gguf").read_bytes() == (run.folder / "q8.gguf").read_bytes()
    assert refused(run, "q8.gguf", "o.gguf", "f16").startswith("requantizing from type q8_0 is disabled: ")
    assert run("--allow-requantize", "q8.gguf", "o.gguf", "q4_k_m")[0] == 0
    assert run("--allow-requantize", "q8.gguf", "wide.gguf", "f32")[0] == 0
    assert run("wide.gguf", "narrow.gguf", "q4_k_m")[0] == 0
    assert (run.folder / "narrow.gguf").read_bytes() == (run.folder / "o.gguf").read_bytes()


def test_bf16_input(run, tmp_path):
    bits = {name: data.view(np.uint32) & 0xFFFF0000 for name, data in small_tensors().items() if data.ndim > 1}
    wide = {name: data.view(np.float32) for name, data in bits.items()}
    half = {name: (NUMBER["bf16"], data.shape[::-1], (data >> 16).astype(np.uint16).tobytes()) for name, data in bits.items()}
    for name, tensors in (("wide", wide), ("half", half)):
        assert run(write_model(tmp_path / f"{name}.gguf", tensors), f"{name}.gguf", "q4_k_m")[0] == 0
    assert (run.folder / "wide.gguf").read_bytes() == (run.folder / "half.gguf").read_bytes()


def test_experts_get_weights_of_their_own(run, tmp_path):
    rng = np.random.default_rng(5)
    stack = rng.standard_normal((4, 24, 256), dtype=np.float32)
    weights = rng.random((4, 256), dtype=np.float32)
    model = write_model(tmp_path / "m.gguf", {"blk.0.ffn_up_exps.weight": stack}, _expert_count=("u32", 4),
                        _expert_used_count=("u32", 2))
    imatrix = write_imatrix(tmp_path / "m.imatrix", {"blk.0.ffn_up_exps.weight": weights})
    assert run("--imatrix", imatrix, model, "o.gguf", "q4_k_s")[0] == 0
    expected = b"".join(_rows.convert(0, NUMBER["q4_K"], 256, part, row / 2) for part, row in zip(stack, weights))
    with GGUFFile(run.folder / "o.gguf") as gguf:
        assert bytes(gguf.data("blk.0.ffn_up_exps.weight")) == expected


# ---------------------------------------------------------------------------------------------- imatrix


def test_imatrix_lines_and_metadata(run, model, tmp_path):
    weights = {"blk.0.attn_q.weight": np.ones(256), "blk.0.ffn_up.weight": np.ones(256), "nobody": np.ones(3)}
    imatrix = write_imatrix(tmp_path / "m.imatrix", weights)
    code, out, err = run("--imatrix", imatrix, "--exclude-weights", "up", model, "o.gguf", "q4_k_m")
    assert code == 0 and out.startswith(
        "load_imatrix: imatrix dataset='text.txt'\n"
        f"load_imatrix: loaded 3 importance matrix entries from {imatrix} computed on 5 chunks\n"
        "prepare_imatrix: have 2 importance matrix entries\n\nmain: quantize time = ")
    assert "\n================================ Have weights data with 2 entries\n" in err
    assert "\n====== llama_model_quantize_internal: did not find weights for blk.0.ffn_up.weight\nconverting to " in err
    assert "did not find weights for blk.0.attn_q.weight" not in err
    with GGUFFile(run.folder / "o.gguf") as gguf:
        assert gguf.keys()[-4:] == [f"quantize.imatrix.{key}" for key in ("file", "dataset", "entries_count", "chunks_count")]
        assert gguf["quantize.imatrix.file"] == os.fsencode(imatrix)[:127] and gguf["quantize.imatrix.entries_count"] == 2


def test_imatrix_of_which_nothing_is_left_counts_as_none(run, model, tmp_path):
    imatrix = write_imatrix(tmp_path / "m.imatrix", {"x": np.ones(3)})
    assert run("--imatrix", imatrix, "--include-weights", "y", model, "o.gguf", "q4_k_m")[0] == 0
    assert run(model, "p.gguf", "q4_k_m")[0] == 0
    assert (run.folder / "o.gguf").read_bytes() == (run.folder / "p.gguf").read_bytes()
    code, _, err = run("--imatrix", imatrix, "--include-weights", "y", model, "q.gguf", "iq2_xs")
    assert code == 1 and err.startswith("main: Please do not use IQ1_S, IQ1_M, ") and err.count("\n") == 1


def test_imatrix_of_another_size(run, model, tmp_path):
    imatrix = write_imatrix(tmp_path / "m.imatrix", {"blk.0.attn_q.weight": np.ones(255)})
    assert refused(run_without_stdout(run), "--imatrix", imatrix, model, "o.gguf", "q4_0") == \
        "imatrix size 255 is different from tensor size 256 for blk.0.attn_q.weight"
    imatrix = write_imatrix(tmp_path / "m.imatrix", {"token_embd.weight": np.ones(255)})
    code, _, err = run("--imatrix", imatrix, model, "o.gguf", "q4_0")
    assert code == 0 and "imatrix size 255 is different from tensor size 256 for token_embd.weight\n" in err


def run_without_stdout(run):
    """`run` for runs that say something of an imatrix first."""
    def silent(*args):
        code, _, err = run(*args)
        return code, "", err
    silent.folder = run.folder
    return silent


def test_imatrix_that_cannot_be_read(run, model):
    assert run("--imatrix", "none", model, "o.gguf", "q4_0") == \
        (1, "load_imatrix: failed to open none: No such file or directory\n", "")
    (run.folder / "bad").write_bytes(b"\1\0\0\0\xff\xff\xff\x7f")
    assert run("--imatrix", "bad", model, "o.gguf", "q4_0") == \
        (1, "load_imatrix: failed reading name for entry 1 from bad\n", "")
    assert left(run.folder) == ["bad"]


# ------------------------------------------------------------------------------------------------ split


def test_split_input_gives_the_same_file(run, model, tmp_path):
    first = write_split(model, tmp_path / "parts", (5, 1, 6))
    assert run(model, "whole.gguf", "q4_k_m")[0] == 0
    code, _, err = run(first, "joined.gguf", "q4_k_m")
    assert code == 0 and "llama_model_loader: additional 2 GGUFs metadata loaded.\n" in err
    assert (run.folder / "whole.gguf").read_bytes() == (run.folder / "joined.gguf").read_bytes()


@pytest.mark.parametrize("output", ["o.gguf", "o"])
def test_keep_split(run, model, tmp_path, output):
    first = write_split(model, tmp_path / "parts", (5, 1, 6))
    assert run(model, "whole.gguf", "q4_k_m")[0] == 0
    assert run("--keep-split", first, output, "q4_k_m")[0] == 0
    assert left(run.folder) == [f"o-0000{i}-of-00003.gguf" for i in (1, 2, 3)] + ["whole.gguf"]
    with GGUFFile(run.folder / "o-00001-of-00003.gguf") as parts, GGUFFile(run.folder / "whole.gguf") as whole:
        assert [t.shard for t in parts.tensors.values()] == [0] * 5 + [1] + [2] * 6
        assert parts.keys() == [*whole.keys(), "split.no", "split.count", "split.tensors.count"]
        assert all(parts.data(name) == whole.data(name) for name in whole.tensors)
    with GGUFFile(run.folder / "o-00003-of-00003.gguf", splits=False) as part:
        assert {key: (part.type_name(key), part[key]) for key in part.keys()} == {
            "split.no": ("u16", 2), "split.count": ("u16", 3), "split.tensors.count": ("i32", 12)}


def test_keep_split_of_a_whole_model(run, model, tmp_path):
    assert run("--keep-split", model, "q8_0")[0] == 0
    assert run(model, "whole.gguf", "q8_0")[0] == 0
    assert (tmp_path / "ggml-model-Q8_0-00001-of-00001.gguf").read_bytes() == (run.folder / "whole.gguf").read_bytes()


# -------------------------------------------------------------------------------------------- overrides


def test_overrides(run, model):
    code, _, err = run("--override-kv", "llama.context_length=int:128", "--override-kv", "new.int=int:-5",
                       "--override-kv", "new.float=float:0.5", "--override-kv", "new.bool=bool:true",
                       "--override-kv", "new.str=str:a b", model, "o.gguf", "q8_0")
    assert code == 0 and "validate_override: Using metadata override (  int) 'llama.context_length' = 128\n" in err
    with GGUFFile(run.folder / "o.gguf") as gguf:
        found = {key: (gguf.type_name(key), gguf[key]) for key in gguf.keys()}
    assert found["llama.context_length"] == ("u32", 128) and list(found).index("llama.context_length") == 1
    assert list(found.items())[-4:] == [("new.int", ("i32", -5)), ("new.float", ("f32", 0.5)), ("new.bool", ("bool", True)),
                                        ("new.str", ("str", b"a b"))]
    assert run("o.gguf", "again.gguf", "f16", "--allow-requantize")[0] == 1      # options come first
    assert run("--allow-requantize", "o.gguf", "again.gguf", "f16")[0] == 0


@pytest.mark.parametrize("override, text", [
    ("llama.context_length=int:-1", "is -1, expected 0 to 4294967295 \\(type u32\\)"), ("new=int:2147483648", "type i32"),
    ("split.no=int:1", "split.no says how a model is split"), ("general.alignment=int:48", "power of two"),
    ("general.alignment=str:x", "expected u32"), ("new=float:1e300", "does not fit f32")])
def test_overrides_that_cannot_be_stored(run, model, override, text):
    assert re.search(text, refused(run, "--override-kv", override, model, "o.gguf", "q8_0"))


@pytest.mark.parametrize("alignment", [8, 64, 4096])
def test_alignment_is_kept(run, tmp_path, alignment):
    model = write_model(tmp_path / "m.gguf", alignment=alignment)
    assert run(model, "o.gguf", "q4_0")[0] == 0
    with GGUFFile(run.folder / "o.gguf") as gguf:
        assert gguf.alignment == alignment and types_of(run.folder / "o.gguf")["token_embd.weight"] == "q4_0"
    assert run("--override-kv", "general.alignment=int:32", model, "p.gguf", "q4_0")[0] == 0
    with GGUFFile(run.folder / "p.gguf") as gguf:
        assert (gguf.alignment, gguf.type_name("general.alignment")) == (32, "u32")


# -------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("change, text", [
    ({"arch": "gpt5"}, "unknown model architecture: 'gpt5'"),
    ({"without": ["_context_length"]}, "key not found in model: llama.context_length"),
    ({"without": ["general.architecture"]}, "key not found in model: general.architecture"),
    ({"without": ["tokenizer.ggml.tokens"]}, "key not found in model: tokenizer.ggml.tokens"),
    ({"_context_length": ("i32", 5)}, "key llama.context_length has wrong type i32 but expected type u32"),
    ({"_attention.head_count_kv": ("u64", 2)}, "key llama.attention.head_count_kv has wrong type u64"),
    ({"without": ["_attention.layer_norm_rms_epsilon"]}, "key not found in model: llama.attention.layer_norm_rms_epsilon"),
    ({"_rope.dimension_count": ("u32", 32)}, "invalid n_rot: 32, expected 64"),
    ({"_rope.scaling.type": ("str", "cubic")}, "llama.rope.scaling.type is 'cubic', expected none, linear or yarn"),
    ({"_rope.freq_base": ("f64", 1.0)}, "key llama.rope.freq_base has wrong type f64 but expected type f32"),
    ({"_expert_count": ("u32", 4)}, "0 of 4 experts are used"), ({"_expert_count": ("u32", 61), "_expert_used_count": ("u32", 2)},
                                                                 "2 of 61 experts are used"),
    ({"_block_count": ("u32", 2)}, "1 tensors are named attn_v.weight or attn_qkv.weight, expected one for each of 2 layers"),
])
def test_files_that_are_no_models(run, tmp_path, change, text):
    assert text in refused(run, write_model(tmp_path / "m.gguf", **change), "o.gguf", "q4_0")


def test_other_architectures_and_their_keys(run, tmp_path):
    eps = {"_attention.layer_norm_epsilon": ("f32", 1e-5), "without": ["_attention.layer_norm_rms_epsilon"]}
    assert run(write_model(tmp_path / "m.gguf", arch="falcon", **eps), "o.gguf", "q4_0")[0] == 0
    assert types_of(run.folder / "o.gguf")["output.weight"] == "q8_0"
    assert "key not found in model: mpt.attention.max_alibi_bias" in refused(
        run, write_model(tmp_path / "m.gguf", arch="mpt", **eps), "p.gguf", "q4_0")


@pytest.mark.parametrize("tensors, type, text", [
    ({"a.weight": np.ones((4, 172), np.float32)}, "q4_0",
     "tensor 'a.weight' of type q4_0 has 172 elements per row, not a multiple of block size (32): this model can only be"),
    ({"a.weight": np.ones((4, 172), np.float32)}, "q5_k_s", "tensor 'a.weight' of type q5_1 has 172 elements per row"),
    ({"a.weight": np.ones((2, 2, 2, 32), np.float32)}, "q4_0", "tensor 'a.weight' has 4 dimensions"),
    ({"a.weight": np.ones((2, 32), np.int32)}, "q4_0", "cannot dequantize/convert tensor type i32"),
    ({"a.weight": np.float32([[1, np.nan] * 16])[[0, 0]]}, "q4_0", "tensor 'a.weight' has invalid data: found nan value at block 1"),
    ({"a.bias": np.full((2, 32), np.inf, np.float16)}, "copy", "tensor 'a.bias' has invalid data: found inf value at block 0"),
    ({"a.weight": np.float32([[1e6] * 32] * 2)}, "f16", "quantized data validation failed: tensor 'a.weight' as f16: found inf"),
    ({"a.weight": np.float32([[1e8] * 32] * 2)}, "q8_0", "quantized data validation failed: tensor 'a.weight' as q8_0: found inf"),
])
def test_tensors_that_cannot_be_had(run, tmp_path, tensors, type, text):
    (run.folder / "o.gguf").write_bytes(b"old")
    assert text in refused(run, write_model(tmp_path / "m.gguf", tensors), "o.gguf", type)
    assert (run.folder / "o.gguf").read_bytes() == b"old"


def test_pure_and_short_rows(run, tmp_path):
    model = write_model(tmp_path / "m.gguf", {"a.weight": np.ones((4, 64), np.float32)})
    assert "block size (256): choose a type with blocks of 32 or leave out --pure" in refused(
        run, "--pure", model, "o.gguf", "q4_k")


def test_a_bad_value_far_inside_is_counted_from_the_start(run, tmp_path):
    data = np.ones((5000, 512), np.float32)
    data[4321, 5] = np.inf
    model = write_model(tmp_path / "m.gguf", {"a.weight": data})
    for threads in (1, 3):
        assert f"found inf value at block {4321 * 512 + 5}" in refused(run, model, "o.gguf", "q4_0", threads)


def test_input_that_is_no_model_file(run, tmp_path):
    assert refused(run, "none.gguf", "o.gguf", "q4_0") == "none.gguf: No such file or directory"
    (tmp_path / "bad.gguf").write_bytes(b"GGML" + bytes(100))
    assert "bad.gguf: at byte 0: magic: " in refused(run, tmp_path / "bad.gguf", "o.gguf", "q4_0")


@pytest.mark.parametrize("name", ["same", "symlink", "hardlink", "part", "imatrix"])
def test_the_output_must_not_be_an_input(run, model, tmp_path, name):
    args, source, output = [], model, tmp_path / name
    if name == "same":
        output = tmp_path / "work" / ".." / "model.gguf"
    elif name == "part":
        source = write_split(model, tmp_path / "parts", (5, 7))
        output = tmp_path / "parts" / "m-00002-of-00002.gguf"
    elif name == "imatrix":
        args, output = ["--imatrix", write_imatrix(tmp_path / name, {"x": np.ones(3)})], tmp_path / name
    else:
        (output.symlink_to if name == "symlink" else output.hardlink_to)(model)
    before = output.read_bytes()
    assert " is the same file as the input " in refused(run_without_stdout(run), *args, source, output, "q4_0")
    assert output.read_bytes() == before


# --------------------------------------------------------------------------------------------- the disk


def test_dry_run(run, model):
    code, plan, err = run("--dry-run", model, "o.gguf", "q4_k_m")
    assert code == 0 and left(run.folder) == [] and "[   1/" not in err
    code, _, err = run(model, "o.gguf", "q4_k_m")
    assert code == 0
    lines = [line for line in err.splitlines() if not line.startswith("main: the output will take")]
    assert plan.splitlines()[:-1] == lines[-14:]
    assert f"({os.path.getsize(run.folder / 'o.gguf')} bytes)" in plan.splitlines()[-1]


def test_a_missing_folder(run, model):
    assert refused(run, model, "nowhere/o.gguf", "q4_0").endswith("nowhere/o.gguf: No such file or directory")
    assert refused(run, model, ".", "q4_0").endswith("Is a directory")


def test_devices_are_written_to(run, model):
    assert run(model, "/dev/null", "q4_0")[0] == 0
    assert "No space left on device" in refused(run, model, "/dev/full", "q4_0")


def test_too_little_space(monkeypatch, tmp_path):
    from llamacy.errors import LlamacyError
    from llamacy.quantize.rewrite import check_space

    class Output:
        path, nbytes = str(tmp_path / "o.gguf"), 1000

    class Disk:
        f_bavail, f_frsize = 1999, 1

    monkeypatch.setattr(os, "statvfs", lambda path: Disk)
    check_space([Output])
    with pytest.raises(LlamacyError, match="the output needs 2000 bytes, 1999 are free"):
        check_space([Output, Output])


def test_permissions_of_a_replaced_file_stay(run, model):
    (run.folder / "o.gguf").write_bytes(b"old")
    (run.folder / "o.gguf").chmod(0o640)
    assert run(model, "o.gguf", "q4_0")[0] == 0
    assert (run.folder / "o.gguf").stat().st_mode & 0o777 == 0o640


@pytest.fixture(scope="module")
def long_model(tmp_path_factory):
    """It takes seconds to quantize it to IQ3_S."""
    rng = np.random.default_rng(9)
    tensors = {f"{i}.weight": rng.standard_normal((8192, 1024), dtype=np.float32) for i in range(4)}
    return write_model(tmp_path_factory.mktemp("long") / "m.gguf", tensors)


def started(run, model, **kwargs):
    """A run of some seconds that has begun to write, beside an older o.gguf."""
    (run.folder / "o.gguf").write_bytes(b"old")
    process = subprocess.Popen([*command("quantize"), str(model), "o.gguf", "iq3_s", "2"], cwd=run.folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **kwargs)
    deadline = time.monotonic() + 60
    while len(left(run.folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(left(run.folder)) == 2 and process.poll() is None
    return process


@pytest.mark.parametrize("number, name", [(signal.SIGINT, "Ctrl+C"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")])
def test_a_signal_leaves_nothing_behind(run, long_model, number, name):
    # the suite may have been started with nohup, and ignored signals are inherited
    process = started(run, long_model, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    process.send_signal(number)
    err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 128 + number
    assert err.endswith(f"\nmain: stopped by {name}, 'o.gguf' is as it was\n") and "Traceback" not in err
    assert left(run.folder) == ["o.gguf"] and (run.folder / "o.gguf").read_bytes() == b"old"


def test_a_reader_that_went_away(run, long_model):
    process = started(run, long_model)
    process.stderr.close()
    assert process.wait(60) == 128 + signal.SIGPIPE
    assert left(run.folder) == ["o.gguf"] and (run.folder / "o.gguf").read_bytes() == b"old"


def test_kill_leaves_the_old_file(run, long_model):
    process = started(run, long_model)
    process.kill()
    process.communicate(timeout=60)
    assert (run.folder / "o.gguf").read_bytes() == b"old"
    half = [name for name in left(run.folder) if name != "o.gguf"]
    assert len(half) == 1 and half[0].startswith(".llamacy-") and half[0].endswith(".tmp")


def test_ignored_signals_stay_ignored(run, model):
    code, _, err = run(model, "o.gguf", "q4_0", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert code == 0, err


def test_a_terminal_sees_progress(run, long_model):
    """The same lines, and between them one that is drawn again and again."""
    import pty
    master, slave = pty.openpty()
    process = subprocess.Popen([*command("quantize"), str(long_model), "/dev/null", "q4_k_m", "2"], cwd=run.folder,
                               stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:
        pass                                     # how Linux says that the other end is closed
    finally:
        os.close(master)
    assert process.wait(60) == 0
    assert re.search(rb"\r\x1b\[K +\d+% - [\d.]+ M weights/s - \d+:\d\d left - \d\.weight", seen)
    lines = [line.rpartition(b"\x1b[K")[2] for line in seen.replace(b"\r\n", b"\n").split(b"\n")]
    assert sum(line.startswith(b"[   ") and line.endswith(b" MiB") for line in lines) == 4


def test_nothing_heavy_is_loaded(repo, tmp_path, model):
    from test_style import HEAVY
    code = "import sys\nbare = set(sys.modules)\nsys.path.insert(0, sys.argv.pop(1))\nfrom llamacy.cli.quantize import main\n" \
           "code = main(['./quantize', *sys.argv[1:]])\nprint(*(set(sys.modules) - bare), file=sys.stderr)\nsys.exit(code)"
    for args, status in (((), 1), ((model, "o.gguf", "q4_0"), 0)):
        done = subprocess.run([sys.executable, "-I", "-S", "-c", code, repo, *args], cwd=tmp_path, capture_output=True)
        modules = set(done.stderr.decode().splitlines()[-1].split())
        assert done.returncode == status and "llamacy.cli.quantize" in modules
        assert not {name for name in modules if name.split(".")[0] in HEAVY}
