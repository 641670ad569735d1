"""What several losses are made of: checks of their arguments, and sums in which masked entries do not show."""

from __future__ import annotations

from typing import Any

from arrayopt import dtypes
from arrayopt.answers import described
from arrayopt.dispatch import is_array
from arrayopt.operands import Operands
from arrayopt.types import Array, Namespace

Axis = int | tuple[int, ...] | None


def same_shape(who: str, first: str, x: Array, second: str, y: Array) -> None:
    """Two arguments that do not broadcast.

    Raises:
      ValueError: their shapes differ.
    """
    if tuple(x.shape) != tuple(y.shape):
        raise ValueError(
            f"{who}: {first} and {second} must have the same shape; got {tuple(x.shape)} and {tuple(y.shape)}."
        )


def places(who: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes as numbers from 0, all of them for None.

    Raises:
      ValueError: one is out of bounds, or it is neither an integer nor a tuple of some.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if not all([hasattr(k, "__index__") and not isinstance(k, bool) for k in axes]):
        raise ValueError(f"{who}: axis must be an integer or a tuple of integers; got {described(axis)}.")
    if not all([-ndim <= k < ndim for k in axes]):
        raise ValueError(f"{who}: axis {axis} is out of bounds for an array of shape with {ndim} axes.")
    return tuple([int(k) % ndim for k in axes])


def masked_of(who: str, where: Array | None) -> Array | None:
    """The mask.

    Raises:
      TypeError: it is not of bools.
    """
    if where is not None and is_array(where) and dtypes.name(where.dtype) not in ("bool", "bool_"):
        raise TypeError(f"{who}: where must be an array of bools; got {described(where)}.")
    return where


def selected(xp: Namespace, where: Array | None, x: Array, other: float = 0.0) -> Array:
    """x where the mask holds, a number elsewhere; x if there is no mask."""
    return x if where is None else xp.where(where, x, xp.full_like(x, other))


def total(given: Operands, x: Array, axis: Axis, where: Array | None = None) -> Array:
    """The sum along axes, of the entries where the mask holds."""
    return given.xp.sum(selected(given.xp, where, x), axis=axis, dtype=x.dtype)
