"""The sampler: each stage against known vectors and a plain model, the order of stages, the history, the reports."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sampling_model import Draws, Model, Settings

from llamacy.sampling import Mt19937, Sampler, SamplingParams, samplers_from_letters, samplers_from_names

NEWLINE = 3


def vocabulary(n, newline=NEWLINE):
    return SimpleNamespace(n_tokens=n, lf=newline)


def sampler(n, newline=NEWLINE, **settings):
    return Sampler(SamplingParams(**{"seed": 1, **settings}), vocabulary(n, newline))


def row(values):
    return np.array(values, dtype=np.float32)


def logs(*p):
    return np.log(row(p))


def left(s, logits):
    """ids and rounded probabilities that a step draws from."""
    s.sample(logits)
    ids = [token for token, _ in s.explain_last()[1]]
    found = s.candidates(len(ids))
    assert [token for token, _ in found] == ids
    return ids, [round(p, 5) for _, p in found]


def same_floats(a, b):
    return np.array_equal(row(a).view(np.uint32), row(b).view(np.uint32))


# ------------------------------------------------------------------------------------------------- known vectors

FOUR = logs(0.1, 0.2, 0.3, 0.4)
FIVE = logs(0.1, 0.15, 0.2, 0.25, 0.3)

VECTORS = [
    (dict(samplers="k", top_k=1), FOUR, [0.4]),
    (dict(samplers="k", top_k=3), FOUR, [0.4, 0.3, 0.2]),
    (dict(samplers="k", top_k=0), FOUR, [0.4, 0.3, 0.2, 0.1]),
    (dict(samplers="p", top_p=0), FOUR, [0.4]),
    (dict(samplers="p", top_p=0.7), FOUR, [0.4, 0.3]),
    (dict(samplers="p", top_p=0.8), FOUR, [0.4, 0.3, 0.2]),
    (dict(samplers="p", top_p=1), FOUR, [0.4, 0.3, 0.2, 0.1]),
    (dict(samplers="m", min_p=0), FOUR, [0.4, 0.3, 0.2, 0.1]),
    (dict(samplers="m", min_p=0.24), FOUR, [0.4, 0.3, 0.2, 0.1]),
    (dict(samplers="m", min_p=0.26), FOUR, [0.4, 0.3, 0.2]),
    (dict(samplers="m", min_p=0.51), FOUR, [0.4, 0.3]),
    (dict(samplers="m", min_p=0.76), FOUR, [0.4]),
    (dict(samplers="f", tfs_z=0.25), FIVE, [0.3]),
    (dict(samplers="f", tfs_z=0.75), FIVE, [0.3, 0.25]),
    (dict(samplers="f", tfs_z=0.99), FIVE, [0.3, 0.25]),
    (dict(samplers="y", typical_p=0.5), logs(0.97, 0.01, 0.01, 0.01), [0.97]),
    (dict(samplers="y", typical_p=0.5), logs(0.4, 0.2, 0.2, 0.2), [0.2, 0.2, 0.2]),
]


@pytest.mark.parametrize("settings, logits, kept", VECTORS, ids=[str(settings) for settings, *_ in VECTORS])
def test_truncation_vectors(settings, logits, kept):
    ids, p = left(sampler(len(logits), **settings), logits.copy())
    assert p == pytest.approx(row(kept) / sum(kept), abs=1e-5)
    assert sorted(math.exp(logits[i]) for i in ids) == pytest.approx(sorted(kept), abs=1e-6)


@pytest.mark.parametrize("penalty, seen, expected", [
    (dict(penalty_repeat=50), [0], [0.25, 0.25, 0.25, 0.25, 0]),
    (dict(penalty_repeat=50), [0, 1, 2, 0, 0], [0.5, 0.5, 0, 0, 0]),
    (dict(penalty_freq=5, penalty_present=5), [0], [0.249997] * 4 + [0.000011]),
    (dict(penalty_freq=5, penalty_present=5), [0, 1, 2, 0, 0], [0.499977] * 2 + [0.000023] * 2 + [0]),
])
def test_penalty_vectors(penalty, seen, expected):
    s = sampler(5, newline=-1, samplers="", penalty_last_n=len(seen), **penalty)
    for token in seen:
        s.accept(token, True)
    assert left(s, logs(*[0.2] * 5))[1] == pytest.approx(expected, abs=1e-5)


# ---------------------------------------------------------------------------------- the model, bit by bit

CHAINS = [
    dict(),
    dict(samplers="", temp=1.0),
    dict(samplers="t", temp=1.5),
    dict(samplers="k", top_k=7),
    dict(samplers="ktk", top_k=200),
    dict(samplers="p", top_p=0.5),
    dict(samplers="m", min_p=0.02),
    dict(samplers="m", min_p=0.02, min_keep=9),
    dict(samplers="mtk", top_k=5),
    dict(samplers="tmpk", temp=0.7, top_k=30),
    dict(samplers="km", min_p=0.1, min_keep=3),
    dict(samplers="f", tfs_z=0.5),
    dict(samplers="f", tfs_z=0.95, min_keep=4),
    dict(samplers="ky", top_k=60, typical_p=0.3),
    dict(samplers="kyk", top_k=20, typical_p=0.8),
    dict(samplers="kymt", top_k=60, typical_p=0.9, min_p=0.1, min_keep=5),
    dict(samplers="kypfmt", typical_p=0.9, tfs_z=0.9),
    dict(top_k=0, top_p=1.0, min_p=0.0, temp=1.2),
    dict(dynatemp_range=0.5),
    dict(dynatemp_range=0.7, temp=0.9, dynatemp_exponent=1.7, top_k=0),
    dict(samplers="tkp", dynatemp_range=0.3, top_p=0.8),
    dict(min_keep=12, top_p=0.1, min_p=0.9),
    dict(penalty_repeat=1.3),
    dict(penalty_repeat=1.1, penalty_last_n=-1, n_prev=20),
    dict(penalty_freq=0.4, penalty_present=0.6, penalty_last_n=10),
    dict(penalty_repeat=1.2, penalize_nl=True, penalty_last_n=100, n_prev=100),
    dict(logit_bias={5: 3.0, 2: -math.inf}),
    dict(temp=0),
    dict(temp=0, penalty_repeat=2.0),
]


def rows(n, count, seed):
    """Logits of several kinds: spread, near-equal, with equal ones, with excluded ones."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        x = rng.standard_normal(n).astype(np.float32) * np.float32([3.0, 0.05, 4.0, 1.0][i % 4])
        if i % 4 == 2:
            x = np.round(x)                                  # with both zeros
        if i % 4 == 3:
            x[rng.random(n) < 0.3] = -np.inf
            x[rng.integers(n)] = 1.0
        yield x


