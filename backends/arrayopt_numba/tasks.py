"""What threads take one after the other: stretches of leaves, or rows of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from arrayopt.fused.program import Program, Site
from arrayopt.fused.rows import rows
from arrayopt_numba.drive import SIZES, TASK, arrays

Ints = npt.NDArray[np.int64]

NO_SHAPES: Ints = np.zeros((1, 0), dtype=np.int64)


def tasks(program: Program, sites: Sequence[Site], shapes: Ints, numbers: Sequence[int]) -> Ints:
    """Site, what to begin with, how much to do (entries, or pieces of rows), and row of scalars of each task.

    A site without entries has one if it is to answer.
    """
    sizes, most = _work(program, sites, shapes)
    found = [
        (site, start, min(step, size - start), number)
        for site, (size, step, number) in enumerate(zip(sizes, most, numbers, strict=True))
        for start in range(0, size if size or not program.reduces else 1, step)
    ]
    return np.array(found, dtype=np.int64).reshape(len(found), 4)


def _work(program: Program, sites: Sequence[Site], shapes: Ints) -> tuple[list[int], list[int]]:
    """For each site how much there is to do, and how much of it makes a task."""
    sizes = [site.size for site in sites]
    if program.flat:
        return sizes, [TASK] * len(sizes)
    table = [[int(x) for x in row[:3]] for row in shapes]
    pieces = [size // length * n if length else 0 for size, (length, _, n) in zip(sizes, table, strict=True)]
    return pieces, [TASK // max(piece, 1) for _, piece, _ in table]


def shapes(program: Program, sites: Sequence[Site]) -> Ints:
    """How the rows of each site lie, as the kernel wants it told."""
    sizes = [SIZES[dtype] for _, dtype in sorted(arrays(program).items())]
    found: list[list[int]] = []
    for site in sites:
        length, outer, steps, _ = rows(site.shape, site.shapes)
        across = [size * step for size, own in zip(sizes, steps, strict=True) for step in own]
        found.append([length, min(length, TASK), -(-length // TASK), len(outer), *outer, *across])
    width = max(map(len, found))
    return np.array([[*row, *[0] * (width - len(row))] for row in found], dtype=np.int64)


def dealt(tasks: Ints, threads: int) -> Ints:
    """The tasks as threads come to take them, so that each walks through a stretch of memory of its own."""
    share = -(-len(tasks) // threads)
    order = [k for first in range(share) for k in range(first, len(tasks), share)]
    return np.ascontiguousarray(tasks[order])
