"""A schedule carried out on a device, the host never waiting for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from arrayopt.fused.program import Run, Schedule
from arrayopt.fused.runner import check_answers, uninterrupted
from arrayopt.fused.tiles import Tiles, nothing
from arrayopt.fused.traced import Traced
from arrayopt.layout import Layout, Spots
from arrayopt_cuda.bound import BoundLaunch, number_of
from arrayopt_cuda.emit import THREADS
from arrayopt_cuda.numbers import Value
from arrayopt_cuda.room import Room, Sites, Table

_BLOCKS = 8192  # more than any device runs at once; each takes one task after another


class Step:
    """One step.

    Args:
      room: the schedule, and its memory on the device.
      tiles: what runs programs that have no kernel.
      leaves: of the trees.
      spots: where they lie.
    """

    def __init__(self, room: Room, tiles: Tiles, leaves: list[Any], spots: Spots) -> None:
        self._room, self._tiles = room, tiles
        self._bound, self._plan, self._backend, self._driver = room.bound, room.bound.plan, room.backend, room.driver
        self._schedule = schedule = room.bound.schedule
        self._arrays = leaves + [None] * (schedule.buffers - len(leaves))
        self._spots = spots
        self._missing = spots.missing
        self._gone = _gone(schedule, spots.missing) if spots.missing else spots.missing
        spots.layouts = spots.layouts + [None] * (schedule.buffers - len(leaves))
        for place, x in schedule.captured:
            self._arrays[place] = spots.held.get(place, x)
        self._tables: dict[int, Table] = {}  # made ahead
        self._numbers: dict[int, Any] = {}  # what the host knows, by id of the value

    def run(self) -> dict[int, Any]:
        """Takes the step; for each place that holds a Python number, the number that belongs there now."""
        with uninterrupted(), self._backend.quiet():
            written = self._host()
            for s in range(len(self._schedule.stages)):
                self._stage(s)
            if self._bound.stages[-1].numbers is not None:
                self._compute(len(self._schedule.stages))
            for source, place in self._schedule.copied:
                if not self._stays(source):
                    self._backend.assign(self._arrays[place], self._arrays[source])
            return self._finish(written)

    def _stays(self, place: int) -> bool:
        """Whether what is copied from or written to a place belongs to a gradient that is None."""
        return bool(self._missing) and self._schedule.owners[place] in self._missing

    def _host(self) -> list[Any]:
        """Works out what the host knows, and hands it over; answers what belongs into the host's memory."""
        known: list[Any] = [None] * len(self._schedule.numbers)
        for buffer, place in self._plan.reads:
            x = self._arrays[buffer]
            known[place] = self._backend.read(x) if hasattr(x, "dtype") else x
        found = self._bound.host(known)
        n = len(self._plan.varying)
        self._numbers = {id(value): x for value, x in zip(self._plan.varying, found, strict=False)}
        if n:
            self._room.vary(found[:n])
        return found[n:]

    def _make_room(self, s: int) -> None:
        """Makes the tables of a stage and of those after it: from here on arrays of the caller are written."""
        for k, stage in enumerate(self._bound.stages[s:], s):
            if all([self._arrays[a] is not None or a in self._gone for a in stage.places]):
                self._tables[k] = self._table(k)

    def _stage(self, s: int) -> None:
        stage = self._schedule.stages[s]
        for t in stage.temporaries:
            self._arrays[t.place] = self._backend.empty(t.shape, t.dtype, self._room.cells[0])
        if s == self._bound.writes:
            self._make_room(s)
        table = self._compute(s)
        for n, launch in enumerate(self._bound.stages[s].launches):
            self._launch(s, n, launch, table)
        for run in [run for run in stage.runs if run.owner not in self._missing]:
            self._call(run)
        for place in stage.dropped:
            self._arrays[place] = self._spots.layouts[place] = None

    # -- kernels -------------------------------------------------------------------------------------------

    def _compute(self, s: int) -> Table:
        """Makes the table of a stage, and computes its numbers."""
        stage, table = self._bound.stages[s], self._tables.pop(s, None) or self._table(s)
        if stage.numbers is not None:
            self._driver.launch(stage.numbers, 1, 1, (table.at + 8 * stage.offsets[-1], self._room.at))
        return table

    def _table(self, s: int) -> Table:
        """The addresses of a stage: those of before, or new ones."""
        stage, spots, held = self._bound.stages[s], self._spots, self._room.tables[s]
        if spots.plain and stage.last < spots.leaves:
            return self._plain_table(s, held)
        layouts = [None if a in self._gone else spots.layouts[a] or self._layout(a) for a in stage.places]
        addresses = np.array([0 if layout is None else layout.address for layout in layouts], dtype=np.int64)
        blank = self._unwritten(s)
        addresses[blank] = 0
        parts = zip(stage.launches, self._left_out(s), stage.offsets, stage.offsets[1:], strict=False)
        sites = [Sites(launch.odd(layouts[start:stop], set(out)), out) for launch, out, start, stop in parts]
        if held is not None and held.sites == sites and np.array_equal(held.addresses, addresses):
            return held
        self._check(stage.places)
        return self._room.table(s, addresses, sites, self._missing, blank)

    def _layout(self, a: int) -> Layout | None:
        return self._backend.layout(self._arrays[a])

    def _left_out(self, s: int) -> list[tuple[int, ...]]:
        """For each launch of a stage the sites whose gradient is None."""
        launches = self._schedule.stages[s].launches if s < len(self._schedule.stages) else []
        return [tuple(self._spots.left_out(launch.owners)) for launch in launches]

    def _unwritten(self, s: int) -> list[int]:
        """Where in the table of a stage there are arrays of numbers that stay as they are."""
        stage = self._bound.stages[s]
        first = len(stage.places) - len(stage.written)
        return [k for k, a in enumerate(stage.written, first) if self._stays(a)] if self._missing else []

    def _plain_table(self, s: int, held: Table | None) -> Table:
        """The same where all arrays are leaves and C-contiguous: only gradients are looked up anew."""
        donated, fresh, missing = self._spots.donated, self._spots.fresh, self._missing
        if held is None or held.donated is not donated or held.moving is None:
            return self._new_plain_table(s)
        where, which, buffers = held.moving
        sites = held.sites
        if held.missing != missing:
            if held.blank != self._unwritten(s):
                return self._new_plain_table(s)
            sites = [Sites((), out) for out in self._left_out(s)]
        elif held.fresh == fresh or not buffers:
            return held
        self._check(buffers)
        held.addresses[where] = np.array(fresh, dtype=np.int64)[which]
        return self._room.table(s, held.addresses, sites, missing, held.blank, donated, fresh, held.moving)

    def _new_plain_table(self, s: int) -> Table:
        """The same for other donated arrays than before."""
        places, donated, fresh = self._bound.stages[s].places, cast(Any, self._spots.donated), self._spots.fresh
        self._check(places)
        known = donated.addresses | dict(zip(donated.fresh, fresh, strict=True))
        order = {a: k for k, a in enumerate(donated.fresh)}
        moving = [(k, order[a], a) for k, a in enumerate(places) if a in order]
        where, which = [np.array([entry[i] for entry in moving], dtype=np.intp) for i in (0, 1)]
        addresses = np.array([known[a] for a in places], dtype=np.int64)
        blank = self._unwritten(s)
        addresses[blank] = 0
        sites = [Sites((), out) for out in self._left_out(s)]
        rest = donated, fresh, (where, which, [a for _, _, a in moving])
        return self._room.table(s, addresses, sites, self._missing, blank, *rest)

    def _check(self, places: Sequence[int]) -> None:
        """Raises ValueError if arrays lie elsewhere: their addresses would mean nothing to the kernels."""
        arrays, place = [self._arrays[a] for a in places if a not in self._gone], self._room.place
        if not self._driver.all_at(place, arrays):
            odd = next(x for x in arrays if self._driver.place(x) != place)
            raise ValueError(
                f"fused_step: arrays must lie on the device that they lay on at first; got one on {odd.device}."
            )

    def _launch(self, s: int, n: int, launch: BoundLaunch, table: Table) -> None:
        work, room = table.works[n], self._room
        if work.how_many:
            where = table.at + 8 * self._bound.stages[s].offsets[n]
            args = (where, work.tasks, work.how_many, len(launch.sites), room.rows(s, n), room.at, work.partial)
            self._driver.launch(launch.kernel, min(work.how_many, _BLOCKS), THREADS, args)
        if work.sums:
            self._driver.launch(self._bound.combine, work.sums, THREADS, (work.segments, work.partial, room.at))
        odd, out = table.sites[n]
        if launch.kernel is None:
            self._by_library(launch, sorted({*range(len(launch.sites))} - {*out}))
            self._leave_out(launch, out)
        elif odd:
            self._by_library(launch, odd)

    # -- what the library does -----------------------------------------------------------------------------

    def _by_library(self, launch: BoundLaunch, odd: Sequence[int]) -> None:
        """Sites that no kernel can do, whole arrays at a time."""
        sites = [launch.sites[k] for k in odd]
        used = {k for site in sites for k in site.scalars}
        scalars = [self._number(value) if k in used else 0.0 for k, value in enumerate(launch.values)]
        found = self._tiles.at(launch.program, sites, self._arrays, scalars)
        for k, results in zip(odd, found, strict=True):
            for value, x in zip(launch.results[k], results, strict=True):
                self._keep(value, x)

    def _leave_out(self, launch: BoundLaunch, sites: Sequence[int]) -> None:
        """Has sites that are left out add nothing to sums."""
        for k in sites:
            for value, x in zip(launch.results[k], nothing(launch.program), strict=True):
                self._keep(value, x)

    def _number(self, value: Value) -> Any:
        """A number: Python's if the host knows it, else an array."""
        if value.number is not None:
            return value.number
        if value.on_host:
            return self._numbers[id(value)]
        cell = self._room.cell(value)
        return cell != 0 if value.kind == "b" else cell

    def _keep(self, value: Value, x: Any) -> None:
        """Puts what the library has found into its cell."""
        cell = self._room.cell(value)
        self._backend.assign(cell, self._backend.xp.reshape(x, ()) if hasattr(x, "shape") else x)

    def _call(self, run: Run) -> None:
        backend = self._backend

        def value(node: Traced) -> Any:
            what, place, dtype = run.values[id(node)]
            if what == "array":
                return backend.raw(self._arrays[place])
            x = backend.empty(node.shape, dtype, self._room.cells[0])
            backend.assign(x, self._number(self._plan.known(place)))
            return x

        found = run.call.run(backend.xp, value)
        check_answers(run, found)
        for part, place in run.arrays:
            x = self._arrays[place] = found if part is None else found[part]
            if self._driver.place(x) is None:
                raise ValueError(
                    f"fused_step: what {run.call.path} answers must lie on the device; it is the host's."
                )
        for part, place in run.numbers:
            self._keep(self._plan.known(place), found if part is None else found[part])

    def _finish(self, written: list[Any]) -> dict[int, Any]:
        """Writes numbers to the host's memory; waits for those that only the device knows."""
        replaced: dict[int, Any] = {}
        known = iter(written)
        for buffer, value in self._plan.written:
            x = next(known) if value.on_host else None
            if self._stays(buffer):
                continue
            if not value.on_host:
                x = number_of(value, self._backend.read(self._room.cell(value)))
            if hasattr(self._arrays[buffer], "dtype"):
                self._backend.assign(self._arrays[buffer], x)
            else:
                replaced[buffer] = type(self._arrays[buffer])(x)
        return replaced


def _gone(schedule: Schedule, missing: frozenset[int]) -> frozenset[int]:
    """The buffers that there are not where some gradients are None: those, and what calls would have made of them."""
    runs = [run for stage in schedule.stages for run in stage.runs if run.owner in missing]
    return missing.union([place for run in runs for _, place in run.arrays])
