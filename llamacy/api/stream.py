"""An answer that comes in pieces."""

from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

from .turns import Turns

T = TypeVar("T")


class Stream(Generic[T]):
    """Iterates over pieces of an answer. Ends at once when it is closed, from any thread; dropping it closes it.

    steps   makes the pieces; runs only in a turn.  context: of the engine, whose step is stopped
    """

    def __init__(self, turns: Turns, steps: Generator[T, None, None], context: Any) -> None:
        self._turns, self._steps, self._context = turns, steps, context
        self._closed = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._closed:
            raise StopIteration
        try:
            with self._turns.step(self):
                piece = next(self._steps)
        except StopIteration:
            self._end()
            raise
        except KeyboardInterrupt:
            stopped = self._closed         # by close() in another thread: that is an end, not an interrupt
            self._end()
            if stopped:
                raise StopIteration from None
            raise
        except BaseException:
            self._end()
            raise
        if self._closed:
            self._end()
            raise StopIteration
        return piece

    def close(self) -> None:
        """End the answer. A step that runs in another thread is stopped within a layer of the model."""
        if self._closed:
            return
        self._closed = True
        if self._turns.mine(self):         # called by a callback of its own step, which is the last one
            return
        self._turns.stop(self, self._context)
        self._end()

    def _end(self) -> None:
        self._closed = True
        with self._turns.alone():          # two threads may come here at once
            self._steps.close()
        self._context = None               # it would keep the model's file mapped
        self._turns.leave(self)

    def __enter__(self) -> "Stream[T]":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
