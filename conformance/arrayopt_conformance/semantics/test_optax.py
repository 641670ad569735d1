"""Every rule that Optax has means what it means there: the same updates, and the same state field by field."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

import arrayopt
from arrayopt.dispatch import is_array
from arrayopt_conformance import effort
from arrayopt_conformance.libraries import Library, double, has, libraries
from arrayopt_conformance.rules import Rule, arguments
from arrayopt_conformance.semantics import optax_rules
from arrayopt_conformance.semantics.trajectories import (
    ENTRIES,
    FEW,
    Data,
    Disagreement,
    Shapes,
    agree,
    compare,
    data_for,
    failures,
    largest,
)

pytestmark = pytest.mark.skipif(not (has("jax") and has("optax")), reason="needs jax and optax")

SHAPES = {"float64": (*FEW, (4, 4, 4)), "complex128": FEW}


def check(rule: Rule, case: str, dtype: str) -> None:
    """Holds one case to Optax.

    Raises:
      Disagreement: updates or states differ.
    """
    given, jax = data_for(rule, dtype, shapes(rule, dtype)), libraries()["jax"]
    wanted = optax_rules.tolerance(rule, rule.oracle.cases[case])[0]
    ours = Run(rule.make(**arguments(rule.oracle.cases[case])), jax, given, dtype)
    theirs = Run(optax_rules.made(rule, rule.oracle.cases[case]), jax, given, dtype)
    compare_states("the first state", ours.state, theirs.state, wanted)
    agree(ours.updates(), theirs.updates(), wanted)
    compare_states("the last state", ours.state, theirs.state, wanted)


def shapes(rule: Rule, dtype: str) -> Shapes:
    """Of the leaves: few, since JAX compiles every operation for each."""
    return ENTRIES if effort.is_of_entries(rule) else FEW if rule.wraps else SHAPES[dtype]


class Run:
    """One transform, ours or Optax's, under way on JAX; the parameters move by Python's own sum."""

    def __init__(self, tx: Any, jax: Library, given: Data, dtype: str) -> None:
        self.tx, self.jax, self.given, self.dtype = tx, jax, given, dtype
        self.params = jax.tree(given.params, dtype)
        self.state = tx.init(self.params)

    def updates(self) -> Iterator[list[Any]]:
        for gs in self.given.gradients:
            us, self.state = self.tx.update(self.jax.tree(gs, self.dtype), self.state, self.params)
            self.params = arrayopt.tree.add(self.params, us)
            yield [np.asarray(u) for u in us]


def compare_states(where: str, ours: Any, theirs: Any, tolerance: float) -> None:
    """Compares two states field by field. Dtypes may differ, and real second moments stand for complex ones.

    Raises:
      Disagreement: another type, other fields, or another value; the message says where.
    """
    if is_array(theirs):
        theirs = np.asarray(theirs)
        return compare(where, np.asarray(ours), theirs, tolerance * largest(theirs))
    names, its = fields(ours), fields(theirs)
    if type(ours).__name__ != type(theirs).__name__ or names != its:
        raise Disagreement(f"{where}: {type(ours).__name__}{names} is {type(theirs).__name__}{its} there.")
    for name, mine, other in zip(names, ours, theirs, strict=True):
        compare_states(f"{where}.{name}", mine, other, tolerance)
    return None


def fields(state: Any) -> list[str]:
    """The names of what a state holds; the places, in a tuple or list."""
    return list(getattr(state, "_fields", map(str, range(len(state)))))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_every_case_agrees_with_optax(rule: Rule, dtype: str) -> None:
    if optax_rules.counterpart(rule) is None:
        pytest.skip("Optax has no rule of that name")
    if dtype == "complex128" and (rule.wraps or effort.is_alias(rule)):
        pytest.skip("it does not compute")  # but what is within, and JAX compiles every operation of every shape
    cases = [name for name, case in rule.oracle.cases.items() if not optax_rules.obstacle(rule, case, dtype)]
    if dtype == "complex128":  # that all arguments mean the same, reals show
        cases = effort.ends(cases)
    if not cases:
        pytest.skip(f"Optax: {optax_rules.obstacle(rule, next(iter(rule.oracle.cases.values())), dtype)}")
    with double(libraries()["jax"]):
        broken = failures((case, partial(check, rule, case, dtype)) for case in cases)
    assert not broken
