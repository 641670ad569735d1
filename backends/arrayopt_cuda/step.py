"""A schedule carried out on a device, the host never waiting for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from arrayopt.fused.program import Run
from arrayopt.fused.runner import uninterrupted
from arrayopt.fused.tiles import Tiles
from arrayopt.fused.traced import Traced
from arrayopt.layout import Spots
from arrayopt_cuda.bound import BoundLaunch, number_of
from arrayopt_cuda.emit import THREADS
from arrayopt_cuda.numbers import Value
from arrayopt_cuda.room import Room, Table

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
        spots.layouts = spots.layouts + [None] * (schedule.buffers - len(leaves))
        for place, x in schedule.captured:
            self._arrays[place] = spots.held.get(place, x)
        self._numbers: dict[int, Any] = {}  # what the host knows, by id of the value

    def run(self) -> dict[int, Any]:
        """Takes the step; for each place that holds a Python number, the number that belongs there now."""
        with uninterrupted():
            written = self._host()
            for s in range(len(self._schedule.stages)):
                self._stage(s)
            if self._bound.stages[-1].numbers is not None:
                self._compute(len(self._schedule.stages))
            for source, place in self._schedule.copied:
                self._backend.assign(self._arrays[place], self._arrays[source])
            return self._finish(written)

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

    def _stage(self, s: int) -> None:
        stage = self._schedule.stages[s]
        for t in stage.temporaries:
            self._arrays[t.place] = self._backend.empty(t.shape, t.dtype, self._arrays[t.like])
        table = self._compute(s)
        for n, launch in enumerate(self._bound.stages[s].launches):
            self._launch(s, n, launch, table)
        for run in stage.runs:
            self._call(run)
        for place in stage.dropped:
            self._arrays[place] = self._spots.layouts[place] = None

    # -- kernels -------------------------------------------------------------------------------------------

    def _compute(self, s: int) -> Table:
        """Makes the table of a stage, and computes its numbers."""
        stage, table = self._bound.stages[s], self._table(s)
        if stage.numbers is not None:
            self._driver.launch(stage.numbers, 1, 1, (table.at + 8 * stage.offsets[-1], self._room.at))
        return table

    def _table(self, s: int) -> Table:
        """The addresses of a stage: those of before, or new ones."""
        stage, spots, held = self._bound.stages[s], self._spots, self._room.tables[s]
        if spots.plain and stage.last < spots.leaves:
            return self._plain_table(s, held)
        layouts = [spots.layouts[a] or self._backend.layout(self._arrays[a]) for a in stage.places]
        addresses = np.array([0 if layout is None else layout.address for layout in layouts], dtype=np.int64)
        parts = zip(stage.launches, stage.offsets, stage.offsets[1:], strict=False)
        odd = [launch.odd(layouts[start:stop]) for launch, start, stop in parts]
        if held is not None and held.odd == odd and np.array_equal(held.addresses, addresses):
            return held
        self._check(stage.places)
        return self._room.table(s, addresses, odd)

    def _plain_table(self, s: int, held: Table | None) -> Table:
        """The same where all arrays are leaves and C-contiguous: only gradients are looked up anew."""
        places, donated, fresh = self._bound.stages[s].places, cast(Any, self._spots.donated), self._spots.fresh
        if held is None or held.donated is not donated or held.moving is None:
            self._check(places)
            known = donated.addresses | dict(zip(donated.fresh, fresh, strict=True))
            order = {a: k for k, a in enumerate(donated.fresh)}
            moving = [(k, order[a], a) for k, a in enumerate(places) if a in order]
            where, which = [np.array([entry[i] for entry in moving], dtype=np.intp) for i in (0, 1)]
            addresses = np.array([known[a] for a in places], dtype=np.int64)
            odd: list[tuple[int, ...]] = [() for _ in self._bound.stages[s].launches]
            return self._room.table(s, addresses, odd, donated, fresh, (where, which, [a for _, _, a in moving]))
        where, which, buffers = held.moving
        if held.fresh == fresh or not buffers:
            return held
        self._check(buffers)
        held.addresses[where] = np.array(fresh, dtype=np.int64)[which]
        return self._room.table(s, held.addresses, held.odd, donated, fresh, held.moving)

    def _check(self, places: Sequence[int]) -> None:
        """Raises ValueError if arrays lie elsewhere: their addresses would mean nothing to the kernels."""
        arrays, place = [self._arrays[a] for a in places], self._room.place
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
        if launch.kernel is None or table.odd[n]:
            self._by_library(launch, table.odd[n] if launch.kernel is not None else range(len(launch.sites)))

    # -- what the library does -----------------------------------------------------------------------------

    def _by_library(self, launch: BoundLaunch, odd: Any) -> None:
        """Sites that no kernel can do, whole arrays at a time."""
        sites = [launch.sites[k] for k in odd]
        used = {k for site in sites for k in site.scalars}
        scalars = [self._number(value) if k in used else 0.0 for k, value in enumerate(launch.values)]
        found = self._tiles.at(launch.program, sites, self._arrays, scalars)
        for k, results in zip(odd, found, strict=True):
            for value, x in zip(launch.results[k], results, strict=True):
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
            x = next(known) if value.on_host else number_of(value, self._backend.read(self._room.cell(value)))
            if hasattr(self._arrays[buffer], "dtype"):
                self._backend.assign(self._arrays[buffer], x)
            else:
                replaced[buffer] = type(self._arrays[buffer])(x)
        return replaced
