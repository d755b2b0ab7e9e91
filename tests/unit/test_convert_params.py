"""The numbers of a model: from config.json, from params.json, from shapes; what is missing or wrong is named."""

import json

import pytest

np = pytest.importorskip("numpy", reason="llamacy.convert needs numpy")

from llamacy.convert import llama, params
from llamacy.convert.checkpoint import Checkpoint
from llamacy.convert.errors import ConvertError
from llamacy.convert.tensor import Tensor
from tests.unit.convert_files import LLAMA

META = {"dim": 128, "n_layers": 2, "n_heads": 4, "norm_eps": 1e-5}
SHAPES = {"tok_embeddings.weight": (300, 128), "layers.0.feed_forward.w1.weight": (352, 128),
          "layers.0.feed_forward.experts.0.w1.weight": (64, 128)}


def read(tmp_path, config=None, meta=None, shapes=SHAPES, **options):
    for name, values in (("config.json", config), ("params.json", meta)):
        if values is not None:
            (tmp_path / name).write_text(json.dumps(values))
    tensors = {name: Tensor("F32", [np.zeros(shape, "<f4")]) for name, shape in shapes.items()}
    return params.read(Checkpoint([], "safetensors" if shapes else "none", tensors, str(tmp_path)), **options)


def without(values, *names):
    return {name: value for name, value in values.items() if name not in names}


def test_config(tmp_path):
    found = read(tmp_path, LLAMA | {"rope_theta": 500000, "num_local_experts": 8, "num_experts_per_tok": 2})
    assert found.text("x") == (
        "n_vocab=300, n_embd=32, n_layer=2, n_ctx=64, n_ff=48, n_head=4, n_head_kv=2, n_experts=8, "
        "n_experts_used=2, f_norm_eps=1e-05, "
        "rope_scaling_type=None, f_rope_freq_base=500000.0, f_rope_scale=None, n_orig_ctx=None, "
        "rope_finetuned=None, ftype=None, "
        "path_model=PosixPath('x')"
    )


@pytest.mark.parametrize(
    "name",
    [
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "max_position_embeddings",
        "intermediate_size",
        "num_attention_heads",
        "rms_norm_eps",
    ],
)
def test_what_config_must_say(tmp_path, name):
    with pytest.raises(ConvertError, match=f"config.json: .*{name}: missing"):
        read(tmp_path, without(LLAMA, name))


@pytest.mark.parametrize(
    "values",
    [
        {"hidden_size": "32"},
        {"hidden_size": 0},
        {"num_hidden_layers": 1 << 40},
        {"rms_norm_eps": True},
        {"num_attention_heads": 2.5},
        {"rope_scaling": 2},
        {"hidden_size": [1] * 10000},
    ],
)
def test_wrong_numbers_are_named(tmp_path, values):
    with pytest.raises(ConvertError, match=next(iter(values))) as caught:
        read(tmp_path, LLAMA | values)
    assert len(str(caught.value)) < 600


def test_heads_of_keys_are_as_many_as_heads_if_nothing_is_said(tmp_path):
    assert read(tmp_path, LLAMA | {"num_key_value_heads": None}).n_head_kv == 4


SCALINGS = [
    ({"type": "linear", "factor": 2}, ("linear", 2.0, None, None)),
    (
        {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128, "finetuned": False},
        ("yarn", 4.0, 128, False),
    ),
    ({"rope_type": "linear", "factor": 2.5}, ("linear", 2.5, None, None)),
    ({"type": None, "factor": 2.5}, (None, None, None, None)),
    ({}, (None, None, None, None)),
    (None, (None, None, None, None)),
    ({"rope_type": "default"}, (None, None, None, None)),
]


@pytest.mark.parametrize("scaling, expected", SCALINGS)
def test_scaling_of_angles(tmp_path, scaling, expected):
    found = read(tmp_path, LLAMA | {"rope_scaling": scaling})
    assert (found.rope_scaling_type, found.f_rope_scale, found.n_orig_ctx, found.rope_finetuned) == expected


def test_the_newer_name_of_scaling_is_not_the_references(tmp_path):
    scaling = {"rope_scaling": {"rope_type": "anything", "factor": 2.5}}
    assert read(tmp_path, LLAMA | scaling, compat=True).rope_scaling_type is None
    with pytest.raises(ConvertError, match="anything"):
        read(tmp_path, LLAMA | scaling)


