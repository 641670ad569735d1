"""Cross entropies: losses of logits, the logarithms of chances but for a constant."""

from __future__ import annotations

import math
from typing import Any

from arrayopt.losses.parts import Axis, filled, log_softmax, mask_like, of_integers, places, selected, total
from arrayopt.operands import Operands, operands
from arrayopt.types import Array


def softmax_cross_entropy(logits: Any, labels: Any, axis: Axis = -1, where: Any = None) -> Any:
    """The cross entropy −Σ y log softmax(x) of labels y that are chances, such as one-hot rows.

    Args:
      logits: x, with the classes along ``axis``; floating point.
      labels: y, of a shape that broadcasts with it.
      axis: one axis or several that hold the classes; None for all.
      where: bools, one for each logit, or for each row: what takes part; None for all. A row without any gives 0.

    Returns:
      An array of the shape of the logits, without ``axis``. A logit of −∞ gives NaN where its label is 0, unless it
      is masked; `safe_softmax_cross_entropy` gives 0.

    Raises:
      TypeError: the logits are not floating point, or ``where`` is not of bools.
      ValueError: there is no such axis.

    Example:
      >>> import arrayopt, numpy as np
      >>> logits, labels = np.asarray([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), np.eye(3)[:2]
      >>> arrayopt.softmax_cross_entropy(logits, labels).round(3)
      array([0.408, 1.099])

    Source:
      I. Goodfellow, Y. Bengio, A. Courville, 2016: Deep Learning, section 6.2.2.3.
    """
    who = "softmax_cross_entropy"
    given = operands(who, {"logits": logits}, {"labels": labels, "where": where})
    x, y, mask = given.values
    places(who, axis, x.ndim)
    return given.rounded(_cross_entropy(given, x, given.widened(y), axis, mask_like(who, given, mask, x, axis)))


def _cross_entropy(given: Operands, x: Array, y: Array, axis: Axis, mask: Any) -> Array:
    if mask is None:
        return given.backend.cross_entropy(x, y, axis)
    return -total(given, selected(given.xp, mask, y) * log_softmax(given, x, axis, mask), axis)


def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: int | tuple[int, ...] = -1, where: Any = None
) -> Any:
    """The cross entropy log Σ eˣ − x[y] of labels y that are numbers of classes.

    Args:
      logits: x, with the classes along ``axis``; floating point.
      labels: y, integers 0 … n − 1, of the shape of the logits without ``axis``. Negative ones count from the end, as
        in Optax; others that are out of range give NaN.
      axis: the axis that holds the n classes; of several the classes are the entries, the last axis running fastest.
      where: bools, one for each logit, or for each row: what takes part; None for all. A row without any gives 0.

    Returns:
      An array of the shape of the labels.

    Raises:
      TypeError: the logits are not floating point, the labels are not integers, or ``where`` is not of bools.
      ValueError: there is no such axis, or the shape of the labels does not fit.

    Example:
      >>> import arrayopt, numpy as np
      >>> logits = np.asarray([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
      >>> arrayopt.softmax_cross_entropy_with_integer_labels(logits, np.asarray([0, 1])).round(3)
      array([0.408, 1.099])

    Source:
      I. Goodfellow, Y. Bengio, A. Courville, 2016: Deep Learning, section 6.2.2.3.
    """
    who = "softmax_cross_entropy_with_integer_labels"
    given = operands(who, {"logits": logits}, {"labels": labels, "where": where})
    x, at, mask = classes_last(who, given, axis)
    if mask is None:
        return given.rounded(given.backend.surprise(x, at, x.ndim - 1))
    found = given.backend.logsumexp(filled(given.xp, mask, x, -1), -1) - given.backend.picked(x, at, x.ndim - 1)
    return given.rounded(selected(given.xp, given.xp.any(mask, axis=-1), found))


def classes_last(who: str, given: Operands, axis: Any) -> tuple[Any, Any, Any]:
    """Logits, integer labels and mask, the classes brought to the last axis of the logits.

    Raises:
      TypeError: the labels are not integers, or the mask is not of bools.
      ValueError: there is no such axis, or the labels do not fit.
    """
    x, labels, where = given.values
    if axis is None:
        raise ValueError(f"{who}: axis must be an integer or a tuple of integers; got None.")
    along = places(who, axis, x.ndim)
    rest = tuple([k for k in range(x.ndim) if k not in along])
    at, mask = of_integers(who, "labels", given, labels), mask_like(who, given, where, x, axis)
    batch = tuple([x.shape[k] for k in rest])
    if at.ndim != len(rest) or not all([1 in (a, b) or a == b for a, b in zip(at.shape, batch, strict=True)]):
        raise ValueError(f"{who}: labels must have the shape {batch} of the logits; got {tuple(at.shape)}.")
    if along == (x.ndim - 1,):
        return x, at, mask
    xp, shape = given.xp, (*batch, math.prod([x.shape[k] for k in along]))

    def moved(x: Array) -> Array:
        return xp.reshape(xp.permute_dims(x, (*rest, *along)), shape)

    return moved(x), at, None if mask is None else moved(xp.broadcast_to(mask, x.shape))


