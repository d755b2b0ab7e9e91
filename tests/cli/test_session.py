"""Prompt caches: the file's layout, hostile files, and what a run reads from and writes to them."""

import hashlib
import os
import struct

import pytest

from llamacy.cli import session
from llamacy.errors import LlamacyError


class FakeContext:
    """Has a header and a state; remembers what is loaded and removed."""

    def __init__(self, n_ctx=512, state=b"the state"):
        self.n_ctx = n_ctx
        self.state = state
        self.loaded = self.removed = None

    def session_header(self):
        return hparams()

    def state_bytes(self):
        return self.state

    def load_state(self, buffer, log):
        if bytes(buffer) == b"unfit":
            raise LlamacyError("session state: it does not fit")
        self.loaded = bytes(buffer)

    def kv_remove(self, seq, start, end):
        self.removed = seq, start, end


class FakeLog:
    def __init__(self):
        self.teed = b""

    def tee(self, text):
        self.teed += text

    def log(self, text):
        pass


class Flags:
    path_prompt_cache = ""
    prompt_cache_all = prompt_cache_ro = False

    def __init__(self, **flags):
        self.__dict__.update(flags)


def hparams(**changes):
    """The 120 bytes, each field its own offset; `changes`: uN=value or fN=value at byte N."""
    block = bytearray(range(120))
    block[56:72] = struct.pack("<4f", 0.0, 1e-5, 10000.0, 1.0)
    for name, value in changes.items():
        struct.pack_into("<f" if name[0] == "f" else "<I", block, int(name[1:]), value)
    return bytes(block)


def file_bytes(tokens, state=b"the state", head=None):
    return b"nsgg\x06\0\0\0" + (head or hparams()) + struct.pack(f"<I{len(tokens)}i", len(tokens), *tokens) + state


# ------------------------------------------------------------------------------------------------------ the layout


def test_write_then_parse(tmp_path):
    path = tmp_path / "cache"
    session.write(str(path), FakeContext(), [1, 403, 511])
    assert path.read_bytes() == file_bytes([1, 403, 511])
    tokens, state = session.parse(path.read_bytes(), hparams(), 512, 512)
    assert (tokens, bytes(state)) == ([1, 403, 511], b"the state")
    assert os.listdir(tmp_path) == ["cache"]


@pytest.mark.parametrize("cut", [1, 7, 8, 100, 131, 132, 135, 143])
def test_cut_file(cut):
    with pytest.raises(session.SessionError, match="unexpectedly reached end of file"):
        session.parse(file_bytes([1, 2, 3], b"")[:cut], hparams(), 512, 512)


@pytest.mark.parametrize("data, message", [
    (b"GGUF" + file_bytes([1])[4:], r"unknown \(magic, version\) for session file: 46554747, 00000006"),
    (b"nsgg\x05\0\0\0" + file_bytes([1])[8:], r"unknown \(magic, version\) for session file: 6767736e, 00000005"),
    (b"nsgg\x05\0\0\0", r"unknown \(magic, version\) for session file: 6767736e, 00000005"),
    (file_bytes([1] * 513), "token count in session file exceeded capacity! 513 > 512"),
    (file_bytes([])[:128] + b"\xff\xff\xff\xff", "exceeded capacity! 4294967295 > 512"),
    (file_bytes([1, 512]), "token 1 is 512, the vocabulary ends at 511"),
    (file_bytes([-1]), "token 0 is -1, the vocabulary ends at 511"),
    (file_bytes([1], head=hparams(u4=1)), "model hparams didn't match from session file!"),
])
def test_bad_file(data, message):
    with pytest.raises(session.SessionError, match=message):
        session.parse(data, hparams(), 512, 512)


@pytest.mark.parametrize("changes, same", [
    ({}, True),
    ({"u0": 0}, False),           # vocab_only and rope_finetuned
    ({"u12": 0}, False),          # n_embd
    ({"u48": 0}, False),          # n_expert_used
    ({"u52": 0}, True),           # kind of vocabulary: not compared
    ({"f60": 1.00001e-5}, True),   # norm epsilon within 1e-9
    ({"f60": 2e-5}, False),
    ({"f64": 10000.1}, False),    # rope base
    ({"u72": 0}, False),          # yarn's original context
    ({"u88": 0}, False),          # ssm
    ({"u92": 0, "u104": 0, "u116": 0}, True),
])
def test_what_must_agree(changes, same):
    assert session.same_model(hparams(**changes), hparams()) is same


# --------------------------------------------------------------------------------------------------------- writing


def test_a_failed_write_leaves_the_old_file(tmp_path):
    class Broken(FakeContext):
        def state_bytes(self):
            raise MemoryError

    path = tmp_path / "cache"
    path.write_bytes(b"old")
    with pytest.raises(MemoryError):
        session.write(str(path), Broken(), [1])
    with pytest.raises(OSError):
        session.write(str(tmp_path / "no folder" / "cache"), FakeContext(), [1])
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["cache"]


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    session.write(str(tmp_path / "link"), FakeContext(), [1])
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == file_bytes([1])
    session.write("/dev/null", FakeContext(), [1])
    assert not os.path.isfile("/dev/null")


