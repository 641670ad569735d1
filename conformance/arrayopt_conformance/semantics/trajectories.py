"""Runs of a rule in double precision, and the one comparison that decides whether two runs agree.

Both sides see the same gradients, and each moves parameters of its own by its own updates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import arrayopt
from arrayopt_conformance.libraries import Library
from arrayopt_conformance.oracles import SHAPES, markers
from arrayopt_conformance.rules import Rule, arguments

Array = npt.NDArray[Any]
Trajectory = Iterable[list[Array]]
Shapes = tuple[tuple[int, ...], ...]

STEPS = 12
STILL = 5  # the step at which every gradient is zero
SMALL: Shapes = tuple(SHAPES)
FEW: Shapes = ((), (5,), (0, 4), (4, 6), (3, 5, 4))  # for complex numbers, to which an axis is an axis
ENTRIES: Shapes = ((), (5,), (0, 4), (4, 6))  # for rules to which an entry is an entry
LARGE: Shapes = ((130, 129), (128, 1, 129), (127, 140))  # adafactor factors the first two of these by default

# Relative to the largest entry of the leaf so far. No case is wider: also a slot asked to be float32 rounds alike
# on both sides, but for a double within 1e-16 of the middle between two float32.
TOLERANCE = 1e-12


class Data(NamedTuple):
    """What a run starts from and meets; NumPy arrays."""

    params: list[Array]
    gradients: list[list[Array]]


class Disagreement(AssertionError):
    """Two runs that must agree do not."""


def data_for(rule: Rule, dtype: str, shapes: Shapes = SMALL) -> Data:
    """What the rule meets: `data`, with NaN here and there if its oracle says that it wants some."""
    given = data(dtype, shapes)
    return _spoilt(dtype, shapes) if rule.oracle.meets_nan else given


@cache
def _spoilt(dtype: str, shapes: Shapes) -> Data:
    """The data with NaN for every fifth entry, in every third step."""
    given = data(dtype, shapes)
    days = [[g.copy() for g in gs] for gs in given.gradients]
    for gs in days[1::3]:
        for g in gs:
            g.reshape(-1)[::5] = np.nan
    return Data(given.params, days)


@cache
def data(dtype: str, shapes: Shapes = SMALL, steps: int = STEPS) -> Data:
    """Standard-normal parameters and gradients, float64 or complex128; always the same. One step has none at all."""
    random = np.random.default_rng(20)

    def draw() -> list[Array]:
        return [_normal(random, shape, dtype) for shape in shapes]

    params, gradients = draw(), [draw() for _ in range(steps)]
    gradients[STILL] = [0 * g for g in gradients[STILL]]
    return Data(params, gradients)


def _normal(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    x = np.asarray(random.standard_normal(shape))
    return x + 1j * random.standard_normal(shape) if dtype == "complex128" else x


def run(tx: Any, library: Library, given: Data, dtype: str) -> Iterator[list[Array]]:
    """The updates of a transform, step by step, the parameters moved by them."""
    params = library.tree(given.params, dtype)
    state = tx.init(params)
    for gs in given.gradients:
        us, state = tx.update(library.tree(gs, dtype), state, params)
        params = arrayopt.apply_updates(params, us)
        yield library.numpy(us)


@cache
def expected(rule: Rule, case: str, dtype: str, shapes: Shapes = SMALL) -> Trajectory:
    """The updates of the rule's oracle."""
    given = data_for(rule, dtype, shapes)
    found = rule.oracle(given.params, given.gradients, **markers.plain(rule.oracle.cases[case]))
    return list(found)


def check_case(
    rule: Rule,
    case: str,
    library: Library,
    dtype: str,
    shapes: Shapes = SMALL,
    make: Callable[..., Any] | None = None,
) -> None:
    """Holds one case of a rule, or of what is made by another function in its place, to the rule's oracle.

    Raises:
      Disagreement: they differ; the message says where.
    """
    tx = (make or rule.make)(**arguments(rule.oracle.cases[case]))
    agree(run(tx, library, data_for(rule, dtype, shapes), dtype), expected(rule, case, dtype, shapes), TOLERANCE)


def agree(got: Trajectory, wanted: Trajectory, tolerance: float) -> None:
    """Compares two runs, step by step and leaf by leaf, and stops at the first difference.

    Raises:
      Disagreement: they differ by more than the tolerance, relative to the largest entry of the leaf so far.
    """
    scales: dict[int, float] = {}
    for k, (us, vs) in enumerate(zip(got, wanted, strict=True)):
        for i, (u, v) in enumerate(zip(us, vs, strict=True)):
            scales[i] = max(scales.get(i, 0.0), largest(v))
            compare(f"step {k}, leaf {i} of shape {v.shape}", u, v, tolerance * scales[i])


def largest(x: Array) -> float:
    """The largest magnitude in an array, 0 if it is empty."""
    return float(np.max(abs(x), initial=0.0))


def compare(where: str, got: Array, wanted: Array, allowed: float) -> None:
    """Compares two arrays entry by entry; NaN agrees with nothing.

    Raises:
      Disagreement: the shapes differ, or the entries by more than is allowed.
    """
    if got.shape != wanted.shape:
        raise Disagreement(f"{where}: the shape is {got.shape}, not {wanted.shape}.")
    error = largest(got - 1.0 * wanted)  # both may be bools
    if not error <= allowed:
        raise Disagreement(f"{where}: differs by {error:.2g}, allowed is {allowed:.2g}.")


def failures(checks: Iterable[tuple[str, Callable[[], None]]]) -> str:
    """Every named check that fails, one to a line: all cases are tried before a test gives its verdict."""
    return "\n".join(f"{name}: {message}" for name, check in checks if (message := _message(check)))


def _message(check: Callable[[], None]) -> str:
    try:
        check()
    except Disagreement as disagreement:
        return str(disagreement)
    return ""
