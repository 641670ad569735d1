"""A NaN or an infinity in a gradient goes no further than the rule reaches, then or later."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from arrayopt_conformance.harness.compare import host
from arrayopt_conformance.harness.data import normal
from arrayopt_conformance.harness.runs import Run, run
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.reach import reach
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library

_SHAPES = {"bad": (5, 6), "good": (3, 4)}
_PLACE = (2, 3)
_STEPS, _WHEN = 4, 1  # the bad entry comes on the second of four steps


@law()
def bad_entries_stay_where_they_are(make: Recipe, library: Library) -> None:
    """In its place, if the rule is elementwise; in its leaf, if leafwise; the clean steps after it included."""
    spread = make.reach or reach(make)
    if spread == "treewise":
        return
    with np.errstate(all="ignore"):  # NumPy warns of what is done here on purpose
        clean = _run(make, library, 0.0)
        for bad in (math.nan, math.inf, -math.inf):
            ill = _run(make, library, bad)
            for name, got, wanted in _elsewhere(ill, clean, elementwise=spread == "elementwise"):
                assert np.array_equal(got, wanted), f"{bad} in one entry changes {name}"


def _run(make: Recipe, library: Library, bad: float) -> Run:
    days = [normal(_SHAPES, 1 + k) for k in range(_STEPS)]
    days[_WHEN]["bad"][_PLACE] += bad
    return run(make(), library.tree(normal(_SHAPES, 0), "float32"), [library.tree(gs, "float32") for gs in days])


def _elsewhere(ill: Run, clean: Run, *, elementwise: bool) -> Iterator[tuple[str, Any, Any]]:
    """The updates of each step where the bad entry must not show."""
    for k, (us, others) in enumerate(zip(ill.updates, clean.updates, strict=True)):
        yield f"another leaf's update of step {k}", host(us["good"]), host(others["good"])
        if elementwise:
            rest = np.ones(_SHAPES["bad"], dtype=bool)
            rest[_PLACE] = False
            yield f"the update elsewhere in its leaf, step {k}", host(us["bad"])[rest], host(others["bad"])[rest]
