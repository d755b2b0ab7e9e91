"""Generation and prompt speed against llama-cpp-python, in one run, rounds interleaved.

    python -m tests.bench peers [--type q4_0] [--threads 2] [--rounds 3] [--version 0.2.70] [--busy]

Makes the random 1.1 B model and a virtual environment with the peer (built with native flags) under build/bench when they
are not there yet. --busy runs one endless loop per core beside ours and prints the share of the quiet speed that is left.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build" / "bench"
PROMPT, GENERATE = 64, 32

OURS = """
import sys, time
from llamacy.engine import Model, Context
path, threads, prompt, generate = sys.argv[1], *map(int, sys.argv[2:5])
context = Context(Model(path), n_ctx=512, n_threads=threads)
run = lambda n, pos: context.decode([(7 * i + 300) % 30000 for i in range(n)], pos)
run(1, 0)
context.kv_clear()
start = time.perf_counter(); run(prompt, 0); pp = time.perf_counter() - start
start = time.perf_counter()
for i in range(generate):
    run(1, prompt + i)
print(prompt / pp, generate / (time.perf_counter() - start))
"""

PEER = """
import sys, time, os
import llama_cpp as L
path, threads, prompt, generate = sys.argv[1], *map(int, sys.argv[2:5])
quiet = os.dup(2); os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
L.llama_backend_init()
model = L.llama_load_model_from_file(path.encode(), L.llama_model_default_params())
par = L.llama_context_default_params()
par.n_ctx, par.n_threads, par.n_threads_batch = 512, threads, threads
context = L.llama_new_context_with_model(model, par)
def run(n, pos):
    ids = (L.llama_token * n)(*[(7 * i + 300) % 30000 for i in range(n)])
    L.llama_decode(context, L.llama_batch_get_one(ids, n, pos, 0))
    L.llama_get_logits(context)[0]
run(1, 0)
L.llama_kv_cache_clear(context)
start = time.perf_counter(); run(prompt, 0); pp = time.perf_counter() - start
start = time.perf_counter()
for i in range(generate):
    run(1, prompt + i)
print(prompt / pp, generate / (time.perf_counter() - start))
"""


def option(argv, name, default):
    return argv[argv.index(name) + 1] if name in argv else default


def model_file(type):
    path = PLACE / f"random-1.1b-{type}.gguf"
    if not path.exists():
        from tests.bench.random_model import write
        PLACE.mkdir(parents=True, exist_ok=True)
        write(path, type)
    return path


def peer_python(version):
    """Python of the environment that has this release of llama-cpp-python; made on first use."""
    python = PLACE / f"peer-{version}" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--no-binary", "llama-cpp-python",
                        f"llama-cpp-python=={version}"], check=True)
    return python


def measure(python, code, path, threads):
    """(prompt, generation) in tokens per second, of one fresh process."""
    out = subprocess.run([str(python), "-c", code, str(path), str(threads), str(PROMPT), str(GENERATE)], cwd=ROOT,
                         env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True).stdout
    return tuple(map(float, out.split()))


def line(name, speeds):
    return f"{name:>10}: {min(speeds):8.2f} {statistics.median(speeds):8.2f} {max(speeds):8.2f}"


def compare(argv):
    type, threads, version = option(argv, "--type", "q4_0"), int(option(argv, "--threads", 2)), option(argv, "--version", "0.2.70")
    path, peer = model_file(type), Path(option(argv, "--peer", "")) if "--peer" in argv else peer_python(version)
    ours, theirs = [], []
    for _ in range(int(option(argv, "--rounds", 3))):
        ours.append(measure(sys.executable, OURS, path, threads))
        theirs.append(measure(peer, PEER, path, threads))
    print(f"{type}, {threads} threads, tokens/s: min, median, max")
    for i, what in enumerate((f"pp{PROMPT}", f"tg{GENERATE}")):
        a, b = [x[i] for x in ours], [x[i] for x in theirs]
        print(f"{what}\n{line('llamacy', a)}\n{line(version, b)}")
        print(f"     ratio: {statistics.median(a) / statistics.median(b):8.2f}")


def busy(argv):
    path, threads = model_file(option(argv, "--type", "q4_0")), int(option(argv, "--threads", 2))
    quiet = measure(sys.executable, OURS, path, threads)[1]
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
    try:
        loaded = measure(sys.executable, OURS, path, threads)[1]
    finally:
        for process in loops:
            process.kill()
            process.wait()
    print(f"generation, quiet {quiet:.2f} tokens/s, with a busy process per core {loaded:.2f}: {100 * loaded / quiet:.0f} %")


def main(argv):
    return busy(argv) if "--busy" in argv else compare(argv)
