"""What this program is and what it runs on: version, compiler, CPU features, number of threads."""

import os
import sys

from .. import __version__

BUILD = 2794                      # scripts compare it: the build of llama.cpp whose command line this is
COMMIT = "llamacy-" + __version__

# Names in the order of the system_info line, and the words for them in /proc/cpuinfo (x86 and Arm).
FEATURES = (
    ("AVX", "avx"), ("AVX_VNNI", "avx_vnni"), ("AVX2", "avx2"), ("AVX512", "avx512f"), ("AVX512_VBMI", "avx512vbmi"),
    ("AVX512_VNNI", "avx512_vnni"), ("FMA", "fma"), ("NEON", "asimd"), ("ARM_FMA", "asimd"), ("F16C", "f16c"),
    ("FP16_VA", "asimdhp"), ("WASM_SIMD", ""), ("BLAS", ""), ("SSE3", "pni"), ("SSSE3", "ssse3"), ("VSX", ""),
    ("MATMUL_INT8", "i8mm"), ("LLAMAFILE", ""),
)
CPU_FOLDER = "/sys/devices/system/cpu"
FAST_CORES = "/sys/devices/cpu_core/cpus"      # only on CPUs with two kinds of cores


def version():
    """The number and name that --version prints and `main: build = ` uses, e.g. 2794 (llamacy-0.1.0)."""
    return f"{BUILD} ({COMMIT})"


def compiler():
    """The compiler of this Python, e.g. GCC 12.2.0: its extension modules are built with the same one."""
    return sys.version.partition("[")[2].partition("]")[0] or "an unknown compiler"


def target():
    """The platform, as a triple where Python knows one."""
    system = os.uname()
    return getattr(sys.implementation, "_multiarch", "") or f"{system.machine}-{system.sysname.lower()}"


def cpu_name():
    """The CPU as /proc/cpuinfo calls it; "" where it does not."""
    for line in _read("/proc/cpuinfo", 16384).splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "Processor") and value.strip():
            return value.strip()
    return ""


def cpu_flags():
    """Words of the first "flags" (Arm: "Features") line of /proc/cpuinfo; empty where there is no such file."""
    for line in _read("/proc/cpuinfo", 16384).splitlines():
        name, _, words = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(words.split())
    apple = sys.platform == "darwin" and os.uname().machine == "arm64"
    return frozenset(("asimd", "asimdhp")) if apple else frozenset()


def features():
    """{name: 0 or 1} in the order of the system_info line."""
    flags = cpu_flags()
    return {name: int(word in flags) for name, word in FEATURES}


def system_info(n_threads, n_threads_batch=-1):
    """The system_info line, without newline (its trailing blank belongs to it). n_threads_batch: -1 if not given."""
    batch = f" (n_threads_batch = {n_threads_batch})" if n_threads_batch != -1 else ""
    flags = "".join(f"{name} = {value} | " for name, value in features().items())
    return f"system_info: n_threads = {n_threads}{batch} / {logical_cpus()} | {flags}"


def logical_cpus():
    """CPUs that this process may run on."""
    return len(_cpus())


def default_threads():
    """Physical cores that this process may run on, of the fast kind if there are two; at least 1."""
    cpus = _cpus()
    fast = cpu_list(_read(FAST_CORES))
    cores = {_read(f"{CPU_FOLDER}/cpu{cpu}/topology/thread_siblings") for cpu in (cpus & fast or cpus)} - {""}
    if cores:
        return len(cores)
    if sys.platform == "darwin":
        return _sysctl("hw.perflevel0.physicalcpu") or _sysctl("hw.physicalcpu") or len(cpus)
    return len(cpus) if len(cpus) <= 4 else len(cpus) // 2


def cpu_list(text):
    """The numbers in a list of the kernel: "0-3,8" -> {0, 1, 2, 3, 8}. Anything else is an empty set."""
    numbers = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            return set()
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def _cpus():
    try:
        return os.sched_getaffinity(0)
    except AttributeError:                     # not on macOS
        return set(range(os.cpu_count() or 1))


def _sysctl(name):
    from subprocess import run
    text = run(["/usr/sbin/sysctl", "-n", name], capture_output=True).stdout.strip()
    return int(text) if text.isdigit() else 0


def _read(path, limit=4096):
    """The first bytes of a small file of the kernel as text; "" if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, limit).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)
