"""The rules of arrayopt, found by looking: no list to be kept.

A rule is a public function in ``arrayopt.optimizers`` or ``arrayopt.transforms`` that returns a transform. Its
oracle is the function of its name in ``arrayopt_conformance.oracles``. A combinator takes transforms to make another:
so its annotations say, see `makers`. It is held to whatever a rule is, with the inner transforms of its cases.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from types import ModuleType
from typing import Any, NamedTuple, get_args

import arrayopt
import arrayopt.optimizers
import arrayopt.transforms
from arrayopt import base, contrib
from arrayopt_conformance.makers import by_name, makes_transforms, takes_transforms
from arrayopt_conformance.oracles import Inner, Maker, Reach, Schedule, markers, oracle_of, within

REACHES: tuple[Reach, ...] = get_args(Reach)


class Rule(NamedTuple):
    """A public function that makes a transform."""

    name: str
    make: Callable[..., Any]  # of keyword arguments
    oracle: Any  # the `Oracle`, or None
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
        return {name: arguments(case) for name, case in self.oracle.cases.items()}

    @property
    def usual(self) -> dict[str, Any]:
        """Arguments to call it with where any will do: the first case."""
        return next(iter(self.cases.values()))

    def reach(self, case: str) -> Reach:
        """How far an entry is felt in a case: as its oracle states, or as the oracles of the transforms in it."""
        inner = [markers.oracle(each.name) for each in inners(self.oracle.cases[case])]
        return max([oracle.reach for oracle in (self.oracle, *inner)], key=REACHES.index)

    def speakers(self, case: str) -> tuple[str, ...]:
        """The names that an error may begin with in a case."""
        return (self.name, *[inner.name for inner in inners(self.oracle.cases[case])])


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
