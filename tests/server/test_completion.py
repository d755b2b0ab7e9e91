"""/completion: fields, answers, streams, against the reference's own transcripts."""

import json

import pytest

ONCE = {"prompt": "Once upon a time", "n_predict": 8, "temperature": 0}
MEMBERS = ["content", "id_slot", "stop", "model", "tokens_predicted", "tokens_evaluated", "generation_settings", "prompt",
           "truncated", "stopped_eos", "stopped_word", "stopped_limit", "stopping_word", "tokens_cached", "timings"]
SETTINGS = {
    "n_ctx": 256, "n_predict": -1, "model": "M", "seed": 4294967295, "temperature": 0.0, "dynatemp_range": 0.0,
    "dynatemp_exponent": 1.0, "top_k": 40, "top_p": 0.949999988079071, "min_p": 0.05000000074505806, "tfs_z": 1.0,
    "typical_p": 1.0, "repeat_last_n": 64, "repeat_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "penalty_prompt_tokens": [], "use_penalty_prompt_tokens": False, "mirostat": 0, "mirostat_tau": 5.0,
    "mirostat_eta": 0.10000000149011612, "penalize_nl": False, "stop": [], "n_keep": 0, "n_discard": 0, "ignore_eos": False,
    "stream": False, "logit_bias": [], "n_probs": 0, "min_keep": 0, "grammar": "",
    "samplers": ["top_k", "tfs_z", "typical_p", "top_p", "min_p", "temperature"], "temp": 0.0}


def parts(text):
    """The JSON of a stream's events."""
    assert text.endswith(b"\n\n")
    events = text.decode()[:-2].split("\n\n")
    assert all(event.startswith("data: ") for event in events), text
    return [json.loads(event[6:]) for event in events]


async def test_answer_of_the_reference(serve, stories):
    api = await serve("-m", stories, "-c", 256, "-a", "M")
    status, answer = await api.ask("/completion", ONCE)
    assert status == 200 and list(answer) == MEMBERS
    assert answer["content"] == ", there was a little girl" and answer["prompt"] == ONCE["prompt"]
    assert list(answer["generation_settings"]) == list(SETTINGS)
    assert answer["generation_settings"] == {**SETTINGS, "n_predict": 8}
    assert (answer["tokens_predicted"], answer["tokens_evaluated"], answer["tokens_cached"]) == (8, 5, 12)
    assert (answer["stop"], answer["stopped_limit"], answer["stopped_eos"], answer["stopped_word"]) == (True, True, False, False)
    assert list(answer["timings"]) == [f"{kind}_{what}" for kind in ("prompt", "predicted")
                                       for what in ("n", "ms", "per_token_ms", "per_second")]


async def test_stream_of_the_reference(serve, stories):
    api = await serve("-m", stories, "-c", 256, "-a", "M")
    text = await api.events("/completion", {"prompt": "a", "n_predict": 1, "temperature": 0})
    assert text.startswith(b'data: {"content":" little","stop":false,"id_slot":0,"multimodal":false}\n\n'
                           b'data: {"content":"","id_slot":0,"stop":true,"model":"M",')
    assert b"[DONE]" not in text


async def test_probabilities_of_the_reference(serve, stories):
    api = await serve("-m", stories, "-c", 256)
    first, *_, last = parts(await api.events("/completion", {**ONCE, "n_probs": 2}))
    assert first["completion_probabilities"] == [{"content": ",", "probs": [
        {"tok_str": ",", "prob": pytest.approx(0.9688053131103516, rel=1e-5)},
        {"tok_str": " there", "prob": pytest.approx(0.028720194473862648, rel=1e-5)}]}]
    assert len(last["completion_probabilities"]) == 8


async def test_stream_and_whole_answer_are_one_text(serve, stories):
    api = await serve("-m", stories, "-c", 256)
    for more in ({}, {"stop": ["ittle"]}, {"stop": [" girl named"]}, {"temperature": 1.5, "seed": 3, "n_predict": 60}):
        _, whole = await api.ask("/completion", {**ONCE, **more})
        events = parts(await api.events("/completion", {**ONCE, **more}))
        assert "".join(event["content"] for event in events) == whole["content"], more
        assert events[-1]["stop"] and events[-1]["content"] == ""


