"""Memory of a server that works for long."""

import asyncio
import os

import aiohttp
import pytest

from tests.server.process import Running

BODIES = (
    ("/completion", {"prompt": "request {}", "n_predict": 4}), ("/completion", {"prompt": "request {}", "n_predict": 4, "stream": True}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "{}"}], "max_tokens": 3, "stream": True, "n_probs": 2}),
    ("/completion", {"prompt": "{}", "n_predict": 6, "json_schema": {"type": "integer"}, "cache_prompt": True}),
    ("/tokenize", {"content": "request {}"}), ("/embedding", {"content": "{}"}), ("/completion", {"prompt": 5}), ("/nothing", {}))


async def ask(session, url, i):
    path, body = BODIES[i % len(BODIES)]
    body = {name: value.format(i) if isinstance(value, str) else value for name, value in body.items()}
    async with session.post(url + path, json=body) as response:
        await response.read()
        return response.status


async def requests(url, n):
    async with aiohttp.ClientSession() as session:
        found = []
        for at in range(0, n, 16):
            found += await asyncio.gather(*(ask(session, url, i) for i in range(at, at + 16)))
    return found


@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer keeps for a while what has been freed")
def test_two_thousand_requests_leave_nothing_behind(random_256):
    server = Running("-m", random_256, "-t", "1", "-c", 1024, "-np", 4, "--embeddings", "--metrics")
    try:
        sizes = []
        for n in (1200, 2000):                                         # the first to warm up
            statuses = asyncio.run(requests(server.url, n))
            sizes.append(server.anonymous())
            assert [statuses.count(status) for status in (200, 400, 404)] == [n * 6 // 8, n // 8, n // 8]
        assert sizes[1] - sizes[0] < 2000, f"{sizes[0]} KiB, then {sizes[1]}"
    finally:
        assert server.end() == 0
