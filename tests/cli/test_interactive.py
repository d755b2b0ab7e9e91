"""Conversations with ./main: who speaks when, what is shown where, how it ends.

The model's words are noise, so these runs force them: with --temp 0, `-l ID+1000` makes the model say one token again
and again. The vocabulary is that of stories260K: most characters are a token, and so is the newline after a line.
"""

import pytest

FRAME = ["--in-prefix", " <", "--in-suffix", "> "]
SAYS = {"a": "412", ".": "426", "!": "443", "end": "2", "newline": "13"}


@pytest.fixture
def talk(run_main, random_256):
    """A function: what was typed in, the CompletedProcess out. stdin ends after `input`; the run must end well."""

    def run(*args, input=b"", says="a"):
        done = run_main("-m", random_256, "-t", "1", "--temp", "0", "-l", f"{SAYS[says]}+1000", *args, input=input,
                        start_new_session=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr.endswith(b"Log end\n") and b"llama_print_timings:" in done.stderr
        return done

    return run


TURNS = {      # flags, typed -> stdout. A typed line counts against the budget of the turn, so -n is large here.
    "user first": (["--interactive-first", "-p", "Q:", "-n", "9"], b"hi\n", b"<s> Q:hi\naaaaaa"),
    "model first": (["-i", "-p", "Q:", "-n", "3"], b"", b"<s> Q:aaa"),
    "model first, then the user": (["-i", "-p", "Q:", "-n", "6"], b"hi\n", b"<s> Q:aaaaaahi\naaa"),
    "an empty line goes on": (["-i", "-p", "Q:", "-n", "3"], b"\n", b"<s> Q:aaa\naaa"),
    "one byte is no input": (["-i", "-p", "Q:", "-n", "3"], b"x/\n", b"<s> Q:aaax/\b/\b \baaa"),
    "one byte and a newline is": (["-i", "-p", "Q:", "-n", "4"], b"x\n", b"<s> Q:aaaax\na"),
    "no newline at the end": (["-i", "-p", "Q:", "-n", "6", "--simple-io"], b"hi", b"<s> Q:aaaaaaaaa"),
    "a line longer than the budget asks again": (["-i", "-p", "Q:", "-n", "2"], b"a long line\nnext\n",
                                                 b"<s> Q:aaa long line\nnext\n"),
    "budget of nothing": (["-i", "-p", "Q:", "-n", "0"], b"hi\nyou\n", b"<s> Q:hi\nyou\n"),
    "reverse prompt": (["-i", "-p", "Q:", "-n", "6", "-r", "aa"], b"\n\n", b"<s> Q:aa\naa\naa"),
    "prompt ends with a reverse prompt": (["-i", "-p", "Q:", "-n", "6", "-r", "Q:"], b"", b"<s> Q:"),
    "several reverse prompts": (["-i", "-p", "Q:", "-n", "6", "-r", "Q:", "-r", "aaaa"], b"\n", b"<s> Q:\naaaa"),
    "around the input": (["--interactive-first", "-p", "Q:", "-n", "9", *FRAME], b"hi\n",
                         b"<s> Q: <hi\n> aaaaaa <"),
    "around an empty line": (["--interactive-first", "-p", "Q:", "-n", "2", *FRAME], b"\n",
                             b"<s> Q: <\naa <"),
    "plain": (["--interactive-first", "-p", "Q:", "-n", "9", "--simple-io"], b"hi\n", b"<s> Q:aaaaaa"),
    "more lines": (["--interactive-first", "-p", "Q:", "-n", "12"], b"hi\\\nyou\n",
                   b"<s> Q:hi\\\b\\\b \b\nyou\naaaaaa"),
    "multiline": (["--interactive-first", "-p", "Q:", "-n", "12", "--multiline-input"], b"hi\nyou\\\n",
                  b"<s> Q:hi\nyou\\\b\\\b \b\naaaaaa"),
    "hidden prompt": (["--interactive-first", "-p", "Q:", "-n", "9", "--no-display-prompt"], b"hi\n", b"hi\naaaaaa"),
    "escapes in a line": (["--interactive-first", "-p", "Q:", "-n", "9", "-e", "--simple-io"], b"\\x68\\x69\n",
                          b"<s> Q:aaaaaa"),
    "instruct": (["-ins", "-p", "Q:", "-n", "9"], b"hi\n", b"<s> Q:\n> hi\naaaaaa\n> "),
    "instruct, twice": (["-ins", "-p", "Q:", "-n", "9"], b"hi\n\n", b"<s> Q:\n> hi\naaaaaa\n> \naaaaaaaaa\n> "),
    "chatml": (["-cml", "-p", "Q:", "-n", "9"], b"hi\n", b"<s> <|im_start|>system\nQ:<|im_end|>\n> hi\naaaaaa\n> "),
    "conversation": (["-cnv", "-p", "Q:", "-n", "9"], b"hi\n", b"<s> Q:hi\naaaaaa"),
    "single turn": (["-st", "-n", "9"], b"hi\nmore\n", b"<s>hi\naaaaaa"),
    "single turn with its question": (["-cnv", "-st", "-p", "Q:", "-n", "9"], b"hi\nmore\n", b"<s> Q:aaaaaaaaa"),
    "single turn, instruct": (["-ins", "-st", "-p", "Q:", "-n", "9"], b"hi\nmore\n", b"<s> Q:\n> hi\naaaaaa"),
}


@pytest.mark.parametrize("case", TURNS.values(), ids=TURNS.keys())
def test_turns(case, talk):
    args, typed, stdout = case
    assert talk(*args, input=typed).stdout == stdout


ENDS = {       # the model ends its answer at once
    "the user is asked": (["-i", "-p", "Q:"], b"", b"<s> Q:</s>\n"),
    "with a reverse prompt": (["-i", "-p", "Q:", "-r", "Bob:"], b"\n", b"<s> Q:</s>\n\n"),
    "instruct": (["-ins", "-p", "Q:"], b"hi\n", b"<s> Q:\n> hi\n</s>\n\n> "),
    "instruct, empty line": (["-ins", "-p", "Q:"], b"hi\n\n", b"<s> Q:\n> hi\n</s>\n\n> \n\n> "),
}


@pytest.mark.parametrize("case", ENDS.values(), ids=ENDS.keys())
def test_end_of_an_answer(case, talk):
    args, typed, stdout = case
    assert talk(*args, input=typed, says="end").stdout == stdout


def test_one_token_reverse_prompt_in_a_plain_run(talk):
    """Not interactive: the run is over, up to two bytes late."""
    assert talk("-p", "Q:", "-n", "9", "-r", "a").stdout == b"<s> Q:a"
    assert talk("-p", "Q: b", "-n", "9", "-r", ": b").stdout == b"<s> Q: b"
    assert talk("-p", "Q: bcd", "-n", "2", "-r", ": b").stdout == b"<s> Q: bcd"
    assert talk("-p", "Q: bcde", "-n", "2", "-r", ": b").stdout == b"<s> Q: bcdeaa"
    assert talk("-p", "Q:", "-n", "9", "-r", "").stdout == b"<s> Q:"


def test_long_input_is_cut(talk):
    done = talk("-i", "-p", "Q:", "-n", "999", "-c", "256", "--simple-io", "-r", "Q:", input=b"b" * 500 + b"\n")
    assert done.stdout.startswith(b"<s> Q:<<input too long: skipped 249 tokens>>")


def test_long_conversation_outlives_the_context(talk):
    """Turns of many tokens, context shifts between them: the cache always finds room."""
    done = talk("--interactive-first", "-p", "Q:", "-n", "40", "-c", "256", "--simple-io",
                input=b"some more words to read\n" * 30)
    assert done.stdout.count(b"a") > 30 * 15


def test_colors(talk):
    done = talk("--color", "--interactive-first", "-p", "Q:", "-n", "9", input=b"hi\n")
    assert done.stdout == b"\x1b[33m<s> Q:\x1b[0m\x1b[1m\x1b[32mhi\n\x1b[0maaaaaa\x1b[1m\x1b[32m\x1b[0m"


def test_stderr_of_a_conversation(talk):
    stderr = talk("-i", "-p", "Q:", "-n", "2", "-r", "User:", "-r", "Bob:", "--in-prefix", " ", "--in-suffix", "A:",
                  "--in-prefix-bos").stderr
    assert (b"main: interactive mode on.\nReverse prompt: 'User:'\nReverse prompt: 'Bob:'\nInput prefix with BOS\n"
            b"Input prefix: ' '\nInput suffix: 'A:'\nsampling: \n\t") in stderr
    assert (b"generate: n_ctx = 512, n_batch = 2048, n_predict = 2, n_keep = 1\n\n\n"
            b"== Running in interactive mode. ==\n - Press Ctrl+C to interject at any time.\n"
            b" - Press Return to return control to LLaMa.\n"
            b" - To return control without starting a new line, end your input with '/'.\n"
            b" - If you want to submit another line, end your input with '\\'.\n\n") in stderr


def test_stderr_of_a_multiline_conversation(talk):
    stderr = talk("-ins", "--multiline-input", "-n", "2").stderr
    assert b"Reverse prompt: '### Instruction:\n\n'\n" in stderr
    assert (b"== Running in interactive mode. ==\n - Press Ctrl+C to interject at any time.\n"
            b" - To return control to LLaMa, end your input with '\\'.\n"
            b" - To return control without starting a new line, end your input with '/'.\n\n") in stderr


def test_what_is_fed_to_the_model(talk, tmp_path):
    """The log names every token: frame and line are tokenised apart, the line without special tokens."""
    talk("-ins", "-p", "Q:", "-n", "20", "--in-prefix", "<s>", "--in-suffix", "</s>", input=b"<s>\n")
    log = (tmp_path / "main.log").read_bytes()
    assert b"buffer: '<s>\n'" in log
    assert b"input tokens: [ ' ':410, '<':" in log
    assert b"eval: [ '<s>':1, ' ':410, '':13, '':13, '#':38" in log          # the frame begins with BOS
    assert b"'':13, '<s>':1, ' ':410, '<':" in log                           # prefix as a special token, line as text
    assert b"'':13, '</s>':2, ' ':410, '':13, '':13, '#':38" in log
