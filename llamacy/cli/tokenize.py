"""`tokenize`: the tokens of a text, one a line. Only the vocabulary of the model is read."""

import os
import sys

from ..errors import LlamacyError, one_line
from . import bundled, interrupt
from .console import write_all
from .log import write_stderr

USAGE = b"usage: %s MODEL_PATH PROMPT [--ids]\n"
HELP = b"""
List the tokens of PROMPT as the model sees them, one a line. Only the vocabulary of the model is read.

options:
  -h, --help   print this text and exit
  --ids        print the numbers alone
"""


def main(argv):
    """Run `tokenize MODEL_PATH PROMPT [--ids]`; return the exit status."""
    interrupt.defaults()
    if argv[1:2] in (["-h"], ["--help"]):
        write_all(1, USAGE % os.fsencode(argv[0]) + HELP)
        return 0
    if len(argv) < 3 or argv[1].startswith("-"):
        write_all(1, USAGE % os.fsencode(argv[0] if argv else "tokenize"))
        return 1
    path, prompt = bundled.path(argv[1]), os.fsencode(argv[2])
    try:
        vocab = read_vocab(path, write_stderr)
        tokens = vocab.tokenize(prompt, True, True)
    except (LlamacyError, OSError, MemoryError) as error:
        write_stderr(b"tokenize: %s\n" % os.fsencode(reason(error, path)))
        return 1
    write_all(1, lines(vocab, tokens, argv[3:4] == ["--ids"]))
    return 0


def reason(error, path):
    """str: what is wrong, in one line."""
    if isinstance(error, OSError):
        return f"failed to load model from {one_line(path)}: {error.strerror or error}"
    return str(error) or "out of memory"


def run():
    """The console script."""
    sys.exit(main(sys.argv))


def read_vocab(path, log):
    """The Vocab of a model file, with the lines that loading one logs. Errors: LlamacyError, OSError."""
    from ..engine.override import Overrides
    from ..engine.report import Report
    from ..gguf import GGUFFile
    from ..vocab import Vocab
    gguf = GGUFFile(path)
    report = Report(gguf, log)
    report.metadata()
    vocab = Vocab(gguf, Overrides(gguf, (), log).lookup, log)
    report.vocabulary(vocab)
    report.special_tokens(vocab)
    return vocab


def lines(vocab, tokens, ids_only):
    """bytes: the listing. A piece is shown up to a NUL in it, as C prints text."""
    if ids_only:
        return b"".join([b"%d\n" % token for token in tokens])
    return b"".join([b"%6d -> '%s'\n" % (token, vocab.piece(token).partition(b"\0")[0]) for token in tokens])
