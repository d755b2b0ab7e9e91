"""What Ctrl+C and a closed pipe do to a run.

`_signal` is what the `signal` module wraps in enums; importing that wrapper costs more than all that is done here.
"""

import _signal


class Interrupted(BaseException):
    """The user wants out: no error, and nothing that code in between may catch."""


class Interrupt:
    """SIGINT while a run is on: it asks for a turn while an interactive run generates, otherwise it ends the run."""

    def __init__(self, interactive):
        self.interactive = interactive
        self.wants_turn = False          # the user's turn was asked for, or is on
        _signal.signal(_signal.SIGINT, self._caught)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.over()

    def over(self):
        """From here on Ctrl+C kills, as before the run."""
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

    def _caught(self, number, frame):
        if not self.interactive or self.wants_turn:
            _signal.signal(_signal.SIGINT, _signal.SIG_IGN)      # one more must not stop the terminal's restoration
            raise Interrupted
        self.wants_turn = True


def defaults():
    """As a C program has it: a closed pipe and, until a run starts, Ctrl+C end the process without a word."""
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)      # else it is ignored: started in the background of a script
