"""Projections from their definitions: of one array, or of a dict of arrays as one vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayopt_conformance.libraries import Numpy


def _as_vector(x: Any, project: Callable[..., Numpy], *others: Any) -> Any:
    """A projection of vectors, of arrays or dicts of them."""
    trees = [tree if isinstance(tree, dict) else {"": tree} for tree in (x, *others)]
    vectors = [np.concatenate([np.reshape(leaf, -1) for leaf in tree.values()]) for tree in trees]
    ends = np.cumsum([np.size(leaf) for leaf in trees[0].values()])[:-1]
    parts = np.split(project(*vectors), ends)
    found = {name: part.reshape(np.shape(leaf)) for (name, leaf), part in zip(trees[0].items(), parts, strict=True)}
    return found if isinstance(x, dict) else found[""]


def _least(x: Numpy, excess: Callable[[Numpy], float], low: float, high: float) -> float:
    """Where a function of a number that falls, is positive at ``low`` and not at ``high``, is zero."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(np.maximum(x - middle, 0)) > 0 else (low, middle)
    return (low + high) / 2


def _simplex(x: Numpy, scale: float) -> Numpy:
    return np.maximum(x - _least(x, lambda p: float(p.sum()) - scale, float(x.max()) - scale, float(x.max())), 0)


def projection_non_negative(tree: Any) -> Any:
    return _as_vector(tree, lambda x: np.where(x > 0, x, 0))


def projection_box(tree: Any, lower: Any, upper: Any) -> Any:
    def inside(x: Numpy, low: Any, high: Any) -> Numpy:
        above = x if low is None else np.maximum(x, low)
        return above if high is None else np.minimum(above, high)

    if isinstance(tree, dict):
        return {name: inside(x, lower[name], upper[name]) for name, x in tree.items()}
    return inside(tree, lower, upper)


def projection_hypercube(tree: Any, scale: Any = 1) -> Any:
    return projection_box(tree, 0, scale)


def projection_linf_ball(tree: Any, scale: float = 1) -> Any:
    return _as_vector(tree, lambda x: np.sign(x) * np.minimum(np.abs(x), scale))


def projection_simplex(tree: Any, scale: float = 1) -> Any:
    return _as_vector(tree, lambda x: _simplex(x, scale))


def projection_l1_sphere(tree: Any, scale: float = 1) -> Any:
    return _as_vector(tree, lambda x: np.where(x < 0, -1, 1) * _simplex(np.abs(x), scale))


def projection_l1_ball(tree: Any, scale: float = 1) -> Any:
    """By the penalty that brings the norm to the scale: an entry shrinks by it, to 0 at most."""

    def shrunk(x: Numpy) -> Numpy:
        size = np.abs(x)
        penalty = 0 if size.sum() <= scale else _least(size, lambda p: float(p.sum()) - scale, 0, float(size.max()))
        return np.sign(x) * np.maximum(size - penalty, 0)

    return _as_vector(tree, shrunk)


def projection_l2_ball(tree: Any, scale: float = 1) -> Any:
    return _as_vector(tree, lambda x: x * min(1, scale / float(np.linalg.norm(x))))


def projection_l2_sphere(tree: Any, scale: float = 1) -> Any:
    return _as_vector(tree, lambda x: x * scale / np.linalg.norm(x))


def projection_vector(x: Any, a: Any) -> Any:
    """What is left of x without its least-squares residual along a."""
    return _as_vector(x, lambda x, a: a * np.linalg.lstsq(a[:, None], x, rcond=None)[0], a)


def projection_hyperplane(x: Any, a: Any, b: float) -> Any:
    """A point of the plane, and the part of x − that point across the normal."""

    def onto(x: Numpy, a: Numpy) -> Numpy:
        point = b * np.linalg.pinv(a[None, :])[:, 0]
        return point + (x - point) - np.outer(a, a) @ (x - point) / float(a @ a)

    return _as_vector(x, onto, a)


def projection_halfspace(x: Any, a: Any, b: float) -> Any:
    dot = sum(float(np.sum(x[name] * a[name])) for name in x) if isinstance(x, dict) else float(np.sum(x * a))
    return x if dot <= b else projection_hyperplane(x, a, b)
