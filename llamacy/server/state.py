"""What all handlers share: the settings, the model, the engine, and ways to run a request through it."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from .engine import Engine
from .errors import ApiError
from .log import ServerLog
from .metrics import Metrics
from .task import Answer, Partial, Vector
from .templates import ChatTemplate

SMALL_BODY = 4096      # bytes: what is smaller is prepared on the event loop
SLOW_FIELDS = ("grammar", "json_schema", "response_format", "tools")
LIVE = web.AppKey("live", "Server")


class Server:
    """config: a ServerParams (cli/server_params.py); model, context: of llamacy.engine, with a row of logits per slot.

    Attributes  vocab, engine, log, metrics, template; system: {"prompt", "anti_prompt", "assistant_name"}
    """

    def __init__(self, config, model, context, log=None):
        self.config, self.model, self.context = config, model, context
        self.vocab = model.vocab
        self.log = log or ServerLog(config.log_format, config.verbose)
        self.metrics = Metrics()
        self.keys = [key.encode("utf-8", "surrogateescape") for key in config.api_keys]
        self.template = ChatTemplate(config.chat_template, model.gguf.get("tokenizer.chat_template"),
                                     self.special(model.vocab.bos), self.special(model.vocab.eos))
        self.started = time.monotonic()
        self.system = {"prompt": "", "anti_prompt": "", "assistant_name": ""}
        self.pool = ThreadPoolExecutor(1, "prepare")
        self.reader = ThreadPoolExecutor(1, "json")
        self.engine = None

    def special(self, id):
        return self.vocab.text(id).decode("utf-8", "replace") if id >= 0 else ""

    def open(self, loop):
        """Start the engine; from here on requests can be answered."""
        slots = {"n_slots": self.config.n_parallel}
        self.log.info("init", "initializing slots", slots)
        self.engine = Engine(self.model, self.context, self.config, self.log, self.metrics, loop)
        for slot in self.engine.slots:
            self.log.info("init", "new slot", {"id_slot": slot.id, "n_ctx_slot": slot.n_ctx})
            if slot.extend_sizes:
                self.log.info("init", "slot self-extend", {"id_slot": slot.id, "ga_n": slot.extend_sizes[0],
                                                           "ga_w": slot.extend_sizes[1]})
        if self.config.system_prompt:
            self.set_system(self.config.system_prompt)
        self.engine.start()

    def close(self):
        self.engine.stop()
        self.pool.shutdown()
        self.reader.shutdown()
        if self.engine.embedder:
            self.engine.embedder.close()

    def set_system(self, system):
        """What comes before every prompt from now on; requests that run keep what they began with."""
        self.system = system
        text = system["prompt"].encode()
        tokens = self.vocab.tokenize(text, self.engine.adds_bos, False) if text else []
        most = self.engine.slots[0].n_ctx - 16
        if len(tokens) > most:
            raise ApiError(f"the system prompt has {len(tokens)} tokens, expected at most {max(0, most)}")
        self.engine.system = tokens

    async def prepare(self, size, function, body=()):
        """function(), on a thread of its own if that may take time: a large body, or one with a grammar."""
        if size <= SMALL_BODY and not any(name in body for name in SLOW_FIELDS):
            return function()
        return await asyncio.get_running_loop().run_in_executor(self.pool, function)

    async def events(self, task):
        """Run a task: Partials, then its Answer or Vector. A client that leaves ends it. Errors  ApiError."""
        done = False
        self.engine.submit(task)
        try:
            while not done:
                event = await task.get()
                done = not isinstance(event, Partial)
                if isinstance(event, ApiError):
                    raise event
                yield event
        finally:
            if not done:
                self.engine.cancel(task)

    async def answer(self, task):
        """The Answer or Vector of a task."""
        events = self.events(task)
        try:
            async for event in events:
                if isinstance(event, (Answer, Vector)):
                    return event
        finally:
            await events.aclose()

    async def answers(self, tasks):
        """[Answer, Vector or ApiError] of several tasks, in their order. If one waits in vain, all end."""
        running = [asyncio.ensure_future(self.answer(task)) for task in tasks]
        try:
            return await asyncio.gather(*running, return_exceptions=True)
        finally:
            for future in running:
                future.cancel()


def server_of(request):
    return request.app[LIVE]
