"""The scenarios of the reference's own test suite for its server, one test each, on the models that are here.

The figures (tokens, prompt_n, words of the text) are those that the suite expects of the stories260K model.
"""

import asyncio
import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

ORIGIN = {"Origin": "my.super.domain"}
LOREM = """\
Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua.
Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat.
Duis aute irure dolor in reprehenderit in voluptate velit esse cillum dolore eu fugiat nulla pariatur.
Excepteur sint occaecat cupidatat non proident, sunt in culpa qui officia deserunt mollit anim id est laborum."""
BASIC = ("-a", "tinyllama-2", "-c", 256, "-b", 32, "-np", 2, "-n", 64, "--metrics", "--log-format", "text")


def body(prompt, n_predict=-1, **more):
    return {"input_prefix": None, "prompt": prompt, "input_suffix": None, "n_predict": n_predict, "cache_prompt": False,
            "id_slot": -1, "seed": 42, "temperature": "0.8f", **more}


async def complete(api, prompt, n_predict=-1, **more):
    async with api.post("/completion", json=body(prompt, n_predict, **more), headers=ORIGIN) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "my.super.domain"
        return await response.json()


def matches(pattern, text):
    return re.search(pattern, text, re.IGNORECASE | re.MULTILINE | re.DOTALL)


async def test_health(serve, stories):
    api = await serve("-m", stories, *BASIC)
    assert await api.told("/health") == (200, {"status": "ok", "slots_idle": 2, "slots_processing": 0})
    assert [slot["state"] for slot in (await api.told("/slots"))[1]] == [0, 0]


@pytest.mark.parametrize("prompt, n_predict, words, n_prompt, n_predicted, truncated", [
    ("I believe the meaning of life is", 8, "(read|going)+", 18, 8, False),
    ("Write a joke about AI from a very long prompt which will not be truncated", 256,
     "(princesses|everyone|kids|Anna|forest)+", 46, 64, False),
])
async def test_completion(serve, stories, prompt, n_predict, words, n_prompt, n_predicted, truncated):
    api = await serve("-m", stories, *BASIC)
    answer = await complete(api, prompt, n_predict)
    assert answer["timings"]["predicted_n"] == answer["tokens_predicted"] == n_predicted
    assert answer["timings"]["prompt_n"] == n_prompt and answer["truncated"] is truncated
    assert matches(words, answer["content"])
    await check_metrics(api, n_predicted)


async def check_metrics(api, n_predicted):
    async with api.get("/metrics") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4"
        assert int(response.headers["Process-Start-Time-Unix"]) > 0
        families = {family.name: family for family in text_string_to_metric_families(await response.text())}
    assert families["llamacpp:kv_cache_usage_ratio"].samples
    assert families["llamacpp:tokens_predicted"].samples[0].value == n_predicted
    assert families["llamacpp:tokens_predicted"].type == "counter"
    assert families["llamacpp:time_to_first_token_seconds"].type == "histogram"


async def test_prompt_that_is_truncated(serve, stories):
    api = await serve("-m", stories, *BASIC)
    answer = await complete(api, LOREM, 256)
    assert answer["truncated"] and answer["tokens_predicted"] == 64
    assert answer["timings"]["prompt_n"] == 109 == answer["tokens_evaluated"]
    assert matches("fun|Annaks|popcorns|pictry|bowl", answer["content"])


async def test_chat(serve, stories):
    api = await serve("-m", stories, *BASIC)
    async with api.post("/v1/chat/completions", json=chat("Book", "What is the best book", 8), headers={"Origin": "llama.cpp"}) as r:
        assert r.headers["Access-Control-Allow-Origin"] == "llama.cpp"
        assert r.headers["Content-Type"] == "application/json; charset=utf-8"
        answer = await r.json()
    assert answer["usage"] == {"completion_tokens": 8, "prompt_tokens": 77, "total_tokens": 85}
    assert answer["choices"][0]["finish_reason"] == "stop"             # although the limit was hit, as in the reference
    assert matches("(Here|what)+", answer["choices"][0]["message"]["content"])


def chat(system, user, max_tokens, **more):
    return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": user}], "model": "tinyllama-2",
            "max_tokens": max_tokens, "seed": [42], **more}


