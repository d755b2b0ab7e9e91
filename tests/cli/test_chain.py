"""From a checkpoint to an answer over HTTP, on a model of our own: convert, quantize to every type, main, server."""

import json
import subprocess
import sys
import urllib.request

import pytest

from llamacy.quantize.filetypes import FILE_TYPES
from tests.conftest import REPO, command

CHECKPOINT = REPO / "tests" / "data" / "tales" / "hf"
BUNDLED = REPO / "llamacy" / "models" / "tales-q8_0.gguf"
PROMPT = "Once upon a time, there was a little"


def run(*argv, cwd):
    """What a command writes to stdout; it must end well."""
    done = subprocess.run([str(word) for word in argv], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode()


def corpus(n, *, marked=False):
    """Text of n documents that the model was not trained on."""
    return run(sys.executable, REPO / "tools" / "train" / "corpus.py", n, 7, *(["--marked"] if marked else []), cwd=REPO)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A folder with f16.gguf, made by convert.py, and text.imatrix of it."""
    folder = tmp_path_factory.mktemp("chain")
    run(sys.executable, REPO / "convert.py", CHECKPOINT, "--outtype", "f16", "--outfile", folder / "f16.gguf", cwd=folder)
    (folder / "text.txt").write_text(corpus(40))
    run(*command("imatrix"), "-m", "f16.gguf", "-f", "text.txt", "-o", "text.imatrix", "-t", "1", cwd=folder)
    return folder


def quantize(chain, name):
    """Name of a file of type `name` in folder `chain`."""
    target = f"{name}.gguf"
    run(*command("quantize"), *(["--imatrix", "text.imatrix"] if "IQ" in name or "_K" in name else []), "f16.gguf", target,
        name, cwd=chain)
    return target


@pytest.mark.parametrize("name", [row.name for row in FILE_TYPES])
def test_every_type_tells_a_story(chain, name):
    """Greedy text of every type is English that the generator might have written: mostly words of its stories."""
    text = run(*command("main"), "-m", quantize(chain, name), "-p", PROMPT, "-n", "24", "--temp", "0", "-t", "1", cwd=chain)
    assert text.startswith(f"<s> {PROMPT} ")
    words = text.removeprefix(f"<s> {PROMPT} ").removesuffix("</s>").split()
    known = set(corpus(300).split())
    assert len(words) >= 8 and sum(word in known for word in words[:-1]) >= 0.7 * (len(words) - 1), text


def test_the_bundled_model_is_what_the_tools_make(chain):
    assert (chain / quantize(chain, "Q8_0")).read_bytes() == BUNDLED.read_bytes(), \
        f"make {BUNDLED} anew: docs/model.md says how"


def test_the_server_answers(chain):
    process = subprocess.Popen([*command("server"), "-m", quantize(chain, "Q4_K_M"), "--port", "0", "-t", "1"], cwd=chain,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        lines = map(json.loads, process.stdout)
        port = next(line["port"] for line in lines if line["msg"] == "HTTP server listening")
        body = json.dumps({"prompt": PROMPT, "n_predict": 24, "temperature": 0}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/completion", body, timeout=60) as response:
            content = json.loads(response.read())["content"]
    finally:
        process.terminate()
        process.communicate(timeout=20)
    told = run(*command("main"), "-m", "Q4_K_M.gguf", "-p", PROMPT, "-n", "24", "--temp", "0", "-t", "1", cwd=chain)
    assert told == f"<s> {PROMPT}{content}"


def test_token_ids_are_those_of_sentencepiece():
    """On documents of the generator, marks of beginning and end left out."""
    import sentencepiece
    from llamacy.engine import Model
    vocab = Model(str(BUNDLED)).vocab
    model = sentencepiece.SentencePieceProcessor(model_file=str(CHECKPOINT / "tokenizer.model"))
    lines = [line for line in corpus(200).splitlines() if line]
    assert len(lines) > 500
    for line in lines:
        assert list(vocab.tokenize(line.encode(), False, False)) == model.encode(line), line
