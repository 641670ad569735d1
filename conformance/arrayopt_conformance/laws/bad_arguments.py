"""Arguments that make no sense are refused by name before a step is taken with them.

The ranges are those of the docstring: what it says, ``in [0, 1)`` or ``ε ≥ 0``, must be enforced.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import arrayopt
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.hyper import numbers
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.laws.refusals import refused
from arrayopt_conformance.libraries import Library, libraries

_NOT_FINITE = (math.nan, math.inf, -math.inf)
_NO_NUMBER: tuple[Any, ...] = ("0.1", [0.1], 1j, True, {})


def use(make: Recipe, library: Library) -> Callable[[], Any]:
    """Makes the transform and takes a step."""

    def attempt() -> Any:
        params, (gs,) = parameters(library, shapes=SMALL), gradients(library, shapes=SMALL, steps=1)
        tx = make()
        return tx.update(gs, tx.init(params), params)

    return attempt


def _assert_refused(make: Recipe, library: Library, name: str, bad: Any) -> None:
    what = f"{name}={bad!r}"
    assert refused(make, what, use(make.but(**{name: bad}), library), name), f"{what} is taken without complaint"


@law()
def numbers_must_be_finite_scalars(make: Recipe, library: Library) -> None:
    """Neither NaN nor infinite, of no other type, of no other shape; None only where it is the default."""
    vector = library.asarray([0.1, 0.2], "float32")
    arrays = vector, library.asarray(1j, "complex64"), library.asarray(True, "bool"), np.complex64(1), np.bool_(True)
    for name in numbers(make):
        nothing = () if "None" in str(make.parameters[name].annotation) else (None,)
        for bad in (*_NOT_FINITE, *_NO_NUMBER, *nothing, *arrays):
            _assert_refused(make, library, name, bad)


@law()
def ranges_are_those_of_the_docstring(make: Recipe, library: Library) -> None:
    """A number outside the range that the docstring states is refused; the bound itself as it says."""
    for name, stated in _stated(make).items():
        for bad in _outside(stated):
            _assert_refused(make, library, name, bad)


@law()
def switches_and_counts_must_be_such(make: Recipe, library: Library) -> None:
    """A bool argument takes True and False, an int argument integers."""
    for name in make.accepting("bool"):
        for bad in (1, 0, "yes", None):
            _assert_refused(make, library, name, bad)
    for name in make.accepting("int"):
        for wrong in (1.5, "2", True, None):
            _assert_refused(make, library, name, wrong)


@law()
def dtypes_must_hold_fractions(make: Recipe, library: Library) -> None:
    """A dtype argument takes floating-point dtypes, by any library's name."""
    for name in make.accepting("DType"):
        for bad in ("int32", "bool", "float31", "complex64", 32, library.asarray(1.0)):
            _assert_refused(make, library, name, bad)


@law()
def functions_must_be_callable(make: Recipe, library: Library) -> None:
    """An argument that is a function must be one; a mask a tree of bools."""
    for name in make.accepting("Callable"):
        for bad in (0.5, "power", None):
            _assert_refused(make, library, name, bad)
    decaying = make.but(**{name: 0.1 for name in numbers(make) if "weight_decay" in name})
    for name in make.accepting("MaskOrFn"):
        for wrong in ("w", 1, {"w": 1.0, "s": True}):
            what = f"{name}={wrong!r}"
            attempt = use(decaying.but(**{name: wrong}), library)
            assert refused(make, what, attempt, "mask"), f"{what} is taken without complaint"


@law()
def transforms_must_be_such(make: Recipe, library: Library) -> None:
    """What a wrapper is of must be transforms, not functions that make one."""
    for name in make.accepting("Transform"):
        annotation, given = str(make.parameters[name].annotation), make.value(name)
        uncalled = () if "Callable" in annotation else (arrayopt.adam,)
        for bad in (0.5, "adam", *uncalled, *(() if "None" in annotation else (None,))):
            wrong: Any = [bad] if isinstance(given, (list, tuple)) else {"a": bad} if isinstance(given, dict) else bad
            what = f"{name}={wrong!r}"
            assert refused(make, what, use(make.but(**{name: wrong}), library)), f"{what} is taken without complaint"


@law()
def arrays_of_another_library_are_refused(make: Recipe, library: Library) -> None:
    """Also as a hyper-parameter; but for NumPy's, which is the number it holds."""
    for other in libraries().values():
        if other.name in ("numpy", library.name):
            continue
        for name in make.accepting("Scalar"):
            alien = make.but(**{name: other.asarray(0.5, "float32")})
            what = f"{name} of {other} for gradients of {library}"
            assert refused(make, what, use(alien, library)), f"{what} is taken without complaint"


def _stated(make: Recipe) -> dict[str, str]:
    """What the docstring says of each number."""
    text = inspect.getdoc(make.function) or ""
    _, _, rest = text.partition("Args:\n")
    said = dict(re.findall(r"^  (\w+): (.*(?:\n    .*)*)", rest.partition("\n\n")[0], flags=re.MULTILINE))
    return {name: said[name] for name in numbers(make) if name in said}


def _outside(stated: str) -> Iterator[float]:
    """Values outside a range stated in words as those of this project."""
    if found := re.search(r"in \[(\S+), (\S+)(\)|\])", stated):
        low, high = float(found[1]), float(found[2])
        yield from (low - 0.1, high + 0.5, *([high] if found[3] == ")" else []))
    if found := re.search(r" ≥ (\d+)", stated):
        yield float(found[1]) - 0.1
    if found := re.search(r" > (\d+)", stated):
        yield from (float(found[1]), float(found[1]) - 0.1)
