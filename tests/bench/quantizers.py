"""How long each format's file quantizer takes for a weight, beside llama-cpp-python's and on each ISA level, one thread.

    python -m tests.bench quantizers [--format q4_K,q6_K] [--isa avx2,avx512] [--seconds 0.2] [--json]
                                     [--version 0.2.70] [--peer PYTHON] [--no-peer]

One line per format and kind of search (plain, or with an imatrix): ns per weight of plain C, of each level with a kernel
of its own, and of the peer; the ratio is that of the peer to the fastest level. Rows: 16 of 4096, the step that files are
quantized in. CPU time of the best of several runs counts, which a busy machine disturbs little; nothing is asserted but
that our bytes are the same. The peer's Python is made under build/bench when --peer names none.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from llamacy.cli.buildinfo import cpu_name
from tests.bench.peers import peer_python

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kernels"))
import lcy  # noqa: E402

ROWS, N = 16, 4096
NEEDY = {"iq1_s", "iq2_xxs", "iq2_xs"}      # refuse to work without an imatrix

PEER = """
import ctypes, json, pathlib, sys, time
import llama_cpp, numpy as np
folder = pathlib.Path(llama_cpp.__file__).parent
path = next(p for p in (*folder.glob("lib/libggml-base.so"), *folder.glob("**/libllama.so")))
lib = ctypes.CDLL(str(path))
quantize = lib.ggml_quantize_chunk
quantize.restype = ctypes.c_size_t
quantize.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]
rows, n, seconds, todo = json.loads(sys.argv[1])
x, out = np.frombuffer(sys.stdin.buffer.read(), np.float32), np.zeros(4 * rows * n, np.uint8)
x, q = x[:-n].copy(), x[-n:].copy()
for type, weighted in todo:
    lib.ggml_quantize_init(type)
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.process_time()
        quantize(type, x.ctypes.data, out.ctypes.data, 0, rows, n, q.ctypes.data if weighted else None)
        times.append(time.process_time() - start)
    print(min(times) / x.size * 1e9, flush=True)
"""


def best(call, seconds):
    """Least CPU time of one call, over at least three calls and `seconds`."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def measure(kernel, fmt, x, imatrix, seconds):
    """(ns per weight, bytes)"""
    out = np.zeros(ROWS * lcy.row_bytes(fmt, N), np.uint8)
    weights = None if imatrix is None else lcy.pointer(imatrix)
    time = best(lambda: kernel(ROWS, N, lcy.pointer(out), lcy.pointer(x), weights), seconds)
    return time / x.size * 1e9, out.tobytes()


def peer_times(python, todo, x, q, seconds):
    """ns per weight of llama-cpp-python for each (type, with an imatrix) of `todo`."""
    out = subprocess.run([str(python), "-c", PEER, json.dumps([ROWS, N, seconds, todo])], input=x.tobytes() + q.tobytes(),
                         capture_output=True, check=True).stdout
    return dict(zip(todo, map(float, out.split())))


def main(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.bench quantizers")
    parser.add_argument("--format", default="all", help="names, comma separated")
    parser.add_argument("--isa", default="all", help="levels, comma separated")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each number")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--version", default="0.2.70", help="of llama-cpp-python")
    parser.add_argument("--peer", help="a Python that has it")
    parser.add_argument("--no-peer", action="store_true", help="only our own levels")
    args = parser.parse_args(argv[1:])
    rng = np.random.default_rng(1)
    x = rng.standard_normal((ROWS, N)).astype(np.float32) / 32
    q = rng.random(N).astype(np.float32)
    plain = lcy.kernels(0)
    todo = []
    for fmt in lcy.FORMATS:
        name = fmt.name.decode()
        own = [(isa, table.quantize[fmt.type]) for isa, table in lcy.levels()
               if lcy.address(table.quantize[fmt.type]) != lcy.address(plain.quantize[fmt.type])
               and (args.isa == "all" or isa in args.isa.split(","))]
        if own and args.format in ("all", name) or name in args.format.split(","):
            todo += [(fmt, own, search) for search in ("plain", "imatrix") if search == "imatrix" or name not in NEEDY]
    theirs = {} if args.no_peer else peer_times(args.peer or peer_python(args.version),
                                                [(fmt.type, search == "imatrix") for fmt, _, search in todo], x, q, args.seconds)
    print(f"{cpu_name() or 'unknown CPU'}, one thread, ns per weight", flush=True)
    for fmt, own, search in todo:
        name, imatrix = fmt.name.decode(), q if search == "imatrix" else None
        base, want = measure(plain.quantize[fmt.type], fmt, x, imatrix, args.seconds)
        row = {"format": name, "search": search, "reference": base}
        for isa, kernel in own:
            row[isa], got = measure(kernel, fmt, x, imatrix, args.seconds)
            assert got == want, f"{name}, {search}, {isa}: other bytes"
        if theirs:
            row["peer"] = theirs[fmt.type, search == "imatrix"]
            row["ratio"] = row["peer"] / min([base, *(row[isa] for isa, _ in own)])
        if args.json:
            print(json.dumps(row), flush=True)
            continue
        levels = "".join(f"   {isa} {row[isa]:7.2f}" for isa, _ in own)
        peer = f"   llama-cpp-python {row['peer']:7.2f} ({row['ratio']:4.1f}x)" if theirs else ""
        print(f"{name:<8} {search:<8} C {base:7.2f}{levels}{peer}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
