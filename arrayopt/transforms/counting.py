"""Steps counted for each parameter by itself."""

from __future__ import annotations

from typing import Any, cast

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

    tᵢ ← tᵢ + 1 where the gradient gᵢ is not None, else tᵢ; and tᵢ in the place of t wherever parameter i is updated.

    With one counter for all, the averages of a parameter whose gradients come late are corrected for steps that it
    did not take: after 1000 of them Adam's first step is 2.5, its twelfth 5.2 times the learning rate. With its own
    count a parameter moves as if it were alone. So Torch counts. While all gradients are there, the two are the same.

    This is so of every counter within: that of Adam's bias correction, and those by which schedules, of the learning
    rate too, are asked. What looks at several parameters, as a global norm, still does, at those with a gradient.

    Args:
      inner: the transform; a chain of several, too.

    Returns:
      A transform with the state of ``inner``, in which each ``count`` is a tree like the parameters, of 0-d int32
      arrays. Updates are those of ``inner``.

    Raises:
      TypeError: ``inner`` is no transform. From ``init``: a transform within has a ``count`` of its own making, as
        some of Optax's have; those that have none go well. From ``update``: the state has one counter for all.
      StructureError: from ``update``: the counters are those of other parameters.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.count_per_parameter(arrayopt.adam(0.1))
      >>> p = {"w": np.ones(2), "b": np.ones(1)}
      >>> state = tx.init(p)
      >>> for _ in range(3):
      ...     u, state = tx.update({"w": np.ones(2), "b": None}, state)
      >>> u, state = tx.update({"w": np.ones(2), "b": np.ones(1)}, state)
      >>> state[0].count
      {'w': array(4, dtype=int32), 'b': array(1, dtype=int32)}
      >>> u["b"].round(6)
      array([-0.1])
    """
    who, tx = checks.speaker(), with_extra_args_support(checks.transform("inner", inner))

    def init(params: Params) -> OptState:
        state = per_parameter(tx.init, params)
        odd = None if flatten(params)[1] is LEAF else _counter_for_all(state)
        if odd is not None:
            raise TypeError(
                f"{who}: every counter within must be made by arrayopt.lift.counter, as arrayopt's are; got {odd}, "
                f"one for all parameters."
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
    kind = cast(Any, type(state))
    for name in kind._fields if is_namedtuple(kind) else ():
        if name.startswith("count") and _is_number(getattr(state, name)):
            return f"{kind.__module__}.{kind.__name__}.{name}"
    held: Any = state
    children = held.values() if isinstance(state, dict) else held if isinstance(state, (tuple, list)) else ()
    found = [_counter_for_all(child) for child in children]
    return next(iter([name for name in found if name is not None]), None)


def _is_number(x: Any) -> bool:
    return is_array(x) and tuple(x.shape) == () and dtypes.is_integer(x.dtype)
