"""`server`: the command. Flags in, the model loaded, llamacy.server called."""

import os
import sys

from ..errors import LlamacyError, UsageError
from .buildinfo import BUILD, COMMIT, logical_cpus, system_info
from .log import Log, write_stderr
from .server_params import parse

LEAST_SLOT = 16        # tokens


class LoaderLog:
    """Where the loader writes: stderr, as bytes of whole lines."""

    tee = staticmethod(write_stderr)


def main(argv):
    """Run the server; return the exit code."""
    config = parse(argv)
    try:
        from ..server import serve
        from ..server.log import ServerLog
        return start(config, ServerLog(config.log_format, config.verbose), serve)
    except UsageError as error:
        write_stderr(b"error: %b\n" % os.fsencode(str(error)))
    except ImportError as error:
        write_stderr(b"error: the server needs a package that is not installed: %b\n" % str(error).encode())
    except MemoryError as error:           # of the context for embeddings
        write_stderr(b"error: %b\n" % (os.fsencode(str(error)) or b"out of memory"))
    except KeyboardInterrupt:
        return 130
    return 1


def start(config, log, serve):
    if not config.log_file:
        log.info("server_params_parse", "logging to file is disabled.")
    for text in config.warnings:
        log.warn("server_params_parse", text)
    log.info("main", "build info", {"build": BUILD, "commit": COMMIT})
    batch = config.n_threads_batch
    log.info("main", "system info", {
        "n_threads": config.n_threads, "n_threads_batch": batch, "total_threads": logical_cpus(),
        "system_info": system_info(config.n_threads).partition(" | ")[2]})
    tls = serve.tls(config)
    try:
        sock = serve.listen(config.host, config.port)
    except OSError:
        write_stderr(b"\ncouldn't bind to server socket: hostname=%b port=%d\n\n" % (os.fsencode(config.host), config.port))
        return 1
    with sock:
        loaded = load(config, log)
        if loaded is None:
            return 1
        warm_up(config, serve, *loaded)
        return serve.serve(config, sock, *loaded, log, tls)


def load(config, log):
    """(model, context), None after messages."""
    from .load import LoadError, load_model
    try:
        model, context = load_model(config, LoaderLog)
    except LoadError:
        log.error("load_model", "unable to load model", {"model": config.model})
        return None
    if context.n_ctx // config.n_parallel < LEAST_SLOT:
        write_stderr(b"error: -c %d with -np %d leaves less than %d tokens for a slot\n"
                     % (context.n_ctx, config.n_parallel, LEAST_SLOT))
        return None
    return model, context


def warm_up(config, serve, model, context):
    line = b"warming up the model with an empty run\n"
    if config.log_file:
        log = Log("llama")
        log.log(line)
        log.close()
    else:
        os.write(1, line)
    try:
        serve.warm_up(model, context)
    except LlamacyError as error:
        write_stderr(b"warning: the empty run failed: %b\n" % os.fsencode(str(error)))


def run():
    sys.exit(main(sys.argv))
