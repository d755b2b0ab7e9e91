"""Architecture llama against the formulas: experts, biases, tied output, rope scaling, LoRA, and files that do not fit."""

from array import array
from struct import pack

import numpy as np
import pytest

from llamacy.engine import Context, Model
from llamacy.errors import LlamacyError, ModelError
from tests.unit.numpy_llama import SIZES, logits, random_weights, write_model

TOKENS = [1, 5, 77, 299, 260, 3, 150, 42]
BOUND = 5e-3  # exp and SiLU are rounded through F16, the formulas are not


def engine_logits(path, **kwargs):
    context = Context(Model(path), type_k="f32", type_v="f32", **kwargs)
    context.decode(TOKENS, 0)
    return np.array(context.logits)


def assert_near(found, expected):
    assert np.abs(found - expected).max() <= BOUND * np.abs(expected).max()


def test_dense(tmp_path):
    w = random_weights(SIZES)
    assert_near(engine_logits(write_model(tmp_path / "m", SIZES, w)), logits(SIZES, w, TOKENS)[-1])


def test_biases(tmp_path):
    w = random_weights(SIZES, bias=True)
    assert_near(engine_logits(write_model(tmp_path / "m", SIZES, w)), logits(SIZES, w, TOKENS)[-1])


def test_experts(tmp_path):
    sizes = {**SIZES, "n_expert": 8, "n_used": 2}
    w = random_weights(sizes)
    assert_near(engine_logits(write_model(tmp_path / "m", sizes, w)), logits(sizes, w, TOKENS)[-1])


@pytest.mark.parametrize("threads, n_ubatch", [(1, 1), (2, 3), (3, 512)])
def test_experts_do_not_depend_on_threads_or_batches(tmp_path, threads, n_ubatch):
    sizes = {**SIZES, "n_expert": 8, "n_used": 2}
    path = write_model(tmp_path / "m", sizes, random_weights(sizes))
    assert (engine_logits(path, n_threads=threads, n_ubatch=n_ubatch) == engine_logits(path)).all()


def test_experts_in_separate_tensors(tmp_path):
    sizes = {**SIZES, "n_expert": 4, "n_used": 2}
    w = random_weights(sizes)
    merged = engine_logits(write_model(tmp_path / "merged", sizes, w))
    apart = {}
    for name, data in w.items():
        if "_exps" in name:
            apart.update({name.replace("_exps", f".{x}"): data[x] for x in range(len(data))})
        else:
            apart[name] = data
    assert (engine_logits(write_model(tmp_path / "apart", sizes, apart)) == merged).all()


def test_output_may_be_the_embedding(tmp_path):
    w = random_weights(SIZES)
    del w["output.weight"]
    found = engine_logits(write_model(tmp_path / "m", SIZES, w))
    assert_near(found, logits(SIZES, {**w, "output.weight": w["token_embd.weight"]}, TOKENS)[-1])


