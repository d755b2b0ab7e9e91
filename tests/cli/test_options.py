"""The table of flags: sound, complete, and each row does what it says. Tests here are made from the table."""

import math
import os

import pytest
from commandline import accepted, ended, field_of, params

from llamacy.cli import actions, options
from llamacy.cli.params import Params
from llamacy.cli.words import by_name
from llamacy.sampling.params import SamplingParams

ROWS = options.rows()
NAMES = [(name, row) for row in ROWS for name in row[0].split()]
CPUS = len(os.sched_getaffinity(0))

# Samples for each kind: (words, what the field becomes); others where the value is checked once all flags are known.
SAMPLES = {"int": (["-12"], -12), "float": (["2.5"], 2.5), "str": (["a b"], "a b"), "bytes": (["ä"], "ä".encode()),
           "on": ([], True), "off": ([], False)}
CHECKED = {"n_batch": (["12"], 12), "grp_attn_n": (["1"], 1), "cache_type_k": (["q8_0"], "q8_0"),
           "cache_type_v": (["q4_0"], "q4_0"), "hf_repo": (["r", "-hff", "f"], "r")}


def sample(row):
    return CHECKED.get(row[3]) or SAMPLES[row[2]]


def names(*kinds):
    """One pytest parameter per spelling of the rows of these kinds."""
    return [pytest.param(name, row, id=name) for name, row in NAMES if row[2] in kinds]


def test_no_spelling_twice():
    assert len(by_name(ROWS)) == len(NAMES) > 190


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].split()[0])
def test_row_is_sound(row):
    spellings, value, kind, field, default, text = row
    assert all(name.startswith("-") and "_" not in name for name in spellings.split())
    assert kind in ("int", "float", "str", "bytes", "on", "off", "choice", "help", "version", "do", "note")
    assert bool(value) == (kind not in ("on", "off", "help", "version")) or kind in ("do", "note")
    assert text and text[-1] != "." and "default" not in text.partition("(default:")[0]
    if kind == "do":
        assert callable(getattr(actions, field))
    elif field:
        assert field_of(Params(), field) == default


def test_defaults_of_the_sampler_are_those_of_the_table():
    own = SamplingParams()
    assert len([row for row in ROWS if row[3].startswith("sampling.")]) >= 17       # compared in test_row_is_sound
    found = {row[3]: row[4] for row in ROWS if row[3] in ("temp", "repeat_last_n", "sampling_seq")}
    assert found == {"temp": own.temp, "repeat_last_n": own.penalty_last_n, "sampling_seq": own.samplers}
    assert (own.seed, own.grammar, own.logit_bias, own.n_prev) == (0xFFFFFFFF, b"", {}, 64)


@pytest.mark.parametrize("name, row", names("int", "float", "str", "bytes", "on", "off"))
def test_flag_sets_its_field_and_no_other(name, row, capfdbinary):
    words, expected = sample(row)
    found, err = accepted(capfdbinary, name, *words)
    assert field_of(found, row[3]) == expected and type(field_of(found, row[3])) is type(expected)
    assert err == b""
    fresh = Params()
    others = {row[3] for row in ROWS if row[3] and row[2] != "do"} - {row[3], "model", "hf_file"}
    assert all(field_of(found, field) == field_of(fresh, field) for field in others)


@pytest.mark.parametrize("name, row", names("choice"))
def test_choice(name, row, capfdbinary):
    for word in row[1].split("|"):
        assert field_of(params(name, word), row[3]) == word
    assert ended(capfdbinary, name, "foo")[:2] == (1, b"error: invalid parameter for argument: %s\n" % name.encode())


