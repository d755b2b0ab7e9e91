"""How long the parts of attention take: scores, softmax, weighted values; and whole models at long contexts.

    python -m tests.bench attention [--isa avx512,avx2] [--types f16] [--shapes 32/4x64,...] [--contexts 512,4096,8192]
                                    [--tokens 1,8,512] [--rows 32]
    python -m tests.bench attention --model FILE [--context 4096] [--threads 2] [--peer PYTHON]

First form: milliseconds of one layer's attention on one thread, for batches of tokens that end at the given context, and for
each part nanoseconds per 1000 scores (a score: one query head meets one cell). A tile is `--rows` query rows, as in
kernels/attend.c. Keys and values are read from memory: the tiles of a batch walk through all heads.
Second form: tokens/s of a prompt of `--context` tokens, then of 32 generated ones, against those of an empty context;
`--peer`: the same with the llama_cpp package of another interpreter. The best of several runs counts; nothing is asserted.
"""

import argparse
import ctypes
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kernels"))
import lcy  # noqa: E402

VOID, I64 = ctypes.c_void_p, ctypes.c_int64
SIGNATURES = {"kq": (I64, I64, VOID, I64, VOID, VOID, I64, VOID), "pv": (I64, I64, VOID, VOID, VOID, I64, VOID, VOID),
              "softmax": (I64, VOID, ctypes.c_float, VOID)}
MOST_SCORES = 1 << 18
HALVES = np.arange(65536, dtype=np.uint16).view(np.float16)


def kernel(table, name):
    return ctypes.CFUNCTYPE(None, *SIGNATURES[name.split("_")[0]])(table.operations[lcy.OPERATIONS.index(name)])


def best(call, seconds=0.3):
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


class Layer:
    """One layer's keys or values: (heads, cells, row)."""

    def __init__(self, rng, table, type, heads, cells, d):
        fmt = lcy.BY_NAME[type]
        rows = lcy.from_float(fmt, rng.standard_normal((256, d), dtype=np.float32), table)
        self.data = np.ascontiguousarray(np.resize(rows, (heads, cells, rows.shape[1])))
        self.cells = np.arange(cells, dtype=np.int32)
        self.heads = [lcy.Head(lcy.pointer(self.data[h]), rows.shape[1], lcy.pointer(self.cells), table.to_float[fmt.type],
                               fmt.block, fmt.bytes) for h in range(heads)]


