"""The engine's thread. It alone touches the context; all that happens to slots happens here, between two steps.

    requests --submit/cancel/call--> inbox --> waiting --> slots --> a step: one batch of tokens of all slots --> events

A step takes a token of each slot that generates first; prompts share what is left of its budget, the oldest request first.
While others generate, the budget for prompts is small (pace.py): a long prompt does not freeze the others. What a request
gets does not depend on that, as logits do not depend on the batch.
"""

from collections import deque
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter

from ..errors import ContextFull, LlamacyError
from .embed import Embedder
from .errors import ApiError
from .generate import absorb
from .pace import Pace
from .slot import Slot

FULL = "Input prompt is too big compared to KV size. Please try increasing KV size."


class Engine:
    """Slots and the thread that works for them.

    model, context   context has an output row and a sequence for each slot.  config: see state.py
    loop             the event loop that gets the events
    """

    def __init__(self, model, context, config, log, metrics, loop):
        self.model, self.context, self.config, self.log, self.metrics, self.loop = model, context, config, log, metrics, loop
        extend = (config.grp_attn_n, config.grp_attn_w) if config.grp_attn_n > 1 else None
        self.slots = [Slot(i, context.n_ctx // config.n_parallel, extend) for i in range(config.n_parallel)]
        self.adds_bos = model.vocab.main_add_bos()
        self.system = []                   # tokens before every prompt
        self.waiting = deque()
        self.inbox = SimpleQueue()
        self.outbox = []
        self.pace = Pace()
        self.running = ()                  # tasks whose prompts are in the step that is running
        self.stopping = False
        self.embedder = Embedder(model, config) if config.embedding else None
        self.thread = Thread(target=self.run, name="engine", daemon=True)

    # ---- from the event loop

    def start(self):
        self.thread.start()

    def submit(self, task):
        self.inbox.put(lambda: self.waiting.append(task))

    def cancel(self, task):
        """The client has gone. The slot is free after the micro-batch that is running."""
        task.cancelled = True
        if task in self.running:
            self.context.abort()
        self.inbox.put(self.drop_cancelled)

    def call(self, function):
        """Run function() between two steps; an asyncio future of what it returns."""
        future = self.loop.create_future()

        def work():
            try:
                result, error = function(), None
            except Exception as exc:       # goes to whoever waits
                result, error = None, exc
            self.post(lambda: settle(future, result, error))

        self.inbox.put(work)
        return future

    def stop(self):
        """End the thread after the step that is running."""
        self.stopping = True
        self.context.abort()
        self.inbox.put(lambda: None)
        self.thread.join()

    @property
    def busy(self):
        return bool(self.waiting) or not self.inbox.empty() or any(slot.task for slot in self.slots)

    # ---- the thread

    def run(self):
        while not self.stopping:
            try:
                self.turn()
            except Exception as error:     # a defect here must not leave all clients waiting for ever
                self.start_anew(error)
        for slot in self.slots:
            if slot.task:
                self.fail(slot, ApiError("the server is shutting down", "unavailable_error"))
        self.deliver()

    def turn(self):
        self.take(wait=not self.can_step())
        self.assign()
        if self.can_step():
            self.step()
        self.deliver()

    def start_anew(self, error):
        """Something went wrong that nobody foresaw: what runs fails, what is cached is forgotten."""
        self.log.error("update_slots", "the engine failed", {"error": f"{type(error).__name__}: {error}"})
        for slot in self.slots:
            if slot.task:
                self.fail(slot, ApiError(f"the engine failed: {type(error).__name__}: {error}", "server_error"))
            slot.forget(self.context)
        self.deliver()

    def can_step(self):
        return any(slot.task and not slot.waits for slot in self.slots) or (
            bool(self.waiting) and any(slot.idle for slot in self.slots))

    def take(self, wait):
        """Do what the event loop has asked for."""
        # A slot that waits for its client is looked at again and again: nobody tells when the client has read.
        pause = 0.02 if any(slot.task for slot in self.slots) else None
        try:
            self.inbox.get(wait, pause)()
            while True:
                self.inbox.get_nowait()()
        except Empty:
            pass

    def drop_cancelled(self):
        self.waiting = deque(task for task in self.waiting if not task.cancelled)
        for slot in self.slots:
            if slot.task and slot.task.cancelled:
                slot.release()
                self.tell_release(slot)

    def assign(self):
        """Give waiting requests to idle slots, in the order in which they came."""
        while self.waiting and any(slot.idle for slot in self.slots):
            task = self.waiting.popleft()
            slot = self.choose(task)
            slot.launch(task, self.system, self.context)
            self.metrics.queued(task.queued_ms)
            self.log.info("launch_slot_with_task", "slot is processing task", {"id_slot": slot.id, "id_task": task.id})
            if not task.embedding:
                self.log.info("update_slots", "kv cache rm [p0, end)",
                              {"id_slot": slot.id, "id_task": task.id, "p0": len(slot.tokens)})
                if not slot.pending:
                    self.log.info("update_slots", "empty prompt - releasing slot", {"id_slot": slot.id, "id_task": task.id})
                    self.finish(slot)

    def choose(self, task):
        """The slot that was asked for if it is idle; else the one that knows most of the prompt; else the longest idle."""
        idle = [slot for slot in self.slots if slot.idle]
        for slot in idle:
            if slot.id == task.fields["id_slot"]:
                return slot
        idle.sort(key=lambda slot: slot.released)
        if task.embedding or not task.fields["cache_prompt"]:
            return idle[0]
        tokens = self.system + task.tokens
        known = {slot.id: slot.common(tokens) if slot.reusable else 0 for slot in idle}
        best = max(idle, key=lambda slot: known[slot.id])    # the first of equals
        return best if known[best.id] > len(self.system) + 1 else idle[0]

    # ---- a step

    def step(self):
        self.prepare()
        generating = [slot for slot in self.slots if slot.generating and not slot.waits]
        prompts = self.chunks(generating)
        if not generating and not prompts:
            self.embed_one()
            return
        tokens, positions, seqs, want = self.batch(generating, prompts)
        self.running = {slot.task for slot, _ in prompts}
        start = perf_counter()
        try:
            self.context.decode_batch(tokens, positions, seqs, want)
        except KeyboardInterrupt:          # a client has gone in the middle: the others' tokens are done again
            self.drop_cancelled()
            return
        except ContextFull:
            self.make_room(generating, prompts)
            return
        except (LlamacyError, ValueError, MemoryError) as error:
            for slot in [*generating, *(slot for slot, _ in prompts)]:
                self.fail(slot, ApiError(f"the engine failed: {error}", "server_error"))
            return
        finally:
            self.running = ()
        self.pace.learn(perf_counter() - start, len(generating), len(tokens) - len(generating))
        self.absorb(generating, prompts)
        self.embed_one()

    def prepare(self):
        """Make room in full slots."""
        for slot in self.slots:
            if slot.task is None or slot.task.embedding:
                continue
            told = slot.shift(self.context, self.adds_bos)
            if told:
                self.log.info("update_slots", "slot context shift", {
                    "id_slot": slot.id, "id_task": slot.id_task, **told, "n_past": len(slot.tokens) - slot.n_system,
                    "n_system_tokens": slot.n_system, "n_cache_tokens": len(slot.tokens)})
            slot.regroup(self.context)

    def chunks(self, generating):
        """[(slot, tokens)]: what prompts put into this step."""
        left = self.pace.budget(len(generating), min(self.context.n_batch, self.context.n_ubatch)) - len(generating)
        found = []
        reading = [s for s in self.slots if s.task and not s.generating and not s.task.embedding]
        for slot in sorted(reading, key=lambda slot: slot.id_task):
            n = min(max(left, 0), len(slot.pending) - len(slot.tokens))
            if slot.extend:
                n = min(n, slot.extend.room(slot.pos))
            if n > 0:
                at = len(slot.tokens)
                found.append((slot, slot.pending[at:at + n]))
                left -= n
        return found

    def batch(self, generating, prompts):
        tokens, positions, seqs, want = [], [], [], bytearray()
        for slot, chunk in [*((slot, [slot.last]) for slot in generating), *prompts]:
            tokens += chunk
            positions += range(slot.pos, slot.pos + len(chunk))
            seqs += [slot.id] * len(chunk)
            want += bytes(len(chunk) - 1)
            want.append(slot.generating or len(slot.tokens) + len(chunk) == len(slot.pending))
        return tokens, positions, seqs, want

    def absorb(self, generating, prompts):
        """After a step: what is in the cache now, and the tokens that the logits give."""
        row = 0
        for slot in generating:
            slot.grown([slot.last])
            self.sample(slot, row)
            row += 1
        for slot, chunk in prompts:
            slot.grown(chunk)
            if len(slot.tokens) == len(slot.pending):
                slot.generating = True
                self.sample(slot, row)
                row += 1

    def sample(self, slot, row):
        if slot.task.cancelled:
            return
        try:
            event = absorb(self, slot, self.context.output(row))
        except (LlamacyError, ValueError, MemoryError) as error:
            self.fail(slot, ApiError(f"the engine failed: {error}", "server_error"))
            return
        if event is not None:
            self.send(slot.task, event)
        if not slot.has_next:
            self.finish(slot)

    def make_room(self, generating, prompts):
        """The cache is full, which only self-extend can bring about: idle slots forget, or the largest request fails."""
        idle = [slot for slot in self.slots if slot.idle and slot.tokens]
        if idle:
            for slot in idle:
                slot.forget(self.context)
            return
        slots = [*generating, *(slot for slot, _ in prompts)]
        slot = max(slots, key=lambda slot: len(slot.tokens))
        self.log.error("update_slots", "failed to decode the batch: KV cache is full - try increasing it via the context size",
                       {"i": 0, "n_batch": len(slots), "ret": 1})
        self.fail(slot, ApiError(FULL, "server_error"))
        slot.forget(self.context)

    def embed_one(self):
        for slot in self.slots:
            if slot.task and slot.task.embedding:
                task = slot.task
                try:
                    vector = self.embedder.vector(task.tokens)
                except (LlamacyError, ValueError, MemoryError, KeyboardInterrupt) as error:
                    self.fail(slot, ApiError(f"the engine failed: {error}", "server_error"))
                    return
                slot.release()
                self.tell_release(slot)
                self.send(task, vector)
                return

    # ---- endings

    def finish(self, slot):
        task, answer = slot.finish()
        self.metrics.finished(answer)
        self.tell_timings(slot, answer)
        self.tell_release(slot)
        self.send(task, answer)

    def fail(self, slot, error):
        self.log.error("send_error", "task error", {"id_multi": -1, "id_task": slot.id_task, "error": error.message})
        task = slot.release()
        self.tell_release(slot)
        self.send(task, error)

    def tell_timings(self, slot, answer):
        t = answer.timing
        who = {"id_slot": slot.id, "id_task": slot.id_task}
        rows = (("prompt eval time     = %10.2f ms / %5d tokens (%8.2f ms per token, %8.2f tokens per second)", t.prompt_ms,
                 t.n_prompt, {"t_prompt_processing": t.prompt_ms, "n_prompt_tokens_processed": t.n_prompt}),
                ("generation eval time = %10.2f ms / %5d runs   (%8.2f ms per token, %8.2f tokens per second)",
                 t.predicted_ms, t.n_predicted, {"t_token_generation": t.predicted_ms, "n_decoded": t.n_predicted}))
        for form, ms, n, extras in rows:
            per_token, per_second = ms / n if n else 0.0, 1000 * n / ms if ms else 0.0
            self.log.info("print_timings", form % (ms, n, per_token, per_second),
                          {**who, **extras, "t_token": per_token, "n_tokens_second": per_second})
        total = t.prompt_ms + t.predicted_ms
        self.log.info("print_timings", "          total time = %10.2f ms" % total,
                      {**who, "t_prompt_processing": t.prompt_ms, "t_token_generation": t.predicted_ms, "t_total": total})

    def tell_release(self, slot):
        self.log.info("update_slots", "slot released", {
            "id_slot": slot.id, "id_task": slot.id_task, "n_ctx": self.context.n_ctx,
            "n_past": len(slot.tokens) - slot.n_system, "n_system_tokens": slot.n_system, "n_cache_tokens": len(slot.tokens),
            "truncated": slot.truncated})
        if not any(s.task for s in self.slots):
            self.log.info("update_slots", "all slots are idle")

    # ---- events

    def send(self, task, event):
        task.unread += 1
        self.outbox.append((task, event))

    def deliver(self):
        """Hand over all events of a step at once: waking the event loop costs a system call."""
        if self.outbox:
            events, self.outbox = self.outbox, []
            self.post(lambda: hand_over(events))

    def post(self, function):
        try:
            self.loop.call_soon_threadsafe(function)
        except RuntimeError:               # the loop is closed: nobody is left to be told
            pass


def hand_over(events):
    for task, event in events:
        task.put(event)


def settle(future, result, error):
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
