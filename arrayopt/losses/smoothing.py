"""Labels that leave some doubt."""

from __future__ import annotations

import math
from typing import Any

from arrayopt.losses.parts import Axis, of_bools, places
from arrayopt.operands import operands


def smooth_labels(labels: Any, alpha: Any, *, axis: Axis = -1, where: Any = None) -> Any:
    """One-hot labels mixed with equal chances, (1 − α) y + α / n.

    Args:
      labels: y, with the n classes along ``axis``; floating point.
      alpha: α in [0, 1], the share of the equal chances.
      axis: one axis or several that hold the classes; None for all.
      where: bools that broadcast with the labels: n counts those along ``axis``; None for all.

    Returns:
      An array of the shape of the labels.

    Raises:
      TypeError: the labels are not floating point, or ``where`` is not of bools.
      ValueError: there is no such axis.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.smooth_labels(np.eye(2), 0.1)
      array([[0.95, 0.05],
             [0.05, 0.95]])

    Source:
      R. Müller, S. Kornblith, G. Hinton, 2019: When Does Label Smoothing Help?, arXiv:1906.02629.
    """
    given = operands("smooth_labels", {"labels": labels}, {"where": where}, {"alpha": alpha})
    y, mask, share = given.values
    along = places("smooth_labels", axis, y.ndim)
    count: Any = math.prod([y.shape[k] for k in along])
    if of_bools("smooth_labels", mask) is not None:
        marks = given.widened(given.xp.broadcast_to(mask, y.shape))
        count = given.xp.sum(marks, axis=axis, keepdims=True, dtype=y.dtype)
    elif not count:
        return given.rounded(y)
    return given.rounded((1 - share) * y + share / count)
