"""A server under 100 000 requests that are wrong in some way: what it answers, and that it still does.

    python -m tests.bench mutate [MODEL.gguf] [--requests 100000] [--clients 16] [--seed 1] [--json]

MODEL: none: tests/data/random-256-f16.gguf. The requests are those of tests/server/mutations.py. Prints how often each status
came, answers with an exception of Python's in them (there must be none), and memory; ends with 1 if anything is wrong.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from yarl import URL

from tests.server.mutations import request
from tests.server.process import Running
from tests.server.test_robust import EXCEPTION

MODEL = Path(__file__).resolve().parents[1] / "data" / "random-256-f16.gguf"


async def client(session, url, rng, n, statuses, wrong):
    for _ in range(n):
        method, path, headers, body = request(rng)
        try:
            async with session.request(method, URL(url + path, encoded=True), data=body, headers=headers) as response:
                text = await response.read()
        except aiohttp.ClientError as error:
            wrong.append(f"{method} {path} {body!r}: {type(error).__name__}: {error}")
            continue
        statuses[response.status] = statuses.get(response.status, 0) + 1
        if EXCEPTION.search(text):
            wrong.append(f"{method} {path} {body!r}: {text!r}")


async def measure(running, n, clients, seed):
    rng, statuses, wrong = random.Random(seed), {}, []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(120)) as session:
        rounds = []
        for _ in range(4):
            start, before = time.perf_counter(), running.anonymous()
            await asyncio.gather(*(client(session, running.url, rng, n // clients // 4, statuses, wrong) for _ in range(clients)))
            rounds.append((time.perf_counter() - start, running.anonymous() - before))
        async with session.get(running.url + "/health") as response:
            health = await response.json()
    if health["slots_processing"] or health["status"] != "ok":
        wrong.append(f"left over: {health}")
    return {"requests": sum(statuses.values()), "statuses": dict(sorted(statuses.items())),
            "requests per second": n / sum(seconds for seconds, _ in rounds), "KiB more in each quarter": [kib for _, kib in rounds],
            "wrong": wrong}


def main(argv):
    words = [word for word in argv[1:] if word != "--json"]
    model = words.pop(0) if words and not words[0].startswith("--") else MODEL
    options = {"requests": 100000, "clients": 16, "seed": 1}
    options.update({words[i].lstrip("-"): int(words[i + 1]) for i in range(0, len(words) - 1, 2)})
    with tempfile.TemporaryDirectory() as folder:
        running = Running("-m", model, "-c", 512, "-np", 8, "-n", 2, "-t", 1, "--embeddings", "--metrics", "--slot-save-path", folder)
        try:
            found = asyncio.run(measure(running, options["requests"], options["clients"], options["seed"]))
        finally:
            running.end()
    print(json.dumps(found) if "--json" in argv else "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 1 if found["wrong"] or running.process.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
