"""The samplers once more, in plain Python with single-precision numbers: slow, and written from the formulas alone.

A candidate is a list [id, logit, p]. exp, log, pow and log2 are those of the C library, so results can be compared bit
by bit; everything else is numpy's float32, one operation at a time.
"""

import ctypes
import ctypes.util
import math
from dataclasses import dataclass, field

import numpy as np

F = np.float32
LIBM = ctypes.CDLL(ctypes.util.find_library("m"))


def libm(name, n_args):
    function = getattr(LIBM, name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float] * n_args
    return lambda *args: F(function(*map(float, args)))


expf, logf, log2f, powf = libm("expf", 1), libm("logf", 1), libm("log2f", 1), libm("powf", 2)


@dataclass
class Settings:
    """Values as in SamplingParams."""

    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    tfs_z: float = 1.0
    typical_p: float = 1.0
    temp: float = 0.8
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    penalty_last_n: int = 64
    penalty_repeat: float = 1.0
    penalty_freq: float = 0.0
    penalty_present: float = 0.0
    penalize_nl: bool = False
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    cfg_scale: float = 1.0
    logit_bias: dict = field(default_factory=dict)
    samplers: str = "kfypmt"
    n_prev: int = 64
    min_keep: int = 0
    seed: int = 1


class Draws:
    """Random numbers: numpy's generator, which has the same outputs."""

    def __init__(self, seed):
        self.numbers = np.random.RandomState(seed)

    def uniform(self):
        low, high = self.numbers.randint(0, 2**32, 2, dtype=np.uint32)
        return min((float(low) + float(high) * 4294967296.0) / 18446744073709551616.0, math.nextafter(1.0, 0.0))


