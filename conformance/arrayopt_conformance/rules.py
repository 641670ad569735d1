"""The rules of arrayopt, found by looking: no list to be kept.

A rule is a public function in ``arrayopt.optimizers`` or ``arrayopt.transforms`` that returns a transform. Its
oracle is the module of its name in ``arrayopt_conformance.oracles``. A combinator takes transforms to make another:
so its annotations say, see `makers`. It is held to whatever a rule is, with the inner transforms of its cases.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from types import ModuleType
from typing import Any, NamedTuple

import arrayopt
import arrayopt.optimizers
import arrayopt.transforms
from arrayopt import base, contrib
from arrayopt_conformance import oracles
from arrayopt_conformance.makers import by_name, makes_transforms, takes_transforms
from arrayopt_conformance.oracles import Inner, Maker, Schedule, within

REACHES = ("elementwise", "leafwise", "treewise")


class Rule(NamedTuple):
    """A public function that makes a transform."""

    name: str
    make: Callable[..., Any]  # of keyword arguments
    oracle: Any  # the oracle module, or None
    wraps: bool = False  # whether it is a combinator

    def __str__(self) -> str:
        return self.name

    @property
    def public(self) -> Any:
        """The function or class itself."""
        return public(self.name)

    @property
    def cases(self) -> dict[str, dict[str, Any]]:
        """Named sets of arguments, schedules and inner transforms made."""
        return {name: arguments(case) for name, case in self.oracle.CASES.items()}

    @property
    def usual(self) -> dict[str, Any]:
        """Arguments to call it with where any will do: the first case."""
        return next(iter(self.cases.values()))

    def reach(self, case: str) -> str | None:
        """How far an entry is felt in a case: as its oracle states, or as the oracles of the transforms in it."""
        stated = [getattr(self.oracle, "REACH", None)]
        stated += [getattr(oracle_of(inner.name), "REACH", None) for inner in inners(self.oracle.CASES[case])]
        return None if None in stated else max(stated, key=REACHES.index)

    def speakers(self, case: str) -> tuple[str, ...]:
        """The names that an error may begin with in a case."""
        return (self.name, *[inner.name for inner in inners(self.oracle.CASES[case])])


def _as_it_is(value: Any) -> Any:
    return value


def arguments(case: dict[str, Any], plain: Callable[[Any], Any] = _as_it_is) -> dict[str, Any]:
    """The arguments of a case: what is marked is made by arrayopt, what is not is changed by ``plain``."""
    return {name: made(value, plain) for name, value in case.items()}


def made(value: Any, plain: Callable[[Any], Any] = _as_it_is) -> Any:
    """What a marker stands for, also within lists and dicts."""
    if isinstance(value, Schedule):
        return getattr(arrayopt.schedules, value.name)(**arguments(value.kwargs))
    if isinstance(value, Inner):
        return by_name(public(value.name))(**arguments(value.kwargs, plain))
    if isinstance(value, Maker):
        return public(value.name)
    return within(value, partial(made, plain=plain)) if isinstance(value, (dict, list)) else plain(value)


def public(name: str) -> Any:
    """The public function of that name."""
    return getattr(arrayopt, name, None) or getattr(contrib, name)


def inners(value: Any) -> list[Inner]:
    """The inner transforms marked in a case, at any depth."""
    if isinstance(value, Inner):
        return [value, *inners(value.kwargs)]
    found: list[Inner] = []
    within(value, lambda part: found.extend(inners(part)))
    return found


@cache
def rules() -> list[Rule]:
    """Every rule, in alphabetical order."""
    return [Rule(name, make, oracle_of(name)) for name, make in sorted(_factories()) if not takes_transforms(make)]


@cache
def combinators() -> list[Rule]:
    """Every function or class that makes a transform of transforms."""
    found = [(name, make) for name, make in sorted(_factories()) if takes_transforms(make)]
    return [Rule(name, by_name(make), oracle_of(name), True) for name, make in found]


def everybody() -> list[Rule]:
    """Rules and combinators."""
    return [*rules(), *combinators()]


def oracle_of(name: str) -> ModuleType | None:
    """The oracle module of a rule, None if there is none."""
    found = {module.name for module in pkgutil.iter_modules(oracles.__path__)}
    return importlib.import_module(f"{oracles.__name__}.{name}") if name in found else None


def _factories() -> Iterator[tuple[str, Callable[..., Any]]]:
    for module in rooms():
        for name, value in vars(module).items():
            if not name.startswith("_") and _defined_in(module, value) and makes_transforms(value):
                yield name, value
    for name, value in vars(base).items():
        if _defined_in(base, value) and hasattr(arrayopt, name) and makes_transforms(value):
            yield name, value


def _defined_in(module: ModuleType, value: Any) -> bool:
    return (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__


def rooms() -> Iterator[ModuleType]:
    """The modules that rules and transforms live in."""
    for package in (arrayopt.optimizers, arrayopt.transforms):
        for module in pkgutil.iter_modules(package.__path__):
            yield importlib.import_module(f"{package.__name__}.{module.name}")
