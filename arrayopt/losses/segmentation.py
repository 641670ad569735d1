"""Dice losses: how far predicted regions of an image are from covering the true ones."""

from __future__ import annotations

import math
from typing import Any, cast

from arrayopt import dtypes
from arrayopt.losses.parts import Axis, places, same_shape, total
from arrayopt.operands import Operands, operands
from arrayopt.types import Array

_REDUCTIONS = ("mean", "sum", "none")


def dice_loss(
    predictions: Any,
    targets: Any,
    *,
    class_weights: Any = None,
    smooth: Any = 1.0,
    alpha: Any = 0.5,
    beta: Any = 0.5,
    apply_softmax: bool = True,
    reduction: str = "mean",
    ignore_background: bool = False,
    axis: Axis = None,
) -> Any:
    """One minus the overlap of predicted and true regions, for each class.

    1 − (Σ p t + s) / (Σ p t + α (Σ p − Σ p t) + β (Σ t − Σ p t) + s), the sums over places, p the chances predicted
    and t the truth. With α = β = ½ it is the coefficient of Dice, with others that of Tversky.

    Args:
      predictions: logits, shape (batch, …, classes); with one class, or without that axis, for yes or no. Floating
        point.
      targets: t, 0 or 1, of the same shape; one of the two may lack the last axis.
      class_weights: factors of the classes, shape (classes,); None for none.
      smooth: s ≥ 0, which keeps an empty class from dividing by zero.
      alpha: α, the weight of what is predicted and not true.
      beta: β, the weight of what is true and not predicted.
      apply_softmax: whether predictions are logits, of which p is the softmax, or the sigmoid of a single class;
        else they are p itself.
      reduction: "mean" or "sum" over classes, or "none".
      ignore_background: whether class 0 is left out, if there are others.
      axis: the axes of places; None for all but the first and the last.

    Returns:
      An array of shape (batch,), or (batch, classes) without reduction.

    Raises:
      TypeError: the predictions are not floating point.
      ValueError: shapes do not fit, there is no such reduction or axis, or, where values can be looked at, the
        predictions are no chances though ``apply_softmax`` is False.

    Example:
      >>> import arrayopt, numpy as np
      >>> truth = np.asarray([[1.0, 1.0, 0.0, 0.0]])
      >>> arrayopt.losses.dice_loss(np.asarray([[9.0, 9.0, -9.0, -9.0]]), truth[..., None]).round(3)
      array([0.])

    Source:
      F. Milletari, N. Navab, S.-A. Ahmadi, 2016: V-Net, arXiv:1606.04797; S. S. M. Salehi, D. Erdogmus, A. Gholipour,
      2017: Tversky loss function for image segmentation, arXiv:1706.05721.
    """
    numbers = {"class_weights": class_weights, "smooth": smooth, "alpha": alpha, "beta": beta}
    given = operands("dice_loss", {"predictions": predictions}, {"targets": targets}, numbers)
    if reduction not in _REDUCTIONS:
        raise ValueError(f"dice_loss: reduction must be one of {', '.join(_REDUCTIONS)}; got {reduction!r}.")
    loss = _dice("dice_loss", given, apply_softmax, ignore_background, axis)
    return given.rounded(_reduced(given, loss, reduction))


def multiclass_generalized_dice_loss(
    predictions: Any,
    targets: Any,
    *,
    smooth: Any = 1.0,
    apply_softmax: bool = True,
    ignore_background: bool = False,
) -> Any:
    """The mean `dice_loss` over batch and classes, a class weighted by the inverse square of its frequency.

    The weights 1 / ((Σ t)² + 10⁻⁷) are brought to a mean of 1 over the classes.

    Args:
      predictions: logits, shape (batch, …, classes); floating point.
      targets: t, 0 or 1, of the same shape.
      smooth: s ≥ 0, which keeps an empty class from dividing by zero.
      apply_softmax: whether predictions are logits; else they are chances.
      ignore_background: whether class 0 is left out, if there are others.

    Returns:
      A 0-d array.

    Raises:
      TypeError: the predictions are not floating point.
      ValueError: the shapes differ, or predictions are no chances though ``apply_softmax`` is False.

    Example:
      >>> import arrayopt, numpy as np
      >>> truth = np.asarray([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
      >>> arrayopt.losses.multiclass_generalized_dice_loss(9 * truth, truth).round(3)
      np.float64(0.0)

    Source:
      C. H. Sudre and others, 2017: Generalised Dice overlap as a deep learning loss function for highly unbalanced
      segmentations, arXiv:1707.03237.
    """
    who = "multiclass_generalized_dice_loss"
    given = operands(who, {"predictions": predictions}, {"targets": targets}, {"smooth": smooth})
    x, truth, least = given.values
    same_shape(who, "predictions", x, "targets", truth)
    count = total(given, given.widened(truth), tuple(range(truth.ndim - 1)))
    weight = 1 / (count * count + 1e-7)
    weight = weight / total(given, weight, None) * weight.shape[0]
    loss = _dice(who, given._replace(values=[x, truth, weight, least, 0.5, 0.5]), apply_softmax, ignore_background)
    return given.rounded(total(given, loss, None) / max(math.prod(loss.shape), 1))


