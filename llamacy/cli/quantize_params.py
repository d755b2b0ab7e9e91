"""Words of a `quantize` command line -> Request. No file is opened here.

The rules are the reference's, faults left out: see docs/quantize.md.
"""

import os

from ..errors import UsageError, one_line
from .quantize_options import BY_NAME
from .strto import NotANumber, OutOfRange, stoi


class ShowUsage(UsageError):
    """The words make no command. The text goes to stderr, `stdout` (str) to stdout, and the usage follows it."""

    def __init__(self, message="", stdout=""):
        super().__init__(message)
        self.stdout = stdout


class Request:
    """A command line, understood.

    type          filetypes.FileType.  output_type, embedding_type: names ("Q6_K") or None
    imatrix       path or None.  include, exclude: parts of names
    overrides     [(key, "int" | "float" | "bool" | "str", value)]
    output        path; with keep_split without what follows the prefix
    n_threads     as given; 0 or less: all CPUs
    """

    def __init__(self):
        self.allow_requantize = self.leave_output_tensor = self.pure = self.keep_split = self.dry_run = False
        self.imatrix = self.output_type = self.embedding_type = None
        self.include, self.exclude, self.overrides = [], [], []
        self.input = self.output = ""
        self.type = None
        self.n_threads = 0

    def settings(self):
        """plan.Settings with all that both have."""
        from ..quantize.plan import Settings
        settings = Settings(self.type)
        for name, value in vars(self).items():
            if hasattr(settings, name):
                setattr(settings, name, value)
        if settings.n_threads <= 0:
            from .buildinfo import logical_cpus
            settings.n_threads = logical_cpus()
        return settings


def parse_options(program, words):
    """(Request, the words that are no options). program: as it was called.

    Errors  ShowUsage, UsageError.
    """
    if len(words) < 2:
        raise ShowUsage
    request, words = Request(), list(words)
    while words and words[0].startswith("--"):
        _option(request, words)
    if request.include and request.exclude:
        raise ShowUsage("main: --include-weights and --exclude-weights cannot be used together")
    if len(words) < 2:
        raise ShowUsage(stdout=f"{program}: bad arguments\n")
    return request, words


def _option(request, words):
    """Take one option, and its value if it has one, from the front of `words`."""
    flag = words.pop(0)
    row = BY_NAME.get(flag)
    if row is None:
        from .words import similar
        near = similar(flag, BY_NAME)
        raise ShowUsage(f"main: unknown option {one_line(flag)}" + (f"; did you mean {near}?" if near else ""))
    _, value, kind, field, _ = row
    if kind == "usage":
        raise ShowUsage
    if kind == "on":
        setattr(request, field, True)
        return
    if not words:
        raise ShowUsage(f"main: {flag} needs a value: {value}")
    word = words.pop(0)
    if kind == "list":
        getattr(request, field).append(word)
    elif kind == "override":
        request.overrides.append(_override(word))
    else:
        setattr(request, field, _tensor_type(flag, word) if kind == "type" else word)


def _override(word):
    from .actions import parse_override
    try:
        return parse_override(os.fsencode(word))
    except ValueError as error:
        raise ShowUsage("parse_kv_override: " + one_line(os.fsdecode(error.args[0]))) from None


def _tensor_type(flag, word):
    from ..gguf.types import TYPES
    from ..quantize._rows import is_writable
    names = {info.name.upper(): info.name for number, info in TYPES.items() if is_writable(number)}
    if word.upper() not in names:
        raise UsageError(f"{flag}: '{one_line(word)}' is not a type for tensors, expected one of "
                         + ", ".join(names.values()))
    return word.upper()


def parse_positionals(request, words):
    """INPUT [OUTPUT] TYPE [NTHREADS] -> request. Errors  UsageError."""
    request.input, rest = words[0], words[1:]
    request.type = parse_type(rest[0])
    if request.type is None or (len(rest) > 1 and is_type_name(rest[1])):     # 7b.gguf begins with a number
        request.output = rest.pop(0)
        if not rest:
            raise UsageError("missing ftype")
        request.type = parse_type(rest[0])
        if request.type is None:
            raise UsageError(f"invalid ftype '{one_line(rest[0])}'")
    else:
        request.output = default_output(request.input, request.type)
    if request.keep_split:
        request.output = request.output.removesuffix(".gguf")
    if len(rest) > 1:
        try:
            request.n_threads = stoi(os.fsencode(rest[1]))
        except (NotANumber, OutOfRange):
            raise UsageError(f"invalid nthread '{one_line(rest[1])}' (stoi)") from None


def parse_type(word):
    """FileType that a word names or whose number it starts with; None if there is none."""
    from ..quantize import filetypes
    if is_type_name(word):
        return filetypes.BY_NAME[word.upper()]
    try:
        return filetypes.by_id(stoi(os.fsencode(word)))
    except (NotANumber, OutOfRange):
        return None


def is_type_name(word):
    from ..quantize.filetypes import BY_NAME
    return word.upper() in BY_NAME


def default_output(path, type):
    """ggml-model-TYPE.gguf in the folder of `path`; a backslash ends a folder's name, too."""
    end = max(path.rfind("/"), path.rfind("\\")) + 1
    return f"{path[:end]}ggml-model-{type.name}.gguf"