def test_rope_factors(tmp_path):
    factors = np.linspace(1, 8, SIZES["n_embd"] // SIZES["n_head"] // 2).astype(np.float32)
    w = random_weights(SIZES)
    found = engine_logits(write_model(tmp_path / "m", SIZES, {**w, "rope_freqs.weight": factors}))
    assert_near(found, logits(SIZES, w, TOKENS, factors=factors)[-1])


def test_linear_scaling(tmp_path):
    w = random_weights(SIZES)
    path = write_model(tmp_path / "m", SIZES, w, [("llama.rope.scaling.factor", "f32", 4.0)])
    expected = logits(SIZES, w, TOKENS, angles=lambda theta: (theta / 4, 1.0))[-1]
    assert_near(engine_logits(path), expected)
    assert_near(engine_logits(write_model(tmp_path / "n", SIZES, w), rope_freq_scale=0.25), expected)


def test_no_scaling_wins_over_the_file(tmp_path):
    w = random_weights(SIZES)
    path = write_model(tmp_path / "m", SIZES, w, [("llama.rope.scaling.factor", "f32", 4.0)])
    assert_near(engine_logits(path, rope_scaling="none"), logits(SIZES, w, TOKENS)[-1])


def test_yarn(tmp_path):
    """Angles are blended between their own and a quarter of it along a ramp; magnitudes grow with the scale."""
    w, d, original = random_weights(SIZES), SIZES["n_embd"] // SIZES["n_head"], 64

    def corrected(rotations):
        return d * np.log(original / (rotations * 2 * np.pi)) / (2 * np.log(10000.0))

    low, high = max(0, np.floor(corrected(32))), min(d - 1, np.ceil(corrected(1)))
    mix = 1 - np.clip((np.arange(d // 2) - low) / max(0.001, high - low), 0, 1)
    expected = logits(SIZES, w, TOKENS, angles=lambda t: (t / 4 * (1 - mix) + t * mix, 1 + 0.1 * np.log(4)))[-1]
    found = engine_logits(write_model(tmp_path / "m", SIZES, w), rope_scaling="yarn", rope_freq_scale=0.25, yarn_orig_ctx=original)
    assert_near(found, expected)


def write_lora(path, r, alpha, parts, magic=0x67676C61):
    blob = bytearray(pack("<IIii", magic, 1, r, alpha))
    for name, data in parts.items():
        raw = name.encode()
        blob += pack("<iii", 2, len(raw), 0) + pack("<2i", *reversed(data.shape)) + raw
        blob += bytes(-len(blob) % 32) + data.astype(np.float32).tobytes()
    path.write_bytes(blob)
    return path


def test_lora(tmp_path):
    rng, w = np.random.default_rng(3), random_weights(SIZES)
    name = "blk.1.ffn_down.weight"
    a, b = rng.standard_normal((96, 4)) / 10, rng.standard_normal((64, 4)) / 10
    lora = write_lora(tmp_path / "lora", 4, 8, {name + ".loraA": a, name + ".loraB": b})
    model = Model(write_model(tmp_path / "m", SIZES, w), use_mmap=False)
    context = Context(model, type_k="f32", type_v="f32")
    model.apply_lora(lora, 0.5)
    context.decode(TOKENS, 0)
    changed = {**w, name: w[name] + 0.5 * 8 / 4 * b @ a.T}
    assert_near(np.array(context.logits), logits(SIZES, changed, TOKENS)[-1])


@pytest.mark.parametrize("damage, message", [
    (dict(magic=1), "bad file magic"), (dict(name="blk.0.attn_q.weight.other"), "is not a lora tensor"),
    (dict(shape=(63, 4)), "incompatible tensor dimensions"), (dict(cut=40), "the file"), (dict(r=0), "rank"),
])
def test_lora_files_that_do_not_fit(tmp_path, damage, message):
    name = damage.get("name", "blk.0.attn_q.weight.loraA")
    parts = {name: np.zeros(damage.get("shape", (64, 4))), "blk.0.attn_q.weight.loraB": np.zeros((64, 4))}
    lora = write_lora(tmp_path / "lora", damage.get("r", 4), 4, parts, damage.get("magic", 0x67676C61))
    if "cut" in damage:
        lora.write_bytes(lora.read_bytes()[:damage["cut"]])
    model = Model(write_model(tmp_path / "m", SIZES, random_weights(SIZES)), use_mmap=False)
    with pytest.raises(LlamacyError, match=message):
        model.apply_lora(lora)


def test_a_missing_tensor_is_named(tmp_path):
    w = random_weights(SIZES)
    del w["blk.1.ffn_norm.weight"]
    with pytest.raises(ModelError, match="'blk.1.ffn_norm.weight' not found"):
        Model(write_model(tmp_path / "m", SIZES, w))


def test_an_unknown_tensor_is_named(tmp_path):
    w = {**random_weights(SIZES), "blk.0.surprise.weight": np.zeros((2, 32), np.float32)}
    with pytest.raises(ModelError, match="blk.0.surprise.weight"):
        Model(write_model(tmp_path / "m", SIZES, w))


def test_a_wrong_shape_is_named(tmp_path):
    w = random_weights(SIZES)
    w["output.weight"] = w["output.weight"][:, :32]
    with pytest.raises(ModelError, match="'output.weight' has wrong shape"):
        Model(write_model(tmp_path / "m", SIZES, w))


@pytest.mark.parametrize("key, kind, value", [
    ("llama.rope.dimension_count", "u32", 7), ("llama.rope.dimension_count", "u32", 1 << 30),
    ("llama.rope.scaling.type", "str", "other"), ("llama.rope.freq_base", "str", "x"),
    ("llama.vocab_size", "u32", 299), ("llama.attention.key_length", "u32", 0),
    ("general.name", "arr:u32", [1]), ("llama.expert_count", "u32", 70000),
])
def test_odd_metadata_never_crashes(tmp_path, key, kind, value):
    """An error in one line, or a model that runs."""
    extra = [(key, kind, value)] if key != "llama.expert_count" else []
    sizes = SIZES if extra else {**SIZES, "n_expert": 70000, "n_used": 2}
    path = write_model(tmp_path / "m", sizes, random_weights(SIZES), extra)
    try:
        engine_logits(path)
    except LlamacyError as error:
        assert "\n" not in str(error)


def test_control_vector_of_another_width_is_refused(tmp_path):
    context = Context(Model(write_model(tmp_path / "m", SIZES, random_weights(SIZES))))
    with pytest.raises(LlamacyError, match="n_embd"):
        context.set_control_vector({1: array("f", [1.0] * 63)})