def compare_step(s, model, token, wanted):
    u, borders = s.explain_last()
    assert token == wanted
    assert u == model.u
    if model.borders is not None:
        assert borders == model.borders
        assert same_floats([p for _, p in s.candidates(len(borders))], [c[2] for c in model.left])


@pytest.mark.parametrize("settings", CHAINS, ids=str)
@pytest.mark.parametrize("n", [6, 300])
def test_equals_the_model(settings, n):
    s, model = sampler(n, **settings), Model(Settings(**{"seed": 1, **settings}), newline=NEWLINE)
    excluded_spoil_it = "y" in s.params.samplers and s.params.typical_p < 1       # p = 0 has no surprise
    for logits in rows(n, 16, seed=n):
        if excluded_spoil_it:
            logits[np.isinf(logits)] = -2.0
        wanted = model.choose(logits)
        token = s.sample(logits)
        compare_step(s, model, token, wanted)
        s.accept(token, True)
        model.accept(token)
    assert s.prev == model.prev


@pytest.mark.parametrize("settings", [
    dict(mirostat=1), dict(mirostat=2), dict(mirostat=1, mirostat_tau=3.0, mirostat_eta=0.3, temp=1.3),
    dict(mirostat=2, mirostat_tau=2.0, mirostat_eta=0.5, temp=0.6), dict(mirostat=2, top_k=1, min_keep=50),
], ids=str)
def test_mirostat_equals_the_model(settings):
    s, model = sampler(300, **settings), Model(Settings(**settings), newline=NEWLINE)
    context, context_model = Mt19937(9), Draws(9)
    own = s.rng.state_text()
    for number, logits in enumerate(rows(300, 24, seed=4)):
        logits[np.isinf(logits)] = -2.0
        wanted = model.choose(logits, context_rng=context_model)
        token = s.sample(logits, None, context)
        compare_step(s, model, token, wanted)
        assert same_floats([s.mu], [model.mu]), number
    assert s.mu != 0 and context.state_text() != Mt19937(9).state_text()
    assert s.rng.state_text() == own                    # Mirostat draws from the context's numbers alone


