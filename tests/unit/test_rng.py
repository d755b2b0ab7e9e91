"""The Mersenne Twister: its numbers, and its state as text."""

import numpy as np
import pytest

from llamacy.errors import LlamacyError
from llamacy.sampling import Mt19937

# First outputs, from a program compiled with the C++ library of GNU.
FIRST = {
    42: [1608637542, 3421126067, 4083286876, 787846414],
    0: [2357136044, 2546248239, 3071714933, 3626093760],
}


def numbers(rng, n):
    return [rng.next32() for _ in range(n)]


@pytest.mark.parametrize("seed", FIRST)
def test_first_numbers(seed):
    assert numbers(Mt19937(seed), 4) == FIRST[seed]


@pytest.mark.parametrize("seed", [0, 1, 42, 2**31, 2**32 - 1])
def test_same_numbers_as_numpy(seed):
    theirs = np.random.RandomState(seed).randint(0, 2**32, 3 * 624 + 1, dtype=np.uint32)
    assert numbers(Mt19937(seed), len(theirs)) == list(theirs)


def test_seed_is_taken_modulo_2_to_the_32():
    assert numbers(Mt19937(-2), 3) == numbers(Mt19937(2**32 - 2), 3) == numbers(Mt19937(2**40 + 2**32 - 2), 3)


def test_fresh_state_is_the_seed_first_and_position_624_last():
    words = Mt19937(42).state_text().split(b" ")
    assert len(words) == 625
    assert words[:2] == [b"42", b"%d" % ((1812433253 * 42 + 1) % 2**32)]
    assert words[-1] == b"624"


def test_position_counts_the_numbers_taken_from_the_block():
    rng = Mt19937(1)
    assert [(numbers(rng, n), rng.state_text().split()[-1])[1] for n in (1, 4, 619, 1)] == [b"1", b"5", b"624", b"1"]


@pytest.mark.parametrize("taken", [0, 1, 623, 624, 1000])
def test_state_goes_on_where_it_was_written(taken):
    rng, other = Mt19937(7), Mt19937(8)
    numbers(rng, taken)
    other.load_text(rng.state_text())
    assert other.state_text() == rng.state_text()
    assert numbers(other, 1300) == numbers(rng, 1300)


def test_state_may_come_in_any_buffer():
    rng = Mt19937(8)
    rng.load_text(memoryview(bytearray(Mt19937(7).state_text() + b"\n")))
    assert numbers(rng, 2) == numbers(Mt19937(7), 2)


GOOD = Mt19937(7).state_text()


@pytest.mark.parametrize("text, said", [
    (b"", "found 0 numbers, expected 625"),
    (GOOD[:-4], "found 624 numbers, expected 625"),
    (GOOD + b" 1", "found 626 numbers, expected 625"),
    (GOOD.replace(b"7 ", b"-7 ", 1), "number 0: found '-7', expected 0 to 4294967295"),
    (GOOD.replace(b"7 ", b"4294967296 ", 1), "number 0: found '4294967296', expected 0 to 4294967295"),
    (GOOD.replace(b"7 ", b"9" * 5000 + b" ", 1), "number 0: found '9999999999', expected 0 to 4294967295"),
    (GOOD[:-3] + b"625", "position: found 625, expected 0 to 624"),
    (GOOD.replace(b"7 ", b"\xff\x00 ", 1), "number 0: found '\\xff\\x00', expected 0 to 4294967295"),
], ids=["empty", "short", "long", "negative", "33 bits", "endless", "position", "bytes"])
def test_bad_state_is_refused_and_changes_nothing(text, said):
    rng = Mt19937(3)
    with pytest.raises(LlamacyError) as error:
        rng.load_text(text)
    assert str(error.value) == f"random generator's state: {said}"
    assert rng.state_text() == Mt19937(3).state_text()
