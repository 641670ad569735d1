"""Losses of embeddings: of what belongs together, and what does not."""

from __future__ import annotations

import math
from typing import Any

from arrayopt import dtypes
from arrayopt.losses.parts import direction, filled, places, total
from arrayopt.operands import Operands, operands
from arrayopt.types import Array


def ntxent(embeddings: Any, labels: Any, temperature: Any = 0.07) -> Any:
    """The normalized, temperature-scaled cross entropy of pairs of a batch, in the mean over positive pairs.

    A pair i ≠ j of equal labels costs log(e^(sᵢⱼ) + Σ e^(sᵢₖ)) − sᵢⱼ, the sum over k of other labels, where s is the
    cosine similarity divided by the temperature; squares of lengths count as at least ε, the dtype's own.

    Args:
      embeddings: shape (batch, n); floating point.
      labels: shape (batch,); those are equal that belong together.
      temperature: a positive number.

    Returns:
      A 0-d array; NaN if there is no positive pair.

    Raises:
      TypeError: the embeddings are not floating point.
      ValueError: there are not as many labels as embeddings.

    Example:
      >>> import arrayopt, numpy as np
      >>> embeddings = np.asarray([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
      >>> arrayopt.ntxent(embeddings, np.asarray([0, 0, 1, 1]), temperature=0.5).round(4)
      np.float64(0.2899)

    Source:
      T. Chen, S. Kornblith, M. Norouzi, G. Hinton, 2020: A Simple Framework for Contrastive Learning of Visual
      Representations, arXiv:2002.05709, eq. 1.
    """
    given = operands("ntxent", {"embeddings": embeddings}, {"labels": labels}, {"temperature": temperature})
    x, group, scale = given.values
    if x.ndim != 2 or tuple(group.shape) != x.shape[:1]:
        raise ValueError(
            "ntxent: embeddings must have shape (batch, n), labels (batch,); "
            f"got {tuple(x.shape)} and {tuple(group.shape)}."
        )
    xp = given.xp
    score = _similarities(given, x) / scale
    is_other: Any = xp.expand_dims(group, axis=1) != xp.expand_dims(group, axis=0)
    is_pair = ~(is_other | _diagonal(given, x))
    others = xp.where(
        xp.any(is_other, axis=1),
        given.backend.logsumexp(filled(xp, is_other, score, 1), 1),
        xp.full_like(x[:, 0], -math.inf),
    )
    cost = -given.backend.log_sigmoid(score - xp.expand_dims(others, axis=1))
    return given.rounded(total(given, cost, None, is_pair) / total(given, given.widened(is_pair), None))


def _similarities(given: Operands, x: Any) -> Array:
    least = given.xp.full_like(x[:, :1], dtypes.epsilon(given.dtype))
    unit = direction(given, x, -1, least).unit
    return given.backend.matmul(unit, given.xp.permute_dims(unit, (1, 0)))


def _diagonal(given: Operands, x: Array) -> Any:
    place = given.xp.arange(x.shape[0], device=getattr(x, "device", None))
    return given.xp.expand_dims(place, axis=1) == given.xp.expand_dims(place, axis=0)


def triplet_margin_loss(
    anchors: Any,
    positives: Any,
    negatives: Any,
    axis: int = -1,
    norm_degree: Any = 2,
    margin: Any = 1.0,
    eps: Any = 1e-6,
) -> Any:
    """How much nearer an anchor a should be to its positive p than to its negative n: max(0, d(a, p) − d(a, n) + m).

    The distance is d(a, b) = (Σ (a − b)^k + ε)^(1/k).

    Args:
      anchors: a, vectors along ``axis``; floating point.
      positives: p, the same.
      negatives: n, the same.
      axis: the axis along which vectors lie.
      norm_degree: k, the degree of the norm, an even number: differences are not made positive, as in Optax.
      margin: m.
      eps: ε > 0, which keeps the derivative finite where a distance is 0.

    Returns:
      An array of the shape of the vectors, without ``axis``.

    Raises:
      TypeError: the vectors are not floating point.
      ValueError: there is no such axis.

    Example:
      >>> import arrayopt, numpy as np
      >>> a, p, n = np.asarray([[0.0, 0.0]]), np.asarray([[0.3, 0.4]]), np.asarray([[0.6, 0.8]])
      >>> arrayopt.losses.triplet_margin_loss(a, p, n).round(3)
      array([0.5])

    Source:
      V. Balntas, E. Riba, D. Ponsa, K. Mikolajczyk, 2016: Learning local feature descriptors with triplets and
      shallow convolutional neural networks, BMVC.
    """
    who = "triplet_margin_loss"
    degree = norm_degree if type(norm_degree) in (int, float) else None
    floating = {"anchors": anchors, "positives": positives, "negatives": negatives}
    numbers = {"margin": margin, "eps": eps, "norm_degree": None if degree is not None else norm_degree}
    given = operands(who, floating, None, numbers)
    a, p, n, m, least, power = given.values
    power = power if degree is None else degree
    places(who, axis, a.ndim)

    def distance(b: Array) -> Any:
        return (total(given, (a - b) ** power, axis) + least) ** (1 / power)

    gap = distance(p) - distance(n) + m
    return given.rounded(given.xp.maximum(gap, given.xp.zeros_like(gap)))
