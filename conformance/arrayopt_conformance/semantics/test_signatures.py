"""Every public function that Optax has too is called as there: argument names, order, kinds and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import arrayopt

optax = pytest.importorskip("optax")

from arrayopt_conformance import optax_names  # noqa: E402


def namespaces() -> Iterator[tuple[str, ModuleType, ModuleType]]:
    """Every namespace that both have, with the prefix of its names."""
    yield "", arrayopt, optax
    for name, ours in vars(arrayopt).items():
        if isinstance(ours, ModuleType) and isinstance(theirs := getattr(optax, name, None), ModuleType):
            yield f"{name}.", ours, theirs


def shared() -> dict[str, tuple[Any, Any]]:
    """Every public name that both have, with the two objects."""
    return {
        prefix + name: (value, getattr(theirs, name))
        for prefix, ours, theirs in namespaces()
        for name, value in vars(ours).items()
        if not name.startswith("_") and hasattr(theirs, name)
    }


FUNCTIONS = {name: pair for name, pair in shared().items() if inspect.isfunction(pair[0])}
STATES = {name: pair for name, pair in shared().items() if hasattr(pair[0], "_fields")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_signature_is_that_of_optax(name: str) -> None:
    assert optax_names.differing(name, *FUNCTIONS[name]) == []


def test_the_exceptions_are_of_functions_that_both_have() -> None:
    assert {function for function, _ in optax_names.EXCEPTIONS} <= FUNCTIONS.keys()


@pytest.mark.parametrize("namespace", optax_names.NAMESPACES)
def test_nothing_of_optax_is_missing(namespace: str) -> None:
    assert optax_names.differences(namespace) == []


def test_what_comes_later_is_there_in_optax() -> None:
    names = {f"{namespace}.{name}" for namespace in optax_names.NAMESPACES for name in optax_names.wanted(namespace)}
    assert set(optax_names.LATER) <= names


@pytest.mark.parametrize("name", STATES)
def test_the_state_has_the_fields_of_optax(name: str) -> None:
    ours, theirs = STATES[name]
    assert ours.__name__ == theirs.__name__
    assert ours._fields == theirs._fields
