"""The words that formulas are made of.

Each takes an array of any library, or a Python number where that makes sense, and answers in kind. Beside
them a formula uses operators only. Statistics kept over steps come last: `ema`, `unbias`, `increment`.
"""

from __future__ import annotations

import math
from typing import Any, cast

from arrayopt import dtypes
from arrayopt.dispatch import backend, namespace
from arrayopt.types import Array, Scalar, ScalarOrSchedule

# -- elementwise words: the result at a place depends on that place alone ---------------------------------


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float))


def sqrt(x: Any) -> Any:
    """√x."""
    return math.sqrt(x) if _is_number(x) else namespace(x).sqrt(x)


def exp(x: Any) -> Any:
    """eˣ."""
    return math.exp(x) if _is_number(x) else namespace(x).exp(x)


def expm1(x: Any) -> Any:
    """eˣ − 1, exact also near 0."""
    return math.expm1(x) if _is_number(x) else namespace(x).expm1(x)


def log(x: Any) -> Any:
    """The natural logarithm; −∞ at 0."""
    if _is_number(x):
        return math.log(x) if x else -math.inf
    return namespace(x).log(x)


def cos(x: Any) -> Any:
    """Cosine of an angle in radians."""
    return math.cos(x) if _is_number(x) else namespace(x).cos(x)


def floor(x: Any) -> Any:
    """The greatest whole number not above x."""
    return float(math.floor(x)) if _is_number(x) else namespace(x).floor(x)


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y; a selection, so what lies in the other never shows."""
    if isinstance(condition, bool):
        return x if condition else y
    return namespace(condition).where(condition, x, y)


def at_least(x: Any, low: Scalar) -> Any:
    """The greater of x and a bound; NaN stays NaN."""
    return max(x, low) if _is_number(x) else namespace(x).clip(x, min=low)


def at_most(x: Any, high: Scalar) -> Any:
    """The smaller of x and a bound; NaN stays NaN."""
    return min(x, high) if _is_number(x) else namespace(x).clip(x, max=high)


def magnitude(x: Array) -> Array:
    """|x|, real also for complex x."""
    return namespace(x).abs(x)


def abs2(x: Array) -> Array:
    """|x|², real also for complex x."""
    if not dtypes.is_complex(x.dtype):
        return x * x
    xp = namespace(x)
    return cast(Array, xp.real(x) * xp.real(x) + xp.imag(x) * xp.imag(x))


def limit(x: Array, bound: Scalar) -> Array:
    """x brought to a magnitude of at most ``bound``: clipped to [−bound, bound]; complex x keeps its phase."""
    if not dtypes.is_complex(x.dtype):
        return namespace(x).clip(x, -bound, bound)
    size = magnitude(x)
    return where(size <= bound, x, x * (bound / size))


# -- leafwise words: they look at a whole leaf -------------------------------------------------------------


def total(x: Array, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """The sum over the axes, or over all of them."""
    return namespace(x).sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def mean(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """The mean over an axis, or over all; 0 where there is nothing to average."""
    count = math.prod(x.shape) if axis is None else x.shape[axis]
    return total(x, axis, keepdims) / max(count, 1)


def rms(x: Array) -> Array:
    """The root of the mean square of a leaf, a real scalar."""
    return sqrt(mean(abs2(x)))


def spread(x: Array, axis: int) -> Array:
    """x with an axis of length 1 put in, as broadcasting wants it."""
    return namespace(x).expand_dims(x, axis=axis)


# -- statistics kept over steps ------------------------------------------------------------------------


def ema(m: Array, x: Array, b: Scalar) -> Array:
    """One step of the exponential moving average b·m + (1 − b)·x.

    A number b is used once, as the share of the nearer end: then a constant x is a fixed point in every precision,
    which b·m + (1 − b)·x with two rounded weights is not; and at b = 0 the result is x itself.
    """
    if not _is_number(b):
        return b * m + (1 - b) * x
    return m + (1 - b) * (x - m) if b >= 0.5 else x + b * (m - x)


def unbias(m: Array, b: Scalar, t: Scalar) -> Array:
    """An average that began at zero, after t steps: m / (1 − bᵗ)."""
    return m / decayed(b, t)


def decayed(b: Scalar, t: Scalar) -> Scalar:
    """1 − bᵗ, as −expm1(t·log b): the plain form loses half its digits when b is near 1."""
    return cast(Scalar, -expm1(t * log(b)))


def increment(count: Array) -> Array:
    """The step counter plus one; at the greatest value of its dtype it stays, as does Optax's.

    Args:
      count: 0-d array of an integer dtype.

    Example:
      >>> import numpy as np
      >>> increment(np.asarray(2**31 - 1, dtype=np.int32))
      array(2147483647, dtype=int32)
    """
    xp = namespace(count)
    return backend(count).settle(count + xp.astype(count < xp.iinfo(count.dtype).max, count.dtype))


def real(count: Any) -> Any:
    """A step count as a real number: float of an int, else a 0-d array of the widest real dtype at hand."""
    if _is_number(count):
        return float(count)
    return namespace(count).astype(count, backend(count).wide())


def at(count: Array, **hyper: ScalarOrSchedule) -> dict[str, Scalar]:
    """The hyper-parameters of step k = ``count``: schedules evaluated there, the rest as they are."""
    return {name: value(count) if callable(value) else value for name, value in hyper.items()}
