"""What is done around every handler: keys, CORS, errors, the log; and how bodies are read and streams written."""

import asyncio
import hmac
from urllib.parse import urlsplit

from aiohttp import web

from .errors import ApiError
from .jsontext import dumps, loads, type_error
from .state import server_of

JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
FORM_LIMIT = 1 << 20
LARGE_BODY = 1 << 16   # bytes: what is larger is read on a thread of its own
NOT_LOGGED = {"/v1/health", "/v1/completions"}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}

# Paths that a key guards, whatever the method; slot actions too.
GUARDED = frozenset("""/props /completion /completions /v1/completions /chat/completions /v1/chat/completions /infill /tokenize
    /detokenize /embedding /embeddings /v1/embeddings /v1/models /slots /metrics""".split())
# Paths whose answers name the origin they may be read by.
SHARED = GUARDED - {"/slots", "/metrics"}


def is_slot_action(path):
    return path.startswith("/slots/")


@web.middleware
async def around(request, handler):
    """The outermost layer: answers even what no route takes."""
    server = server_of(request)
    response = None
    try:
        if (request.path in GUARDED or is_slot_action(request.path)) and not authorised(request, server):
            await drain(request)
            server.log.warn("operator()", "Unauthorized: Invalid API Key")
            raise ApiError("Invalid API Key", "authentication_error")
        response = preflight() if request.method == "OPTIONS" else await handler(request)
    except ApiError as error:
        response = error_response(error, server)
    except web.HTTPException as error:
        response = plain_error(error, server)
    except TimeoutError:                   # the body does not come
        response = web.Response(status=408, headers={"Connection": "close"})
    except ConnectionError:
        raise                              # nobody is left to be told
    except Exception as error:             # one request's bad luck is not the others'
        response = error_response(ApiError(f"{type(error).__name__}: {error}", "server_error"), server)
    finally:
        if response is not None:
            told(request, response, server)
    return response


def authorised(request, server):
    """Is one of the keys given? Each is compared in a time that tells nothing about it."""
    if not server.keys:
        return True
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    given = key.encode("utf-8", "surrogateescape")
    found = [hmac.compare_digest(given, wanted) for wanted in server.keys]
    return scheme == "Bearer" and any(found)


async def drain(request):
    """Read on what a refused client sends, so that the connection can be used again."""
    try:
        async with asyncio.timeout(5):
            await request.read()
    except (TimeoutError, web.HTTPException, ConnectionError):
        pass


def error_response(error, server):
    body = error.body(server.config.openai_strict)
    return web.Response(status=body["code"], body=dumps({"error": body}), headers={"Content-Type": JSON})


def plain_error(error, server):
    """404 and 405 in the API's form; 413 and the like without a body."""
    if error.status in (404, 405):
        return error_response(ApiError("File Not Found", "not_found_error"), server)
    return web.Response(status=error.status)


def preflight():
    return web.Response(headers={"Content-Type": JSON, "Access-Control-Allow-Credentials": "true",
                                 "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "*"})


async def on_prepare(request, response):
    """Headers of all answers, streams too."""
    response.headers["Server"] = "llama.cpp"
    if request.method == "OPTIONS" or request.path in SHARED or is_slot_action(request.path) or response.status == 401:
        response.headers["Access-Control-Allow-Origin"] = allowed_origin(request, server_of(request).config.cors)


def allowed_origin(request, listed):
    """The origin if it may read the answer, else "".

    By default that is a page of this machine. What is no URL comes from no browser, and is sent back as it came.
    """
    origin = request.headers.get("Origin", "")
    if any(c < " " or c > "~" for c in origin):
        return ""
    if "*" in listed or origin in listed:
        return origin
    if "://" not in origin:
        return "" if origin == "null" else origin
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return ""
    return origin if host in LOOPBACK and not listed else ""


def told(request, response, server):
    """The log line of a request. Header values, keys among them, are never in it."""
    if request.path in NOT_LOGGED:
        return
    peer = request.transport.get_extra_info("peername") if request.transport else None
    server.log.info("log_server_request", "request", {
        "remote_addr": peer[0] if peer else "", "remote_port": peer[1] if peer else -1, "status": response.status,
        "method": request.method, "path": request.path, "params": dict(request.query)})


# ---- bodies


async def read_json(request):
    """(value of the body, its size), whatever its Content-Type. Errors  ApiError, HTTPException (413)."""
    limit = FORM_LIMIT if request.content_type == FORM else None
    if limit and (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=request.content_length)
    if request.content_type.startswith("multipart/"):
        return loads(b""), 0
    async with asyncio.timeout(server_of(request).config.timeout):
        data = await request.read()
    if limit and len(data) > limit:
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=len(data))
    if len(data) <= LARGE_BODY:
        return loads(data), len(data)
    reader = server_of(request).reader     # others are served meanwhile
    return await asyncio.get_running_loop().run_in_executor(reader, loads, data), len(data)


async def read_object(request):
    """(dict, size). A body that is no object has no fields."""
    body, size = await read_json(request)
    return (body if isinstance(body, dict) else {}), size


def member(body, name, type, default):
    """A field that must have its type where it is there at all. Errors  ApiError."""
    value = body.get(name, default)
    if not isinstance(value, type):
        raise type_error({str: "string", list: "array"}[type], value)
    return value


# ---- answers


def json_response(value, content_type=JSON):
    return web.Response(body=dumps(value), headers={"Content-Type": content_type})


def strict_dump(value, text):
    """An answer that quotes bytes of the model: what is no UTF-8 is an error there. text: those bytes."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(f"[json.exception.type_error.316] invalid UTF-8 byte at index {error.start}: "
                       f"0x{text[error.start]:02X}", "server_error") from None
    return json_response(value)


async def send_events(request, events):
    """A stream of server-sent events; `events` yields their bytes. Ends quietly when the client has gone."""
    server = server_of(request)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    if request.version >= (1, 1):
        response.enable_chunked_encoding()
    try:
        await response.prepare(request)
        async for event in events:
            async with asyncio.timeout(server.config.timeout):
                await response.write(event)
        await response.write_eof()
    except (ConnectionError, TimeoutError):
        if request.transport:
            request.transport.abort()
    finally:
        await events.aclose()
    return response


def data_event(value):
    return b"data: " + dumps(value) + b"\n\n"


def error_event(error, server):
    return b"error: " + dumps(error.body(server.config.openai_strict)) + b"\n\n"
