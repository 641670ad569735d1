"""Steps counted for each parameter by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayopt import checks, dtypes
from arrayopt.base import GradientTransformationExtraArgs, with_extra_args_support
from arrayopt.calls import by_call
from arrayopt.dispatch import is_array
from arrayopt.each import mode
from arrayopt.tree.structure import LEAF, flatten, is_namedtuple
from arrayopt.types import OptState, Params, Transform, Updates


@by_call
def count_per_parameter(inner: Transform) -> GradientTransformationExtraArgs:
    """Has a transform count the steps of each parameter by itself: those in which it had a gradient.

    With one counter for all, a parameter whose gradients begin after t steps (or are None now and then) is corrected
    for t steps that it did not take: of Adam's first step there, (1 − β₁) g / (√(1 − β₂) |g|) is left, 3.2 times the
    learning rate, and soon 6 times, before it settles at 1. With its own, tᵢ ← tᵢ + 1 where its gradient is not None,
    it moves as if it were alone; so Torch counts. As long as all gradients are there, the two are the same.

    Every counter within has one entry for each parameter: that of Adam's bias correction, and those by which schedules,
    of the learning rate too, are asked. What looks at several parameters, as a global norm, still does, at those that
    have a gradient.

    Args:
      inner: the transform; a chain of several, too.

    Returns:
      A transform with the state of ``inner``, in which each ``count`` is a tree like the parameters, of 0-d int32
      arrays. Updates are those of ``inner``.

    Raises:
      TypeError: ``inner`` is no transform. From ``init``: a transform within keeps a count of its own making, as Optax's
        do; those of Optax that keep none go well. From ``update``: the state has one counter for all.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.count_per_parameter(arrayopt.adam(0.1))
      >>> p = {"w": np.ones(2), "b": np.ones(1)}
      >>> state = tx.init(p)
      >>> for _ in range(3):
      ...     u, state = tx.update({"w": np.ones(2), "b": None}, state)
      >>> u, state = tx.update({"w": np.ones(2), "b": np.ones(1)}, state)
      >>> state[0].count
      {'b': array(1, dtype=int32), 'w': array(4, dtype=int32)}
      >>> u["b"].round(6)
      array([-0.1])
    """
    who, tx = checks.speaker(), with_extra_args_support(checks.transform("inner", inner))

    def init(params: Params) -> OptState:
        state = _counting(tx.init, params)
        is_one = flatten(params)[1] is LEAF
        for name in _foreign(state, is_one)[:1]:
            raise TypeError(
                f"{who}: every counter within must be one that arrayopt.lift.counter makes; {name} is one for all "
                f"parameters. Use arrayopt's own transform."
            )
        return state

    def update(
        updates: Updates, state: OptState, params: Params = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        found: tuple[Updates, OptState] = _counting(tx.update, updates, state, params, **extra_args)
        return found

    return GradientTransformationExtraArgs(init, update)


def _counting(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a function answers where counters are those of single parameters."""
    before, mode.per_parameter = mode.per_parameter, True
    try:
        return function(*args, **options)
    finally:
        mode.per_parameter = before


def _foreign(state: Any, is_one: bool) -> list[str]:
    """The names of counters that are not made here; with one parameter only those of Optax can be told."""
    found: list[str] = []
    if is_namedtuple(type(state)):
        package = type(state).__module__.split(".")[0]
        for name in state._fields:
            x = getattr(state, name)
            is_number = is_array(x) and tuple(x.shape) == () and dtypes.is_integer(x.dtype)
            if name.startswith("count") and is_number and (package == "optax" or not is_one):
                found.append(f"the {name} of {package}'s {type(state).__name__}")
    children = state.values() if isinstance(state, dict) else state if isinstance(state, (tuple, list)) else ()
    for child in children:
        found += _foreign(child, is_one)
    return found
