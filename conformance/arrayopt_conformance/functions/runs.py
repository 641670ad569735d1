"""Cases run: what they answer, and derivatives by the library's own means and of the oracle.

On JAX compiled, once for a case: outside of ``jit`` it compiles every operation for every shape, which takes much
longer. That the two are the same is a law of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

import arrayopt
from arrayopt.dispatch import is_array
from arrayopt.tree.structure import flatten
from arrayopt_conformance.functions import Case
from arrayopt_conformance.harness.compare import host
from arrayopt_conformance.libraries import Library, Numpy, double, libraries


def split(case: Case) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The arrays of a case, and the function of them alone."""
    leaves, spec = flatten((list(case.args), dict(case.kwargs)))
    at = [k for k, leaf in enumerate(leaves) if is_array(leaf)]

    def f(arrays: Sequence[Any]) -> Any:
        filled = list(leaves)
        for k, x in zip(at, arrays, strict=True):
            filled[k] = x
        args, kwargs = spec.unflatten(filled)
        return case.function(*args, **kwargs)

    return [leaves[k] for k in at], f


def ran(f: Callable[..., Any], library: Library) -> Callable[..., Any]:
    """A function of arrays, on JAX compiled."""
    return library.modes["jit" if library.name == "jax" else "eager"](f)


def answer(case: Case, library: Library, like: Case | None = None) -> Any:
    """What a case answers in double precision; as a program that was compiled for another of the same shapes."""
    with double(library):
        arrays, f = split(case.on(library))
        return library.numpy(_compiled(like or case)(arrays)[0] if library.name == "jax" else f(arrays))


def slopes(case: Case, library: Library, like: Case | None = None) -> list[Numpy]:
    """Derivatives of the sum of all answers, by each argument that a derivative is taken by."""
    with double(library):
        there = case.on(library)
        if library.name == "jax":
            return list(map(host, _compiled(like or case)(split(there)[0])[1]))
        return list(map(host, _slopes_of_torch(there, list(map(library.asarray, _weights(like or case))))))


@cache
def _compiled(case: Case) -> Callable[[list[Any]], Any]:
    """The answer and its derivatives as one program of JAX."""
    f, derivatives = split(case)[1], derivatives_of_jax(case)

    def program(arrays: list[Any]) -> Any:
        return f(arrays), derivatives(arrays)

    return libraries()["jax"].modes["eager" if case.eager else "jit"](program)


def derivatives_of_jax(case: Case) -> Callable[[list[Any]], list[Any]]:
    """Derivatives of the sum of all answers, as a function of the arrays of a case."""
    f, at, weights = split(case)[1], [_place(case, place) for place in case.by], _weights(case)

    def loss(by: list[Any], arrays: list[Any]) -> Any:
        given, backend = dict(zip(at, by, strict=True)), libraries()["jax"].backend
        found = f([given.get(k, x) for k, x in enumerate(arrays)])
        return weighed(found, [backend.xp.asarray(w, dtype=backend.wide()) for w in weights])

    def derivatives(arrays: list[Any]) -> list[Any]:
        grad: Any = importlib.import_module("jax").grad
        return list(grad(loss)([arrays[k] for k in at], arrays)) if at else []

    return derivatives


def _place(case: Case, place: int) -> int:
    """Which of the arrays an argument is."""
    return len(split(case.given(case.args[:place], {}))[0])


def _slopes_of_torch(case: Case, weights: list[Any]) -> tuple[Any, ...]:
    def loss(*by: Any) -> Any:
        given = dict(zip(case.by, by, strict=True))
        args = [given.get(place, x) for place, x in enumerate(case.args)]
        return weighed(case.function(*args, **case.kwargs), weights)

    if not case.by:
        return ()
    grad: Any = importlib.import_module("torch").func.grad
    found: tuple[Any, ...] = grad(loss, tuple(range(len(case.by))))(*[case.args[place] for place in case.by])
    return found


@cache
def wanted(case: Case) -> Any:
    """What the oracle answers."""
    return case.wanted()


@cache
def _weights(case: Case) -> list[Numpy]:
    """Weights for the answers, so that a derivative of one does not hide that of another."""
    shapes = [np.shape(x) for x in arrayopt.tree.leaves(wanted(case))]
    return [np.asarray(np.random.default_rng(5).uniform(0.5, 1.5, shape)) for shape in shapes]


def weighed(answer: Any, weights: list[Any]) -> Any:
    """The sum of all answers, each with its weight."""
    return sum([(y * w).sum() for y, w in zip(arrayopt.tree.leaves(answer), weights, strict=True)])


@cache
def slope(case: Case, place: int, step: float = 1e-6) -> Numpy:
    """The same derivative by differences of the oracle."""
    x, weights = case.args[place], _weights(case)

    def loss(y: Numpy) -> float:
        return float(weighed(case.given((*case.args[:place], y, *case.args[place + 1 :])).wanted(), weights))

    found: Numpy = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[at] = step
        found[at] = (loss(x + move) - loss(x - move)) / (2 * step)
    return found
