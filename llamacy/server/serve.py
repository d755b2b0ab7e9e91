"""The server as a process: socket, TLS, signals, and the order of events from start to end."""

import asyncio
import os
import signal
import socket
import ssl
import sys
import time

from aiohttp import web

from ..cli.log import write_stderr
from ..errors import LlamacyError, UsageError
from .app import create_app
from .state import LIVE

BACKLOG = 512
EXAMPLE = (("system", "You are a helpful assistant"), ("user", "Hello"), ("assistant", "Hi there"), ("user", "How are you?"))


def listen(host, port):
    """A listening socket on the first address that can be had. Errors  OSError."""
    last = OSError("no address")
    for family, kind, proto, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        sock = socket.socket(family, kind, proto)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
            return sock
        except OSError as error:
            sock.close()
            last = error
    raise last


def tls(config):
    """An SSLContext, None without the flags. Errors  UsageError."""
    if not config.ssl_key_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.ssl_cert_file, config.ssl_key_file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"--ssl-cert-file, --ssl-key-file: {error}") from None
    return context


def serve(config, sock, model, context, log, ssl_context=None):
    """Answer requests until a signal comes; then finish what runs. Returns the exit code."""
    return asyncio.run(main(config, sock, create_app(config, model, context, log), ssl_context))


async def main(config, sock, app, ssl_context):
    server = app[LIVE]
    # A body stays as it came: two megabytes that are packed well enough keep a server that unpacks busy for a minute.
    runner = web.AppRunner(app, auto_decompress=False, handler_cancellation=True, access_log=None, shutdown_timeout=5.0,
                           keepalive_timeout=75.0)
    await runner.setup()
    patience = asyncio.ensure_future(hang_up(lambda: runner.server.connections, config.timeout))
    try:
        server.log.info("main", "model loaded")
        tell_template(server)
        site = web.SockSite(runner, sock, ssl_context=ssl_context, backlog=BACKLOG)
        await site.start()
        tell_address(server, sock)
        server.log.info("update_slots", "all slots are idle")
        await until_signal()
        while server.engine.busy:          # answers that are under way, and those asked for meanwhile, are given
            await asyncio.sleep(0.01)
    finally:
        patience.cancel()
        await runner.cleanup()
    return 0


async def hang_up(connections, timeout):
    """Close connections on which no request is complete after `timeout` seconds: headers may come a byte at a time."""
    since = {}
    while True:
        await asyncio.sleep(min(timeout, 10))
        now = time.monotonic()
        waiting = {conn for conn in connections() if conn._current_request is None and conn.transport is not None}
        since = {conn: since.get(conn, now) for conn in waiting}
        for conn in [conn for conn in waiting if now - since[conn] >= timeout]:
            conn.transport.abort()


async def until_signal():
    """Wait for SIGINT or SIGTERM; a second one ends the process."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def on_signal():
        if asked.is_set():
            write_stderr(b"Received second interrupt, terminating immediately.\n")
            os._exit(1)
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    await asked.wait()


def tell_template(server):
    template = server.template
    if template.error:
        server.log.error("main", f"The chat template cannot be used, chats will be refused: {template.error}")
        return
    try:
        example = template.render([{"role": role, "content": content} for role, content in EXAMPLE])
    except LlamacyError as error:
        example = f"(the template refuses the example: {error})"
    server.log.info("main", "chat template", {"chat_example": example, "built_in": template.built_in})


def tell_address(server, sock):
    config, keys = server.config, server.config.api_keys
    shown = None
    if keys:
        shown = f"api_key: ****{keys[0][-4:]}" if len(keys) == 1 else f"api_key: {len(keys)} keys loaded"
    server.log.info("main", "HTTP server listening", {
        "n_threads_http": str(config.n_threads_http), "api_key": shown, "port": str(sock.getsockname()[1]),
        "hostname": config.host})


def warm_up(model, context):
    """Touch all weights once, so that the first request does not wait for the disk."""
    tokens = [id for id in (model.vocab.bos, model.vocab.eos) if 0 <= id < model.vocab.n_tokens] or [0]
    context.decode(tokens, 0)
    context.kv_clear()
    context.reset_timings()
    sys.stdout.flush()
