"""/completion, /completions, /v1/completions and /infill."""

import secrets
import string
import time
from itertools import chain

from . import completion
from .answers import Partials, final
from .errors import ApiError
from .http import data_event, error_event, json_response, read_object, send_events
from .infill import infill_tokens
from .state import server_of
from .task import Partial

CODE = string.digits + string.ascii_letters
DONE = b"data: [DONE]\n\n"


def new_id(prefix):
    return prefix + "".join(secrets.choice(CODE) for _ in range(32))


async def complete(request):
    """The native form."""
    return await run(request, lambda server, body, prompt: completion.tokens_of(server, prompt), lambda body: None)


async def complete_v1(request):
    """The native form with what OpenAI's clients look for beside it."""
    return await run(request, lambda server, body, prompt: completion.tokens_of(server, prompt), OpenAIText)


async def infill(request):
    return await run(request, infill_tokens, lambda body: None, silent=True)


async def run(request, tokenize, dress, silent=False):
    """silent: a stream with an error just ends."""
    server = server_of(request)
    body, size = await read_object(request)
    outfit = dress(body)
    streams = body.get("stream") is True
    try:
        tasks, several = await server.prepare(size, lambda: tasks_of(server, body, tokenize, streams), body)
    except ApiError as error:
        if not streams or server.config.openai_strict:
            raise
        return await send_events(request, only(b"" if silent else error_event(error, server)))
    if streams:
        events = stream_all(server, tasks, outfit) if several else stream(server, tasks[0], outfit, silent)
        return await send_events(request, events)
    if not several:
        return json_response(dressed(outfit, final(server, await server.answer(tasks[0]))))
    return json_response(await results(server, tasks, outfit))


def tasks_of(server, body, tokenize, streams):
    """Tasks of a body, and whether it asks for several. Errors  ApiError."""
    apply_system(server, body)
    grammar = completion.grammar_of(body, server.log)
    found, several = completion.prompts(body)
    if len(found) > 1024:
        raise ApiError(f'"prompt" has {len(found)} prompts, expected at most 1024')
    return [completion.make(server, body, prompt, tokenize(server, body, prompt), grammar, streams and not several)
            for prompt in found], several


def apply_system(server, body):
    system = body.get("system_prompt")
    if system is None:
        return
    names = ("prompt", "anti_prompt", "assistant_name")
    if not isinstance(system, dict) or not all(isinstance(system.get(name, ""), str) for name in names):
        raise ApiError('"system_prompt" must be an object of strings')
    server.set_system({name: system.get(name, "") for name in names})


async def stream(server, task, outfit, silent):
    partials = Partials(server, task)
    events = server.events(task)
    try:
        async for event in events:
            if isinstance(event, Partial):
                yield data_event(dressed(outfit, partials.event(event)))
            else:
                body = final(server, event, content="", streamed=True)
                yield data_event(dressed(outfit, body, streamed=True))
                if server.config.openai_strict:
                    yield DONE
    except ApiError as error:
        if not silent:
            yield error_event(error, server)
    finally:
        await events.aclose()


async def results(server, tasks, outfit):
    """Several prompts: all answers, in the order of the prompts."""
    found = await server.answers(tasks)
    bodies = [failure(server, a) if isinstance(a, BaseException) else final(server, a) for a in found]
    return dressed(outfit, {"results": bodies})


def failure(server, error):
    if not isinstance(error, ApiError):
        error = ApiError(f"{type(error).__name__}: {error}", "server_error")
    return error.body(server.config.openai_strict)


async def stream_all(server, tasks, outfit):
    """A stream for several prompts is one event with all answers."""
    yield data_event(await results(server, tasks, outfit))
    if server.config.openai_strict:
        yield DONE


async def only(event):
    if event:
        yield event


def dressed(outfit, body, streamed=False):
    return outfit.add(body, streamed) if outfit else body


class OpenAIText:
    """Members of OpenAI's text completions, beside the native ones. One for each request."""

    def __init__(self, body):
        self.id, self.created = new_id("cmpl-"), int(time.time())
        limit = body.get("max_tokens")
        if "n_predict" not in body and completion.is_number(limit):
            body["n_predict"] = limit
        if isinstance(body.get("stop"), str):
            body["stop"] = [body["stop"]]
        self.echo = body.get("prompt") if body.get("echo") is True and isinstance(body.get("prompt"), str) else ""

    def add(self, body, streamed):
        parts = body.get("results", [body])
        good = [part for part in parts if "content" in part]
        choices = [self.choice(i, part) for i, part in enumerate(parts) if "content" in part]
        out = {**body, "id": self.id, "object": "text_completion", "created": self.created, "choices": choices}
        if good and "tokens_predicted" in good[0]:
            asked, made = (sum(part[name] for part in good) for name in ("tokens_evaluated", "tokens_predicted"))
            out["usage"] = {"completion_tokens": made, "prompt_tokens": asked, "total_tokens": asked + made}
            out.setdefault("model", good[0]["model"])
        return out

    def choice(self, index, part):
        text = part["content"] if part["stop"] is False or not part["content"] else self.echo + part["content"]
        return {"text": text, "index": index, "logprobs": logprobs(part), "finish_reason": finish_reason(part)}


def finish_reason(part):
    if not part["stop"]:
        return None
    return "length" if part["stopped_limit"] and not (part["stopped_eos"] or part["stopped_word"]) else "stop"


def logprobs(part):
    """OpenAI's form of the probabilities."""
    from math import log
    entries = part.get("completion_probabilities")
    if not entries:
        return None
    tops = [{p["tok_str"]: log(p["prob"]) if p["prob"] > 0 else -1e4 for p in entry["probs"]} for entry in entries]
    tokens = [entry["content"] for entry in entries]
    offsets = list(chain([0], (sum(map(len, tokens[:i + 1])) for i in range(len(tokens) - 1))))
    return {"tokens": tokens, "token_logprobs": [top.get(token, -1e4) for token, top in zip(tokens, tops)],
            "top_logprobs": tops, "text_offset": offsets}
