"""Every case of every rule on the device, eagerly and fused, against NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from arrayopt_conformance.gpu.places import Place
from arrayopt_conformance.harness.compare import assert_near, by_path
from arrayopt_conformance.harness.data import gradients, parameters
from arrayopt_conformance.harness.fused import stepped
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.libraries import libraries
from arrayopt_conformance.precision import fused, tier
from arrayopt_conformance.rules import Rule, arguments, rules

Cases = Iterator[tuple[str, Callable[[], Any]]]

FEW = 16 * 2.0**-52
"""Of the greatest entry that a leaf has had; the functions of CUDA's library are off by some last places."""

ENGINES = ("cuda", "eager")
DTYPES = ("float32", "bfloat16", "float64", "float16")


def cases(places: list[Place]) -> Cases:
    """The fullest case of each rule first, in every dtype; then all others."""
    for some in (_fullest, _others):
        for dtype in DTYPES:
            for rule in rules():
                for case in some(rule):
                    for place in [place for place in places if dtype in place.library.dtypes]:
                        for engine in ENGINES:
                            name = f"{place} {dtype} {engine}: {rule}, {case}"
                            yield name, partial(check, rule, case, place, engine, dtype)


def _fullest(rule: Rule) -> list[str]:
    return list(rule.oracle.cases)[-1:]


def _others(rule: Rule) -> list[str]:
    return list(rule.oracle.cases)[:-1]


def check(rule: Rule, case: str, place: Place, engine: str, dtype: str) -> Any:
    """One case, held to what it is held to on a machine without a GPU; the engine that served."""
    kwargs, library = rule.oracle.cases[case], place.library
    if dtype == "float64":
        return in_double(partial(rule.make, **arguments(kwargs)), place, engine)
    if "float64" in map(str, kwargs.values()) and "float64" not in library.dtypes:
        return "float64 is not there"
    if engine == "eager":
        tier.check_run(rule.make(**arguments(kwargs)), rule, case, library, dtype)
        return engine
    fused.check(rule, case, library, engine, dtype)
    return engine


def in_double(make: Callable[[], Any], place: Place, engine: str) -> str:
    """As NumPy steps eagerly, up to some last places of the greatest entry that a leaf has had."""
    numpy, here = libraries()["numpy"], place.library
    params, days = parameters(numpy, "float64"), gradients(numpy, "float64")
    plain = run(make(), params, days)
    done = stepped(make, here, here.tree(params, "float64"), [here.tree(day, "float64") for day in days], engine)
    assert_near(_over_time([params, *done.params]), _over_time([params, *plain.params]), FEW, "the parameter ")
    first = make().init(params)
    assert_near(_over_time([first, *done.states]), _over_time([first, *plain.states]), FEW, "the state ")
    found = done.step.explain()
    assert found.engine == engine, found.reason
    return found.engine


def _over_time(trees: list[Any]) -> dict[str, list[Any]]:
    """For each leaf what it was, step by step."""
    steps = [by_path(tree) for tree in trees]
    return {path: [step[path] for step in steps] for path in steps[0]}
