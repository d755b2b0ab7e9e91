"""How fast this machine reads memory with 1, 2, ... threads: what generation can reach at most.

    python -m tests.bench memory [--threads 1,2] [--mib 512] [--json]

A few lines of C, compiled for this CPU, add up memory in whole registers with a prefetch some KiB ahead; every thread has a
piece of its own. The best of several runs counts. tokens/s of a model: GB/s divided by the GB of its weights.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

SOURCE = r"""
#include <stdint.h>
#include <string.h>
typedef uint64_t words __attribute__((vector_size(64), aligned(64), may_alias));
uint64_t read_all(const words *p, int64_t n) { /* n registers, a multiple of 4 */
    words a = {0}, b = a, c = a, d = a;
    uint64_t sum[8];
    for (int64_t i = 0; i < n; i += 4) {
        for (int j = 0; j < 4; j++) __builtin_prefetch((const char *)(p + i + j) + 8192, 0, 2);
        a += p[i], b += p[i + 1], c += p[i + 2], d += p[i + 3];
    }
    a += b + c + d;
    memcpy(sum, &a, sizeof sum);
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}
"""


def compiled(folder):
    """The function read_all(address, registers)."""
    source, library = Path(folder, "read.c"), Path(folder, "read.so")
    source.write_text(SOURCE)
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O2", "-march=native", "-Wno-psabi", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    function = ctypes.CDLL(str(library)).read_all
    function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_int64), ctypes.c_uint64
    return function


def rate(read, threads, mib, rounds=9):
    """GB/s of `threads` threads that read mib / threads MiB each at the same time; the best round."""
    registers = (mib << 14) // threads // 4 * 4
    pieces = [np.ones(registers * 8 + 8, np.uint64) for _ in range(threads)]
    starts = [-(-p.ctypes.data // 64) * 64 for p in pieces]
    meet, best = threading.Barrier(threads + 1), float("inf")

    def work(start):
        for _ in range(rounds):
            meet.wait()
            read(start, registers)  # ctypes lets go of the GIL
            meet.wait()

    workers = [threading.Thread(target=work, args=(start,)) for start in starts]
    for worker in workers:
        worker.start()
    for _ in range(rounds):
        meet.wait()
        begin = time.perf_counter()
        meet.wait()
        best = min(best, time.perf_counter() - begin)
    for worker in workers:
        worker.join()
    return threads * registers * 64 / best / 1e9


def main(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.bench memory")
    parser.add_argument("--threads", default=",".join(map(str, range(1, min(os.cpu_count(), 4) + 1))), help="counts, comma separated")
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    args = parser.parse_args(argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        read = compiled(folder)
        found = {threads: rate(read, threads, args.mib) for threads in map(int, args.threads.split(","))}
    if args.json:
        print(json.dumps(found))
        return 0
    for threads, speed in found.items():
        print(f"{threads} thread{'s' * (threads > 1)}: {speed:6.2f} GB/s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
