"""A rule in a narrow dtype against the same rule in double, and the tolerance between.

Both are given the same parameters and gradients at every step, already rounded to the narrow dtype, so that a
difference is the rule's own. The tolerance is four times as far as Monte-Carlo arithmetic strays and two ulp of
float32; where the result itself has 16 bits, half an ulp of those.

Every link of a chain hands on updates in the gradient's dtype. Where that has 16 bits, the noise includes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

import arrayopt
from arrayopt.transforms.combining import chain
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.precision.noise import Array, Noisy, arithmetic, bare, noisy
from arrayopt_conformance.rules import Rule, arguments
from arrayopt_conformance.semantics.trajectories import Disagreement

SHAPES: list[tuple[int, ...]] = [(), (9,), (6, 4)]
STEPS, RUNS = 8, 12

TINY = 2.0**-126  # smallest normal float32; what lies below, libraries may flush
BITS = {"float32": (24, -125), "bfloat16": (8, -125), "float16": (11, -13)}  # significant bits, least exponent
GREATEST = {"float32": np.inf, "bfloat16": np.inf, "float16": 65504.0}  # what is greater, overflows as it should


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
    return np.asarray(x).astype(libraries()["numpy"].backend.dtype(dtype)).astype(np.float64)


def ulp(x: Array, dtype: str) -> Array:
    """The distance from one number of that dtype to the next, at x."""
    bits, least = BITS[dtype]
    return np.asarray(np.ldexp(1.0, np.maximum(np.frexp(x)[1], least) - bits))


@cache
def inputs(dtype: str) -> Inputs:
    """Normal gradients, each entry with its own scale between 1/16 and 16; parameters that shrink step by step."""
    random = np.random.default_rng(21)
    scales = [np.exp2(random.integers(-4, 5, shape)) for shape in SHAPES]

    def draw(scale: Array) -> Array:
        return rounded(random.standard_normal(scale.shape) * scale, dtype)

    gradients = [[draw(scale) for scale in scales] for _ in range(STEPS)]
    return Inputs([[draw(np.full(shape, 4.0**-k)) for shape in SHAPES] for k in range(STEPS)], gradients)


def reference(rule: Rule, case: str, dtype: str, narrow_links: bool = True) -> Reference:
    """Runs a case in double, and some times with noise; that of narrow links only where there are such."""
    return _reference(rule, case, dtype, dtype if narrow_links else "float32")


@cache
def _reference(rule: Rule, case: str, dtype: str, links: str) -> Reference:
    tx, given = rule.make(**arguments(rule.oracle.cases[case])), inputs(dtype)
    results = list(answers(tx, libraries()["numpy"], given, "float64"))
    spreads = [[np.zeros_like(x) for x in row] for row in results]
    for seed in range(RUNS):
        strayed = _with_noise(rule, case, given, links, seed)
        for row, far, stray in zip(results, spreads, strayed, strict=True):
            far[:] = [np.maximum(f, abs(s - x)) for f, s, x in zip(far, stray, row, strict=True)]
    return Reference(given, results, spreads)


def _with_noise(rule: Rule, case: str, given: Inputs, dtype: str, seed: int) -> list[list[Array]]:
    with arithmetic(seed), _narrow_links(dtype):  # chains among the arguments too
        tx = rule.make(**arguments(rule.oracle.cases[case]))
        return list(_steps(tx, given, lambda leaves: [noisy(x) for x in leaves], bare))


def _narrow_links(dtype: str) -> AbstractContextManager[Any]:
    """Chains made within it move their updates, after each link, by up to half an ulp of a 16-bit dtype."""

    def shaken(u: Any) -> Any:
        return noisy(_moved(bare(u), dtype))

    def support(tx: Any) -> arrayopt.GradientTransformationExtraArgs:
        link = arrayopt.with_extra_args_support(tx)

        def update(*args: Any, **kwargs: Any) -> Any:
            us, state = link.update(*args, **kwargs)
            return arrayopt.tree.map(shaken, us), state

        return arrayopt.GradientTransformationExtraArgs(link.init, update)

    where = f"{chain.__module__}.with_extra_args_support"
    return nullcontext() if dtype == "float32" else mock.patch(where, support)


def _moved(x: Array, dtype: str) -> Array:
    return x + ulp(x, dtype) / 2 * Noisy.random.uniform(-1, 1, x.shape)


def answers(tx: Any, library: Library, given: Inputs, dtype: str) -> Iterator[list[Array]]:
    """The updates and the leaves of the state after every step, as NumPy arrays."""
    return _steps(tx, given, lambda leaves: library.tree(leaves, dtype), library.numpy)


def _steps(
    tx: Any, given: Inputs, put: Callable[[list[Array]], Any], get: Callable[[Any], Array]
) -> Iterator[list[Array]]:
    state = tx.init(put(given.params[0]))
    for params, gs in zip(given.params, given.gradients, strict=True):
        us, state = tx.update(put(gs), state, put(params))
        yield [1.0 * get(x) for x in [*us, *arrayopt.tree.leaves(state)]]  # some may be bools


def check_run(tx: Any, rule: Rule, case: str, library: Library, dtype: str) -> None:
    """Holds a transform on some library to the reference of a rule's case.

    Raises:
      Disagreement: an update or a slot is off by more than the tolerance; the message says where.
    """
    known = reference(rule, case, dtype)
    with np.errstate(over="ignore"):
        got = list(answers(tx, library, known.inputs, dtype))
    for k, (row, wanted, spread) in enumerate(zip(got, known.results, known.spreads, strict=True)):
        for i, (x, y, far) in enumerate(zip(row, wanted, spread, strict=True)):
            update = i < len(SHAPES)
            compare(f"step {k}, {'update' if update else 'slot'} {i}", x, y, far, dtype if update else "float32")


def compare(where: str, got: Array, wanted: Array, spread: Array, dtype: str) -> None:
    """Compares a result with the reference.

    Raises:
      Disagreement: it is off by more than the tolerance.
    """
    allowed = 4 * (spread + 2 * ulp(wanted, "float32")) + TINY
    if dtype != "float32":
        allowed = allowed + ulp(abs(wanted) + allowed, dtype) / 2
    got, wanted = [np.clip(x, -GREATEST[dtype], GREATEST[dtype]) for x in (got, wanted)]
    ratio = float(np.max(abs(got - wanted) / allowed, initial=0.0))
    if not ratio <= 1:
        raise Disagreement(f"{where}: off by {ratio:.3g} times the tolerance.")
