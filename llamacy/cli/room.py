"""Room in the context: what is forgotten or squeezed when a text grows past it."""

from ..errors import ContextFull


class EvaluationFailed(Exception):
    """The engine has no room for the next tokens, or -b leaves no room for any."""


def decode(context, tokens, position):
    """Evaluate tokens. Errors: EvaluationFailed."""
    try:
        context.decode(tokens, position)
    except ContextFull:
        raise EvaluationFailed from None


def shift(context, keep, count, n_past):
    """Forget `count` positions from `keep` on and move up the later ones. Keys are rotated, nothing is evaluated."""
    context.kv_remove(0, keep, keep + count)
    context.kv_shift(0, keep + count, n_past, -count)


class Guidance:
    """Classifier-free guidance: a second context that reads the negative prompt in place of the prompt."""

    def __init__(self, context, tokens, original_size):
        self.context = context
        self.tokens = tokens
        self.original_size = original_size
        self.offset = len(tokens) - original_size
        self.n_past = 0

    def pending(self, embd):
        """What this context has to evaluate when the main one evaluates `embd`."""
        return self.tokens + embd[self.original_size:] if self.n_past < len(self.tokens) else embd

    def drop(self, keep, count):
        """A context shift: forget `count` positions after those that stand for the main context's first `keep`."""
        keep = keep + self.offset if keep >= self.original_size else min(keep, len(self.tokens))
        shift(self.context, keep, count, self.n_past)
        self.n_past -= count


class SelfExtend:
    """Positions in groups of n: a window of w positions counts as w / n once the text has passed it."""

    def __init__(self, n, w):
        self.n, self.w = n, w
        self.done = 0        # positions below this one are grouped; a multiple of w / n

    def regroup(self, context, n_past):
        """Group the windows that `n_past` has passed; return the new n_past."""
        n, w = self.n, self.w
        while n_past >= self.done + w:
            spread = n * self.done // w * (w // n) * (n - 1)
            context.kv_shift(0, self.done, n_past, spread)
            context.kv_divide(0, self.done + spread, self.done + spread + w, n)
            context.kv_shift(0, self.done + spread + w, n_past + spread, w // n - spread - w)
            n_past -= w // n * (n - 1)
            self.done += w // n
        return n_past

    def drop(self, keep, n_past):
        """No free cell is left: (first, count) of positions to forget, half of the text, in whole groups if grouped."""
        group = self.w // self.n
        count = min((n_past - keep) // 2, self.done - keep) // group * group
        if count > 0:
            self.done -= count
            return keep, count
        keep = max(keep, self.done)
        return keep, (n_past - keep) // 2
