"""A schedule carried out on the arrays of one step."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.dispatch import is_array
from arrayopt.fused.engines import Engine
from arrayopt.fused.program import Launch, Run, Schedule
from arrayopt.fused.traced import Traced, Unforeseen
from arrayopt.layout import Spots


def carry_out(
    schedule: Schedule, engine: Engine, backend: Backend, leaves: list[Any], spots: Spots
) -> dict[int, Any]:
    """Runs a step, writing to the donated leaves.

    Args:
      schedule: what to do.
      engine: what runs the kernels.
      backend: adapter of the library.
      leaves: of the trees.
      spots: where the leaves lie.

    Returns:
      For each place that holds a Python number, the number that belongs there now.

    Raises:
      Unforeseen: the recording does not hold for these arrays; nothing has been written.
    """
    prepare(schedule, engine, leaves)
    arrays = leaves + [None] * (schedule.buffers - len(leaves))
    spots.layouts = layouts = spots.layouts + [None] * (schedule.buffers - len(leaves))
    known: list[Any] = [None] * len(schedule.numbers)
    like = next((x for x in leaves if is_array(x)), None)
    for place, x in schedule.captured:
        arrays[place] = spots.held.get(place, x)
        layouts[place] = backend.layout(arrays[place])
    for place, number in schedule.read:
        x = arrays[place]
        known[number] = x if isinstance(x, (int, float, complex)) else backend.read(x)
    with uninterrupted(), backend.quiet():
        for stage in schedule.stages:
            scalars = stage.scalars(known)
            for t in stage.temporaries:
                beside = arrays[t.like]
                arrays[t.place] = backend.empty(t.shape, t.dtype, like if beside is None else beside)
                layouts[t.place] = backend.layout(arrays[t.place])
            for launch in stage.launches:
                _note(launch, engine.launch(launch, arrays, spots, scalars), known)
            for run in [run for run in stage.runs if run.owner not in spots.missing]:
                _call(run, backend, arrays, layouts, known, like)
            for place in stage.dropped:
                arrays[place] = layouts[place] = None
        for source, place in schedule.copied:
            if spots.missing and schedule.owners[source] in spots.missing:
                continue
            backend.assign(arrays[place], arrays[source])
        return _finish(schedule, backend, arrays, known, spots.missing)


def prepare(schedule: Schedule, engine: Engine, leaves: Sequence[Any]) -> None:
    """Has all kernels of a step made, once, before the first of them writes."""
    if not schedule.prepared:
        make = getattr(engine, "prepare", None)  # an engine that compiles nothing need not have it
        if make is not None:
            make(schedule, next((x for x in leaves if is_array(x)), None))
        schedule.prepared = True


def _note(launch: Launch, found: Sequence[Sequence[Any]], known: list[Any]) -> None:
    """Notes the results of reductions."""
    if launch.program.reduces:
        for site, results in zip(launch.sites, found, strict=True):
            for number, value in zip(site.results, results, strict=True):
                known[number] = value


def _finish(
    schedule: Schedule, backend: Backend, arrays: list[Any], known: list[Any], missing: frozenset[int]
) -> dict[int, Any]:
    replaced: dict[int, Any] = {}
    for place, number, _ in schedule.written:
        if missing and schedule.owners[place] in missing:
            continue
        if isinstance(arrays[place], (int, float, complex)):
            replaced[place] = type(arrays[place])(known[number])
        else:
            backend.assign(arrays[place], known[number])
    return replaced


def _call(run: Run, backend: Backend, arrays: list[Any], layouts: list[Any], known: list[Any], like: Any) -> None:
    def value(node: Traced) -> Any:
        what, place, dtype = run.values[id(node)]
        if what == "array":
            return backend.raw(arrays[place])
        number = backend.empty(node.shape, dtype, like)
        backend.assign(number, known[place])
        return number

    found = run.call.run(backend.xp, value)
    check_answers(run, found)
    for part, place in run.arrays:
        arrays[place] = found if part is None else found[part]
        layouts[place] = backend.layout(arrays[place])
    for part, number in run.numbers:
        known[number] = backend.read(found if part is None else found[part])


def check_answers(run: Run, found: Any) -> None:
    """Raises Unforeseen if what a call answers has not the shapes and dtypes that were recorded."""
    parts = [part for part, _ in (*run.arrays, *run.numbers)]
    for part, node in zip(parts, run.in_order(), strict=True):
        x = found if part is None else found[part]
        if tuple(x.shape) != node.shape or dtypes.name(x.dtype) != dtypes.name(node.dtype):
            raise Unforeseen(
                f"it cannot be recorded: {run.call.path} answers {dtypes.name(x.dtype)} of shape {tuple(x.shape)}, "
                f"not {dtypes.name(node.dtype)} of shape {node.shape} as on small arrays"
            )


# what is beneath the standard module: no enumerations, a tenth of the time
_signals: Any = importlib.import_module("_signal")


@contextmanager
def uninterrupted() -> Generator[None]:
    """Keeps Ctrl-C waiting: a step that has begun to write ends before the interrupt is raised."""
    old: Any = _signals.getsignal(_signals.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(old):
        yield
        return
    waiting: list[tuple[int, FrameType | None]] = []

    def wait(number: int, frame: FrameType | None) -> None:
        waiting.append((number, frame))

    _signals.signal(_signals.SIGINT, wait)
    try:
        yield
    finally:
        _signals.signal(_signals.SIGINT, old)
    if waiting:
        old(*waiting[0])
