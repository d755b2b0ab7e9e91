"""llama-bench: words to cases, times to the four forms that scripts read, and the errors."""

import csv
import io
import json
import os
import re
import sqlite3
import subprocess
import sys

import pytest

from tools import REPO, run

from llamacy.cli.llama_bench_output import FIELDS, Markdown, active, deviation, mean
from llamacy.cli.llama_bench_params import CASE_FIELDS, OPTIONS, parse
from llamacy.engine import Model


def cases(*words):
    return parse(["llama-bench", *words]).cases()


def bench(tmp_path, random_256, *words):
    return run("llama-bench", "-m", random_256, "-p", "9", "-n", "3", "-r", "2", *words, cwd=tmp_path)


# ------------------------------------------------------------------------------------------------------- the words


def test_without_words_a_prompt_and_a_generation():
    assert [(case.model, case.name) for case in cases()] == [
        ("models/7B/ggml-model-q4_0.gguf", "pp 512"), ("models/7B/ggml-model-q4_0.gguf", "tg 128")]


def test_every_combination_is_a_case_and_threads_vary_fastest():
    found = cases("-m", "a,b", "-p", "1", "-n", "0", "-t", "1,2", "-t", "4", "-fa", "0,1")
    assert [(case.model, case.flash_attn, case.n_threads) for case in found] == [
        (model, fa, t) for model in "ab" for fa in (0, 1) for t in (1, 2, 4)]


def test_zero_leaves_a_test_out_and_pg_adds_one():
    assert [case.name for case in cases("-p", "0", "-n", "0", "-pg", "16,8", "-pg", "4,0")] == ["pp 16+tg 8", "pp 4"]
    assert cases("-p", "0", "-n", "0") == []


def test_underscores_count_as_dashes_in_long_flags():
    assert cases("--n_prompt", "7", "-n", "0")[0].n_prompt == 7


def test_every_case_field_has_a_flag():
    assert set(CASE_FIELDS) <= {row[3] for row in OPTIONS}


@pytest.mark.parametrize("words, message", [
    (("-p", "x"), "invalid parameter for argument: -p: 'x', expected N"),
    (("-t", "-1"), "invalid parameter for argument: -t: '-1', expected N"),
    (("-r", "0"), "invalid parameter for argument: -r: '0', expected N"),
    (("-fa", "2"), "invalid parameter for argument: -fa: '2', expected 0|1"),
    (("-ctk", "q9"), "invalid parameter for argument: -ctk: 'q9', expected TYPE"),
    (("-pg", "5"), "invalid parameter for argument: -pg: '5', expected PP,TG"),
    (("-o", "xml"), "invalid parameter for argument: -o: 'xml', expected csv|json|md|sql"),
    (("-m",), "invalid parameter for argument: -m"),
    (("--tip",), "unknown argument: --tip"),
])
def test_bad_words_are_one_line_and_the_usage(tmp_path, words, message):
    done = run("llama-bench", *words, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.decode() == f"error: {message}\n"
    assert done.stdout.startswith(b"usage: ")


def test_help_names_every_flag(tmp_path):
    done = run("llama-bench", "--help", cwd=tmp_path)
    assert done.returncode == 0 and not done.stderr
    for row in OPTIONS:
        assert all(name in done.stdout.decode() for name in row[0].split())


# ------------------------------------------------------------------------------------------------------- the forms


def test_markdown_is_a_table_of_even_columns(tmp_path, random_256):
    done = bench(tmp_path, random_256, "-t", "1,2", "-fa", "1")
    lines = done.stdout.decode().splitlines()
    assert lines[0] == ("| model                          |       size |     params | backend    |    threads | fa         "
                        "| test       |              t/s |")
    assert len({line.rindex("|", 0, -1) for line in lines[:6]}) == 1 and lines[6] == ""   # rates may be wider
    assert re.fullmatch(r"build: llamacy-[\d.]+ \(2794\)", lines[7])
    tests = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:6]]
    assert [row[4:7] for row in tests] == [["1", "1", "pp 9"], ["1", "1", "tg 3"], ["2", "1", "pp 9"], ["2", "1", "tg 3"]]
    assert all(re.fullmatch(r"\d+\.\d\d ± \d+\.\d\d", row[7]) and row[:4] == ["llama ?B F16", "6.51 MiB", "3.41 M", "CPU"]
               for row in tests)