@pytest.mark.parametrize("steepness", [1.1, 1.3, 2.0])
def test_mirostat_1_guesses_the_slope_of_zipfs_law_as_the_model_does(steepness):
    settings = dict(mirostat=1, mirostat_tau=6.0, mirostat_eta=0.4, temp=1.0)
    s, model = sampler(2000, **settings), Model(Settings(**settings), newline=NEWLINE)
    context, context_model = Mt19937(9), Draws(9)
    rng, sizes = np.random.default_rng(3), set()
    for _ in range(12):
        logits = (-steepness * np.log(np.arange(1, 2001)) + 0.03 * rng.standard_normal(2000)).astype(np.float32)
        wanted = model.choose(logits, context_rng=context_model)
        token = s.sample(logits, None, context)
        compare_step(s, model, token, wanted)
        sizes.add(len(model.left))
    assert len(sizes) > 5, sizes                          # the guess decided how many were left


def test_mirostat_without_a_generator_is_refused():
    with pytest.raises(ValueError, match="mirostat: expected the context's random generator"):
        sampler(5, mirostat=2).sample(row(range(5)))


@pytest.mark.parametrize("scale", [1.5, 3.0])
def test_guidance_equals_the_model(scale):
    settings = dict(cfg_scale=scale, logit_bias={4: 1.5})
    s, model = sampler(120, **settings), Model(Settings(**settings), newline=NEWLINE)
    for logits, other in zip(rows(120, 4, seed=5), rows(120, 4, seed=6)):
        logits[np.isinf(logits)] = other[np.isinf(other)] = -2.0
        wanted = model.choose(logits, other)
        token = s.sample(logits, other)
        compare_step(s, model, token, wanted)


def test_guidance_counts_only_above_scale_1():
    logits, other = row([1, 2, 3]), row([9, 0, 0])
    assert sampler(3, temp=0, cfg_scale=1.0).sample(logits, other) == 2
    assert other.tolist() == [9, 0, 0] and logits.tolist() == [1, 2, 3]


@pytest.mark.parametrize("k", [1, 40, 128, 129, 1000, 49999, 50000])
@pytest.mark.parametrize("spread", [0.0, 1e-3, 5.0])
def test_the_k_best_of_many_are_in_order_and_lower_ids_first(k, spread):
    rng = np.random.default_rng(k)
    logits = np.round(rng.standard_normal(50000) * 200).astype(np.float32) * np.float32(spread)
    special = np.array([-0.0, 0.0, -np.inf, 3e38], np.float32)
    logits[rng.integers(50000, size=2000)] = special[rng.integers(4, size=2000)]
    s = sampler(50000, samplers="k", top_k=k)
    s.sample(logits)
    found = [token for token, _ in s.candidates(50000)]
    assert found[:k] == np.lexsort((np.arange(50000), -logits)).tolist()[:k]
    assert sorted(found) == list(range(50000))


# ------------------------------------------------------------------------------------------------------- draws


def test_one_candidate_needs_no_random_number():
    s = sampler(10, top_k=1)
    assert s.sample(row(range(10))) == 9
    assert s.explain_last() == (None, [(9, 1.0)])
    assert s.rng.state_text() == Mt19937(1).state_text()


def test_a_draw_takes_two_numbers_the_low_half_first():
    s = sampler(1000, samplers="", seed=42)
    s.sample(np.zeros(1000, np.float32))
    u, borders = s.explain_last()
    assert u == (1608637542 + 3421126067 * 2**32) / 2**64
    assert s.rng.state_text().endswith(b" 2")
    assert len(borders) == 1000 and borders[-1] == (999, 1.0)
    assert [token for token, border in borders if border >= u][0] == 796


