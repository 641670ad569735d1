"""What several losses are made of: checks of their arguments, and sums in which masked entries do not show."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from arrayopt import dtypes
from arrayopt.answers import described
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


def places(who: str, axis: Axis, ndim: int) -> tuple[int, ...]:
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


def of_bools(who: str, where: Any) -> Any:
    """The mask, as it is.

    Raises:
      TypeError: it is not of bools.
    """
    if where is not None and dtypes.name(where.dtype) not in ("bool", "bool_"):
        raise TypeError(f"{who}: where must be an array of bools; got {described(where)}.")
    return where


def of_integers(who: str, name: str, given: Operands, labels: Any) -> Any:
    """Labels that are places of classes; narrow ones as int32, in which there is room to add the number of classes.

    Raises:
      TypeError: they are not integers.
    """
    kind = dtypes.name(labels.dtype)
    if not dtypes.is_integer(labels.dtype):
        raise TypeError(f"{who}: {name} must be integers; got {described(labels)}.")
    return given.xp.astype(labels, given.xp.int32) if kind.endswith(("t8", "t16")) else labels


def mask_like(who: str, given: Operands, where: Any, x: Array, axis: Axis) -> Any:
    """The mask, of bools, as it broadcasts with x: one for each row gets the axes along which rows lie.

    Raises:
      TypeError: it is not of bools.
      ValueError: it has as many axes neither as x nor as a batch of its rows.
    """
    if of_bools(who, where) is None:
        return None
    along = places(who, axis, x.ndim)
    if where.ndim == 0:
        return given.xp.broadcast_to(where, x.shape)
    if where.ndim not in (x.ndim, x.ndim - len(along)):
        raise ValueError(f"{who}: where must broadcast with {tuple(x.shape)}; got shape {tuple(where.shape)}.")
    for k in sorted(along) if where.ndim < x.ndim else []:
        where = given.xp.expand_dims(where, axis=k)
    return where


def selected(xp: Namespace, where: Array | None, x: Array, other: float = 0.0) -> Array:
    """x where the mask holds, a number elsewhere; x if there is no mask."""
    return x if where is None else xp.where(where, x, xp.full_like(x, other))


def filled(xp: Namespace, where: Any, x: Array, axis: Axis) -> Array:
    """x for a softmax along axes in which masked entries have no part; 0 in rows that are masked altogether."""
    if where is None:
        return x
    some = xp.any(where, axis=axis, keepdims=True)
    return selected(xp, some, selected(xp, where, x, -math.inf))


def log_softmax(given: Operands, x: Array, axis: Axis, where: Any) -> Array:
    """x − log Σ eˣ along axes, over the entries where the mask holds; 0 for the others."""
    return selected(given.xp, where, given.backend.log_softmax(filled(given.xp, where, x, axis), axis))


class Direction(NamedTuple):
    """Vectors brought to length 1.

    Attributes:
      unit: them; shorter where their square is below the least.
      per_length: one over what they were divided by; along the axes there is one entry.
      is_long: where their square is not below the least.
    """

    unit: Array
    per_length: Array
    is_long: Array


_RANGES = {"float32": (2.0**-50, 2.0**50, 2.0**60, 2.0**-80), "float64": (2.0**-450, 2.0**500, 2.0**500, 2.0**-600)}
"""Between which magnitudes squares are in range, and by what to multiply vectors that lie below or above."""


def direction(given: Operands, x: Array, axis: Axis, least: Array) -> Direction:
    """Vectors along axes, divided by √max(Σ x², least); right also where squares leave the range."""
    xp, low, high, up, down = given.xp, *_RANGES[given.wide]
    one = xp.ones_like(xp.sum(x, axis=axis, keepdims=True, dtype=x.dtype))
    if 0 not in x.shape:
        peak: Any = xp.max(xp.abs(x), axis=axis, keepdims=True)
        one = xp.where(peak > high, down * one, xp.where(peak < low, up * one, one))
    x, least = x * one, least * one * one
    square: Any = xp.sum(x * x, axis=axis, keepdims=True, dtype=x.dtype)
    length = xp.sqrt(xp.maximum(square, least))
    with given.backend.quiet():  # a vector of zeros has no direction: NaN
        return Direction(x / length, one / length, square >= least)


def total(given: Operands, x: Array, axis: Axis, where: Array | None = None) -> Array:
    """The sum along axes, of the entries where the mask holds."""
    return given.xp.sum(selected(given.xp, where, x), axis=axis, dtype=x.dtype)
