"""How long a run took: the clock of the main loop and the block at its end."""

from time import perf_counter


class Timings:
    """Counts evaluation steps as the reference does: what is evaluated between two samplings is one step; a step of one
    token is "eval", a longer one "prompt eval". Waiting for the user counts nowhere but in the total.

    Units  ms.
    """

    def __init__(self, load_ms):
        self.load_ms = load_ms
        self.start = perf_counter()
        self.prompt_ms = self.eval_ms = 0.0
        self.n_prompt = self.n_eval = 0
        self._ms, self._tokens = 0.0, 0

    def decoded(self, n_tokens, seconds):
        """Add one call of the engine to the current step."""
        self._ms += 1000 * seconds
        self._tokens += n_tokens

    def settle(self):
        """The current step is complete: its logits are about to be read."""
        if self._tokens == 1:
            self.eval_ms += self._ms
            self.n_eval += 1
        else:
            self.prompt_ms += self._ms
            self.n_prompt += self._tokens
        self._ms, self._tokens = 0.0, 0

    def block(self, sample_ms, n_sample):
        """The five lines (bytes), with the empty line before them."""
        self.settle()
        total_ms = 1000 * (perf_counter() - self.start)
        return b"\n" + b"".join([
            b"llama_print_timings:        load time = %10.2f ms\n" % self.load_ms,
            _line(b"     sample", sample_ms, n_sample, b"runs  "),
            _line(b"prompt eval", self.prompt_ms, self.n_prompt, b"tokens"),
            _line(b"       eval", self.eval_ms, self.n_eval, b"runs  "),
            b"llama_print_timings:       total time = %10.2f ms / %5d tokens\n"
            % (total_ms, max(1, self.n_prompt) + max(1, self.n_eval))])


def rate(ms, n):
    """Per second; inf where no time passed."""
    return 1000.0 / ms * n if ms else float("inf")


def _line(name, ms, n, unit):
    n = max(1, n)
    return (b"llama_print_timings: %s time = %10.2f ms / %5d %s (%8.2f ms per token, %8.2f tokens per second)\n"
            % (name, ms, n, unit, ms / n, rate(ms, n)))