def test_unset_seed_is_different_each_time():
    states = {sampler(5, seed=0xFFFFFFFF).rng.state_text() for _ in range(4)}
    assert len(states) == 4


@pytest.mark.parametrize("settings", [
    dict(), dict(samplers=""), dict(samplers="mfyt", tfs_z=0.5, typical_p=0.5), dict(temp=0), dict(temp=-1),
    dict(mirostat=1), dict(mirostat=2), dict(dynatemp_range=2.0), dict(temp=math.nan),
    dict(top_p=math.nan, min_p=math.nan), dict(penalty_repeat=0.0), dict(top_k=2**40, n_prev=-5, min_keep=10**20),
], ids=str)
def test_any_numbers_give_a_token(settings):
    for fill in (math.nan, -math.inf, math.inf, 0.0, 3e38, -3e38):
        s = sampler(70, **settings)
        for first in (fill, 1.0):
            logits = np.full(70, fill, np.float32)
            logits[7] = first
            token = s.sample(logits, None, Mt19937(1))
            assert 0 <= token < 70
            s.accept(token, True)


def test_what_is_not_a_number_comes_last():
    logits = row([math.nan, 1, math.nan, 2, -math.inf])
    s = sampler(5, samplers="k", top_k=5)
    s.sample(logits)
    assert [token for token, _ in s.candidates(5)] == [3, 1, 4, 0, 2]


# ----------------------------------------------------------------------------------------------- greedy, reports


def test_greedy_takes_the_first_of_equals():
    assert sampler(5, temp=0).sample(row([1, 7, 3, 7, 7])) == 1


def test_probabilities_after_a_greedy_choice_are_those_at_temperature_1():
    s = sampler(4, temp=0, logit_bias={0: -math.inf})
    s.sample(logs(0.4, 0.1, 0.2, 0.3))
    assert [token for token, _ in s.candidates(9)] == [3, 2, 1, 0]
    assert [p for _, p in s.candidates(3)] == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert s.explain_last() == (None, [(3, 1.0)])


def test_temperature_below_0_is_greedy_with_probabilities():
    s = sampler(4, temp=-1, samplers="k", top_k=1)
    assert s.sample(logs(0.1, 0.4, 0.2, 0.3)) == 1
    assert [round(p, 5) for _, p in s.candidates(4)] == [0.4, 0.3, 0.2, 0.1]
    assert s.rng.state_text() == Mt19937(1).state_text()


def test_reports_reach_candidates_that_were_dropped():
    s = sampler(6, samplers="kp", top_k=4, top_p=0.6, temp=1.0)
    s.sample(logs(0.05, 0.1, 0.15, 0.4, 0.25, 0.05))
    report = s.candidates(6)
    assert [token for token, _ in report][:4] == [3, 4, 2, 1]
    assert [p for _, p in report] == pytest.approx([0.4 / 0.65, 0.25 / 0.65, 0.15 / 0.9, 0.1 / 0.9, 0, 0], abs=1e-6)
    assert s.candidates(2) == report[:2] and s.candidates(0) == s.candidates(-1) == []


def test_no_report_before_the_first_step():
    assert sampler(6).candidates(3) == []


def test_counters():
    s = sampler(50)
    assert (s.n_sample, s.t_sample_us) == (0, 0)
    for _ in range(300):
        s.sample(np.zeros(50, np.float32))
    assert s.n_sample == 300 and 0 < s.t_sample_us < 10**7


# ------------------------------------------------------------------------------------------- bias, history, penalties


def test_bias_changes_the_row_in_place_each_time():
    s, logits = sampler(3, logit_bias={1: 0.5, 2: -math.inf}), row([1, 2, 3])
    s.sample(logits)
    s.sample(logits)
    assert logits.tolist() == [1, 3, -math.inf]


@pytest.mark.parametrize("token", [-1, 3, 2**40])
def test_bias_for_no_token_is_refused(token):
    with pytest.raises(ValueError, match=f"logit bias for token {token}: expected a token from 0 to 2"):
        sampler(3, logit_bias={0: 1.0, token: 1.0})


@pytest.mark.parametrize("token", [-1, 3, 2**40])
def test_history_takes_only_tokens(token):
    s = sampler(3)
    with pytest.raises(ValueError, match=f"token {token}: expected one from 0 to 2"):
        s.accept(token, True)
    assert s.prev == [0] * 64


