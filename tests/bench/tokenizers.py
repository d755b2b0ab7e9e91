"""How fast vocabularies are loaded and texts are cut into tokens, one core.

    python -m tests.bench.tokenizers [FILE.gguf ...] [--pre qwen2,gpt-4o] [--text FILE] [--json]

FILE.gguf: vocabularies; none: those of ../shared/data/vocab. --pre: BPE vocabularies with these pre-types instead of
their own. One line per vocabulary:
    load     milliseconds from the file to a Vocab; `first` also tokenizes one letter, which makes the tables of BPE
    English  MB/s of prose, 1 MB in which no line comes twice: the licences of the system and this repository's text
    --text   MB/s of that file
    long     MB/s of hard texts, 1 MB each: one letter; one word of random letters; ideographs; spaces
    128k     milliseconds to load a vocabulary of 128256 tokens and 280000 merges, made up
The best of several runs counts; nothing is asserted.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from llamacy.gguf import GGUFFile, GGUFWriter
from llamacy.vocab import Vocab

REPO = Path(__file__).resolve().parents[2]
SIZE = 1_000_000
PROSE = ("/usr/share/common-licenses/*", "/usr/share/doc/**/*.txt", "/usr/share/perl/**/*.pod")
PREFIX = "tokenizer.ggml."


def best(call, seconds=0.5):
    """Shortest time of one call, over at least three calls and `seconds`."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def english():
    """bytes: lines of prose, each once."""
    lines, size = {}, 0
    paths = [path for pattern in PROSE for path in sorted(Path("/").glob(pattern[1:]))]
    for path in [*paths, *sorted(REPO.rglob("*.md")), *sorted(REPO.rglob("*.py"))]:
        if size >= SIZE or not path.is_file():
            continue
        for line in path.read_bytes().splitlines(True):
            size += len(line) * (line not in lines)
            lines[line] = None
    return b"".join(lines)[:SIZE]


def hard():
    """dict of bytes."""
    rng = random.Random(1)
    return {"one letter": b"a" * SIZE, "one word": bytes(rng.choices(b"etaoinshrdlucm", k=SIZE)),
            "ideographs": "".join(map(chr, rng.choices(range(0x4E00, 0x9FA5), k=SIZE // 3))).encode(),
            "spaces": b" " * SIZE}


def overriding(gguf, pre):
    """A lookup that has another pre-type."""
    def lookup(key, kind, default=None):
        if key == PREFIX + "pre" and pre:
            return pre.encode()
        return gguf[key] if key in gguf and gguf.kind(key) == kind else default
    return lookup


def measure(path, pre, texts):
    """One row of the table as a dict."""
    def load():
        gguf = GGUFFile(path)
        return Vocab(gguf, overriding(gguf, pre))

    vocab = load()
    row = {"vocabulary": Path(path).stem.removeprefix("ggml-vocab-"), "kind": vocab.kind}
    if vocab.kind == "BPE":
        row["pre"] = vocab.pre.decode()
    row["load ms"] = 1000 * best(load)
    row["first ms"] = 1000 * best(lambda: load().tokenize(b"a", False, False))
    for name, text in texts.items():
        row[name + " MB/s"] = len(text) / 1e6 / best(lambda: vocab.tokenize(text, False, False), 0.2)
    return row


def made_up(path):
    """A BPE vocabulary of the size of Llama 3's: words of letters, each joined from two shorter ones."""
    rng = random.Random(2)
    others = iter(range(0x100, 0x200))
    tokens = dict.fromkeys(chr(b if 0x21 <= b <= 0x7E or 0xA1 <= b <= 0xAC or b >= 0xAE else next(others))
                           for b in range(256))
    words, merges = [c for c in tokens if c.isalpha() and c.isascii()] + ["Ġ"], []
    while len(merges) < 280_000:
        left, right = rng.choice(words), rng.choice(words)
        if len(left) + len(right) > 14:
            continue
        merges.append(f"{left} {right}")
        if len(tokens) < 128_000 and left + right not in tokens:
            tokens[left + right] = None
            words.append(left + right)
    tokens = [*tokens, *(f"<|reserved_special_token_{i}|>" for i in range(256))]
    with GGUFWriter(path) as w:
        w.add("general.architecture", "str", "llama")
        w.add(PREFIX + "model", "str", "gpt2")
        w.add(PREFIX + "pre", "str", "llama-bpe")
        w.add(PREFIX + "tokens", "arr:str", tokens)
        w.add(PREFIX + "token_type", "arr:i32", [1] * (len(tokens) - 256) + [3] * 256)
        w.add(PREFIX + "merges", "arr:str", merges)


def show(row, as_json):
    if as_json:
        print(json.dumps(row), flush=True)
    else:
        print("  ".join(f"{name} {value:.1f}" if isinstance(value, float) else f"{value:<12}"
                        for name, value in row.items()), flush=True)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tokenizers")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--pre", default="", help="pre-types, comma separated")
    parser.add_argument("--text", help="one more text")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    args = parser.parse_args(argv[1:] if argv else None)
    texts = {"English": english(), **hard()}
    if args.text:
        texts["--text"] = Path(args.text).read_bytes()
    shared = Path(os.environ.get("LLAMACY_SHARED") or REPO.parent / "shared")
    for path in args.files or sorted((shared / "data/vocab").glob("*.gguf")):
        for pre in args.pre.split(","):
            show(measure(path, pre, texts), args.json)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "128k.gguf"
        made_up(path)
        show(measure(path, "", {}), args.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
