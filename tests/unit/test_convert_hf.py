"""convert-hf-to-gguf: every class on a small model, its vocabularies, its flags and refusals."""

import base64
import json
import re

import pytest

np = pytest.importorskip("numpy", reason="llamacy.convert needs numpy")

from llamacy.cli import convert as convert_cli
from llamacy.cli import convert_hf
from llamacy.convert import ranks
from llamacy.convert.hf import ROWS
from llamacy.convert.names import KINDS
from llamacy.gguf import GGUFFile
from tests.unit import convert_files as files
from tests.unit.hf_models import MODELS, USUAL, V, llama, mixtral

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


@pytest.fixture
def t():
    rng = np.random.default_rng(11)
    return lambda shape: rng.standard_normal(shape, np.float32)


def byte_level(n, *before):
    vocab = {text: i for i, text in enumerate([*ranks.byte_letters(), "ab"])}
    return {
        "added_tokens": [
            {"content": "<s>", "id": n - 2, "special": True},
            {"content": "<mine>", "id": n - 1, "special": False},
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*before, BYTES]},
        "decoder": BYTES,
        "model": {"type": "BPE", "vocab": vocab, "merges": ["a b"]},
    }


def save_vocabulary(folder, kind, n):
    if kind == "spm":
        (folder / "tokenizer.model").write_bytes(files.sentencepiece(files.pieces(n - 2)))
        (folder / "added_tokens.json").write_text('{"<new>": 5, "<unk>": 7}')
    elif kind == "qwen":
        tokens = [bytes([byte]) for byte in range(256)] + [b"ab", b"abc"]
        (folder / "qwen.tiktoken").write_bytes(
            b"".join(b"%s %d\n" % (base64.b64encode(token), i) for i, token in enumerate(tokens))
        )
    else:
        values = byte_level(n, *([{"type": "Digits", "individual_digits": True}] if kind == "digits" else []))
        if kind == "wordpiece":
            values["pre_tokenizer"] = {"type": "BertPreTokenizer"}
            values["model"] = {"type": "WordPiece", "vocab": {"[UNK]": 0, "ab": 1, "##ing": 2}}
        if kind == "fast":
            vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, "<0x41>": 3} | {f"▁{i}": i for i in range(4, n - 2)}
            values |= {
                "decoder": {"type": "Sequence"},
                "model": {"type": "BPE", "byte_fallback": True, "vocab": vocab, "merges": []},
            }
        (folder / "tokenizer.json").write_text(json.dumps(values))


def save(folder, config, tensors, kind, dtype="F32"):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    coded = {"F32": lambda a: a, "BF16": files.bf16, "F16": lambda a: a.astype(np.float16)}[dtype]
    files.save_safetensors(
        folder / "model.safetensors", {name: (dtype, coded(array)) for name, array in tensors.items()}
    )
    save_vocabulary(folder, kind, config["vocab_size"])
    return folder


def run(*args):
    return convert_hf.main(["convert-hf-to-gguf.py", *map(str, args)])


def values(gguf, name):
    info = gguf.tensors[name]
    return np.frombuffer(gguf.data(name), "<f2" if info.type == 1 else "<f4").reshape(info.ne[::-1])


@pytest.mark.parametrize("name", MODELS)
def test_architecture(tmp_path, t, name):
    model, arch, vocabulary, stay = MODELS[name]
    config, tensors, expected, keys = model(t)
    folder = save(
        tmp_path / "model", config | {"architectures": [name.split()[0]], "eos_token_id": 2}, tensors, vocabulary
    )
    assert run(folder) == 0
    with GGUFFile(str(folder / "ggml-model-f16.gguf")) as gguf:
        assert gguf["general.architecture"].decode() == arch
        for key, value in keys.items():
            found = gguf.get(key)
            found = found.decode() if isinstance(found, bytes) else found
            assert found == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value), key
        assert gguf["tokenizer.ggml.eos_token_id"] in (2, 107) and gguf["tokenizer.ggml.pre"]
        assert set(gguf.tensors) == set(expected)
        for target, array in expected.items():
            kind = target.removesuffix(".weight").rpartition(".")[2]
            wide = array.ndim < 2 or target.endswith(".bias") or "" in stay or kind in stay
            assert gguf.tensors[target].type == (0 if wide else 1), target
            assert np.array_equal(values(gguf, target), array if wide else array.astype(np.float16)), target


