"""Slots under load: clients that leave, long prompts beside streams, texts that depend on nothing else."""

import asyncio
import json
import random

import pytest

LONG = "Once upon a time there was a little girl named Lily. " * 12


async def idle(api, seconds=5.0):
    """Wait until all slots are idle; False if that takes longer."""
    for _ in range(int(seconds / 0.01)):
        _, health = await api.told("/health")
        if health["slots_processing"] == 0 and not api.state.engine.waiting:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("stream", (False, True))
async def test_a_client_that_leaves_frees_its_slot(serve, random_256, stream):
    api = await serve("-m", random_256, "-c", 512)
    body = {"prompt": "a", "n_predict": 100000, "ignore_eos": True, "stream": stream}
    running = asyncio.ensure_future(api.ask("/completion", body))
    while (await api.told("/health"))[1]["slots_processing"] == 0:
        await asyncio.sleep(0.005)
    running.cancel()
    assert await idle(api)
    released = [json.loads(line) for line in api.lines if b"slot released" in line]
    assert len(released) == 1 and not any(b"print_timings" in line for line in api.lines)


async def test_a_client_that_waits_in_the_queue_can_leave(serve, random_256):
    api = await serve("-m", random_256, "-c", 512)
    first = asyncio.ensure_future(api.ask("/completion", {"prompt": "a", "n_predict": 100000, "ignore_eos": True}))
    while (await api.told("/health"))[1]["slots_processing"] == 0:
        await asyncio.sleep(0.005)
    second = asyncio.ensure_future(api.ask("/completion", {"prompt": "b", "n_predict": 1}))
    while not api.state.engine.waiting:
        await asyncio.sleep(0.005)
    second.cancel()
    while api.state.engine.waiting:
        await asyncio.sleep(0.005)
    first.cancel()
    assert await idle(api)
    assert sum(b"slot is processing task" in line for line in api.lines) == 1


async def test_a_hundred_clients_killed_at_random_moments(serve, random_256):
    api = await serve("-m", random_256, "-c", 2048, "-np", 4)
    rng = random.Random(5)

    async def client(i):
        body = {"prompt": LONG if i % 3 == 0 else "a", "n_predict": 500, "ignore_eos": True, "stream": i % 2 == 0}
        if i % 10 == 9:
            body["prompt"] = [LONG, "b", "c"]
        running = asyncio.ensure_future(api.ask("/completion", body))
        await asyncio.sleep(rng.random() * 0.5)
        running.cancel()

    await asyncio.gather(*(client(i) for i in range(100)))
    assert await idle(api)
    assert (await api.ask("/completion", {"prompt": "a", "n_predict": 2}))[0] == 200


@pytest.mark.parametrize("settings", [{"temperature": 0}, {"temperature": 1.2, "seed": 7}, {"mirostat": 2, "temperature": 1, "seed": 7},
                                      {"temperature": 0, "cache_prompt": True, "repeat_penalty": 1.3}],
                         ids=["greedy", "seeded", "mirostat", "cached"])
async def test_texts_are_the_same_alone_and_in_company(serve, random_256, settings):
    api = await serve("-m", random_256, "-c", 4096, "-np", 8)
    prompts = [LONG[:40 * i + 1] for i in range(8)]

    def body(prompt):
        return {"prompt": prompt, "n_predict": 24, "ignore_eos": True, **settings}

    alone = [(await api.ask("/completion", body(prompt)))[1]["content"] for prompt in prompts]
    together = await asyncio.gather(*(api.ask("/completion", body(prompt)) for prompt in prompts))
    assert [answer["content"] for _, answer in together] == alone
    assert len(set(alone)) == 8


async def test_texts_after_a_context_shift_are_the_same_too(serve, random_256):
    api = await serve("-m", random_256, "-c", 1024, "-np", 4)
    body = {"prompt": LONG[:200], "n_predict": 300, "ignore_eos": True, "temperature": 0, "cache_prompt": True, "n_keep": 8}
    first = (await api.ask("/completion", body))[1]
    assert first["truncated"]
    again = await asyncio.gather(*(api.ask("/completion", body) for _ in range(4)))
    assert {answer["content"] for _, answer in again} == {first["content"]}


async def test_a_long_prompt_does_not_stop_the_others(serve, random_256):
    api = await serve("-m", random_256, "-c", 8192, "-np", 2)
    stream = asyncio.ensure_future(api.ask("/completion", {"prompt": "a", "n_predict": 2000, "ignore_eos": True}))
    engine = api.state.engine
    while not engine.pace.quiet:
        await asyncio.sleep(0.005)
    before = engine.slots[0].n_decoded
    _, answer = await api.ask("/completion", {"prompt": LONG * 6, "n_predict": 1})
    assert answer["tokens_evaluated"] > 1000
    assert engine.slots[0].n_decoded - before > 10 or stream.done()
    stream.cancel()


async def test_a_slow_client_stops_only_its_own_slot(serve, random_256, monkeypatch):
    monkeypatch.setattr("llamacy.server.slot.MOST_UNREAD", 5)
    api = await serve("-m", random_256, "-c", 1024, "-np", 2)
    engine = api.state.engine
    put = engine.post
    held = []
    monkeypatch.setattr(engine, "post", held.append)                   # nothing gets through
    stream = asyncio.ensure_future(api.ask("/completion", {"prompt": "a", "n_predict": 200, "ignore_eos": True, "stream": True,
                                                              "temperature": 0}))
    while not engine.slots[0].waits:
        await asyncio.sleep(0.01)
    assert engine.slots[0].n_decoded < 50                              # some tokens give no text of their own
    monkeypatch.setattr(engine, "post", put)
    for function in held:
        put(function)
    assert (await api.ask("/completion", {"prompt": "a", "n_predict": 20, "ignore_eos": True}))[1]["tokens_predicted"] == 20
    stream.cancel()
    assert await idle(api)


async def test_system_prompts_change_while_others_run(serve, random_256):
    api = await serve("-m", random_256, "-c", 1024, "-np", 2)
    body = {"prompt": "abc", "n_predict": 100, "ignore_eos": True, "temperature": 0}
    expected = (await api.ask("/completion", body))[1]["content"]
    first = asyncio.ensure_future(api.ask("/completion", body))
    await asyncio.sleep(0.01)
    status, _ = await api.ask("/completion", {"prompt": "x", "n_predict": 2, "system_prompt": {"prompt": "hello"}})
    assert status == 200 and (await first)[1]["content"] == expected


async def test_a_defect_in_the_engine_fails_what_runs_and_nothing_else(serve, random_256, monkeypatch):
    api = await serve("-m", random_256, "-c", 512, "-np", 2)
    engine = api.state.engine
    monkeypatch.setattr(engine, "absorb", lambda *args: 1 / 0)
    for body in ({"prompt": "a"}, {"prompt": "b", "cache_prompt": True}):
        status, answer = await api.ask("/completion", body)
        assert status == 500 and "ZeroDivisionError" in answer["error"]["message"]
    monkeypatch.undo()
    assert (await api.ask("/completion", {"prompt": "a", "n_predict": 3, "ignore_eos": True}))[1]["tokens_predicted"] == 3
