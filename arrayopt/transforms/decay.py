"""Decoupled weight decay."""

from __future__ import annotations

from typing import Any, NamedTuple

from arrayopt import checks
from arrayopt.base import GradientTransformation, GradientTransformationExtraArgs, init_empty_state, remembering
from arrayopt.calls import by_call
from arrayopt.lift import counter, lift, parameters
from arrayopt.numerics import at, safe_increment
from arrayopt.transforms.masking import masked
from arrayopt.types import Array, Counter, MaskOrFn, OptState, Params, Scalar, ScalarOrSchedule, Updates


class WeightDecaySchedule(NamedTuple):
    """State of `add_decayed_weights` with a schedule."""

    count: Counter  # steps taken; shape (), int32


def _with_decay(g: Array, p: Array, *, weight_decay: Scalar) -> Array:
    return g + weight_decay * p


@by_call
def add_decayed_weights(
    weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None
) -> GradientTransformation | GradientTransformationExtraArgs:
    """Adds the parameters times a number: u + λ·p.

    Placed before the learning rate, it is the decoupled decay of AdamW.

    Args:
      weight_decay: λ ≥ 0; a number, a 0-d array, or a schedule of the step count 0, 1, …
      mask: which parameters decay: a tree of bools, a prefix of one, or a function that makes one from the
        parameters. None: all.

    Returns:
      A transform with `EmptyState`; with `WeightDecaySchedule` if λ is a schedule; within `MaskedState` if there
      is a mask.

    Raises:
      ValueError: λ is negative or not finite. From ``update``: the parameters are missing (they are not asked
        for if λ is the Python number 0).

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.add_decayed_weights(0.1)
      >>> p = np.asarray([1.0, 2.0])
      >>> tx.update(np.zeros(2), tx.init(p), p)[0]
      array([0.1, 0.2])

    Source:
      Loshchilov, Hutter, 2019: Decoupled Weight Decay Regularization (arXiv 1711.05101), Algorithm 2, line 12.
    """
    who, rate = checks.speaker(), checks.number("weight_decay", weight_decay, low=0.0)
    tx = _scheduled(who, rate) if callable(rate) else _constant(who, rate)
    return tx if mask is None else masked(tx, mask)


def _decayed(who: str, updates: Updates, params: Params, rate: Any) -> Updates:
    if isinstance(rate, float) and rate == 0.0:
        return updates
    checks.need_params(who, params)
    return lift(who, _with_decay, updates, params=params, weight_decay=rate)


def _constant(who: str, rate: Scalar) -> GradientTransformation:
    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        return _decayed(who, updates, params, rate), state

    return GradientTransformation(init_empty_state, update)


def _scheduled(who: str, rate: Any) -> GradientTransformation:
    def init(params: Params) -> WeightDecaySchedule:
        parameters(who, params)
        return WeightDecaySchedule(counter(params))

    def update(
        updates: Updates, state: WeightDecaySchedule, params: Params = None
    ) -> tuple[Updates, WeightDecaySchedule]:
        new = _decayed(who, updates, params, at(state.count, rate=rate)["rate"])
        return new, WeightDecaySchedule(safe_increment(state.count))

    return remembering(who, WeightDecaySchedule, init, update)
