"""Updates times a number: fixed, scheduled, or the negative learning rate."""

from __future__ import annotations

from typing import Any, NamedTuple

from arrayopt import checks
from arrayopt.base import GradientTransformation, identity, init_empty_state, remembering
from arrayopt.calls import by_call
from arrayopt.lift import check_scalar, counter, lift, parameters
from arrayopt.numerics import at, safe_increment
from arrayopt.types import Array, Counter, OptState, Params, Scalar, ScalarOrSchedule, Schedule, Updates


def _times(g: Array, *, step_size: Scalar, sign: int = 1) -> Array:
    return sign * step_size * g


@by_call
def scale(step_size: Scalar) -> GradientTransformation:
    """Multiplies the updates by a number.

    Args:
      step_size: the factor, of any sign.

    Returns:
      A transform with `EmptyState`.

    Raises:
      TypeError: ``step_size`` is neither a number nor a 0-d array.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.scale(-0.5)
      >>> tx.update(np.ones(2), tx.init(np.ones(2)))[0]
      array([-0.5, -0.5])
    """
    return _scaled("step_size", checks.fixed("step_size", step_size))


def _scaled(name: str, factor: Scalar, sign: int = 1) -> GradientTransformation:
    who = checks.speaker()

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        del params
        check_scalar(who, name, factor, updates)
        return lift(who, _times, updates, step_size=factor, sign=sign), state

    return GradientTransformation(init_empty_state, update)


class ScaleByScheduleState(NamedTuple):
    """State of `scale_by_schedule`."""

    count: Counter  # steps taken; shape (), int32


@by_call
def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformation:
    """Multiplies the updates of step k by ``step_size_fn(k)``, k = 0, 1, …

    Args:
      step_size_fn: from the step count, a 0-d int32 array, to the factor.

    Returns:
      A transform with `ScaleByScheduleState`.

    Raises:
      TypeError: ``step_size_fn`` is not callable.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.scale_by_schedule(arrayopt.linear_schedule(1.0, 0.0, 4))
      >>> g, state = np.ones(2), tx.init(np.ones(2))
      >>> for _ in range(3):
      ...     u, state = tx.update(g, state)
      >>> u
      array([0.5, 0.5])
    """
    if not callable(step_size_fn):
        raise TypeError(f"{checks.speaker()}: step_size_fn must be a function of the step; got {step_size_fn!r}.")
    return _scheduled(checks.function("step_size_fn", step_size_fn))


def _scheduled(schedule: Schedule, sign: int = 1) -> GradientTransformation:
    who = checks.speaker()

    def init(params: Params) -> ScaleByScheduleState:
        parameters(who, params)
        return ScaleByScheduleState(counter(params))

    def update(
        updates: Updates, state: ScaleByScheduleState, params: Params = None
    ) -> tuple[Updates, ScaleByScheduleState]:
        del params
        new = lift(who, _times, updates, **at(state.count, step_size=schedule), sign=sign)
        return new, ScaleByScheduleState(safe_increment(state.count))

    return remembering(who, ScaleByScheduleState, init, update)


@by_call
def scale_by_learning_rate(
    learning_rate: ScalarOrSchedule | None = None, *, flip_sign: bool = True
) -> GradientTransformation:
    """Multiplies the updates by the negative learning rate, so that adding them descends.

    Args:
      learning_rate: step length, in units of the parameter for each unit of update; a number, a 0-d array, or
        a schedule of the step count 0, 1, … None leaves the updates as they are.
      flip_sign: whether to multiply by −1 too.

    Returns:
      A transform with `EmptyState`; with `ScaleByScheduleState` if the rate is a schedule.

    Raises:
      TypeError: ``learning_rate`` is none of these.
      ValueError: it is not finite, or an array but not 0-d.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.scale_by_learning_rate(0.5)
      >>> tx.update(np.ones(2), tx.init(np.ones(2)))[0]
      array([-0.5, -0.5])
    """
    sign = -1 if checks.flag("flip_sign", flip_sign) else 1
    if learning_rate is None:
        return identity()
    rate: Any = checks.number("learning_rate", learning_rate)
    return _scheduled(rate, sign) if callable(rate) else _scaled("learning_rate", rate, sign)
