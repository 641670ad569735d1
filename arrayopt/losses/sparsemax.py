"""The losses of sparsemax, the projection of scores onto the simplex of chances: differentiable, and 0 at a margin.

Martins and Astudillo, 2016: From softmax to sparsemax. Blondel, Martins and Niculae, 2020: Learning with Fenchel-Young
losses.
"""

from __future__ import annotations

from typing import Any

from arrayopt.losses.parts import of_integers
from arrayopt.operands import operands
from arrayopt.simplex import project
from arrayopt.types import Array, Namespace


def sparsemax_loss(logits: Any, labels: Any) -> Array:
    """The sparsemax loss of two classes, entry by entry.

      loss = s(x) for the label 0, s(−x) for 1;    s(x) = 0 up to −1, ¼ (x + 1)² up to 1, x from there

    Args:
      logits: x, the score of class 1; floating point.
      labels: 0 or 1, integers or bools, of a shape that broadcasts with it.

    Returns:
      An array in the dtype of the logits; 0 where the score is beyond a margin of 1 on the right side.

    Raises:
      TypeError: the logits are not floating point.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.losses.sparsemax_loss(np.asarray([-2.0, 0.0, 3.0]), np.asarray([0, 0, 0]))
      array([0.  , 0.25, 3.  ])

    Source:
      Blondel, Martins and Niculae, 2020: Learning with Fenchel-Young losses, section 4.4.
    """
    given = operands("sparsemax_loss", {"logits": logits}, {"labels": labels}).like(0)
    x, label = given.values
    return given.rounded(_softened(given.xp, given.xp.where(given.widened(label) != 0, -x, x)))


def _softened(xp: Namespace, x: Array) -> Array:
    """s(x); where it is not a square nothing is squared."""
    zero = xp.zeros_like(x)
    within = xp.where(xp.abs(x) < 1, x, zero)
    square = 0.25 * (within + 1) * (within + 1)
    return xp.where(x >= 1, x, xp.where(x <= -1, zero, square + (x - x)))


def multiclass_sparsemax_loss(scores: Any, labels: Any) -> Array:
    """The sparsemax loss, with p the projection of scores s onto the simplex.

      loss = p · (s − s_y) + ½ (1 − p · p) = max over chances p of p · s + ½ (1 − p · p), less s_y

    Its derivative is p less the one-hot row of the label.

    Args:
      scores: s, of shape (…, K) for K classes; floating point.
      labels: y, the number of the class, integers of shape (…). Negative ones count from the end; others that are out of
        range give NaN.

    Returns:
      An array of the shape of the labels, float32 for scores of 16 bits; 0 where s_y is above all other scores by 1.

    Raises:
      TypeError: the scores are not floating point, or the labels not integers.
      ValueError: the shapes do not go together.

    Example:
      >>> import arrayopt, numpy as np
      >>> scores = np.asarray([[2.0, 0.5, 0.0], [0.0, 0.0, -3.0]])
      >>> arrayopt.losses.multiclass_sparsemax_loss(scores, np.asarray([0, 0]))
      array([0.  , 0.25])

    Source:
      Martins and Astudillo, 2016: From softmax to sparsemax, equation 18.
    """
    who = "multiclass_sparsemax_loss"
    given = operands(who, {"scores": scores}, {"labels": labels})
    x, at = given.values
    if x.ndim == 0 or tuple(at.shape) != tuple(x.shape[:-1]):
        raise ValueError(
            f"{who}: scores must be of shape (…, K) and labels of the same without the last axis; "
            f"got {tuple(x.shape)} and {tuple(at.shape)}."
        )
    xp = given.xp
    p = project(x)
    picked = given.backend.picked(x, of_integers(who, "labels", given, at), x.ndim - 1)
    above = xp.where(p > 0, x - xp.expand_dims(picked, axis=-1), xp.zeros_like(x))
    rest = 1 - xp.sum(p * p, axis=-1, dtype=x.dtype)
    return given.backend.settle(xp.sum(p * above, axis=-1, dtype=x.dtype) + 0.5 * rest)
