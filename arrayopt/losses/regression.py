"""Losses of predictions that are real numbers."""

from __future__ import annotations

import math
from typing import Any, cast

from arrayopt.losses.parts import Axis, direction, of_bools, places, same_shape, selected, total
from arrayopt.operands import Operands, operands
from arrayopt.types import Array


def squared_error(predictions: Any, targets: Any = None) -> Any:
    """The square of the error, (y − t)², entry by entry.

    Args:
      predictions: y, of any shape; floating point.
      targets: t, of the same shape; None for 0.

    Returns:
      An array of the shape of the predictions.

    Raises:
      TypeError: the predictions are not floating point.
      ValueError: the shapes differ.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.squared_error(np.asarray([3.0, 1.0]), np.asarray([1.0, 1.0]))
      array([4., 0.])

    Source:
      T. Hastie, R. Tibshirani, J. Friedman, 2009: The Elements of Statistical Learning, eq. 2.9.
    """
    given = operands("squared_error", {"predictions": predictions}, {"targets": targets})
    error = error_of("squared_error", given)
    return given.rounded(error * error)


def l2_loss(predictions: Any, targets: Any = None) -> Any:
    """Half the square of the error, ½ (y − t)², entry by entry; its derivative is the error.

    Args:
      predictions: y, of any shape; floating point.
      targets: t, of the same shape; None for 0.

    Returns:
      An array of the shape of the predictions.

    Raises:
      TypeError: the predictions are not floating point.
      ValueError: the shapes differ.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.l2_loss(np.asarray([3.0, 1.0]), np.asarray([1.0, 1.0]))
      array([2., 0.])

    Source:
      C. M. Bishop, 2006: Pattern Recognition and Machine Learning, eq. 1.2.
    """
    given = operands("l2_loss", {"predictions": predictions}, {"targets": targets})
    error = error_of("l2_loss", given)
    return given.rounded(0.5 * (error * error))


def error_of(who: str, given: Operands, broadcast: bool = False) -> Any:
    """Predictions less targets."""
    y, t = given.values[:2]
    if t is not None and not broadcast:
        same_shape(who, "predictions", y, "targets", t)
    return cast(Array, y if t is None else y - given.widened(t))


def huber_loss(predictions: Any, targets: Any = None, *, delta: Any = 1.0) -> Any:
    """Quadratic near zero, linear far from it: ½ e² for |e| ≤ δ, δ (|e| − ½ δ) beyond; e = y − t.

    Its derivative is the error clipped to [−δ, δ].

    Args:
      predictions: y, of any shape; floating point.
      targets: t, of a shape that broadcasts with it; None for 0.
      delta: δ > 0, the error at which it becomes linear.

    Returns:
      An array of the shape that predictions and targets broadcast to.

    Raises:
      TypeError: the predictions are not floating point.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.huber_loss(np.asarray([0.5, 3.0]))
      array([0.125, 2.5  ])

    Source:
      P. J. Huber, 1964: Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35.
    """
    given = operands("huber_loss", {"predictions": predictions}, {"targets": targets}, {"delta": delta})
    size, d = given.xp.abs(error_of("huber_loss", given, broadcast=True)), given.values[2]
    near = given.xp.minimum(size, d)
    return given.rounded(0.5 * (near * near) + d * (size - near))


def log_cosh(predictions: Any, targets: Any = None) -> Any:
    """The logarithm of the hyperbolic cosine of the error, log cosh(y − t), entry by entry.

    Near ½ e² for small errors and |e| − log 2 for large ones, and smooth everywhere. It is computed as
    log1p(2 sinh²(e/2)) for |e| ≤ 1, which loses no digits, and as |e| + log1p(e^(−2|e|)) − log 2 beyond, which does
    not overflow.

    Args:
      predictions: y, of any shape; floating point.
      targets: t, of a shape that broadcasts with it; None for 0.

    Returns:
      An array of the shape that predictions and targets broadcast to.

    Raises:
      TypeError: the predictions are not floating point.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.log_cosh(np.asarray([0.1, 1000.0])).round(6)
      array([4.99200000e-03, 9.99306853e+02])

    Source:
      P. Chen, G. Chen, S. Zhang, 2019: Log Hyperbolic Cosine Loss Improves Variational Auto-Encoder,
      openreview.net/forum?id=rkglvsC9Ym.
    """
    given = operands("log_cosh", {"predictions": predictions}, {"targets": targets})
    xp, error = given.xp, error_of("log_cosh", given, broadcast=True)
    size = xp.abs(error)
    is_small = size <= 1
    half = xp.sinh(0.5 * selected(xp, is_small, error))
    size = xp.where(is_small, xp.ones_like(size), size)
    large = size + (xp.log1p(xp.exp(-2 * size)) - math.log(2))
    return given.rounded(xp.where(is_small, xp.log1p(2 * (half * half)), large))


def cosine_similarity(
    predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: Axis = -1, where: Any = None
) -> Any:
    """The cosine of the angle between vectors, Σ a b / (|a| |b|) with |a|² = max(Σ a², ε).

    Args:
      predictions: a, vectors along ``axis``; floating point.
      targets: b, the same, of a shape that broadcasts with it.
      epsilon: ε ≥ 0, the least square of a length to divide by. With 0 a vector of zeros gives NaN.
      axis: one axis or several that make up a vector; None for all.
      where: bools that broadcast with the vectors: entries to be taken; None for all.

    Returns:
      An array of the shape of the vectors, without ``axis``.

    Raises:
      TypeError: predictions or targets are not floating point, or ``where`` is not of bools.
      ValueError: there is no such axis.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.cosine_similarity(np.asarray([3.0, 4.0]), np.asarray([0.0, 2.0])).round(3)
      np.float64(0.8)

    Source:
      C. D. Manning, P. Raghavan, H. Schütze, 2008: Introduction to Information Retrieval, eq. 6.10.
    """
    given, found = _cosine("cosine_similarity", predictions, targets, epsilon, axis, where)
    return given.rounded(found)


def cosine_distance(predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: Axis = -1, where: Any = None) -> Any:
    """One minus the `cosine_similarity` of vectors: 0 for one direction, 2 for opposite ones.

    Args:
      predictions: a, vectors along ``axis``; floating point.
      targets: b, the same, of a shape that broadcasts with it.
      epsilon: ε ≥ 0, the least square of a length to divide by. With 0 a vector of zeros gives NaN.
      axis: one axis or several that make up a vector; None for all.
      where: bools that broadcast with the vectors: entries to be taken; None for all.

    Returns:
      An array of the shape of the vectors, without ``axis``.

    Raises:
      TypeError: predictions or targets are not floating point, or ``where`` is not of bools.
      ValueError: there is no such axis.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.cosine_distance(np.asarray([[1.0, 0.0], [1.0, 0.0]]), np.asarray([[0.0, 2.0], [-3.0, 0.0]]))
      array([1., 2.])

    Source:
      C. D. Manning, P. Raghavan, H. Schütze, 2008: Introduction to Information Retrieval, eq. 6.10.
    """
    given, found = _cosine("cosine_distance", predictions, targets, epsilon, axis, where)
    return given.rounded(1.0 - found)


def _cosine(who: str, a: Any, b: Any, epsilon: Any, axis: Axis, where: Any) -> tuple[Operands, Array]:
    given = operands(who, {"predictions": a, "targets": b}, {"where": where}, {"epsilon": epsilon})
    x, y, mask, least = given.values
    mask = of_bools(who, mask)
    places(who, axis, x.ndim)
    a, b = [direction(given, selected(given.xp, mask, v), axis, least).unit for v in (x, y)]
    return given, total(given, a * b, axis)
