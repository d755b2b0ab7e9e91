"""Who may use the context: one call at a time, in the order in which they came.

A stream holds the turn from its first token to its last, but one that nobody reads gives way: nobody waits for ever, and
one thread may hold several streams. Read again, it takes its turn and has its tokens evaluated again, if need be.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, get_ident
from time import monotonic, sleep
from typing import Any

PATIENCE = 0.2         # seconds without a reader after which a stream gives way
PAUSE = 0.001          # seconds between looks at a step that is to end


class Turns:
    """`step` is for whatever needs the context; `leave` ends a turn."""

    def __init__(self) -> None:
        self.condition = Condition()       # of an RLock: a dropped stream may be closed by the garbage collector in here
        self.waiting: deque[object] = deque()
        self.holder: object = None
        self.busy = False
        self.thread = 0                    # that last worked
        self.since = 0.0                   # when it stopped to

    @contextmanager
    def step(self, call: object) -> Iterator[None]:
        """Work for `call`, whose turn goes on afterwards. Errors  RuntimeError: called by its own callback."""
        self.refuse_callbacks()
        try:                               # an interrupt may come when the turn is taken but nothing yet yielded
            self.take(call)
            yield
        finally:
            self.rest(call)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A whole turn."""
        call = object()
        self.refuse_callbacks()
        try:
            self.take(call)
            yield
        finally:
            self.leave(call)

    def take(self, call: object) -> None:
        with self.condition:
            if self.holder is not call:
                self.wait(call)
            elif self.busy:
                raise RuntimeError("this stream is being read by another thread")
            self.holder, self.busy, self.thread = call, True, get_ident()

    def refuse_callbacks(self) -> None:
        """Errors  RuntimeError: this thread is in the middle of a step."""
        if self.busy and self.thread == get_ident():
            raise RuntimeError("this Llama is in the middle of a call: its callbacks cannot use it")

    def wait(self, call: object) -> None:
        self.waiting.append(call)
        try:
            while self.waiting[0] is not call or not self.free():
                self.condition.wait(PATIENCE / 4 if self.holder and not self.busy else None)
        finally:
            self.waiting.remove(call)
            self.condition.notify_all()

    def free(self) -> bool:
        """No call works, and the last one has ended or is a stream that nobody reads."""
        if self.busy:
            return False
        return self.holder is None or self.thread == get_ident() or monotonic() - self.since > PATIENCE

    def rest(self, call: object) -> None:
        with self.condition:
            if self.mine(call):
                self.busy, self.since = False, monotonic()
                self.condition.notify_all()

    def mine(self, call: object) -> bool:
        """True within a step of this call, in its own thread."""
        return self.busy and self.holder is call and self.thread == get_ident()

    def working(self, call: object) -> bool:
        """True while a step of this call runs; None: of any call."""
        with self.condition:
            return self.busy and (call is None or self.holder is call)

    def stop(self, call: object, context: Any) -> None:
        """End the step that runs for `call`, or for any call if that is None, and wait for it."""
        while self.working(call):
            context.abort()                # again: a decode that has not yet begun would not see it
            sleep(PAUSE)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For a moment without Python code that waits."""
        with self.condition:
            yield

    def leave(self, call: object) -> None:
        with self.condition:
            if self.holder is call:
                self.holder, self.busy = None, False
                self.condition.notify_all()
