"""imatrix: the sums are the reference's, files are whole or not there, every flag does what it says."""

import json
import math
import os
import signal
import struct
import subprocess

import numpy as np
import pytest

from llamacy.cli.imatrix_params import OPTIONS, parse
from llamacy.errors import UsageError
from llamacy.gguf import GGUFFile, GGUFWriter
from llamacy.quantize import imatrix as reader
from llamacy.quantize import sums as kept
from llamacy.quantize.collect import Perplexity, batches, chunks_of
from tools import HEAVY, argv, loaded, run

WORDS = b"the a little girl boy dog saw went to and play with happy sad big tree ball her his mom said yes no".split()


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A file of 700 words, some 3000 tokens of the random model."""
    words, state = [], 7
    for _ in range(700):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        words.append(WORDS[(state >> 16) % len(WORDS)])
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_bytes(b" ".join(words))
    return path


def entries(path):
    """({name: (calls, values)}, calls of the file, dataset): the layout read by hand."""
    data = path.read_bytes()
    (n,), at, found = struct.unpack_from("<i", data), 4, {}
    for _ in range(n):
        size, = struct.unpack_from("<i", data, at)
        name, at = data[at + 4:at + 4 + size].decode(), at + 4 + size
        calls, count = struct.unpack_from("<ii", data, at)
        found[name] = calls, np.frombuffer(data, "<f4", count, at + 8)
        at += 8 + 4 * count
    calls, size = struct.unpack_from("<ii", data, at)
    assert len(found) == n and len(data) == at + 8 + size
    return found, calls, data[at + 8:]


def measure(folder, model, text, *words, output="o.imatrix"):
    """(CompletedProcess of a run that must succeed, what is in its file)"""
    done = run("imatrix", "-m", model, "-f", text, "-t", "1", "-o", output, *words, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return done, entries(folder / output)


SMALL = ["-c", "256", "-b", "128", "--chunks", "2"]


# --- what comes out


def test_sums_and_perplexity_are_the_reference_s(tmp_path, repo, random_256, text):
    golden = json.loads((repo / "tests/golden/imatrix_random256.json").read_text())
    done, (found, calls, dataset) = measure(tmp_path, random_256, text, *golden["arguments"].split())
    assert (calls, dataset) == (golden["batches"], os.fsencode(text)) and found.keys() == golden["sums"].keys()
    for name, (n, total, *values) in golden["sums"].items():
        assert found[name][0] == 8 and len(found[name][1]) == n
        sums = found[name][1].astype(float)
        assert [sums.sum(), *sums[:3], sums[-1]] == pytest.approx([total, *values], rel=1e-3), name
    assert done.stdout.decode() == golden["stdout"]


@pytest.mark.parametrize("name", ["random-256-f16", "stories260K-pad-f32"])
def test_files_have_the_shape_of_the_recorded_ones(tmp_path, shared, text, name):
    """Made with -c 128 --chunks 8: contexts are padded to 256 tokens, batches have no more than the 128 asked for."""
    model = shared / "data/models" / f"{name}.gguf"
    golden, calls, dataset = entries(shared / "golden" / f"{name}.imatrix")
    long = tmp_path / "calib.txt"
    long.write_bytes(text.read_bytes() * 5)
    _, (found, own_calls, own_dataset) = measure(tmp_path, model, "calib.txt", "-c", "128", "--chunks", "8")
    assert (own_calls, own_dataset) == (calls, dataset) == (16, b"calib.txt")
    assert {key: (n, len(v)) for key, (n, v) in found.items()} == {key: (n, len(v)) for key, (n, v) in golden.items()}
    assert all(((v > 0) == (golden[key][1] > 0)).all() for key, (_, v) in found.items())
    with GGUFFile(model) as gguf:                 # without the norm's weights a row has a mean square of 1
        for key in ("blk.2.attn_q.weight", "blk.3.ffn_up.weight"):
            norm = key.replace("attn_q", "attn_norm").replace("ffn_up", "ffn_norm")
            weights = np.frombuffer(gguf.data(norm), "<f4")
            rows = [(sums[key][1] / weights ** 2).mean() for sums in (golden, found)]
            assert rows == pytest.approx([2048, 2048], rel=1e-3)


def test_quantize_reads_it(tmp_path, random_256, text):
    _, (found, calls, _) = measure(tmp_path, random_256, text, *SMALL)
    imatrix = reader.load(str(tmp_path / "o.imatrix"))
    assert imatrix.entries.keys() == found.keys() and imatrix.chunks == calls == 4
    for name, (n, values) in found.items():
        assert np.array_equal(np.asarray(imatrix.entries[name]), values / np.float32(n)), name


def test_neither_threads_nor_the_perplexity_change_the_file(tmp_path, random_256, text):
    measure(tmp_path, random_256, text, *SMALL)
    done, _ = measure(tmp_path, random_256, text, *SMALL, "-t", "2", "--no-ppl", output="other")
    assert done.stdout == b"\n"
    assert (tmp_path / "other").read_bytes() == (tmp_path / "o.imatrix").read_bytes()


def test_output_weight_only_when_asked_for(tmp_path, random_256, text):
    for *words, wanted in ([False], ["-ow", "0", False], ["--output-weight", "1", True], ["--process-output", True]):
        _, (found, _, _) = measure(tmp_path, random_256, text, *SMALL, *words)
        assert ("output.weight" in found) == wanted and len(found) == 28 + wanted
        assert all(name.startswith("blk.") for name in found if name != "output.weight")


def test_tails_shorter_than_16_tokens_do_not_count(tmp_path, random_256, text):
    """256 tokens are four batches of 61 and one of 12."""
    _, (found, calls, _) = measure(tmp_path, random_256, text, "-c", "256", "-b", "61", "--chunks", "2")
    assert calls == 8 and {n for n, _ in found.values()} == {8}
    _, (whole, calls, _) = measure(tmp_path, random_256, text, "-c", "256", "-b", "64", "--chunks", "2")
    total = {True: 0.0, False: 0.0}
    for sums in (found, whole):
        total[sums is whole] = sums["blk.1.attn_q.weight"][1].sum()
    assert total[False] / total[True] == pytest.approx(244 / 256, rel=0.02)


def moe(path, source):
    """A mixture of four experts from the dense model: 0 or 1 is the best, 2 the second, 3 is never chosen."""
    with GGUFFile(source) as gguf, GGUFWriter(path) as writer:
        for key in gguf.keys():
            writer.copy(gguf, key)
        writer.add("llama.expert_count", "u32", 4)
        writer.add("llama.expert_used_count", "u32", 2)
        for name, tensor in gguf.tensors.items():
            data = bytes(gguf.data(name))
            if ".ffn_" in name and ".ffn_norm" not in name:
                writer.add_tensor(name.replace(".weight", "_exps.weight"), (*tensor.ne, 4), tensor.type, 4 * data)
            else:
                writer.add_tensor(name, tensor.ne, tensor.type, data)
            if ".ffn_norm" in name:
                gate = np.zeros((4, 256), "<f4")
                gate[0] = np.linspace(-0.1, 0.1, 256)     # logits of about 1: rounding must not make ties
                gate[1] = -gate[0]
                writer.add_tensor(name.replace("norm", "gate_inp"), (256, 4), 0, gate.tobytes())


def test_experts_get_what_was_sent_to_them(tmp_path, random_256, text):
    moe(tmp_path / "moe.gguf", random_256)
    done, (found, calls, _) = measure(tmp_path, "moe.gguf", text, *SMALL)
    assert calls == 4 and len(found) == 32
    inputs = found["blk.1.ffn_gate_inp.weight"][1]
    gate, up = (found[f"blk.1.ffn_{kind}_exps.weight"][1].reshape(4, 256) for kind in ("gate", "up"))
    assert np.array_equal(gate, up) and not gate[3].any()
    assert gate.sum(0) == pytest.approx(2 * inputs, rel=1e-4)
    assert gate[0] + gate[1] == pytest.approx(inputs, rel=1e-2) and gate[2] == pytest.approx(inputs, rel=1e-2)
    assert found["blk.1.ffn_down_exps.weight"][1].reshape(4, 768)[:3].all()
    warning = "main: warning: blk.1.ffn_gate_exps.weight: data for 3 of 4 experts, 768 of 768 columns\n"
    assert warning in done.stderr.decode() and done.stderr.decode().count("main: warning: blk.") == 12
    assert b"main: coverage: 20 of 32 tensors have data for all columns\n" in done.stderr


def test_experts_count_short_tails(tmp_path, random_256, text):
    """As the reference has it."""
    moe(tmp_path / "moe.gguf", random_256)
    _, (found, calls, _) = measure(tmp_path, "moe.gguf", text, "-c", "256", "-b", "61", "--chunks", "1")
    assert calls == 5 and {n for name, (n, _) in found.items() if "_exps" in name} == {5}
    assert {n for name, (n, _) in found.items() if "_exps" not in name} == {4}


def test_coverage():
    values = memoryview(np.array([0, 1, 2, 3, 0, 0, 0, 4], "f4"))
    assert kept.coverage(values, 1) == (1, 4, 8)
    assert kept.coverage(values, 4) == (3, 4, 6)
    assert kept.coverage(memoryview(np.zeros(4, "f4")), 2) == (0, 0, 0)


# --- files along the way


def test_files_are_written_while_data_come_in(tmp_path, random_256, text):
    done, (found, _, _) = measure(tmp_path, random_256, text, *SMALL, "-ofreq", "3", "--keep-imatrix", "2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.imatrix", "o.imatrix.at_2", "o.imatrix.at_4"]
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("save_imatrix")]
    assert lines == [f"save_imatrix: stored collected data after {n} chunks in o.imatrix{end}"
                     for n, end in ((2, ".at_2"), (3, ""), (4, ".at_4"), (4, ""))]
    measure(tmp_path, random_256, text, "-c", "256", "-b", "128", "--chunks", "1", output="first")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "o.imatrix.at_2").read_bytes()
    assert (tmp_path / "o.imatrix").read_bytes() == (tmp_path / "o.imatrix.at_4").read_bytes()


def test_an_interrupted_measurement_goes_on(tmp_path, random_256, text):
    measure(tmp_path, random_256, text, *SMALL, "--chunks", "2", output="first")
    rest = ["--chunks", "1", "--from-chunk", "2", "--continue-from", "first"]
    measure(tmp_path, random_256, text, *SMALL, *rest, output="both")
    measure(tmp_path, random_256, text, *SMALL, "--chunks", "3", output="whole")
    assert (tmp_path / "both").read_bytes() == (tmp_path / "whole").read_bytes()


def test_files_are_added_up(tmp_path, random_256, text):
    _, (first, _, _) = measure(tmp_path, random_256, text, *SMALL, output="a")
    _, (second, _, _) = measure(tmp_path, random_256, text, *SMALL, "--from-chunk", "1", output="b")
    done = run("imatrix", "--combine", "a,b", "-o", "c", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"Combining the following 2 files\n    a\n    b\n")
    found, calls, dataset = entries(tmp_path / "c")
    assert (calls, dataset) == (8, b"") and found.keys() == first.keys()
    for name, (n, values) in found.items():
        assert n == 8 and np.array_equal(values, first[name][1] + second[name][1])


def test_quiet_and_talkative(tmp_path, random_256, text):
    done, _ = measure(tmp_path, random_256, text, *SMALL, "--verbosity", "0")
    assert b"save_imatrix" not in done.stderr and b"coverage" not in done.stderr
    done, _ = measure(tmp_path, random_256, text, *SMALL, "--verbosity", "2")
    lines = [line for line in done.stdout.decode().splitlines() if "collect_imatrix" in line]
    assert len(lines) == 28 * 4
    assert any(line.endswith("         blk.3.ffn_down.weight, MUL_MAT,   768 x   128, 0") for line in lines)


# --- words


def test_flags_of_its_own_and_shared_ones(tmp_path):
    request = parse(["x", "-m", "M", "-o", "O", "--output_frequency", "5", "-p", "-o", "--keep-imatrix", "2",
                     "-ow", "1", "--verbosity", "3", "--no-ppl", "--chunks", "4", "--from-chunk", "1", "-c", "64"])
    assert (request.output_file, request.output_frequency, request.keep_every, request.output_weight) == ("O", 5, 2, 1)
    assert (request.verbosity, request.perplexity, request.from_chunk) == (3, False, 1)
    params = request.params
    assert (params.model, params.prompt, params.n_chunks, params.n_ctx, params.n_batch) == ("M", b"-o", 4, 64, 512)
    assert parse(["x", "--control-vector-scaled", "-o", "1"]).output_file == "imatrix.dat"
    assert parse(["x", "--save-frequency", "7"]).keep_every == 7


@pytest.mark.parametrize("words, line, help", [
    (["--foo"], "error: unknown argument: --foo", True),
    (["-o"], "error: invalid parameter for argument: -o", True),
    (["--combine"], "error: invalid parameter for argument: --combine", True),
    (["-ofreq", "x"], "stoi", True),
    (["-m"], "error: invalid parameter for argument: -m", True),
    (["--from-chunk", "99999999999"],
     "error: --from-chunk: '99999999999' is out of range (accepted: -2147483648 to 2147483647)", False),
])
def test_words_that_make_no_command(tmp_path, words, line, help):
    done = run("imatrix", *words, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.decode() == line + "\n"
    assert done.stdout.startswith(b"\nusage: ./imatrix [options]\n") == help and bool(done.stdout) == help


def test_help_and_page_name_all_flags(tmp_path, repo):
    done = run("imatrix", "--help", cwd=tmp_path)
    page = (repo / "docs/imatrix.md").read_text()
    assert done.returncode == 0 and b"--rope-freq-base" in done.stdout
    for row in OPTIONS:
        assert ", ".join(row[0].split()) in done.stdout.decode()
        assert all(f"`{name}`" in page for name in row[0].split())
    assert run("imatrix", "--version", cwd=tmp_path).stderr.startswith(b"version: 2794 (")


# --- refusals


@pytest.mark.parametrize("words, line", [
    ([], "there is no text to read: name a file with -f"),
    (["-p", "x", "-c", "256"], "you need at least 512 tokens for a context of 256 tokens: the data file you provided "
                               "tokenizes to only 3 tokens"),
    (["-f", "TEXT", "-c", "256", "--from-chunk", "50"],
     "there will be not enough tokens left after removing 50 chunks"),
    (["-f", "TEXT", "-b", "15"], "-c 512 -b 15 -ub 512: data come only from batches of at least 16 tokens"),
    (["-f", "TEXT", "-ub", "8"], "-c 512 -b 512 -ub 8: data come only from batches of at least 16 tokens"),
    (["-f", "TEXT", "-c", "256", "--chunks", "0"], "no data were collected"),
    (["-f", "TEXT", "-o", "no/folder"], "FOLDER/no/folder: No such file or directory"),
    (["-f", "TEXT", "--continue-from", "nothing"], "failed to open nothing: No such file or directory"),
    (["-f", "TEXT", "--continue-from", "TEXT"], "failed reading name for entry 1 from TEXT"),
    (["-f", "TEXT", "-m", "nothing"], "unable to load model"),
    (["--combine", "one"], "You must provide at least two comma separated files to use --combine"),
    (["--combine", "one,two"], "failed to open one: No such file or directory"),
])
def test_what_cannot_be_done(tmp_path, random_256, text, words, line):
    words = [str(text) if word == "TEXT" else word for word in words]
    done = run("imatrix", "-m", random_256, "-t", "1", *words, cwd=tmp_path)
    assert done.returncode == 1 and not list(tmp_path.iterdir())
    expected = line.replace("TEXT", str(text)).replace("FOLDER", str(tmp_path))
    assert done.stderr.decode().splitlines()[-1] == f"main: error: {expected}"


def test_a_file_of_another_model(tmp_path, random_256, text):
    kept.Sums({"blk.0.attn_q.weight": np.ones(3, "f4")}, {"blk.0.attn_q.weight": 1}).save(tmp_path / "other")
    done = run("imatrix", "-m", random_256, "-f", text, *SMALL, "--continue-from", "other", cwd=tmp_path)
    line = "main: error: blk.0.attn_q.weight: 3 values, expected 256: the file is of another model"
    assert done.returncode == 1 and done.stderr.decode().splitlines()[-1] == line


def test_damaged_files_are_refused_to_the_last_byte(tmp_path):
    kept.Sums({"blk.0.w": np.ones(3, "f4")}, {"blk.0.w": 2}).save(tmp_path / "good", b"text")
    data = (tmp_path / "good").read_bytes()
    end = len(data) - 4 - 4 - len(b"text")                  # the trailer may be missing
    for n in range(end):
        (tmp_path / "cut").write_bytes(data[:n])
        with pytest.raises(reader.ImatrixError):
            kept.load(str(tmp_path / "cut"))
    (tmp_path / "cut").write_bytes(data[:end])
    assert list(kept.load(str(tmp_path / "cut")).values["blk.0.w"]) == [1, 1, 1]
    for value in (math.nan, math.inf, -1.0):
        (tmp_path / "cut").write_bytes(data[:end - 4] + struct.pack("<f", value))
        with pytest.raises(reader.ImatrixError, match="not a finite number"):
            kept.load(str(tmp_path / "cut"))


def test_numbers_that_do_not_fit_leave_the_old_file(tmp_path, random_256, text):
    """A model whose first norm has an infinite weight."""
    with GGUFFile(random_256) as gguf, GGUFWriter(tmp_path / "bad.gguf") as writer:
        for key in gguf.keys():
            writer.copy(gguf, key)
        for name, tensor in gguf.tensors.items():
            data = bytes(gguf.data(name))
            if name == "blk.0.attn_norm.weight":
                data = struct.pack("<f", math.inf) + data[4:]
            writer.add_tensor(name, tensor.ne, tensor.type, data)
    (tmp_path / "o").write_bytes(b"mine")
    done = run("imatrix", "-m", "bad.gguf", "-f", text, *SMALL, "--no-ppl", "-o", "o", cwd=tmp_path)
    assert done.returncode == 1 and (tmp_path / "o").read_bytes() == b"mine"
    line = "main: error: blk.0.attn_q.weight: the sum of its squared inputs is "
    assert done.stderr.decode().splitlines()[-1].startswith(line)


@pytest.mark.parametrize("after, state", [(300, "o has the data of 4 batches"), (100, "no data were written")])
def test_a_signal_leaves_whole_files(tmp_path, random_256, text, after, state):
    """Ctrl+C after so many tokens' perplexity; 127 in each chunk."""
    trap = "import os, llamacy.quantize.collect as c; real, n = c.surprise, 0\n" \
           "def surprise(*words):\n" \
           "    global n\n" \
           "    n += 1\n" \
           f"    if n == {after}: os.kill(os.getpid(), 2)\n" \
           "    return real(*words)\n" \
           "c.surprise = surprise\n"
    *start, code = argv("imatrix")
    before, _, rest = code.partition("from llamacy.cli")
    words = ["-m", random_256, "-f", text, "-c", "256", "-b", "128", "-ofreq", "4", "-o", "o"]
    done = subprocess.run([*start, f"{before}\n{trap}from llamacy.cli{rest}", *words], cwd=tmp_path,
                          capture_output=True, timeout=60)
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert done.stderr.decode().splitlines()[-1] == f"main: stopped by Ctrl+C, {state}"
    assert [path.name for path in tmp_path.iterdir()] == (["o"] if "data of" in state else [])
    if "data of" in state:
        assert entries(tmp_path / "o")[1] == 4


