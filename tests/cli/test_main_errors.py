"""What ./main says on stderr, and its exit status, when something is wrong; and every line of a run that goes well."""

import os
import re
import subprocess

import pytest

BLOCK = b"""llama_model_load: error loading model: %s

llama_load_model_from_file: failed to load model
llama_init_from_gpt_params: error: failed to load model '%s'
main: error: unable to load model
"""


@pytest.fixture
def fail(run_main):
    """A function: run main, which must end with 1, say nothing on stdout and have no traceback; return stderr."""

    def run(*args, status=1, stdout=b"", **kwargs):
        done = run_main(*args, **kwargs)
        assert (done.returncode, done.stdout) == (status, stdout), done.stderr
        assert b"Traceback" not in done.stderr and b"Log end" not in done.stderr
        return done.stderr

    return run


def last_line(stderr):
    assert stderr.endswith(b"\n")
    return stderr.split(b"\n")[-2].decode()


# ------------------------------------------------------------------------------------------------------ loading


def test_missing_model(fail):
    stderr = fail("-m", "no such.gguf", "-p", "x")
    assert stderr.startswith(b"Log start\nmain: build = ")
    assert stderr.endswith(BLOCK % (b"llama_model_loader: failed to load model from no such.gguf", b"no such.gguf"))


def test_no_model_named(run_main, tmp_path):
    done = run_main("-p", "Once upon a time", "-n", "20", "--temp", "0")
    told = b"llama_init_from_gpt_params: no model was named and models/7B/ggml-model-f16.gguf does not exist: " \
           b"using the bundled one (-m FILE names another)\n"
    assert done.returncode == 0 and done.stderr.count(told) == 1 and b"error" not in done.stderr
    assert re.fullmatch(r"<s> Once upon a time[\w ,.\"'?!]{20,}", done.stdout.decode())
    named = run_main("-m", "bundled", "-p", "Once upon a time", "-n", "20", "--temp", "0")
    assert (named.returncode, named.stdout) == (0, done.stdout) and b"no model was named" not in named.stderr


def test_the_default_place_goes_before_the_bundled_model(fail, run_main, random_256, tmp_path):
    place = tmp_path / "models" / "7B" / "ggml-model-f16.gguf"
    assert fail("-m", "models/7B/ggml-model-f16.gguf").endswith(b"main: error: unable to load model\n")
    place.parent.mkdir(parents=True)
    place.symlink_to(random_256)
    (tmp_path / "bundled").symlink_to(random_256)
    plain, named = run_main("-p", "x", "-n", "4", "--temp", "0"), run_main("-m", "bundled", "-p", "x", "-n", "4", "--temp", "0")
    assert plain.returncode == 0 and b"no model was named" not in plain.stderr and plain.stdout == named.stdout


def test_name_that_is_not_utf8(fail, tmp_path):
    stderr = fail("-m", os.fsdecode(b"a\xff.gguf"))
    assert stderr.endswith(BLOCK % (b"llama_model_loader: failed to load model from a\xff.gguf", b"a\xff.gguf"))


@pytest.mark.parametrize("content, reason", [
    (b"", rb"model.gguf: .*empty"),
    (b"hello, world", rb"model.gguf: .*magic"),
    (None, rb"failed to open .*model.gguf: Is a directory"),
])
def test_not_a_model(fail, tmp_path, content, reason):
    path = tmp_path / "model.gguf"
    path.mkdir() if content is None else path.write_bytes(content)
    stderr = fail("-m", "model.gguf")
    assert re.search(rb"\nllama_model_load: error loading model: " + reason + rb"[^\n]*\n\nllama_load_model_", stderr)
    assert last_line(stderr) == "main: error: unable to load model"


def test_cut_model(fail, tmp_path, random_256):
    (tmp_path / "cut.gguf").write_bytes(random_256.read_bytes()[:100_000])
    stderr = fail("-m", "cut.gguf")
    assert b"data is not within the file bounds, model is corrupted or incomplete" in stderr
    assert last_line(stderr) == "main: error: unable to load model"


