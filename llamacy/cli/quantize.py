"""`quantize`: a model file with other tensor types. Here is the order of events; llamacy.quantize does the work."""

import os
import sys
from time import perf_counter

import _signal

from ..errors import LlamacyError, UsageError, one_line
from . import bundled, interrupt
from .console import write_all
from .log import write_stderr
from .quantize_params import ShowUsage, parse_options, parse_positionals

GUARD = ("Please do not use IQ1_S, IQ1_M, IQ2_S, IQ2_XXS, IQ2_XS or Q2_K_S quantization without an importance matrix "
         "(option --imatrix)")


def main(argv):
    """Run `quantize` with the words of a command line (argv[0] is its name); return the exit status."""
    start = perf_counter()
    interrupt.defaults()
    program = argv[0] if argv else "quantize"
    try:
        request, words = parse_options(program, argv[1:])
        imatrix = _imatrix(request)
        parse_positionals(request, words)
        _check_guard(request, imatrix)
    except ShowUsage as error:
        from .quantize_help import usage
        write_all(1, os.fsencode(error.stdout) + usage(program))
        say(f"{error}\n" if str(error) else "")      # last: where a user looks
        return 1
    except UsageError as error:
        say(f"main: {error}\n")
        return 1
    except SystemExit as end:
        return end.code
    return _quantize(request, imatrix, start)


def run():
    """The console script."""
    sys.exit(main(sys.argv))


def say(text):
    """str, to stderr."""
    write_stderr(os.fsencode(text))


def _imatrix(request):
    """Imatrix, or None if no entry is left. What is said of it goes to stdout. SystemExit: it cannot be used."""
    if request.imatrix is None:
        return None
    from ..quantize import imatrix
    try:
        found = imatrix.load(request.imatrix)
    except imatrix.ImatrixError as error:
        write_all(1, os.fsencode(f"load_imatrix: {error}\n"))
        raise SystemExit(1) from None
    if found.dataset is not None:
        write_all(1, b"load_imatrix: imatrix dataset='%s'\n" % found.dataset)
    write_all(1, os.fsencode(f"load_imatrix: loaded {len(found.entries)} importance matrix entries from {found.path} "
                             f"computed on {found.chunks} chunks\n"))
    found = found.filtered(request.include, request.exclude)
    if not found.entries:
        return None
    write_all(1, b"prepare_imatrix: have %d importance matrix entries\n" % len(found.entries))
    return found


def _check_guard(request, imatrix):
    from ..quantize.filetypes import NEED_IMATRIX
    if imatrix is None and request.type.name in NEED_IMATRIX:
        raise UsageError(GUARD)


def _quantize(request, imatrix, start):
    """From the line that names the files to the times; returns the exit status."""
    from .buildinfo import compiler, target, version
    threads = f" using {request.n_threads} threads" if request.n_threads > 0 else ""
    say(f"main: build = {version()}\nmain: built with {compiler()} for {target()}\n"
        f"main: quantizing '{request.input}' to '{request.output}' as {request.type.name}{threads}\n")
    begin = perf_counter()
    try:
        with Stoppable():
            _convert(request, imatrix)
    except (LlamacyError, OSError, MemoryError) as error:
        say(f"llama_model_quantize: failed to quantize: {_reason(error)}\n"
            f"main: failed to quantize model from '{request.input}'\n")
        return 1
    except Stopped as stop:
        say(f"main: stopped by {stop.name}, '{request.output}' is as it was\n")
        return 128 + stop.number
    end = perf_counter()
    if not request.dry_run:
        write_all(1, b"\nmain: quantize time = %8.2f ms\nmain:    total time = %8.2f ms\n"
                  % (1000 * (end - begin), 1000 * (end - start)))
    return 0


def _reason(error):
    if isinstance(error, MemoryError):
        return str(error) or "out of memory"
    if isinstance(error, OSError):
        return f"{one_line(error.filename)}: {error.strerror}" if error.filename else error.strerror or str(error)
    return str(error)


def _convert(request, imatrix):
    """Open, plan, check, write. Errors: those of all of them."""
    from ..engine.report import Report as ModelReport
    from ..gguf import GGUFFile
    from ..quantize import metadata, plan, report, rewrite
    from ..quantize.model import Facts
    settings = request.settings()
    with GGUFFile(bundled.path(request.input)) as gguf:
        ModelReport(gguf, write_stderr).metadata()
        paths = rewrite.output_paths(gguf, settings, request.output)
        rewrite.check_paths(gguf, paths, [request.imatrix] if request.imatrix else [])
        facts = Facts(gguf, settings.overrides, write_stderr)
        if imatrix is not None:
            say(f"================================ Have weights data with {len(imatrix.entries)} entries\n")
        pairs = metadata.pairs(gguf, settings, imatrix, lambda text: say(f"main: warning: {text}\n"))
        made = plan.make(gguf, facts, settings, imatrix)
        outputs = rewrite.outputs(gguf, made, paths, pairs)
        size = report.size(made, sum(output.nbytes for output in outputs))
        if request.dry_run:
            _print_plan(made, size)
            return
        rewrite.check_space(outputs)
        say(f"main: the output will take {size}\n")
        lines = report.Report(say, made, os.isatty(2))
        try:
            rewrite.rewrite(gguf, made, outputs, settings.n_threads, lines)
        except BaseException:
            lines.broken_off()
            raise
        say(report.totals(made))


def _print_plan(made, size):
    """The lines of a run on stdout, without the run."""
    from ..quantize import report
    total = len(made.steps)
    text = "".join(report.head(i, total, step) + report.tail(step) for i, step in enumerate(made.steps, 1))
    write_all(1, os.fsencode(f"{text}{report.totals(made)}main: the output would take {size}\n"))


NAMES = {_signal.SIGINT: "Ctrl+C", _signal.SIGTERM: "SIGTERM", _signal.SIGHUP: "SIGHUP", _signal.SIGPIPE: "SIGPIPE"}


class Stopped(BaseException):
    """A signal wants this process to end; no error, and nothing in between may catch it."""

    def __init__(self, number):
        self.number = number
        self.name = NAMES[number]


class Stoppable:
    """While it lasts, signals that would end the process raise Stopped: the unfinished file has to be removed."""

    def __enter__(self):
        self._before = {number: _signal.getsignal(number) for number in NAMES}
        for number, action in self._before.items():
            if action != _signal.SIG_IGN:      # nohup, or a job in the background of a script
                _signal.signal(number, self._caught)

    def __exit__(self, reason, *_):
        if reason is not Stopped:              # else they stay ignored: all that is left is to say so
            for number, action in self._before.items():
                _signal.signal(number, action)

    def _caught(self, number, frame):
        for each in NAMES:
            _signal.signal(each, _signal.SIG_IGN)      # the way out is short; a second one must not break it
        raise Stopped(number)
