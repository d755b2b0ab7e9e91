"""The server under load: tokens/s of one and of eight streams, and a stream's pauses while a long prompt arrives.

    python -m tests.bench serve MODEL.gguf [--threads 2] [--clients 8] [--tokens 64] [--prompt 2000] [--json]

The server runs in a process of its own; the clients are here. Also: memory per request (--soak N).
"""

import asyncio
import json
import time

import aiohttp

from tests.server.process import Running


async def stream(session, url, prompt, n, ticks=None):
    """Seconds of each token of a streamed completion of n tokens."""
    body = {"prompt": prompt, "n_predict": n, "ignore_eos": True, "temperature": 0, "stream": True}
    ticks = [] if ticks is None else ticks
    async with session.post(url + "/completion", json=body) as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                ticks.append(time.perf_counter())
    return ticks


async def throughput(session, url, clients, n):
    """Tokens per second of so many streams together, from the first token of any to the last."""
    runs = await asyncio.gather(*(stream(session, url, [1, 300 + i, 400], n) for i in range(clients)))
    first, last = min(run[0] for run in runs), max(run[-1] for run in runs)
    return clients * (n - 1) / (last - first)


def median(values):
    return sorted(values)[len(values) // 2]


def gaps(ticks):
    return [b - a for a, b in zip(ticks, ticks[1:])]


async def pauses(session, url, n_prompt):
    """Seconds: median between tokens when it is quiet, the same while a prompt is read, the longest then; and of reading it."""
    ticks = []
    running = asyncio.ensure_future(stream(session, url, [1, 300, 400], 100000, ticks))
    while len(ticks) < 24:
        await asyncio.sleep(0.01)
    quiet = median(gaps(ticks[4:]))
    start, seen = time.perf_counter(), len(ticks)
    body = {"prompt": [1] + [300 + i % 200 for i in range(n_prompt - 1)], "n_predict": 1}
    async with session.post(url + "/completion", json=body) as response:
        await response.read()
    took = time.perf_counter() - start
    running.cancel()
    return quiet, median(gaps(ticks[seen:])), max(gaps(ticks[seen:])), took


async def soak(session, running, n):
    """KiB of anonymous memory per request, after as many requests to warm up."""
    sizes = []
    for _ in range(2):
        sizes.append(running.anonymous())
        for at in range(0, n, 16):
            bodies = [{"prompt": f"request {i}", "n_predict": 4, "stream": i % 2 == 0} for i in range(at, at + 16)]
            await asyncio.gather(*(post(session, running.url + "/completion", json=body) for body in bodies))
    return (running.anonymous() - sizes[1]) / n


async def post(session, url, **body):
    async with session.post(url, **body) as response:
        await response.read()
        return response.status


async def measure(options, model):
    threads, clients, n = options["threads"], options["clients"], options["tokens"]
    n_ctx = 2 * (options["prompt"] + 1024)
    running = Running("-m", model, "-t", threads, "-np", clients, "-c", clients * max(n + 64, n_ctx // clients), "-ub", 512)
    found = {}
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(None)) as session:
            if options["soak"]:
                found["KiB per request"] = await soak(session, running, options["soak"])
            await stream(session, running.url, [1, 2], 4)
            found["one stream, tokens/s"] = await throughput(session, running.url, 1, n)
            found[f"{clients} streams, tokens/s"] = await throughput(session, running.url, clients, n)
    finally:
        running.end()
    running = Running("-m", model, "-t", threads, "-np", 2, "-c", n_ctx, "-ub", 512)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(None)) as session:
            quiet, beside, worst, took = await pauses(session, running.url, options["prompt"])
            found.update({"quiet pause, ms": 1000 * quiet, "pause beside a prompt, ms": 1000 * beside, "longest, ms": 1000 * worst,
                          "prompt read in, s": took})
    finally:
        running.end()
    return found


def main(argv):
    options = {"threads": 2, "clients": 8, "tokens": 64, "prompt": 2000, "soak": 0}
    words = [word for word in argv[2:] if word != "--json"]
    options.update({words[i].lstrip("-"): int(words[i + 1]) for i in range(0, len(words) - 1, 2)})
    found = asyncio.run(measure(options, argv[1]))
    many = f"{options['clients']} streams"
    found[f"RATIO {many} / one"] = found[f"{many}, tokens/s"] / found["one stream, tokens/s"]
    found["RATIO median pause / quiet"] = found["pause beside a prompt, ms"] / found["quiet pause, ms"]
    found["RATIO longest pause / quiet"] = found["longest, ms"] / found["quiet pause, ms"]
    if "--json" in argv:
        print(json.dumps(found))
        return 0
    for name, value in found.items():
        print(f"{name:<28} {value:10.3f}")
    return 0
