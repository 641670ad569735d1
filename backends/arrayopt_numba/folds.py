"""Sums along axes: each thread forms its own, in double; together they are put where they belong."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from arrayopt.fused.program import Program, Site

_MOST = 64 << 20  # bytes for the sums of all threads


class Folds:
    """Where the sums of all sites of a launch lie in the memory of a thread.

    Args:
      program: that forms them.
      sites: where.
    """

    def __init__(self, program: Program, sites: Sequence[Site]) -> None:
        self.rows = [array for _, array, _ in program.folds]
        self.dtypes = [np.dtype(dtype) for _, _, dtype in program.folds]
        sizes = [[math.prod(site.shapes[a]) for site in sites] for a in self.rows]
        self.sizes = np.array(sizes, dtype=np.int64)
        ends = np.cumsum(self.sizes.reshape(-1)).reshape(self.sizes.shape)
        self.starts, self.total = ends - self.sizes, int(ends[-1, -1])

    @property
    def threads(self) -> int:
        """How many may take part, if their sums are not to take much memory: the fewer, the more sums there are."""
        return max(1, _MOST // (8 * self.total))

    def begun(self, table: npt.NDArray[np.int64], threads: int) -> Begun:
        """Memory for a run. In the table of addresses places in it take the place of those of the results."""
        results = table[self.rows]
        table[self.rows] = 8 * self.starts
        return Begun(self, results, np.zeros((threads, self.total)))


class Begun(NamedTuple):
    """The sums of one run: where results belong, and what each thread has."""

    folds: Folds
    results: npt.NDArray[np.int64]
    own: npt.NDArray[np.float64]

    def end(self) -> None:
        """Puts the results where they belong."""
        sums = self.own.sum(axis=0)
        for dtype, *columns in zip(self.folds.dtypes, self.folds.starts, self.folds.sizes, self.results, strict=True):
            for start, size, address in zip(*[column.tolist() for column in columns], strict=True):
                _vector(address, size, dtype)[...] = sums[start : start + size]


def _vector(address: int, size: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The memory at an address."""
    memory: Any = (ctypes.c_char * (size * dtype.itemsize)).from_address(address)
    return np.frombuffer(memory, dtype=dtype)
