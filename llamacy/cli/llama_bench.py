"""`llama-bench`: how many tokens per second a model reads and writes on this machine."""

import os
import sys
from time import perf_counter_ns

from ..errors import LlamacyError
from . import bundled, interrupt
from .console import write_all
from .log import write_stderr


def main(argv):
    """Run `llama-bench` with the words of a command line (argv[0] is its name); return the exit status."""
    interrupt.defaults()
    from .llama_bench_params import parse
    try:
        request = parse(argv)
    except SystemExit as end:
        return end.code or 0
    try:
        results = _measure(request)
        if request.plot:
            from .llama_bench_plot import draw
            draw(request.plot, results)
        return 0
    except LlamacyError as error:
        write_stderr(b"llama-bench: error: %s\n" % os.fsencode(str(error)))
        return 1


def run():
    """The console script."""
    sys.exit(main(sys.argv))


class Failed(LlamacyError):
    """A test that cannot be run; the text names file and reason."""


def _measure(request):
    """[Result] of all cases; each is printed as soon as it is known. Errors  Failed."""
    from .buildinfo import cpu_name
    from .llama_bench_output import PRINTERS, Result
    printer, cpu, results = PRINTERS[request.output](request), cpu_name() or os.uname().machine, []
    loaded = Loaded(write_stderr if request.verbose else lambda line: None)
    _say(printer.head())
    try:
        for case in request.cases():
            model, context = loaded.get(case)
            _warm_up(context, model, case)
            samples = [_time(context, model, case) for _ in range(request.repetitions)]
            results.append(Result(case, model, cpu, samples))
            _say(printer.row(results[-1]))
            context.close()
    finally:
        _say(printer.tail())           # what was measured before a failure can be read
    return results


def _say(text):
    write_all(1, text.encode("utf-8", "surrogateescape"))


class Loaded:
    """The model of the last case: neighbours mostly share it."""

    def __init__(self, log):
        self.log, self.key, self.model = log, None, None

    def get(self, case):
        """(Model, Context) for a case. Errors  Failed."""
        from ..engine import Context, Model
        key = case.model, case.use_mmap
        try:
            if key != self.key:
                if self.model is not None:
                    self.model.close()
                self.key, self.model = None, None
                self.model = Model(bundled.path(case.model), use_mmap=bool(case.use_mmap), log=self.log)
                self.key = key
        except OSError as error:
            raise Failed(f"failed to load model '{case.model}': {error.strerror or error}") from None
        except (LlamacyError, MemoryError) as error:
            raise Failed(f"failed to load model '{case.model}': {error or 'out of memory'}") from None
        try:
            return self.model, Context(
                self.model, n_ctx=case.n_prompt + case.n_gen, n_batch=case.n_batch, n_ubatch=case.n_ubatch,
                type_k=case.type_k, type_v=case.type_v, n_threads=case.n_threads, flash_attn=bool(case.flash_attn),
                embeddings=bool(case.embeddings), log=self.log)
        except (LlamacyError, ValueError, MemoryError) as error:
            raise Failed(f"failed to create context with model '{case.model}': {error or 'out of memory'}") from None


def _warm_up(context, model, case):
    """A short run, so that the pages of the file and the threads are there."""
    if case.n_prompt:
        _read(context, model, min(case.n_prompt, 32))
    _write(context, model, min(case.n_gen, 1), 0)


def _time(context, model, case):
    """Nanoseconds of one run of a case."""
    context.kv_clear()
    start = perf_counter_ns()
    _read(context, model, case.n_prompt)
    _write(context, model, case.n_gen, case.n_prompt)
    return perf_counter_ns() - start


def _tokens(model, first, n):
    """n token ids that look drawn at random, and are the same each time."""
    return [(1103515245 * (first + i) + 12345) % 2147483648 % model.hparams.n_vocab for i in range(n)]


def _read(context, model, n):
    """A prompt of n tokens, handed over in batches."""
    for first in range(0, n, context.n_batch):
        context.decode(_tokens(model, first, min(context.n_batch, n - first)), first)


def _write(context, model, n, pos):
    """n tokens, one at a time, from position pos."""
    for at in range(pos, pos + n):
        context.decode(_tokens(model, at, 1), at)
