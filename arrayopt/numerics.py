"""The words that formulas are made of.

Each takes an array of any library, or a Python number where that makes sense, and answers in kind. Beside
them a formula uses operators only. Statistics kept over steps come last: `ema`, `unbias`, `safe_increment`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from arrayopt import dtypes
from arrayopt.answers import asked, described, stepping
from arrayopt.counts import bare
from arrayopt.dispatch import backend, is_array, is_recorded, namespace
from arrayopt.types import Array, Scalar, ScalarOrSchedule

X = TypeVar("X")  # a number or an array

GREATEST = 2**31 - 1  # count of steps

# -- elementwise words: the result at a place depends on that place alone ---------------------------------


def _is_number(x: Any) -> bool:
    return type(x) in (float, int)  # not isinstance: a NumPy float64 is an array that calls itself a float


def _answer(x: X, of_number: Callable[[Any], float], word: str) -> X:
    return cast(X, of_number(x) if _is_number(x) else getattr(namespace(x), word)(bare(x)))


def sqrt(x: X) -> X:
    """√x."""
    return _answer(x, math.sqrt, "sqrt")


def exp(x: X) -> X:
    """eˣ."""
    return _answer(x, math.exp, "exp")


def expm1(x: X) -> X:
    """eˣ − 1, exact also near 0."""
    return _answer(x, math.expm1, "expm1")


def log(x: X) -> X:
    """The natural logarithm; −∞ at 0."""
    return _answer(x, _log, "log")


def _log(x: float) -> float:
    return math.log(x) if x else -math.inf


def cos(x: X) -> X:
    """Cosine of an angle in radians."""
    return _answer(x, math.cos, "cos")


def floor(x: X) -> X:
    """The greatest whole number not above x."""
    return _answer(x, _floor, "floor")


def _floor(x: float) -> float:
    return float(math.floor(x))


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y; a selection, so what lies in the other never shows."""
    if isinstance(condition, bool):
        return x if condition else y
    condition, x, y = bare(condition), bare(x), bare(y)
    if not condition.shape and _is_number(x) and _is_number(y) and not is_recorded(condition):
        x = _wide_like(condition, x)  # of two numbers some libraries make their default dtype, others refuse
        y = _wide_like(condition, y)
    return namespace(condition).where(condition, x, y)


def _wide_like(x: Array, value: float) -> Array:
    return namespace(x).full_like(x, value, dtype=backend(x).wide())


def at_least(x: X, low: Scalar) -> X:
    """The greater of x and a bound; NaN stays NaN."""
    return cast(X, max(cast(Any, x), low) if _is_number(x) else namespace(x).clip(bare(x), min=low))


def at_most(x: X, high: Scalar) -> X:
    """The smaller of x and a bound; NaN stays NaN."""
    return cast(X, min(cast(Any, x), high) if _is_number(x) else namespace(x).clip(bare(x), max=high))


def magnitude(x: Array) -> Array:
    """|x|, real also for complex x."""
    return namespace(x).abs(x)


def abs2(x: Array) -> Array:
    """|x|², real also for complex x."""
    if not dtypes.is_complex(x.dtype):
        return x * x
    xp = namespace(x)
    return xp.real(x) * xp.real(x) + xp.imag(x) * xp.imag(x)


def limit(x: Array, bound: Scalar) -> Array:
    """x brought to a magnitude of at most ``bound``: clipped to [−bound, bound]; complex x keeps its phase."""
    if not dtypes.is_complex(x.dtype):
        return namespace(x).clip(x, -bound, bound)
    size = magnitude(x)
    within = size <= bound
    divisor = where(within, 1.0, size)  # no 0 / 0, not even where it is not selected
    return cast(Array, where(within, x, x * (bound / divisor)))


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
    return -expm1(t * log(b))


def safe_increment(count: Any) -> Any:
    """The step counter plus one; at the greatest value of its dtype it stays, as does Optax's.

    Args:
      count: 0-d array of an integer dtype, or a Python int.

    Raises:
      TypeError: it is neither.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.safe_increment(np.asarray(2**31 - 1, dtype=np.int32))
      array(2147483647, dtype=int32)
    """
    if type(count) is int:
        return count + (count < GREATEST)
    if not is_array(count) or not dtypes.is_integer(count.dtype):
        raise TypeError(f"safe_increment: count must be an integer or an array of integers; got {described(count)}.")
    xp = namespace(count)
    if dtypes.is_python(count.dtype):  # recorded
        count = xp.astype(count, xp.int32)
    return backend(count).settle(count + xp.astype(count < xp.iinfo(count.dtype).max, count.dtype))


def real(count: Any) -> Any:
    """A step count as a real number: float of an int, else a 0-d array of the widest real dtype at hand."""
    if _is_number(count):
        return float(count)
    return namespace(count).astype(bare(count), backend(count).wide())


def meeting(count: Any, *held: Scalar) -> list[Any]:
    """Numbers and arrays that a schedule holds, as they can meet the count: arrays are read anew in each step."""
    return [backend(count).receive(x) if is_array(x) and is_array(count) else x for x in held]


def at(count: Any, **hyper: ScalarOrSchedule) -> dict[str, Any]:
    """The hyper-parameters of step k = ``count``: schedules evaluated there, the rest as they are.

    Raises:
      TypeError: a schedule answers with neither a real number nor a 0-d array of the count's library.
      ValueError: it answers with an array that is not 0-d.
    """
    k = stepping(count)
    return {name: asked(name, value)(k) if callable(value) else value for name, value in hyper.items()}
