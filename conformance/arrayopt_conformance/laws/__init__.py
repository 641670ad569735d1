"""What every transform must hold to, whatever it computes: laws that need no oracle.

A law is a function ``law(make, library)`` that raises AssertionError where it is broken; ``make`` is a `Recipe`. The
modules here that are no tests hold the laws, one theme each; they are found by themselves. ``test_laws`` holds every
rule of arrayopt to them on every library, ``arrayopt_conformance.check`` a transform of somebody else.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library

Holds = Callable[[Recipe, Library], None]


@dataclass(frozen=True)
class Law:
    """One thing promised.

    Attributes:
      name: module and function, as ``"purity.inputs_stay_as_they_are"``.
      holds: raises AssertionError if it does not.
      only: the libraries it speaks of; empty for all.
      dear: whether it compiles something: then two sets of arguments must do for each rule.
    """

    name: str
    holds: Holds
    only: tuple[str, ...]
    dear: bool

    def __str__(self) -> str:
        return self.name

    def speaks_of(self, library: Library) -> bool:
        return not self.only or library.name in self.only


_found: list[Law] = []


def law(*only: str, dear: bool = False) -> Callable[[Holds], Holds]:
    """Marks a function as a law, of the libraries named or of all."""

    def register(holds: Holds) -> Holds:
        name = f"{holds.__module__.rsplit('.', 1)[-1]}.{holds.__name__}"
        _found.append(Law(name, holds, only, dear))
        return holds

    return register


@cache
def laws() -> list[Law]:
    """Every law, in alphabetical order."""
    for module in _modules():
        importlib.import_module(module)
    return sorted(_found, key=str)


def _modules() -> Iterator[str]:
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("test_"):
            yield f"{__name__}.{module.name}"
