"""The losses, entry by entry or row by row from their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import numpy as np

from arrayopt_conformance.functions.oracles.structured import ctc_loss as ctc_loss
from arrayopt_conformance.functions.oracles.structured import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from arrayopt_conformance.functions.oracles.structured import multiclass_sparsemax_loss as multiclass_sparsemax_loss
from arrayopt_conformance.functions.oracles.structured import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from arrayopt_conformance.functions.oracles.structured import sparsemax_loss as sparsemax_loss
from arrayopt_conformance.libraries import Numpy

Axis = int | tuple[int, ...] | None


def squared_error(y: Numpy, t: Any = 0.0) -> Numpy:
    """(y − t)²"""
    return np.asarray((y - t) ** 2)


def l2_loss(y: Numpy, t: Any = 0.0) -> Numpy:
    """½ (y − t)²"""
    return np.asarray((y - t) ** 2 / 2)


def huber_loss(y: Numpy, t: Any = 0.0, *, delta: float = 1.0) -> Numpy:
    """½ e² within δ, δ (|e| − ½ δ) beyond"""

    def one(e: float) -> float:
        return e * e / 2 if abs(e) <= delta else delta * (abs(e) - delta / 2)

    return each(one, y - t)


def log_cosh(y: Numpy, t: Any = 0.0) -> Numpy:
    """log cosh e"""
    return each(lambda e: math.log(math.cosh(e)), y - t)


def cosine_similarity(
    a: Numpy, b: Numpy, *, epsilon: float = 0.0, axis: Axis = -1, where: Numpy | None = None
) -> Numpy:
    """a·b / (|a| |b|), the squares of the lengths at least ε"""
    a, b = masked(a, where), masked(b, where)
    squares = [np.maximum((v**2).sum(axis=axis), epsilon) for v in (a, b)]
    return np.asarray((a * b).sum(axis=axis) / np.sqrt(squares[0] * squares[1]))


def cosine_distance(a: Numpy, b: Numpy, **rest: Any) -> Numpy:
    """1 − cos"""
    return np.asarray(1 - cosine_similarity(a, b, **rest))


def softmax_cross_entropy(x: Numpy, y: Numpy, axis: Axis = -1, where: Numpy | None = None) -> Numpy:
    """−Σ y log p, p = softmax(x) over the entries that are not masked"""
    x, y, where = rows(x, axis), rows(np.broadcast_to(y, x.shape), axis), row_mask(x, axis, where)
    return over(
        lambda x, y, w: -sum(yk * math.log(p) for yk, p in zip(y[w], softmax(x[w]), strict=True)), x, y, where
    )


def softmax_cross_entropy_with_integer_labels(
    x: Numpy, y: Numpy, axis: Axis = -1, where: Numpy | None = None
) -> Numpy:
    """log Σ eˣ over the entries that are not masked, less x of the label; 0 if all are masked"""

    def one(x: Numpy, y: int, w: Numpy) -> Any:
        return math.log(sum(map(math.exp, x[w]))) - x[y] if w.any() else 0.0

    return over(one, rows(x, axis), y, row_mask(x, axis, where))


def poly_loss_cross_entropy(
    x: Numpy, y: Numpy, *, epsilon: float = 2.0, axis: Axis = -1, where: Numpy | None = None
) -> Numpy:
    """Σ y (−log p + ε (1 − p))"""

    def one(x: Numpy, y: Numpy, w: Numpy) -> Any:
        return sum(yk * (-math.log(p) + epsilon * (1 - p)) for yk, p in zip(y[w], softmax(x[w]), strict=True))

    return over(one, rows(x, axis), rows(y, axis), row_mask(x, axis, where))


def sigmoid_binary_cross_entropy(x: Numpy, y: Numpy) -> Numpy:
    """−y log σ(x) − (1 − y) log σ(−x)"""
    return each(lambda x, y: y * math.log1p(math.exp(-x)) + (1 - y) * math.log1p(math.exp(x)), x, y)


def sigmoid_focal_loss(x: Numpy, y: Numpy, *, alpha: float | None = None, gamma: float = 2.0) -> Numpy:
    """−α (1 − p)^γ log p, p the chance of the label"""

    def one(x: float, y: float) -> Any:
        p = 1 / (1 + math.exp(-x))
        weight = 1 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
        return weight * (1 - (p * y + (1 - p) * (1 - y))) ** gamma * -(y * math.log(p) + (1 - y) * math.log(1 - p))

    return each(one, x, y)


def hinge_loss(s: Numpy, t: Numpy) -> Numpy:
    """max(0, 1 − s t)"""
    return each(lambda s, t: max(0.0, 1 - s * t), s, t)


def perceptron_loss(s: Numpy, t: Numpy) -> Numpy:
    """max(0, −s t)"""
    return each(lambda s, t: max(0.0, -s * t), s, t)


def multiclass_hinge_loss(s: Numpy, y: Numpy) -> Numpy:
    """max over k of s[k] + [k ≠ y], less s[y]"""
    return over(lambda s, y: max(v + (k != y) for k, v in enumerate(s)) - s[y], s, y)


def multiclass_perceptron_loss(s: Numpy, y: Numpy) -> Numpy:
    """max s − s[y]"""
    return over(lambda s, y: max(s) - s[y], s, y)


def kl_divergence(q: Numpy, p: Numpy, axis: Axis = -1, where: Numpy | None = None) -> Numpy:
    """Σ p (log p − log q), 0 where p is 0"""
    return summed(each(lambda q, p: p * (math.log(p) - q) if p else 0.0, q, p), axis, where)


def generalized_kl_divergence(q: Numpy, p: Numpy, axis: Axis = -1, where: Numpy | None = None) -> Numpy:
    """the same, and Σ q − p"""
    return kl_divergence(q, p, axis, where) + summed(np.exp(q) - p, axis, where)


def kl_divergence_with_log_targets(q: Numpy, p: Numpy, axis: Axis = -1, where: Numpy | None = None) -> Numpy:
    """the same as the first, of log p"""
    return kl_divergence(q, np.exp(p), axis, where)


def ranking_softmax_loss(
    s: Numpy, y: Numpy, *, where: Numpy | None = None, weights: Any = 1.0, reduce_fn: Any = np.mean
) -> Numpy:
    """−Σ w y log softmax(s) of each list, and their mean"""
    found = softmax_cross_entropy(s, y * weights, -1, where)
    return found if reduce_fn is None else np.asarray(reduce_fn(found))


def dice_loss(
    x: Numpy,
    t: Numpy,
    *,
    class_weights: Any = 1.0,
    smooth: float = 1.0,
    alpha: float = 0.5,
    beta: float = 0.5,
    apply_softmax: bool = True,
    reduction: str = "mean",
    ignore_background: bool = False,
    axis: Axis = None,
) -> Numpy:
    """1 − (true positives + s) / (true positives + α false positives + β false negatives + s), of each class"""
    p = x
    if apply_softmax:
        p = 1 / (1 + np.exp(-x)) if x.shape[-1] == 1 else over(softmax, x)
    axis = tuple(range(1, x.ndim - 1)) if axis is None else axis
    hits, false, missed = [v.sum(axis=axis) for v in (p * t, p * (1 - t), (1 - p) * t)]
    loss = class_weights * (1 - (hits + smooth) / (hits + alpha * false + beta * missed + smooth))
    loss = loss[..., 1:] if ignore_background else loss
    return np.asarray({"mean": loss.mean(axis=-1), "sum": loss.sum(axis=-1), "none": loss}[reduction])


def multiclass_generalized_dice_loss(x: Numpy, t: Numpy, **rest: Any) -> Numpy:
    """its mean, classes weighted by 1 / frequency², the weights of mean 1"""
    frequencies = [t[..., k].sum() for k in range(t.shape[-1])]
    weights = np.asarray([1 / (f**2 + 1e-7) for f in frequencies])
    return np.asarray(dice_loss(x, t, class_weights=weights / weights.mean(), reduction="none", **rest).mean())


def binary_dice_loss(x: Numpy, t: Numpy, **rest: Any) -> Numpy:
    """that of one class"""
    return dice_loss(x.reshape(len(x), -1, 1), t.reshape(len(x), -1, 1), **rest)


def ntxent(x: Numpy, y: Numpy, temperature: float = 0.07) -> Numpy:
    """the mean over pairs i ≠ j of one label of −log (e^s(i,j) / (e^s(i,j) + Σ e^s(i,k) over other labels))"""
    length = [math.sqrt(max(v @ v, 2.0**-52)) for v in x]
    score = [
        [(a @ b) / (m * n) / temperature for b, n in zip(x, length, strict=True)]
        for a, m in zip(x, length, strict=True)
    ]
    costs: list[float] = []
    for i, j in np.argwhere((y[:, None] == y) & ~np.eye(len(y), dtype=bool)):
        others = sum(math.exp(score[i][k]) for k in range(len(y)) if y[k] != y[i])
        costs.append(-math.log(math.exp(score[i][j]) / (math.exp(score[i][j]) + others)))
    return np.asarray(np.mean(costs))


def triplet_margin_loss(
    a: Numpy,
    p: Numpy,
    n: Numpy,
    axis: int = -1,
    norm_degree: int = 2,
    margin: float = 1.0,
    eps: float = 1e-6,
) -> Numpy:
    """max(0, d(a, p) − d(a, n) + margin)"""
    near, far = [(((a - b) ** norm_degree).sum(axis=axis) + eps) ** (1 / norm_degree) for b in (p, n)]
    return np.asarray(np.maximum(near - far + margin, 0))


def smooth_labels(y: Numpy, alpha: float, *, axis: Axis = -1, where: Numpy | None = None) -> Numpy:
    """(1 − α) y + α / n"""
    count = np.ones_like(y) if where is None else where * 1.0
    return np.asarray((1 - alpha) * y + alpha / count.sum(axis=axis, keepdims=True))


# -- parts -----------------------------------------------------------------------------------------------------


@overload
def each(f: Callable[[Any], Any], x: Any, /) -> Numpy: ...
@overload
def each(f: Callable[[Any, Any], Any], x: Any, y: Any, /) -> Numpy: ...
def each(f: Any, *xs: Any) -> Numpy:
    """A function of Python floats, entry by entry"""
    return np.asarray(np.vectorize(f, otypes=[np.float64])(*xs))


def masked(x: Numpy, where: Numpy | None) -> Numpy:
    """0 where the mask does not hold"""
    return x if where is None else np.where(where, x, 0.0)


def summed(x: Numpy, axis: Axis, where: Numpy | None) -> Numpy:
    """the sum of what is not masked"""
    return np.asarray(masked(x, where).sum(axis=axis))


def softmax(x: Numpy) -> Numpy:
    """of one row"""
    powers = [math.exp(v) for v in x]
    return np.asarray(powers) / sum(powers)


def rows(x: Numpy, axis: Axis) -> Numpy:
    """with the axes brought to the end, as one"""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    last = np.moveaxis(x, axes, range(-len(axes), 0))
    return last.reshape(*last.shape[: -len(axes)], math.prod(last.shape[-len(axes) :]))


def row_mask(x: Numpy, axis: Axis, where: Numpy | None) -> Numpy:
    """the mask as one for every entry; all True if there is none"""
    where = np.ones(x.shape, bool) if where is None else where
    return rows(np.broadcast_to(where if where.ndim == x.ndim else where[..., None], x.shape), axis)


@overload
def over(f: Callable[[Any], Any], x: Numpy, /) -> Numpy: ...
@overload
def over(f: Callable[[Any, Any], Any], x: Numpy, y: Numpy, /) -> Numpy: ...
@overload
def over(f: Callable[[Any, Any, Any], Any], x: Numpy, y: Numpy, z: Numpy, /) -> Numpy: ...
def over(f: Any, *xs: Numpy) -> Numpy:
    """a function of rows, row by row: of the last axis of the first, and of that of others that have it"""
    batch = xs[0].shape[:-1]
    found = np.asarray([f(*[x[at] for x in xs]) for at in np.ndindex(batch)])
    return found.reshape(batch + found.shape[1:])