def test_all_classes_are_tested():
    assert {name.split()[0] for name in MODELS} == set(ROWS)
    assert {row[1] for row in MODELS.values()} == set(KINDS)


@pytest.mark.parametrize("dtype, outtype, q, norm", [("F32", "f32", 0, 0), ("F16", "f32", 0, 0), ("F16", "f16", 1, 0),
                                                     ("BF16", "f32", 0, 0), ("BF16", "f16", 1, 0)])
def test_types(tmp_path, t, dtype, outtype, q, norm):
    config, tensors, expected, _ = llama(t)
    folder = save(tmp_path / "model", config | {"architectures": ["LlamaForCausalLM"]}, tensors, "spm", dtype)
    assert run(folder, "--outtype", outtype) == 0
    with GGUFFile(str(folder / f"ggml-model-{outtype}.gguf")) as gguf:
        assert gguf["general.file_type"] == (1 if outtype == "f16" else 0)
        assert (gguf.tensors["blk.0.attn_q.weight"].type, gguf.tensors["blk.0.attn_norm.weight"].type) == (q, norm)
        assert np.allclose(values(gguf, "blk.1.attn_k.weight"), expected["blk.1.attn_k.weight"], rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("name", ["GPT2LMHeadModel", "Qwen2ForCausalLM", "PersimmonForCausalLM"])
def test_convert_knows_the_class_by_itself(tmp_path, t, name):
    """convert.py --outtype q8_0: rows that have no whole blocks stay f16, what is f32 for its class stays."""
    model, arch, vocabulary, _ = MODELS[name]
    config, tensors, expected, _ = model(t)
    folder = save(tmp_path / "model", config | {"architectures": [name]}, tensors, vocabulary)
    assert convert_cli.main(["convert.py", str(folder), "--outtype", "q8_0"]) == 0
    with GGUFFile(str(folder / "ggml-model-q8_0.gguf")) as gguf:
        assert gguf["general.architecture"].decode() == arch and set(gguf.tensors) == set(expected)
        types = {info.type for info in gguf.tensors.values()}
        assert types == ({0} if arch == "persimmon" else {0, 8})
    assert convert_cli.main(["convert.py", str(folder), "--no-vocab"]) == 0
    with GGUFFile(str(folder / "ggml-model-f32.gguf")) as gguf:
        assert gguf["tokenizer.ggml.model"] == b"no_vocab" and {info.type for info in gguf.tensors.values()} == {0}


# --- vocabularies

def vocabulary_of(folder, *args):
    assert run(folder, "--vocab-only", "--outfile", folder / "v.gguf", *args) == 0
    with GGUFFile(str(folder / "v.gguf")) as gguf:
        keys = gguf.keys()
        kinds = gguf["tokenizer.ggml.token_type"]
        scores = gguf["tokenizer.ggml.scores"] if "tokenizer.ggml.scores" in keys else None
        return {
            "keys": keys,
            "texts": gguf["tokenizer.ggml.tokens"],
            "types": kinds,
            "scores": scores,
            "gguf": {key: gguf[key] for key in keys},
        }


def save_config(folder, name, kind, **more):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(USUAL | {"architectures": [name]} | more))
    save_vocabulary(folder, kind, V)
    return folder


def test_gpt2_vocabulary(tmp_path):
    found = vocabulary_of(save_config(tmp_path / "m", "Qwen2ForCausalLM", "gpt2"))
    assert found["texts"][256:259] == [b"ab", b"[PAD257]", b"[PAD258]"] and found["texts"][-2:] == [b"<s>", b"<mine>"]
    assert found["types"][256:259] == [1, 4, 4] and found["types"][-2:] == [3, 4] and found["scores"] is None
    place = found["keys"].index("tokenizer.ggml.model")
    assert found["keys"][place : place + 5] == [
        f"tokenizer.ggml.{key}" for key in ("model", "pre", "tokens", "token_type", "merges")
    ]


