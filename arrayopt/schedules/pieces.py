"""Schedules given at a few steps, and in between by what leads from one to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from arrayopt import checks
from arrayopt.calls import by_call
from arrayopt.numerics import cos, meeting, real, where
from arrayopt.schedules.decays import constant_schedule
from arrayopt.types import Scalar, Schedule


@by_call
def piecewise_constant_schedule(init_value: Any, boundaries_and_scales: Mapping[int, Any] | None = None) -> Schedule:
    """A value that is multiplied by a factor at some steps: y = y₀ Π fᵢ over all i with bᵢ ≤ k.

    Args:
      init_value: y₀, the value before the first of the steps.
      boundaries_and_scales: factor fᵢ ≥ 0 by step bᵢ, from which on it counts; None for none.

    Raises:
      ValueError: a factor is negative, or a number is not finite.
      TypeError: an argument is not a number, or ``boundaries_and_scales`` no dict.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.piecewise_constant_schedule(1.0, {2: 0.5, 4: 0.1})
      >>> [schedule(k) for k in range(6)]
      [1.0, 1.0, 0.5, 0.5, 0.05, 0.05]
    """
    y0, bounds, factors = _pieces(init_value, boundaries_and_scales)
    if not bounds:
        return constant_schedule(init_value)

    def schedule(count: Any) -> Any:
        k = real(count)
        values = _products(meeting(count, y0, *factors))
        y = values[0]
        for bound, value in zip(bounds, values[1:], strict=True):
            y = where(k < bound, y, value)
        return y

    return schedule


@by_call
def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: Any, boundaries_and_scales: Mapping[int, Any] | None = None
) -> Schedule:
    """A value that goes from y₀ to y₀ f₁, from there to y₀ f₁ f₂, …, and arrives at the steps b₁, b₂, …

    With x = (k − bᵢ) / (bᵢ₊₁ − bᵢ), y = yᵢ + (yᵢ₊₁ − yᵢ) x in a straight line, yᵢ₊₁ + ½ (yᵢ − yᵢ₊₁) (1 + cos πx)
    along half a cosine.

    Args:
      interpolate_type: ``"linear"`` or ``"cosine"``.
      init_value: y₀, the value at step 0.
      boundaries_and_scales: factor fᵢ ≥ 0 by step bᵢ, at which it counts in full; None for none. After the last of
        them the value stays.

    Raises:
      ValueError: another ``interpolate_type``, a factor is negative, or a number is not finite.
      TypeError: an argument is not a number, or ``boundaries_and_scales`` no dict.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.piecewise_interpolate_schedule("linear", 1.0, {2: 2.0, 6: 0.5})
      >>> [schedule(k) for k in range(8)]
      [1.0, 1.5, 2.0, 1.75, 1.5, 1.25, 1.0, 1.0]
    """
    between = _kind(interpolate_type)
    y0, bounds, factors = _pieces(init_value, boundaries_and_scales)
    if not bounds:
        return constant_schedule(init_value)

    def schedule(count: Any) -> Any:
        k = real(count)
        values = _products(meeting(count, y0, *factors))
        y = values[-1]
        for i, (begin, end) in reversed(list(enumerate(zip([0.0, *bounds], bounds, strict=False)))):
            x = (k - begin) / max(end - begin, 1.0)
            y = where(k < end, between(values[i], values[i + 1], x), y)
        return y

    return schedule


def _pieces(init_value: Any, boundaries_and_scales: Any) -> tuple[Scalar, list[float], list[Scalar]]:
    """The first value, the steps in ascending order, and their factors."""
    given: Any = {} if boundaries_and_scales is None else boundaries_and_scales
    if not _is_table(given):
        raise TypeError(
            f"{checks.speaker()}: boundaries_and_scales must be a dict from steps to factors; "
            f"got {type(given).__name__}."
        )
    table = dict(sorted(given.items()))
    bounds = [checks.steps("a step in boundaries_and_scales", step) for step in table]
    factors = [checks.fixed(f"the factor at step {step}", x, low=0.0) for step, x in table.items()]
    return checks.fixed("init_value", init_value), bounds, factors


def _is_table(x: Any) -> bool:
    return isinstance(x, Mapping)


def _products(factors: list[Any]) -> list[Any]:
    """The first, the first times the second, …"""
    found = factors[:1]
    for factor in factors[1:]:
        found.append(found[-1] * factor)
    return found


def _kind(name: Any) -> Callable[[Any, Any, Any], Any]:
    if name == "linear":
        return _line
    if name == "cosine":
        return _half_cosine
    raise ValueError(f"{checks.speaker()}: interpolate_type must be 'linear' or 'cosine'; got {name!r}.")


def _line(start: Any, end: Any, x: Any) -> Any:
    return start + (end - start) * x


def _half_cosine(start: Any, end: Any, x: Any) -> Any:
    return end + 0.5 * (start - end) * (1.0 + cos(math.pi * x))


# -- one cycle ------------------------------------------------------------------------------------------------


@by_call
def linear_onecycle_schedule(
    transition_steps: float,
    peak_value: Any,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: Any = 25.0,
    final_div_factor: Any = 1e4,
) -> Schedule:
    """Up in a straight line, down again, and further down: y / d, y, y / d, y / (d f).

    The steps at which these are reached are 0, a T, b T, rounded down, and T. Where two of them coincide, the later
    one's factor is the only one that counts.

    Args:
      transition_steps: T > 0, number of steps of the cycle.
      peak_value: y, the value at step a T.
      pct_start: a, in [0, 1], share of the steps that go up.
      pct_final: b, in [0, 1], share of the steps that go up and down again.
      div_factor: d > 0, by which the value at step 0 and at step b T is smaller than the peak.
      final_div_factor: f > 0, by which the value from step T on is smaller than the one at step 0.

    Raises:
      ValueError: an argument is out of range.
      TypeError: an argument is not a number.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.linear_onecycle_schedule(8, 1.0, 0.25, 0.75, div_factor=5.0, final_div_factor=2.0)
      >>> [round(schedule(k), 3) for k in range(10)]
      [0.2, 0.6, 1.0, 0.8, 0.6, 0.4, 0.2, 0.15, 0.1, 0.1]

    Source:
      Smith, Topin, 2018: Super-Convergence (arXiv 1708.07120), section 3.
    """
    steps, peak, d, f = _cycle(transition_steps, peak_value, div_factor, final_div_factor)
    up, both = _share("pct_start", pct_start), _share("pct_final", pct_final)
    pieces: dict[Any, Any] = {int(up * steps): d, int(both * steps): 1.0 / d, steps: 1.0 / f}
    return piecewise_interpolate_schedule("linear", peak / d, pieces)


@by_call
def cosine_onecycle_schedule(
    transition_steps: float,
    peak_value: Any,
    pct_start: float = 0.3,
    div_factor: Any = 25.0,
    final_div_factor: Any = 1e4,
) -> Schedule:
    """Up along half a cosine, and down along another: y / d, y, y / (d f).

    The steps at which these are reached are 0, a T, rounded down, and T.

    Args:
      transition_steps: T > 0, number of steps of the cycle.
      peak_value: y, the value at step a T.
      pct_start: a, in [0, 1], share of the steps that go up.
      div_factor: d > 0, by which the value at step 0 is smaller than the peak.
      final_div_factor: f > 0, by which the value from step T on is smaller than the one at step 0.

    Raises:
      ValueError: an argument is out of range.
      TypeError: an argument is not a number.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.cosine_onecycle_schedule(4, 1.0, pct_start=0.5, div_factor=4.0, final_div_factor=5.0)
      >>> [round(schedule(k), 3) for k in range(6)]
      [0.25, 0.625, 1.0, 0.525, 0.05, 0.05]

    Source:
      Smith, Topin, 2018: Super-Convergence (arXiv 1708.07120), section 3; its lines bent to cosines.
    """
    steps, peak, d, f = _cycle(transition_steps, peak_value, div_factor, final_div_factor)
    up = _share("pct_start", pct_start)
    pieces: dict[Any, Any] = {int(up * steps): d, int(steps): 1.0 / (d * f)}
    return piecewise_interpolate_schedule("cosine", peak / d, pieces)


def _cycle(
    transition_steps: Any, peak_value: Any, div_factor: Any, final_div_factor: Any
) -> tuple[float, Any, Any, Any]:
    steps = checks.steps("transition_steps", transition_steps)
    if steps <= 0:
        raise ValueError(f"{checks.speaker()}: transition_steps must be positive; got {transition_steps}.")
    d = checks.fixed("div_factor", div_factor, above=0.0)
    f = checks.fixed("final_div_factor", final_div_factor, above=0.0)
    return steps, checks.fixed("peak_value", peak_value), d, f


def _share(name: str, value: Any) -> float:
    share = checks.fixed(name, value, low=0.0, high=1.0)
    if not isinstance(share, float):
        raise TypeError(f"{checks.speaker()}: {name} must be a Python or NumPy number; got {type(value).__name__}.")
    return share
