"""What oracles are written with: plain NumPy in double precision, and a few words more."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Leaves = list[Array]
ScalarOrSchedule = float | Callable[[int], float]


def double(x: npt.ArrayLike) -> Array:
    """a copy in double precision"""
    return np.array(x, dtype=np.complex128 if np.iscomplexobj(x) else np.float64)


def stored(x: Array, dtype: str | None) -> Array:
    """x after a rest in a slot of this dtype (None: as wide as x); a complex x keeps both parts"""
    if dtype is None:
        return x
    slot = np.result_type(dtype, np.complex64) if np.iscomplexobj(x) else np.dtype(dtype)
    return double(np.asarray(x).astype(slot))


def at(value: ScalarOrSchedule, k: int) -> float:
    """a number, or a schedule's value at step k = 0, 1, …"""
    return float(value(k)) if callable(value) else value


def rms(x: Array) -> float:
    """√mean |x|², zero for an empty leaf"""
    return float(np.sqrt(np.mean(abs(x) ** 2))) if x.size else 0.0
