"""What of the suite a rule is given, and that it is told what that costs."""

from __future__ import annotations

from typing import Any

import pytest

import arrayopt
from arrayopt_conformance import costs, effort
from arrayopt_conformance.laws import laws
from arrayopt_conformance.laws.cases import COMPILED, NOT_OF_ALIASES, home
from arrayopt_conformance.libraries import libraries
from arrayopt_conformance.oracles import oracle_of
from arrayopt_conformance.rules import Rule, everybody


def rule_named(name: str) -> Rule:
    return next(rule for rule in everybody() if rule.name == name)


def planted(make: Any, name: str = "scale") -> Rule:
    """A rule with the cases of another."""
    return Rule(name, make, oracle_of(name))


def test_aliases_are_chains_of_rules() -> None:
    found = {rule.name for rule in everybody() if effort.is_alias(rule)}
    assert {"adam", "adamw", "adabelief", "sgd"} <= found
    assert not found & {"scale_by_adam", "adafactor", "chain", "masked", "scale", "clip_by_global_norm"}


def test_a_rule_that_computes_among_its_links_is_no_alias() -> None:
    def halved(updates: Any, params: Any) -> Any:
        del params
        return arrayopt.tree.scale(0.5, updates)

    def linked(step_size: float) -> Any:
        return arrayopt.chain(arrayopt.trace(0.9), arrayopt.scale(step_size))

    def computing(step_size: float) -> Any:
        own = arrayopt.GradientTransformation(_no_state, arrayopt.identity().update)
        return arrayopt.chain(own, arrayopt.scale(step_size))

    def alone(step_size: float) -> Any:
        return arrayopt.scale(-step_size)

    def wrapping(step_size: float) -> Any:
        return arrayopt.masked(arrayopt.scale(step_size), True)

    def of_a_function(step_size: float) -> Any:
        del step_size
        return arrayopt.stateless(halved)

    assert [effort.is_alias(planted(make)) for make in (linked, alone, of_a_function)] == [True] * 3
    assert [effort.is_alias(planted(make)) for make in (computing, wrapping)] == [False] * 2


def _no_state(params: Any) -> Any:
    del params
    return ()


def test_every_law_is_tried_for_every_rule_that_computes_and_once_for_aliases() -> None:
    found = list(libraries().values())
    for law in laws():
        assert home(rule_named("scale_by_adam"), law, found) == [each for each in found if law.speaks_of(each)]
        tried = [each.name for each in home(rule_named("adam"), law, found)]
        if law.name not in (*COMPILED, *NOT_OF_ALIASES):
            assert tried == (["numpy"] if law.speaks_of(libraries()["numpy"]) else [])
    assert {law.name for law in laws()} >= {*COMPILED, *NOT_OF_ALIASES}


def test_numpy_is_given_every_case() -> None:
    adam = rule_named("scale_by_adam")
    everything, (first, *_, last) = list(adam.oracle.cases), adam.oracle.cases
    assert effort.cases(adam, "numpy") == everything
    assert effort.cases(adam, "jax") == [first, last]
    assert effort.cases(adam, "numpy", dear=True) == [last]
    assert effort.cases(rule_named("adamw"), "torch") == [*rule_named("adamw").oracle.cases][-1:]


@pytest.mark.parametrize("group", costs.GROUPS)
def test_costs_are_added_up(group: str) -> None:
    law = laws()[0].name
    given = [
        (f"laws/test_laws.py::test_law[{law}-numpy-adam]", 1.5),
        ("laws/test_laws.py::test_law[other-adam]", 1.0),
    ]
    wanted = {"test": {"laws/test_laws.py::test_law": 2.5}, "rule": {"adam": 2.5}}
    assert costs.totals(group, given) == wanted.get(group, {law if group == "law" else "numpy": 1.5})
