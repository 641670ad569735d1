"""The losses, entry by entry or row by row from their definitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

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


# -- parts -----------------------------------------------------------------------------------------------------


def each(f: Any, *xs: Any) -> Numpy:
    """A function of Python floats, entry by entry"""
    return np.asarray(np.vectorize(f, otypes=[np.float64])(*xs))


def masked(x: Numpy, where: Numpy | None) -> Numpy:
    """0 where the mask does not hold"""
    return x if where is None else np.where(where, x, 0.0)
