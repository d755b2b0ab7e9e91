"""`imatrix`: a model reads a text, and a file tells `quantize` which columns of its matrices matter.

This is the order of events; llamacy.quantize.collect and .sums do the work.
"""

import os
import sys
from time import perf_counter

from ..errors import LlamacyError, UsageError, one_line
from . import interrupt
from .console import write_all
from .log import write_stderr

RANDOM_SEED = 0xFFFFFFFF      # -s was not given, or -1 was


def main(argv):
    """Run `imatrix` with the words of a command line (argv[0] is its name); return the exit status."""
    interrupt.defaults()
    from .imatrix_params import parse
    try:
        request = parse(argv)
    except SystemExit as end:
        return end.code or 0
    from .quantize import Stoppable, Stopped
    output = Output(request)
    try:
        with Stoppable():
            (_combine if request.combine else _measure)(request, output)
        return 0
    except MemoryError as error:
        message = f"out of memory: {error}" if str(error) else "out of memory"
    except OSError as error:
        message = f"{one_line(error.filename)}: {error.strerror}" if error.filename else error.strerror or str(error)
    except (LlamacyError, ValueError) as error:
        message = str(error)
    except Stopped as stop:
        say(f"\nmain: stopped by {stop.name}, {output.state()}\n")
        return 128 + stop.number
    say(f"main: error: {message}\n")
    return 1


def run():
    """The console script."""
    sys.exit(main(sys.argv))


def say(text):
    """str, to stderr."""
    write_stderr(os.fsencode(text))


def tell(text):
    """str, to stdout."""
    write_all(1, os.fsencode(text))


class Log:
    """What the loader writes to: stderr. There is no log file here."""

    tee = staticmethod(write_stderr)


class Output:
    """The file, written now and then while data come in, and at the end."""

    def __init__(self, request):
        self.path = request.output_file or "imatrix.dat"
        self.dataset = os.fsencode(request.params.prompt_file)
        self.every, self.keep_every = request.output_frequency, request.keep_every
        self.quiet = request.verbosity <= 0
        self.written = None              # number of batches whose data are in the file
        self._last = 0

    def check(self):
        """Errors  OSError: the file cannot be made; better told before the work than after it."""
        from ..gguf.output import AtomicFile
        AtomicFile(self.path).abort()

    def update(self, sums):
        """After each batch: write if it is time."""
        n = sums.n_calls
        if n == self._last:
            return
        self._last = n
        if self.every > 0 and n % self.every == 0:
            self.save(sums)
        if self.keep_every > 0 and n % self.keep_every == 0:
            self._write(sums, f"{self.path}.at_{n}")

    def save(self, sums):
        if sums.n_calls != self.written:
            self._write(sums, self.path)
            self.written = sums.n_calls

    def _write(self, sums, path):
        sums.save(path, self.dataset)
        if not self.quiet:
            say(f"\nsave_imatrix: stored collected data after {sums.n_calls} chunks in {path}\n")

    def state(self):
        """For the user of a run that was stopped."""
        return f"{self.path} has the data of {self.written} batches" if self.written else "no data were written"


# --- without a model


def _combine(request, output):
    """Add up files. Errors  LlamacyError, OSError."""
    from ..quantize import sums
    paths = [path for path in request.combine.split(",") if path]
    if len(paths) < 2:
        raise UsageError("You must provide at least two comma separated files to use --combine")
    tell(f"Combining the following {len(paths)} files\n" + "".join(f"    {path}\n" for path in paths))
    total = sums.Sums()
    for path in paths:
        total.add(sums.load(path))
    output.save(total)


# --- with one


def _measure(request, output):
    """Load, read, write, report. Errors  LlamacyError, OSError, ValueError, MemoryError."""
    from ..quantize import collect, sums
    params = request.params
    if not params.prompt:
        raise UsageError("there is no text to read: name a file with -f")
    output.check()
    before = sums.load(request.continue_from) if request.continue_from else None
    _settle_batch(params, collect.LEAST)
    model, context, load_ms = _load(params)
    tokens, n_chunks = _chunks(request, model.vocab, context.n_ctx)
    collector = collect.Collector(context, request.process_output or request.output_weight != 0)
    if before is not None:
        collector.sums.add(before)
    perplexity = collect.Perplexity() if request.perplexity else None
    start = perf_counter()
    _read(request, collector, tokens, n_chunks, perplexity, output)
    tell("\n" + _estimate(perplexity))
    output.save(collector.sums)
    if not output.quiet:
        say(_coverage(collector))
    _report_times(load_ms, start, context.timings)