async def test_stop_words(serve, stories):
    api = await serve("-m", stories, "-c", 256)
    _, answer = await api.ask("/completion", {**ONCE, "n_predict": 20, "stop": ["nothing", "ittle"], "n_probs": 1})
    assert answer["content"] == ", there was a l" and answer["stopping_word"] == "ittle"
    assert answer["stopped_word"] and not answer["stopped_limit"]
    assert len(answer["completion_probabilities"]) < answer["tokens_predicted"]
    _, empty = await api.ask("/completion", {**ONCE, "stop": [""]})
    assert (empty["content"], empty["tokens_predicted"], empty["stopped_word"]) == ("", 1, True)
    _, bare = await api.ask("/completion", {**ONCE, "stop": "ittle"})
    assert not bare["stopped_word"]


@pytest.mark.parametrize("n_predict, n", [(0, 1), (-2, 1), (1, 1), (5, 5), (3.9, 3), (True, 1)])
async def test_n_predict(serve, stories, n_predict, n):
    api = await serve("-m", stories, "-c", 256)
    assert (await api.ask("/completion", {**ONCE, "n_predict": n_predict}))[1]["tokens_predicted"] == n


@pytest.mark.parametrize("field, value", [
    ("top_k", "many"), ("temperature", "0.8f"), ("seed", [42]), ("stream", 1), ("n_probs", {}), ("penalize_nl", "yes"),
    ("samplers", "top_k"), ("logit_bias", {"5": 1}), ("stop", 7), ("grammar", 5), ("penalty_prompt", 5), ("cache_prompt", "x")])
async def test_wrong_types_mean_the_default(serve, stories, field, value):
    api = await serve("-m", stories, "-c", 256, "-a", "M")
    status, answer = await api.ask("/completion", {"prompt": "a", "n_predict": 1, field: value})
    assert status == 200
    _, plain = await api.ask("/completion", {"prompt": "a", "n_predict": 1})
    assert answer["generation_settings"] == plain["generation_settings"]


@pytest.mark.parametrize("extremes", [
    {"top_k": 10**30, "seed": -1}, {"top_p": 1e300}, {"temperature": 1e39}, {"repeat_penalty": 0}, {"mirostat": 2, "temperature": 1},
    {"mirostat": 1, "temperature": 1}, {"n_keep": 10**12}, {"n_discard": -5}, {"min_keep": 10**12}, {"n_probs": 10**12},
    {"repeat_last_n": 10**12}, {"dynatemp_range": 5}, {"samplers": []}, {"samplers": ["temperature"] * 9},
    {"logit_bias": [[0, False], ["a", 1e39], [-1, 2], [10**12, 1], [1], 7, [True, 1]]}, {"id_slot": 99}, {"typical_p": -1},
    {"tfs_z": -1}, {"tfs_z": 0.5, "temperature": 1.0}, {"penalty_prompt": [1, 2, -3, 10**12, "x"]}, {"temperature": -1}])
async def test_extreme_values_are_no_danger(serve, stories, extremes):
    api = await serve("-m", stories, "-c", 256)
    status, answer = await api.ask("/completion", {"prompt": "a b c", "n_predict": 3, **extremes})
    assert status == 200 and answer["tokens_predicted"] >= 1, answer


async def test_prompts_of_all_forms(serve, stories):
    api = await serve("-m", stories, "-c", 256)

    async def n(prompt):
        status, answer = await api.ask("/completion", {**ONCE, "prompt": prompt, "n_predict": 1})
        assert status == 200 and answer.get("prompt", prompt) == prompt, answer
        return answer["tokens_evaluated"]

    assert await n("Once upon a time") == 5 == await n(["Once upon a time"])
    assert await n([5]) == 1 and await n([1, 403, 407]) == 3
    assert await n(["Once", 403]) == await n("Once") + 1
    assert await n("") == 1 and await n([1, "Once"]) == await n("Once")


