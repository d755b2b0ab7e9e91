"""A task: one completion or one embedding on its way through the engine, and what comes out of it."""

import asyncio
from itertools import count
from time import perf_counter

ids = count()


class Partial:
    """A token has been chosen. content: bytes that may go out now; probs: what has been recorded for it, or None."""

    __slots__ = ("content", "probs", "id_slot")

    def __init__(self, content, probs, id_slot):
        self.content, self.probs, self.id_slot = content, probs, id_slot


class Task:
    """What the engine needs to know of a request. Made on the event loop, run on the engine's thread.

    prompt   as the client sent it.  tokens: its ids
    fields   the values of fields.py.  stop: [bytes]
    sampler  Sampler, None for an embedding.  rng: the Mt19937 that Mirostat draws from
    events   asyncio.Queue of Partial, then an Answer, a Vector or an ApiError
    """

    def __init__(self, tokens, fields, prompt=None, params=None, sampler=None, rng=None, stop=(), want_partials=False):
        self.id = next(ids)
        self.tokens, self.fields, self.prompt = tokens, fields, prompt
        self.params, self.sampler, self.rng, self.stop = params, sampler, rng, stop
        self.want_partials = want_partials
        self.settings = None
        self.cancelled = False
        self.unread = 0                    # events that the client has not taken in
        self.started = perf_counter()
        self.queued_ms = 0.0
        self.events = asyncio.Queue()

    @property
    def embedding(self):
        return self.sampler is None

    def put(self, event):
        """On the event loop."""
        self.events.put_nowait(event)

    async def get(self):
        event = await self.events.get()
        self.unread -= 1
        return event


class Vector:
    """The answer to a request for an embedding: float32 numbers; empty: the prompt was too long."""

    def __init__(self, values):
        self.values = values


class Timing:
    """Moments of a slot's work in seconds, counts, and the milliseconds that the API tells."""

    def __init__(self):
        self.begin = perf_counter()
        self.first = self.end = 0.0
        self.n_prompt = self.n_predicted = 0

    @property
    def prompt_ms(self):
        return max(0.0, 1000 * (self.first - self.begin)) if self.first else 0.0

    @property
    def predicted_ms(self):
        return max(0.0, 1000 * (self.end - self.first)) if self.first else 0.0

    def body(self):
        out = {}
        for name, n, ms in (("prompt", self.n_prompt, self.prompt_ms), ("predicted", self.n_predicted, self.predicted_ms)):
            ms = round(ms, 3)
            out[f"{name}_n"] = n
            out[f"{name}_ms"] = ms
            out[f"{name}_per_token_ms"] = ms / n if n else None
            out[f"{name}_per_second"] = 1000 * n / ms if ms else None
        return out


class Answer:
    """A finished completion: what slot and task were when it ended."""

    def __init__(self, slot, task):
        out = slot.out
        self.task = task
        self.id_slot = slot.id
        self.text = bytes(out.text)
        self.n_predicted, self.n_evaluated = slot.n_decoded, slot.n_prompt
        self.n_cached = max(0, len(slot.tokens) - slot.n_system)
        self.truncated, self.n_keep = slot.truncated, slot.n_keep
        self.stopped_eos, self.stopped_limit, self.stopped_word = slot.stopped_eos, slot.stopped_limit, out.stopped
        self.word = out.word
        self.timing = slot.timing
        self.probs = slot.probs
