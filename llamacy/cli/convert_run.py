"""What both converters do around their work: one line per error, checks, the file."""

import sys

from ..convert.log import DEBUG, INFO, WARNING, Log
from ..errors import LlamacyError, one_line
from .quantize import Stoppable, Stopped


def guarded(program, job, args):
    """Exit status of job(args, log): 0, 1 after one line that says why, or of the signal that stopped it."""
    log = Log(
        DEBUG
        if args.verbose
        else WARNING if getattr(args, "dump", False) or getattr(args, "dump_single", False) else INFO
    )
    try:
        with Stoppable():
            return job(args, log) or 0
    except Stopped as stop:
        sys.stderr.write(f"{program}: stopped by {stop.name}, nothing was written\n")
        return 128 + stop.number
    except OSError as error:
        text = f"{one_line(error.filename)}: {error.strerror}" if error.filename else error.strerror or str(error)
    except MemoryError as error:
        text = str(error) or "out of memory"
    except LlamacyError as error:
        text = str(error)
    sys.stderr.write(f"{program}: error: {text}\n")
    return 1


def byteorder(args):
    return "big" if args.big_endian else "little"


def write(args, output, inputs, vocabulary, log):
    """Check, write, and verify if that was asked for."""
    log.info(f"gguf: This GGUF file is for {output.byteorder.capitalize()} Endian only", "gguf.gguf_writer")
    output.check(inputs)
    output.write(args.concurrency, log, verify=args.verify)
    for item in output.items:
        if item.bad:
            log.warning(f"{item.name}: {item.bad} values or blocks are infinite or not a number")
    log.info(f"Wrote {output.path}")
    if args.verify:
        from ..convert import verify
        verify.run(output, vocabulary, log)
    return 0
