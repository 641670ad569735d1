"""The limit: a contender that moves the arrays of the rule and computes next to nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from arrayopt.demo import libraries
from arrayopt_conformance.bench import kernels, threads
from arrayopt_conformance.bench.contenders import TITLES, Entry, Start
from arrayopt_conformance.bench.rules import Pass


class _Walk(NamedTuple):
    """A pass, ready to be called."""

    kernel: Any
    args: tuple[Any, ...]

    def take(self, number: int = 0) -> None:
        """Works along, on the thread of that number."""
        del number
        self.kernel(*self.args)


class Limit:
    """Walks over arrays of a library, as many and as large as those of the rule.

    Where they lie matters: on Linux NumPy asks for huge pages for large arrays, Torch does not.
    """

    def __init__(self, given: Start, library: str, crew: threads.Team) -> None:
        self._crew = crew
        self.arrays = _arrays(given, library)
        self._counter = np.zeros(8, np.int64)  # a cache line
        tasks = _tasks([x.size for x in given.params])
        self._walks = [self._walk(one, tasks) for one in given.rule.passes(given.params[0].shape)]
        self._alone = sum(x.size for x in given.params) <= kernels.TASK

    def _walk(self, one: Pass, tasks: Any) -> _Walk:
        arrays = [self.arrays[letter] for letter in one.reads]
        table = np.asarray([[_address(x) for x in column] for column in arrays], np.int64)
        sums = np.zeros(len(tasks), np.int64)
        compiled = kernels.kernel(one, tuple(_itemsize(column[0]) for column in arrays))
        return _Walk(compiled, (self._counter.ctypes.data, tasks, table, sums))

    def prepare(self) -> None:
        """Nothing arrives."""

    def step(self) -> None:
        """Every pass over all leaves."""
        for walk in self._walks:
            self._counter[0] = 0
            if self._alone:
                walk.take()
            else:
                self._crew.run(walk.take)

    def result(self) -> None:
        """Means nothing."""

    def explained(self) -> dict[str, Any]:
        """Nothing."""
        return {}


def _arrays(given: Start, library: str) -> dict[str, list[Any]]:
    """The arrays of all leaves by letter: slots are float32 zeros, as ours are."""
    backend = libraries.load(library)
    found = {"p": [backend.asarray(x) for x in given.params], "g": [backend.asarray(x) for x in given.turns[0]]}
    for letter in given.rule.letters(given.params[0].shape):
        if letter not in found:
            found[letter] = [backend.xp.zeros(x.shape, dtype=backend.dtype("float32")) for x in given.params]
    return found


def _address(x: Any) -> int:
    return int(x.data_ptr() if hasattr(x, "data_ptr") else x.ctypes.data)


def _itemsize(x: Any) -> int:
    return int(x.element_size() if hasattr(x, "element_size") else x.itemsize)


def _tasks(sizes: list[int]) -> Any:
    """Rows of leaf, first element, number of elements."""
    rows = [
        (leaf, first, min(kernels.TASK, size - first))
        for leaf, size in enumerate(sizes)
        for first in range(0, size, kernels.TASK)
    ]
    return np.asarray(rows, np.int64)


def entry(library: str, crew: threads.Team) -> Entry:
    """The limit in memory of a library."""

    def make(given: Start) -> Limit:
        return Limit(given, library, crew)

    return Entry(f"{TITLES[library]} limit", "limit", library, make, ("numba",))
