"""Threads that wait for kernels.

They are Python's own: a kernel lets go of the interpreter's lock. So steps may be taken from several threads at once,
and a forked child starts with none of them instead of with dead ones.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

_Job = tuple[Callable[[], None], "SimpleQueue[BaseException | None]"]


class Threads:
    """Some threads beside the caller's."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begins without threads: those of a parent process are not in its child."""
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._started = 0
        self._lock = threading.Lock()

    def together(self, work: Callable[[], None], helpers: int) -> None:
        """Calls ``work`` in this thread and in some others at once, and waits for all."""
        if helpers > self._started:
            self._start(helpers)
        done: SimpleQueue[BaseException | None] = SimpleQueue()
        for _ in range(helpers):
            self._jobs.put((work, done))
        try:
            work()
        finally:
            errors = [done.get() for _ in range(helpers)]
        for error in errors:
            if error is not None:
                raise error

    def _start(self, wanted: int) -> None:
        with self._lock:
            for _ in range(wanted - self._started):
                threading.Thread(target=self._serve, args=(self._jobs,), name="arrayopt", daemon=True).start()
                self._started += 1

    @staticmethod
    def _serve(jobs: SimpleQueue[_Job]) -> None:
        while True:
            work, done = jobs.get()
            try:
                work()
                done.put(None)
            except BaseException as error:
                done.put(error)


threads = Threads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=threads.forget)
