"""How fast each format's product runs on each ISA level, one thread.

    python -m tests.bench.dot [--format q4_0,q6_K] [--isa avx2,avx512] [--tokens 1,32] [--mib 192] [--json]

One line per format, level and count of tokens:
    memory   GB/s of weights streamed from memory, `--mib` of them, every row read once
    cache    GB/s of weights when they stay in the second-level cache: what the kernel could do with faster memory
    GMAC/s   multiply-adds of the memory run
The first line says what a plain read of memory gives. Shape: rows of 2048 weights, as in a llama of 1.1 B parameters.
The best of several runs counts; nothing is asserted.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kernels"))
import lcy  # noqa: E402

K = 2048
CACHED_ROWS = 256


def best(call, seconds=0.25):
    """Shortest time of one call, over at least three calls and `seconds`."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def plain_read(mib):
    """GB/s of adding up 64-bit words that come from memory."""
    words = np.ones(mib << 17, np.uint64)
    return words.nbytes / best(lambda: np.add.reduce(words)) / 1e9


def packed_rows(fmt, rows, rng):
    """Quantized noise: a few distinct rows, repeated."""
    source = lcy.from_float(fmt, rng.standard_normal((64, K)).astype(np.float32) / 32) if fmt.from_float else None
    if source is None:
        source = np.full((64, lcy.row_bytes(fmt, K)), 0x11, np.uint8)
    return np.ascontiguousarray(np.resize(source, (rows, source.shape[1])))


def measure(kernel, fmt, tokens, mib, rng):
    """One row of the table as a dict."""
    row = lcy.row_bytes(fmt, K)
    rows = max(CACHED_ROWS, (mib << 20) // row // 16 * 16)
    w = packed_rows(fmt, rows, rng)
    x = lcy.from_float(lcy.lib.lcy_format_of(fmt.dot_with).contents, rng.standard_normal((tokens, K)))
    out = np.zeros((tokens, rows), np.float32)

    def call(count):
        kernel(K, count, tokens, lcy.pointer(w), row, lcy.pointer(x), x.strides[0], lcy.pointer(out), rows)

    streamed, cached = best(lambda: call(rows)), best(lambda: call(CACHED_ROWS), 0.1)
    return {"memory": rows * row / streamed / 1e9, "cache": CACHED_ROWS * row / cached / 1e9,
            "gmacs": rows * K * tokens / streamed / 1e9}


def main(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dot")
    parser.add_argument("--format", default="all", help="names, comma separated")
    parser.add_argument("--isa", default="all", help="levels, comma separated; plain C is 'reference'")
    parser.add_argument("--tokens", default="1,32")
    parser.add_argument("--mib", type=int, default=192)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    args = parser.parse_args(argv[1:])
    rng = np.random.default_rng(1)
    plain = lcy.kernels(0)
    if not args.json:
        print(f"a plain read  {plain_read(args.mib):6.2f} GB/s")
    for fmt in lcy.FORMATS:
        name = fmt.name.decode()
        if not plain.matmul[fmt.type] or (args.format != "all" and name not in args.format.split(",")):
            continue
        for isa, table in lcy.levels() + ([("reference", plain)] if "reference" in args.isa.split(",") else []):
            own = lcy.address(table.matmul[fmt.type]) != lcy.address(plain.matmul[fmt.type]) or isa == "reference"
            if not own or (args.isa != "all" and isa not in args.isa.split(",")):
                continue
            for tokens in map(int, args.tokens.split(",")):
                found = measure(table.matmul[fmt.type], fmt, tokens, args.mib if tokens == 1 else args.mib // 16, rng)
                if args.json:
                    print(json.dumps({"format": name, "isa": isa, "tokens": tokens, **found}), flush=True)
                else:
                    print(f"{name:8} {isa:10} {tokens:3} tokens  memory {found['memory']:6.2f} GB/s"
                          f"  cache {found['cache']:6.2f} GB/s  {found['gmacs']:7.1f} GMAC/s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
