"""What every quantization type leaves of a model: its perplexity, and how far its predictions are from the original's.

    python -m tests.bench perplexity                                             the table of docs/model.md
    python -m tests.bench perplexity F16.gguf TEXT [--imatrix FILE] [--types Q8_0 Q4_K_M ...]

Without a model it is the bundled one, from its checkpoint, on documents of its generator that it was not trained on, with
an importance matrix from other ones. TEXT is cut into contexts of the length the model was trained on; every token but the
first of a context counts. `<s>` and `</s>` in it are the special tokens.

  perplexity   exp of the mean of -log q(the token that came), q being what the type's model says of the next token;
               behind the +- the standard error of its difference from the original's
  KL           mean of sum over all tokens of p log(p / q), p being what the original says, in nats per token
  same         share of the places where both hold the same token for the most probable one
"""

import argparse
import itertools
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from llamacy.engine import Context, Model
from llamacy.quantize.filetypes import FILE_TYPES

REPO = Path(__file__).resolve().parents[2]
TRAIN = REPO / "tools" / "train"
CHECKPOINT = REPO / "tests" / "data" / "tales" / "hf"
ALIASES = ("Q3_K", "Q4_K", "Q5_K", "COPY", "F32")
TEXT_SEED, OTHER_SEED = 7, 8         # of the generator's held-out documents: those to read, those of the importance matrix
TEXT_BYTES, OTHER_DOCUMENTS = 130_000, 200


class Reader:
    """A text, the original's logits for it, and what another model thinks of the same text.

    original  path of the model that others are measured against
    text      bytes
    folder    for a file of (contexts, n_ctx, n_vocab) float32
    """

    def __init__(self, original, text, folder):
        model = Model(original)
        self.n_ctx = model.hparams.n_ctx_train
        tokens = model.vocab.tokenize(text, False, True)
        whole = len(tokens) // self.n_ctx
        if not whole:
            raise ValueError(f"the text has {len(tokens)} tokens, less than one context of {self.n_ctx}")
        self.tokens = np.reshape(tokens[:whole * self.n_ctx], (whole, self.n_ctx))
        self.original = None
        for at, logits in enumerate(self._logits(model)):
            if self.original is None:
                self.original = np.memmap(Path(folder, "logits"), np.float32, "w+", shape=(whole, *logits.shape))
            self.original[at] = logits

    @property
    def count(self):
        """How many tokens are judged."""
        return self.tokens[:, 1:].size

    def judge(self, path):
        """(perplexity, its error, KL, same, bits per weight) of the model in file `path`."""
        model, surprise, more, divergence, same = Model(path), [], [], 0, 0
        for chunk, logits, original in zip(self.tokens, self._logits(model), self.original):
            p, q, came = log_softmax(original[:-1]), log_softmax(logits[:-1]), (np.arange(len(chunk) - 1), chunk[1:])
            surprise.append(-q[came])
            more.append(p[came] - q[came])
            divergence += (np.exp(p) * (p - q)).sum()
            same += (p.argmax(1) == q.argmax(1)).sum()
        value = math.exp(np.mean(surprise))
        error = value * np.std(more) / math.sqrt(self.count)
        return value, error, divergence / self.count, same / self.count, bits_per_weight(model.gguf)

    def _logits(self, model):
        """The logits (n_ctx, n_vocab) of each context in turn."""
        n = self.n_ctx
        context = Context(model, n_ctx=n, n_batch=n, n_ubatch=n, n_threads=1, n_outputs=n)
        for chunk in self.tokens:
            context.kv_clear()
            context.decode_batch(chunk.tolist(), range(n), (0,) * n, bytes([1]) * n)
            yield np.stack([np.asarray(context.output(row)) for row in range(n)])
        context.close()


def log_softmax(logits):
    x = logits.astype(np.float64)
    x -= x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def bits_per_weight(gguf):
    tensors = list(gguf.tensors.values())
    return 8 * sum(tensor.nbytes for tensor in tensors) / sum(math.prod(tensor.ne) for tensor in tensors)


def run(tool, *words):
    """One of our tools, as a process that reads no environment of a user's."""
    code = f"import sys; from llamacy.cli.{tool} import run; run()"
    subprocess.run([sys.executable, "-c", code, *map(os.fspath, words)], check=True, capture_output=True, cwd=REPO)


def bundled(folder):
    """(F32 model, text, importance matrix) of the bundled model."""
    sys.path.insert(0, str(TRAIN))
    import corpus
    model, other, imatrix = (Path(folder, name) for name in ("f32.gguf", "other.txt", "tales.imatrix"))
    subprocess.run([sys.executable, REPO / "convert.py", CHECKPOINT, "--outtype", "f32", "--outfile", model], check=True,
                   capture_output=True)
    other.write_text("\n".join(map(corpus.plain, itertools.islice(corpus.documents(corpus.HELD_OUT + OTHER_SEED),
                                                                  OTHER_DOCUMENTS))))
    run("imatrix", "-m", model, "-f", other, "-o", imatrix)
    text = ""
    for document in corpus.documents(corpus.HELD_OUT + TEXT_SEED):
        text += corpus.marked(document)
        if len(text) >= TEXT_BYTES:
            return model, text.encode(), imatrix


def table(rows):
    """Markdown. rows: (name, perplexity, error, KL, same, bits, file size); a * marks what a smaller type does better."""
    yield "| type | bits per weight | MB | perplexity | KL | same |\n|---|---|---|---|---|---|"
    rows = sorted(rows, key=lambda row: -row[5])
    for at, (name, value, error, divergence, same, bits, size) in enumerate(rows):
        smaller = [row for row in rows[at + 1:] if row[5] < bits]
        marks = ["\\*" * any(row[1] < value for row in smaller), "\\*" * any(row[3] < divergence for row in smaller)]
        yield (f"| {name} | {bits:.2f} | {size / 1e6:.2f} | {value:.4f}{marks[0]} ± {error:.4f} | {divergence:.6f}{marks[1]} "
               f"| {100 * same:.2f}% |")


def main(argv):
    parser = argparse.ArgumentParser("python -m tests.bench perplexity")
    parser.add_argument("model", nargs="?", type=os.path.abspath, help="default: the bundled model and its text")
    parser.add_argument("text", nargs="?", type=Path)
    parser.add_argument("--imatrix", type=os.path.abspath)
    parser.add_argument("--types", nargs="+", default=[type.name for type in FILE_TYPES if type.name not in ALIASES])
    args = parser.parse_args(argv[1:])
    if args.model and not args.text:
        parser.error("a model needs a text")
    with tempfile.TemporaryDirectory() as folder:
        model, text, imatrix = (args.model, args.text.read_bytes(), args.imatrix) if args.model else bundled(folder)
        reader, rows = Reader(str(model), text, folder), []
        for name in args.types:
            path = Path(folder, f"{name}.gguf")
            run("quantize", *(["--imatrix", imatrix] if imatrix else []), model, path, name)
            rows.append((name, *reader.judge(str(path)), path.stat().st_size))
            path.unlink()
            print(*rows[-1], file=sys.stderr, flush=True)
    print(f"{reader.count} tokens\n")
    print(*table(rows), sep="\n")
    return 0
