"""The softmax cross entropy with 0 log 0 = 0."""

from __future__ import annotations

from typing import Any

from arrayopt.derivatives import custom_jvp
from arrayopt.dispatch import backend, namespace
from arrayopt.operands import operands
from arrayopt.types import Array


def safe_softmax_cross_entropy(logits: Any, labels: Any) -> Array:
    """The cross entropy −Σ y log softmax(x), to which a logit of −∞ adds nothing where its label is 0.

    Args:
      logits: x, the classes along the last axis; floating point, −∞ for what is impossible.
      labels: y, chances such as one-hot rows, of a shape that broadcasts with it.

    Returns:
      An array of the shape of both without the last axis. ∞ where what is impossible has a label that is not 0.

    Raises:
      TypeError: the logits are not floating point.

    Example:
      >>> import arrayopt, numpy as np
      >>> logits = np.asarray([[-np.inf, 0.0, 0.0], [-np.inf, 0.0, 0.0]])
      >>> labels = np.asarray([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
      >>> arrayopt.safe_softmax_cross_entropy(logits, labels)
      array([0.69314718,        inf])

    Source:
      I. Goodfellow, Y. Bengio, A. Courville, 2016: Deep Learning, section 6.2.2.3.
    """
    given = operands("safe_softmax_cross_entropy", {"logits": logits}, {"labels": labels})
    x, y = given.values[0], given.widened(given.values[1])
    if x.ndim == 0:
        raise ValueError("safe_softmax_cross_entropy: logits must be of shape (…, K); got a 0-d array.")
    x, y = given.xp.broadcast_arrays(x, y)
    return given.rounded(-given.xp.sum(_weighted(x, y), axis=-1, dtype=x.dtype))


def _weighted_tangent(xs: Any, tangents: Any) -> Any:
    """w (dx − Σ p dx) + dw log p: no part of it is 0 · ∞ where w is 0."""
    (x, w), (dx, dw) = xs, tangents
    of, xp = backend(x), namespace(x)
    mean = xp.sum(dx * of.softmax(x, -1), axis=-1, keepdims=True, dtype=x.dtype)
    return w * (dx - mean) + dw * of.log_softmax(x, -1)


@custom_jvp(_weighted_tangent)
def _weighted(x: Array, w: Array) -> Array:
    """w log softmax(x), 0 where w is."""
    xp = namespace(x)
    log_p = backend(x).log_softmax(x, -1)
    return xp.where(w != 0, w * xp.where(w != 0, log_p, xp.zeros_like(log_p)), xp.zeros_like(log_p))
