"""The server's log: one line per event on stdout, as JSON or as text, flushed at once."""

import json
import time
from _thread import get_ident

from ..cli.console import write_all
from .jsontext import dumps


class ServerLog:
    """info, warn, error, verb: (function, message, extras as keywords or a dict)."""

    def __init__(self, form="json", verbose=False, write=None):
        self.form = form
        self.verbose = verbose
        self.write = write or to_stdout

    def info(self, function, message, extras=None, line=0):
        self.event("INFO", function, message, extras, line)

    def warn(self, function, message, extras=None, line=0):
        self.event("WARN", function, message, extras, line)

    def error(self, function, message, extras=None, line=0):
        self.event("ERR", function, message, extras, line)

    def verb(self, function, message, extras=None, line=0):
        if self.verbose:
            self.event("VERB", function, message, extras, line)

    def event(self, level, function, message, extras, line):
        base = {"tid": str(get_ident()), "timestamp": int(time.time())}
        extras = {key: value for key, value in (extras or {}).items() if value is not None}
        if self.form == "json":
            entry = {**base, "level": level, "function": function, "line": line, "msg": message, **extras}
            self.write(dumps(entry) + b"\n")
            return
        pairs = "".join(f" {key}={text(value)}" for key, value in {**base, **extras}.items())
        self.write(f"{level:>4} [{function:>24}] {message} |{pairs}\n".encode("utf-8", "replace"))


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def to_stdout(line):
    try:
        write_all(1, line)
    except OSError:
        pass                                       # whoever read the log has gone; the server goes on
