"""Updates remembered over steps: a decaying sum, or an average."""

from __future__ import annotations

from typing import NamedTuple

from arrayopt import checks
from arrayopt.base import GradientTransformation, remembering
from arrayopt.calls import by_call
from arrayopt.lift import counter, lift, slots_like
from arrayopt.numerics import in_range, safe_increment, unbias
from arrayopt.numerics import wide_ema as average
from arrayopt.types import Array, Counter, DType, Params, Scalar, Tree, Updates


class TraceState(NamedTuple):
    """State of `trace`."""

    trace: Tree  # decaying sum of updates; like the parameters, at least float32 or accumulator_dtype


def _trace(g: Array, m: Array, *, decay: Scalar, nesterov: bool) -> tuple[Array, Array]:
    m = in_range(g + decay * m, g)
    return in_range(g + decay * m, g) if nesterov else m, m


@by_call
def trace(decay: Scalar, nesterov: bool = False, accumulator_dtype: DType | None = None) -> GradientTransformation:
    """Replaces the updates by their decaying sum: m ← g + μ m.

    Args:
      decay: μ in [0, 1].
      nesterov: whether to hand on g + μ m, with the new m.
      accumulator_dtype: dtype of m, or its name; by default the parameter's, but at least float32.

    Returns:
      A transform with `TraceState`. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: ``decay`` is out of range.
      TypeError: ``decay`` is neither a number nor a 0-d array.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.trace(decay=0.5)
      >>> state = tx.init(np.zeros(2))
      >>> for _ in range(2):
      ...     u, state = tx.update(np.ones(2), state)
      >>> u
      array([1.5, 1.5])
    """
    who, look_ahead = checks.speaker(), checks.flag("nesterov", nesterov)
    rate, kind = checks.fixed("decay", decay, 0.0, 1.0), checks.slot_dtype("accumulator_dtype", accumulator_dtype)

    def init(params: Params) -> TraceState:
        return TraceState(slots_like(who, params, kind))

    def update(updates: Updates, state: TraceState, params: Params = None) -> tuple[Updates, TraceState]:
        del params
        u, m = lift(who, _trace, updates, state.trace, decay=rate, nesterov=look_ahead)
        return u, TraceState(m)

    return remembering(who, TraceState, init, update)


class EmaState(NamedTuple):
    """State of `ema`."""

    count: Counter  # steps taken; shape (), int32
    ema: Tree  # average of updates; like the parameters, at least float32 or accumulator_dtype


def _ema(g: Array, m: Array, t: Array, *, decay: Scalar, debias: bool) -> tuple[Array, Array]:
    m = average(m, g, decay)
    return in_range(unbias(m, decay, t), m) if debias else m, m


@by_call
def ema(decay: Scalar, debias: bool = True, accumulator_dtype: DType | None = None) -> GradientTransformation:
    """Replaces the updates by their exponential moving average: m ← β m + (1 − β) g.

    Args:
      decay: β in [0, 1).
      debias: whether to hand on m / (1 − βᵗ), which does not begin near zero.
      accumulator_dtype: dtype of m, or its name; by default the parameter's, but at least float32.

    Returns:
      A transform with `EmaState`. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: ``decay`` is out of range.
      TypeError: ``decay`` is neither a number nor a 0-d array.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.ema(decay=0.5, debias=False)
      >>> tx.update(np.ones(2), tx.init(np.zeros(2)))[0]
      array([0.5, 0.5])
    """
    who, corrected = checks.speaker(), checks.flag("debias", debias)
    rate = checks.decay("decay", checks.fixed("decay", decay))
    kind = checks.slot_dtype("accumulator_dtype", accumulator_dtype)

    def init(params: Params) -> EmaState:
        return EmaState(counter(params), slots_like(who, params, kind))

    def update(updates: Updates, state: EmaState, params: Params = None) -> tuple[Updates, EmaState]:
        del params
        t = safe_increment(state.count)
        u, m = lift(who, _ema, updates, state.ema, t=t, decay=rate, debias=corrected)
        return u, EmaState(t, m)

    return remembering(who, EmaState, init, update)
