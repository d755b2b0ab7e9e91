"""--logdir: the YAML record of a run."""

import re

import pytest
from commandline import params

from llamacy.cli import yamllog

RESULTS = {
    "model_desc": "llama ?B all F32", "n_vocab": 512, "n_keep": 3, "prompt_tokens": [1, 403, 407], "output": b" end\n",
    "output_tokens": [261], "timings": {"n_eval": 4, "n_p_eval": 0, "n_sample": 2, "t_eval_us": 2000, "t_load_us": 5,
                                        "t_p_eval_us": 0, "t_sample_us": 0},
}


def document(*words, **changes):
    return yamllog.document(params(*words), "2024_05_05-12_00_00.000000001", **{**RESULTS, **changes})


def line(text, key):
    """The one line of a key."""
    found = [line for line in text.splitlines() if line.startswith(key + ":")]
    assert len(found) == 1
    return found[0]


def below(text, key):
    """The lines of a list: those below its key that are indented."""
    lines = text.splitlines()
    rest = lines[lines.index(key + ":") + 1:]
    return rest[:next(i for i, line in enumerate(rest) if not line.startswith("  "))]


def test_keys_are_those_of_the_reference_in_its_order():
    keys = re.findall(r"^([\w-]+):", document(), re.M)
    assert keys == """
        binary build_commit build_number cpu_has_arm_fma cpu_has_avx cpu_has_avx_vnni cpu_has_avx2
        cpu_has_avx512 cpu_has_avx512_vbmi cpu_has_avx512_vnni cpu_has_cuda cpu_has_vulkan cpu_has_clblast
        cpu_has_kompute cpu_has_fma cpu_has_gpublas cpu_has_neon cpu_has_f16c cpu_has_fp16_va cpu_has_wasm_simd
        cpu_has_blas cpu_has_sse3 cpu_has_vsx cpu_has_matmul_int8 debug model_desc n_vocab optimize time alias
        batch_size cfg_negative_prompt cfg_scale chunks color ctx_size escape file frequency_penalty grammar
        grammar-file hellaswag hellaswag_tasks ignore_eos in_prefix in_prefix_bos in_suffix instruct interactive
        interactive_first keep logdir logit_bias lora lora_scaled lora_base main_gpu min_keep mirostat
        mirostat_ent mirostat_lr mlock model model_draft multiline_input n_gpu_layers n_predict n_probs no_mmap
        penalize_nl ppl_output_type ppl_stride presence_penalty prompt prompt_cache prompt_cache_all
        prompt_cache_ro prompt_tokens random_prompt repeat_penalty reverse_prompt rope_freq_base rope_freq_scale
        seed simple_io cont_batching flash_attn temp tensor_split tfs threads top_k top_p min_p typical_p
        verbose_prompt display_prompt output output_tokens mst_eval mst_p_eval mst_sample n_eval n_p_eval
        n_sample t_eval_us t_load_us t_p_eval_us t_sample_us ts_eval ts_p_eval ts_sample""".split()


def test_frame():
    text = document()
    assert text.startswith("binary: main\nbuild_commit: llamacy-")
    assert "\nbuild_number: 2794\n" in text
    assert "\nn_vocab: 512  # output size of the final layer, 32001 for some models\noptimize: true\n" in text
    assert "\ntime: 2024_05_05-12_00_00.000000001\n\n###############\n# User Inputs #\n" in text
    assert "\n# User Inputs #\n###############\n\nalias: unknown" in text
    assert "\n\n######################\n# Generation Results #\n######################\n\noutput: \" end\\n\"\n" in text
    assert "\noutput_tokens: [261]\n\n###########\n# Timings #\n###########\n\nmst_eval: 0.50" in text
    assert text.endswith("\n") and "\n\n\n" not in text


@pytest.mark.parametrize("expected", [
    "alias: unknown # default: unknown", "batch_size: 64 # default: 2048", "cfg_scale: 1.000000 # default: 1.000000",
    "color: false # default: false", "keep: 3 # default: 0", "no_mmap: true # default: false",
    "frequency_penalty: 0.500000 # default: 0.000000", "logdir: d/", "lora_base:", "main_gpu: 0 # default: 0",
    "min_keep: 0", "n_probs: 0", "mlock: false # default: false", "model: M", "prompt_tokens: [1, 403, 407]",
    "seed: 7 # default: -1",
    "temp: 0.200000 # default: 0.800000", "tensor_split: [0.000000e+00]", "threads: 3", "typical_p: 1.000000",
    "display_prompt: true", "file: # not recorded: its text is under prompt", "prompt: Once", "cfg_negative_prompt:",
    "n_gpu_layers: -1 # default: -1", "chunks: -1 # default: -1", "cont_batching: true # default: true", "grammar:",
    "interactive_first: false # default: false", "typical_p: 1.000000",
])
def test_entries(expected):
    text = document("-m", "M", "-b", "64", "--no-mmap", "--frequency-penalty", "0.5", "-ld", "d", "-s", "7",
                    "--temp", "0.2", "-t", "3", "-p", "Once")
    assert line(text, expected.partition(":")[0]) == expected


