"""The reach of every rule is the one its oracle states, neither more nor less."""

from __future__ import annotations

import pytest

import arrayopt
from arrayopt_conformance import effort
from arrayopt_conformance.laws.reach import reach
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.rules import REACHES, Rule


def test_reach_is_as_stated(rule: Rule) -> None:
    found = {name: reach(Recipe(rule.make, rule.cases[name])) for name in effort.cases(rule, "torch")}
    assert rule.oracle.reach in REACHES, f"the oracle of {rule} must state its reach, one of {REACHES}"
    stated = {name: str(rule.reach(name)) for name in found}
    assert all([REACHES.index(found[name]) <= REACHES.index(stated[name]) for name in found]), (found, stated)
    assert max(found.values(), key=REACHES.index) == max(stated.values(), key=REACHES.index), found


@pytest.mark.parametrize(
    ("make", "stated"),
    [
        (Recipe(arrayopt.sgd, {"learning_rate": 0.1}), "elementwise"),
        (Recipe(arrayopt.clip_by_block_rms, {"threshold": 0.1}), "leafwise"),
        (Recipe(arrayopt.scale_by_factored_rms, {"min_dim_size_to_factor": 2}), "leafwise"),
        (Recipe(arrayopt.clip_by_global_norm, {"max_norm": 0.1}), "treewise"),
    ],
    ids=lambda x: getattr(getattr(x, "function", x), "__name__", x),
)
def test_reaches_are_told_apart(make: Recipe, stated: str) -> None:
    assert reach(make) == stated
