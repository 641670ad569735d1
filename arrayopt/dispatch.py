"""From an array to its library: the namespace to compute in, and the backend that knows its habits."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from typing import Any, cast

import array_api_compat

from arrayopt.backend import Backend
from arrayopt.counts import Count
from arrayopt.each import Each, Words
from arrayopt.imports import when_imported
from arrayopt.types import Namespace

_namespaces: dict[type[Any], Namespace] = {}
_introduced: dict[type[Any], Backend] = {}
_backends: dict[str, Backend] = {}  # by library; a plain dict, since torch.compile cannot trace the look-up below


def namespace(x: object) -> Namespace:
    """The Array API namespace of an array.

    Raises:
      TypeError: ``x`` is not an array of a library that follows the standard.
    """
    found = _namespaces.get(type(x))
    if found is None:
        if isinstance(x, Count):  # which may be of any library
            return namespace(x.array)
        if isinstance(x, Each):
            words: Any = Words(namespace(x.values[0]))
            return cast(Namespace, words)
        module: Any = array_api_compat.array_namespace(cast(Any, x))
        found = _namespaces[type(x)] = module
    return found


def backend(x: object) -> Backend:
    """The backend of an array: its library's adapter, or the plain one for any conforming library."""
    introduced = _introduced.get(type(x))
    if introduced is not None:
        return introduced
    name = _library(namespace(x))
    found = _backends.get(name)
    if found is None:
        found = _backends[name] = backend_named(name)
    return found


def introduce(kind: type[Any], namespace: Any, backend: Backend) -> None:
    """Makes a type of arrays known that belongs to no library: those that record."""
    _namespaces[kind] = namespace
    _introduced[kind] = backend


def is_recorded(x: Any) -> bool:
    """Whether ``x`` is an array that records what is computed with it."""
    return type(x) in _introduced


def is_array(x: Any) -> bool:
    """Whether ``x`` is an array of some library (a Python number is not, nor is a class of arrays)."""
    if type(x) in _namespaces:
        return True
    return (
        not isinstance(x, type)
        and hasattr(x, "dtype")
        and hasattr(x, "shape")
        and bool(cast(Any, array_api_compat).is_array_api_obj(x))
    )


def is_compiling(xs: Iterable[Any]) -> bool:
    """Whether arrays among these are being compiled by what cannot trace a warning."""
    return any([is_array(x) and backend(x).is_compiling() for x in xs])


def library(x: Any) -> str:
    """The name of an array's library, for messages."""
    return _library(namespace(x))


def same_library(x: Any, y: Any) -> bool:
    """Whether two arrays are of one library; an array that records is of the library it records for."""
    a, b = namespace(x), namespace(y)
    return a is b or _library(a) == _library(b)


def _library(xp: Namespace) -> str:
    first, *rest = xp.__name__.split(".")
    return rest[0] if first == "array_api_compat" else first


def backends() -> dict[str, Backend]:
    """Every adapter announced by an installed package, by name; no array library is imported."""
    return dict(sorted(_announced().items()))


@cache
def _announced() -> dict[str, Backend]:
    for point in entry_points(group="arrayopt.backends"):
        try:
            _backends[point.name] = point.load()
        except Exception as error:  # somebody's broken adapter must not take NumPy's optimizers with it
            warnings.warn(f"arrayopt: the adapter {point.value} does not load: {error!r}", stacklevel=2)
    return dict(_backends)


def prepare() -> None:
    """Looks up now what a compiler could not trace later: adapters, imported libraries, types of their arrays."""
    for name, found in _announced().items():
        if name in sys.modules:
            _namespaces.update(dict.fromkeys(found.kinds(), found.xp))


def prepare_for_torch_compile() -> None:
    """Prepares as soon as anybody imports Torch's compiler, which is before it traces anything."""
    when_imported("torch._dynamo", lambda _: prepare())


def backend_named(name: str) -> Backend:
    """The adapter of that name, or the plain backend for a library that has none."""
    return _backends.get(name) or _announced().get(name) or Backend(name)
