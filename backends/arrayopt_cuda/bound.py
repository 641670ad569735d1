"""What of a schedule stays the same from step to step: its kernels, and lists of what they are to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from arrayopt import dtypes
from arrayopt.fused.program import Launch, Schedule
from arrayopt.fused.scalars import function
from arrayopt.layout import Layout, alike
from arrayopt_cuda.emit import TASK, can_emit, preamble, shared, source
from arrayopt_cuda.numbers import Plan, Value

Compile = Callable[[str, str], Any]
Numbers = npt.NDArray[Any]

_CODES = {"sum": 0, "max": 1, "min": 2, "any": 1, "all": 2}


class Bound:
    """A schedule with its kernels.

    Args:
      schedule: the recorded step.
      arrays: the leaves, and the arrays that the rule holds.
      host: those among them that kernels cannot look at: they lie in the host's memory.
      compile: from a text and a name to the kernel.

    Attributes:
      why_not: what keeps it from the device, or None if nothing does.
      host: what the host computes in a step, as a function of the numbers known.
      stages: one more than the schedule has.
      writes: the first stage that writes to a leaf; what can fail is done before.
      set, combine: the kernels that every step shares.
      rooms: what lies on the device, by stream; each thread has its own.
    """

    def __init__(self, schedule: Schedule, arrays: dict[int, Any], host: frozenset[int], compile: Compile) -> None:
        self.schedule, self.plan = schedule, Plan(schedule, host)
        used = {
            a for stage in schedule.stages for launch in stage.launches for site in launch.sites for a in site.arrays
        }
        self.why_not = "an array lies in the host's memory" if used & host else self.plan.why_not
        self.rooms = _Rooms()
        if self.why_not is not None:
            return
        self.set, self.combine = compile(shared(), "set"), compile(shared(), "combine")
        self.host = function(self.plan.work, "<numbers of a step>")
        kinds = {place: dtypes.name(x.dtype) for place, x in arrays.items() if hasattr(x, "dtype")}
        self.stages = [BoundStage(self.plan, schedule, s, kinds, compile) for s in range(len(schedule.stages) + 1)]
        self.writes = next((s for s in range(len(schedule.stages)) if self._writes_in(s)), len(schedule.stages))

    def _writes_in(self, s: int) -> bool:
        stored = [
            site.arrays[a]
            for launch in self.schedule.stages[s].launches
            for _, a, _ in (*launch.program.stores, *launch.program.folds)
            for site in launch.sites
        ]
        return bool(self.plan.writes(s)) or min(stored, default=self.schedule.leaves) < self.schedule.leaves


class _Rooms(threading.local):
    def __init__(self) -> None:
        self.made: dict[Any, Any] = {}


class BoundStage:
    """One stage; after the last comes one more that only writes numbers.

    Attributes:
      numbers: the kernel that computes numbers, if there is one.
      launches: its programs.
      places: the buffers whose addresses it wants: those of each launch, then those that numbers lie in.
      offsets: where in this list each launch begins; then where those of numbers begin.
      written: the buffers that numbers are written to: the end of this list.
    """

    def __init__(self, plan: Plan, schedule: Schedule, s: int, kinds: dict[int, str], compile: Compile) -> None:
        text = plan.source(s, kinds)
        self.numbers = None if text is None else compile(preamble() + text, "numbers")
        launches = schedule.stages[s].launches if s < len(schedule.stages) else []
        self.launches = [BoundLaunch(launch, plan, s, compile) for launch in launches]
        self.places: list[int] = []
        self.offsets: list[int] = []
        for arrays in (*[launch.arrays for launch in self.launches], plan.buffers(s)):
            self.offsets.append(len(self.places))
            self.places += arrays
        self.written = plan.writes(s)
        self.last = max(self.places, default=-1)


class BoundLaunch:
    """A program, and all that it is applied to.

    Attributes:
      kernel: None if the program has none; then the library runs it.
      arrays: the buffers, by array and then by site.
      rows: for each row of scalars the cells that they lie in.
      values: the scalars of the stage.
      results: for each site the cell of each reduction.
    """

    def __init__(self, launch: Launch, plan: Plan, s: int, compile: Compile) -> None:
        program = launch.program
        self.program, self.sites, self.values = program, launch.sites, plan.answers[s]
        self.kernel = None if can_emit(program) else compile(source(program), "run")
        self.arrays = [site.arrays[k] for k in range(program.arrays) for site in launch.sites] if self.kernel else []
        rows: dict[tuple[int, ...], int] = {}
        self._row = [rows.setdefault(site.scalars, len(rows)) for site in launch.sites]
        self.rows = np.array([[self.values[k].cell for k in row] for row in rows], dtype=np.int32)
        self.results = [[plan.known(place) for place in site.results] for site in launch.sites]
        self.tasks, self.segments = self._work() if self.kernel else (_rows([], 4), _rows([], 7))

    def odd(self, layouts: Sequence[Layout | None], out: Collection[int]) -> tuple[int, ...]:
        """The sites whose arrays cannot be walked through as vectors, but for those that are left out."""
        if all([layout is not None and layout.strides is None for layout in layouts]):
            return ()
        n = len(self.sites)
        return tuple([k for k in range(n) if k not in out and not self._is_plain(layouts[k::n])])

    def _is_plain(self, layouts: Sequence[Layout | None]) -> bool:
        known = [layout for layout in layouts if layout is not None]
        if len(known) < len(layouts):
            return False
        if self.program.views or len({layout.shape for layout in known}) > 1:
            return all([layout.strides is None for layout in known])
        return alike(known)

    def without(self, sites: Sequence[int]) -> tuple[Numbers, Numbers]:
        """The tasks and segments but for some sites, of whose sums nothing is left."""
        if not sites:
            return self.tasks, self.segments
        kept, segments = ~np.isin(self.tasks[:, 0], sites), self.segments.copy()
        before = np.concatenate([[0], np.cumsum(kept)])
        first, end = before[segments[:, 0]], before[segments[:, 0] + segments[:, 1]]
        segments[:, 0], segments[:, 1] = first, end - first
        return np.ascontiguousarray(self.tasks[kept]), segments

    def _work(self) -> tuple[Numbers, Numbers]:
        """What blocks do: site, first entry, entries, row of scalars; and what is made of what they find."""
        sums = self.program.reduces
        tasks: list[tuple[int, ...]] = []
        segments: list[tuple[int, ...]] = []
        for k, site in enumerate(self.sites):
            first, size = len(tasks), site.size
            for start in range(0, size if size or not sums else 1, TASK):
                tasks.append((k, start, min(TASK, size - start), self._row[k]))
            for column, (op, value) in enumerate(sums):
                is_bool = self.program.dtype(value) == "bool"
                cell = self.results[k][column].cell
                assert cell is not None
                segments.append((first, len(tasks) - first, len(sums), column, cell, _CODES[op], is_bool))
        return _rows(tasks, 4), _rows(segments, 7)


def _rows(rows: list[tuple[int, ...]], width: int) -> Numbers:
    return np.array(rows, dtype=np.int64).reshape(-1, width)


def number_of(value: Value, x: Any) -> Any:
    """A number that was read from a cell, as Python has it."""
    return {"f": float, "i": int, "b": bool}[value.kind](x)
