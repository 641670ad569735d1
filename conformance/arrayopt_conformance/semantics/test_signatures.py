"""Every public function that Optax has too is called as there: argument names, order, kinds and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib.metadata import version
from types import ModuleType
from typing import Any

import pytest

import arrayopt

optax = pytest.importorskip("optax")

OLD = tuple(int(part) for part in version("optax").split(".")[:3]) < (0, 2, 9)

# (function, argument): why it differs. An entry that no longer differs fails.
NEW = {
    ("adabelief", "weight_decay"): "new in Optax 0.2.9",
    ("adabelief", "weight_decay_mask"): "new in Optax 0.2.9",
}
EXCEPTIONS = {
    **(NEW if OLD else {}),
    ("adafactor", "dtype_momentum"): "the dtype's name: no library is imported for a default",
    ("tree.sum", "associative_reduction"): "how to add up is the array library's affair",
}


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


def described(function: Any) -> dict[str, tuple[Any, Any]]:
    """Kind and default of every argument, in order. The name of ``*args`` is nobody's business."""
    found: dict[str, tuple[Any, Any]] = {}
    for argument in inspect.signature(function).parameters.values():
        name = "*" if argument.kind is argument.VAR_POSITIONAL else argument.name
        found[name] = (argument.kind, comparable(argument.default))
    return found


def comparable(default: Any) -> Any:
    """Of two functions only that they are functions can be compared; what they compute, the oracles say."""
    return "a function" if inspect.isfunction(default) else default


def without(arguments: dict[str, Any], excused: set[str]) -> list[Any]:
    return [item for item in arguments.items() if item[0] not in excused]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_signature_is_that_of_optax(name: str) -> None:
    ours, theirs = map(described, FUNCTIONS[name])
    excused = {argument for function, argument in EXCEPTIONS if function == name}
    assert without(ours, excused) == without(theirs, excused)
    assert {argument for argument in excused if ours.get(argument) == theirs.get(argument)} == set()


def test_the_exceptions_are_of_functions_that_both_have() -> None:
    assert {function for function, _ in EXCEPTIONS} <= FUNCTIONS.keys()


@pytest.mark.parametrize("name", STATES)
def test_the_state_has_the_fields_of_optax(name: str) -> None:
    ours, theirs = STATES[name]
    assert ours.__name__ == theirs.__name__
    assert ours._fields == theirs._fields