def test_sentencepiece_vocabulary(tmp_path):
    found = vocabulary_of(save_config(tmp_path / "m", "OrionForCausalLM", "spm"))
    assert (
        found["texts"][-2:] == [b"<new>", b"[PAD1]"]
        and found["types"][-2:] == [4, 5]
        and found["scores"][-2:] == [-1000, -1000]
    )
    assert found["gguf"]["tokenizer.ggml.pre"] == b"default" and len(found["texts"]) == V


def test_phi3_vocabulary(tmp_path):
    folder = save_config(tmp_path / "m", "Phi3ForCausalLM", "spm")
    (folder / "added_tokens.json").write_text(json.dumps({"<|end|>": V - 1, "</s>": 2, "far": V + 5}))
    found = vocabulary_of(folder)
    assert (
        found["texts"][-2:] == [b"[PAD%d]" % (V - 2), b"<|end|>"]
        and found["types"][-2:] == [2, 4]
        and found["scores"][-2:] == [-10000, -1000]
    )
    assert (found["texts"][2], found["types"][2]) == (b"</s>", 4)


def test_bert_vocabulary(tmp_path):
    found = vocabulary_of(save_config(tmp_path / "m", "BertModel", "wordpiece"))
    assert found["texts"][:3] == [b"[UNK]", "▁ab".encode(), b"ing"] and "tokenizer.ggml.merges" not in found["keys"]
    assert found["gguf"]["tokenizer.ggml.token_type_count"] == 2


def test_xverse_vocabulary(tmp_path):
    found = vocabulary_of(save_config(tmp_path / "m", "XverseForCausalLM", "fast"))
    assert found["types"][:5] == [1, 3, 1, 6, 1]
    assert found["scores"] is None and found["gguf"]["tokenizer.ggml.model"] == b"llama"


def test_qwen_vocabulary(tmp_path):
    found = vocabulary_of(
        save_config(tmp_path / "m", "QWenLMHeadModel", "qwen", rotary_emb_base=1e4, layer_norm_epsilon=1e-6)
    )
    assert (
        found["texts"][256:261] == [b"ab", b"abc", b"<|endoftext|>", b"<|im_start|>", b"<|im_end|>"]
        and len(found["texts"]) == V
    )
    assert (
        found["gguf"]["tokenizer.ggml.merges"] == [b"a b", b"ab c"]
        and found["gguf"]["tokenizer.ggml.unknown_token_id"] == 258
    )


def test_internlm_vocabulary(tmp_path):
    folder = save_config(tmp_path / "my-chat-model", "InternLM2ForCausalLM", "spm", eos_token_id=2)
    (folder / "tokenizer.model").write_bytes(files.sentencepiece([("\0", 0.0, 1), *files.pieces(V - 3)]))
    (folder / "added_tokens.json").write_text('{"<|im_end|>": 1}')
    found = vocabulary_of(folder)
    assert found["texts"][0] == "🐉".encode()
    assert found["gguf"]["tokenizer.ggml.eos_token_id"] == found["texts"].index(b"<|im_end|>")
    assert found["gguf"]["tokenizer.ggml.add_space_prefix"] is True


def test_code_llama_has_tokens_that_no_file_names(tmp_path):
    folder = save_config(tmp_path / "m", "LlamaForCausalLM", "spm", vocab_size=32016)
    found = vocabulary_of(folder)["gguf"]
    assert [found[f"tokenizer.ggml.{kind}_token_id"] for kind in ("prefix", "suffix", "middle", "eot")] == [
        32007,
        32008,
        32009,
        32010,
    ]


@pytest.mark.parametrize(
    "more, pooling", [({"pooling_mode_mean_tokens": True}, 1), ({"pooling_mode_cls_token": True}, 2)]
)
def test_pooling(tmp_path, more, pooling):
    folder = save_config(tmp_path / "m", "BertModel", "wordpiece")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps(more))
    (folder / "modules.json").write_text(
        json.dumps([{"type": "x", "path": ""}, {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}])
    )
    assert vocabulary_of(folder)["gguf"]["bert.pooling_type"] == pooling


