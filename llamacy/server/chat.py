"""/v1/chat/completions: OpenAI's form of a request, as llama.cpp understands it, with tools."""

import time

from . import completion, tools
from .answers import final, probabilities
from .errors import ApiError, mistake
from .http import data_event, error_event, json_response, read_object, send_events
from .native import DONE, apply_system, new_id, only
from .state import server_of
from .task import Partial
from .templates import TemplateError
from .text import decoded

NO_MESSAGES = 'Either "prompt" or "messages" must be provided'


async def chat(request):
    server = server_of(request)
    body, size = await read_object(request)
    streams = body.get("stream") is True
    reply = Reply(server, body, streams)
    try:
        task = await server.prepare(size, lambda: make(server, body, reply, streams), body)
    except ApiError as error:
        if not streams or error.type == "server_error" or server.config.openai_strict:
            raise
        return await send_events(request, only(error_event(error, server)))
    if streams:
        return await send_events(request, reply.events(task))
    return json_response(reply.whole(await server.answer(task)))


def make(server, body, reply, streams):
    """The task of a chat request. Errors  ApiError."""
    if "messages" not in body:
        raise ApiError(NO_MESSAGES)
    reply.tools = tools.wanted(body)
    messages = tools.plain_messages(server, body["messages"], reply.tools)
    native = native_body(server, body)
    if reply.tools:
        tools.constrain(native, reply.tools, lambda schema: completion.schema_grammar(schema, server.log))
    apply_system(server, native)
    try:
        native["prompt"] = server.template.render(messages, body.get("tools") if reply.tools else None)
    except TemplateError as error:
        raise ApiError(str(error)) from None
    grammar = completion.grammar_of(native, server.log)
    tokens = completion.tokens_of(server, native["prompt"])
    return completion.make(server, native, native["prompt"], tokens, grammar, streams)


def native_body(server, body):
    """The fields of §8 that a chat request stands for. Errors  ApiError."""
    native = {key: value for key, value in body.items() if key not in ("messages", "prompt", "tools", "tool_choice")}
    for name, default in (("temperature", 0.0), ("top_p", 1.0)):
        if not completion.is_number(native.get(name)):
            native[name] = default
    limit = next((body[name] for name in ("n_predict", "max_tokens", "max_completion_tokens")
                  if completion.is_number(body.get(name))), -1)
    native["n_predict"] = limit
    if isinstance(body.get("stop"), str):
        native["stop"] = [body["stop"]]
    response_format(server, body.get("response_format"), native)
    choices = body.get("n", 1)
    if completion.is_number(choices) and choices != 1:
        raise mistake("Only one completion choice is allowed")
    probabilities_wanted(server, body, native)
    if server.config.openai_strict and isinstance(body.get("logit_bias"), dict):
        native["logit_bias"] = [[int(id), bias] for id, bias in body["logit_bias"].items() if id.isdecimal() and len(id) < 10]
    return native


def response_format(server, wanted, native):
    """`response_format` -> `json_schema`."""
    if not isinstance(wanted, dict):
        return
    type = wanted.get("type")
    if type == "json_object":
        native["json_schema"] = wanted.get("schema", {})
    elif type == "json_schema":
        inner = wanted.get("json_schema")
        native["json_schema"] = inner.get("schema", {}) if isinstance(inner, dict) else wanted.get("schema", {})
    elif isinstance(type, str) and type not in ("", "text"):
        raise mistake(f'response_format type must be one of "text" or "json_object", but got: {type}')


def probabilities_wanted(server, body, native):
    """`logprobs` and `top_logprobs` -> `n_probs`. The reference asks only whether `logprobs` is there."""
    top = body.get("top_logprobs")
    wanted = "logprobs" in body and (body["logprobs"] is True or not server.config.openai_strict)
    if wanted:
        native["n_probs"] = top if completion.is_number(top) else 20
    elif completion.is_number(top) and not ("logprobs" in body and server.config.openai_strict):
        raise mistake("top_logprobs requires logprobs to be set to true")


