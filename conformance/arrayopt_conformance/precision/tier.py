"""One step of a rule after another in a narrow dtype, against the same steps in double, and the tolerance between.

Both are given the same parameters and gradients, already rounded to the narrow dtype, so that a difference is the
rule's own. The tolerance is four times what Monte-Carlo arithmetic spreads to, and two ulp of float32; where the
result itself is of 16 bits, half an ulp of that.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from typing import Any, NamedTuple

import numpy as np

import arrayopt
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.precision.noise import Array, arithmetic
from arrayopt_conformance.rules import Rule, arguments
from arrayopt_conformance.semantics.trajectories import Disagreement

SHAPES: list[tuple[int, ...]] = [(), (9,), (6, 4), (3, 4, 2)]
STEPS, RUNS = 12, 8

TINY = 2.0**-126  # smallest normal float32; what lies below, libraries may flush
BITS = {"float32": (24, -125), "bfloat16": (8, -125), "float16": (11, -13)}  # significant bits, least exponent


class Inputs(NamedTuple):
    """Parameters and gradients of every step, in double, each a number of the narrow dtype."""

    params: list[list[Array]]
    gradients: list[list[Array]]


class Reference(NamedTuple):
    """What a rule answers in double, and how far Monte-Carlo arithmetic strays from it."""

    inputs: Inputs
    results: list[list[Array]]  # for every step the updates, and the leaves of the state
    spreads: list[list[Array]]


def rounded(x: Array, dtype: str) -> Array:
    """To a number of that dtype, in double."""
    kind = np.dtype(getattr(importlib.import_module("ml_dtypes"), dtype, None) or dtype)
    return np.asarray(x).astype(kind).astype(np.float64)


def ulp(x: Array, dtype: str) -> Array:
    """The distance from one number of that dtype to the next, at x."""
    bits, least = BITS[dtype]
    return np.asarray(np.ldexp(1.0, np.maximum(np.frexp(x)[1], least) - bits))


@cache
def inputs(dtype: str) -> Inputs:
    """Normal gradients, each entry with a scale of its own between 1/16 and 16; parameters that shrink by halves."""
    random = np.random.default_rng(21)
    scales = [np.exp2(random.integers(-4, 5, shape)) for shape in SHAPES]

    def draw(scale: Array) -> Array:
        return rounded(random.standard_normal(scale.shape) * scale, dtype)

    gradients = [[draw(scale) for scale in scales] for _ in range(STEPS)]
    return Inputs([[draw(np.full(shape, 2.0**-k)) for shape in SHAPES] for k in range(STEPS)], gradients)


@cache
def reference(rule: Rule, case: str, dtype: str) -> Reference:
    """Runs a case in double, and some times with noise."""
    make, kwargs = rule.make, arguments(rule.oracle.CASES[case])
    given = inputs(dtype)
    results = list(answers(make(**kwargs), libraries()["numpy"], given, "float64"))
    spreads = [[np.zeros_like(x) for x in row] for row in results]
    for seed in range(RUNS):
        for row, far, strayed in zip(results, spreads, _with_noise(make(**kwargs), given, seed), strict=True):
            far[:] = [np.maximum(f, abs(s - x)) for f, s, x in zip(far, strayed, row, strict=True)]
    return Reference(given, results, spreads)


def _with_noise(tx: Any, given: Inputs, seed: int) -> list[list[Array]]:
    with arithmetic(seed) as noisy:
        return list(_steps(tx, given, lambda leaves: [noisy(x) for x in leaves], np.asarray))


def answers(
    tx: Any, library: Library, given: Inputs, dtype: str, wrap: Callable[..., Any] | None = None
) -> Iterator[list[Array]]:
    """The updates and the state after every step, as NumPy arrays; ``wrap`` compiles the update, say."""
    tx = tx._replace(update=wrap(tx.update)) if wrap else tx
    return _steps(tx, given, lambda leaves: library.tree(leaves, dtype), library.numpy)


def _steps(
    tx: Any, given: Inputs, put: Callable[[list[Array]], Any], get: Callable[[Any], Array]
) -> Iterator[list[Array]]:
    state = tx.init(put(given.params[0]))
    for params, gs in zip(given.params, given.gradients, strict=True):
        us, state = tx.update(put(gs), state, put(params))
        yield [get(x) for x in [*us, *arrayopt.tree.leaves(state)]]


def check_case(
    tx: Any, rule: Rule, case: str, library: Library, dtype: str, wrap: Callable[..., Any] | None = None
) -> None:
    """Holds a transform on some library to the reference of a rule's case.

    Raises:
      Disagreement: an update or a slot is off by more than the tolerance; the message says where.
    """
    known = reference(rule, case, dtype)
    with np.errstate(all="ignore"):
        got = list(answers(tx, library, known.inputs, dtype, wrap))
    for k, (row, wanted, spread) in enumerate(zip(got, known.results, known.spreads, strict=True)):
        for i, (x, y, far) in enumerate(zip(row, wanted, spread, strict=True)):
            out = dtype if i < len(SHAPES) else "float32"
            _compare(f"step {k}, {'update' if i < len(SHAPES) else 'slot'} {i % len(SHAPES)}", x, y, far, out)


def _compare(where: str, got: Array, wanted: Array, spread: Array, dtype: str) -> None:
    allowed = 4 * (spread + 2 * ulp(wanted, "float32")) + TINY
    if dtype != "float32":
        allowed = allowed + ulp(abs(wanted) + allowed, dtype) / 2
    ratio = float(np.max(abs(got - wanted) / allowed, initial=0.0))
    if not ratio <= 1:
        raise Disagreement(f"{where}: off by {ratio:.3g} times the tolerance.")
