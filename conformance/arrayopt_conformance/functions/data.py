"""Arguments to try functions with: NumPy arrays, the same in every run."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from arrayopt_conformance.libraries import Numpy


def _random(kind: str, *key: Any) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr((kind, *key)).encode()))


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Numpy:
    """Standard-normal numbers, times a scale."""
    return np.asarray(scale * _random("normal", shape, seed).standard_normal(shape))


def uniform(*shape: int, low: float = 0.0, high: float = 1.0, seed: int = 0) -> Numpy:
    """Numbers between two bounds."""
    return np.asarray(_random("uniform", shape, seed).uniform(low, high, shape))


def whole(*shape: int, high: int, seed: int = 0) -> Numpy:
    """Integers 0 … high − 1, int32."""
    return np.asarray(_random("whole", shape, seed).integers(high, size=shape), dtype=np.int32)


def chances(*shape: int, seed: int = 0, zeros: bool = False) -> Numpy:
    """Rows that are not negative and sum to 1; with some entries 0 if wanted."""
    random = _random("chances", shape, seed)
    x = random.exponential(size=shape)
    if zeros:
        x = np.where(random.uniform(size=shape) < 0.3, 0.0, x)
        x[..., 0] += 1e-3
    return np.asarray(x / x.sum(axis=-1, keepdims=True))


def eighths(*shape: int, seed: int = 0) -> Numpy:
    """Rows of multiples of 1/8 that sum to 1, in every dtype."""
    *rest, n = shape
    return np.asarray(_random("eighths", shape, seed).multinomial(8, [1 / n] * n, size=tuple(rest)) / 8)


def log_chances(*shape: int, seed: int = 0) -> Numpy:
    """Logarithms of such rows."""
    return np.log(chances(*shape, seed=seed))


def one_hot(*shape: int, seed: int = 0) -> Numpy:
    """Rows with a single 1."""
    *rest, n = shape
    return np.eye(n)[whole(*rest, high=n, seed=seed)]


def signs(*shape: int, seed: int = 0) -> Numpy:
    """Numbers −1 and 1."""
    return np.asarray(2.0 * whole(*shape, high=2, seed=seed) - 1.0)


def mask(*shape: int, seed: int = 0) -> Numpy:
    """Bools, most of them True; the first of each row is."""
    found = np.asarray(_random("mask", shape, seed).uniform(size=shape) < 0.7)
    found[..., 0] = True
    return found
