"""How prompts share steps with streams, on machines that are made up."""

import random

import pytest

from llamacy.server.pace import LEAST, TARGET, Pace


def read_prompt(pace, cost, n_prompt, n_generating=1, quiet_steps=20):
    """Seconds of the steps in which a prompt is read. cost(n_generating, n_prompt, at) -> seconds."""
    for _ in range(quiet_steps):
        pace.learn(cost(n_generating, 0, 0), n_generating, 0)
    at, steps = 0, []
    while at < n_prompt:
        n = min(pace.budget(n_generating, 512) - n_generating, n_prompt - at)
        steps.append(cost(n_generating, n, at))
        pace.learn(steps[-1], n_generating, n)
        at += n
    return steps


MACHINES = {
    "bound by memory": lambda g, n, at: 0.030 + 0.002 * (g - 1) + 0.003 * n,
    "bound by arithmetic": lambda g, n, at: 0.010 * (g + 0.6 * n),
    "slow at the end": lambda g, n, at: 0.030 + n * (0.002 + 0.000002 * at),
    "in blocks of eight": lambda g, n, at: 0.030 + 0.020 * ((n + 7) // 8),
}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("n_generating", (1, 4))
def test_no_step_is_three_times_as_long_as_a_quiet_one(machine, n_generating):
    pace = Pace()
    quiet = machine(n_generating, 0, 0)
    for _ in range(3):                     # what the first prompt taught serves the next
        steps = read_prompt(pace, machine, 2000, n_generating)
        assert max(steps) < 3 * quiet or max(steps) <= machine(n_generating, LEAST, 2000)
    typical = sorted(steps)[len(steps) // 2]
    assert 1.4 * quiet < typical < (TARGET + 0.6) * quiet or pace.chunk == LEAST


def test_noise_does_not_starve_the_prompt():
    rng = random.Random(1)
    pace = Pace()
    steps = read_prompt(pace, lambda g, n, at: (0.030 + 0.001 * n) * rng.choice((1, 1, 1, 1.2, 2.5)), 2000)
    assert len(steps) < 300                # 67 without noise


def test_without_streams_there_is_no_limit():
    pace = Pace()
    assert pace.budget(0, 512) == 512 and pace.budget(3, 512) == 3 + LEAST
    pace.learn(1.0, 0, 500)
    assert pace.usual(1) is None
    pace.learn(0.1, 2, 0)
    assert pace.usual(1) == pace.usual(5) == pace.quiet[2]
