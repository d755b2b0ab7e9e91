"""`doctor`: what this machine has for language models, and what can be expected of it."""

import os
import sys

from .. import __version__
from . import buildinfo, help

USAGE = """usage: {} [--json] [--quick]

Print what matters for speed and size: the CPU and the kernels chosen for it, memory and its limits, GPU libraries, packages,
the bundled model, and a two-second measurement with what to expect of a model of 7 B parameters in Q4_0.

options:
{}
"""
OPTIONS = (                            # in the form of options.py
    ("-h --help", "", "do", "", None, "print this text and exit"),
    ("--json", "", "do", "", None, "print it as JSON"),
    ("--quick", "", "do", "", None, "leave the measurement out"),
)

GPU = (("NVIDIA driver", "libcuda.so.1"), ("CUDA runtime", "libcudart.so"), ("AMD ROCm", "libamdhip64.so"),
       ("Vulkan", "libvulkan.so.1"), ("Metal", "/System/Library/Frameworks/Metal.framework/Metal"))
PACKAGES = (("numpy", "convert, the Python API's arrays"), ("tqdm", "convert"), ("aiohttp", "server"),
            ("jinja2", "chat templates that come with a model"), ("prometheus_client", "server --metrics"),
            ("sentencepiece", "convert --verify"), ("tiktoken", "convert --verify"), ("tokenizers", "convert --verify"))
# A model of 7 B parameters in Q4_0: bytes of its file, and multiply-adds of a token.
BYTES_7B, MACS_7B = 3825806912, 6.6e9
Q4_0 = 2
ROW = 4096             # weights: a row of that model
GIB = 1024.0 ** 3


def main(argv):
    """Run `doctor`; return the exit status."""
    words = argv[1:]
    known = [name for row in OPTIONS for name in row[0].split()]
    unknown = [word for word in words if word not in known]
    usage = USAGE.format(argv[0] if argv else "doctor", "\n".join(line for row in OPTIONS for line in help.entry(row)))
    if unknown:
        sys.stderr.write(f"error: unknown argument: {unknown[0]}\n{usage}")
        return 1
    if "-h" in words or "--help" in words:
        sys.stdout.write(usage)
        return 0
    report = examine("--quick" not in words)
    if "--json" in words:
        import json
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write(text(report))
    return 0


def run():
    """The console script."""
    sys.exit(main(sys.argv))


# ---- what there is


def examine(measure=True):
    """The report: a dict of plain values. Takes about two seconds, or none without `measure`."""
    report = {"versions": versions(), "cpu": cpu(), "kernels": kernels(), "memory": memory(), "gpu": gpu(),
              "packages": packages(), "bundled_model": bundled_model()}
    if measure:
        report["speed"] = speed(buildinfo.default_threads(), report["memory"]["available"])
        report["expect_7b_q4_0"] = expect(report["speed"], report["memory"]["available"])
    return report


def versions():
    return {"llamacy": __version__, "build": buildinfo.BUILD, "python": sys.version.split()[0],
            "compiler": buildinfo.compiler(), "platform": buildinfo.target()}


def cpu():
    return {"name": buildinfo.cpu_name() or "unknown", "threads": buildinfo.logical_cpus(), "threads_used": buildinfo.default_threads(),
            "features": [name for name, there in buildinfo.features().items() if there]}


def kernels():
    from ..engine._probe import levels
    built = levels()
    chosen = [name for name, usable in built if usable]
    return {"chosen": chosen[-1] if chosen else "reference", "built": [name for name, _ in built], "usable": chosen,
            "LLAMACY_CPU": os.environ.get("LLAMACY_CPU")}


def memory():
    from ..engine.memory import available, meminfo, read
    fields, (room, bound) = meminfo(), available()
    pages = read("/sys/kernel/mm/transparent_hugepage/enabled")
    locked = next((line.split()[3] for line in read("/proc/self/limits").splitlines() if line.startswith("Max locked")), None)
    return {"total": fields.get("MemTotal"), "available": room, "bounded_by": bound, "swap_free": fields.get("SwapFree"),
            "huge_pages": pages.partition("[")[2].partition("]")[0] or None, "max_locked": locked}


def gpu():
    """{library: found}. Nothing is opened but the libraries themselves."""
    import ctypes
    found = {}
    for name, library in GPU:
        try:
            ctypes.CDLL(library)
            found[name] = True
        except OSError:
            found[name] = False
    return found


def packages():
    from importlib.metadata import PackageNotFoundError, version
    found = {}
    for name, _ in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def bundled_model():
    """Path of the model that comes with the package; None."""
    folder = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "models")
    names = sorted(name for name in os.listdir(folder) if name.endswith(".gguf")) if os.path.isdir(folder) else []
    return os.path.join(folder, names[0]) if names else None


