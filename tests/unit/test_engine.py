"""The engine: logits against the reference's, and against themselves under every circumstance that must not matter."""

from array import array

import numpy as np
import pytest

from llamacy.engine import Context, Model
from llamacy.errors import ContextFull, LlamacyError
from tests.bench import random_model

TOKENS = [1, 403, 407, 261, 378, 432, 383, 286, 261, 400, 261, 309, 268, 410, 35, 420, 316, 263, 411, 300, 299, 265, 260]
BOUND = {  # largest difference, by model
    "stories260K-f32": 2e-3, "stories260K-f16": 2e-3, "stories260K-pad-q8_0": 2e-2, "stories260K-pad-q4_0": 2e-2}


def logits_of(model, tokens, **kwargs):
    context = Context(model, **kwargs)
    context.decode(tokens, 0)
    return np.array(context.logits)


@pytest.fixture(scope="module")
def model(random_256):
    return Model(random_256)


@pytest.mark.parametrize("name", BOUND)
def test_logits_of_the_reference(shared, name):
    golden = np.load(shared / "golden" / "logits.npz")
    found = wanted_logits(Model(shared / "data" / "models" / f"{name}.gguf"), golden["ids"], golden["positions"])
    assert np.abs(found - golden[name]).max() <= BOUND[name]
    assert (found.argmax(1) == golden[name].argmax(1)).all()


def wanted_logits(model, ids, positions):
    """Logits of some positions of one batch, as rows."""
    n = len(ids)
    context = Context(model, n_outputs=n)
    want = bytearray(n)
    for p in positions:
        want[p] = 1
    context._run.decode([int(i) for i in ids], range(n), [0] * n, want)
    return np.stack([np.array(context._run.logits(i)) for i in range(len(positions))])


@pytest.mark.parametrize("threads", (1, 2, 3))
@pytest.mark.parametrize("n_ubatch", (1, 2, 3, 7, 512))
def test_logits_do_not_depend_on_threads_or_batches(model, threads, n_ubatch):
    expected = logits_of(model, TOKENS, n_threads=1)
    assert (logits_of(model, TOKENS, n_threads=threads, n_ubatch=n_ubatch) == expected).all()


@pytest.fixture(scope="module", params=("q4_0", "q3_K", "q4_K", "iq2_xs", "f16"))
def wide_model(request, tmp_path_factory):
    """Rows long enough for the kernels of large models."""
    path = tmp_path_factory.mktemp("wide") / "wide.gguf"
    random_model.write(path, request.param, "wide")
    return Model(path)


@pytest.mark.parametrize("threads", (1, 2, 3))
def test_logits_of_long_rows_do_not_depend_on_threads_or_batches(wide_model, threads):
    tokens = [(7 * i + 300) % 512 for i in range(70)]
    expected = logits_of(wide_model, tokens, n_threads=1)
    assert np.isfinite(expected).all() and np.ptp(expected) > 0
    for n_ubatch in (1, 2, 3, 7, 8, 33, 512):
        assert (logits_of(wide_model, tokens, n_threads=threads, n_ubatch=n_ubatch) == expected).all(), n_ubatch


def test_logits_do_not_depend_on_threads_that_lose_their_core(model):
    """More threads than cores: some are put aside in the middle of their work, and others do it again."""
    alone, crowd = Context(model), [Context(model, n_threads=n) for n in (3, 7)]
    for step, n in enumerate((1, 1, 1, 2, 1, 5, 1, 1, 3, 1) * 12):
        tokens, pos = [(7 * step + i) % 500 for i in range(n)], alone.kv_max_pos() + 1
        alone.decode(tokens, pos)
        for context in crowd:
            context.decode(tokens, pos)
            assert (np.array(context.logits) == np.array(alone.logits)).all(), step


@pytest.mark.parametrize("cut", (1, 5, len(TOKENS) - 1))
def test_logits_do_not_depend_on_what_was_cached(model, cut):
    context = Context(model)
    context.decode(TOKENS, 0)
    expected = np.array(context.logits)
    context.kv_remove(0, cut)
    context.decode(TOKENS[cut:], cut)
    assert (np.array(context.logits) == expected).all()


def test_logits_do_not_depend_on_other_sequences(model):
    expected = logits_of(model, TOKENS)
    context = Context(model)
    for i, token in enumerate(TOKENS):  # the other's cells lie between ours
        context.decode([token], i)
        context.decode([token + 1, token + 2], 2 * i, seq=1)
    context.kv_remove(0, len(TOKENS) - 1)
    context.decode(TOKENS[-1:], len(TOKENS) - 1)
    assert (np.array(context.logits) == expected).all()


@pytest.mark.parametrize("types", [("f32", "f32"), ("f16", "f16"), ("q8_0", "f16"), ("q8_0", "q8_0"), ("q4_0", "q4_0"),
                                   ("q4_1", "q4_1"), ("q5_0", "q5_0"), ("q5_1", "q5_1"), ("iq4_nl", "iq4_nl")], ids="-".join)
