"""./tokenize: its listing, its one error line, and ids equal to the reference's."""

import json
import os
import subprocess
import sys

import pytest
from vocab_files import golden, golden_keys, write


@pytest.fixture
def tokenize(repo, tmp_path):
    """Run the tool as bin/tokenize does: (exit status, stdout, stderr)."""

    def run(*words):
        code = f"import sys; sys.path.insert(0, {str(repo)!r}); sys.argv[0] = './tokenize'; " \
               "from llamacy.cli.tokenize import run; run()"
        done = subprocess.run([sys.executable, "-S", "-E", "-X", "utf8", "-c", code, *map(os.fsdecode, words)],
                              capture_output=True, cwd=tmp_path, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return run


def test_listing(tokenize, random_256):
    status, out, err = tokenize(random_256, b"Once upon")
    assert status == 0 and out.startswith(b"     1 -> '<s>'\n")
    rows = [line.partition(b" -> ") for line in out.splitlines()]
    assert b"".join(piece[1:-1] for _, _, piece in rows) == b"<s> Once upon"
    assert tokenize(random_256, b"Once upon", "--ids")[1] == b"".join(b"%d\n" % int(id) for id, _, _ in rows)
    assert b"llama_model_loader: loaded meta data with" in err and b"llm_load_vocab: special tokens" in err
    assert b"llm_load_print_meta: BOS token        = 1 '<s>'\n" in err


def test_only_the_third_word_asks_for_ids(tokenize, random_256):
    assert b" -> " in tokenize(random_256, b"a", "--id")[1] and b" -> " in tokenize(random_256, b"a", "x", "--ids")[1]
    assert tokenize(random_256, b"", "--ids")[1] == b"1\n"


@pytest.mark.parametrize("words", [[], ["model"], ["-m", "model", "-p", "x"]])
def test_usage(tokenize, words):
    assert tokenize(*words) == (1, b"usage: ./tokenize MODEL_PATH PROMPT [--ids]\n", b"")


@pytest.mark.parametrize("words", [["-h"], ["--help", "x"]])
def test_help(tokenize, words):
    status, out, err = tokenize(*words)
    assert (status, err) == (0, b"") and out.startswith(b"usage: ./tokenize MODEL_PATH PROMPT [--ids]\n\n") and b"--ids" in out


def test_prompt_is_any_bytes_and_special_tokens_are_read(tokenize, repo, tmp_path):
    path = write(tmp_path / "v.gguf", golden_keys(golden(repo), "bpe", "llama3"))
    status, out, _ = tokenize(path, b"<|im_end|>\xff\xe6\xbc\xa2 .")
    pieces = [line.partition(b" -> ")[2] for line in out.split(b"'\n")[:-1]]
    assert status == 0 and b"".join(piece[1:] for piece in pieces).endswith(b"<|im_end|>\xff\xe6\xbc\xa2 .")


def test_piece_ends_at_a_nul(tokenize, tmp_path):
    path = write(tmp_path / "v.gguf", {"model": ("str", "rwkv"), "tokens": ("arr:str", [r"a\x00b", "c"])})
    status, out, _ = tokenize(path, b"cc")
    assert (status, out) == (0, b"     1 -> 'c'\n     1 -> 'c'\n")
    from llamacy.cli.tokenize import lines
    from llamacy.gguf import GGUFFile
    from llamacy.vocab import Vocab
    assert lines(Vocab(GGUFFile(path)), [0, 1], False) == b"     0 -> 'a'\n     1 -> 'c'\n"


@pytest.mark.parametrize("content, message", [
    (None, b"failed to load model from m.gguf: No such file or directory"), (b"", b"m.gguf"), (b"GGUFxxxx", b"m.gguf")])
def test_file_that_is_no_model(tokenize, tmp_path, content, message):
    if content is not None:
        (tmp_path / "m.gguf").write_bytes(content)
    status, out, err = tokenize("m.gguf", b"x")
    assert (status, out) == (1, b"") and message in err and err.startswith(b"tokenize: ") and err.count(b"\n") == 1


def test_file_without_a_vocabulary(tokenize, tmp_path):
    write(tmp_path / "m.gguf", {"model": ("str", "no_vocab")})
    status, out, err = tokenize("m.gguf", b"x")
    assert (status, out) == (1, b"") and b"\ntokenize: the model has no vocabulary" in err


@pytest.mark.parametrize("name", ["gpt-2", "llama-spm", "bert-bge"])
def test_ids_are_those_of_the_reference(tokenize, shared, name):
    recorded = json.loads((shared / "golden/tokens.json").read_text())
    file = f"ggml-vocab-{name}.gguf"
    text, ids = max(zip(recorded["texts"], recorded["ids"][file], strict=True), key=lambda row: len(row[1]))
    status, out, _ = tokenize(shared / "data/vocab" / file, text.encode(), "--ids")
    assert status == 0 and [int(line) for line in out.split()] == ids and len(ids) > 50
