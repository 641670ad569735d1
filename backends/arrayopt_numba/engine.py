"""Launches: a table of addresses, a list of tasks, and as many threads as there are cores."""

from __future__ import annotations

import ctypes
import importlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from arrayopt.backend import Backend
from arrayopt.dispatch import is_array
from arrayopt.fused import host
from arrayopt.fused.program import Launch, Program, Schedule
from arrayopt.fused.tiles import Tiles, nothing
from arrayopt.layout import Layout, Spots, alike
from arrayopt_numba.drive import BLOCK, FRAME, SIZES
from arrayopt_numba.emit import can_emit, divisors
from arrayopt_numba.folds import Begun, Folds
from arrayopt_numba.openmp import open_mp
from arrayopt_numba.tasks import NO_SHAPES, Ints, dealt, shapes, tasks

_ALONE = 1 << 20  # bytes that one thread moves in less time than it takes to wake another
_COMBINE: dict[str, Any] = {"sum": np.add, "max": np.maximum, "min": np.minimum, "any": np.maximum, "all": np.minimum}


class NumbaEngine:
    """The engine on one library.

    Args:
      backend: the library's adapter.
    """

    about = "kernels compiled by Numba, on every core"
    leaves_out = True

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._tiles = Tiles(backend)

    def missing(self, leaves: Sequence[Any]) -> str | None:
        """What keeps it from serving these arrays."""
        arrays = [x for x in leaves if is_array(x)]
        elsewhere = [str(d) for d in {getattr(x, "device", "cpu") for x in arrays} if str(d) != "cpu"]
        if elsewhere:
            return f"an array lies on {min(elsewhere)}"
        return _no_compiler() or self._tiles.missing(arrays)

    def prepare(self, schedule: Schedule, like: Any) -> None:
        """Compiles all kernels of a step.

        Raises:
          Unforeseen: there is no kernel for a program, and the library cannot do it either.
        """
        for launch in [launch for stage in schedule.stages for launch in stage.launches]:
            bound = launch.bound = _Bound(launch, schedule.leaves)
            if bound.why_not is not None:
                self._tiles.attempt(launch, like)

    def launch(
        self, launch: Launch, arrays: Sequence[Any], spots: Spots, scalars: list[Any]
    ) -> Sequence[Sequence[Any]]:
        """Applies a program to all its sites; for each, the results of its reductions."""
        bound = launch.bound
        if bound.why_not is not None or bound.needs_quotients(scalars):
            return self._tiles.launch(launch, arrays, spots, scalars)
        assert isinstance(bound, _Bound)
        out = spots.left_out(launch.owners)
        work = bound.without(out) if out else bound.tasks
        if spots.plain and bound.only_leaves:
            return bound.run(bound.table(spots), scalars, work)
        layouts = [spots.layouts[a] or self._layout(arrays[a]) for a in bound.arrays]
        odd = [k for k in bound.odd(layouts) if k not in set(out)]
        table = bound.table_of([0 if spot is None else spot.address for spot in layouts])
        return (
            self._mixed(launch, bound, odd, arrays, scalars, table, work) if odd else bound.run(table, scalars, work)
        )

    def _layout(self, x: Any) -> Layout | None:
        return None if x is None else self.backend.layout(x)  # a gradient that is None

    def _mixed(
        self,
        launch: Launch,
        bound: _Bound,
        odd: list[int],
        arrays: Sequence[Any],
        scalars: list[Any],
        table: Ints,
        work: Ints,
    ) -> Sequence[Sequence[Any]]:
        """Sites whose arrays lie each in an order of its own go through the library, tile by tile."""
        found = list(bound.run(table, scalars, _without(work, odd)))
        slow = self._tiles.at(launch.program, [launch.sites[k] for k in odd], arrays, scalars)
        for k, results in zip(odd, slow, strict=True):
            if found:
                found[k] = results
        return found


def _no_compiler() -> str | None:
    """What keeps Numba from compiling, or None if nothing does. It may lag behind NumPy, and then raises."""
    try:
        config: Any = importlib.import_module("numba").config
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "numba":
            return "Numba is not installed (pip install 'arrayopt[numba]')"
        return f"Numba cannot be imported: {' '.join(str(error).split())}"
    return "Numba's compiler is switched off (NUMBA_DISABLE_JIT)" if config.DISABLE_JIT else None