def test_download(fail):
    assert fail("-mu", "https://example.org/m.gguf").endswith(
        b"llama_load_model_from_url: llama.cpp built without libcurl, downloading from an url not supported.\n"
        b"llama_init_from_gpt_params: error: failed to load model 'models/m.gguf'\nmain: error: unable to load model\n")
    assert b"llama_load_model_from_hf: " in fail("-hfr", "a/b", "-hff", "c.gguf")


def test_a_file_that_was_downloaded_before_will_do(run_main, tmp_path, random_256):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.gguf").symlink_to(random_256)
    assert run_main("-mu", "https://example.org/m.gguf?x#y", "-n", "0").returncode == 0


@pytest.mark.parametrize("flags, line", [
    (["--lora", "no file"], "llama_model_apply_lora_from_file: failed to apply lora adapter: failed to open no file: "
                            "No such file or directory"),
    (["--control-vector", "no file"], "llama_control_vector_load_one: failed to load control vector from no file: "
                                      "No such file or directory"),
    (["-b", "0", "-ub", "0"], "llama_new_context_with_model: n_batch and n_ubatch cannot both be zero"),
])
def test_what_cannot_be_added(fail, random_256, flags, line):
    stderr = fail("-m", random_256, *flags)
    assert line.encode() + b"\n" in stderr
    assert last_line(stderr) == "main: error: unable to load model"


# --------------------------------------------------------------------------------------------- before and in a run


def test_long_prompt_says_what_would_fit(fail, run_main, random_256):
    args = ["-m", random_256, "-p", "a " * 300, "-n", "0"]
    stderr = fail(*args, "-c", "100")
    assert stderr.endswith(b"main: error: prompt is too long (302 tokens, max 252)\nmain: it fits with -c 512\n")
    assert b"llama_print_timings" not in stderr
    assert run_main(*args, "-c", "512").returncode == 0


@pytest.mark.parametrize("count, fits", [(250, None), (251, 512), (506, 512), (507, 768)])
def test_the_size_that_it_names_is_the_smallest(fail, run_main, random_256, count, fits):
    args = ["-m", random_256, "-p", "a " * count, "-n", "0", "-c", "256"]         # count + 2 tokens
    if fits is None:
        assert run_main(*args).returncode == 0
    else:
        assert last_line(fail(*args)) == f"main: it fits with -c {fits}"


@pytest.mark.parametrize("flags, line", [
    (["-l", "512+1"], "main: error: logit bias for token 512"),
    (["-l", "-1+1"], "main: error: logit bias for token -1"),
    (["-gan", "2", "-gaw", "0"], "error: "),
    (["-gan", "0"], "error: "),
    (["-gan", "3", "-gaw", "10"], "error: "),
    (["--grammar", 'root ::= "a'], "error: the grammar cannot be used"),
    (["--grammar", 'main ::= "a"'], "error: the grammar cannot be used"),
    (["-ctk", "f17"], "error: -ctk: unknown cache type 'f17'"),
    (["-b", "-5"], "error: -b: -5 is out of range"),
])
def test_one_line(fail, random_256, flags, line):
    assert last_line(fail("-m", random_256, "-p", "x", *flags)).startswith(line)


def test_no_batch(fail, random_256):
    assert last_line(fail("-m", random_256, "-p", "x", "-b", "0", stdout=b"<s>")) == "main : failed to eval"


def test_huge_context(fail, random_256):
    assert last_line(fail("-m", random_256, "-p", "x", "-c", "2147483647")) == "main: error: unable to load model"


@pytest.mark.parametrize("content", [b"x", b"x" * 200, b"nsgg\x06\0\0\0" + bytes(1000)])
def test_bad_session_file(fail, tmp_path, random_256, content):
    (tmp_path / "cache").write_bytes(content)
    assert last_line(fail("-m", random_256, "-p", "x", "--prompt-cache", "cache")) == \
        "main: error: failed to load session file 'cache'"
    assert (tmp_path / "cache").read_bytes() == content