async def test_several_prompts(serve, stories):
    api = await serve("-m", stories, "-c", 512, "-np", 2)
    prompts = ["Once upon a time", "The cat", [1, 403], "a"]
    status, answer = await api.ask("/completion", {**ONCE, "prompt": prompts})
    assert status == 200 and [a["prompt"] for a in answer["results"]] == prompts
    assert answer["results"][0]["content"] == ", there was a little girl"
    events = parts(await api.events("/completion", {**ONCE, "prompt": ["Once upon a time", "The cat"]}))
    assert [a["content"] for a in events[-1]["results"]] == [a["content"] for a in answer["results"][:2]]


@pytest.mark.parametrize("body, message", [
    ({}, 'Either "prompt" or "messages" must be provided'), ([], 'Either "prompt" or "messages" must be provided'),
    ({"prompt": []}, '"prompt" cannot be an empty array'),
    ({"prompt": "a", "grammar": "root ::= ("}, "Failed to parse grammar"),
    ({"prompt": "a", "grammar": "x ::= \"a\""}, "Failed to parse grammar"),
    ({"prompt": "a", "grammar": "root ::= \"a\"", "json_schema": {}},
     'Either "json_schema" or "grammar" can be specified, but not both'),
    ({"prompt": "a", "json_schema": {"type": "string", "pattern": "x"}},
     '"json_schema": JSON schema conversion failed:\nPattern must start with \'^\' and end with \'$\'')])
async def test_refusals(serve, stories, body, message):
    api = await serve("-m", stories, "-c", 256)
    assert await api.ask("/completion", body) == (400, {"error": {"code": 400, "message": message,
                                                                  "type": "invalid_request_error"}})
    if isinstance(body, dict):
        text = await api.events("/completion", body)
        assert text.startswith(b"error: ") and json.loads(text[7:]) == {"code": 400, "message": message,
                                                                        "type": "invalid_request_error"}


@pytest.mark.parametrize("prompt", [5, None, True, {}, [None], [["a", "b"]], [["a", ["b"]], "c"], [5000], [-1], [1, 10**30], [1e400, 2]])
async def test_prompts_that_crash_the_reference(serve, stories, prompt):
    api = await serve("-m", stories, "-c", 256)
    status, answer = await api.ask("/completion", {"prompt": prompt, "n_predict": 1})
    assert status in (400, 500) and answer["error"]["message"]
    assert (await api.told("/health"))[0] == 200


async def test_grammar_and_schema(serve, stories):
    api = await serve("-m", stories, "-c", 256)
    _, answer = await api.ask("/completion", {**ONCE, "grammar": 'root ::= "yes" | "no"'})
    assert answer["content"] in ("yes", "no") and answer["stopped_eos"]
    _, answer = await api.ask("/completion", {**ONCE, "n_predict": 20, "json_schema": {"type": "boolean"}})
    assert answer["content"].strip() in ("true", "false")
    assert answer["generation_settings"]["grammar"] == 'root ::= ("true" | "false") space\nspace ::= " "?\n'
    _, answer = await api.ask("/completion", {**ONCE, "grammar": None, "json_schema": {"type": "boolean"}})
    assert answer["generation_settings"]["grammar"] == ""


async def test_logit_bias_and_ignore_eos(serve, stories):
    api = await serve("-m", stories, "-c", 256)
    _, plain = await api.ask("/completion", ONCE)
    _, other = await api.ask("/completion", {**ONCE, "logit_bias": [[5, False], [",", -100.0]], "ignore_eos": True})
    assert other["content"] != plain["content"] and "," not in other["content"]
    settings = other["generation_settings"]
    assert settings["ignore_eos"] and [5, None] in settings["logit_bias"] and [2, None] in settings["logit_bias"]


async def test_prompt_cache(serve, stories):
    api = await serve("-m", stories, "-c", 512, "-np", 2)
    cached = {**ONCE, "cache_prompt": True}
    first = (await api.ask("/completion", cached))[1]
    again = (await api.ask("/completion", cached))[1]
    assert again["id_slot"] == first["id_slot"]                        # the slot that knows the prompt
    assert (first["timings"]["prompt_n"], again["timings"]["prompt_n"]) == (5, 1)
    assert again["content"] == first["content"]
    longer = (await api.ask("/completion", {**cached, "prompt": ONCE["prompt"] + first["content"] + " who"}))[1]
    assert longer["id_slot"] == first["id_slot"] and longer["timings"]["prompt_n"] < longer["tokens_evaluated"] - 8
    fresh = (await api.ask("/completion", {**ONCE, "id_slot": first["id_slot"]}))[1]
    assert fresh["timings"]["prompt_n"] == 5


