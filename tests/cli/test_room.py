"""Room in the context: shifts, self-extend and guidance, on a cache of positions and in whole runs."""

import pytest

from llamacy.cli.room import Guidance, SelfExtend, shift


class Cache:
    """Positions of tokens 0, 1, 2 … as a KV cache would keep them."""

    def __init__(self, positions):
        self.positions = dict(enumerate(positions))

    def kv_remove(self, seq, start, end):
        self.positions = {token: p for token, p in self.positions.items() if not start <= p < end}

    def kv_shift(self, seq, start, end, delta):
        self.positions = {token: p + delta if start <= p < end else p for token, p in self.positions.items()}

    def kv_divide(self, seq, start, end, d):
        self.positions = {token: p // d if start <= p < end else p for token, p in self.positions.items()}


def test_shift_keeps_the_start_and_the_end():
    cache = Cache(range(10))
    shift(cache, 2, 4, 10)
    assert cache.positions == {0: 0, 1: 1, 6: 2, 7: 3, 8: 4, 9: 5}


def grown(n, w, count):
    """A cache after `count` tokens one by one, regrouped before each; and n_past."""
    groups, cache, n_past = SelfExtend(n, w), Cache([]), 0
    for token in range(count):
        n_past = groups.regroup(cache, n_past)
        cache.positions[token] = n_past
        n_past += 1
    return groups, cache, groups.regroup(cache, n_past)


@pytest.mark.parametrize("n, w, count", [(2, 8, 7), (2, 8, 8), (2, 8, 40), (4, 8, 100), (3, 9, 50), (2, 2, 20)])
def test_grouped_positions(n, w, count):
    """Whole windows that the text has passed share one position per n tokens; the newest tokens follow one by one."""
    groups, cache, n_past = grown(n, w, count)
    grouped = groups.done * n
    expected = [i // n if i < grouped else groups.done + i - grouped for i in range(count)]
    assert list(cache.positions.values()) == expected
    assert n_past == groups.done + count - grouped < groups.done + w
    assert groups.done % (w // n) == 0


@pytest.mark.parametrize("n, w, count, keep", [(2, 8, 60, 1), (2, 8, 60, 5), (4, 8, 99, 3), (2, 64, 60, 1),
                                               (2, 8, 60, 99)])
def test_forgetting_grouped_text(n, w, count, keep):
    groups, cache, n_past = grown(n, w, count)
    keep = min(keep, n_past)
    start, dropped = groups.drop(keep, n_past)
    shift(cache, start, dropped, n_past)
    n_past -= dropped
    assert groups.done % (w // n) == 0 and start >= keep
    assert max(cache.positions.values()) == n_past - 1
    tokens = len(cache.positions)
    assert tokens < count or keep == n_past
    cache.positions[count] = n_past                 # and it goes on: the newest positions are one by one, none double
    n_past = groups.regroup(cache, n_past + 1)
    late = sorted(p for p in cache.positions.values() if p >= groups.done)
    assert late == list(range(groups.done, n_past))


def test_guidance_reads_its_own_prompt_first():
    guidance = Guidance(None, [1, 50, 51], 5)
    assert guidance.offset == -2
    assert guidance.pending([1, 2, 3, 4, 5]) == [1, 50, 51]
    assert guidance.pending([1, 2, 3, 4, 5, 6]) == [1, 50, 51, 6]
    guidance.n_past = 3
    assert guidance.pending([7]) == [7]


@pytest.mark.parametrize("keep, kept", [(5, 3), (6, 4), (1, 1), (4, 3)])
def test_guidance_forgets_what_the_main_context_forgets(keep, kept):
    guidance = Guidance(Cache(range(10)), [1, 50, 51], 5)
    guidance.n_past = 10
    guidance.drop(keep, 2)
    assert sorted(guidance.context.positions) == [i for i in range(10) if not kept <= i < kept + 2]
    assert guidance.n_past == 8


@pytest.mark.parametrize("flags", [
    [],
    ["--keep", "-1"],
    ["-gan", "2", "-gaw", "16"],
    ["-gan", "4", "-gaw", "512"],
    ["--cfg-scale", "1.5", "--cfg-negative-prompt", "a b c d e f g h i j"],
    ["-ctk", "q8_0"],
    ["-fa"],
    ["--prompt-cache", "cache", "--prompt-cache-all"],
], ids=lambda flags: " ".join(flags) or "plain")
def test_a_run_outlives_its_context(run_main, random_256, tmp_path, flags):
    done = run_main("-m", random_256, "-t", "1", "-p", "Hello", "-n", "400", "-c", "256", "--temp", "0", "--ignore-eos",
                    *flags)
    assert done.returncode == 0, done.stderr
    assert b"sample time" in done.stderr and b"/   400 runs" in done.stderr
    assert b"context full, swapping" in (tmp_path / "main.log").read_bytes()
    assert b"saving final output" not in done.stderr
