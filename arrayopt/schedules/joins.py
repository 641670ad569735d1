"""Schedules one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arrayopt import checks
from arrayopt.calls import by_call
from arrayopt.numerics import where
from arrayopt.schedules.decays import cosine_decay_schedule, linear_schedule
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
