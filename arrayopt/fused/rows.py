"""How arrays of several shapes that meet are walked through together, as broadcasting has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Rows(NamedTuple):
    """Rows of entries; along a row an array has the next entry each time, or the same one.

    Attributes:
      length: the entries of a row.
      outer: sizes of the axes along which the rows lie, outermost first.
      steps: of each array along these axes, in entries.
      walks: of each array whether it has the next entry each time.
    """

    length: int
    outer: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]
    walks: tuple[bool, ...]


def rows(shape: Sequence[int], shapes: Sequence[Sequence[int]]) -> Rows:
    """The rows of C-contiguous arrays: as few and as long as can be.

    Args:
      shape: that they have together.
      shapes: of each.
    """
    rank = max([len(own) for own in (shape, *shapes)])
    steps = zip(*[_steps(rank, own) for own in shapes], strict=True)
    axes: list[tuple[int, tuple[int, ...]]] = []
    for n, step in zip([*[1] * (rank - len(shape)), *shape], steps, strict=True):
        if n == 1:
            continue
        if axes and all([before == n * after for before, after in zip(axes[-1][1], step, strict=True)]):
            axes[-1] = axes[-1][0] * n, step
        else:
            axes.append((n, step))
    *outer, (length, last) = axes or [(1, (1,) * len(shapes))]
    across = tuple([tuple([step[k] for _, step in outer]) for k in range(len(shapes))])
    return Rows(length, tuple([n for n, _ in outer]), across, tuple([step != 0 for step in last]))


def _steps(rank: int, own: Sequence[int]) -> list[int]:
    """Of a C-contiguous array along so many axes, in entries; 0 where it has one entry for all."""
    found: list[int] = []
    step = 1
    for n in reversed([*[1] * (rank - len(own)), *own]):
        found.append(step if n != 1 else 0)
        step *= n
    return found[::-1]