async def test_chat_stream(serve, stories):
    api = await serve("-m", stories, *BASIC)
    text = await api.events("/v1/chat/completions", chat("You are a coding assistant.",
                                                         "Write the fibonacci function in c++.", 128), headers={"Origin": "llama.cpp"})
    lines = [line for line in text.decode().split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    chunks = [json.loads(line[6:]) for line in lines]
    assert all(len(chunk["choices"]) == 1 for chunk in chunks)
    content = [c["choices"][0]["delta"]["content"] for c in chunks if c["choices"][0]["delta"]]
    assert len(content) == 64 and matches("(thanks|happy|bird|Annabyear)+", "".join(content))
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("format, n_predicted, words", [
    ({"type": "json_object", "schema": {"const": "42"}}, 5, '"42"'),
    ({"type": "json_object", "schema": {"items": [{"type": "integer"}]}}, 10, r"\[ -300 \]"),
    ({"type": "json_object"}, 10, r"\{ \" Jacky."),
])
async def test_response_format(serve, stories, format, n_predicted, words):
    api = await serve("-m", stories, *BASIC)
    _, answer = await api.ask("/v1/chat/completions", chat("test", "test", 10, response_format=format))
    assert answer["usage"]["completion_tokens"] == n_predicted
    assert matches(words, answer["choices"][0]["message"]["content"])


async def test_tokenize_and_back(serve, stories):
    api = await serve("-m", stories, *BASIC)
    text = "What is the capital of France ?"
    _, tokens = await api.ask("/tokenize", {"content": text})
    _, back = await api.ask("/detokenize", tokens)
    assert back["content"].strip() == text and len(tokens["tokens"]) > 5


async def test_models(serve, stories):
    api = await serve("-m", stories, *BASIC)
    status, models = await api.told("/v1/models")
    assert status == 200 and [model["id"] for model in models["data"]] == ["tinyllama-2"]
    assert models["data"][0]["meta"]["n_ctx_train"] == api.state.model.hparams.n_ctx_train


@pytest.mark.parametrize("key, allowed", [("llama.cpp", True), ("hackeme", False), (None, False)])
@pytest.mark.parametrize("path, request_body", [("/completion", body("a", 1)), ("/v1/chat/completions", chat("a", "b", 1))])
async def test_keys(serve, stories, key, allowed, path, request_body):
    api = await serve("-m", stories, "--api-key", "llama.cpp", "-c", 256)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    status, answer = await api.ask(path, request_body, headers=headers)
    assert status == (200 if allowed else 401)
    if not allowed:
        assert answer == {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}


@pytest.mark.parametrize("origin", ["localhost", "web.mydomain.fr", "origin"])
async def test_cors_preflight(serve, stories, origin):
    api = await serve("-m", stories, "--api-key", "llama.cpp", "-c", 256)
    async with api.options("/v1/chat/completions", headers={"Authorization": "Bearer llama.cpp", "Origin": origin}) as r:
        assert r.status == 200
        found = {name: r.headers[f"Access-Control-Allow-{name}"] for name in ("Origin", "Credentials", "Methods", "Headers")}
    assert found == {"Origin": origin, "Credentials": "true", "Methods": "POST", "Headers": "*"}


FRANCE, GERMANY = '"What is the capital of France?"', '"What is the capital of Germany?"'


async def test_slot_save_and_restore(serve, stories, tmp_path):
    api = await serve("-m", stories, "-np", 2, "-c", 2048, "--slot-save-path", tmp_path)

    async def ask(prompt, slot):
        answer = await complete(api, prompt, 24, cache_prompt=True, id_slot=slot)
        assert answer["id_slot"] == slot and answer["tokens_predicted"] == 24
        return answer["timings"]["prompt_n"], answer["content"]

    first = await ask(FRANCE, 1)
    assert first[0] == 22 and matches("(Lily|cake)", first[1])
    status, saved = await api.ask("/slots/1?action=save", {"filename": "slot1.bin"})
    assert status == 200 and saved["n_saved"] == 45 and saved["n_written"] == (tmp_path / "slot1.bin").stat().st_size
    other = await ask(GERMANY, 1)
    assert other[0] == 7 and matches("(Thank|special)", other[1])
    status, restored = await api.ask("/slots/0?action=restore", {"filename": "slot1.bin"})
    assert status == 200 and (restored["n_restored"], restored["n_read"]) == (45, saved["n_written"])
    assert await ask(FRANCE, 0) == (1, first[1])
    assert await ask(GERMANY, 1) == (1, other[1])


async def test_slot_erase(serve, stories, tmp_path):
    api = await serve("-m", stories, "-np", 2, "-c", 2048, "--slot-save-path", tmp_path)
    first = await complete(api, FRANCE, 24, cache_prompt=True, id_slot=1)
    assert first["timings"]["prompt_n"] == 22
    assert await api.ask("/slots/1?action=erase") == (200, {"id_slot": 1, "n_erased": 45})
    again = await complete(api, FRANCE, 24, cache_prompt=True, id_slot=1)
    assert again["timings"]["prompt_n"] == 22 and again["content"] == first["content"]


async def test_two_completions_at_once(serve, random_256):
    api = await serve("-m", random_256, "-b", 128, "-c", 512, "-np", 2)
    running = [asyncio.ensure_future(complete(api, f"Write a story {i}", 128, ignore_eos=True)) for i in range(2)]
    while (await api.told("/health"))[1]["slots_processing"] < 2:
        assert not any(task.done() for task in running)
        await asyncio.sleep(0.001)
    status, health = await api.told("/health?fail_on_no_slot&include_slots")
    assert (status, health["slots_idle"], [slot["state"] for slot in health["slots"]]) == (503, 0, [1, 1])
    assert [answer["tokens_predicted"] for answer in await asyncio.gather(*running)] == [128, 128]
    assert (await api.told("/health"))[1]["slots_idle"] == 2


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
@pytest.mark.parametrize("stream, n_predict", [(False, 128), (True, 64)])
async def test_two_chats_at_once(serve, random_256, path, stream, n_predict):
    api = await serve("-m", random_256, "-b", 128, "-c", 512, "-np", 2)
    wanted = chat("You are a writer.", "Write a very long book.", n_predict, ignore_eos=True)
    if stream:
        for text in await asyncio.gather(*(api.events(path, wanted) for _ in range(2))):
            assert text.count(b"data: ") > 2 and f'"completion_tokens":{n_predict}'.encode() in text
    else:
        for _, answer in await asyncio.gather(*(api.ask(path, wanted) for _ in range(2))):
            assert answer["usage"]["completion_tokens"] == n_predict


async def test_more_requests_than_slots_and_cells(serve, random_256):
    api = await serve("-m", random_256, "-b", 128, "-c", 256, "-np", 2)
    answers = await asyncio.gather(*(complete(api, f"Write story {i}", 128, ignore_eos=True) for i in range(4)))
    assert [answer["tokens_predicted"] for answer in answers] == [128] * 4


@pytest.mark.parametrize("slots", (1, 2))
async def test_equal_seeds_give_equal_texts(serve, random_256, slots):
    api = await serve("-m", random_256, "-b", 128, "-c", 1024, "-n", 128, "-np", slots)
    answers = await asyncio.gather(*(complete(api, "Write a very long story.", 64, temperature=1.0) for _ in range(4)))
    assert len({answer["content"] for answer in answers}) == 1


async def test_other_seeds_give_other_texts(serve, random_256):
    api = await serve("-m", random_256, "-b", 128, "-c", 1024, "-n", 128, "-np", 2)
    answers = await asyncio.gather(*(complete(api, "Write a very long story.", 64, temperature=1.0, seed=seed)
                                     for seed in (42, 43, 44, 45)))
    assert len({answer["content"] for answer in answers}) == 4


@pytest.mark.parametrize("temperature, at_once", [(0.0, 1), (0.0, 2), (0.0, 4), (1.0, 1), (1.0, 4)])
async def test_texts_do_not_depend_on_the_batch(serve, random_256, temperature, at_once):
    alone = await serve("-m", random_256, "-c", 512, "-n", 48)
    expected = (await complete(alone, "Write a very long story.", 48, temperature=temperature))["content"]
    api = await serve("-m", random_256, "-c", 1024, "-n", 48, "-np", 4)
    answers = await asyncio.gather(*(complete(api, "Write a very long story.", 48, temperature=temperature)
                                     for _ in range(at_once)))
    assert {answer["content"] for answer in answers} == {expected}


@pytest.mark.parametrize("path, field", [("/embedding", "content"), ("/v1/embeddings", "input")])
async def test_embeddings(serve, random_256, path, field):
    api = await serve("-m", random_256, "--embeddings", "-c", 2048, "-np", 2, "-b", 1024, "-ub", 1024)
    prompts = ["Write a very long story about AI.", "Write another very long music lyrics.", "a", "b"]
    answers = await asyncio.gather(*(api.ask(path, {field: prompt, "model": "m"}) for prompt in prompts))
    for _, answer in answers:
        vector = answer["embedding"] if field == "content" else answer["data"][0]["embedding"]
        assert len(vector) == 256 and any(vector)


async def test_embeddings_of_a_list(serve, random_256):
    api = await serve("-m", random_256, "--embeddings", "-c", 2048, "-np", 2)
    _, answer = await api.ask("/v1/embeddings", {"input": ["a", "b"], "model": "m"})
    assert [(row["index"], row["object"]) for row in answer["data"]] == [(0, "embedding"), (1, "embedding")]
    assert answer["data"][0]["embedding"] != answer["data"][1]["embedding"]


async def test_equal_prompts_give_equal_embeddings(serve, random_256):
    api = await serve("-m", random_256, "--embeddings", "-c", 4096, "-np", 2, "-b", 1024, "-ub", 1024)
    answers = await asyncio.gather(*(api.ask("/embedding", {"content": "0" * 200}) for _ in range(10)))
    assert all(answer == answers[0] for answer in answers) and len(answers[0][1]["embedding"]) == 256


async def test_self_extend_answers_beyond_the_training_length(serve, stories):
    api = await serve("-m", stories, "-c", 3072, "-np", 3, "-gan", 4, "-gaw", 64, "-b", 128)
    prompt = "Once upon a time there was a little girl. " * 20
    for answer in await asyncio.gather(*(complete(api, prompt, 32, temperature=0.0) for _ in range(3))):
        assert answer["tokens_predicted"] == 32 and not answer["truncated"] and answer["tokens_evaluated"] > 200
        # what ./main -gan 4 -gaw 64 writes
        assert answer["content"] == "Every day, she would go to the park with her mommy and daddy. They were very happy and had a"


async def test_without_a_limit_the_training_length_ends_it(serve, stories):
    api = await serve("-m", stories, "-c", 256)
    answer = await complete(api, "Once upon a time", ignore_eos=True)
    assert answer["truncated"] and answer["stopped_limit"]
    assert answer["tokens_evaluated"] + answer["tokens_predicted"] == api.state.model.hparams.n_ctx_train
