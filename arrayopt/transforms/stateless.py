"""Transforms made of a function of the updates, and the one that makes zeros of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from arrayopt import checks, dtypes
from arrayopt.answers import described
from arrayopt.base import EmptyState, GradientTransformation, init_empty_state
from arrayopt.calls import by_call
from arrayopt.dispatch import is_array, namespace
from arrayopt.lift import hand_on, lift, parameters, settled
from arrayopt.numerics import where
from arrayopt.tree.align import subtrees
from arrayopt.tree.structure import flatten
from arrayopt.types import Array, OptState, Params, Updates


def _nothing(g: Array) -> Any:
    """Zeros made with the gradient, so that a compiler lets them lie where it lies, also when that is sharded."""
    zeros = namespace(g).zeros_like(g)
    return where(namespace(g).isnan(g), zeros, zeros)


@by_call
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


@by_call
def stateless(f: Callable[[Updates, Params], Updates]) -> GradientTransformation:
    """A transform from a function of the whole tree of updates.

    Args:
      f: ``f(updates, params) -> updates``, where the parameters are None if ``update`` is given none. It is handed
        the trees as they are, with their dtypes and with None where there is no gradient. What it answers has their
        structure, and is rounded to their dtypes.

    Returns:
      A transform with `EmptyState`.

    Raises:
      TypeError: ``f`` is no function.
      StructureError: from ``update``: its answer has another structure.

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
        return _alike(f"{who}: what f answers", f(updates, params), updates), EmptyState()

    return GradientTransformation(init_empty_state, update)


def _alike(what: str, answer: Updates, updates: Updates) -> Updates:
    leaves, spec = flatten(updates)
    return spec.unflatten([_like(u, g) for u, g in zip(subtrees(spec, answer, what), leaves, strict=True)])


def _like(u: Any, g: Array) -> Any:
    """An update in the dtype of its gradient; None as it is."""
    return settled(hand_on(u, dtypes.slot(g.dtype, u.dtype))) if is_array(u) else u


@by_call
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
