"""Norms whose derivative at 0 is 0, and not NaN."""

from __future__ import annotations

import math
from typing import Any

from arrayopt.answers import described
from arrayopt.numerics import mean
from arrayopt.operands import Operands, operands
from arrayopt.types import Array

Axis = int | tuple[int, ...] | None


def safe_norm(x: Any, min_norm: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Array:
    """The greater of a norm and a bound; where that is the bound the derivative is 0, also at x = 0.

    Args:
      x: a vector, a matrix, or an array of them; floating point.
      min_norm: the bound, in the unit of x; a number, or an array that broadcasts with the norms
        where ``axis`` stays.
      ord: which norm, as for ``numpy.linalg.norm``: of vectors ∞, −∞, 0, or any p ≠ 0; of matrices ``"fro"``,
        ``"nuc"``, ∞, −∞, 1, −1, 2 or −2; None for the root of the sum of squares.
      axis: an axis that holds vectors, or two that hold matrices; None for all of x, which must have one axis or two
        unless ``ord`` is None.
      keepdims: whether these axes stay, with length 1.

    Returns:
      The norms, of the shape of x without these axes.

    Raises:
      TypeError: ``x`` or ``min_norm`` is not floating point.
      ValueError: there is no such norm, or no such axis.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.safe_norm(np.asarray([[3.0, 4.0], [0.0, 0.0]]), 0.1, axis=1)
      array([5. , 0.1])

    Source:
      Optax has it.
    """
    given = operands("safe_norm", {"x": x, "min_norm": min_norm})
    values, bound = given.values
    axes = _axes(values, ord, axis)
    first = _norm(given, values, ord, axes)
    is_low = first <= bound
    second = _norm(given, given.xp.where(is_low, given.xp.ones_like(values), values), ord, axes)
    found = given.xp.where(is_low, bound, second)
    return given.rounded(found if keepdims else given.xp.squeeze(found, axis=axes))


def _axes(x: Array, ord: Any, axis: Axis) -> tuple[int, ...]:
    """The axes of the vectors or matrices, counted from the start."""
    if axis is None and (ord is None or x.ndim in (1, 2)):
        return tuple(range(x.ndim))
    given: list[Any] = [*axis] if isinstance(axis, tuple) else [axis]
    if not all([hasattr(k, "__index__") and -x.ndim <= k < x.ndim for k in given]) or len(given) not in (1, 2):
        raise ValueError(f"safe_norm: axis must be one axis or two of the {x.ndim} there are; got {described(axis)}.")
    return tuple([int(k) % x.ndim for k in given])


def _norm(given: Operands, x: Array, ord: Any, axes: tuple[int, ...]) -> Array:
    """The norm along axes, which stay."""
    xp = given.xp
    if ord is None or (ord == "fro" and len(axes) == 2):
        return xp.sqrt(xp.sum(x * x, axis=axes, keepdims=True, dtype=x.dtype))
    if len(axes) == 2:
        return _of_matrices(given, x, ord, axes)
    if isinstance(ord, str):
        raise ValueError(f"safe_norm: ord must be a number for vectors; got {ord!r}.")
    return _of_vectors(given, x, ord, axes)


def _of_vectors(given: Operands, x: Any, ord: Any, axes: Any) -> Array:
    xp, size = given.xp, given.xp.abs(x)
    if ord in (math.inf, -math.inf):
        return (xp.max if ord > 0 else xp.min)(size, axis=axes, keepdims=True)
    if ord == 0:
        return xp.sum(xp.astype(x != 0, x.dtype), axis=axes, keepdims=True, dtype=x.dtype)
    if ord == 2:
        return xp.sqrt(xp.sum(x * x, axis=axes, keepdims=True, dtype=x.dtype))
    powers = size if ord == 1 else size**ord
    total = xp.sum(powers, axis=axes, keepdims=True, dtype=x.dtype)
    return total if ord == 1 else total ** (1 / ord)


def _of_matrices(given: Operands, x: Array, ord: Any, axes: tuple[int, ...]) -> Array:
    xp = given.xp
    if ord in ("nuc", 2, -2):
        rest = tuple([k for k in range(x.ndim) if k not in axes])
        values = xp.linalg.svdvals(xp.permute_dims(x, (*rest, *axes)))
        fold: Any = xp.sum if ord == "nuc" else xp.max if ord == 2 else xp.min
        return xp.reshape(fold(values, axis=-1), tuple([1 if k in axes else n for k, n in enumerate(x.shape)]))
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"safe_norm: ord must be 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2 for matrices; got {ord!r}.")
    inner, outer = axes if ord in (1, -1) else axes[::-1]
    sums = xp.sum(xp.abs(x), axis=inner, keepdims=True, dtype=x.dtype)
    return (xp.max if ord > 0 else xp.min)(sums, axis=outer, keepdims=True)


def safe_root_mean_squares(x: Any, min_rms: Any) -> Array:
    """The greater of √(mean x²) and a bound; where that is the bound the derivative is 0, also at x = 0.

    Args:
      x: of any shape; floating point. The mean of no entries counts as 0.
      min_rms: the bound, in the unit of x; a number or a 0-d array.

    Returns:
      A 0-d array.

    Raises:
      TypeError: ``x`` or ``min_rms`` is not floating point.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.safe_root_mean_squares(np.asarray([1.0, 7.0]), 0.1)
      array(5.)

    Source:
      Optax has it.
    """
    given = operands("safe_root_mean_squares", {"x": x, "min_rms": min_rms})
    values, bound = given.values
    is_low = given.xp.sqrt(mean(values * values)) <= bound
    safe = given.xp.where(is_low, given.xp.ones_like(values), values)
    return given.rounded(given.xp.where(is_low, bound, given.xp.sqrt(mean(safe * safe))))