def test_session_file_cut_at_many_places(fail, run_main, tmp_path, random_256):
    args = ["-m", random_256, "-p", "x", "-n", "1", "--temp", "0", "--prompt-cache", "cache"]
    first = run_main(*args)
    whole = (tmp_path / "cache").read_bytes()
    for size in (3, 8, 131, 140, 200, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cache").write_bytes(whole[:size])
        assert last_line(fail(*args)) == "main: error: failed to load session file 'cache'"
    (tmp_path / "cache").write_bytes(whole)
    again = run_main(*args)
    assert again.stdout == first.stdout and (tmp_path / "cache").read_bytes() == whole
    assert b"main: session file has exact match for prompt!\n" in again.stderr


def test_full_disk(main_command, random_256, tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*main_command, "-m", random_256, "-p", "x", "-n", "2"], cwd=tmp_path, stdout=full,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert last_line(done.stderr) == "main: error: cannot write to stdout: No space left on device"


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_standard_files(main_command, random_256, tmp_path, closed):
    """Nothing of the text ends up in a file that happened to get the number."""
    run = [*main_command, "-m", random_256, "-p", "Hello", "-n", "2", "--temp", "0"]
    argv = ["sh", "-c", f'exec "$@" {closed}', "sh", *run]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"Hello" not in re.sub(rb"Cmd:.*|prompt: .*|tokens: .*", b"", (tmp_path / "main.log").read_bytes())


# -------------------------------------------------------------------------------------------------- a run that goes


@pytest.mark.parametrize("tool, text", [("perplexity", "perplexity calculations"), ("embedding", "embedding")])
def test_refused(fail, tool, text):
    notice = f"\n************\nmain: please use the '{tool}' tool for {text}\n************\n\n".encode()
    assert fail(f"--{tool}", status=0, stdout=notice) == b"Log start\n"


TIMINGS = rb"""
llama_print_timings:        load time = +N ms
llama_print_timings:      sample time = +N ms /     2 runs   \( +N ms per token, +[\d.inf]+ tokens per second\)
llama_print_timings: prompt eval time = +N ms /     4 tokens \( +N ms per token, +N tokens per second\)
llama_print_timings:        eval time = +N ms /     1 runs   \( +N ms per token, +N tokens per second\)
llama_print_timings:       total time = +N ms /     5 tokens
Log end
"""

BEFORE = rb"""Log start
main: build = \d+ \(\S+\)
main: built with .+ for \S+
main: seed  = 42
llama_model_loader: """

AFTER = rb"""
llama_new_context_with_model: graph splits = 1

system_info: n_threads = 1 / \d+ \| AVX = \d \|.* \| LLAMAFILE = \d \|\x20
sampling:\x20
\trepeat_last_n = 64, repeat_penalty = 1.000, frequency_penalty = 0.000, presence_penalty = 0.000
\ttop_k = 40, tfs_z = 1.000, top_p = 0.950, min_p = 0.050, typical_p = 1.000, temp = 0.000
\tmirostat = 0, mirostat_lr = 0.100, mirostat_ent = 5.000
sampling order:\x20
CFG -> Penalties -> top_k -> tfs_z -> typical_p -> top_p -> min_p -> temperature\x20
generate: n_ctx = 512, n_batch = 2048, n_predict = 2, n_keep = 1


"""


def test_all_of_stderr(run_main, random_256):
    done = run_main("-m", random_256, "-t", "1", "-s", "42", "--temp", "0", "-p", "Hello", "-n", "2")
    assert done.returncode == 0
    assert re.match(BEFORE, done.stderr)
    assert re.search(AFTER + TIMINGS.replace(b"N ", rb"\d+\.\d\d ") + rb"\Z", done.stderr), done.stderr


@pytest.mark.parametrize("flags, lines", [
    (["-c", "7"], [b"main: warning: minimum context size is 8, using minimum size."]),
    (["-c", "2048"], [b"main: warning: model was trained on only 1024 context tokens (2048 specified)"]),
    (["--rope-freq-base", "12345.5"], [b"main: warning: changing RoPE frequency base to 12345.5."]),
    (["--rope-scale", "4"], [b"main: warning: scaling RoPE frequency by 0.25."]),
    (["-tb", "3"], [b"system_info: n_threads = 1 (n_threads_batch = 3) / "]),
    (["--mirostat", "2"], [b"CFG -> Penalties -> mirostat \n"]),
    (["--samplers", ""], [b"CFG -> Penalties \n"]),
    (["-gan", "2", "-gaw", "8"], [b"self-extend: n_ctx_train = 1024, grp_attn_n = 2, grp_attn_w = 8"]),
    (["-l", "2+1000"], [b" [end of text]\n"]),
    (["-ptc", "2", "-b", "1"], [b"\n\x1b[31mTokens consumed so far = 2 / 512 \x1b[0m\n",
                                b"\n\x1b[31mTokens consumed so far = 4 / 512 \x1b[0m\n"]),
    (["--keep", "9"], [b"n_keep = 4\n"]),
    (["--keep", "2"], [b"n_keep = 3\n"]),
    (["--keep", "4"], [b"n_keep = 5\n"]),
    (["--keep", "-1"], [b"n_keep = 4\n"]),
    (["-c", "256", "-n", "-2"], [b"\n\nmain: context full and n_predict == --2 => stopping\n"]),
])
def test_lines_that_flags_add(run_main, random_256, flags, lines):
    done = run_main("-m", random_256, "-t", "1", "--temp", "0", "-p", "Hello", "-n", "2", *flags)
    assert done.returncode == 0
    assert [line for line in lines if line not in done.stderr] == []


def test_verbose_prompt(run_main, random_256):
    done = run_main("-m", random_256, "-p", "Hello", "-n", "0", "--verbose-prompt", "--keep", "2", "--cfg-scale", "2",
                    "--cfg-negative-prompt", "sad")
    assert (b"\nmain: prompt: 'Hello'\nmain: number of tokens in prompt = 4\n"
            b"     1 -> '<s>'\n   346 -> ' He'\n   306 -> 'll'\n   414 -> 'o'\n\n"
            b"main: negative prompt: 'sad'\nmain: number of tokens in negative prompt = 3\n"
            b"     1 -> '<s>'\n   296 -> ' sa'\n   418 -> 'd'\n"
            b"main: static prompt based on n_keep: '<s> Hell'\n\nsampling: \n") in done.stderr


def test_prompt_with_nul_and_raw_bytes(run_main, tmp_path, random_256):
    """What a byte token shows ends at a NUL, as in C; other bytes pass as they are."""
    (tmp_path / "raw").write_bytes(b"a\0b\xff\xe4\n")
    done = run_main("-m", random_256, "-bf", "raw", "-n", "1", "--temp", "0", "-l", "2+1000")
    assert done.stdout == b"<s> ab\xff\xe4\n</s>"


def test_log_disable(run_main, random_256, tmp_path):
    args = ["--log-disable", "-p", "a " * 300, "-c", "256", "-n", "1"]
    assert run_main("-m", random_256, *args).stderr == b""
    assert run_main("-m", "none", *args).stderr == b"llama_init_from_gpt_params: error: failed to load model 'none'\n"
    assert os.listdir(tmp_path) == []


def test_log_file_has_both_channels(run_main, random_256, tmp_path):
    done = run_main("-m", random_256, "-p", "Hello", "-n", "2", "--temp", "0")
    log = (tmp_path / "main.log").read_bytes()
    assert re.sub(rb"\[\d+\] ", b"", log).replace(b"\n\n", b"\n").startswith(b"Log start\nCmd: ")
    for line in (b"n_ctx: 512", b"add_bos: 1", b'prompt: "Hello"', b"tokens: [ '<s>':1, ' He':346, 'll':306, 'o':414 ]",
                 b"embd_inp.size(): 4, n_consumed: 0", b"eval: [ '<s>':1, ' He':346, 'll':306, 'o':414 ]",
                 b"n_past = 4", b"n_remain: 1", b"Log end"):
        assert b"] " + line in log, line
    assert b"embd_inp" not in done.stderr
