"""Slow copies of the parameters: averages of them, and targets that are renewed now and then."""

from __future__ import annotations

from typing import Any

from arrayopt import checks, dtypes
from arrayopt.answers import described
from arrayopt.counts import bare
from arrayopt.dispatch import backend, is_array, library, namespace, same_library
from arrayopt.lift import check_scalar, lift
from arrayopt.numerics import where
from arrayopt.tree.align import subtrees
from arrayopt.tree.structure import flatten
from arrayopt.types import Array, Params, Scalar


def incremental_update(new_tensors: Params, old_tensors: Params, step_size: Scalar) -> Params:
    """An exponential moving average one step on: s·new + (1 − s)·old.

    Formed in at least float32, and rounded once to the dtype that new and old are promoted to. Where the new value is
    None, the old one stays.

    Args:
      new_tensors: tree of floating-point or complex arrays, such as the parameters.
      old_tensors: the average so far; of the same structure and shapes.
      step_size: s, the share of the new values, usually in [0, 1]; a number or a 0-d array.

    Returns:
      A tree like ``old_tensors``.

    Raises:
      StructureError: the trees differ in structure.
      ValueError: a new value has not the shape of the old one, or ``step_size`` is not finite.
      TypeError: a leaf is no floating-point or complex array, the two are of different libraries, or ``step_size`` is
        no number.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.incremental_update({"w": np.ones(2)}, {"w": np.zeros(2)}, step_size=0.25)
      {'w': array([0.25, 0.25])}

    Source:
      Polyak, Juditsky, 1992: Acceleration of Stochastic Approximation by Averaging (doi 10.1137/0330046).
    """
    who, share = "incremental_update", checks.fixed("step_size", step_size)
    check_scalar(who, "step_size", share, new_tensors)
    wide = _promoted(new_tensors, old_tensors)
    _, moved = lift(who, _nearer, new_tensors, wide, what="new value", holder="old value", step_size=share)
    return moved


def _nearer(new: Array, old: Array, *, step_size: Scalar) -> tuple[Array, Array]:
    """The nearer end and a share of the way to the other: so a constant is a fixed point, and s = 0 or 1 exact."""
    is_slow = step_size <= 0.5
    end, share = where(is_slow, old, new), where(is_slow, step_size, step_size - 1.0)
    return new, end + (share * new - share * old)


def _promoted(new_tensors: Params, old_tensors: Params) -> Params:
    """The old values in the dtypes that they and the new ones are promoted to, where these go together."""
    leaves, spec = flatten(new_tensors)
    olds, old_spec = flatten(old_tensors)
    if spec != old_spec:
        return old_tensors
    return spec.unflatten([_promoted_leaf(x, y) for x, y in zip(leaves, olds, strict=True)])


def _promoted_leaf(new: Any, old: Any) -> Any:
    fit = is_array(new) and is_array(old) and same_library(new, old)
    if not fit or new.dtype == old.dtype or not (dtypes.is_inexact(new.dtype) and dtypes.is_inexact(old.dtype)):
        return old
    return namespace(new).astype(old, namespace(new).result_type(new.dtype, old.dtype))


def periodic_update(new_tensors: Params, old_tensors: Params, steps: Any, update_period: Any) -> Params:
    """The new values in every so many steps, the old ones in between: new if steps mod period = 0.

    Arrays of any dtype will do. What comes back has memory of its own.

    Args:
      new_tensors: tree of arrays, such as the parameters.
      old_tensors: the copy so far; of the same structure, shapes and dtypes.
      steps: number of steps taken; a number or a 0-d array.
      update_period: number of steps from one renewal to the next, at least 1; a number or a 0-d array.

    Returns:
      A tree like the two.

    Raises:
      StructureError: the trees differ in structure.
      ValueError: a new value has not the shape of the old one, or ``update_period`` is a number less than 1.
      TypeError: a leaf is no array, the two differ in dtype or library, or ``steps`` or ``update_period`` is no
        number.

    Example:
      >>> import arrayopt, numpy as np
      >>> [arrayopt.periodic_update(np.ones(1), np.zeros(1), step, 2).item() for step in range(4)]
      [1.0, 0.0, 1.0, 0.0]

    Source:
      Mnih et al., 2015: Human-level control through deep reinforcement learning (doi 10.1038/nature14236).
    """
    step, period = _count("steps", steps), _count("update_period", update_period)
    if not is_array(period) and period < 1:
        raise ValueError(f"periodic_update: update_period must be at least 1; got {period}.")
    is_due = step % period == 0
    news, spec = flatten(new_tensors)
    olds = subtrees(spec, old_tensors, "periodic_update: the tree of old values")
    pairs = list(zip(spec.paths(), news, olds, strict=True))
    for path, new, old in pairs:
        _check_alike(f" at {path}" if path else "", new, old)
    return spec.unflatten([_chosen(is_due, new, old) for _, new, old in pairs])


def _count(name: str, value: Any) -> Any:
    """A number, Python's if it is known; else a 0-d array."""
    value = bare(value)
    if type(value) in (int, float):
        return value
    if not is_array(value) or not dtypes.is_real(value.dtype):
        raise TypeError(f"periodic_update: {name} must be a number or a 0-d array; got {described(value)}.")
    if tuple(value.shape) != ():
        raise ValueError(f"periodic_update: {name} must be a scalar; got an array of shape {tuple(value.shape)}.")
    return value.item() if library(value) == "numpy" else value


def _check_alike(where_: str, new: Any, old: Any) -> None:
    who = f"periodic_update: the new value{where_}"
    if not is_array(new) or not is_array(old):
        raise TypeError(f"{who} and the old one must be arrays; got {described(new)} and {described(old)}.")
    if not same_library(new, old) or dtypes.name(new.dtype) != dtypes.name(old.dtype):
        kinds = [f"{library(x)} {dtypes.name(x.dtype)}" for x in (new, old)]
        raise TypeError(f"{who} and the old one must be of one library and dtype; got {kinds[0]} and {kinds[1]}.")
    if tuple(new.shape) != tuple(old.shape):
        raise ValueError(f"{who} has shape {tuple(new.shape)}, the old one has {tuple(old.shape)}.")


def _chosen(is_due: Any, new: Array, old: Array) -> Array:
    if isinstance(is_due, bool):
        return backend(new).copy(new if is_due else old)
    return backend(new).settle(where(is_due, new, old))
