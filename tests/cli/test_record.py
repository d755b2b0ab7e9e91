"""The YAML record of --logdir, and the timings that it shares with the log."""

import re

from llamacy.cli.timings import Timings


def test_timings_count_steps():
    timings = Timings(12.5)
    for tokens, seconds in ((8, 0.5), (3, 0.25)):           # a prompt in two batches is one step
        timings.decoded(tokens, seconds)
    timings.settle()
    for _ in range(2):
        timings.decoded(1, 0.125)
        timings.settle()
    timings.settle()                                        # nothing new: nothing counted
    timings.decoded(1, 0.125)
    timings.decoded(4, 0.125)                               # the end of an answer and the next question
    block = timings.block(2.0, 4).decode()
    assert block.startswith("\nllama_print_timings:        load time =      12.50 ms\n")
    assert ("\nllama_print_timings:      sample time =       2.00 ms /     4 runs   "
            "(    0.50 ms per token,  2000.00 tokens per second)\n") in block
    assert ("\nllama_print_timings: prompt eval time =    1000.00 ms /    16 tokens "
            "(   62.50 ms per token,    16.00 tokens per second)\n") in block
    assert ("\nllama_print_timings:        eval time =     250.00 ms /     2 runs   "
            "(  125.00 ms per token,     8.00 tokens per second)\n") in block
    assert re.search(r"\nllama_print_timings:       total time = +\d+\.\d\d ms /    18 tokens\n$", block)


def test_timings_of_nothing():
    block = Timings(0.0).block(0.0, 0).decode()
    assert ("\nllama_print_timings: prompt eval time =       0.00 ms /     1 tokens "
            "(    0.00 ms per token,      inf tokens per second)\n") in block
    assert block.endswith("/     2 tokens\n")


def record(folder):
    (path,) = folder.iterdir()
    assert re.fullmatch(r"\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d\.\d{9}\.yml", path.name)
    return path.read_bytes().decode("utf-8", "surrogateescape")


def test_record_of_a_run(run_main, random_256, tmp_path):
    done = run_main("-m", random_256, "-t", "1", "-s", "7", "--temp", "0", "-e", "-p", "Once\\nupon", "-n", "3",
                    "-l", "412+1000", "-l", "5-1.5", "-r", "never\\nsaid", "--in-prefix", " ", "--in-suffix", "A:",
                    "-ld", "deep/er", "--keep", "1")
    assert done.returncode == 0
    lines = record(tmp_path / "deep" / "er").split("\n")
    keys = [line.split(":")[0] for line in lines if re.match(r"[a-z][\w-]*:", line)]
    assert keys[:3] == ["binary", "build_commit", "build_number"]
    order = [keys.index(key) for key in ("time", "alias", "display_prompt", "output", "ts_sample")]
    assert order == sorted(order)
    assert len(keys) == len(set(keys)) == 3 + 21 + 5 + 68 + 2 + 13
    values = {line.partition(" #")[0].rstrip() for line in lines}
    for value in ("prompt_tokens: [1, 403, 13, 425, 427, 289]", "output: aaa", "output_tokens: [412, 412, 412]", "seed: 7",
                  "keep: 2", 'in_prefix: " "', "logdir: deep/er/", "n_predict: 3", "temp: 0.000000", "escape: true",
                  "n_sample: 3", "n_eval: 2", "n_p_eval: 6", "no_mmap: false", "model_desc: llama ?B F16"):
        assert value in values, value
    for block in ("prompt: |-\n  Once\n  upon\nprompt_cache:", "\n###############\n# User Inputs #\n",
                  "logit_bias:\n  412: 1000.000000\n  5: -1.500000\nlora:\n"):
        assert block in "\n".join(lines), block


def test_record_that_cannot_be_written(run_main, random_256, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    done = run_main("-m", random_256, "-n", "1", "-ld", "file/x")
    assert done.returncode == 0
    assert b"write_logfile: warning: failed to create logdir file/x/, cannot write logfile\n" in done.stderr
