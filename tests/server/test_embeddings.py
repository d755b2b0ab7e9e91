"""Embeddings: the hidden state that the logits are made of, of length 1; and what is refused."""

import asyncio

import numpy as np
import pytest

from llamacy.engine import Context, Model

TOKENS = [1, 5, 9, 30, 31]


def test_the_hidden_state_gives_the_logits(random_256):
    model = Model(random_256)
    plain, hidden = Context(model), Context(model, embeddings=True)
    plain.decode(TOKENS, 0)
    hidden.decode(TOKENS, 0)
    output = model.weights.get("output") or model.weights["token_embd"]
    matrix = np.frombuffer(output.data, np.float16).reshape(-1, model.hparams.n_embd).astype(np.float32)
    state = np.array(hidden.logits)[:model.hparams.n_embd]
    assert np.abs(matrix @ state - np.array(plain.logits)).max() < 1e-2 * np.abs(plain.logits).max()


async def test_vectors_are_of_length_one_and_as_the_engine_says(serve, random_256):
    api = await serve("-m", random_256, "--embeddings", "-c", 256)
    _, answer = await api.ask("/v1/embeddings", {"input": [TOKENS, [7]], "model": "m"})
    context = Context(Model(random_256), embeddings=True)
    context.decode(TOKENS, 0)
    expected = np.array(context.logits)[:256].astype(np.float64)
    expected /= np.linalg.norm(expected)
    found = np.array(answer["data"][0]["embedding"])
    assert np.allclose(found, expected, atol=1e-6) and abs(np.linalg.norm(found) - 1) < 1e-5
    assert answer["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


async def test_completions_and_embeddings_side_by_side(serve, random_256):
    api = await serve("-m", random_256, "--embeddings", "-c", 512, "-np", 2)
    body = {"prompt": "a", "n_predict": 20, "ignore_eos": True, "temperature": 0}
    expected = (await api.ask("/completion", body))[1]["content"]
    answers = await asyncio.gather(*(api.ask("/completion", body) for _ in range(3)),
                                   *(api.ask("/embedding", {"content": "a"}) for _ in range(3)))
    assert {answer["content"] for _, answer in answers[:3]} == {expected}
    assert all(answer == answers[3] for answer in answers[3:])


@pytest.mark.parametrize("body, status, message", [
    ({}, 400, '"input" or "content" must be provided'), ({"content": ["a"]}, 500, "type must be string, but is array"),
    ({"input": []}, 400, '"prompt" cannot be an empty array'), ({"input": None}, 400, '"input" must be'),
    ({"input": 5}, 400, '"input" must be'), ({"input": [10**9]}, 400, "token ids"), ({"input": [["a", None]]}, 400, "token ids")])
async def test_refusals(serve, random_256, body, status, message):
    api = await serve("-m", random_256, "--embeddings", "-c", 256)
    found, answer = await api.ask("/v1/embeddings", body)
    assert found == status and message in answer["error"]["message"]


async def test_a_prompt_longer_than_a_micro_batch_has_no_vector(serve, random_256):
    api = await serve("-m", random_256, "--embeddings", "-c", 256, "-ub", 32)
    assert await api.ask("/embedding", {"content": "a" * 200}) == (200, {"embedding": []})
