"""What the words of a command line become, rule by rule: order, errors, texts, scripts that must go on working."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import accepted, ended, params

from llamacy.cli.params import unescape

REPO = Path(__file__).resolve().parent.parent.parent
MODEL = "models/7B/ggml-model-f16.gguf"
INVALID = b"error: invalid parameter for argument: %b\n"

# ------------------------------------------------------------------------------------------------- words and values


@pytest.mark.parametrize("word", ["--n=3", "-n3", "--", "--temp_", "story", "", "-", "--Temp", "-n_gl", "--n-pr", "-N"])
def test_unknown_argument(word, capfdbinary):
    status, err, out = ended(capfdbinary, "-n", "3", word, "-h")
    shown = word.replace("_", "-") if word.startswith("--") else word
    assert status == 1 and err.startswith(b"error: unknown argument: %b\n" % shown.encode())
    assert out.startswith(b"\nusage: ./main [options]\n\noptions:\n")


@pytest.mark.parametrize("word, meant", [("--n-predikt", "--n-predict"), ("--top_kk", "--top-k"),
                                         ("--repeat-penality", "--repeat-penalty"), ("--intractive", "--interactive")])
def test_typo(word, meant, capfdbinary):
    assert ended(capfdbinary, word, "3")[1].decode().splitlines()[1:] == [f"did you mean {meant}?"]


@pytest.mark.parametrize("word", ["story", "n-predict", "--xyzzy"])
def test_nothing_is_suggested(word, capfdbinary):
    assert ended(capfdbinary, word)[1] == b"error: unknown argument: %b\n" % word.encode()


def test_a_value_may_look_like_a_flag():
    found = params("-p", "--top_k 5", "-r", "-n", "-r", "--help", "--in_prefix", "--x_y")
    assert (found.prompt, found.antiprompts, found.input_prefix) == (b"--top_k 5", [b"-n", b"--help"], b"--x_y")


def test_the_last_one_holds():
    found = params("-n", "1", "--n_predict", "2", "-s", "3", "-s", "4", "--rope-scale", "4", "--rope-freq-scale", "0.5",
                   "-p", "a", "-p", "b", "--log-enable", "--log-disable", "-cnv", "-no-cnv")
    assert (found.n_predict, found.seed, found.rope_freq_scale, found.prompt) == (2, 4, 0.5, b"b")
    assert not found.log_enabled and not found.conversation
    found = params("--log-disable", "--log-enable", "-no-cnv", "-cnv", "--rope-freq-scale", "0.5", "--rope-scale", "4")
    assert found.log_enabled and found.conversation and found.rope_freq_scale == 0.25


def test_what_accumulates():
    found = params("-r", "a", "-r", "b", "--lora", "x", "--lora-scaled", "y", "2", "--control-vector-scaled", "c", "3",
                   "--control-vector", "d", "--override-kv", "k=int:1", "--override-kv", "k=int:2",
                   "-l", "5+1", "-l", "6-1", "-l", "5+2", "--image", "i", "--image", "j")
    assert found.antiprompts == [b"a", b"b"] and found.loras == [("x", 1.0), ("y", 2.0)]
    assert found.control_vectors == [("c", 3.0), ("d", 1.0)] and found.images == ["i", "j"]
    assert found.overrides == [("k", "int", 1), ("k", "int", 2)] and found.sampling.logit_bias == {5: 2.0, 6: -1.0}


def test_two_runs_share_nothing():
    params("-r", "a", "--lora", "x", "-l", "5+1", "--override-kv", "k=int:1", "-ts", "1")
    found = params()
    assert not (found.antiprompts or found.loras or found.sampling.logit_bias or found.overrides or found.tensor_split)


# ------------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize("words, last", [
    ("--rope-scaling foo -m M", "-m"), ("-sm foo", "-sm"), ("--numa everywhere -n 2", "-n"), ("-l 5 -n 2", "-n"),
    ("-l 5*2", "-l"), ("-l x+1", "-l"), ("-l 5+", "-l"), ("-l 5+x", "-l"), ("-l 5+1e99", "-l"), ("-l 0x5+1", "-l"),
    ("-l 99999999999+1", "-l"), ("--pooling max --ctx_size 3", "--ctx-size"), ("--lora-scaled f", "--lora-scaled"),
    ("--rope-scaling foo --log-disable", "--log-disable"),
    ("--control-vector-layer-range 1", "--control-vector-layer-range"),
])
def test_invalid_value_blames_the_last_flag(words, last, capfdbinary):
    status, err, out = ended(capfdbinary, *words.split())
    assert (status, err) == (1, INVALID % last.encode()) and out.startswith(b"\nusage: ")


def test_order_of_errors(capfdbinary):
    assert ended(capfdbinary, "--rope-scaling", "foo", "--xyzzy")[1] == b"error: unknown argument: --xyzzy\n"
    assert ended(capfdbinary, "--rope-scaling", "foo", "-n", "x")[1] == b"stoi\n"
    assert ended(capfdbinary, "--rope-scaling", "foo", "--prompt-cache-all", "-i")[1] == INVALID % b"-i"
    assert ended(capfdbinary, "--rope-scaling", "foo", "-h")[:2] == (0, b"")
    assert ended(capfdbinary, "-h", "--xyzzy")[:2] == (0, b"")
    assert ended(capfdbinary, "-n", "x", "-h")[:2] == (1, b"stoi\n")


@pytest.mark.parametrize("words, message", [
    ("-n x", "stoi"), ("-s abc", "stoul"), ("--temp hot", "stof"), ("--lora-scaled f x", "stof"), ("-ts a", "stof"),
    ("--control-vector-layer-range x 1", "stoi"), ("--control-vector-layer-range x", "stoi"),
])
def test_number_without_digits(words, message, capfdbinary):
    status, err, out = ended(capfdbinary, *words.split())
    assert (status, err) == (1, message.encode() + b"\n") and out.startswith(b"\nusage: ")


@pytest.mark.parametrize("words, parts", [
    ("-n 2147483648", ["-n:", "2147483648", "-2147483648 to 2147483647"]), ("--ctx_size -9999999999", ["--ctx-size:"]),
    ("-s 99999999999999999999", ["-s:", "18446744073709551615"]), ("--temp 1e50", ["--temp:", "1e50"]),
    ("--top-p 1e-50", ["--top-p:", "1e-50"]), ("-b -5", ["-b:", "-5", "0 to"]), ("-gan 0", ["-gan:", "0", "1 to"]),
    ("-gan 3 -gaw 512", ["-gaw:", "512", "3"]), ("-gan 2 -gaw 0", ["-gaw:", "0"]),
    ("-ctk bf16", ["-ctk:", "bf16", "f32 f16"]), ("-ctv F16 -n 2", ["-ctv:", "F16"]), ("-ctk ", ["-ctk:", "''"]),
    ("-f .", ["-f:", "'.'", "folder"]), ("-bf .", ["-bf:", "folder"]), ("--grammar-file .", ["--grammar-file:"]),
    ("--cfg-negative-prompt-file .", ["folder"]),
    ("-j {", ["-j:"]), ("--json-schema {\"type\":\"nonsense\"}", ["--json-schema:"]), ("--grammar root", ["grammar"]),
    ("--grammar root::=x", ["grammar"]),
])
def test_where_the_reference_crashes_there_is_one_line(words, parts, capfdbinary):
    status, err, out = ended(capfdbinary, *words.split(" "))
    assert status == 1 and out == b"" and err.startswith(b"error: ") and err.count(b"\n") == 1 and err.endswith(b"\n")
    assert all(part.encode() in err for part in parts)


def test_what_is_replaced_later_is_no_error():
    assert params("-ctk", "bf16", "-ctk", "f32").cache_type_k == "f32"
    assert params("-gan", "0", "-gan", "1").grp_attn_n == 1
    assert params("--grammar", "broken", "--grammar", 'root ::= "x"').sampling.grammar == b'root ::= "x"'


@pytest.mark.parametrize("flag", ["-f", "--file", "-bf", "--binary-file", "--grammar-file",
                                  "--cfg-negative-prompt-file"])
def test_file_that_cannot_be_opened(flag, capfdbinary, tmp_path):
    path = os.fsencode(tmp_path / "no file")
    assert ended(capfdbinary, flag, os.fsdecode(path), "-n", "3")[:2] == \
        (1, b"error: failed to open file '%b'\n" % path + INVALID % b"-n")


@pytest.mark.parametrize("word, message", [
    ("key", "malformed KV override '{}'"), ("k" * 128 + "=int:1", "malformed KV override '{}'"),
    ("k=int", "invalid type for KV override '{}'"), ("k=long:1", "invalid type for KV override '{}'"),
    ("k=bool:yes", "invalid boolean value for KV override '{}'"),
    ("k=str:" + "v" * 128, "malformed KV override '{}', value cannot exceed 127 chars"),
])
def test_bad_override(word, message, capfdbinary):
    status, err, _ = ended(capfdbinary, "--override-kv", word, "-n", "3")
    assert status == 1
    assert err.decode().splitlines() == [f"parse_kv_override: {message.format(word)}",
                                         f"error: Invalid type for KV override: {word}",
                                         "error: invalid parameter for argument: -n"]


@pytest.mark.parametrize("word, expected", [
    ("a=int:x", ("a", "int", 0)), ("a=int:99999999999999999999", ("a", "int", 2**63 - 1)), ("=int:1", ("", "int", 1)),
    ("a=float:1.5e", ("a", "float", 1.5)), ("a=bool:true", ("a", "bool", True)), ("a=bool:false", ("a", "bool", False)),
    ("a=str:", ("a", "str", b"")), ("a=str:b=c:d", ("a", "str", b"b=c:d")),
    ("k" * 127 + "=str:" + "v" * 127, ("k" * 127, "str", b"v" * 127)),
])
def test_override(word, expected):
    assert params("--override-kv", word).overrides == [expected]


@pytest.mark.parametrize("flag", ["-i", "--interactive", "--interactive-first", "-if", "-ins", "--instruct"])
def test_prompt_cache_all_is_not_for_dialogues(flag, capfdbinary):
    status, err, out = ended(capfdbinary, "--prompt-cache-all", flag)
    assert (status, err) == (1, b"error: --prompt-cache-all not supported in interactive mode yet\n\n")
    assert out.startswith(b"\nusage: ")
    assert params("--prompt-cache-all", "-cml").prompt_cache_all


# --------------------------------------------------------------------------------------------------- after the scan


@pytest.mark.parametrize("words, path", [
    ("", MODEL), ("-m x", "x"), ("-mu http://h/a/b.gguf?x=1#y", "models/b.gguf"), ("-mu u -m x", "x"),
    ("-hfr r -hff d/f.gguf", "models/f.gguf"), ("-hfr r -hff f -m x", "x"), ("-hfr r -m d/x", "d/x"),
])
def test_model_path(words, path):
    assert params(*words.split()).model == path


def test_repository_without_a_file(capfdbinary):
    assert ended(capfdbinary, "-hfr", "r")[:2] == (1, b"error: --hf-repo requires either --hf-file or --model\n\n")
    assert params("-hfr", "r", "-m", "d/x").hf_file == "d/x"


@pytest.mark.parametrize("text, expected", [
    (rb"a\nb\tc\rd", b"a\nb\tc\rd"), (rb"\'\"\\", b"'\"\\"), (rb"\\n", rb"\n"), (rb"\\\n", b"\\\n"),
    (rb"\\\\x41", rb"\\x41"), (rb"\x41\x4a\x4A\x00", b"AJJ\0"), (rb"\x4", rb"\x4"), (rb"\x4g", rb"\x4g"),
    (rb"\x 1", rb"\x 1"), (rb"\x+1", rb"\x+1"), (rb"\q\0", rb"\q\0"), (b"end\\", b"end\\"),
    (b"\\", b"\\"), (b"", b""), (b"\\\n\xff", b"\\\n\xff"), (rb"\\", b"\\"),
    (rb"\xe4\xff", b"\xe4\xff"),
])
def test_unescape(text, expected):
    assert unescape(text) == expected


def test_escapes_hold_for_all_texts_wherever_the_flag_stands(tmp_path):
    (tmp_path / "text").write_bytes(rb"\tfile" + b"\n")
    words = ["-p", r"\n", "--in-prefix", r"\n", "--in-suffix", r"\n", "--cfg-negative-prompt", r"\n", "-r", r"\n",
             "-r", r"x\x41", "-f", str(tmp_path / "text")]
    for place in (0, len(words)):
        found = params(*words[:place], "-e", *words[place:])
        assert (found.prompt, found.input_prefix, found.input_suffix, found.cfg_negative_prompt) == \
            (b"\n\tfile", b"\n", b"\n", b"\n")
        assert found.antiprompts == [b"\n", b"xA"]
    assert params(*words).prompt == rb"\n\tfile"


def test_prompt_sources(tmp_path, capfdbinary):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1\n\n")
    two.write_bytes(b"\xff\0\r\n")
    assert params("-p", "A", "-f", str(one)).prompt == b"A1\n"
    assert params("-f", str(one), "-p", "B").prompt == b"B"
    assert params("-f", str(one), "-f", str(two)).prompt == b"1\n\xff\0\r"
    assert params("-f", str(one), "-f", os.devnull).prompt == b"1"
    found, err = accepted(capfdbinary, "-p", "A", "-bf", str(two))
    assert found.prompt == b"\xff\0\r\n" and err == b"Read 4 bytes from binary file %b\n" % os.fsencode(two)


def test_grammar_sources(tmp_path):
    (tmp_path / "rule").write_bytes(b'"b"\n')
    assert params("--grammar", 'root ::= "a" ', "--grammar-file", str(tmp_path / "rule")).sampling.grammar == \
        b'root ::= "a" "b"\n'


def test_threads_are_counted_only_when_needed(monkeypatch):
    from llamacy.cli import buildinfo
    monkeypatch.setattr(buildinfo, "default_threads", lambda: 17)
    assert params().n_threads == 17 and params().n_threads_batch == -1
    assert params("-t", "3").n_threads == 3


def test_perplexity_is_refused_before_embedding():
    for words in (("--embedding", "--perplexity"), ("--all-logits", "--embedding")):
        assert params(*words).refuse == "perplexity"


GPU_MISSING = ("warning: not compiled with GPU offload support, {} option will be ignored\n"
               "warning: see main README.md for information on enabling GPU BLAS support\n")
NO_EFFECT = "warning: llama.cpp was compiled without CUDA/SYCL{}. Setting {} has no effect.\n"


@pytest.mark.parametrize("words, warning", [
    ("-ngl 99", GPU_MISSING.format("--n-gpu-layers")), ("--gpu-layers 1", GPU_MISSING.format("--n-gpu-layers")),
    ("-ngld 99", GPU_MISSING.format("--n-gpu-layers-draft")), ("-mg 1", NO_EFFECT.format("", "the main GPU")),
    ("-sm row", NO_EFFECT.format("", "the split mode")), ("-ts 1", NO_EFFECT.format("/Vulkan", "a tensor split")),
    ("-nkvo", ""),
])
def test_gpu_flags_warn(words, warning, capfdbinary):
    assert accepted(capfdbinary, *words.split())[1].decode() == warning


# ---------------------------------------------------------------------------------------- scripts, bytes, start-up

RECIPES = [
    "-m M -c 512 -b 1024 -n 256 --keep 48 --repeat_penalty 1.0 --color -i -r User: -f F",
    "-m M --color -f F --ctx_size 2048 -n -1 -ins -b 256 --top_k 10000 --temp 0.2 --repeat_penalty 1.1 -t 7",
    "--color --instruct --threads 4 --model M --file F --batch_size 8 --ctx_size 2048 -n -1 --repeat_last_n 64 "
    "--repeat_penalty 1.3 --n_predict 128 --temp 0.1 --top_k 40 --top_p 0.95",
    "--ctx_size 2048 --temp 0.7 --top_k 40 --top_p 0.5 --repeat_last_n 256 --batch_size 1024 --repeat_penalty 1.17647 "
    "--model M --threads 8 --n_predict 2048 --color --interactive --file F --reverse-prompt USER: --in-prefix _",
    "--batch_size 1024 --ctx_size 4096 --keep -1 --repeat_last_n 256 --repeat_penalty 1.17647 --temp 0.6 --mirostat 2 "
    "--threads 4 --model M --in-prefix _ --in-suffix Miku: --n_predict 4096 --color --interactive "
    "--reverse-prompt Anon: --prompt text",
    "--color -f F -i --interactive-first --top_k 10000 --temp 0.2 --repeat_penalty 1 -t 7 -c 2048 -r Question: "
    "-r Observation: --in-prefix _ -n -1",
    "--batch_size 64 --model M --ctx_size 2048 --repeat_last_n 256 --prompt-cache C --file F --n_predict 1",
    "--prompt-cache C --prompt-cache-all --file F --reverse-prompt User: --n_predict 9",
    "-m M -f F -n 64 --temp 0 --repeat-penalty 1.0 --no-penalize-nl -r ===",
    "--model M -s 1234 -n 64 --ignore-eos -p text -t 1 -ngl 999",
    "-m M -p text -n 400 -e -ngl 33 -s 0 -mg 0 -sm none",
    "-m M -n 128 -cml", "-m M --ignore-eos -n -1 --random-prompt",
    "-m M --lora A --lora-scaled B 0.4 -n 500 -c 256 -ngl 200000",
    "-m M -cnv -st --no-warmup -if", "-m M -no-cnv --n_parts 1 --low_vram --no-mul-mat-q --memory_f32",
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe[:60])
def test_recipe_is_accepted(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "F").write_bytes(b"the file")
    words = recipe.split()
    found = params(*words)
    assert found.model == ("M" if "M" in words else MODEL) and (found.prompt == b"the file") == ("F" in words)


def test_runs_of_the_reference_are_accepted(shared, tmp_path, monkeypatch):
    import json
    cases = json.loads((shared / "golden" / "main.json").read_text())
    monkeypatch.chdir(tmp_path)
    for case in cases:
        for name, text in case["files"].items():
            (tmp_path / name).write_text(text)
        assert params(*case["args"]).model.startswith("stories")
    assert len(cases) > 100


def python(code, *words):
    """Run code in a bare interpreter, as bin/main does."""
    code = f"import sys; sys.path.insert(0, {str(REPO)!r}); {code}"
    return subprocess.run([sys.executable, "-I", "-S", "-X", "utf8", "-c", code, *words], capture_output=True)


def test_words_are_bytes():
    code = "from llamacy.cli.params import parse; p = parse(['main', *sys.argv[1:]]); " \
           "import os; os.write(1, repr([p.prompt, p.antiprompts, os.fsencode(p.model)]).encode())"
    done = python(code, "-p", b"a\xff\xc3\xa4", "-r", b"\xfe", "-m", b"m\xff")
    assert (done.stdout.decode(), done.stderr) == (repr([b"a\xff\xc3\xa4", [b"\xfe"], b"m\xff"]), b"")
    assert python(code, b"--\xffx").stderr.startswith(b"error: unknown argument: --\xffx\n")
    assert b"'m\\udcff'" in python(code, "-ctk", b"m\xff").stderr


HEAVY = set("re argparse json logging typing enum dataclasses inspect pathlib collections difflib fractions decimal "
            "numpy ctypes subprocess tempfile shutil textwrap platform sysconfig random".split())


def test_parsing_imports_nothing_heavy():
    done = python("from llamacy.cli.params import parse; parse(['main', *sys.argv[1:]]); print(*sys.modules)",
                  "-m", "M", "-p", "x", "-n", "3", "--temp", "0.5", "-s", "1", "-l", "5+1", "-e")
    loaded = set(done.stdout.decode().split())
    assert {"llamacy.cli.params", "llamacy.cli.options"} <= loaded and not loaded & HEAVY
