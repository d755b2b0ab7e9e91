"""How many tokens of prompts a step may take while others generate.

A step with prompts in it is a pause for those who generate: it shall last about TARGET times as long as one without. What a
token costs is learnt from step to step. It grows with the text before it, and differs between sizes of a step; so the chunk
moves towards what the last step suggests, faster down than up, and begins small: the first long prompt is no surprise.
"""

TARGET = 2.0           # a step with prompts may last so many times as long as one without
LEAST = 7              # tokens of prompts in a step, however slow: with one that generates they fill a tile of the kernels
MOST = 8192


class Pace:
    def __init__(self):
        self.quiet = {}                    # n of slots that generate -> seconds of a step without prompts
        self.chunk = float(LEAST)

    def learn(self, seconds, n_generating, n_prompt):
        """After a step that took so long."""
        if not n_generating:
            return
        if not n_prompt:
            known = self.quiet.get(n_generating, seconds)
            self.quiet[n_generating] = 0.8 * known + 0.2 * seconds
            return
        quiet = self.usual(n_generating)
        if quiet is None:
            return
        more = max(seconds - quiet, 1e-9)
        change = min(1.5, max(0.5, (TARGET - 1) * quiet / more))
        if n_prompt >= int(self.chunk) or change < 1:
            self.chunk = max(float(LEAST), min(self.chunk * change, float(MOST)))

    def usual(self, n_generating):
        """Seconds of a quiet step; of fewer slots if so many have not been seen; None: of none."""
        known = [n for n in self.quiet if n <= n_generating] or list(self.quiet)
        return self.quiet[max(known)] if known else None

    def budget(self, n_generating, most):
        """Tokens of a step in all. most: what the context takes."""
        return most if not n_generating else min(most, n_generating + int(self.chunk))
