"""Functions of arrays, such as losses and projections, held to laws on every library as rules are.

A function is one of arrayopt's that takes arrays and answers at once: no state, no steps. For each there are, under
its own name,

- cases, in a module of ``cases``: ``case("losses.huber_loss", normal(4, 3), normal(4, 3), delta=0.5)``, arguments as
  they are written in a call. Floating-point arrays are NumPy float64 here, and of the dtype and library that is tried
  there; other arrays keep their dtype, and all else is handed on as it is.
- an oracle, in the module of the same name in ``oracles``: the function a second time, from its definition, in plain
  NumPy and double precision. It takes the arguments of the cases.

Modules of ``cases`` are found by themselves; ``test_functions`` does the rest. What a case need not hold to, it says:
``case(…).but(rows=False)``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

import arrayopt
from arrayopt_conformance.functions import cases as rooms
from arrayopt_conformance.functions import oracles
from arrayopt_conformance.libraries import Library, Numpy


def same(dtype: str) -> str:
    """The dtype of an answer, where it is that of the arguments."""
    return dtype


def at_least_single(dtype: str) -> str:
    """The dtype of an answer that is never of 16 bits."""
    return dtype if dtype == "float64" else "float32"


@dataclass(frozen=True, eq=False)  # a key by identity
class Case:
    """A function with arguments to call it with.

    Attributes:
      name: of the function, below ``arrayopt``: ``losses.huber_loss``.
      args: its arguments.
      kwargs: those given by name.
      rows: which of the arrays, by place or name, have a first axis over which the function works row by row; True
        for all, False for none.
      by: which of the arrays a derivative is taken by, by place; empty where it has none.
      smooth: whether the derivative is that of the oracle in a neighbourhood; else none is compared with it.
      dtype: the dtype of the answer to arguments of a dtype.
      peer: whether Optax's function answers the same.
      masks: whether what ``where`` leaves out has no part in the answer.
      eager: whether Optax's function looks at values, and cannot be compiled.
      instead: a function to call in place of that of the name.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    rows: bool | tuple[int | str, ...] = True
    by: tuple[int, ...] = (0,)
    smooth: bool = True
    dtype: Callable[[str], str] = same
    peer: bool = True
    masks: bool = True
    eager: bool = False
    instead: Callable[..., Any] | None = None

    def __str__(self) -> str:
        named = [f"{name}={_shown(x)}" for name, x in self.kwargs.items()]
        return f"{self.name}({', '.join([*map(_shown, self.args), *named])})"

    def but(self, **changes: Any) -> Case:
        """The same, otherwise."""
        return replace(self, **changes)

    def given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> Case:
        """The same with other arguments."""
        return replace(self, args=args, kwargs=self.kwargs if kwargs is None else kwargs)

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        return self.instead or self.within(arrayopt)

    def within(self, package: Any) -> Callable[..., Any]:
        """The function of that name in a package."""
        found = package
        for part in self.name.split("."):
            found = getattr(found, part)
        return found  # type: ignore[no-any-return]

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of its arguments."""
        return tuple(inspect.signature(self.function).parameters)

    def mapped(self, change: Callable[[Any], Any]) -> Case:
        """The same with every array of the arguments changed."""

        def each(x: Any) -> Any:
            return change(x) if isinstance(x, np.ndarray) else x

        args, kwargs = arrayopt.tree.map(each, (list(self.args), dict(self.kwargs)))
        return self.given(tuple(args), kwargs)

    def on(self, library: Library, dtype: str = "float64") -> Case:
        """The same with arrays of a library."""

        def there(x: Numpy) -> Any:
            return library.asarray(x, dtype if x.dtype.kind == "f" else None)

        return self.mapped(there)

    def __call__(self) -> Any:
        """What the function answers."""
        return self.function(*self.args, **self.kwargs)

    def wanted(self) -> Any:
        """What the oracle answers."""
        return self.oracle(*self.args, **self.kwargs)

    @property
    def oracle(self) -> Callable[..., Any]:
        """The function a second time."""
        room, _, name = self.name.rpartition(".")
        module = importlib.import_module(f"{oracles.__name__}.{room or 'top'}")
        return getattr(module, name)  # type: ignore[no-any-return]


def _shown(x: Any) -> str:
    return f"{x.dtype}{list(x.shape)}" if isinstance(x, np.ndarray) else repr(x)[:40]


def case(name: str, /, *args: Any, **kwargs: Any) -> Case:
    """A case of a function that works row by row and has a derivative by its first argument."""
    return Case(name, args, kwargs)


@cache
def every() -> dict[str, list[Case]]:
    """The cases of each function, by its name."""
    found: dict[str, list[Case]] = {}
    for each in _found():
        found.setdefault(each.name, []).append(each)
    return dict(sorted(found.items()))


def _found() -> Iterator[Case]:
    for module in pkgutil.iter_modules(rooms.__path__):
        yield from importlib.import_module(f"{rooms.__name__}.{module.name}").CASES
