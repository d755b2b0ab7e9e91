"""`main`: text from a model, on the command line. Here is the order of events; the modules beside do the work."""

import os
import sys
from time import perf_counter

from ..errors import GrammarError, LlamacyError
from . import interrupt

RANDOM_SEED = 0xFFFFFFFF      # -s was not given, or -1 was
MIN_CONTEXT = 8
REFUSED = {"perplexity": b"perplexity calculations", "embedding": b"embedding"}


def main(argv):
    """Run `main` with the words of a command line (argv[0] is its name); return the exit status."""
    interrupt.defaults()
    _open_standard_files()
    from .params import parse
    try:
        params = parse(argv)
    except SystemExit as end:
        return end.code or 0
    from .log import Log
    log = Log.of(params)
    log.start(argv, params.log_test)
    try:
        status = _reported(params, log)
        if status is None:
            log.tee(b"Log end\n")
        return status or 0
    finally:
        log.close()


def run():
    """The console script."""
    sys.exit(main(sys.argv))


def _open_standard_files():
    """Give a closed stdin, stdout or stderr a descriptor, or the next file that is opened would be taken for it."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)     # the lowest free number: this one


def _reported(params, log):
    """Make every error a line; return the exit status, None after a complete run."""
    from .console import Console
    _settle_modes(params)
    try:
        with Console(simple_io=params.simple_io, color=params.use_color, interactive=params.interactive) as console:
            if params.refuse:
                console.write(b"\n************\nmain: please use the '%s' tool for %s\n************\n\n"
                              % (params.refuse.encode(), REFUSED[params.refuse]))
                return 0
            return _run(params, log, console)
    except interrupt.Interrupted:
        return 130
    except MemoryError as error:
        message = f"out of memory: {error}" if str(error) else "out of memory"
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    except (LlamacyError, ValueError) as error:
        message = str(error)
    log.tee(b"main: error: %s\n" % os.fsencode(message))
    return 1


def _settle_modes(params):
    """Who begins, and whether there is a user at all. A single turn with a prompt has its question: nobody is asked."""
    talk = (params.conversation or params.single_turn) and not (params.single_turn and params.prompt)
    params.interactive_first |= params.instruct or params.chatml or talk
    params.interactive |= params.interactive_first


def _run(params, log, console):
    """Load, prepare, generate, report; returns the exit status, None after a complete run. Errors: of all steps."""
    from .job import Job
    job = Job(params, log, console)
    _announce(params, log)
    _load(job)
    _prepare(job)
    job.sampler = _sampler(params, job.model.vocab)
    if params.logdir:
        from .record import Record
        job.record = Record()
    return _generate(job)


def _announce(params, log):
    """The lines before anything is loaded, and the corrections that they are about."""
    from .buildinfo import compiler, target, version
    if params.n_ctx and params.n_ctx < MIN_CONTEXT:
        log.tee(b"main: warning: minimum context size is 8, using minimum size.\n")
        params.n_ctx = MIN_CONTEXT
    if params.rope_freq_base:
        log.tee(b"main: warning: changing RoPE frequency base to %g.\n" % params.rope_freq_base)
    if params.rope_freq_scale:
        log.tee(b"main: warning: scaling RoPE frequency by %g.\n" % params.rope_freq_scale)
    if params.seed == RANDOM_SEED:
        import time
        params.seed = int(time.time()) & 0xFFFFFFFF
    params.sampling.seed = params.seed          # also one taken from the clock: the printed seed repeats the text
    log.tee(b"main: build = %s\n" % version().encode())
    log.tee(b"main: built with %s for %s\n" % (compiler().encode(), target().encode()))
    log.tee(b"main: seed  = %d\n" % params.seed)


def _load(job):
    """Model, contexts, and what the log says about them."""
    from .buildinfo import system_info
    from .load import load
    from .timings import Timings
    params, log = job.params, job.log
    start = perf_counter()
    job.model, job.context, job.guidance = load(params, log)
    job.timings = Timings(1000 * (perf_counter() - start))
    log.log(b"n_ctx: %d\n" % job.context.n_ctx)
    trained = job.model.hparams.n_ctx_train
    if job.context.n_ctx > trained:
        log.tee(b"main: warning: model was trained on only %d context tokens (%d specified)\n"
                % (trained, job.context.n_ctx))
    log.tee(b"\n%s\n" % system_info(params.n_threads, params.n_threads_batch).encode())


def _prepare(job):
    """Prompt cache and prompt, and how the two fit."""
    from .describe import log_prompt, verbose_prompt
    from .prompt import Prompt, check_length, frame, random_opening
    from .session import Session
    params, vocab = job.params, job.model.vocab
    if params.random_prompt:
        from ..sampling import Mt19937
        params.prompt = random_opening(Mt19937(params.seed))
    frame(params)
    job.session = Session(params, job.context, job.log)
    job.session.load(vocab.n_tokens)
    job.prompt = Prompt(params, vocab, job.session.tokens)
    if job.guidance is not None:
        from .room import Guidance
        job.guidance = Guidance(job.guidance, job.prompt.guidance, job.prompt.original_size)
    log_prompt(job)
    check_length(len(job.prompt.tokens), job.context.n_ctx)
    job.session.match(job.prompt.tokens, bool(params.prompt))
    if params.verbose_prompt:
        verbose_prompt(job)


def _sampler(params, vocab):
    """The sampler that the flags ask for. A grammar's fault is told even when the log is off."""
    from ..sampling import Sampler
    if params.ignore_eos and vocab.eos >= 0:
        params.sampling.logit_bias[vocab.eos] = float("-inf")
    try:
        return Sampler(params.sampling, vocab)
    except GrammarError as error:
        from .log import write_stderr
        write_stderr(b"%s\n" % os.fsencode(str(error)))
        raise LlamacyError("the grammar cannot be used") from None


def _generate(job):
    """The run itself and what is reported after it, however it ends; returns what _run does."""
    from .describe import describe
    from .generate import Generation
    from .room import EvaluationFailed
    status = None
    with interrupt.Interrupt(job.params.interactive) as interrupts:
        describe(job)
        try:
            if job.params.interactive:
                job.console.open_input()        # not earlier: a kill while loading must leave the terminal alone
            Generation(job, interrupts).run()
            job.session.run_done()
        except EvaluationFailed:
            job.log.tee(b"main : failed to eval\n")
            return 1
        except interrupt.Interrupted:
            job.console.close()
            interrupts.over()
            job.console.newline_on_terminal()
            status = 130
        job.log.tee(job.timings.block(job.sampler.t_sample_us / 1000, job.sampler.n_sample))
        if job.record is not None:
            job.record.write(job)
    return status
