"""Products of many tokens: multiply-adds per second on one thread, and as a share of what the byte product can do.

    python -m tests.bench matmul [--type all] [--isa all] [--tokens 512] [--rows 128] [--k 2048]

A prompt's product: `rows` rows of `k` weights meet `tokens` tokens, weights and activations in the caches. The share is of
what the strongest level alone does with all operands in registers, measured on the spot. The shortest of many calls counts.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kernels"))
import lcy  # noqa: E402
from test_matmul import random_weights  # noqa: E402

from llamacy.engine._probe import int8_rate  # noqa: E402


def best(call, seconds=0.4):
    """Shortest time of one call, over at least three calls and `seconds`."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(kernel, fmt, rows, k, tokens, rng):
    """Multiply-adds per second."""
    w = random_weights(fmt, rng, rows, k)
    x = lcy.from_float(lcy.lib.lcy_format_of(fmt.dot_with).contents, rng.standard_normal((tokens, k)))
    out = np.zeros((tokens, rows), np.float32)
    return rows * k * tokens / best(lambda: kernel(k, rows, tokens, lcy.pointer(w), w.strides[0], lcy.pointer(x),
                                                   x.strides[0], lcy.pointer(out), rows))


def main(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.bench matmul")
    parser.add_argument("--type", default="all", help="names, comma separated")
    parser.add_argument("--isa", default="all", help="levels, comma separated")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--k", type=int, default=2048)
    args = parser.parse_args(argv[1:])
    rng, (most, level) = np.random.default_rng(1), int8_rate(1)
    print(f"byte products of {level} in registers: {most / 1e9:.0f} GMAC/s")
    for fmt in lcy.FORMATS:
        name = fmt.name.decode()
        if not fmt.dot or args.type not in ("all", name) and name not in args.type.split(","):
            continue
        for isa, table in lcy.levels():
            if args.isa == "all" or isa in args.isa.split(","):
                found = measure(table.matmul[fmt.type], fmt, args.rows, args.k, args.tokens, rng)
                print(f"{name:8} {isa:8} {found / 1e9:7.1f} GMAC/s {100 * found / most:5.1f} %", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
