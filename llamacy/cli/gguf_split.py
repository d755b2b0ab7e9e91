"""`gguf-split`: a model in parts, or the parts in one file. Words in, messages out; the work is in gguf.parts."""

import os
import sys

from ..errors import LlamacyError, UsageError, one_line
from . import interrupt
from .console import write_all
from .log import write_stderr
from .strto import NotANumber, OutOfRange, stoi

UNITS = {"M": 1 << 20, "G": 1 << 30}
USAGE = """
usage: {} [options] GGUF_IN GGUF_OUT

Cut a model into several files, or put the parts together again. Files that exist are not overwritten.

options:
{}
"""


class Request:
    """A command line, understood."""

    def __init__(self):
        self.merge = self.metadata_first = self.dry_run = False
        self.max_tensors, self.max_bytes = 128, 0
        self.input = self.output = ""


class Answer(Exception):
    """Nothing to do but to print this: bytes for each stream."""

    def __init__(self, stdout=b"", stderr=b""):
        self.stdout = stdout
        self.stderr = stderr


def main(argv):
    """Run `gguf-split` with the words of a command line (argv[0] is its name); return the exit status."""
    interrupt.defaults()
    program = argv[0] if argv else "gguf-split"
    try:
        request = parse(program, argv[1:])
    except Answer as answer:
        write_stderr(answer.stderr)
        write_all(1, answer.stdout)
        return 0
    except UsageError as error:
        say(f"error: {error}\n")
        write_all(1, usage(program))
        return 1
    return _guarded("gguf_merge" if request.merge else "gguf_split", merge if request.merge else split, request)


def run():
    """The console script."""
    sys.exit(main(sys.argv))


def say(text):
    """str, to stderr."""
    write_stderr(os.fsencode(text))


def tell(text):
    """str, to stdout."""
    write_all(1, os.fsencode(text))


def usage(program):
    from .gguf_split_options import OPTIONS
    from .help import entry, examples
    lines = [line for row in OPTIONS for line in entry(row)] + examples("gguf-split", program)
    return os.fsencode(USAGE.format(program, "\n".join(lines)))


# --- words


def parse(program, words):
    """Request of a command line. Errors  UsageError; Answer: the user only asked something."""
    request, words = Request(), list(words)
    while words and (words[0].startswith("--") or words[0] == "-h"):
        flag = words.pop(0).replace("_", "-")
        if flag in ("-h", "--help"):
            raise Answer(stdout=usage(program))
        if flag == "--version":
            raise Answer(stderr=_version())
        _option(request, flag, words)
    if len(words) < 2:
        raise UsageError("bad arguments")
    request.input, request.output = words[:2]
    return request


def _version():
    from . import buildinfo
    return f"version: {buildinfo.version()}\nbuilt with {buildinfo.compiler()} for {buildinfo.target()}\n".encode()


def _option(request, flag, words):
    """Do what a flag says; its value, if it has one, is taken from the front of `words`."""
    if flag in ("--split", "--merge"):
        request.merge = flag == "--merge"
    elif flag == "--no-tensor-first-split":
        request.metadata_first = True
    elif flag == "--dry-run":
        request.dry_run = True
    elif flag == "--split-max-tensors":
        request.max_tensors, request.max_bytes = _number(flag, _value(flag, words)), 0
    elif flag == "--split-max-size":
        request.max_bytes = _size(flag, _value(flag, words))
    else:
        raise UsageError(f"unknown argument: {one_line(flag)}")


def _value(flag, words):
    if not words:
        raise UsageError(f"invalid parameter for argument: {flag}")
    return words.pop(0)


def _number(flag, word):
    """The integer above 0 that a word starts with."""
    try:
        number = stoi(os.fsencode(word))
    except (NotANumber, OutOfRange):
        raise UsageError(f"invalid parameter for argument: {flag}") from None
    if number < 1:
        raise UsageError(f"{flag}: {number} is out of range (accepted: 1 to 2147483647)")
    return number


def _size(flag, word):
    """Bytes of `2G`."""
    if word[-1:] not in UNITS:
        raise UsageError(f"supported units are M (megabytes) or G (gigabytes), but got: {one_line(word[-1:])}")
    try:
        number = stoi(os.fsencode(word))
    except (NotANumber, OutOfRange):
        raise UsageError(f"invalid parameter for argument: {flag}") from None
    if number < 1:
        raise UsageError("size must be a positive value")
    return number * UNITS[word[-1]]


# --- work


def _guarded(name, work, request):
    """Exit status of work(request); errors and signals become a line that begins with `name`."""
    from .quantize import Stoppable, Stopped
    try:
        with Stoppable():
            work(request)
        return 0
    except MemoryError:
        message = "out of memory"
    except OSError as error:
        message = f"{one_line(error.filename)}: {error.strerror}" if error.filename else error.strerror or str(error)
    except LlamacyError as error:
        message = str(error)
    except Stopped as stop:
        say(f"\n{name}: stopped by {stop.name}, nothing is left of the output\n")
        return 128 + stop.number
    say(f"{name}: error: {message}\n")
    return 1


def split(request):
    """The plan on stdout, then the files. Errors  LlamacyError, OSError."""
    from ..gguf import GGUFFile, parts
    with GGUFFile(request.input) as gguf:
        plan = parts.split(gguf, request.output, max_tensors=request.max_tensors, max_bytes=request.max_bytes,
                           metadata_first=request.metadata_first)
        tell(f"n_split: {len(plan)}\n")
        for no, part in enumerate(plan, 1):
            megabytes = (part.head_bytes + part.data_bytes) >> 20
            tell(f"split {no:05d}: n_tensors = {len(part.tensors)}, total_size = {megabytes}M\n")
        if request.dry_run:
            return
        parts.write(gguf, plan, lambda path: tell(f"Writing file {path} ... "), lambda path: tell("done\n"))
        say(f"gguf_split: {len(plan)} gguf split written with a total of {gguf.n_tensors} tensors.\n")


def merge(request):
    """One file of all parts. Errors  LlamacyError, OSError."""
    from ..gguf import GGUFFile, parts
    say(f"gguf_merge: {request.input} -> {request.output}\n")
    with GGUFFile(request.input, splits=False) as first:
        count = parts.count_of(first)
    with GGUFFile(request.input) as gguf:
        whole = parts.merge(gguf, request.output)
        if request.dry_run:
            say(f"gguf_merge: {request.output} would be merged from {count} split with {gguf.n_tensors} tensors.\n")
            return
        parts.write(gguf, [whole], copying=lambda path: say(f"gguf_merge: writing tensors {path}\n"))
        say(f"gguf_merge: {request.output} merged from {count} split with {gguf.n_tensors} tensors.\n")
