"""Where arrays lie, and whether two of them share memory."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple


class Layout(NamedTuple):
    """How an array lies in memory."""

    address: int
    shape: tuple[int, ...]
    dtype: Any  # the library's own object
    strides: tuple[int, ...] | None  # in bytes; None if C-contiguous
    itemsize: int
    writable: bool = True

    @property
    def extent(self) -> tuple[int, int]:
        """The first byte, and the one after the last."""
        size = math.prod(self.shape)
        if self.strides is None or not size:
            return self.address, self.address + size * self.itemsize
        reach = [(n - 1) * step for n, step in zip(self.shape, self.strides, strict=True)]
        low = self.address + sum([r for r in reach if r < 0])
        return low, self.address + sum([r for r in reach if r > 0]) + self.itemsize

    @property
    def repeats(self) -> bool:
        """Whether two of its entries lie at one place, as in an expanded array."""
        if self.strides is None or not math.prod(self.shape):
            return False
        steps = sorted([(abs(step), n) for n, step in zip(self.shape, self.strides, strict=True) if n > 1])
        reach = self.itemsize
        for step, n in steps:
            if step < reach:  # it may be that they miss one another all the same
                return _meet(steps, self.itemsize)
            reach += step * (n - 1)
        return False

    @property
    def dense(self) -> bool:
        """Whether its entries fill a range of memory, in whatever order."""
        if self.strides is None:
            return True
        low, high = self.extent
        steps = sorted([(step, n) for n, step in zip(self.shape, self.strides, strict=True) if n > 1])
        filled = self.itemsize
        for step, n in steps:
            if step != filled:
                return False
            filled *= n
        return high - low == filled


def _meet(steps: Sequence[tuple[int, int]], itemsize: int) -> bool:
    """Whether entries overlap, found by laying them all out."""
    places = [0]
    for step, n in steps:
        places = [place + k * step for k in range(n) for place in places]
    places.sort()
    return any([b - a < itemsize for a, b in pairwise(places)])


def alike(layouts: Sequence[Layout]) -> bool:
    """Whether arrays of one size may be walked through as vectors, all in the same order."""
    first = layouts[0]
    if all([layout.strides is None for layout in layouts]):
        return True
    same = all([layout.strides == first.strides and layout.shape == first.shape for layout in layouts])
    sizes = {layout.itemsize for layout in layouts}
    return (same and len(sizes) == 1 and first.dense) or (len(sizes) > 1 and _alike_in_steps(layouts))


def _alike_in_steps(layouts: Sequence[Layout]) -> bool:
    """The same for entries of several sizes."""
    if not all([layout.dense and layout.shape == layouts[0].shape for layout in layouts]):
        return False
    steps = [_steps(layout) for layout in layouts]
    return all([s == steps[0] for s in steps])


def _steps(layout: Layout) -> tuple[int, ...]:
    """Strides in entries, of the axes that have more than one."""
    if layout.strides is None:
        steps = [math.prod(layout.shape[a + 1 :]) for a in range(len(layout.shape))]
    else:
        steps = [step // layout.itemsize for step in layout.strides]
    return tuple([step for step, n in zip(steps, layout.shape, strict=True) if n > 1])


class Ranges:
    """Ranges of memory, to be asked which of them others touch."""

    def __init__(self, layouts: Iterable[tuple[int, Layout]]) -> None:
        found = [(*layout.extent, place) for place, layout in layouts if math.prod(layout.shape)]
        self.sorted = sorted(found)
        self._lows = [low for low, _, _ in self.sorted]
        self._reach: list[int] = []  # the greatest end so far: ranges may overlap among themselves
        for _, high, _ in self.sorted:
            self._reach.append(max(high, self._reach[-1] if self._reach else 0))

    def overlapping(self) -> list[tuple[int, int]]:
        """Pairs of places whose ranges overlap."""
        pairs: list[tuple[int, int]] = []
        open_: list[tuple[int, int]] = []
        for low, high, place in self.sorted:
            open_ = [(end, other) for end, other in open_ if end > low]
            pairs += [(other, place) for _, other in open_]
            open_.append((high, place))
        return pairs

    def touches(self, layout: Layout) -> bool:
        """Whether the range of another array overlaps one of these."""
        low, high = layout.extent
        return bool(self.touched([low], [high - low]))

    def touched(self, addresses: Sequence[int], lengths: Sequence[int]) -> list[int]:
        """Which of some ranges overlap one of these."""
        lows, reach = self._lows, self._reach
        found: list[int] = []
        for k, (low, length) in enumerate(zip(addresses, lengths, strict=True)):
            i = bisect_right(lows, low + length - 1)
            if i and reach[i - 1] > low and length:
                found.append(k)
        return found


class Spots:
    """Where the arrays of a step lie.

    Attributes:
      layouts: of each buffer; None where it has none, or where it is not known in full.
      donated: stands for the layouts of the donated arrays: the same object as long as those are the same.
      fresh: the addresses of the other leaves.
      plain: whether all leaves are C-contiguous.
      leaves: how many of the buffers are leaves of the trees.
      held: by buffer, copies of arrays that the rule holds, where they lie in what is written.
      missing: the places of gradients that are None in a step that has a place for them.
    """

    __slots__ = ("donated", "fresh", "held", "layouts", "leaves", "missing", "plain")

    def __init__(self, layouts: list[Layout | None], donated: object, fresh: list[int], plain: bool) -> None:
        self.layouts, self.donated, self.fresh, self.plain = layouts, donated, fresh, plain
        self.leaves = len(layouts)
        self.held: dict[int, Any] = {}
        self.missing: frozenset[int] = frozenset()

    def left_out(self, owners: Sequence[int | None]) -> list[int]:
        """Which of some sites are not to be done, the gradients that they depend on being None."""
        return [k for k, owner in enumerate(owners) if owner in self.missing] if self.missing else []
