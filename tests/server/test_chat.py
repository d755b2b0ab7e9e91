"""/v1/chat/completions: fields, errors, tools, and --openai-strict with OpenAI's own client."""

import json

import pytest

from llamacy.server import tools

USER = [{"role": "user", "content": "Hello"}]
WEATHER = {"type": "function", "function": {"name": "weather", "description": "The weather of a place", "parameters": {
    "type": "object", "properties": {"place": {"enum": ["Rome", "Oslo"]}}, "required": ["place"]}}}
CLOCK = {"type": "function", "function": {"name": "clock"}}


async def ask(api, **body):
    return await api.ask("/v1/chat/completions", {"messages": USER, "max_tokens": 4, **body})


async def test_order_of_members(serve, stories):
    api = await serve("-m", stories, "-c", 512)
    _, answer = await ask(api, model="x")
    assert list(answer) == ["choices", "created", "model", "object", "usage", "id"] and answer["model"] == "x"
    assert list(answer["choices"][0]) == ["finish_reason", "index", "message"]
    assert answer["object"] == "chat.completion" and len(answer["id"]) == len("chatcmpl-") + 32
    verbose = await serve("-m", stories, "-c", 512, "-v")
    assert (await ask(verbose))[1]["__verbose"]["stop"] is True


@pytest.mark.parametrize("body, status, message", [
    ({"messages": "x"}, 500, "type must be array, but is string"), ({"n": 2}, 500, "Only one completion choice is allowed"),
    ({"messages": [5]}, 500, "type must be object, but is number"),
    ({"response_format": {"type": "xml"}}, 500, 'response_format type must be one of "text" or "json_object", but got: xml'),
    ({"top_logprobs": 3}, 500, "top_logprobs requires logprobs to be set to true"),
    ({"response_format": {"type": "json_object"}, "grammar": "root ::= \"a\""}, 400, "not both"),
    ({"tools": "x"}, 400, "must be an array"), ({"tools": [{"type": "function"}]}, 400, "must contain functions"),
    ({"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "other"}}}, 400, "names no function"),
    ({"tools": [CLOCK], "grammar": "root ::= \"a\""}, 400, "cannot be combined")])
async def test_refusals(serve, stories, body, status, message):
    api = await serve("-m", stories, "-c", 512)
    found, answer = await ask(api, **body)
    assert found == status and message in answer["error"]["message"], answer
    strict = await serve("-m", stories, "-c", 512, "--openai-strict")
    assert (await ask(strict, **body))[0] == 400


async def test_without_messages(serve, stories):
    api = await serve("-m", stories, "-c", 512)
    status, answer = await api.ask("/v1/chat/completions", {"prompt": "x"})
    assert status == 400 and answer["error"]["type"] == "invalid_request_error"
    assert (await ask(api, messages=[]))[0] == 200


async def test_fields(serve, stories):
    api = await serve("-m", stories, "-c", 512)
    assert (await ask(api, n_predict=2))[1]["usage"]["completion_tokens"] == 2
    _, answer = await ask(api, logprobs=False, top_logprobs=3)
    assert len(answer["completion_probabilities"][0]["probs"]) == 3    # the reference asks only whether the field is there
    _, answer = await ask(api, stop="e", max_tokens=30)
    assert "e" not in answer["choices"][0]["message"]["content"]
    parts = [{"type": "text", "text": "Hello"}]
    assert (await ask(api, messages=[{"role": "user", "content": parts}]))[1]["usage"] == (await ask(api))[1]["usage"]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
async def test_forced_tools(serve, stories, choice):
    api = await serve("-m", stories, "-c", 1024)
    _, answer = await ask(api, tools=[WEATHER], tool_choice=choice, max_tokens=200)
    message = answer["choices"][0]["message"]
    assert answer["choices"][0]["finish_reason"] == "tool_calls" and message["content"] is None
    call = message["tool_calls"][0]
    assert call["type"] == "function" and call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"])["place"] in ("Rome", "Oslo")


async def test_tools_by_choice_and_in_a_conversation(serve, stories):
    api = await serve("-m", stories, "-c", 1024)
    _, answer = await ask(api, tools=[WEATHER, CLOCK], max_tokens=40)
    message = answer["choices"][0]["message"]
    assert message.get("tool_calls") or not message["content"].startswith("{")
    call = {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    history = [*USER, {"role": "assistant", "content": None, "tool_calls": [call]},
               {"role": "tool", "tool_call_id": "call_1", "content": "12:00"}]
    status, answer = await ask(api, messages=history, tools=[CLOCK], tool_choice="none")
    assert status == 200 and "tool_calls" not in answer["choices"][0]["message"]


async def test_streamed_tools(serve, stories):
    api = await serve("-m", stories, "-c", 1024)
    text = await api.events("/v1/chat/completions", {"messages": USER, "tools": [WEATHER], "tool_choice": "required",
                                                     "max_tokens": 200})
    chunks = [json.loads(event[6:])["choices"][0] for event in text.decode().strip().split("\n\n")]
    assert [chunk["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["tool_calls"]
    first, *more = [chunk["delta"]["tool_calls"][0] for chunk in chunks[:-1]]
    assert first["index"] == 0 and first["type"] == "function" and first["id"].startswith("call_")
    assert first["function"] == {"name": "weather", "arguments": ""}
    assert len(more) > 2 and all(list(piece) == ["index", "function"] and list(piece["function"]) == ["arguments"] for piece in more)
    arguments = "".join(piece["function"]["arguments"] for piece in more)
    _, whole = await ask(api, tools=[WEATHER], tool_choice="required", max_tokens=200)
    assert whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == arguments
    assert json.loads(arguments)["place"] in ("Rome", "Oslo")


async def test_a_call_that_is_cut_off(serve, stories):
    api = await serve("-m", stories, "-c", 1024)
    _, whole = await ask(api, tools=[WEATHER], tool_choice="required", max_tokens=200)
    full = whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    cut = set()
    for n in range(1, whole["usage"]["completion_tokens"]):
        _, answer = await ask(api, tools=[WEATHER], tool_choice="required", max_tokens=n)
        choice = answer["choices"][0]
        if calls := choice["message"].get("tool_calls"):
            arguments = calls[0]["function"]["arguments"]
            assert full.startswith(arguments) and choice["finish_reason"] == ("tool_calls" if arguments == full else "length")
            cut.add(arguments)
        else:
            assert '{"name":"weather","arguments":'.startswith(choice["message"]["content"].replace(" ", ""))
    assert len(cut) > 4


@pytest.mark.parametrize("arguments, after", [
    ('{"a": "}\\"{", "b": [1, {}]}', "}"), ('"x, y}"', " }"), ("12.5", "}"), ("null", " }"), ("[]", "}"), ('{}', "")])
def test_calls_come_in_pieces_of_any_size(arguments, after):
    text = '{"name": "clock", "arguments": ' + arguments + after
    for size in (1, 2, 3, 7, 1000):
        reader = tools.Reader(tools.Tools([CLOCK["function"]], True))
        deltas = [delta for at in range(0, len(text), size) for delta in reader.feed(text[at:at + size])]
        pieces = [delta["tool_calls"][0]["function"]["arguments"] for delta in deltas]
        assert "".join(pieces).strip() == arguments == reader.arguments.strip() and reader.complete and not reader.rest()


def test_arguments_are_json_whatever_the_model_writes():
    reader = tools.Reader(tools.Tools([CLOCK["function"]], True))
    reader.feed('{"name": "clock", "arguments": {"a": "one\ntwo\t\x01"}}')
    assert json.loads(reader.arguments) == {"a": "one\ntwo\t\x01"} and reader.complete


def test_texts_that_are_no_calls():
    for text in ("Hello", "", '{"name": "other", "arguments": {}}', '{"nam', "{"):
        reader = tools.Reader(tools.Tools([CLOCK["function"]], False))
        deltas = [*(delta for c in text for delta in reader.feed(c)), *reader.rest()]
        assert "".join(delta["content"] for delta in deltas) == text and reader.calls() is None


async def test_probabilities_in_streams(serve, stories):
    api = await serve("-m", stories, "-c", 1024)
    text = await api.events("/v1/chat/completions", {"messages": USER, "max_tokens": 6, "n_probs": 2})
    chunks = [json.loads(event[6:]) for event in text.decode().strip().split("\n\n")]
    entries = [entry for chunk in chunks for entry in chunk.get("completion_probabilities", [])]
    _, whole = await ask(api, max_tokens=6, n_probs=2)
    assert entries == whole["completion_probabilities"] and len(entries) == 6


async def test_a_template_that_fails_refuses_the_request(serve, stories):
    api = await serve("-m", stories, "-c", 512, "--chat-template", "{% if messages|length > 1 %}{{ raise_exception('one only') }}"
                      "{% endif %}{{ messages[0].content }}")
    assert (await ask(api))[0] == 200
    status, answer = await ask(api, messages=USER * 2)
    assert status == 400 and answer["error"]["message"] == "one only"


@pytest.fixture
def openai():
    return pytest.importorskip("openai")


def client_of(openai, api):
    return openai.AsyncOpenAI(base_url=str(api.make_url("/v1")), api_key="none", max_retries=0)


async def test_openai_client(serve, stories, openai):
    api = await serve("-m", stories, "-c", 1024, "--openai-strict", "--embeddings", "-a", "tiny")
    async with client_of(openai, api) as client:
        chat = await client.chat.completions.create(model="tiny", messages=USER, max_tokens=5, logprobs=True, top_logprobs=2)
        assert chat.choices[0].finish_reason == "length" and chat.usage.completion_tokens == 5
        assert len(chat.choices[0].logprobs.content) == 5 and len(chat.choices[0].logprobs.content[0].top_logprobs) == 2
        stream = await client.chat.completions.create(model="tiny", messages=USER, max_tokens=5, stream=True,
                                                      stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == chat.choices[0].message.content and chunks[-1].usage.completion_tokens == 5
        assert chunks[0].choices[0].delta.role == "assistant"
        called = await client.chat.completions.create(model="tiny", messages=USER, tools=[WEATHER], tool_choice="required",
                                                      max_tokens=200)
        assert called.choices[0].message.tool_calls[0].function.name == "weather"
        stream = await client.chat.completions.create(model="tiny", messages=USER, tools=[WEATHER], tool_choice="required",
                                                      max_tokens=200, stream=True)
        pieces = [chunk.choices[0].delta.tool_calls[0] async for chunk in stream if chunk.choices[0].delta.tool_calls]
        assert (pieces[0].function.name, pieces[0].index) == ("weather", 0) and pieces[0].id and len(pieces) > 3
        assert "".join(piece.function.arguments for piece in pieces) == called.choices[0].message.tool_calls[0].function.arguments
        stream = await client.chat.completions.create(model="tiny", messages=USER, max_tokens=5, stream=True, logprobs=True,
                                                      top_logprobs=2)
        logged = [entry for chunk in [c async for c in stream] if chunk.choices[0].logprobs for entry in chunk.choices[0].logprobs.content]
        assert logged == chat.choices[0].logprobs.content
        plain = await client.completions.create(model="tiny", prompt="Once upon a time", max_tokens=8, temperature=0)
        assert plain.choices[0].text == ", there was a little girl" and plain.choices[0].finish_reason == "length"
        vectors = await client.embeddings.create(model="tiny", input=["a", "b"])
        assert len(vectors.data) == 2 and abs(sum(x * x for x in vectors.data[0].embedding) - 1) < 1e-4
        assert [model.id async for model in client.models.list()] == ["tiny"]
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="tiny", messages=USER, n=2)


async def test_openai_client_with_the_reference_s_ways(serve, stories, openai):
    api = await serve("-m", stories, "-c", 1024, "--api-key", "k")
    async with client_of(openai, api) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="x", messages=USER)
        client.api_key = "k"
        stream = await client.chat.completions.create(model="x", messages=USER, max_tokens=5, stream=True)
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].choices[0].finish_reason == "length"
