"""Attention through the engine at some hundred tokens: threads, widths, other sequences and -fa change no bit of it."""

import numpy as np
import pytest

from llamacy.engine import Context, Model

TOKENS = [1 + i * 37 % 250 for i in range(400)]
TYPES = (("f16", "f16"), ("f32", "f32"), ("q8_0", "q4_0"), ("q4_1", "q5_1"), ("q5_0", "iq4_nl"))


@pytest.fixture(scope="module")
def model(random_256):
    return Model(random_256)


def last_logits(model, width, threads, **options):
    ctx = Context(model, n_ctx=512, n_ubatch=512, n_batch=512, n_threads=threads, **options)
    for i in range(0, len(TOKENS), width):
        ctx.decode(TOKENS[i:i + width], i)
    found = np.array(ctx.logits)
    ctx.close()
    return found


@pytest.mark.parametrize("types", TYPES, ids=str)
@pytest.mark.parametrize("flash", (False, True))
def test_threads_and_widths_change_nothing(model, types, flash):
    options = {"type_k": types[0], "type_v": types[1], "flash_attn": flash}
    first = last_logits(model, 400, 1, **options)
    assert np.isfinite(first).all()
    for width, threads in ((400, 3), (33, 2), (7, 5), (1, 8)):
        assert (last_logits(model, width, threads, **options) == first).all(), (width, threads)


def test_one_pass_ends_where_its_rounding_would_add_up(model):
    """Tokens that see more than 256 cells are computed the usual way; the 256 before them are not, so the rest differs."""
    def steps(flash):
        ctx = Context(model, n_ctx=512, n_threads=2, flash_attn=flash)
        ctx.decode(TOKENS[:256], 0)
        ctx.decode(TOKENS[256:258], 256)
        return np.array(ctx.logits)

    usual, flash = steps(False), steps(True)
    assert (usual != flash).any() and np.abs(usual - flash).max() < 0.1


def test_cells_between_those_of_another_sequence(model):
    """Two sequences take cells in turns; what each sees is what it would see alone."""
    ctx = Context(model, n_ctx=1024, n_threads=2, n_outputs=2)
    for i in range(0, 300, 3):
        own = TOKENS[i:i + 3]
        ctx.decode_batch(own + own[::-1], [*range(i, i + 3)] * 2, [0] * 3 + [1] * 3, bytes((0, 0, 1) * 2))
    together = [np.array(ctx.output(row)) for row in range(2)]
    alone = Context(model, n_ctx=512, n_threads=1)
    alone.decode(TOKENS[:300], 0)
    assert (together[0] == np.array(alone.logits)).all()
    other = [t for i in range(0, 300, 3) for t in TOKENS[i:i + 3][::-1]]
    alone.kv_clear()
    alone.decode(other, 0)
    assert (together[1] == np.array(alone.logits)).all()
