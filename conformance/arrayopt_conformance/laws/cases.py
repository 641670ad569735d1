"""The rules of arrayopt as laws are given them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import arrayopt
from arrayopt_conformance import effort
from arrayopt_conformance.laws import Law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library
from arrayopt_conformance.oracles import Backwards, Matrices
from arrayopt_conformance.rules import Rule, arguments

# Of what is said of one library alone, this is tried for aliases too: that users' own programs can be compiled.
# Compiled kernels are those of its links.
NOT_OF_ALIASES = ("sizes.nor_do_they_fused",)
COMPILED = ("modes.jit_changes_nothing_and_traces_once", "modes.compiling_changes_nothing_and_is_done_once")


def home(rule: Rule, law: Law, found: Iterable[Library]) -> list[Library]:
    """The libraries that a law is tried on for a rule: those found that it speaks of; for an alias NumPy will do."""
    spoken = [each for each in found if law.speaks_of(each)]
    if effort.is_alias(rule) and law.name not in COMPILED:
        return [each for each in spoken if each.name == effort.FIRST and law.name not in NOT_OF_ALIASES]
    return spoken


def recipes(rule: Rule, law: Law, library: Library) -> Iterator[tuple[str, Recipe]]:
    """The rule with the arguments of each case that the law is tried with; of an alias those of the last."""
    for name in effort.cases(rule, library, dear=law.dear or effort.is_alias(rule)):
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
