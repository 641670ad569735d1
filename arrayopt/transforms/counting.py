"""Steps counted for each parameter by itself."""

from __future__ import annotations

from typing import Any

from arrayopt import checks, dtypes
from arrayopt.base import GradientTransformationExtraArgs, with_extra_args_support
from arrayopt.calls import by_call
from arrayopt.dispatch import is_array
from arrayopt.each import per_parameter
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
        state = per_parameter(tx.init, params)
        odd = None if flatten(params)[1] is LEAF else _counter_for_all(state)
        if odd is not None:
            raise TypeError(
                f"{who}: every counter within must be made by arrayopt.lift.counter, as arrayopt's transforms do; got "
                f"{odd}, one for all parameters."
            )
        return state

    def update(
        updates: Updates, state: OptState, params: Params = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        found: tuple[Updates, OptState] = per_parameter(tx.update, updates, state, params, **extra_args)
        return found

    return GradientTransformationExtraArgs(init, update)


def _counter_for_all(state: Any) -> str | None:
    """The name of a counter, at any depth of a state, that is one for all parameters; None if there is none."""
    kind = type(state)
    for name in kind._fields if is_namedtuple(kind) else ():
        if name.startswith("count") and _is_number(getattr(state, name)):
            return f"{kind.__module__}.{kind.__name__}.{name}"
    children = state.values() if isinstance(state, dict) else state if isinstance(state, (tuple, list)) else ()
    found = [_counter_for_all(child) for child in children]
    return next(iter([name for name in found if name is not None]), None)


def _is_number(x: Any) -> bool:
    return is_array(x) and tuple(x.shape) == () and dtypes.is_integer(x.dtype)
