"""What a fused step does, told to people."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from arrayopt import dtypes
from arrayopt.fused.plan import Trees
from arrayopt.fused.program import Launch, Program, Run, Schedule, size_of
from arrayopt.fused.run import Way
from arrayopt.fused.traced import Traced


@dataclass(frozen=True)
class Kernel:
    """One kernel.

    Attributes:
      operations: in order, as ``"v5 = v1 * s0"``; v are values, s scalars of the step. A dtype is added where it is
        not that of the first array.
      reads: the arrays read at the first of its leaves, as ``"v0 = parameter at ['w']  (float32)"``.
      writes: the arrays written there, as ``"parameter at ['w'] = v5"``.
      reduces: what it sums up, or takes the greatest of, on the way.
      leaves: where it is applied: the paths of what it writes or reads first.
      entries: of all these arrays together.
      bytes_read: in a step.
      bytes_written: in a step.
    """

    operations: list[str]
    reads: list[str]
    writes: list[str]
    reduces: list[str]
    leaves: list[str]
    entries: int
    bytes_read: int
    bytes_written: int


@dataclass(frozen=True)
class Explanation:
    """What is done in a step, and why.

    Attributes:
      engine: the name of the engine; empty before the first step.
      library: the library of the arrays.
      reason: why it is this engine.
      stopped: what stopped the recording, with the line; None if nothing did.
      kernels: in the order in which they run.
      barriers: what runs between kernels, and what a kernel must wait for.
      bytes_read: by the kernels in a step, as recorded.
      bytes_written: likewise.
      bytes_minimum: what any step of this optimizer must read and write: every array it looks at and every array it
        changes, once.
      structures: how many structures of trees the step remembers, and how many it can; beyond that it forgets those
        met longest ago.
    """

    engine: str
    library: str
    reason: str
    stopped: str | None = None
    kernels: list[Kernel] = field(default_factory=list[Kernel])
    barriers: list[str] = field(default_factory=list[str])
    bytes_read: int = 0
    bytes_written: int = 0
    bytes_minimum: int = 0
    structures: tuple[int, int] = (0, 0)

    def __repr__(self) -> str:
        if not self.engine:
            return self.reason
        lines = [f"{self.engine} on {self.library}: {self.reason}"]
        if self.stopped:
            lines.append(f"not recorded: {self.stopped}")
        for k, kernel in enumerate(self.kernels):
            lines += [f"kernel {k + 1}: {_leaves(kernel)}, {kernel.entries:,} entries", *_body(kernel)]
        lines += [f"barrier: {barrier}" for barrier in self.barriers]
        if self.kernels:
            moved = self.bytes_read + self.bytes_written
            lines.append(
                f"bytes in a step: {self.bytes_read:,} read, {self.bytes_written:,} written; "
                f"{moved / max(self.bytes_minimum, 1):.2f} of the least possible, {self.bytes_minimum:,}"
            )
        return "\n".join(lines)


def _leaves(kernel: Kernel) -> str:
    shown = ", ".join(kernel.leaves[:2])
    more = len(kernel.leaves) - 2
    return shown + (f" and {more} more" if more > 0 else "")


def _body(kernel: Kernel) -> list[str]:
    return [f"    {line}" for line in (*kernel.reads, *kernel.operations, *kernel.writes, *kernel.reduces)]


def explained(way: Way | None, kept: int, most: int) -> Explanation:
    """The explanation of a way to run steps.

    Args:
      way: the last one.
      kept: how many structures of trees the step remembers.
      most: how many it remembers at most.
    """
    if way is None:
        return Explanation("", "", "no step has been taken yet", structures=(0, most))
    library = way.library.name if way.library else "several libraries"
    if way.schedule is None:
        return Explanation(way.engine, library, way.reason, way.stopped, structures=(kept, most))
    names = _Names(way)
    stages = way.schedule.stages
    kernels = [_kernel(launch, names) for stage in stages for launch in stage.launches]
    calls = [_moved(run) for stage in stages for run in stage.runs]
    return Explanation(
        way.engine,
        library,
        way.reason,
        way.stopped,
        kernels,
        _barriers(way.schedule),
        sum([k.bytes_read for k in kernels]) + sum([read for read, _ in calls]),
        sum([k.bytes_written for k in kernels]) + sum([written for _, written in calls]),
        _minimum(way),
        (kept, most),
    )


def _moved(run: Run) -> tuple[int, int]:
    """The bytes that a call of the library reads and writes at least."""

    def size(node: Traced) -> int:
        return math.prod(node.shape) * size_of(dtypes.name(node.dtype))

    return sum([size(node) for node in run.call.nodes]), sum([size(node) for node in run.answers])


class _Names:
    """What to call the arrays of a step."""

    def __init__(self, way: Way) -> None:
        self.trees: Trees = way.names
        self.leaves = way.spec.size

    def array(self, place: int) -> str:
        return self.trees.path(place).removeprefix("the ") if place < self.leaves else "a temporary"


def _kernel(launch: Launch, names: _Names) -> Kernel:
    program = launch.program
    stored = {array: dtype for _, array, dtype in (*program.stores, *program.folds)}
    entries = sum([site.size for site in launch.sites])
    read = sum([math.prod(s) * size_of(d) for site in launch.sites for s, d in zip(site.shapes, program.loads)])  # noqa: B905
    written = sum([math.prod(site.shapes[a]) * size_of(d) for site in launch.sites for a, d in stored.items()])
    which = next(iter(stored), 0)
    first = [names.array(a) for a in launch.sites[0].arrays]
    return Kernel(
        [_operation(program, i) for i in range(len(program.code))],
        [f"v{i} = {first[i]}  ({dtype})" for i, dtype in enumerate(program.loads)],
        [
            *[f"{first[a]} = v{value}" for value, a, _ in program.stores],
            *[f"{first[a]} = sum of v{value} along axes" for value, a, _ in program.folds],
        ],
        [f"{op} of v{value}" for op, value in program.reduces],
        [names.array(site.arrays[which]) for site in launch.sites],
        entries,
        read,
        written,
    )


_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<", "less_equal": "<=",
          "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}  # fmt: skip


def _operation(program: Program, i: int) -> str:
    op, dtype, args = program.code[i]
    names = [f"v{a}" if a >= 0 else f"s{-1 - a}" for a in args]
    text = f" {_INFIX[op]} ".join(names) if op in _INFIX else f"{op}({', '.join(names)})"
    usual = {"bool", *program.loads[:1]}
    return f"v{len(program.loads) + i} = {text}" + ("" if dtype in usual else f"  ({dtype})")


def _barriers(schedule: Schedule) -> list[str]:
    found: list[str] = []
    for stage in schedule.stages:
        reduced = [op for launch in stage.launches for _ in launch.sites for op, _ in launch.program.reduces]
        found += [f"{n} × {op} over a whole array, within the kernel" for op, n in Counter(reduced).items()]
        folded = sum([len(launch.sites) * len(launch.program.folds) for launch in stage.launches])
        found += [f"{folded} × sum along axes, within the kernel"] if folded else []
        found += [_told(run) for run in stage.runs]
    return found


def _told(run: Run) -> str:
    shapes = ", ".join([str(node.shape) for node in run.call.nodes])
    return f"{run.call.path} of {shapes}, by the library"


def _minimum(way: Way) -> int:
    """Every array that is looked at and every array that is changed, once."""
    assert way.schedule is not None
    looked, changed = set[int](), {place for place, _, _ in way.schedule.written}
    looked |= {place for place, _ in way.schedule.read}
    for stage in way.schedule.stages:
        for launch in stage.launches:
            for site in launch.sites:
                looked |= set(site.arrays[: len(launch.program.loads)])
                changed |= {site.arrays[a] for _, a, _ in launch.program.stores}
        looked |= {place for run in stage.runs for what, place, _ in run.values.values() if what == "array"}
    changed |= {place for _, place in way.schedule.copied}
    return sum([_bytes(way.kinds[p]) for places in (looked, changed) for p in places if p < way.spec.size])


def _bytes(kind: tuple[Any, ...]) -> int:
    return math.prod(kind[1]) * size_of(dtypes.name(kind[2])) if kind[1] is not None else 0
