"""/embedding, /embeddings and /v1/embeddings."""

import base64
from array import array

from aiohttp import web

from . import fields as table
from .completion import is_number, tokens_of
from .errors import ApiError
from .http import json_response, read_object
from .jsontext import type_error
from .state import server_of
from .task import Task

REFUSAL = "This server does not support embeddings. Start it with `--embeddings`"
MODEL = "gpt-3.5-turbo-0613"


async def embeddings(request):
    server = server_of(request)
    if not server.config.embedding:
        return web.Response(status=501, text=REFUSAL)
    body, size = await read_object(request)
    if "input" not in body and "content" not in body:
        raise ApiError('"input" or "content" must be provided')
    openai = "input" in body
    prompts = inputs(body["input"]) if openai else [content(body["content"])]
    values = table.read({}, lambda name, kind: None)
    tasks = await server.prepare(size, lambda: [Task(tokens_of(server, p), values, p) for p in prompts])
    found = await server.answers(tasks)
    if not openai:
        if isinstance(found[0], BaseException):
            raise found[0]
        return json_response({"embedding": found[0].values})
    return json_response(listed(server, body, tasks, found))


def content(value):
    if not isinstance(value, str):
        raise type_error("string", value)
    return value


def inputs(value):
    """The prompts of `input`: a string, strings, ids, or arrays of ids. Errors  ApiError."""
    if value == []:
        raise ApiError('"prompt" cannot be an empty array')
    if isinstance(value, str) or (isinstance(value, list) and all(map(is_number, value))):
        return [value]
    if not isinstance(value, list) or len(value) > 2048:
        raise ApiError('"input" must be a string, an array of at most 2048 strings, or token ids')
    return value


def listed(server, body, tasks, found):
    encode = as_base64 if body.get("encoding_format") == "base64" and server.config.openai_strict else list
    data = [{"embedding": encode([] if isinstance(one, BaseException) else one.values), "index": i, "object": "embedding"}
            for i, one in enumerate(found)]
    n = sum(len(task.tokens) for task in tasks) if server.config.openai_strict else 0
    model = body.get("model")
    return {"model": model if isinstance(model, str) else MODEL, "object": "list",
            "usage": {"prompt_tokens": n, "total_tokens": n}, "data": data}


def as_base64(values):
    return base64.b64encode(array("f", values).tobytes()).decode()
