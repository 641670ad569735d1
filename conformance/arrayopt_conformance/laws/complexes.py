"""Complex parameters: every rule takes them, steps them as it would a pair of reals, and keeps squares real."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import arrayopt
from arrayopt import dtypes
from arrayopt_conformance.harness.compare import ULP, assert_alike, assert_near, host
from arrayopt_conformance.harness.data import SMALL, normal
from arrayopt_conformance.harness.runs import Run, run
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import COMPLEX, Library

_STEPS = 3
# Rounding differs where a modulus is taken or a complex number divided: a few last places in each of three steps.
_FEW = {"complex64": 32 * ULP, "complex128": 32 * 2.0**-52}


def _complex(library: Library) -> Iterator[str]:
    yield from [dtype for dtype in library.dtypes if dtype in COMPLEX]


def _run(make: Recipe, library: Library, dtype: str, factor: complex, *, imaginary: bool) -> Run:
    """Three steps with parameters and gradients all times a factor."""

    def times(tree: dict[str, Any]) -> Any:
        return library.tree({name: factor * x for name, x in tree.items()}, dtype)

    days = [normal(SMALL, 1 + k, imaginary=imaginary) for k in range(_STEPS)]
    return run(make(), times(normal(SMALL, 0, imaginary=imaginary)), [times(gs) for gs in days])


@law()
def reals_in_complex_step_as_reals(make: Recipe, library: Library) -> None:
    """A complex leaf that lies on the real axis stays there, where the real leaf does."""
    for dtype in _complex(library):
        among = _run(make, library, dtype, 1.0, imaginary=False)
        alone = _run(make, library, dtypes.real_part(dtype), 1.0, imaginary=False)
        real, imaginary = _parts(among.updates)
        assert_near(real, library.numpy(alone.updates), _FEW[dtype], f"as {dtype}, the update of step ")
        assert_near(imaginary, arrayopt.tree.zeros_like(imaginary), 0.0, f"as {dtype}, off the axis, step ")


def _parts(tree: Any) -> tuple[Any, Any]:
    def real(x: Any) -> Any:
        return np.real(host(x))

    def imaginary(x: Any) -> Any:
        return np.imag(host(x))

    return arrayopt.tree.map(real, tree), arrayopt.tree.map(imaginary, tree)


@law()
def a_turn_turns_updates_and_leaves_squares(make: Recipe, library: Library) -> None:
    """All times i: the updates and the complex slots are times i, and what is real, squares above all, stays."""
    for dtype in _complex(library):
        plain = _run(make, library, dtype, 1.0, imaginary=True)
        turned = _run(make, library, dtype, 1j, imaginary=True)
        what = f"turned by i, in {dtype}, the"
        assert_near(turned.updates, _turned(plain.updates), _FEW[dtype], f"{what} update of step ")
        assert_near(turned.states, _turned(plain.states), _FEW[dtype], f"{what} state of step ")


def _turned(tree: Any) -> Any:
    """Complex leaves times i, on the host."""

    def turned(x: Any) -> Any:
        return host(x) * (1j if dtypes.is_complex(x.dtype) else 1)

    return arrayopt.tree.map(turned, tree)


@law()
def real_gradients_step_complex_parameters(make: Recipe, library: Library) -> None:
    """As the complex gradients without imaginary part that they are; and what is stored stays of its dtype."""
    for dtype in _complex(library):
        params = library.tree(normal(SMALL, 0, imaginary=True), dtype)
        days = [normal(SMALL, 1 + k) for k in range(_STEPS)]
        real = run(make(), params, [library.tree(gs, dtypes.real_part(dtype)) for gs in days])
        wanted = run(make(), params, [library.tree(gs, dtype) for gs in days])
        what = f"of a real gradient of {dtype}, the"
        assert_near(real.params, library.numpy(wanted.params), _FEW[dtype], f"{what} parameter after step ")
        assert_near(real.states, library.numpy(wanted.states), _FEW[dtype], f"{what} state after step ")
        for k, (a, b) in enumerate(zip(real.states, wanted.states, strict=True)):
            assert_alike(b, a, f"{what} state after step {k}")


@law()
def complex_gradients_of_real_parameters_are_refused(make: Recipe, library: Library) -> None:
    """By the rule or, where it needs no parameters, by ``apply_updates``; nothing imaginary is dropped."""
    for dtype in _complex(library):
        params = library.tree(normal(SMALL, 0), dtypes.real_part(dtype))
        days = [library.tree(normal(SMALL, 1, imaginary=True), dtype)]
        try:
            run(make(), params, days)
        except TypeError as error:
            assert "real" in str(error) and "complex" in str(error), f"unclear: {error}"
        else:
            raise AssertionError(f"a {dtype} gradient of a real parameter is taken")