# --- parts


def test_pieces_of_a_context():
    assert list(batches(256, 100, 64)) == [(0, 64), (64, 100), (100, 164), (164, 200), (200, 256)]
    assert list(batches(8, 8, 8)) == [(0, 8)]


def test_chunks_of_a_text():
    tokens = list(range(45))
    assert chunks_of(tokens, 10) == (tokens, 4) and chunks_of(tokens, 10, 3) == (tokens, 3)
    assert chunks_of(tokens, 10, 9, 2) == (tokens[20:], 2)
    for most, skip, n in ((-1, 3, 45), (-1, 0, 19)):
        with pytest.raises(UsageError):
            chunks_of(tokens[:n], 10, most, skip)


def test_perplexity():
    found = Perplexity()
    for value in (1.0, 2.0, 3.0):
        found.add(value)
    assert found.value == pytest.approx(math.exp(2))
    assert found.error == pytest.approx(math.exp(2) * math.sqrt(2 / 3 / 2))
    flat = Perplexity()
    flat.add(1.0)
    assert flat.error is None


def test_surprise():
    from llamacy.quantize._score import surprise
    logits = np.array([1000, 999, -1000, 0.5], "f4")
    wide = logits.astype(float)
    for token in range(4):
        expected = np.log(np.exp(wide - 1000).sum()) - (wide[token] - 1000)
        assert surprise(memoryview(logits), token) == pytest.approx(expected, rel=1e-6)
    for token in (-1, 4):
        with pytest.raises(ValueError):
            surprise(memoryview(logits), token)


def test_start_loads_nothing_heavy(tmp_path, random_256, text):
    """`collections` comes with `array`, which the sums are."""
    found = loaded("imatrix", "-m", random_256, "-f", text, *SMALL, cwd=tmp_path)
    assert "llamacy.quantize.collect" in found and (tmp_path / "imatrix.dat").exists()
    assert found & HEAVY <= {"collections"}
    found = loaded("imatrix", "--version", cwd=tmp_path)
    assert "llamacy.cli.imatrix_params" in found and not found & HEAVY and "llamacy.engine" not in found
