"""Prompt and generation speed against llama-cpp-python 0.2.70 and its newest release, in one run, rounds interleaved.

    python -m tests.bench peers [--types q4_0,q6_K | all] [--threads 1,2] [--rounds 3] [--prompt 512] [--generate 128]
                                [--versions 0.2.70,newest] [--old PYTHON] [--new PYTHON] [--busy] [--json FILE] [--keep]
    python -m tests.bench peers --table FILE.json

Makes the random 1.1 B models, and virtual environments with the peers (built with native flags), under build/bench when
they are not there yet; a model is deleted after its turn unless --keep is given. Prints tokens per second (min, median,
max of the rounds) and the ratios of the medians; --json writes all samples and the rate at which memory is read, --table
makes the table of docs/performance.md of them. --busy instead runs one endless loop per
core beside ours and prints the share of the quiet speed that is left. Every sample is a fresh process.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build" / "bench"
TYPES = ("q4_0 q4_1 q5_0 q5_1 q8_0 q2_K q3_K q4_K q5_K q6_K iq1_s iq1_m iq2_xxs iq2_xs iq2_s iq3_xxs iq3_s iq4_nl "
         "iq4_xs f16 bf16").split()
TESTS = ("prompt", "generate")

OURS = """
import sys, time
from llamacy.engine import Model, Context
path, threads, prompt, generate = sys.argv[1], *map(int, sys.argv[2:5])
context = Context(Model(path), n_ctx=prompt + generate, n_threads=threads)
run = lambda n, pos: context.decode([(7 * i + 300) % 30000 for i in range(n)], pos)
clear = context.kv_clear
"""

PEER = """
import sys, time, os
import llama_cpp as L
path, threads, prompt, generate = sys.argv[1], *map(int, sys.argv[2:5])
quiet = os.dup(2); os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
L.llama_backend_init()
model = L.llama_load_model_from_file(path.encode(), L.llama_model_default_params())
par = L.llama_context_default_params()
par.n_ctx, par.n_threads, par.n_threads_batch = prompt + generate, threads, threads
context = L.llama_new_context_with_model(model, par)
def run(n, pos):
    ids = (L.llama_token * n)(*[(7 * i + 300) % 30000 for i in range(n)])
    old = hasattr(L, "llama_kv_cache_clear")
    batch = L.llama_batch_get_one(ids, n, pos, 0) if old else L.llama_batch_get_one(ids, n)
    assert L.llama_decode(context, batch) == 0
    L.llama_get_logits(context)[0]
def clear():
    if hasattr(L, "llama_kv_cache_clear"):
        L.llama_kv_cache_clear(context)
    else:
        L.llama_memory_clear(L.llama_get_memory(context), True)
"""

MEASURE = """
run(min(prompt, 32), 0)
clear()
start = time.perf_counter(); run(prompt, 0); pp = time.perf_counter() - start
run(1, prompt)
start = time.perf_counter()
for i in range(1, generate):
    run(1, prompt + i)
print(prompt / pp, (generate - 1) / (time.perf_counter() - start))
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
        which = "llama-cpp-python" + ("" if version == "newest" else f"=={version}")
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "--no-binary", "llama-cpp-python", which], check=True,
                       env={**os.environ, "CMAKE_ARGS": "-DLLAMA_NATIVE=ON -DGGML_NATIVE=ON"})
    return python


def engines(argv):
    """{name: (python, code)}, ours first."""
    named = {"0.2.70": option(argv, "--old", None), "newest": option(argv, "--new", None)}
    found = {"llamacy": (sys.executable, OURS)}
    for version in option(argv, "--versions", "0.2.70,newest").split(","):
        found[version] = (named.get(version) or peer_python(version), PEER)
    return found