# ------------------------------------------------------------------------------------------------- one run's cache


def loaded(tmp_path, tokens, **flags):
    path = tmp_path / "cache"
    path.write_bytes(file_bytes(tokens))
    log, context = FakeLog(), FakeContext()
    one = session.Session(Flags(path_prompt_cache=str(path), **flags), context, log)
    one.load(512)
    return one, context, log


@pytest.mark.parametrize("cached, prompt, text, line, kept", [
    ([1, 2, 3], [1, 2, 3], True, b"main: session file has exact match for prompt!\n", 3),
    ([1, 2, 3], [1, 2, 3], False, b"main: using full prompt from session file\n", 3),
    ([1, 2, 3, 4], [1, 2, 3], True, b"main: session file has exact match for prompt!\n", 2),
    ([1, 2, 3], [1, 2, 4, 5], True, b"main: session file matches 2 / 4 tokens of prompt\n", 2),
    ([1, 2, 3], [1, 4, 5, 6], True,
     b"main: warning: session file has low similarity to prompt (1 / 4 tokens); will mostly be reevaluated\n", 1),
    ([1, 2], [1, 2, 3, 4, 5], True, b"main: session file matches 2 / 5 tokens of prompt\n", 2),
    ([], [1, 2], True, b"", 0),
])
def test_match(tmp_path, cached, prompt, text, line, kept):
    one, context, log = loaded(tmp_path, cached)
    log.teed = b""
    one.match(prompt, text)
    assert log.teed == line
    assert context.removed == (-1, kept, -1)


def test_a_prompt_that_the_cache_goes_beyond_ends_with_one_evaluation(tmp_path):
    """The cache's logits are of its last token, so the prompt's last one is evaluated again; its old cell is gone."""
    one, context, _ = loaded(tmp_path, [1, 2, 3, 4, 5])
    one.match([1, 2, 3], True)
    assert one.skip_known([1, 2, 3]) == 2 and context.removed == (-1, 2, -1)
    one.evaluated([3])
    assert one.tokens == [1, 2, 3] and not one.save_prompt


def test_batches_and_the_first_other_token(tmp_path):
    one, _, _ = loaded(tmp_path, [1, 2, 3, 4, 5])
    one.match([1, 2, 3, 9, 5], True)
    assert one.skip_known([1, 2]) == 2
    assert one.skip_known([3, 9]) == 1
    assert one.tokens == [1, 2, 3]
    one.evaluated([9])
    assert one.skip_known([5]) == 0
    one.evaluated([5])
    assert one.tokens == [1, 2, 3, 9, 5] and one.save_prompt


def test_saved_once_after_the_prompt(tmp_path):
    one, context, log = loaded(tmp_path, [1])
    one.match([1, 2], True)
    assert one.skip_known([1, 2]) == 1
    one.evaluated([2])
    one.prompt_done()
    one.evaluated([3])
    one.prompt_done()
    one.run_done()
    assert (tmp_path / "cache").read_bytes() == file_bytes([1, 2])


@pytest.mark.parametrize("flags, shifted, expected", [
    ({"prompt_cache_all": True}, False, [1, 2, 3]),
    ({"prompt_cache_all": True, "prompt_cache_ro": True}, False, [1]),
    ({"prompt_cache_all": True}, True, [1, 2]),
    ({}, False, [1, 2]),
    ({"prompt_cache_ro": True}, False, [1]),
])
def test_saved_at_the_end(tmp_path, flags, shifted, expected):
    one, _, log = loaded(tmp_path, [1], **flags)
    one.match([1, 2], True)
    one.skip_known([1, 2])
    one.evaluated([2])
    one.prompt_done()
    one.evaluated([3])
    if shifted:
        one.forget()
    one.run_done()
    assert (tmp_path / "cache").read_bytes() == file_bytes(expected)
    assert (b"main: saving final output to session file" in log.teed) == (expected == [1, 2, 3])


def test_messages_of_loading(tmp_path):
    log, context = FakeLog(), FakeContext()
    path = tmp_path / "cache"
    one = session.Session(Flags(path_prompt_cache=str(path)), context, log)
    head = b"main: attempting to load saved session from '%s'\n" % os.fsencode(path)
    for content, line in ((None, b"main: session file does not exist, will create.\n"),
                          (b"", b"main: The session file is empty. A new session will be initialized.\n"),
                          (file_bytes([1, 2]), b"main: loaded a session with prompt size of 2 tokens\n")):
        if content is not None:
            path.write_bytes(content)
        log.teed = b""
        one.load(512)
        assert log.teed == head + line
    assert one.tokens == [1, 2] and context.loaded == b"the state"


def test_errors_of_loading(tmp_path):
    path = tmp_path / "cache"
    for content, line in ((b"x" * 200, b"llama_state_load_file_internal : unknown (magic, version) for session file: "
                           b"78787878, 78787878\n"),
                          (file_bytes([1], b"unfit"), b"error loading session file: session state: it does not fit\n")):
        path.write_bytes(content)
        log = FakeLog()
        one = session.Session(Flags(path_prompt_cache=str(path)), FakeContext(), log)
        with pytest.raises(LlamacyError, match=f"^failed to load session file '{path}'$"):
            one.load(512)
        assert log.teed.endswith(b"'\n" + line)
    one = session.Session(Flags(path_prompt_cache=str(tmp_path)), FakeContext(), log)
    with pytest.raises(LlamacyError, match="^failed to load session file"):
        one.load(512)
    assert log.teed.endswith(b"error loading session file: read error: Is a directory\n")


