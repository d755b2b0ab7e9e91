"""Every type through quantize and the engine: the logits of the reference's file in the reference's engine.

Rows of this model are short (lcy.h), so every sum has the reference's order and the logits are its own, to the last bits. A
difference in one bit would grow to the step of an 8-bit activation, about 0.05 of a logit.
"""

import numpy as np
import pytest
from quantized import quantized_model
from test_engine import wanted_logits

from llamacy.engine import Model

TYPES = ("F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ1_S", "IQ1_M",
         "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS")
BOUND = 1e-5             # of logits up to 4; what has been seen is 0


@pytest.fixture(scope="module")
def recorded(repo):
    """Logits of the reference at three positions of one batch of 32 tokens."""
    return np.load(repo / "tests" / "golden" / "logits_random256.npz")


def test_all_recorded_types_are_tested(recorded):
    assert set(recorded.files) == {*TYPES, "ids", "positions"}


@pytest.mark.parametrize("type", TYPES)
def test_logits_of_the_reference(type, recorded, tmp_path_factory):
    found = wanted_logits(Model(quantized_model(tmp_path_factory, type)), recorded["ids"], recorded["positions"])
    expected = recorded[type]
    assert np.abs(found - expected).max() <= BOUND
    assert (found.argmax(1) == expected.argmax(1)).all()
