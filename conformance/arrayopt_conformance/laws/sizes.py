"""Gradients of every size that their dtype holds, from the smallest subnormal number to the greatest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import arrayopt
from arrayopt import dtypes
from arrayopt_conformance.harness.compare import by_path, host
from arrayopt_conformance.harness.data import normal
from arrayopt_conformance.harness.fused import copied, serving
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import COMPLEX, Library, as_is

_LEAST = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 2.0**-1074}


def sizes(dtype: str) -> list[float]:
    """Magnitudes: the least and the greatest there is, and around where squares and their sums leave the range."""
    least, greatest = _LEAST[dtype], dtypes.greatest(dtype)
    root, small = greatest**0.5, least**0.5
    return [least, 3 * least, small, 1e3 * small, root / 1e3, root / 8, root, 8 * root, 1e-3 * greatest, greatest]


def _extremes(dtype: str) -> Iterator[list[float]]:
    """What the first gradients of an entry may be."""
    for size in sizes(dtype):
        yield [size]
        yield [-size, -size, -size]
        yield [size, -size, size]
    yield [sizes(dtype)[0], sizes(dtype)[-1], -sizes(dtype)[-1], sizes(dtype)[0]]


def _days(dtype: str, shapes: dict[str, tuple[int, ...]]) -> list[dict[str, Any]]:
    """Extremes one to a column of ``mixed``; the leaves named after a size are full of it. Then ordinary days."""
    columns = list(_extremes(dtype))
    days = [normal(shapes, 1 + k) for k in range(max(map(len, columns)) + 3)]
    for j, column in enumerate(columns):
        for k, size in enumerate(column):
            days[k]["mixed"][1, j] = size
    for k in range(3):
        days[k]["greatest"][:] = (-1) ** k * dtypes.greatest(dtype)
        days[k]["least"][:] = _LEAST[dtype]
    return days


def _assert_numbers(updates: list[Any], states: list[Any], what: str) -> None:
    """No NaN ever, no infinity in what is kept; and ordinary gradients, the last, have finite updates.

    But for float16: a sum of ten gradients, say, need not be a float16 number, and the update is one.
    """
    for kind, steps, holds in (("update", updates, _not_nan), ("state", states, np.isfinite)):
        for k, tree in enumerate(steps):
            for path, leaf in by_path(tree).items():
                assert np.all(holds(host(leaf))), f"{what}, step {k}: {kind}{path} is {leaf}"
    for path, leaf in by_path(updates[-1]).items() if "float16" not in what.split() else ():
        assert np.all(np.isfinite(host(leaf))), f"{what}: the last update{path} is {leaf}"


def _not_nan(x: Any) -> Any:
    return ~np.isnan(x)


def _case(library: Library, dtype: str) -> tuple[Any, list[Any]]:
    shapes = {"mixed": (2, 3 * len(sizes(dtype)) + 1), "greatest": (60, 2), "least": (3,)}
    return library.tree(normal(shapes, 0), dtype), [library.tree(gs, dtype) for gs in _days(dtype, shapes)]


def _reals(library: Library) -> list[str]:
    return [dtype for dtype in library.dtypes if dtype not in COMPLEX]


def _steps(tx: Any, params: Any, days: list[Any], mode: Any = as_is) -> tuple[list[Any], list[Any]]:
    """The updates and states of each step, the parameters staying where they are."""
    update, state, updates, states = mode(tx.update), tx.init(params), list[Any](), list[Any]()
    for gs in days:
        us, state = update(gs, state, params)
        updates.append(us)
        states.append(state)
    return updates, states


@law()
def finite_gradients_make_no_nan(make: Recipe, library: Library) -> None:
    """Whatever their size, neither in the update nor in the state, then or later."""
    for dtype in _reals(library):
        with np.errstate(all="ignore"):  # NumPy warns of what overflows
            _assert_numbers(*_steps(make(), *_case(library, dtype)), f"for gradients of {dtype}")


@law("numpy")
def what_overflows_makes_no_leap(make: Recipe, library: Library) -> None:
    """Where a square leaves the range of float32, the update is about as long as in float64, where it does not."""
    (params, days), n = _case(library, "float32"), 3 * len(sizes("float32")) + 1
    with np.errstate(all="ignore"):
        single, _ = _steps(make(), params, days)
        double, _ = _steps(make(), *[arrayopt.tree.cast(tree, "float64") for tree in (params, days)])
    for k, (us, vs) in enumerate(zip(single, double, strict=True)):
        for name, u in us.items():
            ordinary = np.max(np.abs(host(vs["mixed"])[0, :n]))
            wanted = np.abs(host(vs[name])) + ordinary
            leaps = np.abs(host(u)) > 10 * wanted
            leaps = leaps & (10 * wanted < dtypes.greatest("float32"))
            leaps = leaps | (np.isinf(host(u)) & (np.abs(host(vs[name])) <= dtypes.greatest("float32")))
            assert not np.any(leaps), f"in float32 the update of {name} in step {k} is {u}, in float64 {vs[name]}"


@law("jax", dear=True)
def nor_do_they_compiled(make: Recipe, library: Library) -> None:
    """As JAX compiles it. (What Torch's compiler finds is run one operation after the other.)"""
    _assert_numbers(*_steps(make(), *_case(library, "float32"), library.modes["jit"]), "compiled")


@law("numpy", "torch", dear=True)
def nor_do_they_fused(make: Recipe, library: Library) -> None:
    """In kernels, the update as it shows in the parameters."""
    for dtype in ("float32", "float16"):
        params, days = _case(library, dtype)
        for engine in [name for name in serving(library) if (name, dtype) != ("numba", "float16")]:
            with np.errstate(all="ignore"):
                _assert_numbers(
                    *_fused(make(), library, params, days, engine), f"for gradients of {dtype} by {engine}"
                )


def _fused(tx: Any, library: Library, params: Any, days: list[Any], engine: str) -> tuple[list[Any], list[Any]]:
    """As `_steps`, each step from the same parameters."""
    step, state = arrayopt.fused_step(tx, engine=engine), tx.init(params)
    moved, states = list[Any](), list[Any]()
    for gs in days:
        new, state = step(copied(params, library), gs, state)
        moved.append(copied(new, library))
        states.append(copied(state, library))
    return moved, states
