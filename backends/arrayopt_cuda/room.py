"""What a schedule keeps in the memory of a device, for one thread and one stream of it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayopt.backend import Backend
from arrayopt_cuda.bound import Bound, Numbers
from arrayopt_cuda.driver import Driver
from arrayopt_cuda.emit import THREADS, VALUES
from arrayopt_cuda.numbers import Value


class Work(NamedTuple):
    """What a launch is to do, on the device."""

    tasks: int
    how_many: int
    segments: int
    sums: int
    partial: int


class Sites(NamedTuple):
    """Sites of a launch that its kernel does not do.

    Attributes:
      odd: those that the library must do.
      out: those that are left out, their gradient being None.
    """

    odd: tuple[int, ...] = ()
    out: tuple[int, ...] = ()


class Table(NamedTuple):
    """The addresses of the arrays of a stage, on the device.

    Attributes:
      at: where it lies.
      addresses: what was put there.
      sites: for each launch the sites that its kernel does not do.
      works: for each launch what is left to do.
      missing: the gradients that are None.
      blank: the entries that are no addresses, since what lies there stays as it is.
      donated: stands for the donated arrays that it was made for; None if it was made array by array.
      fresh: the addresses of the other leaves.
      moving: the entries that are addresses of those, of which of them, and the buffers that they are.
    """

    at: int
    addresses: Numbers
    sites: list[Sites]
    works: list[Work]
    missing: frozenset[int]
    blank: list[int]
    donated: Any = None
    fresh: Sequence[int] = ()
    moving: tuple[Numbers, Numbers, list[int]] | None = None


class Room:
    """Cells for numbers, tables of addresses, lists of tasks.

    Args:
      bound: the schedule.
      backend: adapter of the library, which gives the memory.
      driver: of the device.
      like: an array of the device.

    Attributes:
      place: the device.
      cells: the numbers, as real ones and as whole ones: the same memory.
      at: where they lie.
      tables: the last table of each stage.
    """

    def __init__(self, bound: Bound, backend: Backend, driver: Driver, like: Any) -> None:
        self.bound, self.backend, self.driver = bound, backend, driver
        self._kept: dict[Any, tuple[Any, int]] = {}
        cells: Any = backend.empty((max(len(bound.plan.cells), 1),), "float64", like)
        self.cells = cells, cells.view(backend.dtype("int64"))
        self.place, self.at = driver.place(cells), self._address(cells)
        self._works: dict[Any, tuple[tuple[int, ...], Work]] = {}
        self.tables: list[Table | None] = [None] * len(bound.stages)
        self._varying = Handed(bound.plan.varying)
        self.set(Handed(bound.plan.constants), [value.number for value in bound.plan.constants])
        for s, stage in enumerate(bound.stages):
            for n in range(len(stage.launches)):
                self.rows(s, n)

    def _address(self, x: Any) -> int:
        layout = self.backend.layout(x)
        assert layout is not None
        return layout.address

    def put(self, key: Any, values: Numbers, anew: bool = False, most: int = 0) -> int:
        """Where some values lie on the device. Those of a key stay as they are, unless they are put there anew.

        Args:
          key: of the memory.
          values: what is to lie there.
          anew: whether to put them there also if there are others.
          most: the bytes that later values may have.
        """
        kept = self._kept.get(key)
        if kept is None:
            array = self.backend.empty(((max(values.nbytes, most) + 7) // 8 + 1,), "int64", self.cells[0])
            kept = self._kept[key] = array, self._address(array)
            anew = True
        if anew and values.nbytes:
            self.driver.upload(values, kept[1])
        return kept[1]

    def table(self, s: int, addresses: Numbers, sites: list[Sites], *rest: Any) -> Table:
        """A new table for a stage."""
        self.tables[s] = None  # if this fails, what lies there is no longer what the last one says
        works = [self._work(s, n, (*odd, *out)) for n, (odd, out) in enumerate(sites)]
        at = self.put(("table", s), addresses, anew=True)
        found = self.tables[s] = Table(at, addresses, sites, works, *rest)
        return found

    def _work(self, s: int, n: int, less: tuple[int, ...]) -> Work:
        """The work but for some sites. Beside the whole the last one of this kind is kept."""
        key = s, n, bool(less)
        found = self._works.get(key)
        if found is None or found[0] != less:
            self._works.pop(key, None)
            found = self._works[key] = less, self._new_work(key, less)
        return found[1]

    def _new_work(self, key: tuple[int, int, bool], less: tuple[int, ...]) -> Work:
        s, n, _ = key
        launch = self.bound.stages[s].launches[n]
        if launch.kernel is None:
            return Work(0, 0, 0, 0, 0)
        tasks, segments = launch.without(less)
        return Work(
            self.put(("tasks", *key), tasks, True, launch.tasks.nbytes),
            len(tasks),
            self.put(("segments", *key), segments, True),
            len(segments),
            self._scratch(("partial", s, n), len(launch.tasks) * len(launch.program.reduces)),
        )

    def _scratch(self, key: Any, size: int) -> int:
        if key not in self._kept:
            array = self.backend.empty((size + 1,), "float64", self.cells[0])
            self._kept[key] = array, self._address(array)
        return self._kept[key][1]

    def rows(self, s: int, n: int) -> int:
        """Where the rows of scalars of a launch lie."""
        return self.put(("rows", s, n), self.bound.stages[s].launches[n].rows)

    # -- numbers -------------------------------------------------------------------------------------------

    def set(self, handed: Handed, numbers: Sequence[Any]) -> None:
        """Puts numbers into their cells."""
        for values in handed.structures(numbers):
            self.driver.launch(self.bound.set, 1, THREADS, (self.at, values))

    def vary(self, numbers: Sequence[Any]) -> None:
        """Puts the numbers of this step into their cells."""
        self.set(self._varying, numbers)

    def cell(self, value: Value) -> Any:
        """A number as a 0-d array of the library, in the memory of its cell; 0 or 1 for a bool."""
        assert value.cell is not None
        part = self.cells[value.kind != "f"][value.cell : value.cell + 1]
        return self.backend.xp.reshape(part, ())


class Handed:
    """Numbers on their way to their cells: as the structure ``Values`` of shared.cu, or several of it."""

    def __init__(self, values: Sequence[Value]) -> None:
        self._parts: list[tuple[slice, struct.Struct, bytes]] = []
        for first in range(0, len(values), VALUES):
            some = values[first : first + VALUES]
            kinds = "".join(["d" if value.kind == "f" else "q" for value in some])
            form = struct.Struct(f"={kinds}{8 * (VALUES - len(some))}x")
            cells = [value.cell or 0 for value in some] + [0] * (VALUES - len(some))
            self._parts.append(
                (slice(first, first + len(some)), form, struct.pack(f"={VALUES}iii", *cells, len(some), 0))
            )

    def structures(self, numbers: Sequence[Any]) -> list[Numbers]:
        """The numbers, each structure an array of one entry."""
        packed = [form.pack(*numbers[part]) + rest for part, form, rest in self._parts]
        return [np.frombuffer(text, dtype=f"V{len(text)}") for text in packed]
