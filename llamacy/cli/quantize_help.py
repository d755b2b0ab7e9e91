"""The usage text of `quantize` and docs/quantize.md, both made from the tables of options and types.

    python -m llamacy.cli.quantize_help > docs/quantize.md
"""

import os

from ..quantize.filetypes import COPY, FILE_TYPES
from .help import code, plain, wrap
from .quantize_options import OPTIONS

COLUMN = 40              # where explanations start
WIDTH = 120


def usage(program):
    """What a command line that makes no sense is answered with (bytes)."""
    lines = [f"usage: {program} [options] INPUT.gguf [OUTPUT.gguf] TYPE [NTHREADS]", ""]
    for name, value, _, _, text in OPTIONS:
        body = wrap(text, WIDTH - COLUMN)
        lines.append(f"  {name} {value}".ljust(COLUMN) + body[0])
        lines += [" " * COLUMN + line for line in body[1:]]
    lines += ["", "Options come first. Without OUTPUT the file is ggml-model-TYPE.gguf beside the input; without NTHREADS all",
              "CPUs work. --include-weights and --exclude-weights cannot be used together.", "",
              "TYPE, by number or by name in any case:"]
    lines += [listed(row) for row in FILE_TYPES]
    return os.fsencode("\n".join(lines) + "\n")


def listed(row):
    """A type's line."""
    number = " " * 10 if row.name == COPY else f"  {row.id:2d}  or  "
    return f"{number}{row.name:7s} : {row.note}"


def markdown():
    """The text of docs/quantize.md (str)."""
    options = [f"| {code(f'{name} {value}'.rstrip())} | {plain(text)} |" for name, value, _, _, text in OPTIONS]
    types = [f"| {code(row.name)} | {'' if row.name == COPY else row.id} | {code(row.base)} | {plain(row.note)} |"
             for row in FILE_TYPES]
    return "\n".join([INTRODUCTION, "| Option | Meaning |", "|---|---|", *options, BETWEEN,
                      "| Name | Number | Most tensors | Size of a 7B model, or bits per weight |", "|---|---|---|---|",
                      *types, REST])


INTRODUCTION = """\
# quantize

Made by `python -m llamacy.cli.quantize_help > docs/quantize.md`; `./quantize` without arguments prints the tables, too.

    ./quantize [options] INPUT.gguf [OUTPUT.gguf] TYPE [NTHREADS]
    ./quantize models/7B/ggml-model-f16.gguf models/7B/ggml-model-q4_0.gguf q4_0

reads a model and writes it with smaller tensors. INPUT may be F32, F16 or BF16, in one file or split (name the first
part). Without OUTPUT the file is `ggml-model-TYPE.gguf` in the folder of INPUT. The bytes are those that llama.cpp b2794
writes, for every type, with any number of threads, on every CPU.

## Options

They come before INPUT.
"""

BETWEEN = """
## Types

In any case, or by number. A name like Q4_K_M stands for a mixture: tensors on which quality hangs get more bits.
`--dry-run` prints which. Rows that are no multiple of 256 cannot hold the K and IQ types; such tensors get a type with
blocks of 32 instead, and the run says so.
"""

REST = """
## What can be relied on

- The output appears under its name when all of it is on the disk, and not before: it is written under a temporary name
  (`.llamacy-*.tmp` in the same folder) and renamed. After an error, Ctrl+C, SIGTERM or a full disk nothing is left of
  it, and a file that was there before is as it was. Only after `kill -9` or a power cut the temporary file remains.
- The size is computed and compared with the free space before anything is written.
- Memory: a few megabytes per thread. The input is mapped, not loaded.
- Every value of the input and every scale of the output is looked at: NaN and infinity end the run.
- Exit status 0: the file is complete. 1: it is not, and stderr says why. 128 + n: ended by signal n.

stdout has the usage text, what is said of the imatrix, the plan of `--dry-run`, and at the end two lines with times. All
else goes to stderr: the metadata of the model, a line per tensor, the totals. On a terminal there is a progress line.

## Differences from llama.cpp b2794

| | there | here |
|---|---|---|
| `--keep-split` | prints the usage | works |
| unknown options | turn `--keep-split` on | usage, exit 1 |
| `--output-tensor-type` or `--token-embedding-type` with an unknown type | ignored | refused |
| the same with upper case | ignored | understood |
| OUTPUT that starts with a number, as in `7b.gguf q4_0` | taken for a type | a file name, if a type's name follows |
| OUTPUT of `--keep-split` that has `.gguf` in its middle | loses its last 5 bytes | only a final `.gguf` is taken off |
| INPUT and OUTPUT are one file | the model is lost | refused |
| a failed run | leaves a broken OUTPUT | leaves nothing |
| rows that do not divide into blocks | broken file, crash, or "validation failed" | refused before writing |
| tensors with 4 dimensions | truncated | refused |
| `general.alignment` other than 32 | the file cannot be read | laid out accordingly |
| `--override-kv` of an integer key | it becomes i32, the file unreadable | it keeps its type; what does not fit is refused |
| `--override-kv` of `split.*` | written | refused |
| strings with a NUL byte in the metadata | cut there | kept |
| BF16 input | unknown | read |
| imatrix with lengths beyond its end, with negative values or NaN | crash, or garbage | refused |
| `invalid ftype 'X'` | names the third word | names the wrong word |
| `LLAMA_TRACE` | more lines | no effect |
"""


if __name__ == "__main__":
    print(markdown(), end="")
