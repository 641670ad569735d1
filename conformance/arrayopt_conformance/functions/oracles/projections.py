"""Projections from their definitions: of one array, or of a dict of arrays as one vector."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from arrayopt_conformance.libraries import Numpy


def _leaves(tree: Any) -> dict[str, Numpy]:
    return cast(dict[str, Numpy], tree) if isinstance(tree, dict) else {"": np.asarray(tree)}


def _vector(tree: Any) -> Numpy:
    return np.concatenate([leaf.reshape(-1) for leaf in _leaves(tree).values()])


def _like(tree: Any, vector: Numpy) -> Any:
    """The vector in the shape of a tree."""
    leaves, found, start = _leaves(tree), dict[str, Numpy](), 0
    for name, leaf in leaves.items():
        found[name] = vector[start : start + leaf.size].reshape(leaf.shape)
        start += leaf.size
    return found if isinstance(tree, dict) else found[""]


def _shift(x: Numpy, scale: float, low: float) -> float:
    """By bisection, the number that leaves Σ max(x − number, 0) = scale; there is one above ``low``."""
    high = float(x.max())
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(x - middle, 0).sum() > scale else (low, middle)
    return (low + high) / 2


def _simplex(x: Numpy, scale: float) -> Numpy:
    return np.maximum(x - _shift(x, scale, float(x.max()) - scale), 0)


def projection_non_negative(tree: Any) -> Any:
    x = _vector(tree)
    return _like(tree, np.where(x > 0, x, 0))


def _inside(x: Numpy, low: Any, high: Any) -> Numpy:
    above = x if low is None else np.maximum(x, low)
    return above if high is None else np.minimum(above, high)


def projection_box(tree: Any, lower: Any, upper: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _inside(x, lower[name], upper[name]) for name, x in _leaves(tree).items()}
    return _inside(tree, lower, upper)


def projection_hypercube(tree: Any, scale: Any = 1) -> Any:
    return projection_box(tree, 0, scale)


def projection_linf_ball(tree: Any, scale: float = 1) -> Any:
    x = _vector(tree)
    return _like(tree, np.sign(x) * np.minimum(np.abs(x), scale))


def projection_simplex(tree: Any, scale: float = 1) -> Any:
    return _like(tree, _simplex(_vector(tree), scale))


def projection_l1_sphere(tree: Any, scale: float = 1) -> Any:
    x = _vector(tree)
    return _like(tree, np.where(x < 0, -1, 1) * _simplex(np.abs(x), scale))


def projection_l1_ball(tree: Any, scale: float = 1) -> Any:
    """By the penalty that brings the norm to the scale: an entry shrinks by it, to 0 at most."""
    x = _vector(tree)
    size = np.abs(x)
    penalty = 0 if size.sum() <= scale else _shift(size, scale, 0)
    return _like(tree, np.sign(x) * np.maximum(size - penalty, 0))


def projection_l2_ball(tree: Any, scale: float = 1) -> Any:
    x = _vector(tree)
    return _like(tree, x * min(1, scale / float(np.linalg.norm(x))))


def projection_l2_sphere(tree: Any, scale: float = 1) -> Any:
    x = _vector(tree)
    return _like(tree, x * scale / np.linalg.norm(x))


def projection_vector(x: Any, a: Any) -> Any:
    """The multiple of a that least squares finds."""
    along = _vector(a)
    return _like(x, along * np.linalg.lstsq(along[:, None], _vector(x), rcond=None)[0])


def projection_hyperplane(x: Any, a: Any, b: float) -> Any:
    """A point of the plane, and the part of x − that point that is across the normal."""
    given, normal = _vector(x), _vector(a)
    point = b * np.linalg.pinv(normal[None, :])[:, 0]
    rest = given - point
    return _like(x, point + rest - np.outer(normal, normal) @ rest / float(normal @ normal))


def projection_halfspace(x: Any, a: Any, b: float) -> Any:
    return x if float(_vector(x) @ _vector(a)) <= b else projection_hyperplane(x, a, b)
