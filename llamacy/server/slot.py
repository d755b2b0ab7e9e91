"""A slot: a sequence of the cache, what it holds, and the request it works for."""

from time import perf_counter

from .task import Answer, Timing
from .text import TextOut

MOST_UNREAD = 512      # events that a slow client may leave behind before its slot waits for it


class SelfExtend:
    """Positions in groups of n: a window of w positions counts as w / n once the text has passed it."""

    def __init__(self, n, w):
        self.n, self.w, self.done = n, w, 0

    def room(self, pos):
        """Tokens until the next window is full. Grouping happens there, wherever batches end."""
        return self.done + self.w - pos

    def regroup(self, context, seq, pos):
        """Group the windows that are full; return the new position."""
        n, w = self.n, self.w
        while pos >= self.done + w:
            spread = n * self.done // w * (w // n) * (n - 1)
            context.kv_shift(seq, self.done, pos, spread)
            context.kv_divide(seq, self.done + spread, self.done + spread + w, n)
            context.kv_shift(seq, self.done + spread + w, pos + spread, w // n - spread - w)
            pos -= w // n * (n - 1)
            self.done += w // n
        return pos


class Slot:
    """Only the engine's thread changes a slot; others may look.

    tokens   what the cache holds for this sequence, the system prompt included
    exact    so many of them have the keys and values that a fresh evaluation would give (a context shift ends that)
    pos      position of the next token: len(tokens) without self-extend
    pending  tokens of the prompt, the system prompt included; all are evaluated once `tokens` has reached their number
    """

    def __init__(self, id, n_ctx, extend=None):
        self.id, self.n_ctx = id, n_ctx
        self.extend_sizes = extend
        self.task = None
        self.id_task = -1
        self.released = -1.0
        self.prompt, self.settings = None, None
        self.tokens, self.exact, self.pos = [], 0, 0
        self.reusable = False
        self.extend = None
        self.reset()

    def reset(self):
        """What belongs to one request."""
        self.pending, self.n_prompt, self.n_system = [], 0, 0
        self.last, self.n_decoded, self.budget = -1, 0, -1
        self.truncated = self.stopped_eos = self.stopped_limit = False
        self.out = TextOut()
        self.probs = []
        self.timing = Timing()
        self.latest = 0.0                  # when the last token was chosen
        self.generating = False
        self.has_next = False
        self.n_keep = 0

    @property
    def idle(self):
        return self.task is None

    @property
    def waits(self):
        """The client is slow: nothing more is made for it now."""
        return self.generating and self.task.unread > MOST_UNREAD

    def common(self, tokens):
        """How many of these tokens are in the cache already, from the start."""
        n = 0
        for mine, wanted in zip(self.tokens[:self.exact], tokens):
            if mine != wanted:
                break
            n += 1
        return n

    def forget(self, context, keep=0):
        """Keep the first tokens only."""
        context.kv_remove(self.id, keep if keep else -1, -1)
        del self.tokens[keep:]
        self.exact = min(self.exact, keep)
        self.pos = keep
        self.extend = SelfExtend(*self.extend_sizes) if self.extend_sizes else None

    def launch(self, task, system, context):
        """Take a request on. system: tokens before every prompt."""
        self.reset()
        self.task, self.id_task, self.prompt, self.settings = task, task.id, task.prompt, task.settings
        task.queued_ms = 1000 * (perf_counter() - task.started)
        if task.embedding:
            return
        self.n_system = len(system)
        tokens = self.truncate(task.tokens, task.fields["n_keep"])
        self.n_prompt = len(tokens)
        self.pending = system + tokens
        self.out = TextOut(task.stop)
        self.forget(context, self.reuse(task, system))
        self.exact = len(self.tokens)
        self.reusable = task.fields["cache_prompt"] and not self.extend
        self.has_next = True

    def reuse(self, task, system):
        """How many tokens of the cache serve this request."""
        if self.extend_sizes:
            return 0
        most = self.common(self.pending)
        if not (task.fields["cache_prompt"] and self.reusable):
            most = min(most, len(system))
        most = min(most, len(self.pending) - 1)              # one token must be evaluated, for its logits
        self.timing.n_prompt = self.n_prompt - max(0, most - len(system))
        return max(0, most)

    def truncate(self, tokens, n_keep):
        """Shorten a prompt that does not fit: its beginning stays, then blocks are left out, then comes its end."""
        n_ctx = self.n_ctx - self.n_system
        self.n_keep = max(0, min(n_ctx - 4, len(tokens) if n_keep < 0 else n_keep))
        if self.extend_sizes or len(tokens) < n_ctx:
            self.timing.n_prompt = len(tokens)
            return list(tokens)
        block = max(1, (n_ctx - self.n_keep) // 2)
        erased = (len(tokens) - self.n_keep - block) // block
        self.truncated = True
        kept = tokens[:self.n_keep] + tokens[self.n_keep + erased * block:]
        self.timing.n_prompt = len(kept)
        return kept

    def shift(self, context, adds_bos):
        """Before a step: if the slot is full, forget a part. Returns what the log tells, or None."""
        total = len(self.tokens)
        if not self.generating or self.extend or total < self.n_ctx - 1:
            return None
        keep = min(self.n_system + self.n_keep + int(adds_bos), total - 2)
        left = total - keep
        discard = self.task.fields["n_discard"]
        discard = max(1, min(discard if discard > 0 else left // 2, left - 1))
        context.kv_remove(self.id, keep, keep + discard)
        context.kv_shift(self.id, keep + discard, total, -discard)
        del self.tokens[keep:keep + discard]
        self.exact = min(self.exact, keep)
        self.pos = len(self.tokens)
        self.truncated = True
        return {"n_keep": keep, "n_left": left, "n_discard": discard, "n_ctx": self.n_ctx}

    def regroup(self, context):
        if self.extend:
            self.pos = self.extend.regroup(context, self.id, self.pos)

    def grown(self, tokens):
        """These tokens are in the cache now."""
        if self.exact == len(self.tokens):
            self.exact += len(tokens)
        self.tokens += tokens
        self.pos += len(tokens)

    def release(self):
        """The request has ended; the cache stays. Returns its task."""
        task, self.task = self.task, None
        self.generating = self.has_next = False
        self.released = perf_counter()
        return task

    def finish(self):
        """Release with an Answer."""
        self.timing.end = perf_counter()
        self.timing.n_predicted = self.n_decoded
        answer = Answer(self, self.task)
        return self.release(), answer

    def remaining(self, task, cap):
        """Tokens that may still be chosen for its task; -1: no limit. cap: the server's own, -1 if it has none."""
        wish = task.fields["n_predict"]
        budget = wish if wish != -1 else cap
        return -1 if budget == -1 else max(0, budget - self.n_decoded)
