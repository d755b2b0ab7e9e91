"""How long each format's file quantizer takes for a weight on each ISA level, one thread.

    python -m tests.bench.quantizers [--format q4_K,q6_K] [--isa avx2,avx512] [--seconds 0.2] [--json]

One line per format and kind of search (plain, or with an imatrix): ns per weight of plain C, then of each level with a
kernel of its own, and how many times as fast that is. Rows: 16 of 4096, the step that files are quantized in.
The best of several runs counts; nothing is asserted but that the bytes are the same.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from tests.bench.dot import best

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kernels"))
import lcy  # noqa: E402

ROWS, N = 16, 4096


def measure(kernel, fmt, x, imatrix, seconds):
    """(ns per weight, bytes)"""
    out = np.zeros(ROWS * lcy.row_bytes(fmt, N), np.uint8)
    weights = None if imatrix is None else lcy.pointer(imatrix)
    time = best(lambda: kernel(ROWS, N, lcy.pointer(out), lcy.pointer(x), weights), seconds)
    return time / x.size * 1e9, out.tobytes()


def main(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.bench.quantizers")
    parser.add_argument("--format", default="all", help="names, comma separated")
    parser.add_argument("--isa", default="all", help="levels, comma separated")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each number")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    args = parser.parse_args(argv[1:])
    rng = np.random.default_rng(1)
    x = rng.standard_normal((ROWS, N)).astype(np.float32) / 32
    q = rng.random(N).astype(np.float32)
    plain = lcy.kernels(0)
    for fmt in lcy.FORMATS:
        name = fmt.name.decode()
        if args.format != "all" and name not in args.format.split(","):
            continue
        own = [(isa, table.quantize[fmt.type]) for isa, table in lcy.levels()
               if lcy.address(table.quantize[fmt.type]) != lcy.address(plain.quantize[fmt.type])
               and (args.isa == "all" or isa in args.isa.split(","))]
        for search, imatrix in (("plain", None), ("imatrix", q)) if own else ():
            base, want = measure(plain.quantize[fmt.type], fmt, x, imatrix, args.seconds)
            row = {"format": name, "search": search, "reference": base}
            for isa, kernel in own:
                row[isa], got = measure(kernel, fmt, x, imatrix, args.seconds)
                assert got == want, f"{name}, {search}, {isa}: other bytes"
            if args.json:
                print(json.dumps(row), flush=True)
                continue
            levels = "   ".join(f"{isa} {row[isa]:7.2f} ({base / row[isa]:4.1f}x)" for isa, _ in own)
            print(f"{name:<8} {search:<8} C {base:7.2f}   {levels}  ns/weight", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
