"""The words of an `imatrix` command line: its own flags, and those of `main`, which it shares.

Rows are as in options.py.
"""

import os

from . import help, options
from .params import Params, finish, scan
from .words import Invalid, apply, by_name, next_value, parsed, refused, spelled

OPTIONS = (
    ("-o --output-file", "FILE", "str", "output_file", "imatrix.dat", "file to write"),
    ("-ofreq --output-frequency", "N", "int", "output_frequency", 10,
     "write it each time N batches are done, too; 0: only at the end"),
    ("--keep-imatrix --save-frequency", "N", "int", "keep_every", 0,
     "keep what there is each time N batches are done, in FILE.at_N; 0: never"),
    ("-ow --output-weight", "0|1", "int", "output_weight", 0, "1: collect data for output.weight, too"),
    ("--process-output", "", "on", "process_output", False, "the same as -ow 1"),
    ("--verbosity", "N", "int", "verbosity", 1,
     "0: no word about files and coverage; 2 and more: a line for each tensor and batch"),
    ("--no-ppl", "", "off", "perplexity", True, "do not compute the perplexity of the text"),
    ("--from-chunk", "N", "int", "from_chunk", 0, "leave the first N chunks of the text out"),
    ("--continue-from", "FILE", "str", "continue_from", "", "start with the data of a file that imatrix wrote"),
    ("--combine", "FILE,FILE...", "str", "combine", "", "add up the data of several files, without a model"),
)
BATCH = 512              # the default of -b here


class Request:
    """A command line, understood: the fields of OPTIONS, and `params`, the Params of the shared flags."""

    def __init__(self, program):
        for _, _, _, field, default, _ in OPTIONS:
            setattr(self, field, default)
        self.params = Params(program)
        self.params.n_batch = BATCH


def usage(program):
    """What --help prints (bytes)."""
    lines = ["", f"usage: {program} [options]", "", "Read a text with a model, and write down which weights matter to it.", "",
             "imatrix:"]
    for row in OPTIONS:
        lines += help.entry(row)
    lines += [*help.examples("imatrix", program), "", "The flags of main are understood as well:", *help.sections()]
    return os.fsencode("\n".join(lines) + "\n")


def parse(argv):
    """argv (str, as sys.argv) -> Request. SystemExit after messages, help or version."""
    request = Request(argv[0] if argv else "imatrix")

    def read():
        shared = _take_own(request, argv[1:])
        if not request.combine:
            scan(request.params, shared)
            finish(request.params)
            request.params.model_named = True      # a matrix of a model that nobody asked for is of no use
        return request

    return parsed(read, request.params.program, usage)


def _take_own(request, words):
    """Set the fields of the flags in OPTIONS; returns the words that are left, in order. Errors  UsageError."""
    own, shared, rest, words = by_name(OPTIONS), by_name(options.rows()), [], iter(words)
    for word in words:
        flag = spelled(word)
        if flag in own:
            try:
                apply(request, own[flag], lambda: next_value(words), flag)
            except Invalid:
                raise refused(flag) from None
            continue
        rest.append(word)
        for _ in shared[flag][1].split() if flag in shared else ():     # its values may look like flags of ours
            rest += [value for value in (next(words, None),) if value is not None]
    return rest
