"""Schedules given by one formula."""

from __future__ import annotations

import math
from typing import Any

from arrayopt import checks
from arrayopt.calls import by_call
from arrayopt.numerics import at_least, at_most, cos, floor, meeting, real, where
from arrayopt.types import Schedule


@by_call
def constant_schedule(value: Any) -> Schedule:
    """The same value at every step.

    Args:
      value: a number or 0-d array.

    Example:
      >>> import arrayopt
      >>> arrayopt.constant_schedule(0.1)(7)
      0.1
    """
    value = checks.fixed("value", value)
    return lambda count: value


@by_call
def polynomial_schedule(
    init_value: Any, end_value: Any, power: Any, transition_steps: float, transition_begin: float = 0
) -> Schedule:
    """From one value to another as (1 − x)ᵖ falls, x going from 0 to 1 over the transition.

    y = (y₀ − y₁)(1 − x)ᵖ + y₁, x = clip(k − k₀, 0, T) / T.

    Args:
      init_value: y₀, the value up to step k₀.
      end_value: y₁, the value from step k₀ + T on.
      power: p > 0.
      transition_steps: T, number of steps of the transition; if it is not positive, the value stays y₀.
      transition_begin: k₀, step at which it begins; a negative one counts as 0.

    Raises:
      ValueError: an argument is not finite.
      TypeError: an argument is not a number.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.polynomial_schedule(1.0, 0.0, power=2, transition_steps=4)
      >>> [schedule(k) for k in range(6)]
      [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """
    y0, y1 = checks.fixed("init_value", init_value), checks.fixed("end_value", end_value)
    p, steps = checks.fixed("power", power), checks.steps("transition_steps", transition_steps)
    begin = max(checks.steps("transition_begin", transition_begin), 0.0)
    if steps <= 0:
        return constant_schedule(init_value)

    def schedule(count: Any) -> Any:
        x = at_most(at_least(real(count) - begin, 0.0), steps) / steps
        first, last, exponent = meeting(count, y0, y1, p)
        return (first - last) * (1.0 - x) ** exponent + last

    return schedule


@by_call
def linear_schedule(
    init_value: Any, end_value: Any, transition_steps: float, transition_begin: float = 0
) -> Schedule:
    """From one value to another in a straight line.

    Args:
      init_value: the value up to step ``transition_begin``.
      end_value: the value ``transition_steps`` later, and after.
      transition_steps: number of steps of the transition; if it is not positive, the value stays
        ``init_value``.
      transition_begin: step at which it begins; a negative one counts as 0.

    Raises:
      ValueError: an argument is not finite.
      TypeError: an argument is not a number.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.linear_schedule(1.0, 0.0, transition_steps=4, transition_begin=1)
      >>> [schedule(k) for k in range(7)]
      [1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


@by_call
def exponential_decay(
    init_value: Any,
    transition_steps: float,
    decay_rate: Any,
    transition_begin: float = 0,
    staircase: bool = False,
    end_value: Any = None,
) -> Schedule:
    """A value times a rate to the power of the steps: y₀ rˣ, x = (k − k₀) / T.

    Args:
      init_value: y₀, the value up to step k₀.
      transition_steps: T, number of steps in which the value changes by the factor r; if it is not positive,
        the value stays y₀.
      decay_rate: r > 0; if it is 0, the value stays y₀.
      transition_begin: k₀, step at which it begins; a negative one counts as 0.
      staircase: whether to change only every T steps.
      end_value: bound of the value, below if r < 1, else above; None for none.

    Raises:
      ValueError: ``decay_rate`` is negative, or an argument is not finite.
      TypeError: an argument is not a number.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.exponential_decay(1.0, transition_steps=2, decay_rate=0.25, end_value=0.1)
      >>> [schedule(k) for k in range(5)]
      [1.0, 0.5, 0.25, 0.125, 0.1]
    """
    y0, r = checks.fixed("init_value", init_value), checks.fixed("decay_rate", decay_rate, low=0.0)
    steps = checks.steps("transition_steps", transition_steps)
    begin = max(checks.steps("transition_begin", transition_begin), 0.0)
    bound = None if end_value is None else checks.fixed("end_value", end_value)
    stairs = checks.flag("staircase", staircase)
    if steps <= 0 or r == 0:
        return constant_schedule(init_value)

    def schedule(count: Any) -> Any:
        x = at_least(real(count) - begin, 0.0) / steps
        first, rate = meeting(count, y0, r)
        y = first * rate ** (floor(x) if stairs else x)
        if bound is None:
            return y
        return where(rate < 1.0, at_least(y, bound), at_most(y, bound))

    return schedule


@by_call
def cosine_decay_schedule(init_value: Any, decay_steps: float, alpha: Any = 0.0, exponent: Any = 1.0) -> Schedule:
    """Half a cosine down from a value: y₀ ((1 − α) ((1 + cos πx) / 2)ᵖ + α), x = min(k, T) / T.

    Args:
      init_value: y₀, the value at step 0.
      decay_steps: T > 0, step from which the value is α y₀.
      alpha: α, last value relative to the first.
      exponent: p, of the cosine.

    Raises:
      ValueError: ``decay_steps`` is not positive, or a value is not finite.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.cosine_decay_schedule(1.0, decay_steps=4)
      >>> [round(schedule(k), 3) for k in range(6)]
      [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]

    Source:
      Loshchilov, Hutter, 2017: SGDR: Stochastic Gradient Descent with Warm Restarts (arXiv 1608.03983), eq. 5.
    """
    y0, floor_ = checks.fixed("init_value", init_value), checks.fixed("alpha", alpha)
    p, steps = checks.fixed("exponent", exponent), checks.steps("decay_steps", decay_steps)
    if steps <= 0:
        raise ValueError(f"{checks.speaker()}: decay_steps must be positive; got {decay_steps}.")

    def schedule(count: Any) -> Any:
        x = at_most(real(count), steps) / steps
        first, last, exponent = meeting(count, y0, floor_, p)
        falling = (0.5 * (1.0 + cos(math.pi * x))) ** exponent
        return first * ((1.0 - last) * falling + last)

    return schedule
