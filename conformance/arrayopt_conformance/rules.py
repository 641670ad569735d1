"""The rules of arrayopt, found by looking: no list to be kept.

A rule is a public function in ``arrayopt.optimizers`` or ``arrayopt.transforms`` that returns a transform. Its
oracle is the module of its name in ``arrayopt_conformance.oracles``. A combinator takes transforms to make another.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import arrayopt
import arrayopt.optimizers
import arrayopt.transforms
from arrayopt_conformance import oracles
from arrayopt_conformance.oracles import Schedule


class Rule(NamedTuple):
    """A public function that makes a transform."""

    name: str
    make: Callable[..., Any]
    oracle: Any  # the oracle module, or None

    def __str__(self) -> str:
        return self.name

    @property
    def cases(self) -> dict[str, dict[str, Any]]:
        """Named sets of arguments, schedules made."""
        return {name: arguments(case) for name, case in self.oracle.CASES.items()}

    @property
    def usual(self) -> dict[str, Any]:
        """Arguments to call it with where any will do: the first case."""
        return next(iter(self.cases.values()))


def arguments(case: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a case, with every marked schedule made by arrayopt."""
    return {name: made(value) if isinstance(value, Schedule) else value for name, value in case.items()}


def made(schedule: Schedule) -> Any:
    """The schedule of arrayopt that a marker stands for."""
    kwargs = dict(schedule.kwargs)
    if schedule.name == "join_schedules":
        kwargs["schedules"] = [made(part) for part in kwargs["schedules"]]
    return getattr(arrayopt.schedules, schedule.name)(**kwargs)


@cache
def rules() -> list[Rule]:
    """Every rule, in alphabetical order."""
    return [Rule(name, make, oracle_of(name)) for name, make in sorted(_factories()) if not is_combinator(make)]


@cache
def combinators() -> list[Rule]:
    """Every function that makes a transform of transforms."""
    return [Rule(name, make, None) for name, make in sorted(_factories()) if is_combinator(make)]


def is_combinator(make: Callable[..., Any]) -> bool:
    first = next(iter(inspect.signature(make).parameters.values()), None)
    return first is not None and (first.kind is first.VAR_POSITIONAL or first.name in ("inner", "tx"))


def oracle_of(name: str) -> ModuleType | None:
    """The oracle module of a rule, None if there is none."""
    found = {module.name for module in pkgutil.iter_modules(oracles.__path__)}
    return importlib.import_module(f"{oracles.__name__}.{name}") if name in found else None


def _factories() -> Iterator[tuple[str, Callable[..., Any]]]:
    for module in rooms():
        for name, value in vars(module).items():
            if not name.startswith("_") and _defined_in(module, value) and _makes_transforms(value):
                yield name, value
    yield "identity", arrayopt.identity


def _defined_in(module: ModuleType, value: Any) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__


def _makes_transforms(function: Callable[..., Any]) -> bool:
    return "GradientTransformation" in str(function.__annotations__.get("return", ""))


def rooms() -> Iterator[ModuleType]:
    """The modules that rules and transforms live in."""
    for package in (arrayopt.optimizers, arrayopt.transforms):
        for module in pkgutil.iter_modules(package.__path__):
            yield importlib.import_module(f"{package.__name__}.{module.name}")
