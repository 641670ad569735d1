"""Schedules one after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from arrayopt import checks
from arrayopt.calls import by_call
from arrayopt.numerics import where
from arrayopt.schedules.decays import cosine_decay_schedule, exponential_decay, linear_schedule
from arrayopt.types import Schedule


@by_call
def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[float]) -> Schedule:
    """One schedule after another, each counting its steps from 0.

    Args:
      schedules: n ≥ 1 schedules.
      boundaries: n − 1 steps, ascending; at each the next schedule takes over.

    Raises:
      ValueError: the numbers do not fit, or the boundaries do not ascend.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.join_schedules([arrayopt.constant_schedule(v) for v in (1.0, 2.0)], [3])
      >>> [schedule(k) for k in range(5)]
      [1.0, 1.0, 1.0, 2.0, 2.0]
    """
    who, parts, starts = checks.speaker(), list(schedules), [0, *[_whole(step) for step in boundaries]]
    if len(parts) != len(starts):
        raise ValueError(f"{who}: {len(starts)} schedules go with {len(starts) - 1} boundaries; got {len(parts)}.")
    if starts != sorted(starts):
        raise ValueError(f"{who}: boundaries must ascend from 0; got {list(boundaries)}.")

    def schedule(count: Any) -> Any:
        value = parts[0](count)
        for part, start in zip(parts[1:], starts[1:], strict=True):
            value = where(count < start, value, part(count - start))
        return value

    return schedule


def _whole(step: float) -> float:
    """The step as an int if it is one: strict libraries compare integer counts with integers only."""
    return int(step) if step == int(step) else step


def _ratio(end: Any, peak: Any) -> Any:
    """end / peak; 0 where the peak is 0."""
    is_zero = peak == 0
    return where(is_zero, 0.0, end / where(is_zero, 1.0, peak))


@by_call
def warmup_constant_schedule(init_value: Any, peak_value: Any, warmup_steps: float) -> Schedule:
    """Up in a straight line, then level.

    Args:
      init_value: the value at step 0.
      peak_value: the value from step ``warmup_steps`` on.
      warmup_steps: number of steps up; if it is not positive, the value stays ``init_value``, as in Optax.

    Raises:
      ValueError: an argument is not finite.
      TypeError: an argument is not a number.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.warmup_constant_schedule(0.0, 1.0, warmup_steps=2)
      >>> [schedule(k) for k in range(5)]
      [0.0, 0.5, 1.0, 1.0, 1.0]
    """
    up = checks.steps("warmup_steps", warmup_steps)
    return linear_schedule(init_value, checks.fixed("peak_value", peak_value), up)


@by_call
def warmup_cosine_decay_schedule(
    init_value: Any,
    peak_value: Any,
    warmup_steps: float,
    decay_steps: float,
    end_value: Any = 0.0,
    exponent: Any = 1.0,
) -> Schedule:
    """Up in a straight line, then down half a cosine.

    Args:
      init_value: the value at step 0.
      peak_value: the value at step ``warmup_steps``.
      warmup_steps: number of steps up.
      decay_steps: number of steps up and down together, greater than ``warmup_steps``.
      end_value: the value from step ``decay_steps`` on.
      exponent: of the cosine.

    Raises:
      ValueError: ``decay_steps`` is not greater than ``warmup_steps``, or a value is not finite.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps=2, decay_steps=6)
      >>> [round(schedule(k), 3) for k in range(7)]
      [0.0, 0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    up, both = checks.steps("warmup_steps", warmup_steps), checks.steps("decay_steps", decay_steps)
    if both <= up:
        raise ValueError(
            f"{checks.speaker()}: decay_steps, which includes the warm-up, must exceed warmup_steps; "
            f"got {both:g} and {up:g}."
        )
    peak = checks.fixed("peak_value", peak_value)
    alpha = _ratio(checks.fixed("end_value", end_value), peak)
    rising = linear_schedule(init_value, peak_value, up)
    falling = cosine_decay_schedule(peak, both - up, alpha, exponent)
    return join_schedules([rising, falling], [up])


@by_call
def warmup_exponential_decay_schedule(
    init_value: Any,
    peak_value: Any,
    warmup_steps: float,
    transition_steps: float,
    decay_rate: Any,
    transition_begin: float = 0,
    staircase: bool = False,
    end_value: Any = None,
) -> Schedule:
    """Up in a straight line, then down by a factor every so many steps: `exponential_decay` after a warm-up.

    Args:
      init_value: the value at step 0.
      peak_value: the value at step ``warmup_steps``.
      warmup_steps: number of steps up.
      transition_steps: number of steps in which the value changes by the factor ``decay_rate``; if it is not
        positive, the value stays ``peak_value``.
      decay_rate: at least 0; if it is 0, the value stays ``peak_value``.
      transition_begin: number of steps after the warm-up before the decay begins; a negative one counts as 0.
      staircase: whether to change only every ``transition_steps``.
      end_value: bound of the decaying value, below if the rate is less than 1, else above; None for none.

    Raises:
      ValueError: ``decay_rate`` is negative, or an argument is not finite.
      TypeError: an argument is not a number.

    Example:
      >>> import arrayopt
      >>> schedule = arrayopt.warmup_exponential_decay_schedule(0.0, 1.0, 2, transition_steps=1, decay_rate=0.5)
      >>> [schedule(k) for k in range(6)]
      [0.0, 0.5, 1.0, 0.5, 0.25, 0.125]
    """
    up, peak = checks.steps("warmup_steps", warmup_steps), checks.fixed("peak_value", peak_value)
    rising = linear_schedule(init_value, peak, up)
    falling = exponential_decay(peak, transition_steps, decay_rate, transition_begin, staircase, end_value)
    return join_schedules([rising, falling], [up])


@by_call
def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """Warm restarts: one `warmup_cosine_decay_schedule` after another.

    Args:
      cosine_kwargs: the arguments of each, by name; its ``decay_steps`` says how many steps it takes.

    Raises:
      ValueError: there is none, or the arguments of one do not fit.
      TypeError: one lacks an argument.

    Example:
      >>> import arrayopt
      >>> first = {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 1, "decay_steps": 3}
      >>> schedule = arrayopt.sgdr_schedule([first, {**first, "peak_value": 0.5}])
      >>> [round(schedule(k), 3) for k in range(7)]
      [0.0, 1.0, 0.5, 0.0, 0.5, 0.25, 0.0]

    Source:
      Loshchilov, Hutter, 2017: SGDR: Stochastic Gradient Descent with Warm Restarts (arXiv 1608.03983), eq. 5.
    """
    cycles = [dict(kwargs) for kwargs in cosine_kwargs]
    if not cycles:
        raise ValueError(
            f"{checks.speaker()}: cosine_kwargs must hold the arguments of at least one cycle; got none."
        )
    parts = [warmup_cosine_decay_schedule(**kwargs) for kwargs in cycles]
    ends = list(accumulate([checks.steps("decay_steps", kwargs["decay_steps"]) for kwargs in cycles]))
    return join_schedules(parts, ends[:-1])
