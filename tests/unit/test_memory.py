"""Out of memory is a sentence: what is needed, what there is, and what would fit, before anything is taken."""

import os
import re
import resource
import subprocess
import sys

import pytest

from llamacy import Llama
from llamacy.engine import Context, Model, memory

SENTENCE = re.compile(r"need ([\d.]+ [GM]iB) \((?:weights [\d.]+ [GM]iB, )?KV ([\d.]+ [GM]iB), scratch [\d.]+ [GM]iB\), "
                      r"have [\d.]+ [GM]iB \((.+?)\): try (.+)")


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))


needs_small_python = pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="ASan needs more addresses than that")


def cgroup(tmp_path, v1=False, **groups):
    """A tree of control groups; groups: name -> (limit, used, pages of files)."""
    limit, used = ("memory.limit_in_bytes", "memory.usage_in_bytes") if v1 else ("memory.max", "memory.current")
    root = tmp_path / "cgroup"
    for name, (most, taken, cached) in groups.items():
        folder = root / ("memory" if v1 else ".") / name.replace("__", "/").removeprefix("top")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / limit).write_text(f"{most}\n")
        (folder / used).write_text(f"{taken}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\nactive_file 0\n")
    mine = tmp_path / "mine"
    mine.write_text("5:cpu,memory:/a/b\n4:pids:/\n" if v1 else "0::/a/b\n")
    return {"root": str(root), "mine": str(mine)}


@pytest.mark.parametrize("v1", [False, True])
def test_narrowest_control_group_counts(tmp_path, v1):
    unlimited = 1 << 63 if v1 else "max"
    assert memory.cgroup_room(**cgroup(tmp_path, v1, top=(unlimited, 50, 0))) is None
    assert memory.cgroup_room(**cgroup(tmp_path, v1, a=(1000, 600, 0))) == 400
    assert memory.cgroup_room(**cgroup(tmp_path, v1, a=(1000, 600, 0), a__b=(900, 100, 0))) == 400
    assert memory.cgroup_room(**cgroup(tmp_path, v1, a__b=(300, 250, 200))) == 250      # pages of files are given up
    assert memory.cgroup_room(**cgroup(tmp_path, v1, a__b=(300, 350, 0))) == 0
    assert memory.cgroup_room(root="/nowhere", mine="/nowhere") is None


def test_this_machine_is_understood():
    have, bound = memory.available()
    assert 0 < have < 1 << 50 and bound in ("free memory", "the cgroup's limit", "ulimit -v")


@pytest.mark.parametrize("sizes", [{}, {"n_ctx": 8192, "n_threads": 3}, {"n_ctx": 4096, "type_v": "q8_0", "n_threads": 2},
                                   {"n_batch": 64, "n_ubatch": 64, "n_outputs": 64}])
def test_estimate_of_scratch_is_near(random_256, sizes):
    context = Context(Model(str(random_256)), **sizes)
    par = {"n_ubatch": context.n_ubatch, "n_outputs": sizes.get("n_outputs", 1), "n_threads": sizes.get("n_threads", 1),
           "n_threads_batch": 1, "type_k": 1, "type_v": 8 if "type_v" in sizes else 1}
    found = context.need(par).scratch
    assert 0.75 * context._run.scratch_bytes() < found < 1.25 * context._run.scratch_bytes() + (1 << 20)
    context.close()


def pretend(monkeypatch, have, bound="free memory"):
    monkeypatch.setattr(memory, "available", lambda: (have, bound))
    monkeypatch.setattr("llamacy.engine.context.available", lambda: (have, bound))


def test_sentence_and_its_advice(random_256, monkeypatch):
    model = Model(str(random_256))
    pretend(monkeypatch, 96 << 20)
    with pytest.raises(MemoryError) as caught:
        Context(model, n_ctx=65536, n_ubatch=32)
    need, kv, bound, advice = SENTENCE.fullmatch(str(caught.value)).groups()
    assert bound == "free memory" and kv in need or float(need.split()[0]) > float(kv.split()[0])
    fits = re.fullmatch(r"-c (\d+)( or -ctk q8_0 -ctv q8_0)?", advice)
    context = Context(model, n_ctx=int(fits[1]), n_ubatch=32)
    assert context.n_ctx == int(fits[1])
    context.close()
    pretend(monkeypatch, 1 << 16)
    with pytest.raises(MemoryError, match="try a smaller -ub, or a smaller model"):
        Context(model, n_ctx=256)


