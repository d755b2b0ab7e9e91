"""Perplexity of every quantization type: how much of a model is left, by bits per weight.

    python -m tests.bench perplexity F16.gguf TEXT [--imatrix FILE] [--types Q8_0 Q4_K_M ...] [--markdown]

TEXT is cut into contexts of the length the model was trained on; every token but the first of a context counts.
`<s>` and `</s>` in it are the special tokens. Types are made with the importance matrix where one is given.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from llamacy.engine import Context, Model
from llamacy.quantize._score import surprise
from llamacy.quantize.filetypes import FILE_TYPES

REPO = Path(__file__).resolve().parents[2]
ALIASES = ("Q3_K", "Q4_K", "Q5_K", "COPY", "F32")


def perplexity(path, text, n_threads=1):
    """(perplexity, bits per weight) of the model in file `path` on `text` (bytes)."""
    model = Model(path)
    n_ctx = model.hparams.n_ctx_train
    tokens = model.vocab.tokenize(text, False, True)
    context = Context(model, n_ctx=n_ctx, n_batch=n_ctx, n_ubatch=n_ctx, n_threads=n_threads, n_outputs=n_ctx)
    total = count = 0
    for at in range(0, len(tokens) - n_ctx + 1, n_ctx):
        chunk = tokens[at:at + n_ctx]
        context.kv_clear()
        context.decode_batch(chunk, range(n_ctx), (0,) * n_ctx, bytes([1]) * n_ctx)
        total += sum(surprise(context.output(row), token) for row, token in enumerate(chunk[1:]))
        count += n_ctx - 1
    context.close()
    if not count:
        raise ValueError(f"the text has {len(tokens)} tokens, less than one context of {n_ctx}")
    return math.exp(total / count), bits_per_weight(model.gguf)


def bits_per_weight(gguf):
    tensors = list(gguf.tensors.values())
    return 8 * sum(tensor.nbytes for tensor in tensors) / sum(math.prod(tensor.ne) for tensor in tensors)


def quantized(model, name, folder, imatrix=None):
    """The file of the model in type `name`, made by ./quantize."""
    if name == "F16":
        return model
    path = Path(folder, f"{name}.gguf")
    options = ["--imatrix", imatrix] if imatrix else []
    code = "import sys; from llamacy.cli.quantize import run; run()"
    subprocess.run([sys.executable, "-c", code, *map(os.fspath, options), model, path, name], check=True,
                   capture_output=True, cwd=REPO)
    return path


def main(argv):
    parser = argparse.ArgumentParser("python -m tests.bench perplexity")
    parser.add_argument("model")
    parser.add_argument("text", type=Path)
    parser.add_argument("--imatrix")
    parser.add_argument("--types", nargs="+", default=[type.name for type in FILE_TYPES if type.name not in ALIASES])
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args(argv[1:])
    text, rows = args.text.read_bytes(), []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.types:
            path = quantized(os.path.abspath(args.model), name, folder, args.imatrix and os.path.abspath(args.imatrix))
            rows.append((name, *perplexity(str(path), text), os.path.getsize(path)))
            print(*rows[-1], file=sys.stderr, flush=True)
    line = "| {} | {:.2f} | {:.2f} | {:.4f} |" if args.markdown else "{:8} {:6.2f} bits per weight {:6.2f} MB  {:8.4f}"
    if args.markdown:
        print("| type | bits per weight | MB | perplexity |\n|---|---|---|---|")
    for name, value, bits, size in sorted(rows, key=lambda row: -row[2]):
        print(line.format(name, bits, size / 1e6, value))
    return 0