@pytest.mark.parametrize(
    "scaling, reason",
    [
        ({"type": "dynamic", "factor": 2.0}, "dynamic"),
        ({"type": "linear"}, "factor"),
        ({"type": "yarn", "factor": 2.0, "finetuned": True}, "original_max_position"),
        ({"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 8, "finetuned": 1}, "finetuned"),
    ],
)
def test_scaling_that_cannot_be_written(tmp_path, scaling, reason):
    with pytest.raises(ConvertError, match=reason):
        read(tmp_path, LLAMA | {"rope_scaling": scaling})


def test_parameters_in_one_object_as_newer_files_have_them(tmp_path):
    found = read(tmp_path, LLAMA | {"rope_parameters": {"rope_theta": 7.0, "rope_type": "linear", "factor": 3.0}})
    assert (found.f_rope_freq_base, found.rope_scaling_type, found.f_rope_scale) == (7.0, "linear", 3.0)


def test_llama_3_1_stretches_slow_angles(tmp_path):
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    found = read(tmp_path, LLAMA | {"hidden_size": 512, "rope_theta": 500000.0, "rope_scaling": scaling})
    factors = llama.stretched(found.rope_llama3, 128, 500000.0).array()
    inverse = 500000.0 ** -(np.arange(0, 128, 2) / 128)
    length = 2 * np.pi / inverse
    smooth = (8192 / length - 1) / 3
    expected = np.where(length > 8192, 8, np.where(length < 2048, 1, 1 / ((1 - smooth) / 8 + smooth)))
    assert factors.shape == (64,) and np.allclose(factors, expected, rtol=1e-6)
    assert factors[0] == 1 and factors[-1] == 8 and 1 < np.median(factors) < 8


@pytest.mark.parametrize(
    "more, llama3, context, base",
    [
        ({}, False, 4096, None),
        ({"norm_eps": 1e-6}, False, 2048, None),
        ({"rope_theta": 1000000}, False, 16384, 1e6),
        ({"rope_theta": 500000.0}, False, 4096, 5e5),
        ({"rope_theta": 500000.0}, True, 8192, 5e5),
        ({"moe": {"num_experts": 1, "num_experts_per_tok": 1}}, False, 32768, 1e6),
        ({"use_scaled_rope": True}, True, 131072, None),
    ],
)
def test_meta(tmp_path, more, llama3, context, base):
    found = read(tmp_path, meta=META | {"vocab_size": -1} | more, llama3=llama3)
    assert (found.n_vocab, found.n_ctx, found.f_rope_freq_base, found.n_head_kv) == (300, context, base, 4)
    assert found.n_ff == (64 if "moe" in more else 352)
    assert (found.rope_llama3 is not None) == ("use_scaled_rope" in more)


def test_meta_without_tensors(tmp_path):
    with pytest.raises(ConvertError, match="tok_embeddings.weight is needed"):
        read(tmp_path, meta=META, shapes={"other": (1,)})


def test_guesses(tmp_path):
    shapes = {"model.embed_tokens.weight": (1000, 4096)} | {
        f"model.layers.{i}.self_attn.q_proj.weight": (1, 1) for i in range(3)
    }
    found = read(tmp_path, shapes=shapes)
    assert (found.n_vocab, found.n_embd, found.n_layer, found.n_head, found.n_head_kv, found.n_ff) == (
        1000,
        4096,
        3,
        32,
        32,
        11008,
    )
    assert found.n_ctx == params.UNKNOWN and read(tmp_path, shapes=shapes, ctx=77).n_ctx == 77


@pytest.mark.parametrize("shapes, reason", [({}, "no config.json and no params.json"), ({"x": (1, 1)}, "no embedding"),
                                            ({"tok_embeddings.weight": (4, 4)}, "no layers")])
def test_nothing_to_guess_from(tmp_path, shapes, reason):
    with pytest.raises(ConvertError, match=reason):
        read(tmp_path, shapes=shapes)


@pytest.mark.parametrize(
    "folder, name", [("Meta-Llama-3-8B-hf/", "."), (".", "."), ("nm/sub/mod", "sub"), ("/a/b", "a"), ("/b", "")]
)
def test_the_references_name_of_a_model(folder, name):
    assert llama.name_of(folder) == name