def parts(table, type, heads, heads_kv, d, context, tokens, most_rows, rng):
    """{part: ns per 1000 scores}"""
    share = heads // heads_kv
    rows = share * max(1, min(tokens, most_rows // share, MOST_SCORES // (share * context)))
    layer, fmt = Layer(rng, table, type, heads_kv, context, d), lcy.BY_NAME[type]
    q = rng.standard_normal((rows, d), dtype=np.float32)
    stride = context + 16
    scores, room = np.zeros((rows, stride), np.float32), np.zeros(rows * (d + 1024) + max(d, 64) * 512, np.float32)
    out = np.zeros((rows, d), np.float32)
    places = (VOID * rows)(*(lcy.pointer(row) for row in out))
    seen = np.full(rows, context, np.int32)
    with np.errstate(all="ignore"):
        exp = np.append(np.exp(HALVES.astype(np.float32)).astype(np.float16).view(np.uint16), np.uint16(0))
    tables = np.concatenate([exp, exp])
    plain = type in ("f16", "f32")
    pv = kernel(table, f"pv_{type}" if plain else "pv_packed")
    softmax = kernel(table, "softmax")
    if plain:
        kq = kernel(table, f"kq_{type}")
    else:
        packed = lcy.from_float(lcy.lib.lcy_format_of(fmt.dot_with).contents, q, table)

    def score():
        for head in layer.heads:
            if plain:
                kq(d, context, ctypes.byref(head), rows, lcy.pointer(q), lcy.pointer(scores), stride, lcy.pointer(room))
            else:
                table.matmul[fmt.type](d, context, rows, head.rows, head.stride, lcy.pointer(packed), packed.strides[0],
                                       lcy.pointer(scores), stride)

    def soften():
        for _ in layer.heads:
            for r in range(rows):
                softmax(context, lcy.pointer(scores) + 4 * r * stride, 0.125, lcy.pointer(tables))

    def weigh():
        for head in layer.heads:
            pv(d, rows, lcy.pointer(seen), ctypes.byref(head), lcy.pointer(scores), stride, places, lcy.pointer(room))

    count = heads_kv * rows * context
    score()
    return {name: best(call) / count * 1e12 for name, call in (("kq", score), ("softmax", soften), ("pv", weigh))}


def kernels(args):
    rng = np.random.default_rng(1)
    for isa, table in lcy.levels():
        if isa not in args.isa.split(","):
            continue
        for type in args.types.split(","):
            for shape in args.shapes.split(","):
                heads, heads_kv, d = map(int, shape.replace("x", "/").split("/"))
                for context in map(int, args.contexts.split(",")):
                    for tokens in map(int, args.tokens.split(",")):
                        found = parts(table, type, heads, heads_kv, d, context, tokens, args.rows, rng)
                        seen = sum(range(max(1, context - tokens + 1), context + 1))
                        print(f"{isa:7} {type:7} heads {shape:9} context {context:5} tokens {tokens:4}"
                              f"  {seen * heads * sum(found.values()) / 1e9:9.3f} ms"
                              + "".join(f"  {name} {ns:6.0f}" for name, ns in found.items()), flush=True)


OURS = """
import json, sys, time
sys.path.insert(0, '.')
from llamacy.engine import Context, Model
path, n, threads, rest = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
model = Model(path)
ctx = Context(model, n_ctx=n + 64, n_threads=threads, **rest)
def run(tokens, at):
    start = time.perf_counter()
    ctx.decode(tokens, at)
    return time.perf_counter() - start
def some(at):
    return min(sum(run([300 + i], at + i) for i in range(8)) / 8 for at in range(at, at + 32, 8))
"""
PEER = """
import json, sys, time
import llama_cpp
path, n, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
llm = llama_cpp.Llama(path, n_ctx=n + 64, n_threads=threads, n_threads_batch=threads, n_batch=512, verbose=False, logits_all=False)
def run(tokens, at):
    llm.n_tokens = at
    start = time.perf_counter()
    llm.eval(tokens)
    return time.perf_counter() - start
def some(at):
    return min(sum(run([300 + i], at + i) for i in range(8)) / 8 for at in range(at, at + 32, 8))
"""
REST = """
run([1, 2], 0)
clear = getattr(globals().get('ctx'), 'kv_clear', lambda: None)
clear()
empty = some(0)
clear()
first = run(list(range(300, 812)), 0)
clear()
prompt = [300 + i * 7 % 9000 for i in range(n)]
start = time.perf_counter()
last = [run(prompt[i:i + 512], i) for i in range(0, n, 512)][-1]
whole = time.perf_counter() - start
print(json.dumps({'pp512': 512 / first, 'prompt': n / whole, 'last 512': 512 / last, 'tg empty': 1 / empty, 'tg': 1 / some(n)}))
"""


def models(args):
    def show(name, python, code, *rest):
        done = subprocess.run([python, "-c", code + REST, args.model, str(args.context), str(args.threads), *rest],
                              capture_output=True, check=True)
        found = json.loads(done.stdout)
        print(f"{name:14}" + "".join(f"  {key} {value:7.2f}" for key, value in found.items()), flush=True)

    for _ in range(args.times):
        for options in args.options:
            show("llamacy", sys.executable, OURS, options)
        if args.peer:
            show("peer", args.peer, PEER)


def main(argv):
    parser = argparse.ArgumentParser(prog="python -m tests.bench attention")
    parser.add_argument("--isa", default="avx512,avx2", help="levels, comma separated")
    parser.add_argument("--types", default="f16", help="cache types, comma separated")
    parser.add_argument("--shapes", default="32/4x64,32/8x64,32/4x128,32/8x128", help="heads/heads of K and V x head size")
    parser.add_argument("--contexts", default="512,4096,8192")
    parser.add_argument("--tokens", default="1,8,512")
    parser.add_argument("--rows", type=int, default=32, help="query rows of a tile")
    parser.add_argument("--model")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--options", nargs="*", default=["{}"], help='JSON of Context\'s arguments: \'{"flash_attn": true}\'')
    parser.add_argument("--peer", help="a Python that has llama_cpp")
    args = parser.parse_args(argv[1:])
    (models if args.model else kernels)(args)