def test_history_keeps_the_last_n_prev():
    s = sampler(1000, n_prev=5)
    assert (s.prev, s.last) == ([0] * 5, 0)
    for token in range(1, 900):
        s.accept(token, token % 2)
        assert s.last == token
        assert s.prev == ([0] * 5 + list(range(1, token + 1)))[-5:]
    s.reset()
    assert (s.prev, s.last) == ([0] * 5, 0)


def test_token_0_counts_as_seen_until_the_history_is_full():
    s = sampler(3, newline=-1, temp=0, n_prev=3, penalty_repeat=10.0)
    chosen = []
    for token in (1, 1, 1):
        chosen.append(s.sample(row([3, 0.1, 1])))
        s.accept(token, True)
    assert chosen == [2, 2, 2] and s.sample(row([3, 0.1, 1])) == 0


def test_newline_is_exempt_unless_penalized():
    for penalize_nl, token in ((False, 1), (True, 0)):
        s = sampler(3, newline=1, temp=0, penalty_present=5.0, penalize_nl=penalize_nl, penalty_last_n=1)
        s.accept(1, False)
        assert s.sample(row([1, 2, 0])) == token


def test_penalties_can_look_at_a_text_of_their_own():
    s = sampler(4, newline=-1, temp=0, penalty_present=5.0, penalty_prompt=[3], penalty_last_n=2)
    s.accept(2, False)                                   # of the prompt: not in that text
    assert s.sample(row([0, 1, 2, 3])) == 2
    s.accept(2, True)
    assert s.sample(row([0, 1, 2, 3])) == 1
    s.accept(1, True)
    assert s.sample(row([0, 1, 2, 3])) == 3              # out of the window again


def test_an_empty_text_of_their_own_turns_penalties_off():
    assert sampler(4, newline=-1, temp=0, penalty_present=5.0, penalty_prompt=[]).sample(row([3, 1, 2, 0])) == 0


@pytest.mark.parametrize("logits, found", [
    (np.zeros(4, np.float32), "16 bytes of 'f', expected 5 float32"),
    (np.zeros(5, np.float64), "40 bytes of 'd', expected 5 float32"),
    (bytearray(20), "20 bytes of 'B', expected 5 float32"),
])
def test_other_buffers_are_refused(logits, found):
    with pytest.raises(ValueError, match=f"logits: found {found}"):
        sampler(5).sample(logits)
    with pytest.raises(ValueError, match=f"guidance: found {found}"):
        sampler(5, cfg_scale=2.0).sample(np.zeros(5, np.float32), logits)


# ----------------------------------------------------------------------------------------------- clones, grammars


def test_a_clone_goes_its_own_way():
    s = sampler(9, n_prev=4, penalty_repeat=1.5, penalty_prompt=[1])
    for token in (5, 6):
        s.sample(np.zeros(9, np.float32))
        s.accept(token, True)
    other = s.clone()
    assert other.prev == s.prev == [0, 0, 5, 6]
    assert other.rng.state_text() == Mt19937(1).state_text() != s.rng.state_text()
    other.accept(7, True)
    assert s.prev == [0, 0, 5, 6] and other.prev == [0, 5, 6, 7]


class FakeGrammar:
    """Allows the tokens of its text, one after another."""

    def __init__(self, text, vocab):
        self.text, self.vocab, self.at, self.seen = text, vocab, 0, []

    def filter(self, logits):
        self.seen.append(logits.tolist())
        wanted = self.text[self.at] if self.at < len(self.text) else None
        for token in range(len(logits)):
            if token != wanted:
                logits[token] = -math.inf
        return int(wanted is not None)

    def accept(self, token):
        assert self.text[self.at] == token
        self.at += 1

    def reset(self):
        self.at = 0

    def clone(self):
        other = FakeGrammar(self.text, self.vocab)
        other.at = self.at
        return other


@pytest.fixture
def grammar(monkeypatch):
    monkeypatch.setitem(sys.modules, "llamacy.sampling._grammar", SimpleNamespace(Grammar=FakeGrammar))