def test_columns_of_what_the_user_chose():
    request = parse(["llama-bench", "-b", "64", "-mmp", "0"])
    assert Markdown(request).columns == ["model", "size", "params", "backend", "n_threads", "n_batch", "use_mmap", "test", "t/s"]


def test_json_has_types_and_samples(tmp_path, random_256):
    rows = json.loads(bench(tmp_path, random_256, "-o", "json", "-t", "1", "-b", "4").stdout)
    assert [list(row) for row in rows] == [[*FIELDS, "samples_ns", "samples_ts"]] * 2
    first = rows[0]
    assert first["build_number"] == 2794 and first["use_mmap"] is True and first["flash_attn"] is False
    assert (first["n_prompt"], first["n_gen"], first["n_threads"], first["n_batch"]) == (9, 0, 1, 4)
    assert first["avg_ns"] == int(sum(first["samples_ns"]) / 2)
    assert first["samples_ts"] == pytest.approx([9e9 / ns for ns in first["samples_ns"]], rel=1e-5)
    assert first["avg_ts"] == pytest.approx(sum(first["samples_ts"]) / 2, rel=1e-5)


def test_csv_and_sql_agree_with_each_other_in_names(tmp_path, random_256):
    rows = list(csv.DictReader(io.StringIO(bench(tmp_path, random_256, "-o", "csv").stdout.decode())))
    assert len(rows) == 2 and list(rows[0]) == list(FIELDS) and rows[1]["n_gen"] == "3"
    database = sqlite3.connect(":memory:")
    database.executescript(bench(tmp_path, random_256, "-o", "sql").stdout.decode())
    found = database.execute(f"SELECT {', '.join(FIELDS)} FROM test").fetchall()
    assert len(found) == 2 and {row[list(FIELDS).index("model_filename")] for row in found} == {str(random_256)}
    assert all(row[list(FIELDS).index("avg_ts")] > 0 for row in found)


def test_mean_and_deviation():
    assert mean([1, 2, 3, 4]) == 2.5 and deviation([1, 2, 3, 4]) == pytest.approx(1.2909944)
    assert deviation([5]) == 0


# ------------------------------------------------------------------------------------------------------- what fails


def test_a_missing_model_is_named_and_what_was_measured_stays_readable(tmp_path, random_256):
    done = run("llama-bench", "-m", f"{random_256},gone.gguf", "-p", "2", "-n", "0", "-r", "1", "-o", "json", cwd=tmp_path)
    assert done.returncode == 1 and len(json.loads(done.stdout)) == 1
    assert done.stderr == b"llama-bench: error: failed to load model 'gone.gguf': No such file or directory\n"


def test_a_damaged_model_is_one_line(tmp_path, random_256):
    (tmp_path / "cut.gguf").write_bytes(random_256.read_bytes()[:5000])
    done = run("llama-bench", "-m", "cut.gguf", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"cut.gguf" in done.stderr


def test_quantized_caches_run(tmp_path, random_256):
    done = bench(tmp_path, random_256, "-ctk", "q8_0,f16", "-ctv", "f16", "-o", "csv")
    assert done.returncode == 0 and done.stdout.count(b'"q8_0","f16"') == 2


def test_plot_draws_a_picture(tmp_path, random_256):
    code = ("import sys; from llamacy.cli.llama_bench import main; "
            f"sys.exit(main(['llama-bench', '-m', {str(random_256)!r}, '-p', '4', '-n', '2', '-r', '1', '--plot', 'x.png']))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPO)})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_plot_without_matplotlib_says_what_to_install(tmp_path, random_256):
    done = run("llama-bench", "-m", random_256, "-p", "2", "-n", "0", "-r", "1", "--plot", "x.png", cwd=tmp_path)
    assert done.returncode == 1 and not (tmp_path / "x.png").exists()
    assert re.fullmatch(rb"llama-bench: error: --plot needs matplotlib: \S+ -m pip install matplotlib\n", done.stderr)


def test_a_token_is_multiplied_with_all_but_the_embedding(random_256):
    model = Model(random_256)
    params, size = active(model)
    embedding = model.hparams.n_vocab * model.hparams.n_embd
    assert params == model.n_params - embedding and size == model.size - 2 * embedding