def binary_dice_loss(predictions: Any, targets: Any, *, smooth: Any = 1.0, apply_sigmoid: bool = True) -> Any:
    """The `dice_loss` of yes or no.

    Args:
      predictions: logits, shape (batch, …) or (batch, …, 1); floating point.
      targets: 0 or 1, of the same shape.
      smooth: s ≥ 0, which keeps an empty region from dividing by zero.
      apply_sigmoid: whether predictions are logits; else they are chances.

    Returns:
      An array of shape (batch,).

    Raises:
      TypeError: the predictions are not floating point.
      ValueError: shapes do not fit, or predictions are no chances though ``apply_sigmoid`` is False.

    Example:
      >>> import arrayopt, numpy as np
      >>> truth = np.asarray([[1.0, 1.0, 0.0, 0.0]])
      >>> arrayopt.losses.binary_dice_loss(np.asarray([[9.0, 9.0, -9.0, -9.0]]), truth).round(3)
      array([0.])

    Source:
      F. Milletari, N. Navab, S.-A. Ahmadi, 2016: V-Net, arXiv:1606.04797.
    """
    who = "binary_dice_loss"
    given = operands(who, {"predictions": predictions}, {"targets": targets}, {"smooth": smooth})
    x, truth, least = given.values
    if x.ndim == truth.ndim and x.shape[-1:] != (1,):
        x, truth = given.xp.expand_dims(x, axis=-1), given.xp.expand_dims(truth, axis=-1)
    loss = _dice(who, given._replace(values=[x, truth, None, least, 0.5, 0.5]), apply_sigmoid, False)
    return given.rounded(_reduced(given, loss, "mean"))


def _dice(who: str, given: Operands, of_logits: bool, ignore_background: bool, axis: Axis = None) -> Array:
    """The loss of each class.

    Args:
      who: whom messages name.
      given: predictions, targets, class weights or None, smooth, alpha, beta.
      of_logits: whether predictions are logits.
      ignore_background: whether to leave out class 0.
      axis: of places.
    """
    x, truth, weight, smooth, alpha, beta = given.values
    x, truth = _alike(who, given, x, given.widened(truth))
    chance = _chances(given, x) if of_logits else _checked(who, given, x)
    along = tuple(range(1, x.ndim - 1)) if axis is None else places(who, axis, x.ndim)
    both, predicted, true = [_over(given, part, along) for part in (chance * truth, chance, truth)]
    union = both + alpha * (predicted - both) + beta * (true - both)
    loss: Any = 1 - (both + smooth) / (union + smooth)
    if weight is not None:
        if weight.ndim != 1:
            raise ValueError(f"{who}: class_weights must have one axis; got shape {tuple(weight.shape)}.")
        loss = loss * weight
    return loss[..., 1:] if ignore_background and x.shape[-1] > 1 else cast(Array, loss)


def _alike(who: str, given: Operands, x: Any, truth: Any) -> tuple[Any, Any]:
    """Predictions and targets of one shape: the last axis, of classes, is put in where one of them lacks it."""
    if x.ndim == truth.ndim - 1:
        x = given.xp.expand_dims(x, axis=-1)
    elif truth.ndim == x.ndim - 1:
        truth = given.xp.expand_dims(truth, axis=-1)
    same_shape(who, "predictions", x, "targets", truth)
    if not x.ndim:
        raise ValueError(f"{who}: predictions must have an axis of classes; got a number.")
    return x, truth


def _chances(given: Operands, x: Array) -> Array:
    if x.shape[-1] == 1:
        return given.xp.exp(given.backend.log_sigmoid(x))
    return given.backend.softmax(x, -1)


def _checked(who: str, given: Operands, x: Array) -> Array:
    """Predictions that are chances already: they sum to 1, or a single one lies in [0, 1].

    Raises:
      ValueError: they are none, as far as values can be looked at.
    """
    if not given.backend.is_known(x):
        return x
    xp, slack = given.xp, max(1e-5, dtypes.epsilon(given.dtype))
    if x.shape[-1] == 1:
        far = xp.abs(x - 0.5) - 0.5
    else:
        far = xp.abs(xp.sum(x, axis=-1, dtype=x.dtype) - 1)
    if not bool(xp.all(far <= slack)):
        raise ValueError(
            f"{who}: predictions must be valid probability distributions, not logits, unless a softmax is applied."
        )
    return x


def _over(given: Operands, x: Array, axes: tuple[int, ...]) -> Array:
    return total(given, x, axes) if axes else x  # to some libraries no axes are all


def _reduced(given: Operands, loss: Array, reduction: str) -> Array:
    if reduction == "none":
        return loss
    found = total(given, loss, -1)
    return found if reduction == "sum" else found / max(loss.shape[-1], 1)