# ---- the measurement


def speed(threads, room=None):
    """GB/s of reading memory and of weights multiplied with one token; GMAC/s with 32 tokens."""
    from concurrent.futures import ThreadPoolExecutor
    from ..engine._probe import multiply, read_rate
    megabytes = 256 if room is None or room > 1 << 30 else 16
    each = (megabytes << 20) // threads // 4608 * 4608
    parts = [b"\x11" * each for _ in range(threads)]       # bytes that are small, normal numbers as scales
    few = [part[:256 * 2304] for part in parts]            # stays in a core's own cache
    with ThreadPoolExecutor(threads) as pool:
        seconds = {
            "one": best(pool, lambda part: multiply(Q4_0, ROW, 1, part), parts, 0.6),
            "many": best(pool, lambda part: multiply(Q4_0, ROW, 32, part), few, 0.5)}
    total = each * threads
    macs = 32 * sum(map(len, few)) / 2304 * ROW
    read = read_rate(threads, megabytes=megabytes, seconds=0.6)
    return {"threads": threads, "read_gb_s": read / 1e9, "product_gb_s": total / seconds["one"] / 1e9,
            "product_gmac_s": macs / seconds["many"] / 1e9}


def best(pool, work, parts, seconds):
    """Shortest time in which all threads have done their part; so long it is tried."""
    from time import perf_counter
    times, end = [], perf_counter() + seconds
    while len(times) < 3 or perf_counter() < end:
        start = perf_counter()
        list(pool.map(work, parts))
        times.append(perf_counter() - start)
    return min(times)


def expect(speed, room):
    """Tokens per second of a 7 B model: while generating all weights are read once for each token."""
    rate = min(speed["read_gb_s"], speed["product_gb_s"])
    return {"bytes": BYTES_7B, "fits": None if room is None else room > BYTES_7B,
            "generation_tokens_s": 1e9 * rate / BYTES_7B, "prompt_tokens_s": 1e9 * speed["product_gmac_s"] / MACS_7B}


# ---- as text


def text(report):
    """The report for people."""
    v, c, k, m = (report[name] for name in ("versions", "cpu", "kernels", "memory"))
    rows = [
        ("llamacy", f"{v['llamacy']} (the command line of llama.cpp b{v['build']})"),
        ("Python", f"{v['python']}, built with {v['compiler']} for {v['platform']}"),
        ("CPU", f"{c['name']}; {c['threads']} threads, of which {c['threads_used']} would be used"),
        ("", " ".join(c["features"]) or "no features that matter"),
        ("kernels", k["chosen"] + f" (built: {' '.join(k['built']) or 'none'}" + limit(k) + ")"),
        ("memory", memory_line(m)),
        ("GPU", gpu_line(report["gpu"])),
        ("packages", ", ".join(f"{name} {found}" for name, found in report["packages"].items() if found) or "none"),
    ]
    rows += [("", f"missing: {name}, for {use}") for name, use in PACKAGES if not report["packages"][name]]
    rows.append(("model", report["bundled_model"] or "none comes with this build: name one with -m"))
    if "speed" in report:
        rows += speed_rows(report["speed"], report["expect_7b_q4_0"])
    return "".join(f"{name:10}{value}\n" for name, value in rows)


def limit(kernels):
    return f"; LLAMACY_CPU={kernels['LLAMACY_CPU']}" if kernels["LLAMACY_CPU"] else ""


def memory_line(m):
    if m["available"] is None or m["total"] is None:
        return "unknown on this system"
    return (f"{m['total'] / GIB:.1f} GiB, of which {m['available'] / GIB:.1f} GiB can be had ({m['bounded_by']}); "
            f"huge pages: {m['huge_pages'] or 'no'}; can be locked: {m['max_locked'] or 'unknown'}")


def gpu_line(found):
    there = [name for name, yes in found.items() if yes]
    return (f"found {', '.join(there)}; " if there else "no library found; ") + "this build computes on the CPU"


def speed_rows(s, e):
    rows = [("speed", f"{s['threads']} threads: memory is read with {s['read_gb_s']:.1f} GB/s, weights in Q4_0 are multiplied with "
                      f"{s['product_gb_s']:.1f} GB/s"),
            ("", f"with 32 tokens at once {s['product_gmac_s']:.0f} billion multiply-adds a second"),
            ("expect", f"of a 7 B model in Q4_0 ({e['bytes'] / GIB:.1f} GiB): about {e['generation_tokens_s']:.1f} tokens/s generated, "
                       f"{e['prompt_tokens_s']:.0f} tokens/s of a prompt read")]
    if e["fits"] is False:
        rows.append(("", "but it does not fit into memory: it would be read from the disk, again and again"))
    return rows
