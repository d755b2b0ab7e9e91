"""Runs main and writes down how each token was drawn: `python trace_main.py REPO OUT words of the command line...`

OUT becomes a JSON list, for each sampled token [id, piece (hex), random number or null, borders]; borders is a list of
[id, piece (hex), upper border], one for each candidate.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])

import llamacy.sampling                        # noqa: E402
from llamacy.cli.main import main              # noqa: E402

draws = []


class TracingSampler:
    """A Sampler that keeps a record."""

    def __init__(self, params, vocab, real=llamacy.sampling.Sampler):
        self.real = real(params, vocab)
        self.piece = lambda token: vocab.piece(token).hex()

    def __getattr__(self, name):
        return getattr(self.real, name)

    def sample(self, *args):
        token = self.real.sample(*args)
        number, borders = self.real.explain_last()
        draws.append([token, self.piece(token), number, [[id, self.piece(id), border] for id, border in borders]])
        return token


llamacy.sampling.Sampler = TracingSampler
status = main(["./main", *sys.argv[3:]])
with open(sys.argv[2], "w") as file:
    json.dump(draws, file)
sys.exit(status)
