"""Threads that wait for kernels.

They are Python's own: a kernel lets go of the interpreter's lock. So steps may be taken from several threads at once,
and a forked child starts with none of them instead of with dead ones.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

_Job = tuple[Callable[[int], None], int, Any]  # function, its argument, what must stay alive until it has been called


class Threads:
    """Some threads beside the caller's."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begins without threads: those of a parent process are not in its child."""
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._started = 0
        self._lock = threading.Lock()

    def together(self, call: Callable[[int], None], where: int, helpers: int, alive: Any) -> None:
        """Calls a function with an address in this thread and in some others.

        It returns when the caller's own call does. Whoever comes late must find nothing left to do.
        """
        if helpers > self._started:
            self._start(helpers)
        for _ in range(helpers):
            self._jobs.put((call, where, alive))
        call(where)

    def _start(self, wanted: int) -> None:
        with self._lock:
            for _ in range(wanted - self._started):
                threading.Thread(target=self._serve, args=(self._jobs,), name="arrayopt", daemon=True).start()
                self._started += 1

    @staticmethod
    def _serve(jobs: SimpleQueue[_Job]) -> None:
        while True:
            call, where, alive = jobs.get()
            call(where)
            del alive


threads = Threads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=threads.forget)
