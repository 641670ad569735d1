"""Functions at the top of the package, from their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayopt_conformance.libraries import Numpy


def safe_norm(x: Numpy, least: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Numpy:
    """max(‖x‖, least)"""
    return np.maximum(np.asarray(np.linalg.norm(x, ord, axis, keepdims)), least)


def safe_root_mean_squares(x: Numpy, least: float) -> Numpy:
    """max(√(Σ x² / n), least)"""
    return np.asarray(max(float(np.sqrt((x**2).sum() / x.size)), least))


def scale_gradient(x: Numpy, scale: float) -> Numpy:
    """x"""
    del scale
    return x