@pytest.mark.parametrize("n_keep, expected", [(0, 150), (20, 190), (-1, 254)])
async def test_long_prompts(serve, stories, n_keep, expected):
    api = await serve("-m", stories, "-c", 256)
    tokens = [1] + [5 + i % 400 for i in range(661)]
    _, answer = await api.ask("/completion", {**ONCE, "prompt": tokens, "n_keep": n_keep})
    assert answer["truncated"] and answer["tokens_evaluated"] == expected
    kept = {0: 0, 20: 20, -1: 252}[n_keep]
    assert answer["generation_settings"]["n_keep"] == kept


@pytest.mark.parametrize("more, shift", [
    ({}, {"n_keep": 1, "n_left": 254, "n_discard": 127}), ({"n_keep": -1}, {"n_keep": 6, "n_left": 249, "n_discard": 124}),
    ({"n_discard": 40}, {"n_keep": 1, "n_left": 254, "n_discard": 40}),
    ({"n_discard": 10**6}, {"n_keep": 1, "n_left": 254, "n_discard": 253})])
async def test_context_shift(serve, stories, more, shift):
    api = await serve("-m", stories, "-c", 256)
    _, answer = await api.ask("/completion", {**ONCE, "n_predict": 300, "ignore_eos": True, **more})
    assert answer["truncated"] and answer["tokens_predicted"] == 300
    told = [json.loads(line) for line in api.lines if b"slot context shift" in line]
    assert told and {name: told[0][name] for name in shift} == shift


async def test_system_prompt(serve, stories):
    api = await serve("-m", stories, "-c", 256)
    system = {"prompt": "Once upon", "anti_prompt": "User:", "assistant_name": "Bot:"}
    _, answer = await api.ask("/completion", {**ONCE, "prompt": " a time", "system_prompt": system})
    assert answer["tokens_evaluated"] == 3
    _, props = await api.told("/props")
    assert (props["user_name"], props["assistant_name"], props["total_slots"]) == ("User:", "Bot:", 1)
    assert props["default_generation_settings"]["seed"] == -1 and props["default_generation_settings"]["stream"] is True
    await api.ask("/completion", {**ONCE, "system_prompt": {}})
    assert (await api.ask("/completion", ONCE))[1]["content"] == ", there was a little girl"
    for bad in (5, "x", {"prompt": 3}):
        assert (await api.ask("/completion", {**ONCE, "system_prompt": bad}))[0] == 400
    assert (await api.ask("/completion", {**ONCE, "system_prompt": None}))[0] == 200


async def test_infill(serve, stories):
    api = await serve("-m", stories, "-c", 256)
    body = {"input_prefix": "Once", "input_suffix": " time", "prompt": "", "n_predict": 4, "temperature": 0}
    status, answer = await api.ask("/infill", body)
    assert status == 200 and answer["tokens_predicted"] == 4
    assert (await api.ask("/infill", {"input_prefix": "a", "input_suffix": "b"}))[0] == 400
    assert (await api.ask("/infill", {"prompt": "", "input_prefix": 5, "n_predict": 1}))[0] == 200
    assert await api.events("/infill", {"input_prefix": "a"}) == b""


async def test_openai_text_completions(serve, stories):
    api = await serve("-m", stories, "-c", 256, "-a", "M")
    _, answer = await api.ask("/v1/completions", {"prompt": "Once upon a time", "max_tokens": 8, "temperature": 0})
    assert answer["content"] == answer["choices"][0]["text"] == ", there was a little girl"
    assert answer["choices"][0]["finish_reason"] == "length" and answer["object"] == "text_completion"
    assert answer["usage"] == {"completion_tokens": 8, "prompt_tokens": 5, "total_tokens": 13}
    events = parts(await api.events("/v1/completions", {"prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}))
    assert "".join(e["choices"][0]["text"] for e in events) == ", there was a little girl"
    assert [e["choices"][0]["finish_reason"] for e in events] == [None] * 8 + ["length"]
