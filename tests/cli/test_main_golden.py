"""./main against recorded runs: the same bytes on stdout, the same kind of exit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from golden_main import REPO, Case, own_cases, reference_cases, repeat

NEAR = 2e-3        # a random number this close to the border between two tokens may fall on either side of it
EQUAL_SHARE = 0.85

OWN = own_cases()
REFERENCE = reference_cases()
DECIDED = [case for case in REFERENCE if not case.sampled]
SAMPLED = [case for case in REFERENCE if case.sampled and case.seeded]
UNSEEDED = [case for case in REFERENCE if case.sampled and not case.seeded]

needs_reference = pytest.mark.skipif(not REFERENCE, reason="no recorded runs of the reference beside the repository")


def each(cases):
    """One test per case; one that is skipped where there are none."""
    return pytest.mark.parametrize("case", cases or [None], ids=str)


@pytest.fixture(scope="module")
def outcome(main_command, tmp_path_factory):
    """Runs a case, once for all tests here."""
    known = {}

    def run(case):
        if case not in known:
            known[case] = repeat(case, main_command, tmp_path_factory.mktemp("run"))
        return known[case]

    return run


@each(OWN)
def test_own_record(case, outcome):
    assert outcome(case) == (case.stdout, case.rc)


@needs_reference
@each(DECIDED)
def test_decided_without_a_draw(case, outcome):
    assert outcome(case) == (case.stdout, case.rc)


@needs_reference
@each(SAMPLED)
def test_sampled(case, outcome, tmp_path):
    """Byte-equal, or at the first other token the same random number is near the border between the two."""
    stdout, rc = outcome(case)
    assert rc == case.rc
    if stdout != case.stdout:
        assert not case.waiting
        assert border_distance(case.stdout, stdout, trace(case, tmp_path)) <= NEAR


@needs_reference
@each(UNSEEDED)
def test_unseeded(case, outcome):
    """Without -s nobody can repeat the text; what stands before it is the same."""
    echo, reset, _ = case.stdout.partition(b"\x1b[0m")
    assert reset and outcome(case)[0].startswith(echo + reset)


@needs_reference
def test_most_sampled_runs_are_equal(outcome):
    equal = sum(outcome(case) == (case.stdout, case.rc) for case in SAMPLED)
    assert equal >= EQUAL_SHARE * len(SAMPLED), f"{equal} of {len(SAMPLED)}"


def trace(case, folder):
    """How each token of our run was drawn: see trace_main.py."""
    for name, text in case.files.items():
        (folder / name).write_text(text)
    path = folder / "draws.json"
    subprocess.run([sys.executable, Path(__file__).with_name("trace_main.py"), REPO, path, *case.args, "-t", "1",
                    "--log-disable"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return json.loads(path.read_text())


def border_distance(expected, stdout, draws):
    """How far the deciding random number was from giving the recorded text, where our text leaves it.

    Another token may start with the same bytes, so every draw up to the first other byte is asked; the nearest counts.
    """
    position = len(stdout) - sum(len(piece) // 2 for _, piece, _, _ in draws)
    nearest = 2.0
    for token, piece, number, borders in draws:
        if expected[:position] != stdout[:position]:
            break
        if number is not None:
            nearest = min([nearest, *distances(expected[position:], token, number, borders)])
        position += len(piece) // 2
    return nearest


def distances(text, token, number, borders):
    """For each other token that `text` may start with: how far `number` is from the interval that stands for it."""
    lower = 0.0
    for other, piece, upper in borders:
        if other != token and piece and text.startswith(bytes.fromhex(piece)):
            yield max(lower - number, number - upper)
        lower = upper


def test_distances():
    borders = [[7, b"a".hex(), 0.5], [8, b"ab".hex(), 0.75], [9, b"c".hex(), 1.0]]
    assert list(distances(b"abc", 7, 0.499, borders)) == [pytest.approx(0.001)]
    assert list(distances(b"abc", 9, 0.76, borders)) == [pytest.approx(0.26), pytest.approx(0.01)]
    assert list(distances(b"x", 7, 0.1, borders)) == []


def test_border_distance(random_256, run_main, tmp_path):
    """A text that leaves ours at one token, for a neighbour of it, is as far away as that neighbour's interval."""
    case = Case({"args": ["-m", str(random_256), "-p", "Once", "-n", "12", "-s", "3", "--temp", "2"], "stdin": None,
                 "files": {}, "stdout": "", "rc": 0}, tmp_path)
    stdout = run_main(*case.args, "-t", "1", "--log-disable").stdout
    draws = trace(case, tmp_path)
    pieces = [bytes.fromhex(piece) for _, piece, _, _ in draws]
    assert len(draws) == 12 and stdout.endswith(b"".join(pieces))
    token, _, number, borders = draws[7]
    place = [id for id, _, _ in borders].index(token)
    other = place + 1 if place + 1 < len(borders) else place - 1
    left = stdout[:len(stdout) - len(b"".join(pieces[7:]))] + bytes.fromhex(borders[other][1]) + b"\0\0"
    expected = borders[place][2] - number if other > place else number - borders[other][2]
    assert border_distance(left, stdout, draws) <= expected < 1
    assert border_distance(stdout, stdout, draws) > 0