def measure(engine, path, threads, prompt, generate):
    """(prompt, generation) in tokens per second, of one fresh process."""
    python, code = engine
    done = subprocess.run([str(python), "-c", code + MEASURE, *map(str, (path, threads, prompt, generate))], cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{python}: {done.stderr.strip().splitlines()[-1:]}")
    return tuple(map(float, done.stdout.split()))


def compare(type, threads, rounds, prompt, generate, engines):
    """{test: {engine: [tokens per second]}}"""
    path, samples = model_file(type), {test: {name: [] for name in engines} for test in TESTS}
    for _ in range(rounds):
        for name, engine in engines.items():
            for test, speed in zip(TESTS, measure(engine, path, threads, prompt, generate)):
                samples[test][name].append(speed)
    return samples


def report(type, threads, samples, names):
    """Lines of one type: each engine's min, median, max, and how many times its median is ours."""
    for test, speeds in samples.items():
        ours = statistics.median(speeds["llamacy"])
        for engine, values in speeds.items():
            middle = statistics.median(values)
            print(f"{type:>8} {threads} thr {names[test]:>6} {engine:>9} {min(values):8.2f} {middle:8.2f} {max(values):8.2f}"
                  f"   x{ours / middle:5.2f}", flush=True)


def table(path):
    """The Markdown of docs/performance.md for the rows of a --json file."""
    rows = json.loads(Path(path).read_text())
    prompt, generate = [name for name in rows[0] if name[:2] in ("pp", "tg")]
    names = list(rows[0][prompt])
    heads = [f"{test} {name}" for test in (prompt, generate) for name in names]
    print(f"| Type | Threads | {' | '.join(heads)} | GB/s | of memory |")
    print("|---" * (len(heads) + 4) + "|")
    for row in rows:
        cells = []
        for test in (prompt, generate):
            ours = statistics.median(row[test]["llamacy"])
            for name, values in row[test].items():
                middle = statistics.median(values)
                cells.append(f"{middle:.1f}" if name == "llamacy" else f"{middle:.1f} ({ours / middle:.2f}x)")
        rate = statistics.median(row[generate]["llamacy"]) * row["bytes"]
        print(f"| {row['type']} | {row['threads']} | {' | '.join(cells)} | {rate / 1e9:.1f} | {100 * rate / row['memory']:.0f} % |")


def weight_bytes(path):
    """Bytes of the weights that a token meets: all but the embedding."""
    from llamacy.gguf import GGUFFile
    return sum(t.nbytes for name, t in GGUFFile(str(path)).tensors.items() if name != "token_embd.weight")


def busy(argv):
    path, threads = model_file(option(argv, "--types", "q4_0")), int(option(argv, "--threads", 2))
    ours = sys.executable, OURS
    quiet = measure(ours, path, threads, 64, 32)[1]
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
    try:
        loaded = measure(ours, path, threads, 64, 32)[1]
    finally:
        for process in loops:
            process.kill()
            process.wait()
    print(f"generation, quiet {quiet:.2f} tokens/s, with a busy process per core {loaded:.2f}: {100 * loaded / quiet:.0f} %")


def main(argv):
    if "--help" in argv or "-h" in argv:
        return print(__doc__)
    if "--table" in argv:
        return table(option(argv, "--table", ""))
    if "--busy" in argv:
        return busy(argv)
    from llamacy.engine._probe import read_rate
    types = option(argv, "--types", "q4_0")
    types = TYPES if types == "all" else types.split(",")
    rounds, prompt, generate = (int(option(argv, *row)) for row in (("--rounds", 3), ("--prompt", 512), ("--generate", 128)))
    names, rows, runners = {"prompt": f"pp{prompt}", "generate": f"tg{generate}"}, [], engines(argv)
    print("    type threads   test    engine      min   median      max   ours / it")
    for type in types:
        had = (PLACE / f"random-1.1b-{type}.gguf").exists()
        for threads in map(int, option(argv, "--threads", "2").split(",")):
            samples = compare(type, threads, rounds, prompt, generate, runners)
            report(type, threads, samples, names)
            rows.append({"type": type, "threads": threads, "bytes": weight_bytes(model_file(type)), "memory": read_rate(threads),
                         **{names[test]: speeds for test, speeds in samples.items()}})
        if not had and "--keep" not in argv:
            model_file(type).unlink()
        if "--json" in argv:
            Path(option(argv, "--json", "")).write_text(json.dumps(rows, indent=1))
