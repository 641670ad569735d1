"""Derivatives of the commonest losses, written down.

Each function takes what the loss of its name takes, and answers the derivative of the sum of the losses by their
first argument, in at least float32 and of the shape to which the arguments broadcast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayopt.losses import classification, margins, regression
from arrayopt.losses.parts import Axis, direction, filled, mask_like, of_bools, places, selected
from arrayopt.operands import Operands, operands
from arrayopt.special import steps
from arrayopt.types import Array

WHO = "value_and_grad"
Slope = tuple[Operands, Array]


def squared_error(predictions: Any, targets: Any = None) -> Slope:
    """2 e, e = y − t."""
    given, error = l2_loss(predictions, targets)
    return given, 2 * error


def l2_loss(predictions: Any, targets: Any = None) -> Slope:
    """The error e."""
    given = operands(WHO, {"predictions": predictions}, {"targets": targets})
    return given, regression.error_of(WHO, given)


def huber_loss(predictions: Any, targets: Any = None, *, delta: Any = 1.0) -> Slope:
    """The error, clipped to [−δ, δ]."""
    given = operands(WHO, {"predictions": predictions}, {"targets": targets}, {"delta": delta})
    d = given.values[2]
    error = regression.error_of(WHO, given, broadcast=True)
    return given, given.xp.minimum(given.xp.maximum(error, -d), d)


def cosine_similarity(
    predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: Axis = -1, where: Any = None
) -> Slope:
    """(b − s a) / |a|, both vectors brought to length 1 and s their product; b / √ε where |a|² is below ε."""
    floating = {"predictions": predictions, "targets": targets}
    given = operands(WHO, floating, {"where": where}, {"epsilon": epsilon})
    a, b, mask, least = given.values
    xp, mask = given.xp, of_bools(WHO, mask)
    one, other = [direction(given, selected(xp, mask, v), axis, least) for v in (a, b)]
    turning = xp.sum(one.unit * other.unit, axis=axis, keepdims=True, dtype=a.dtype) * one.unit
    return given, selected(xp, mask, (other.unit - selected(xp, one.is_long, turning)) * one.per_length)


def cosine_distance(predictions: Any, targets: Any, **rest: Any) -> Slope:
    """The same, negative."""
    given, found = cosine_similarity(predictions, targets, **rest)
    return given, -found


def softmax_cross_entropy(logits: Any, labels: Any, axis: Axis = -1, where: Any = None) -> Slope:
    """p Σ y − y, p = softmax(x)."""
    given = operands(WHO, {"logits": logits}, {"labels": labels, "where": where})
    x, y, mask = given.values
    xp, mask = given.xp, mask_like(WHO, given, mask, x, axis)
    chance = selected(xp, mask, given.backend.softmax(filled(xp, mask, x, axis), axis))
    y, chance = xp.broadcast_arrays(selected(xp, mask, given.widened(y)), chance)
    return given, chance * xp.sum(y, axis=axis, keepdims=True, dtype=y.dtype) - y


def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: int | tuple[int, ...] = -1, where: Any = None
) -> Slope:
    """p less 1 at the label, p = softmax(x); 0 in rows that are masked altogether."""
    given = operands(WHO, {"logits": logits}, {"labels": labels, "where": where})
    whole = given.values[0]
    x, at, mask = classification.classes_last(WHO, given, axis)
    xp = given.xp
    chance = selected(xp, mask, given.backend.softmax(filled(xp, mask, x, -1), -1))
    at = xp.expand_dims(xp.where(at < 0, at + x.shape[-1], at), axis=-1)
    is_label = at == steps(xp, x, x.ndim - 1, at.dtype)
    if mask is not None:
        is_label = is_label & xp.any(mask, axis=-1, keepdims=True)
    return given, _classes_back(given, whole, chance - given.widened(is_label), places(WHO, axis, whole.ndim))


def _classes_back(given: Operands, like: Array, x: Array, along: tuple[int, ...]) -> Array:
    """The classes where they were, before they were brought to the last axis."""
    order = (*[k for k in range(like.ndim) if k not in along], *along)
    shaped = given.xp.reshape(x, tuple([like.shape[k] for k in order]))
    return given.xp.permute_dims(shaped, tuple([order.index(k) for k in range(like.ndim)]))


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Slope:
    """σ(x) − y, as (1 − y) σ(x) − y σ(−x): it loses no digits."""
    given = operands(WHO, {"logits": logits}, {"labels": labels})
    x, y = given.values
    y, sigmoid = given.widened(y), given.backend.log_sigmoid
    return given, (1 - y) * given.xp.exp(sigmoid(x)) - y * given.xp.exp(sigmoid(-x))


def hinge_loss(predictor_outputs: Any, targets: Any) -> Slope:
    """−t short of the margin, 0 beyond, half of it on it."""
    given = operands(WHO, {"predictor_outputs": predictor_outputs}, {"targets": targets})
    score, target = given.values[0], given.widened(given.values[1])
    gap: Any = 1 - score * target
    short = given.widened(gap > 0) + 0.5 * given.widened(gap == 0)
    return given, -target * short


SLOPES: dict[Callable[..., Any], Callable[..., Slope]] = {
    regression.squared_error: squared_error,
    regression.l2_loss: l2_loss,
    regression.huber_loss: huber_loss,
    classification.softmax_cross_entropy: softmax_cross_entropy,
    classification.softmax_cross_entropy_with_integer_labels: softmax_cross_entropy_with_integer_labels,
    classification.sigmoid_binary_cross_entropy: sigmoid_binary_cross_entropy,
    margins.hinge_loss: hinge_loss,
    regression.cosine_similarity: cosine_similarity,
    regression.cosine_distance: cosine_distance,
}
"""By loss."""
