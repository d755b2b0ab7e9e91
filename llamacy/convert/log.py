"""What a conversion says, on stderr, in the reference's form LEVEL:logger:text."""

import sys

DEBUG, INFO, WARNING = range(3)
NAMES = ("DEBUG", "INFO", "WARNING")


class Log:
    """level: the least that is said."""

    def __init__(self, level=INFO, logger="convert"):
        self.level = level
        self.logger = logger

    @property
    def on_terminal(self):
        return self.level <= INFO and sys.stderr.isatty()

    def debug(self, text, logger=None):
        self._say(DEBUG, text, logger)

    def info(self, text, logger=None):
        self._say(INFO, text, logger)

    def warning(self, text, logger=None):
        self._say(WARNING, text, logger)

    def _say(self, level, text, logger):
        if level >= self.level:
            line = f"{NAMES[level]}:{logger or self.logger}:{text}\n"
            sys.stderr.write(line.encode("utf-8", "backslashreplace").decode("utf-8"))
            sys.stderr.flush()
