"""Words of the command line -> settings, and every way in which they can be wrong."""

import os
import re

import pytest

from llamacy.cli import server_options as options
from llamacy.cli.server_params import help_text, parse

DEFAULTS = {"host": "127.0.0.1", "port": 8080, "timeout": 600, "n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "n_parallel": 1,
            "n_predict": -1, "grp_attn_n": 1, "grp_attn_w": 512, "embedding": False, "metrics": False, "slots_endpoint": True,
            "use_mmap": True, "cache_type_k": "f16", "yarn_ext_factor": -1.0, "api_keys": [], "log_format": "json",
            "model": "models/7B/ggml-model-f16.gguf", "alias": "models/7B/ggml-model-f16.gguf", "slot_save_path": "", "chat_template": None}


def run(*words):
    return parse(["./server", *map(str, words)])


def refused(capfd, *words):
    """(stdout, stderr) of a command line that ends with status 1."""
    with pytest.raises(SystemExit) as end:
        run(*words)
    assert end.value.code == 1
    out = capfd.readouterr()
    return out.out, out.err


@pytest.mark.parametrize("name", DEFAULTS)
def test_default(name):
    assert getattr(run(), name) == DEFAULTS[name]


def test_every_row_can_be_given():
    values = {"N": "2", "F": "0.5", "FILE": os.devnull, "FILE SCALE": "a 1", "KEY=TYPE:VALUE": "a=int:1", "TYPE": "q8_0",
              "SECONDS": "3", "MIB": "1", "NAME|JINJA": "chatml", "none|mean|cls": "none"}
    seen = set()
    for names, value, kind, field, _, _ in options.rows():
        for name in names.split():
            assert name not in seen
            seen.add(name)
            if name in ("-h", "--help", "-hfr", "--hf-repo") or "ssl" in name:
                continue
            word = values.get(value, value.split("|")[0] if value else "")
            run(name, *word.split())
    assert len(seen) > 70


def test_fields():
    params = run("-m", "x.gguf", "-a", "unknown", "--api-key", "a", "--api-key", "b", "--slot-save-path", "d", "-np", "4",
                 "--ctx_size", "12abc", "-ngl", "5", "--lora", "l", "--override-kv", "k=bool:true")
    assert params.alias == "x.gguf" and params.api_keys == ["a", "b"] and params.slot_save_path == "d/" and params.n_ctx == 12
    assert len(params.warnings) == 1 and params.loras == [("l", 1.0)] and not params.use_mmap and params.n_threads_http >= 6
    assert params.overrides == [("k", "bool", True)] and params.n_outputs == 4


def test_files(tmp_path):
    keys = tmp_path / "keys"
    keys.write_bytes(b"one\n\ntwo\r\n")
    prompt = tmp_path / "prompt.json"
    prompt.write_text('{"prompt": "p"}')
    params = run("--api-key", "zero", "--api-key-file", keys, "-spf", prompt)
    assert params.api_keys == ["zero", "one", "two\r"]
    assert params.system_prompt == {"prompt": "p", "anti_prompt": "", "assistant_name": ""}
    prompt.write_text("")
    assert run("-spf", prompt).system_prompt is None


@pytest.mark.parametrize("words, line", [
    (["--temp", "1"], "error: unknown argument: --temp"),
    (["--slot_save_path", "x"], "error: unknown argument: --slot_save_path\ndid you mean --slot-save-path?"),
    (["extra"], "error: unknown argument: extra"), (["--port"], "error: invalid parameter for argument: --port"),
    (["--log-format", "xml"], "error: invalid parameter for argument: --log-format"), (["--version"], "error: unknown argument: --version"),
    (["--port=1"], "error: unknown argument: --port=1\ndid you mean --port?")])
def test_errors_with_help(capfd, words, line):
    out, err = refused(capfd, *words)
    assert err == line + "\n" and out.startswith("usage: ./server [options]\n\noptions:\n")


@pytest.mark.parametrize("words, part", [
    (["--api-key-file", "/nonexistent"],
     "error: failed to open file '/nonexistent'\nerror: invalid parameter for argument: --api-key-file"),
    (["--chat-template", "nonsense"], "error: the supplied chat template is not supported: nonsense\n"),
    (["--override-kv", "a=b"], "error: Invalid type for KV override: a=b\n"),
    (["--port", "x"], "error: --port: expected a number\n"), (["-np", "0"], "error: -np: 0 is out of range"),
    (["-np", "-1"], "error: -np: -1 is out of range"), (["-ctk", "q9"], "error: -ctk: Invalid cache type: q9"),
    (["-gan", "3", "-gaw", "8"], "error: -gaw: 8 is out of range"), (["--port", "99999"], "error: --port: 99999 is out of range"),
    (["--pooling", "mean"], "error: --pooling: mean is not possible"), (["--ssl-key-file", "k"], "expected both or none"),
    (["-c", "9" * 30], "error: -c: ")])
def test_errors(capfd, words, part):
    assert part in refused(capfd, *words)[1]


def test_help(capfd):
    with pytest.raises(SystemExit) as end:
        run("--port", "1", "-h", "--nonsense")
    assert end.value.code == 0 and capfd.readouterr().out.encode() == help_text("./server")
    for names, *_ in options.rows():
        assert names.split()[0] in help_text("x").decode()


def test_dashboard_names_metrics_that_exist(repo):
    from llamacy.server.metrics import ROWS, Metrics
    known = {f"llamacpp:{name}" for name, *_ in ROWS} | {f"{metric.name}_bucket" for metric in Metrics().registry.collect()}
    used = set(re.findall(r"llamacpp:\w+", (repo / "docs" / "grafana.json").read_text()))
    assert used and used <= known
