"""A fused step against the same rule in double, as `tier` has it for updates.

The same parameters and gradients are put to every step as there, so that a difference is the step's own. In a kernel
nothing is rounded to 16 bits but what is stored: there the noise of narrow links is left out of the tolerance, and a
parameter is as far off as its update may be, and rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import arrayopt
from arrayopt_conformance.harness.fused import copied
from arrayopt_conformance.libraries import Library
from arrayopt_conformance.precision.noise import Array
from arrayopt_conformance.precision.tier import GREATEST, SHAPES, TINY, Inputs, compare, reference, ulp
from arrayopt_conformance.rules import Rule, arguments
from arrayopt_conformance.semantics.trajectories import Disagreement, failures


def answers(tx: Any, library: Library, given: Inputs, dtype: str, engine: str) -> Iterator[list[Array]]:
    """The parameters and the leaves of the state after every step."""
    step = arrayopt.fused_step(tx, engine=engine)
    state = copied(tx.init(library.tree(given.params[0], dtype)), library)
    for params, gs in zip(given.params, given.gradients, strict=True):
        new, state = step(library.tree(params, dtype), library.tree(gs, dtype), state)
        yield [np.array(library.numpy(x)) for x in [*new, *arrayopt.tree.leaves(state)]]


def check_run(tx: Any, rule: Rule, case: str, library: Library, engine: str, dtype: str) -> None:
    """Holds a fused step to the reference of a rule's case.

    Raises:
      Disagreement: a parameter or a slot is off by more than the tolerance; the message says where.
    """
    known = reference(rule, case, dtype, dtype == "float32")
    with np.errstate(over="ignore"):
        got = list(answers(tx, library, known.inputs, dtype, engine))
    for k, (row, wanted, spread) in enumerate(zip(got, known.results, known.spreads, strict=True)):
        for i, (x, y, far) in enumerate(zip(row, wanted, spread, strict=True)):
            if i < len(SHAPES):
                moved(f"step {k}, parameter {i}", x, known.inputs.params[k][i], y, far, dtype)
            else:
                compare(f"step {k}, slot {i}", x, y, far, "float32")


def moved(where: str, got: Array, p: Array, u: Array, spread: Array, dtype: str) -> None:
    """A parameter with its update added: as far off as the update may be, and rounded once more."""
    allowed = 4 * (spread + 2 * ulp(u, "float32")) + TINY
    allowed = allowed + ulp(abs(p + u) + allowed, "float32") / 2
    if dtype != "float32":
        allowed = allowed + ulp(abs(p + u) + allowed, dtype) / 2
    new, bound = p + u, GREATEST[dtype]
    ratio = float(np.max(abs(np.clip(got, -bound, bound) - np.clip(new, -bound, bound)) / allowed, initial=0.0))
    if not ratio <= 1:
        raise Disagreement(f"{where}: off by {ratio:.3g} times the tolerance.")


def broken(rule: Rule, library: Library, engine: str, dtype: str, cases: list[str]) -> str:
    """The cases that are less exact than rounding lets them be."""
    absent = {"float64"} - {*library.dtypes}
    possible = [case for case in cases if absent.isdisjoint(map(str, rule.oracle.cases[case].values()))]
    named = [(case, f"{library} by {engine}, {case}") for case in possible]
    return failures((name, partial(check, rule, case, library, engine, dtype)) for case, name in named)


def check(rule: Rule, case: str, library: Library, engine: str, dtype: str) -> None:
    check_run(rule.make(**arguments(rule.oracle.cases[case])), rule, case, library, engine, dtype)
