"""The usage text of `quantize`, made from the tables of options and types."""

import os

from ..quantize.filetypes import COPY, FILE_TYPES
from .help import examples, wrap
from .quantize_options import OPTIONS

COLUMN = 40              # where explanations start
WIDTH = 120


def usage(program):
    """What a command line that makes no sense is answered with (bytes)."""
    lines = [f"usage: {program} [options] INPUT.gguf [OUTPUT.gguf] TYPE [NTHREADS]", "",
             "Write a model with smaller weights. A good start is Q4_K_M; Q8_0 loses next to nothing.",
             "", "options:"]
    for name, value, _, _, text in OPTIONS:
        body = wrap(text, WIDTH - COLUMN)
        lines.append(f"  {name} {value}".ljust(COLUMN) + body[0])
        lines += [" " * COLUMN + line for line in body[1:]]
    lines += ["", "Options come first. Without OUTPUT the file is ggml-model-TYPE.gguf beside the input; without NTHREADS all",
              "CPUs work. --include-weights and --exclude-weights cannot be used together.", "",
              "TYPE, by number or by name in any case:"]
    lines += [listed(row) for row in FILE_TYPES]
    return os.fsencode("\n".join(lines + examples("quantize", program)) + "\n")


def listed(row):
    """A type's line."""
    number = " " * 10 if row.name == COPY else f"  {row.id:2d}  or  "
    return f"{number}{row.name:7s} : {row.note}"