class Reply:
    """The answer to one chat request, whole or in chunks."""

    def __init__(self, server, body, streams):
        self.server = server
        self.id, self.created = new_id("chatcmpl-"), int(time.time())
        self.model = body["model"] if isinstance(body.get("model"), str) else "unknown"
        self.strict = server.config.openai_strict
        self.logprobs = self.strict and body.get("logprobs") is True
        options = body.get("stream_options")
        self.tells_usage = isinstance(options, dict) and options.get("include_usage") is True
        self.tools = None

    def whole(self, answer):
        text = decoded(answer.text)
        reader = self.reader()
        if reader:
            reader.feed(text)
        message = {"content": text, "role": "assistant"}
        if reader and reader.name:
            message = {"content": None, "role": "assistant", "tool_calls": reader.calls()}
        reason = self.reason(answer, reader) if self.strict or reader and reader.name else "stop"
        choice = {"finish_reason": reason, "index": 0, "message": message}
        if self.logprobs:
            choice["logprobs"] = {"content": [openai_logprob(entry) for entry in answer.probs]}
        body = {"choices": [choice], "created": self.created, "model": self.model, "object": "chat.completion",
                "usage": usage(answer), "id": self.id}
        if self.server.config.verbose:
            body["__verbose"] = final(self.server, answer)
        if answer.task.fields["n_probs"] > 0:
            body["completion_probabilities"] = probabilities(self.server, answer, False)
        return {**body, **left_out(answer)}

    def reader(self):
        return tools.Reader(self.tools) if self.tools else None

    def reason(self, answer, reader):
        if reader and reader.name:
            return "tool_calls" if reader.complete else "length"
        short = answer.stopped_limit and not (self.strict and (answer.stopped_eos or answer.stopped_word))
        return "length" if short else "stop"

    def chunk(self, delta, reason=None, probs=(), **more):
        """probs: what has been recorded for the tokens since the last chunk, in OpenAI's form only if that was asked for."""
        choice = {"finish_reason": reason, "index": 0, "delta": delta}
        if probs and self.logprobs:
            choice["logprobs"] = {"content": [openai_logprob(entry) for entry in probs]}
        elif probs:
            more["completion_probabilities"] = probs
        return data_event({"choices": [choice], "created": self.created, "id": self.id, "model": self.model,
                           "object": "chat.completion.chunk", **more})

    async def events(self, task):
        events, reader, probs = self.server.events(task), self.reader(), []
        try:
            if self.strict:
                yield self.chunk({"role": "assistant", "content": ""})
            async for event in events:
                if not isinstance(event, Partial):
                    for last in self.endings(event, reader, [] if event.stopped_word else probs):
                        yield last
                    continue
                probs += [event.probs] if event.probs else []
                text = decoded(event.content)
                for delta in reader.feed(text) if reader else [{"content": text}] if text else []:
                    yield self.chunk(delta, None, probs)
                    probs = []
        except ApiError as error:
            yield error_event(error, self.server)
        finally:
            await events.aclose()

    def endings(self, answer, reader, probs):
        """The chunks after the text."""
        for delta in reader.rest() if reader else []:
            yield self.chunk(delta, None, probs)
            probs = []
        reason = self.reason(answer, reader)
        if not self.strict:
            yield self.chunk({}, reason, probs, usage=usage(answer), **left_out(answer))
            return
        yield self.chunk({}, reason, probs)
        if self.tells_usage:
            yield data_event({"choices": [], "created": self.created, "id": self.id, "model": self.model,
                              "object": "chat.completion.chunk", "usage": usage(answer)})
        yield DONE


def left_out(answer):
    """A part of the conversation did not fit: told only where it is so, as the reference has no member for it."""
    return {"truncated": True} if answer.truncated else {}


def usage(answer):
    made, asked = answer.n_predicted, answer.n_evaluated
    return {"completion_tokens": made, "prompt_tokens": asked, "total_tokens": made + asked}


def openai_logprob(entry):
    from math import log

    def one(token, p):
        return {"token": token, "logprob": log(p) if p > 0 else -9999.0, "bytes": list(token.encode())}

    tops = [one(top["tok_str"], top["prob"]) for top in entry["probs"]]
    chosen = next((top["prob"] for top in entry["probs"] if top["tok_str"] == entry["content"]), 0.0)
    return {**one(entry["content"], chosen), "top_logprobs": tops}
