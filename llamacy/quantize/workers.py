"""Threads for jobs whose results are wanted in order."""

from _queue import SimpleQueue          # what `queue` and `threading` wrap: those take time to import
from _thread import start_new_thread

AHEAD = 2        # jobs done or under way per thread, so that none waits while results are written


class Workers:
    """n threads, or as many as there can be; one means: the caller's alone. Use `with`: leaving waits for all of them."""

    def __init__(self, n):
        self._todo, self._done = SimpleQueue(), SimpleQueue()
        self._n = 0
        while n > 1 and self._n < n:
            try:
                start_new_thread(self._work, ())
            except RuntimeError:                    # the system has no more to give
                break
            self._n += 1

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for _ in range(self._n):
            self._todo.put(None)
        left, self._n = self._n, 0
        while left:
            left -= self._done.get()[0] is None

    def in_order(self, jobs):
        """Yield what each of `jobs`, functions without arguments, returns. What a job raises is raised at its turn."""
        if not self._n:
            for job in jobs:
                yield job()
            return
        given = taken = 0
        done = {}
        jobs = iter(jobs)
        while True:
            while given - taken < AHEAD * self._n and (job := next(jobs, None)) is not None:
                self._todo.put((given, job))
                given += 1
            if taken == given:
                return
            while taken not in done:
                number, error, result = self._done.get()
                done[number] = error, result
            error, result = done.pop(taken)
            taken += 1
            if error is not None:
                raise error
            yield result

    def _work(self):
        while (task := self._todo.get()) is not None:
            number, job = task
            try:
                self._done.put((number, None, job()))
            except BaseException as error:          # whatever it is, the thread that asked has to know
                self._done.put((number, error, None))
            task = job = None                       # an idle thread keeps no data alive
        self._done.put((None, None, None))
