"""array-api-strict at its strictest: arrays on a second device, that show nobody their values.

It stands for a GPU library and for tracing at once: a scalar left on the default device cannot meet the arrays, and
whoever looks at a value (``if``, ``float``, an index) or writes to an array while the guard is up raises.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest import mock

import arrayopt
from arrayopt_conformance.harness import runs
from arrayopt_conformance.harness.compare import by_path
from arrayopt_conformance.harness.data import SHAPES, Shapes, gradients, parameters
from arrayopt_conformance.libraries import Library

NAME = "array_api_strict"
_LOOKS = ("__bool__", "__float__", "__int__", "__complex__", "__index__")
_WRITES = ("__setitem__", *[f"__i{op}__" for op in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")])


def _forbidden(name: str) -> Callable[..., NoReturn]:
    def raises(*_: Any) -> NoReturn:
        raise RuntimeError(f"{name} of an array: an update may neither look at values nor write")

    return raises


@contextmanager
def guarded() -> Generator[None]:
    """While it lasts, arrays cannot be looked at or written to, and shapes cannot depend on values."""
    strict = importlib.import_module(NAME)
    flags = strict.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False)
    banned: dict[str, Any] = {name: _forbidden(name) for name in (*_LOOKS, *_WRITES)}
    array = strict.zeros(()).__class__
    with flags, mock.patch.multiple(array, create=True, **banned):
        yield


def abroad(tree: Any) -> Any:
    """The tree on the second device."""
    strict = importlib.import_module(NAME)

    def moved(x: Any) -> Any:
        return x.to_device(strict.Device("device1"))

    return arrayopt.tree.map(moved, tree)


def abroad_arrays(tree: Any) -> Any:
    """The tree with its arrays on the second device; what else is in it stays."""
    strict = importlib.import_module(NAME)

    def moved(x: Any) -> Any:
        return x.to_device(strict.Device("device1")) if hasattr(x, "to_device") else x

    return arrayopt.tree.map(moved, tree)


def trial(make: Callable[[], Any], library: Library, shapes: Shapes = SHAPES) -> None:
    """Steps a transform there; raises if it is not portable."""
    params = abroad(parameters(library, shapes=shapes))
    days = [abroad(gs) for gs in gradients(library, shapes=shapes)]
    with guarded():
        state = runs.trial(make(), params, days)
    for path, leaf in by_path(state).items():
        assert leaf.device == params["w"].device, f"the state{path} is on {leaf.device}"