def test_smaller_types_are_advised_where_they_fit(monkeypatch):
    need = memory.Need(100_000, 1000, 1000, 0, 0, small=(531, 531))
    assert need.sentence(130_000_000 + (16 << 20), "free memory").endswith("or -ctk q8_0 -ctv q8_0")
    assert need.sentence(90_000_000, "free memory").endswith(": try -c 34304")
    assert need.sentence(None, "") == "need 190.7 MiB (KV 190.7 MiB, scratch 0.0 MiB): try a smaller -c"


def test_weights_of_our_own_are_counted_before_they_are_read(random_256, monkeypatch):
    pretend(monkeypatch, 1000)
    for settings, flag in (({"use_mmap": False}, "--no-mmap"), ({"use_mlock": True}, "--mlock")):
        with pytest.raises(MemoryError, match=rf"need .* \(weights .*\), have .* \(free memory\): try without {flag}"):
            Model(str(random_256), **settings)
    Model(str(random_256)).close()                 # mapped weights need not be in memory


def test_mapped_weights_that_do_not_fit_are_a_warning(random_256, monkeypatch):
    model, lines = Model(str(random_256)), []
    pretend(monkeypatch, Context(model, n_ctx=256).need({"n_ubatch": 256, "n_outputs": 1, "n_threads": 1, "n_threads_batch": 1,
                                                          "type_k": 1, "type_v": 1}).cache + (8 << 20))
    monkeypatch.setattr(model, "size", 1 << 30)
    Context(model, n_ctx=256, log=lines.append).close()
    assert any(line.startswith(b"warning: the weights take 1.0 GiB") for line in lines)


@needs_small_python
def test_failed_allocation_is_the_same_sentence(random_256, monkeypatch):
    """The system refuses although there seemed to be room."""
    monkeypatch.setattr("llamacy.engine.context.check_memory", lambda need, log: None)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, ((memory.number(memory.read("/proc/self/statm").split()[0]) << 12) + (200 << 20), limits[1]))
    try:
        with pytest.raises(MemoryError) as caught:
            Context(Model(str(random_256)), n_ctx=1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert SENTENCE.fullmatch(str(caught.value))[3] == "ulimit -v"


@needs_small_python
def test_main_ends_with_the_sentence_and_its_advice_works(run_main, random_256):
    done = run_main("-m", random_256, "-p", "a", "-n", "2", "-t", "1", "-c", "2000000", preexec_fn=limited)
    line = next(line for line in done.stderr.decode().splitlines() if line.startswith("llama_new_context_with_model: need "))
    assert (done.returncode, done.stdout) == (1, b"")
    advice = SENTENCE.search(line)
    assert advice[3] == "ulimit -v"
    words = advice[4].split(" or ")[0].split()
    done = run_main("-m", random_256, "-p", "a", "-n", "2", "-t", "1", *words, preexec_fn=limited)
    assert done.returncode == 0 and done.stdout


@needs_small_python
def test_server_ends_at_start(repo, random_256, tmp_path):
    code = f"import sys; sys.path.insert(0, {str(repo)!r}); from llamacy.cli.server import run; run()"
    done = subprocess.run([sys.executable, "-c", code, "-m", random_256, "-c", "3000000", "--port", "0"], capture_output=True,
                          timeout=60, cwd=tmp_path, preexec_fn=limited)
    assert done.returncode == 1 and SENTENCE.search(done.stderr.decode())[3] == "ulimit -v"


def test_python_gets_a_memory_error(random_256, monkeypatch):
    pretend(monkeypatch, 8 << 20)
    with pytest.raises(MemoryError, match=r"need .*KV .*try "):
        Llama(random_256, n_ctx=1 << 20, verbose=False)