def poly_loss_cross_entropy(
    logits: Any, labels: Any, *, epsilon: Any = 2.0, axis: Axis = -1, where: Any = None
) -> Any:
    """The cross entropy and a term that is linear in the chances p = softmax(x): −Σ y log p + ε Σ y (1 − p).

    Args:
      logits: x, with the classes along ``axis``; floating point.
      labels: y, chances such as one-hot rows, of a shape that broadcasts with it; floating point.
      epsilon: ε. The paper recommends 2 for images of one thing each, −1 for detection and segmentation.
      axis: one axis or several that hold the classes; None for all.
      where: bools, one for each logit, or for each row: what takes part; None for all. A row without any gives 0.

    Returns:
      An array of the shape of the logits, without ``axis``.

    Raises:
      TypeError: logits or labels are not floating point, or ``where`` is not of bools.
      ValueError: there is no such axis.

    Example:
      >>> import arrayopt, numpy as np
      >>> logits, labels = np.asarray([[2.0, 1.0, 0.0]]), np.asarray([[1.0, 0.0, 0.0]])
      >>> arrayopt.losses.poly_loss_cross_entropy(logits, labels).round(3)
      array([1.077])

    Source:
      Z. Leng and others, 2022: PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions,
      arXiv:2204.12511, eq. 6.
    """
    who = "poly_loss_cross_entropy"
    given = operands(who, {"logits": logits, "labels": labels}, {"where": where}, {"epsilon": epsilon})
    x, y, mask, weight = given.values
    places(who, axis, x.ndim)
    mask = mask_like(who, given, mask, x, axis)
    rest = 1 - given.backend.softmax(filled(given.xp, mask, x, axis), axis)
    linear = total(given, selected(given.xp, mask, y) * rest, axis)
    return given.rounded(_cross_entropy(given, x, y, axis, mask) + weight * linear)


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Any:
    """The cross entropy −y log σ(x) − (1 − y) log(1 − σ(x)) of yes or no, entry by entry.

    It is computed as x ([x ≥ 0] − y) + log(1 + e^(−|x|)), which neither overflows nor cancels.

    Args:
      logits: x, of any shape; floating point.
      labels: y in [0, 1], of a shape that broadcasts with it.

    Returns:
      An array of the dtype of the logits.

    Raises:
      TypeError: the logits are not floating point.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.sigmoid_binary_cross_entropy(np.asarray([0.0, 1e4, -1e4]), np.asarray([1, 1, 1])).tolist()
      [0.6931471805599453, 0.0, 10000.0]

    Source:
      I. Goodfellow, Y. Bengio, A. Courville, 2016: Deep Learning, section 6.2.2.2.
    """
    given = operands("sigmoid_binary_cross_entropy", {"logits": logits}, {"labels": labels}).like(0)
    x, y = given.values
    return given.rounded(given.backend.binary_cross_entropy(x, given.widened(y)))


def sigmoid_focal_loss(logits: Any, labels: Any, *, alpha: Any = None, gamma: Any = 2.0) -> Any:
    """The binary cross entropy, weighed down where the answer is right already: −α (1 − p)^γ log p, entry by entry.

    Here p is the chance of the label: σ(x) if it is 1, 1 − σ(x) if it is 0. The weight is computed from logarithms,
    so that it and its derivatives are finite for every logit.

    Args:
      logits: x, of any shape; floating point.
      labels: y in [0, 1], of a shape that broadcasts with it.
      alpha: the weight, in (0, 1), of labels of 1; those of 0 have 1 − α; None for no weights.
      gamma: γ ≥ 0; 0 for the plain cross entropy.

    Returns:
      An array of the dtype of the logits.

    Raises:
      TypeError: the logits are not floating point.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.sigmoid_focal_loss(np.asarray([2.0, 2.0]), np.asarray([1, 0])).round(3)
      array([0.002, 1.65 ])

    Source:
      T.-Y. Lin and others, 2017: Focal Loss for Dense Object Detection, arXiv:1708.02002, eq. 5.
    """
    numbers = {"alpha": alpha, "gamma": gamma}
    given = operands("sigmoid_focal_loss", {"logits": logits}, {"labels": labels}, numbers).like(0, 2, 3)
    x, y, share, power = given.values
    y = given.widened(y)
    loss = given.backend.binary_cross_entropy(x, y) * given.xp.exp(power * _log_rest(given, x, y))
    return given.rounded(loss if share is None else (share * y + (1 - share) * (1 - y)) * loss)


def _log_rest(given: Operands, x: Array, y: Any) -> Array:
    """The logarithm of 1 − p = (1 − y) σ(x) + y σ(−x); of labels 0 and 1 it may be too small for its exponential."""
    xp, yes, no = given.xp, given.backend.log_sigmoid(x), given.backend.log_sigmoid(-x)
    is_zero, is_one = y == 0, y == 1
    mixed = (1 - y) * xp.exp(yes) + y * xp.exp(no)
    mixed = xp.log(xp.where(is_zero | is_one, xp.ones_like(mixed), mixed))
    return xp.where(is_zero, yes, xp.where(is_one, no, mixed))