def test_a_failed_save_does_not_end_the_run(tmp_path):
    log = FakeLog()
    one = session.Session(Flags(path_prompt_cache=str(tmp_path / "no" / "x")), FakeContext(), log)
    one.match([1, 2], True)
    one.prompt_done()
    assert log.teed == (b"error saving session file: failed to open %s/no/x: No such file or directory\n"
                        % os.fsencode(tmp_path))


# ------------------------------------------------------------------------------------------------------ whole runs

# Of the files that llama.cpp (llama-cpp-python 0.2.70: llama_state_save_file) writes after it has evaluated the prompt
# `Once upon a time` in a context of 512 cells with seed 5.
WRITTEN_BY_LLAMA_CPP = {
    "": "fa1d79cd159bec23838c2e257dd61921d806b83e62f7b624938506a82efe1457",
    "-fa": "b4da286ad1e7f3befc76a09a9b631aaa31cd4fe6944a5564d3041ddd8de276d7",
}


@pytest.fixture
def once(run_main, random_256, tmp_path):
    """A function: a greedy run with a prompt cache; returns stdout, stderr and the bytes of the cache."""

    def run(*flags, prompt="Once upon a time", n=8):
        done = run_main("-m", random_256, "-t", "1", "-s", "5", "--temp", "0", "-p", prompt, "-n", str(n),
                        "--prompt-cache", "cache", *flags)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr, (tmp_path / "cache").read_bytes()

    return run


@pytest.mark.parametrize("flag", WRITTEN_BY_LLAMA_CPP)
def test_file_is_that_of_llama_cpp(once, flag):
    _, _, cache = once(*flag.split())
    assert hashlib.sha256(cache).hexdigest() == WRITTEN_BY_LLAMA_CPP[flag]


@pytest.mark.parametrize("flags", [(), ("-fa",), ("-ctk", "q8_0"), ("-ctk", "f32", "-ctv", "f32")], ids=str)
def test_the_same_prompt_again(once, flags):
    text, first, cache = once(*flags)
    again, second, unchanged = once(*flags)
    assert (again, unchanged) == (text, cache)
    assert b"session file does not exist, will create" in first
    assert b"main: loaded a session with prompt size of 5 tokens\nmain: session file has exact match" in second
    assert b"prompt eval time =       0.00 ms /     1 tokens" in second


def test_a_longer_and_another_prompt(once, tmp_path):
    def alone(prompt):
        (tmp_path / "cache").unlink(missing_ok=True)
        text = once(prompt=prompt)[0]
        (tmp_path / "cache").unlink()
        return text

    longer, other = "Once upon a time there was", "The big dog ran"
    alone_longer, alone_other = alone(longer), alone(other)
    once()
    text, stderr, _ = once(prompt=longer)
    assert text == alone_longer and b"main: session file matches 5 / 7 tokens of prompt\n" in stderr
    text, stderr, _ = once(prompt=other)
    assert text == alone_other and b"main: warning: session file has low similarity to prompt (1 / " in stderr


def test_everything_is_kept_and_no_cell_twice(once):
    """The second run's prompt is shorter than the cache: the token evaluated again must not add a cell to the file."""
    text, stderr, cache = once("--prompt-cache-all")
    assert b"\nmain: saving final output to session file 'cache'\n" in stderr
    again, stderr, same = once("--prompt-cache-all")
    assert (again, same) == (text, cache)
    assert b"main: loaded a session with prompt size of 12 tokens\nmain: session file has exact match" in stderr
    full, stderr, _ = once("--prompt-cache-ro", prompt="", n=3)
    assert full.startswith(text[:-4]) and b"main: using full prompt from session file\n" in stderr


def test_read_only(once):
    _, _, cache = once()
    _, stderr, unchanged = once("--prompt-cache-all", "--prompt-cache-ro", prompt="Once upon a hill")
    assert unchanged == cache and b"saving" not in stderr


def test_a_larger_and_a_smaller_context(once):
    text, _, cache = once()
    for size in ("256", "1024"):
        again, stderr, _ = once("-c", size)
        assert again == text
        assert (b"llama_state_set_data: state contains 5 KV cells, was saved with kv_size=512, but is loaded with "
                b"kv_size=%s (fine, but different)\n" % size.encode()) in stderr


@pytest.mark.parametrize("flags", [("-fa",), ("-ctk", "q8_0"), ("-ctv", "f32")])
def test_written_with_other_flags(once, run_main, random_256, flags):
    _, _, cache = once()
    done = run_main("-m", random_256, "-p", "Once upon a time", "-n", "1", "--prompt-cache", "cache", *flags)
    assert done.returncode == 1
    assert done.stderr.endswith(b"main: error: failed to load session file 'cache'\n")
