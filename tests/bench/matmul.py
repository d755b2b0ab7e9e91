"""Products of many tokens: multiply-adds per second on one thread, and as a share of what the byte product can do.

    python -m tests.bench matmul [--type all] [--isa all] [--tokens 512] [--rows 128] [--k 2048]

A prompt's product: `rows` rows of `k` weights meet `tokens` tokens, weights and activations in the caches. The share is of
what 512-bit vpdpbusd alone does in registers, measured on the spot by a few lines of C (so it needs a C compiler); without
AVX-512 VNNI there is no share. The shortest of many calls counts.
"""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kernels"))
import lcy  # noqa: E402
from test_matmul import random_weights  # noqa: E402

AVX512_VNNI = 1 << 4  # LCY_CPU_AVX512_VNNI
PEAK = """
#include <immintrin.h>
#define EACH(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9)
#define START(n) __m512i a##n = _mm512_setzero_si512();
#define STEP(n) __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(a##n) : "v"(one));
__attribute__((target("avx512f"))) void run(long rounds) {
    const __m512i one = _mm512_set1_epi8(1);
    EACH(START)
    while (rounds--) { EACH(STEP) }
}
"""


def best(call, seconds=0.4):
    """Shortest time of one call, over at least three calls and `seconds`."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def peak():
    """Multiply-adds per second of vpdpbusd in registers, or None."""
    if not lcy.lib.lcy_cpu_features() & AVX512_VNNI:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/peak.so"
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-x", "c", "-", "-o", library],
                       input=PEAK, text=True, check=True)
        run = ctypes.CDLL(library).run
    return 20000 * 10 * 64 / best(lambda: run(ctypes.c_long(20000)))


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
    rng, most = np.random.default_rng(1), peak()
    if most:
        print(f"vpdpbusd {most / 1e9:.0f} GMAC/s")
    for fmt in lcy.FORMATS:
        name = fmt.name.decode()
        if not fmt.dot or args.type not in ("all", name) and name not in args.type.split(","):
            continue
        for isa, table in lcy.levels():
            if args.isa == "all" or isa in args.isa.split(","):
                found = measure(table.matmul[fmt.type], fmt, args.rows, args.k, args.tokens, rng)
                share = f" {100 * found / most:5.1f} %" if most else ""
                print(f"{name:8} {isa:8} {found / 1e9:7.1f} GMAC/s{share}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
