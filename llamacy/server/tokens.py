"""/tokenize and /detokenize."""

from .completion import is_number
from .http import json_response, member, read_object, strict_dump
from .jsontext import type_error
from .state import server_of


async def tokenize(request):
    server = server_of(request)
    body, size = await read_object(request)
    content = body.get("content", [])
    if not isinstance(content, (str, list)):
        raise type_error("string", content)
    parts = [content] if isinstance(content, str) else content

    def ids():
        found = []
        for part in parts:
            if isinstance(part, str):
                found += server.vocab.tokenize(part.encode(), False, True)
            elif is_number(part):
                found.append(int(part))
            else:
                raise type_error("number", part)
        return found

    return json_response({"tokens": await server.prepare(size, ids)})


async def detokenize(request):
    server = server_of(request)
    body, _ = await read_object(request)
    ids = member(body, "tokens", list, [])
    for id in ids:
        if not is_number(id):
            raise type_error("number", id)
    text = b"".join(server.vocab.piece(int(id), True) for id in ids if 0 <= id < server.vocab.n_tokens)
    return strict_dump({"content": text.decode("utf-8", "replace")}, text)
