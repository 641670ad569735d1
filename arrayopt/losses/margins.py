"""Losses that vanish once a score is on the right side, or far enough on it."""

from __future__ import annotations

from typing import Any

from arrayopt.losses.parts import of_integers, same_shape, selected, total
from arrayopt.operands import Operands, operands
from arrayopt.special import steps
from arrayopt.types import Array


def hinge_loss(predictor_outputs: Any, targets: Any) -> Any:
    """The hinge max(0, 1 − s t), entry by entry.

    Args:
      predictor_outputs: scores s, of any shape; floating point.
      targets: t, −1 or 1, of a shape that broadcasts with it.

    Returns:
      An array of the shape that both broadcast to.

    Raises:
      TypeError: the scores are not floating point.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.hinge_loss(np.asarray([2.0, 0.5, -1.0]), np.asarray([1, 1, 1]))
      array([0. , 0.5, 2. ])

    Source:
      C. Cortes, V. Vapnik, 1995: Support-Vector Networks, Machine Learning 20.
    """
    given, score, target = _signed("hinge_loss", predictor_outputs, targets)
    return given.rounded(_positive(given, 1 - score * target))


def perceptron_loss(predictor_outputs: Any, targets: Any) -> Any:
    """The loss of the perceptron, max(0, −s t), entry by entry.

    Args:
      predictor_outputs: scores s, of any shape; floating point.
      targets: t, −1 or 1, of the same shape.

    Returns:
      An array of the shape of the scores.

    Raises:
      TypeError: the scores are not floating point.
      ValueError: the shapes differ.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.losses.perceptron_loss(np.asarray([2.0, -1.0]), np.asarray([1, 1]))
      array([0., 1.])

    Source:
      F. Rosenblatt, 1958: The Perceptron, Psychological Review 65.
    """
    given, score, target = _signed("perceptron_loss", predictor_outputs, targets)
    same_shape("perceptron_loss", "predictor_outputs", score, "targets", target)
    return given.rounded(_positive(given, -score * target))


def _signed(who: str, predictor_outputs: Any, targets: Any) -> tuple[Operands, Array, Array]:
    given = operands(who, {"predictor_outputs": predictor_outputs}, {"targets": targets})
    return given, given.values[0], given.widened(given.values[1])


def _positive(given: Operands, x: Array) -> Array:
    """max(0, x), whose derivative at 0 is ½."""
    return given.xp.maximum(x, given.widened(given.backend.number(0.0, x)))


def multiclass_hinge_loss(scores: Any, labels: Any) -> Any:
    """The hinge of several classes, max over k of (sₖ + [k ≠ y]) less s of the label y.

    Args:
      scores: s, shape (…, n); floating point.
      labels: y, integers 0 … n − 1, shape (…).

    Returns:
      An array of the shape of the labels; float32 if the scores have 16 bits, as in Optax.

    Raises:
      TypeError: the scores are not floating point, or the labels are not integers.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.losses.multiclass_hinge_loss(np.asarray([[2.0, 1.5, 0.0]]), np.asarray([0]))
      array([0.5])

    Source:
      K. Crammer, Y. Singer, 2001: On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines,
      Journal of Machine Learning Research 2.
    """
    given, score, is_label = _labelled("multiclass_hinge_loss", scores, labels)
    margin = given.widened(~is_label)
    return _over_label(given, score, is_label, score + margin)


def multiclass_perceptron_loss(scores: Any, labels: Any) -> Any:
    """The loss of the perceptron of several classes, the greatest score less that of the label.

    Args:
      scores: s, shape (…, n); floating point.
      labels: integers 0 … n − 1, shape (…).

    Returns:
      An array of the shape of the labels; float32 if the scores have 16 bits, as in Optax.

    Raises:
      TypeError: the scores are not floating point, or the labels are not integers.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.losses.multiclass_perceptron_loss(np.asarray([[2.0, 3.5, 0.0]]), np.asarray([0]))
      array([1.5])

    Source:
      M. Collins, 2002: Discriminative Training Methods for Hidden Markov Models, EMNLP.
    """
    given, score, is_label = _labelled("multiclass_perceptron_loss", scores, labels)
    return _over_label(given, score, is_label, score)


def _labelled(who: str, scores: Any, labels: Any) -> tuple[Operands, Array, Any]:
    """The scores, and where they are those of the label."""
    given = operands(who, {"scores": scores}, {"labels": labels})
    score, at = given.values
    at = of_integers(who, "labels", given, at)
    return given, score, given.xp.expand_dims(at, axis=-1) == steps(given.xp, score, score.ndim - 1, at.dtype)


def _over_label(given: Operands, score: Array, is_label: Any, rivals: Array) -> Array:
    of_label = total(given, selected(given.xp, is_label, score), -1)
    return given._replace(dtype=given.wide).rounded(given.xp.max(rivals, axis=-1) - of_label)