@pytest.mark.parametrize("flash", (False, True))
def test_cache_types_stay_near_f32(model, types, flash):
    expected = logits_of(model, TOKENS, type_k="f32", type_v="f32")
    found = logits_of(model, TOKENS, type_k=types[0], type_v=types[1], flash_attn=flash)
    bound = {"f32": 1e-6, "f16": 0.01, "q8_0": 0.05}.get(types[1], 0.5)
    assert np.abs(found - expected).max() <= bound * np.abs(expected).max()


@pytest.mark.parametrize("type", ("f32", "f16", "q8_0", "q4_0"))
def test_shifted_keys_are_those_of_the_new_positions(model, type):
    """Attention sees distances only: shifting every position leaves the logits where they were, but for rounding of
    angles and of K."""
    context = Context(model, type_k=type)
    context.decode(TOKENS, 0)
    expected = np.array(context.logits)
    context.kv_remove(0, len(TOKENS) - 1)
    context.kv_shift(0, 0, -1, 40)
    context.decode(TOKENS[-1:], len(TOKENS) - 1 + 40)
    bound = {"f32": 1e-4, "f16": 5e-3, "q8_0": 5e-2, "q4_0": 0.5}[type]
    assert np.abs(np.array(context.logits) - expected).max() <= bound * np.abs(expected).max()


def test_a_full_context_changes_nothing(model):
    context = Context(model, n_ctx=256)
    context.decode([5] * 250, 0)
    used, logits = context.kv_used, np.array(context.logits)
    with pytest.raises(ContextFull):
        context.decode([5] * 7, 250)
    assert context.kv_used == used and (np.array(context.logits) == logits).all()
    context.decode([5] * 6, 250)


def test_cells_need_not_be_neighbours(model):
    """After a context shift free cells are scattered; long inputs must still find room."""
    context = Context(model, n_ctx=256)
    context.decode([5] * 256, 0)
    for p in range(0, 256, 2):
        context.kv_remove(0, p, p + 1)
    context.decode([6] * 128, 256)
    assert context.kv_used == 256


@pytest.mark.parametrize("tokens, pos", [([], 0), ([-1], 0), ([1 << 20], 0), ([1], -1)])
def test_tokens_out_of_range_are_refused(model, tokens, pos):
    with pytest.raises(ValueError):
        Context(model).decode(tokens, pos)


@pytest.mark.parametrize("flash", (False, True))
def test_state_round_trip(model, flash):
    first, second = Context(model, flash_attn=flash), Context(model, flash_attn=flash, n_ctx=768)
    first.decode(TOKENS, 0)
    second.load_state(first.state_bytes())
    assert (np.array(second.logits) == np.array(first.logits)).all()
    for context in (first, second):
        context.decode([300], len(TOKENS))
    assert (np.array(second.logits) == np.array(first.logits)).all()


def test_a_damaged_state_changes_nothing(model):
    context = Context(model)
    context.decode(TOKENS, 0)
    state, used = context.state_bytes(), context.kv_used
    for cut in (*range(0, 200), len(state) // 2, len(state) - 1):
        with pytest.raises(LlamacyError):
            context.load_state(state[:cut])
    assert context.kv_used == used and context.state_bytes() == state


def test_state_of_another_cache_type_is_refused(model):
    source = Context(model, type_k="q8_0")
    source.decode(TOKENS, 0)
    with pytest.raises(LlamacyError, match="-ctk"):
        Context(model).load_state(source.state_bytes())


def test_control_vectors_reach_their_layers_only(model):
    n, context = model.hparams.n_embd, Context(model)
    plain = logits_of(model, TOKENS)
    vector = array("f", [0.5] * n)
    context.set_control_vector({1: vector}, 2, 3)  # outside the range: no effect
    context.decode(TOKENS, 0)
    assert (np.array(context.logits) == plain).all()
    context.set_control_vector({1: vector})
    context.kv_clear()
    context.decode(TOKENS, 0)
    assert (np.array(context.logits) != plain).any()
    context.set_control_vector({})
    context.kv_clear()
    context.decode(TOKENS, 0)
    assert (np.array(context.logits) == plain).all()


def test_what_a_signal_handler_raises_stops_a_decode(model):
    import signal
    import threading

    class Stop(Exception):
        pass

    def stop(*args):
        raise Stop

    context, before = Context(model, n_ctx=8192), signal.signal(signal.SIGUSR1, stop)
    timer = threading.Timer(0.05, signal.raise_signal, [signal.SIGUSR1])
    timer.start()
    try:
        with pytest.raises(Stop):
            while True:
                context.kv_clear()
                context.decode([5] * 2000, 0)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert context.kv_used in (0, 2000)  # all of a batch or nothing


def test_a_closed_context_says_so(model):
    context = Context(model)
    context.close()
    context.close()
    with pytest.raises(ValueError, match="closed"):
        context.decode([1], 0)
