"""The inputs that the recorded quantizer results were made from (generators: tests/golden/quant_vectors.json)."""

import numpy as np


def lcg4(rows, cols):
    """Sums of four draws of a linear congruential generator, scaled by powers of two per 16; exact in f32."""
    draws, state = np.empty(rows * cols * 4, np.int64), 12345
    for i in range(len(draws)):
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
        draws[i] = state >> 16
    sums = draws.reshape(-1, 4).sum(1) - 131070
    exponent = (np.arange(rows * cols) // 16 * 7) % 5 - 22
    return np.ldexp(sums.astype(np.float64), exponent).astype(np.float32).reshape(rows, cols)


def edge8():
    """Eight rows of 256: zeros, constants, a ramp, a single spike, one sign only, tiny values."""
    b, c = lcg4(1, 256)[0], np.arange(256)
    return np.stack([np.zeros(256), np.full(256, 0.5), np.full(256, -0.25), c % 17 - 8.0, np.where(c == 5, 3.0, 0.0),
                     np.abs(b), -np.abs(b), b * 2.0 ** -20]).astype(np.float32)


def imatrix(cols):
    """Importance of each column."""
    return (((73 * np.arange(cols) + 41) % 127 + 1) / 16).astype(np.float32)


def make(formula, rows, cols):
    """The input of a recorded vector."""
    return edge8() if formula == "edge8" else lcg4(rows, cols)
