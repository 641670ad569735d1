"""What a wrapper is, said of itself and the transforms within: a chain of one link is its link.

A module here, named after a wrapper, holds its relations, found by looking: ``relation(wrapper, inner, library)``
raises AssertionError where ``wrapper``, called with the transforms that the recipe ``inner`` makes, does not keep to
it. Bits are compared, not values: nothing is to be computed anew.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple

from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library

Holds = Callable[[Callable[..., Any], Recipe, Library], None]


class Relation(NamedTuple):
    """One of them."""

    wrapper: str
    name: str
    holds: Holds

    def __str__(self) -> str:
        return f"{self.wrapper}.{self.name}"


def relations(*wrappers: str) -> list[Relation]:
    """Those of some wrappers, by default of all."""
    found = [module.name for module in pkgutil.iter_modules(__path__) if module.name[:5] not in ("test_", "steps")]
    return [relation for name in found if name in wrappers or not wrappers for relation in _of(name)]


def _of(wrapper: str) -> list[Relation]:
    module = importlib.import_module(f"{__name__}.{wrapper}")
    functions = [value for value in vars(module).values() if inspect.isfunction(value)]
    own = [f for f in functions if f.__module__ == module.__name__ and not f.__name__.startswith("_")]
    return [Relation(wrapper, f.__name__, f) for f in own]