# Every flag that does more than set a field: words after it -> fields and their values.
BIAS, ORDER = "sampling.logit_bias", "sampling.samplers"
ACTIONS = {
    "seed": [(["7"], {"seed": 7, "sampling.seed": 7}), (["-1"], {"seed": 0xFFFFFFFF}), (["-5"], {"seed": 4294967291})],
    "threads": [(["3"], {"n_threads": 3}), (["0"], {"n_threads": CPUS})],
    "threads_batch": [(["3"], {"n_threads_batch": 3}), (["-1"], {"n_threads_batch": CPUS})],
    "numa": [([word], {"numa": word or "distribute"}) for word in ("distribute", "isolate", "numactl", "")],
    "override_kv": [(["a.b=int:-5x"], {"overrides": [("a.b", "int", -5)]})],
    "lora": [(["f"], {"loras": [("f", 1.0)], "use_mmap": False})],
    "lora_scaled": [(["f", "0.5"], {"loras": [("f", 0.5)], "use_mmap": False})],
    "control_vector": [(["f"], {"control_vectors": [("f", 1.0)]})],
    "control_vector_scaled": [(["f", "-1"], {"control_vectors": [("f", -1.0)]})],
    "control_vector_layer_range": [(["2", "5"], {"control_vector_layer_start": 2, "control_vector_layer_end": 5})],
    "file": [(["text"], {"prompt": b"one\r\n", "prompt_file": "text"})],
    "binary_file": [(["text"], {"prompt": b"one\r\n\n", "prompt_file": "text"})],
    "cfg_negative_prompt_file": [(["text"], {"cfg_negative_prompt": b"one\r\n"})],
    "reverse_prompt": [(["User:"], {"antiprompts": [b"User:"]}), ([""], {"antiprompts": [b""]})],
    "rope_scale": [(["4"], {"rope_freq_scale": 0.25}), (["0"], {"rope_freq_scale": math.inf})],
    "samplers": [(["temp;nucleus;what;top_k;min-p;tfs;typical"], {ORDER: "tpkmfy"}), ([""], {ORDER: ""}),
                 ([options.SAMPLERS], {ORDER: "kfypmt"})],
    "sampling_seq": [(["kxTt p"], {ORDER: "ktp"})],
    "temp": [(["1.5"], {"sampling.temp": 1.5}), (["-2"], {"sampling.temp": 0.0})],
    "repeat_last_n": [(["256"], {"sampling.penalty_last_n": 256, "sampling.n_prev": 256}),
                      (["-1"], {"sampling.penalty_last_n": -1, "sampling.n_prev": 64})],
    "logit_bias": [(["15+1.5"], {BIAS: {15: 1.5}}), (["15 - 2"], {BIAS: {15: -2.0}}),
                   (["3-inf"], {BIAS: {3: -math.inf}}), ([" +3--1x"], {BIAS: {3: 1.0}}), (["-3+1"], {BIAS: {-3: 1.0}})],
    "grammar": [(['root ::= "a"'], {"sampling.grammar": b'root ::= "a"'})],
    "grammar_file": [(["grammar"], {"sampling.grammar": b'root ::= "b"\n'})],
    "json_schema": [],                                      # below
    "memory_f32": [([], {"cache_type_k": "f32", "cache_type_v": "f32"})],
    "logdir": [(["d"], {"logdir": "d/"}), (["d/"], {"logdir": "d/"}), ([""], {"logdir": "/"})],
    "n_gpu_layers": [(["99"], {"n_gpu_layers": 99})],
    "n_gpu_layers_draft": [(["99"], {"n_gpu_layers_draft": 99})],
    "split_mode": [([word], {"split_mode": word}) for word in ("none", "layer", "row")],
    "main_gpu": [(["1"], {"main_gpu": 1})],
    "tensor_split": [(["3,1/0.5"], {"tensor_split": [3.0, 1.0, 0.5]})],
    "image": [(["f"], {"images": ["f"]})],
    "refuse_perplexity": [([], {"refuse": "perplexity"})],
    "refuse_embedding": [([], {"refuse": "embedding"})],
    "log_file": [(["x"], {"log_file": "x"}), ([""], {"log_file": "unnamed"})],
}


def test_every_action_is_tried():
    assert {row[3] for row in ROWS if row[2] == "do"} == ACTIONS.keys()


@pytest.mark.parametrize("name, words, expected", [
    pytest.param(name, *case, id=f"{name} {' '.join(case[0])}")
    for name, row in NAMES if row[2] == "do" for case in ACTIONS.get(row[3], ())])
def test_action(name, words, expected, tmp_path, monkeypatch):
    (tmp_path / "text").write_bytes(b"one\r\n\n")
    (tmp_path / "grammar").write_bytes(b'root ::= "b"\n')
    monkeypatch.chdir(tmp_path)
    found = params(name, *words)
    assert {field: field_of(found, field) for field in expected} == expected


@pytest.mark.parametrize("name", ["-j", "--json-schema", "--json_schema"])
def test_json_schema_becomes_a_grammar(name):
    grammar = params(name, '{"type": "boolean"}').sampling.grammar
    assert isinstance(grammar, bytes) and b"root ::=" in grammar


@pytest.mark.parametrize("name, row", [
    pytest.param(name, row, id=name) for name, row in NAMES
    if name.startswith("--") and "-" in name[2:] and (row[2] in SAMPLES or name.startswith("--log-"))])
def test_underscores_in_long_flags(name, row, capfdbinary):
    written = "--" + name[2:].replace("-", "_")
    if name.startswith("--log-"):
        message = b"error: unknown argument: %b\ndid you mean %b?\n" % (name.encode(), name.encode())
        assert ended(capfdbinary, written, "x")[:2] == (1, message)
    else:
        words, expected = sample(row)
        assert field_of(params(written, *words), row[3]) == expected


@pytest.mark.parametrize("name, row", [pytest.param(name, row, id=name) for name, row in NAMES if row[1]])
def test_missing_value(name, row, capfdbinary):
    status, err, out = ended(capfdbinary, "-n", "3", name)
    assert (status, err) == (1, b"error: invalid parameter for argument: %b\n" % name.encode())
    assert out.startswith(b"\nusage: ")


@pytest.mark.parametrize("name, row", names("note"))
def test_old_spelling_is_noted(name, row, capfdbinary):
    found, err = accepted(capfdbinary, name, *(["2"] if row[1] else []), "-n", "3")
    assert err == b"note: %b is accepted and has no effect\n" % name.encode() and found.n_predict == 3


def test_memory_f32_is_noted(capfdbinary):
    assert accepted(capfdbinary, "--memory_f32")[1] == b"note: --memory-f32 is an old spelling of -ctk f32 -ctv f32\n"