def test_lists():
    text = document("-l", "5+1", "-l", "6-inf", "--lora", "a", "--lora-scaled", "b", "0.5", "--lora-scaled", "c", "1",
                    "-r", "User:", "-r", "a\nb", "-r", "", "-r", "- x", "-ts", "3,1")
    assert below(text, "logit_bias") == ["  5: 1.000000", "  6: -inf"]
    assert below(text, "lora") == ["  - a", "  - c"] and below(text, "lora_scaled") == ["  - b: 0.500000"]
    assert below(text, "reverse_prompt") == ['  - "User:"', r'  - "a\nb"', '  - ""', '  - "- x"']
    assert line(text, "tensor_split") == "tensor_split: [3.000000e+00, 1.000000e+00]"


def test_prefix_and_suffix_are_two_things():
    text = document("--in-prefix", "P", "--in-suffix", "S")
    assert (line(text, "in_prefix"), line(text, "in_suffix")) == ("in_prefix: P", "in_suffix: S")


@pytest.mark.parametrize("text, lines", [
    (b"", ["k:"]), (b"Once upon", ["k: Once upon"]), (b" a", ['k: " a"']), (b"a\n", [r'k: "a\n"']),
    (b"\n", [r'k: "\n"']), (b'say "x" \\ \n', [r'k: "say \"x\" \\ \n"']), (b"a\nb", ["k: |-", "  a", "  b"]),
    (b"a\n\n  b: [\nc", ["k: |-", "  a", "  ", "    b: [", "  c"]), (b"User: hi", ['k: "User: hi"']),
    (b"a #b", ['k: "a #b"']), (b"User:", ['k: "User:"']), (b"- a", ['k: "- a"']), (b"'a'", ["k: \"'a'\""]),
    (b"yes", ['k: "yes"']), (b"Null", ['k: "Null"']), (b"12", ['k: "12"']), (b"-1", ['k: "-1"']), (b"~", ['k: "~"']),
    (b"it's 5: yes", ['k: "it\'s 5: yes"']), ("Zoë 你好".encode(), ["k: Zoë 你好"]), (b"a\tb", [r'k: "a\tb"']),
    (b"a\tb\nc", ["k: |-", "  a\tb", "  c"]), (b"a\rb\nc", [r'k: "a\x0db\nc"']), (b"\xff\xfe", [r'k: "\xff\xfe"']),
    (b"a\0b", [r'k: "a\x00b"']), ("\u2028 \U000e0001".encode(), [r'k: "\u2028 \U000e0001"']), (b"#a", ['k: "#a"']),
    (b"a#b:c", ["k: a#b:c"]),
])
def test_texts(text, lines):
    assert yamllog.text_lines("k", text) == lines


def test_timings():
    text = document()
    found = {key: line(text, key).partition("  #")[0].partition(": ")[2] for key in RESULTS["timings"]}
    assert found == {key: str(value) for key, value in RESULTS["timings"].items()}
    rates = ("mst_eval", "mst_p_eval", "mst_sample", "ts_eval", "ts_p_eval", "ts_sample")
    assert [line(text, key).partition("  #")[0].partition(": ")[2] for key in rates] == \
        ["0.50", "nan", "0.00", "2000.00", "nan", "inf"]


def test_file(tmp_path, capfdbinary):
    folder = tmp_path / "a" / "b"
    path = yamllog.write(params("-ld", str(folder), "-p", "\udcff"), **RESULTS)
    assert [str(file) for file in folder.iterdir()] == [path]
    assert re.fullmatch(r"\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d\.\d{9}\.yml", path.rpartition("/")[2])
    text = (folder / path).read_bytes().decode()
    assert line(text, "time") == "time: " + path.rpartition("/")[2].removesuffix(".yml")
    assert line(text, "prompt") == r'prompt: "\xff"'
    assert capfdbinary.readouterr() == (b"", b"")


def test_time_is_local_and_exact(monkeypatch):
    import time
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    assert yamllog.timestamp(1714910400 * 10**9 + 42) == "2024_05_05-14_00_00.000000042"
    monkeypatch.undo()
    time.tzset()


def test_folder_that_cannot_be_made(tmp_path, capfdbinary):
    (tmp_path / "f").write_text("")
    assert yamllog.write(params("-ld", str(tmp_path / "f" / "g")), **RESULTS) is None
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert err.decode() == f"write_logfile: warning: failed to create logdir {tmp_path}/f/g/, cannot write logfile\n"


def test_file_that_cannot_be_made(tmp_path, capfdbinary, monkeypatch):
    monkeypatch.setattr(yamllog, "timestamp", lambda _: "no/such")
    assert yamllog.write(params("-ld", str(tmp_path)), **RESULTS) is None
    assert capfdbinary.readouterr().err.decode() == f"write_logfile: failed to open logfile {tmp_path}/no/such.yml\n"