@pytest.mark.parametrize("settings", [dict(temp=0), dict(), dict(samplers=""), dict(mirostat=2)], ids=str)
def test_grammar_decides(grammar, settings):
    s = sampler(10, grammar=bytes([4, 2, 7]), **settings)
    for token in (1, 9):
        s.accept(token, False)                           # the prompt is none of the grammar's business
    for wanted in (4, 2, 7):
        assert s.sample(row(range(10)), None, Mt19937(1)) == wanted
        s.accept(wanted, True)
    s.reset()
    assert s.sample(row(range(10)), None, Mt19937(1)) == 4


def test_grammar_sees_logits_after_bias_and_penalties(grammar):
    s = sampler(4, newline=-1, grammar=bytes([1]), logit_bias={1: 0.5}, penalty_present=1.0, penalty_last_n=1)
    s.sample(row([1, 2, 3, 4]))
    assert s.grammar.seen == [[0, 2.5, 3, 4]]


def test_a_step_that_the_grammar_has_no_token_for_is_done_without_it(grammar):
    s = sampler(10, temp=0, grammar=bytes([4]), logit_bias={9: 1.0})
    for token in (4, 9, 9):
        logits = row(range(10))
        assert s.sample(logits) == token
        assert logits.tolist() == [*range(9), 10]        # biased once, though tried twice
        s.accept(token, True)
    assert s.grammar.at == 1 and s.n_sample == 3


def test_a_banned_token_is_not_chosen_even_if_the_grammar_allows_no_other(grammar):
    s = sampler(10, temp=0, grammar=bytes([4]), logit_bias={4: -math.inf})
    assert s.sample(row(range(10))) == 9


def test_a_clone_has_a_grammar_state_of_its_own(grammar):
    s = sampler(10, grammar=bytes([4, 2, 7]))
    s.accept(4, True)
    other = s.clone()
    other.accept(2, True)
    assert s.sample(row(range(10))) == 2 and other.sample(row(range(10))) == 7


# ------------------------------------------------------------------------------------------------ settings as text


def test_order_text():
    assert sampler(5).order_text() == (b"CFG -> Penalties -> top_k -> tfs_z -> typical_p -> top_p -> min_p "
                                       b"-> temperature ")
    assert sampler(5, samplers="tk", temp=0).order_text() == b"CFG -> Penalties -> temperature -> top_k "
    assert sampler(5, samplers="").order_text() == b"CFG -> Penalties "
    assert sampler(5, mirostat=2).order_text() == b"CFG -> Penalties -> mirostat "


def test_params_text():
    assert sampler(5).params_text() == (
        b"\trepeat_last_n = 64, repeat_penalty = 1.000, frequency_penalty = 0.000, presence_penalty = 0.000\n"
        b"\ttop_k = 40, tfs_z = 1.000, top_p = 0.950, min_p = 0.050, typical_p = 1.000, temp = 0.800\n"
        b"\tmirostat = 0, mirostat_lr = 0.100, mirostat_ent = 5.000")
    assert sampler(5, penalty_last_n=-1, top_k=-3, temp=1.23456).params_text().count(b"= -1,") == 1


def test_sampler_names():
    assert samplers_from_names("top_k;tfs_z;typical_p;top_p;min_p;temperature") == "kfypmt"
    assert samplers_from_names("top-k;nucleus;top-p;typical-p;typical;min-p;tfs-z;tfs;temp") == "kppyymfft"
    assert samplers_from_names("temp;none; top_k;;temp;TOP_P") == "tt"
    assert samplers_from_names("temp;temperature;nucleus", aliases=False) == "t"
    assert samplers_from_names("") == ""
    assert samplers_from_letters("kxmt m") == "kmtm"


def test_settings_are_read_once():
    params = SamplingParams(temp=0, seed=1)
    s = Sampler(params, vocabulary(3))
    params.temp, params.logit_bias[0] = 1.0, 50.0
    assert s.sample(row([1, 2, 3])) == 2 and s.clone().sample(row([1, 2, 3])) == 2


def test_settings_have_only_known_names():
    with pytest.raises(AttributeError):
        SamplingParams(temperature=1.0)
    a, b = SamplingParams(), SamplingParams()
    a.logit_bias[1] = 1.0
    assert b.logit_bias == {} and a.copy().logit_bias == {1: 1.0}
