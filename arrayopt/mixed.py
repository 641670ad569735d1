"""Leaves of several kinds in one call: NumPy's arrays beside JAX's, and Python's numbers among arrays.

JAX takes NumPy's arrays for its own, and so does whoever computes with both here. All other libraries keep apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from arrayopt import dtypes
from arrayopt.dispatch import backend, backend_named, is_array, same_library

NUMBERS = (float, complex)
"""What among parameters and gradients stands for a 0-d array."""


def leading(xs: Iterable[Any]) -> Any:
    """Of some arrays one of the library that takes the others in; where there is none, the first. None: no arrays.

    Args:
      xs: arrays, and what else there may be among them.
    """
    arrays = [x for x in xs if is_array(x)]
    return next((x for x in arrays if all([takes(x, y) for y in arrays])), arrays[0] if arrays else None)


def takes(x: Any, other: Any) -> bool:
    """Whether an array can stand among those of the library of ``x``."""
    return same_library(x, other) or backend(x).takes(other)


class Meeting:
    """What becomes of leaves that are computed with together.

    Args:
      *groups: the leaves of all trees.

    Attributes:
      like: an array of the library that they will be of; None if there is no array.
    """

    __slots__ = ("_as_they_are", "like")

    def __init__(self, *groups: Sequence[Any]) -> None:
        first: Any = next(chain.from_iterable(groups), None)
        alike = len(set(map(type, chain.from_iterable(groups)))) == 1 and is_array(first)
        xs: Iterable[Any] = [] if alike else chain.from_iterable(groups)  # mostly they are, and it must be quick
        kinds: dict[type[Any], Any] = {type(x): x for x in xs}
        self._as_they_are = alike or not (_several(kinds.values()) or any([kind in kinds for kind in NUMBERS]))
        self.like: Any = first if alike else leading(kinds.values())

    def received(self, xs: list[Any], numbers: bool = True) -> list[Any]:
        """The leaves, where it can be in one library; what cannot be is left for others to complain about.

        Args:
          xs: leaves.
          numbers: whether Python's floats and complex numbers are to be 0-d arrays.
        """
        return xs if self._as_they_are else [self._received(x, numbers) for x in xs]

    def _received(self, x: Any, numbers: bool) -> Any:
        of = backend_named("numpy") if self.like is None else backend(self.like)
        if type(x) in NUMBERS:
            return of.number(x) if numbers else x
        other = is_array(x) and not same_library(x, self.like)
        return of.receive(x) if other and dtypes.is_ordinary(x.dtype) and of.takes(x) else x


def _several(xs: Iterable[Any]) -> bool:
    """Whether arrays are of several libraries."""
    arrays = [x for x in xs if is_array(x)]
    return not all([same_library(x, arrays[0]) for x in arrays])
