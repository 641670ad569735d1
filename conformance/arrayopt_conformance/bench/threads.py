"""Threads that wait for work, so that a step costs them no start; and the speed of a copy on them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import cache
from threading import Lock, Thread

import numpy as np

COPIED = 1 << 25  # elements of float32: beyond every cache


class Team:
    """Runs a function on several threads at once, the caller's among them."""

    def __init__(self, threads: int) -> None:
        self._call: Callable[[int], object] = lambda number: None
        self._helpers = [(Lock(), Lock()) for _ in range(threads - 1)]
        for number, (go, done) in enumerate(self._helpers, 1):
            go.acquire()
            done.acquire()
            Thread(target=self._serve, args=(number, go, done), daemon=True).start()

    def _serve(self, number: int, go: Lock, done: Lock) -> None:
        while True:
            go.acquire()
            self._call(number)
            done.release()

    def run(self, call: Callable[[int], object]) -> None:
        """Calls it on each thread with the number of the thread; returns when all are done."""
        self._call = call
        for go, _ in self._helpers:
            go.release()
        call(0)
        for _, done in self._helpers:
            done.acquire()

    @property
    def size(self) -> int:
        """Threads in all."""
        return len(self._helpers) + 1


@cache
def team(threads: int) -> Team:
    """The threads, started once."""
    return Team(threads)


def copied(threads: int, rounds: int = 9) -> float:
    """Bytes read and written in a second by a copy of a large array, the median of several."""
    crew, elements = team(threads), COPIED
    source, target = np.ones(elements, np.float32), np.zeros(elements, np.float32)
    parts = [slice(elements * k // threads, elements * (k + 1) // threads) for k in range(threads)]

    def copy(number: int) -> None:
        target[parts[number]] = source[parts[number]]

    times: list[float] = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        crew.run(copy)
        times.append(time.perf_counter() - start)
    return 2 * source.nbytes / statistics.median(times[1:])  # the first touches the pages
