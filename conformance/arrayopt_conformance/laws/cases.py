"""The rules of arrayopt as laws are given them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import arrayopt
from arrayopt_conformance.laws import Law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library
from arrayopt_conformance.oracles import Backwards, Matrices
from arrayopt_conformance.rules import Rule, arguments

QUICK = ("numpy", "torch")  # JAX compiles every operation of every shape, array-api-strict checks every call


def recipes(rule: Rule, law: Law, library: Library) -> Iterator[tuple[str, Recipe]]:
    """The rule with the arguments of each case; where that takes long, of the first and the last, which has most."""
    cases = list(rule.oracle.cases)
    whole = library.name in QUICK and not law.dear
    for name in cases if whole else cases[:: len(cases) - 1 or 1]:
        yield name, recipe(rule, name, library)


def recipe(rule: Rule, case: str, library: Library, make: Callable[..., Any] | None = None) -> Recipe:
    """The rule, or what is made by another function in its place, with the arguments of a case."""
    given = arguments(rule.oracle.cases[case], partial(_at_hand, library))
    return Recipe(make or rule.make, given, rule.speakers(case), rule.reach(case))


def _at_hand(library: Library, value: Any) -> Any:
    """An argument: in JAX without float64, float32 for it; and a mask for every kind of tree, not only some."""
    if isinstance(value, Matrices):
        return partial(_of_rank, value.ndim)
    if isinstance(value, Backwards):
        return partial(_backwards, value)
    return "float32" if value == "float64" and value not in library.dtypes else value


def _of_rank(least: int, tree: Any) -> Any:
    def selected(x: Any) -> bool:
        return bool(x.ndim >= least)

    return arrayopt.tree.map(selected, tree)


def _backwards(of_leaf: Backwards, updates: Any, params: Any) -> Any:
    del params
    return arrayopt.tree.map(partial(of_leaf, p=None), updates)