# --- refusals


@pytest.mark.parametrize(
    "change, reason",
    [
        (
            lambda folder, config: config.update(architectures=["FooForCausalLM"]),
            "Architecture 'FooForCausalLM' not supported",
        ),
        (lambda folder, config: config.update(architectures=None), "Architecture 'None' not supported"),
        (lambda folder, config: config.pop("num_hidden_layers"), "n_layers or num_hidden_layers or n_layer: missing"),
        (lambda folder, config: config.update(vocab_size=100), "tokens, but the model has 100"),
        (lambda folder, config: (folder / "tokenizer.model").unlink(), "no vocabulary"),
        (lambda folder, config: config.update(rope_scaling={"type": "foo"}), "expected linear or yarn"),
    ],
)
def test_refusals(tmp_path, t, capsys, change, reason):
    config, tensors, _, _ = llama(t)
    config |= {"architectures": ["LlamaForCausalLM"]}
    folder = save(tmp_path / "model", config, tensors, "spm")
    change(folder, config)
    (folder / "config.json").write_text(json.dumps(config))
    assert run(folder) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("convert-hf-to-gguf.py: error: ") and re.search(reason, line)
    assert not list(tmp_path.rglob("*.gguf"))


def test_experts_that_are_not_all_there(tmp_path, t, capsys):
    config, tensors, _, _ = mixtral(t)
    del tensors["model.layers.1.block_sparse_moe.experts.2.w3.weight"]
    folder = save(tmp_path / "model", config | {"architectures": ["MixtralForCausalLM"]}, tensors, "spm")
    assert run(folder) == 1 and "Unprocessed experts: model.layers.1." in capsys.readouterr().err.splitlines()[-1]


def test_unknown_tensors(tmp_path, t, capsys):
    config, tensors, _, _ = llama(t)
    folder = save(
        tmp_path / "model",
        config | {"architectures": ["LlamaForCausalLM"]},
        tensors | {"vision.weight": t((2, 2))},
        "spm",
    )
    assert run(folder) == 1 and "Can not map tensor 'vision.weight'" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "args, reason", [(["nowhere"], "nowhere is not a directory"), ([".", "--awq-path", "x"], "AWQ")]
)
def test_flags_that_are_refused(tmp_path, monkeypatch, capsys, args, reason):
    monkeypatch.chdir(tmp_path)
    assert run(*args) == 1 and reason in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        run(".", "--outtype", "q8_0")
    assert end.value.code == 2


def test_big_endian(tmp_path, t):
    config, tensors, expected, _ = llama(t)
    folder = save(tmp_path / "model", config | {"architectures": ["LlamaForCausalLM"]}, tensors, "spm")
    assert (
        run(folder, "--bigendian", "--verify", "--use-temp-file", "--model-name", "x", "--outfile", tmp_path / "x.gguf")
        == 0
    )
    with GGUFFile(str(tmp_path / "x.gguf")) as gguf:
        assert gguf.byteorder == "big"
        assert np.array_equal(values(gguf, "blk.0.attn_q.weight"), expected["blk.0.attn_q.weight"].astype(np.float16))


def test_shapes_that_do_not_divide_into_heads(tmp_path, t, capsys):
    config, tensors, _, _ = MODELS["FalconForCausalLM"][0](t)
    folder = save(tmp_path / "model", config | {"architectures": ["FalconForCausalLM"]}, tensors, "gpt2")
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["FalconForCausalLM"], "num_kv_heads": 3}))
    assert run(folder) == 1 and "does not fit" in capsys.readouterr().err.splitlines()[-1]


def test_texts_without_utf8(tmp_path, capsys):
    folder = save_config(tmp_path / "m", "Qwen2ForCausalLM", "gpt2")
    values = byte_level(V)
    values["model"]["merges"] = ["a b", "\ud800 b"]
    (folder / "tokenizer.json").write_text(json.dumps(values))
    assert run(folder, "--vocab-only") == 1
    assert "tokenizer.ggml.merges" in capsys.readouterr().err.splitlines()[-1] and not list(folder.glob("*.gguf"))
