"""Transforms made of a function of the updates, and the one that makes zeros of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from arrayopt import checks
from arrayopt.answers import described
from arrayopt.base import EmptyState, GradientTransformation, init_empty_state
from arrayopt.dispatch import is_array, namespace
from arrayopt.lift import lift, parameters
from arrayopt.types import Array, OptState, Params, Updates


def _nothing(g: Array) -> Array:
    return namespace(g).zeros_like(g)


def set_to_zero() -> GradientTransformation:
    """Makes zeros of the updates, also of NaN: what is given them does not move.

    Returns:
      A transform with `EmptyState`.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.set_to_zero()
      >>> tx.update(np.ones(2), tx.init(np.ones(2)))[0]
      array([0., 0.])
    """
    who = checks.speaker()

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        del params
        return lift(who, _nothing, updates), state

    return GradientTransformation(init_empty_state, update)


def stateless(f: Callable[[Updates, Params], Updates]) -> GradientTransformation:
    """A transform from a function of the whole tree of updates.

    Args:
      f: ``f(updates, params) -> updates``, where the parameters are None if ``update`` is given none. It is handed
        the trees as they are, with their dtypes and with None where there is no gradient.

    Returns:
      A transform with `EmptyState`.

    Raises:
      TypeError: ``f`` is no function.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.stateless(lambda updates, params: arrayopt.tree.scale(-0.5, updates))
      >>> tx.update({"w": np.ones(2)}, tx.init({"w": np.ones(2)}))
      ({'w': array([-0.5, -0.5])}, EmptyState())
    """
    who = checks.speaker()
    _check_function(who, f)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        del state
        parameters(who, updates, "gradient")
        return f(updates, params), EmptyState()

    return GradientTransformation(init_empty_state, update)


def stateless_with_tree_map(f: Callable[[Any, Any], Any]) -> GradientTransformation:
    """A transform from a function of one leaf, as a formula of arrayopt: the dtypes are seen to.

    Args:
      f: ``f(u, p) -> u``, of the update of one parameter and that parameter, None if ``update`` is given none. Both
        come in at least float32, and the answer is rounded to the dtype of the update.

    Returns:
      A transform with `EmptyState`.

    Raises:
      TypeError: ``f`` is no function; or, from ``update``, does not answer with an array.
      ValueError: from ``update``: it answers with an array of another shape.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.stateless_with_tree_map(lambda u, p: u + 0.1 * p)
      >>> p = {"w": np.asarray([1.0, 2.0])}
      >>> tx.update({"w": np.zeros(2)}, tx.init(p), p)[0]
      {'w': array([0.1, 0.2])}
    """
    who = checks.speaker()
    _check_function(who, f)

    def formula(u: Array, p: Array | None = None) -> Array:
        answer = f(u, p)
        if not is_array(answer):
            raise TypeError(f"{who}: f must answer with an array; got {described(answer)}.")
        return cast(Array, answer)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        del state
        return lift(who, formula, updates, params=params), EmptyState()

    return GradientTransformation(init_empty_state, update)


def _check_function(who: str, f: Any) -> None:
    if not callable(f):
        raise TypeError(f"{who}: f must be a function; got {described(f)}.")
