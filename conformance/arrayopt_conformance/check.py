"""The laws for everybody: holds a transform that is not arrayopt's own to what arrayopt promises of its."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from arrayopt_conformance.harness.data import SHAPES, gradients, parameters
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.laws import laws
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library, libraries

Oracle = Callable[..., Any]

_DOUBLE = 1e-12  # of the greatest entry: thousands of roundings in double, and no formula that is another
_STEPS = 12


def check(
    optimizer: Any,
    *,
    library: str | None = "numpy",
    oracle: Oracle | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    """Holds a transform to every law that needs to know nothing of it.

    Args:
      optimizer: a transform, or a function that makes one. Of a function the arguments are tried too: those
        annotated ``Scalar`` must take 0-d arrays, those annotated ``ScalarOrSchedule`` schedules, and what its
        docstring says of their range must be enforced.
      library: name of the array library to try it on; None for all that are installed.
      oracle: the same rule a second time, to agree with in double precision:
        ``oracle(params, gradients, **arguments)`` takes a list of arrays and an iterable of such lists, and yields
        the list of updates of each step.
      arguments: to call the function with.

    Raises:
      AssertionError: laws are broken; the message has a line for each.

    Example:
      >>> import arrayopt
      >>> from arrayopt_conformance import check
      >>> check(arrayopt.adamw, arguments={"learning_rate": 0.1})
      >>> def forgetful():
      ...     def update(updates, state, params=None):
      ...         return arrayopt.tree.map(lambda g: g / abs(g), updates), state
      ...     return arrayopt.GradientTransformation(lambda params: (), update)
      >>> check(forgetful)  # doctest: +ELLIPSIS
      Traceback (most recent call last):
        ...
      AssertionError: ... laws are broken:
      ...
      numpy: edges.zero_gradients_move_nothing: RuntimeWarning: invalid value encountered in divide
      ...
    """
    make = _recipe(optimizer, arguments or {})
    chosen = libraries().values() if library is None else [libraries()[library]]
    broken = [line for found in chosen for line in _broken(make, found, oracle)]
    if broken:
        raise AssertionError(f"{len(broken)} laws are broken:\n" + "\n".join(broken))


def _recipe(optimizer: Any, arguments: Mapping[str, Any]) -> Recipe:
    """A transform is made by a function that knows only it."""
    if not hasattr(optimizer, "update"):
        return Recipe(optimizer, arguments)

    def made() -> Any:
        return optimizer

    return Recipe(made)


def _broken(make: Recipe, library: Library, oracle: Oracle | None) -> Iterator[str]:
    for law in laws():
        if law.speaks_of(library):
            yield from _complaint(f"{library}: {law}", law.holds, make, library)
    if oracle is not None and "float64" in library.dtypes:
        yield from _complaint(f"{library}: oracle", _agrees, make, library, oracle)


def _complaint(name: str, holds: Callable[..., None], *args: Any) -> Iterator[str]:
    """A line, if it does not hold: a transform may fail in any way."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            holds(*args)
        except Exception as error:
            text = " ".join(str(error).split())
            yield (
                f"{name}: {text}" if isinstance(error, AssertionError) else f"{name}: {type(error).__name__}: {text}"
            )


def _agrees(make: Recipe, library: Library, oracle: Oracle) -> None:
    """The transform in double precision with its oracle, leaf by leaf and step by step."""
    params, days = parameters(library, "float64"), gradients(library, "float64", steps=_STEPS)
    done = run(make(), params, days)
    lists = [list(library.numpy(tree).values()) for tree in (params, *days)]
    for k, wanted in enumerate(oracle(lists[0], lists[1:], **make.arguments)):
        for name, got, expected in zip(SHAPES, library.numpy(done.updates[k]).values(), wanted, strict=True):
            error = float(np.max(np.abs(got - expected), initial=0.0))
            scale = float(np.max(np.abs(expected), initial=0.0))
            assert error <= _DOUBLE * scale, f"the update of {name} in step {k} is off by {error:g}"