class Model:
    """A sampler: choose(row) returns an id; afterwards `left` is what was drawn from and `borders` how it was."""

    def __init__(self, settings, newline=-1):
        self.set = settings
        self.newline = newline
        self.rng = Draws(settings.seed)
        self.prev = [0] * settings.n_prev
        self.mu = F(0)

    def accept(self, token):
        self.prev = self.prev[1:] + [token]

    def choose(self, row, guidance=None, context_rng=None):
        s = self.set
        row = [F(x) for x in row]
        for token, bias in s.logit_bias.items():
            row[token] = row[token] + F(bias)
        if guidance is not None:
            row = guided(row, guidance, F(s.cfg_scale))
        self.left = [[token, logit, F(0)] for token, logit in enumerate(self.penalized(row))]
        self.is_sorted, self.u, self.borders = False, None, None
        if s.temp == 0:
            return max(self.left, key=lambda c: (c[1], -c[0]))[0]
        if s.mirostat:
            return self.mirostat(len(row), context_rng)
        for letter in s.samplers:
            getattr(self, "run_" + letter)(max(1, s.min_keep))
        return self.draw(self.rng)[0]

    def penalized(self, row):
        s = self.set
        last_n = s.n_prev if s.penalty_last_n < 0 else min(s.penalty_last_n, s.n_prev)
        window = self.prev[len(self.prev) - last_n:]
        out = list(row)
        if (s.penalty_repeat, s.penalty_freq, s.penalty_present) == (1.0, 0.0, 0.0):
            return out
        for token in set(window):
            out[token] = out[token] * F(s.penalty_repeat) if out[token] <= 0 else out[token] / F(s.penalty_repeat)
            out[token] = out[token] - (F(window.count(token)) * F(s.penalty_freq) + F(s.penalty_present))
        if not s.penalize_nl and self.newline >= 0:
            out[self.newline] = row[self.newline]
        return out

    def softmax(self):
        if not self.is_sorted:
            self.left.sort(key=lambda c: (-c[1], c[0]))
            self.is_sorted = True
        total = F(0)
        for c in self.left:
            c[2] = expf(c[1] - self.left[0][1])
            total = total + c[2]
        for c in self.left:
            c[2] = c[2] / total

    def draw(self, rng):
        self.softmax()
        total = 0.0
        for c in self.left:
            total += float(c[2])
        border, self.borders = 0.0, []
        for c in self.left:
            border += float(c[2]) / total
            self.borders.append((c[0], border))
        self.borders[-1] = (self.left[-1][0], 1.0)
        if len(self.left) == 1:
            return self.left[0]
        self.u = rng.uniform()
        return next(c for c, (_, border) in zip(self.left, self.borders) if border >= self.u)

    # --- the chain

    def run_k(self, min_keep, k=None):
        k = self.set.top_k if k is None else k
        if not self.is_sorted:
            self.left.sort(key=lambda c: (-c[1], c[0]))
            self.is_sorted = True
        if k > 0:
            del self.left[max(k, min_keep):]

    def run_f(self, min_keep):
        if self.set.tfs_z >= 1 or len(self.left) <= 2:
            return
        self.softmax()
        p = [c[2] for c in self.left]
        first = [a - b for a, b in zip(p, p[1:])]
        second = [abs(a - b) for a, b in zip(first, first[1:])]
        total = F(0)
        for x in second:
            total = total + x
        seen = F(0)
        for i, x in enumerate(second):
            seen = seen + (x / total if total > F(1e-6) else F(1) / F(len(second)))
            if seen > F(self.set.tfs_z) and i >= min_keep:
                del self.left[i:]
                return

    def run_y(self, min_keep):
        if self.set.typical_p >= 1:
            return
        self.softmax()
        entropy = F(0)
        for c in self.left:
            entropy = entropy + -c[2] * logf(c[2])
        self.left.sort(key=lambda c: abs(-logf(c[2]) - entropy))
        self.is_sorted = False
        seen = F(0)
        for i, c in enumerate(self.left):
            seen = seen + c[2]
            if seen > F(self.set.typical_p) and i >= min_keep - 1:
                del self.left[i + 1:]
                return

    def run_p(self, min_keep):
        if self.set.top_p >= 1:
            return
        self.softmax()
        seen = F(0)
        for i, c in enumerate(self.left):
            seen = seen + c[2]
            if seen >= F(self.set.top_p) and i + 1 >= min_keep:
                del self.left[i + 1:]
                return

    def run_m(self, min_keep):
        if self.set.min_p <= 0:
            return
        limit = max(c[1] for c in self.left) + logf(F(self.set.min_p))
        above = [c for c in self.left if c[1] >= limit]
        if len(above) >= min_keep and not self.is_sorted:
            self.left = above
            return
        self.run_k(1, 0)
        del self.left[max(len(above), min_keep, 1):]

    def run_t(self, min_keep):
        temp, reach = F(self.set.temp), F(self.set.dynatemp_range)
        if reach > 0:
            if len(self.left) == 1:
                return
            low, high = max(F(0), temp - reach), max(F(0), temp + reach)
            most = -logf(F(1) / F(len(self.left)))
            self.softmax()
            entropy = F(0)
            for c in self.left:
                if c[2] > 0:
                    entropy = entropy - c[2] * logf(c[2])
            temp = low + (high - low) * powf(entropy / most, F(self.set.dynatemp_exponent))
        for c in self.left:
            c[1] = c[1] / temp

    # --- Mirostat

    def mirostat(self, n_vocab, rng):
        for c in self.left:
            c[1] = c[1] / F(self.set.temp)
        self.softmax()
        if self.set.mirostat == 1:
            self.run_k(1, self.zipf_k(n_vocab))
        else:
            surprising = [i for i, c in enumerate(self.left) if -log2f(c[2]) > self.mu]
            del self.left[max(1, (surprising or [len(self.left)])[0]):]
        drawn = self.draw(rng)
        self.mu = self.mu - F(self.set.mirostat_eta) * (-log2f(drawn[2]) - F(self.set.mirostat_tau))
        return drawn[0]

    def zipf_k(self, n_vocab):
        tb = tt = F(0)
        for i in range(min(99, len(self.left) - 1)):
            t = logf(F(i + 2) / F(i + 1))
            tb = tb + t * logf(self.left[i][2] / self.left[i + 1][2])
            tt = tt + t * t
        s = tb / tt
        e = s - F(1)
        k = powf(e * powf(F(2), self.mu) / (F(1) - powf(F(n_vocab), -e)), F(1) / s)
        return int(k) if 0 <= k < 2**31 else 0


def log_softmax(row):
    total, out = F(0), [expf(x - max(row)) for x in row]
    for x in out:
        total = total + x
    return [logf(x / total) for x in out]


def guided(row, guidance, scale):
    ours, other = log_softmax(row), log_softmax([F(x) for x in guidance])
    return [scale * (a - b) + b for a, b in zip(ours, other)]
