"""From messages to an answer: formats, tools, JSON answers."""

import json
import secrets
from collections.abc import Generator
from typing import Any, cast

from ..errors import LlamacyError
from ..sampling import json_schema_to_grammar
from ..server import tools
from ..server.errors import ApiError
from ..server.jsontext import encode
from .completion import Answer, Frame
from .formats import ChatFormat
from .grammar import LlamaGrammar
from .types import ChatChunk, ChatCompletion, Finish, Messages


class Chat:
    """A request: its prompt (str), its grammar (or None) and what reads calls out of its answer.

    Errors  ValueError: messages, tools or formats that cannot be.
    """

    def __init__(self, form: ChatFormat, messages: Messages, body: dict[str, Any], grammar: LlamaGrammar | str | None) -> None:
        self.old = body.get("tools") is None and bool(body.get("functions"))      # the form of before tools
        asked = as_tools(body) if self.old else body
        try:
            self.tools = tools.wanted(asked)
            listed = tools.plain_messages(form, messages, self.tools)
            self.prompt: str = form.template.render(listed, asked.get("tools") if self.tools else None)
        except (ApiError, LlamacyError) as error:
            raise ValueError(str(error)) from None
        schema = schema_of(body.get("response_format"))
        if self.tools:
            if grammar is not None or schema is not None:
                raise ValueError("tools cannot be combined with grammar or response_format")
            native: dict[str, Any] = {}
            tools.constrain(native, self.tools, lambda wanted: json_schema_to_grammar(encode(wanted), form.warn))
            grammar = LlamaGrammar(native["grammar"])
        elif schema is not None:
            grammar = LlamaGrammar(json_schema_to_grammar(encode(schema), form.warn).decode())
        self.grammar = grammar

    def calls(self, text: str) -> list[dict[str, Any]] | None:
        """Tool calls in an answer; None: it is a text."""
        if not self.tools:
            return None
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return None
        names = [function["name"] for function in self.tools.functions]
        if not isinstance(found, dict) or found.get("name") not in names or "arguments" not in found:
            return None
        return [{"id": "call_" + secrets.token_hex(12), "type": "function",
                 "function": {"name": found["name"], "arguments": encode(found["arguments"])}}]

    def parted(self, answer: Answer) -> tuple[dict[str, Any], Finish]:
        """(what the message has besides its role, how it finished)."""
        calls = self.calls(answer.text)
        if not calls:
            return {"content": answer.text}, answer.reason
        if self.old:
            return {"content": None, "function_call": calls[0]["function"]}, "function_call"
        return {"content": None, "tool_calls": calls}, "tool_calls"


def as_tools(body: dict[str, Any]) -> dict[str, Any]:
    """`functions` and `function_call` in the form that followed them."""
    choice = body.get("function_call")
    if isinstance(choice, dict):
        choice = {"type": "function", "function": choice}
    return {"tools": [{"type": "function", "function": function} for function in body["functions"]], "tool_choice": choice}


def schema_of(wanted: Any) -> Any:
    """The schema of `response_format`; None: any text. Errors  ValueError."""
    if not wanted or wanted.get("type") == "text":
        return None
    if wanted.get("type") == "json_object":
        return wanted.get("schema") or {"type": "object"}
    if wanted.get("type") == "json_schema":
        inner = wanted.get("json_schema")
        return (inner.get("schema") if isinstance(inner, dict) else wanted.get("schema")) or {"type": "object"}
    raise ValueError(f"response_format: found type {wanted.get('type')!r}, expected text, json_object or json_schema")


def whole(chat: Chat, answer: Answer, frame: Frame) -> ChatCompletion:
    for _ in answer.pieces():
        pass
    content, reason = chat.parted(answer)
    choice = {"index": 0, "message": {"role": "assistant", **content}, "logprobs": answer.logprobs(), "finish_reason": reason}
    return cast(ChatCompletion, frame.dict("chat.completion", choice, answer))


def chunks(chat: Chat, answer: Answer, frame: Frame) -> Generator[ChatChunk, None, None]:
    """The answer as a stream. What may be a call is held back until it is known to be one."""
    yield chunk(frame, {"role": "assistant"})
    held, free = "", not chat.tools
    for piece in answer.pieces():
        held += piece
        free = free or held[:1] not in ("", "{")
        if free and held:
            yield chunk(frame, {"content": held}, answer.logprobs())
            held = ""
    content, reason = chat.parted(answer)
    if content["content"] is None:
        if "tool_calls" in content:
            content["tool_calls"] = [{"index": i, **call} for i, call in enumerate(content["tool_calls"])]
        del content["content"]
        yield chunk(frame, content)
    elif held:
        yield chunk(frame, {"content": held}, answer.logprobs())
    yield chunk(frame, {}, None, reason)


def chunk(frame: Frame, delta: dict[str, Any], logprobs: Any = None, reason: Finish = None) -> ChatChunk:
    choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
    return cast(ChatChunk, frame.dict("chat.completion.chunk", choice))
