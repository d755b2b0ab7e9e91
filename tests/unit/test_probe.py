"""What the machine can do: no figure is checked, but that there is one, and of what it is."""

import os
import subprocess
import sys

import pytest

from llamacy.engine._probe import int8_rate, read_rate


def test_reading_memory_has_a_rate():
    assert 1e8 < read_rate(1, megabytes=32, seconds=0.01) < 1e13


def test_more_memory_than_there_is_is_an_error():
    with pytest.raises(MemoryError, match="no room to measure memory"):
        read_rate(1, megabytes=1 << 40)


@pytest.mark.parametrize("level", ["reference", "avx2", "avx512"])
def test_products_have_a_rate_and_a_level(repo, level):
    code = "from llamacy.engine._probe import int8_rate; print(*int8_rate(1, seconds=0.01))"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "LLAMACY_CPU": level, "PYTHONPATH": str(repo)},
                          capture_output=True, text=True, check=True)
    rate, name = done.stdout.split()
    strongest = int8_rate(1, seconds=0.01)[1]
    assert 1e7 < float(rate) < 1e14
    order = ["reference", "neon", "dotprod", "i8mm", "avx2", "avxvnni", "avx512", "avx512bf16", "avx512vbmi", "avx512amx"]
    assert name == min(level, strongest, key=order.index)