def _settle_batch(params, least):
    """Sizes of batches, and rows of logits for a whole one."""
    if params.n_ctx > 0:
        params.n_batch = min(params.n_batch, params.n_ctx)
    params.n_outputs = min(params.n_batch, params.n_ubatch or params.n_batch)
    if params.n_outputs < least:
        raise UsageError(f"-c {params.n_ctx} -b {params.n_batch} -ub {params.n_ubatch}: data come only from batches of "
                         f"at least {least} tokens")


def _load(params):
    """(model, context, milliseconds), with what is said before and after."""
    from .buildinfo import compiler, system_info, target, version
    from .load import load
    if params.seed == RANDOM_SEED:
        import time
        params.seed = int(time.time()) & 0xFFFFFFFF
    say(f"main: build = {version()}\nmain: built with {compiler()} for {target()}\nmain: seed  = {params.seed}\n")
    start = perf_counter()
    params.sampling.cfg_scale = 1.0          # no second context for guidance
    model, context, _ = load(params, Log)
    load_ms = 1000 * (perf_counter() - start)
    trained = model.hparams.n_ctx_train
    if params.n_ctx > trained:
        say(f"main: warning: model was trained on only {trained} context tokens ({params.n_ctx} specified)\n")
    say(f"\n{system_info(params.n_threads, params.n_threads_batch)}\n")
    return model, context, load_ms


def _chunks(request, vocab, n_ctx):
    """(tokens, number of chunks) of the text. Errors  UsageError: it is too short."""
    from ..quantize.collect import chunks_of
    say("compute_imatrix: tokenizing the input ..\n")
    start = perf_counter()
    tokens = vocab.tokenize(request.params.prompt, True, False)
    if vocab.add_eos == 1 and tokens and tokens[-1] == vocab.eos:
        tokens.pop()
    say(f"compute_imatrix: tokenization took {1000 * (perf_counter() - start):g} ms\n")
    tokens, n_chunks = chunks_of(tokens, n_ctx, request.params.n_chunks, request.from_chunk)
    if request.from_chunk > 0:
        say(f"compute_imatrix: removing initial {request.from_chunk} chunks ({request.from_chunk * n_ctx} tokens)\n")
    say(f"compute_imatrix: computing over {n_chunks} chunks with batch_size {request.params.n_batch}\n")
    return tokens, n_chunks


def _read(request, collector, tokens, n_chunks, perplexity, output):
    """All chunks; the running perplexity goes to stdout."""
    from ..quantize import collect
    vocab = collector.context.model.vocab

    def collected(names, n):
        if request.verbosity > 1:
            tell("".join(_tensor_line(collector, name, n) for name in names))
        output.update(collector.sums)

    times = collect.run(collector, tokens, n_chunks, n_batch=request.params.n_batch, perplexity=perplexity,
                        bos=vocab.bos if vocab.main_add_bos() and vocab.bos >= 0 else None, collected=collected)
    for number, seconds in enumerate(times, 1):
        if number == 1:
            say(f"compute_imatrix: {seconds:.2f} seconds per pass - ETA {_duration(seconds * n_chunks)}\n")
        if perplexity is not None:
            tell(f"[{number}]{perplexity.value:.4f},")


def _tensor_line(collector, name, n):
    slices = collector.slices[name]
    columns = len(collector.sums.values[name]) // slices
    op = "MUL_MAT_ID" if slices > 1 else "MUL_MAT"
    return f"collect_imatrix[{collector.sums.calls[name]}]: {name:>32s}, {op}, {columns:5d} x {n:5d}, 0\n"


def _duration(seconds):
    hours, seconds = divmod(int(seconds), 3600)
    return (f"{hours} hours " if hours else "") + f"{seconds / 60:.2f} minutes"


def _estimate(perplexity):
    """The last line on stdout; "" without a perplexity."""
    if perplexity is None or not perplexity.count:
        return ""
    if perplexity.error is None:
        return "Unexpected negative standard deviation of log(prob)\n"
    return f"Final estimate: PPL = {perplexity.value:.4f} +/- {perplexity.error:.5f}\n"


def _coverage(collector):
    """A line for each tensor that saw data only in part, and one for all."""
    from ..quantize.sums import coverage
    lines, whole = [], 0
    for name, slices in collector.slices.items():
        experts, seen, columns = coverage(collector.sums.values[name], slices)
        if experts == slices and seen == columns:
            whole += 1
            continue
        found = f"{experts} of {slices} experts, " if slices > 1 else ""
        found += f"{seen} of {columns} columns" if seen else "no column"
        lines.append(f"main: warning: {one_line(name)}: data for {found}\n")
    return "".join(lines) + f"main: coverage: {whole} of {len(collector.slices)} tensors have data for all columns\n"


def _report_times(load_ms, start, counted):
    from .timings import Timings
    timings = Timings(load_ms)
    timings.start = start
    timings.decoded(counted.n_p_eval, counted.t_p_eval_ms / 1000)
    write_stderr(timings.block(0.0, 0))