class _Bound:
    """What of a launch stays the same from step to step."""

    def __init__(self, launch: Launch, leaves: int) -> None:
        program = launch.program
        self.program, self.sites = program, launch.sites
        self.why_not = can_emit(program)
        if self.why_not is not None:
            return
        from arrayopt_numba import kernels

        try:
            self.kernel: Callable[[int], None] = kernels.kernel(program)
        except Exception as error:  # a program that Numba cannot compile is run by the library
            self.why_not = f"Numba cannot compile it: {type(error).__name__}: {error}"
            return
        self.address = ctypes.cast(cast(Any, self.kernel), ctypes.c_void_p).value or 0
        self.team = open_mp()
        self.arrays = [site.arrays[k] for k in range(program.arrays) for site in launch.sites]
        self.only_leaves = max(self.arrays) < leaves
        self._table: tuple[object, Ints, Any, Any] | None = None
        rows: dict[tuple[int, ...], int] = {}
        row = [rows.setdefault(site.scalars, len(rows)) for site in launch.sites]
        self.rows: Ints = np.array(list(rows), dtype=np.int64).reshape(len(rows), len(program.slots))
        self._divisors = sorted({site.scalars[k] for k in divisors(program) for site in launch.sites})
        self.shapes = NO_SHAPES if program.flat else shapes(program, launch.sites)
        self.along = Folds(program, launch.sites) if program.folds else None
        self.tasks = tasks(program, launch.sites, self.shapes, row)
        self.helpers = self._helpers()
        self.settled = kernels.settled() if self.helpers else None
        self.tasks = dealt(self.tasks, self.helpers + 1)
        self._usual_tasks: int = self.tasks.ctypes.data

    def without(self, sites: list[int]) -> Ints:
        """The tasks but for those of some sites."""
        return _without(self.tasks, sites)

    def _helpers(self) -> int:
        """The threads beside the caller's: none if there is little to do."""
        ready = self._ready()
        return ready if self.along is None else min(ready, self.along.threads - 1)

    def _ready(self) -> int:
        """As many as there are cores, if there is enough to do."""
        config: Any = importlib.import_module("numba").config
        width = sum([SIZES[d] for d in (*self.program.loads, *[d for _, _, d in self.program.stores])])
        moved = width * sum([site.size for site in self.sites])
        if self.team is not None:
            return 0 if moved < _ALONE else max(0, min(self.team.threads(), len(self.tasks)) - 1)
        cores = min(int(config.NUMBA_NUM_THREADS), len(os.sched_getaffinity(0)) if _has_affinity else 1 << 10)
        return 0 if moved < _ALONE else max(0, min(cores, len(self.tasks)) - 1)

    def needs_quotients(self, scalars: list[Any]) -> bool:
        """Whether a divisor is so great or so small that a product with 1 / s will not do."""
        found: Iterable[Any] = [scalars[k] for k in self._divisors]
        if len(self._divisors) > 8:  # of many sites, and mostly equal
            found = set(found)
        return any([host.inverse(x) is None for x in found])

    def table(self, spots: Spots) -> Ints:
        """The addresses of leaves. Those of donated arrays stay, those of gradients are put in at every step."""
        donated: Any = spots.donated
        if self._table is None or self._table[0] is not donated:
            known = donated.addresses
            addresses = [known.get(a, 0) for a in self.arrays]
            order = {a: k for k, a in enumerate(donated.fresh)}
            fresh = [(k, order[a]) for k, a in enumerate(self.arrays) if a in order]
            where, which = [np.array([pair[i] for pair in fresh], dtype=np.intp) for i in (0, 1)]
            self._table = (donated, self.table_of(addresses), where, which)
        _, table, where, which = self._table
        table = table.copy()  # several threads may be at it
        if len(where):
            table.reshape(-1)[where] = np.array(spots.fresh, dtype=np.int64)[which]
        return table

    def table_of(self, addresses: list[int]) -> Ints:
        """Addresses by array and site."""
        return np.array(addresses, dtype=np.int64).reshape(self.program.arrays, len(self.sites))

    def odd(self, layouts: list[Layout | None]) -> list[int]:
        """The sites whose arrays cannot be walked through as vectors."""
        if all([spot is not None and spot.strides is None for spot in layouts]):
            return []
        n = len(self.sites)
        return [k for k in range(n) if not self._is_plain(layouts[k::n])]

    def _is_plain(self, spots: list[Layout | None]) -> bool:
        known = [spot for spot in spots if spot is not None]
        if len(known) < len(spots):
            return False
        if self.program.views or len({spot.shape for spot in known}) > 1:
            return all([spot.strides is None for spot in known])
        return alike(known)

    def run(self, table: Ints, scalars: list[Any], tasks: Ints) -> Sequence[Sequence[Any]]:
        """Runs the kernel. All that it looks at but tasks and arrays lies in one piece of memory."""
        sums, addresses, rows = len(self.program.reduces), table.size, self.rows.size
        partial, threads = len(tasks) * sums, self.helpers + 1
        summed = threads * (sums + len(self.program.folds)) * BLOCK
        starts = list(accumulate([FRAME, 3, addresses, rows, partial, summed]))
        block = np.empty(starts[-1], dtype=np.int64)
        at = block.ctypes.data
        counters, where, scalars_at, sums_at, scratch_at = [at + 8 * start for start in starts[:-1]]
        block[: starts[1]] = (
            counters, self._tasks_at(tasks), len(tasks), where, len(self.sites), scalars_at, len(self.rows), sums_at,
            scratch_at, self.shapes.ctypes.data, self.shapes.shape[1], 0, 0, 0, 0, 0,
        )  # fmt: skip
        along: Begun | None = None if self.along is None else self.along.begun(table, threads)
        if along is not None:
            block[FRAME - 2 : FRAME] = along.own.ctypes.data, along.own.strides[0]
        block[starts[1] : starts[2]] = table.reshape(-1)
        numbers = block.view(np.float64)
        if rows:
            numbers[starts[2] : starts[3]] = _real(scalars)[self.rows.reshape(-1)]
        self._on_threads(at, counters, len(tasks), (block, table, tasks))
        if along is not None:
            along.end()
        return self._combined(numbers[starts[3] : starts[4]].reshape(-1, sums), tasks) if sums else ()

    def _tasks_at(self, tasks: Ints) -> int:
        return self._usual_tasks if tasks is self.tasks else tasks.ctypes.data

    def _on_threads(self, where: int, counters: int, tasks: int, alive: Any) -> None:
        """Calls the kernel on the threads of an OpenMP runtime if there is one, else on ours."""
        if not self.helpers:
            self.kernel(where)
        elif self.team is not None and self.team.ready():
            self.team.together(self.address, where, self.helpers + 1)
        else:
            from arrayopt_numba.threads import threads

            assert self.settled is not None
            threads.together(self.kernel, where, self.helpers, alive)
            while not self.settled(counters, tasks):
                time.sleep(0)

    def _combined(self, partial: npt.NDArray[np.float64], tasks: Ints) -> list[list[Any]]:
        """The results of the tasks of each site put together."""
        found: list[list[Any]] = [[] for _ in self.sites]
        if len(tasks) < len(self.tasks):  # those that have none are left out, or done by the library
            found = [nothing(self.program) for _ in self.sites]
            for k in set(tasks[:, 0].tolist()):
                found[k] = []
        order = np.argsort(tasks[:, 0], kind="stable")
        tasks, partial = tasks[order], partial[order]
        starts = np.flatnonzero(np.diff(tasks[:, 0], prepend=-1))
        for k, (op, value) in enumerate(self.program.reduces):
            whole = _COMBINE[op].reduceat(partial[:, k], starts)
            for site, x in zip(tasks[starts, 0].tolist(), whole.tolist(), strict=True):
                found[site].append(bool(x) if self.program.dtype(value) == "bool" else x)
        return found


def _real(scalars: list[Any]) -> npt.NDArray[np.float64]:
    """The scalars of a stage; complex ones are those of other kernels, by the library."""
    try:
        return np.array(scalars, dtype=np.float64)
    except TypeError:
        return np.array([0.0 if isinstance(x, complex) else x for x in scalars], dtype=np.float64)


def _without(tasks: Ints, sites: list[int]) -> Ints:
    return np.ascontiguousarray(tasks[~np.isin(tasks[:, 0], sites)])


_has_affinity = hasattr(os, "sched_getaffinity")


def emitted(program: Program) -> str:
    """The text of a program's kernel, for people."""
    from arrayopt_numba.emit import source

    return source(program)
