"""The words that formulas are made of.

Each takes an array of any library, or a Python number where that makes sense, and answers in kind. Beside
them a formula uses operators only. Statistics kept over steps come last: `ema`, `unbias`, `safe_increment`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

from arrayopt import dtypes
from arrayopt.answers import asked, described, stepping
from arrayopt.counts import bare
from arrayopt.dispatch import backend, is_array, is_recorded, namespace
from arrayopt.each import Each, each
from arrayopt.types import Array, DType, Scalar, ScalarOrSchedule

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
    if type(condition) is Each:
        return each(where, condition, x, y)
    condition, x, y = bare(condition), bare(x), bare(y)
    if not condition.shape and _is_number(x) and _is_number(y) and not is_recorded(condition):
        x = _wide_like(condition, x)  # of two numbers some libraries make their default dtype, others refuse
        y = _wide_like(condition, y)
    return namespace(condition).where(condition, x, y)


def _wide_like(x: Array, value: float) -> Array:
    return namespace(x).full_like(x, value, dtype=backend(x).wide())


def at_least(x: X, low: Scalar) -> X:
    """The greater of x and a bound; NaN stays NaN."""
    return cast(X, max(cast(Any, x), low) if _is_number(x) else _bounded(bare(x), "maximum", min=low))


def at_most(x: X, high: Scalar) -> X:
    """The smaller of x and a bound; NaN stays NaN."""
    return cast(X, min(cast(Any, x), high) if _is_number(x) else _bounded(bare(x), "minimum", max=high))


def _bounded(x: Any, word: str, **bound: Any) -> Any:
    """``clip``; an array as a bound may lie on the host, where Torch's ``clip`` wants it beside x."""
    (limit_,) = bound.values()
    xp = namespace(x)
    if not is_array(limit_):
        return xp.clip(x, **bound)
    return getattr(xp, word)(x, xp.astype(limit_, x.dtype))


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
        return at_most(at_least(x, -bound), bound)
    half = magnitude(0.5 * x)  # |x| itself may overflow
    within = half <= 0.5 * bound
    divisor = where(within, 1.0, half)  # no 0 / 0, not even where it is not selected
    return cast(Array, where(within, x, x * (0.5 * bound / divisor)))


def held(g: Array, order: int = 2, count: int = 1) -> Array:
    """g brought to a magnitude whose power is far from overflow: for a square 2⁶² in float32, 2⁵¹⁰ in float64.

    So a gradient whose square would overflow counts as one whose square does not quite. Where g is not finite, the
    result is NaN.

    Args:
      g: a gradient.
      order: of the power.
      count: how many such powers are to be added up.
    """
    return summable(g, order, count) + (g - g)


def summable(g: Array, order: int = 2, count: int = 1) -> Array:
    """The same, but for infinite entries, which come out finite: for what is summed, and costs less there."""
    return limit(g, (dtypes.summable(g.dtype) / count) ** (1 / order))


def in_range(x: Array, g: Array, dtype: DType | None = None) -> Array:
    """x, where it overflows the greatest number of a dtype (its own by default); NaN where g is not finite.

    Args:
      x: made of g; a complex x comes back as it is.
      g: what may be infinite itself, and is to show then.
      dtype: that x is to be stored in, or its name.
    """
    if dtypes.is_complex(x.dtype):
        return x
    return limit(x, dtypes.greatest(x.dtype if dtype is None else dtype)) + (g - g)


def shortened(x: Array, dtype: DType) -> Array:
    """x, by so much shorter that rounded to a dtype it is no longer than it was; real x also in the range of that."""
    x = x * (1.0 - dtypes.margin(dtype))
    x = where(magnitude(x) < dtypes.coarse(dtype), namespace(x).zeros_like(x), x)
    return x if dtypes.is_complex(x.dtype) else limit(x, dtypes.greatest(dtype))


# -- leafwise words: they look at a whole leaf -------------------------------------------------------------


def total(x: Array, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """The sum over the axes, or over all of them."""
    return namespace(x).sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def mean(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """The mean over an axis, or over all; 0 where there is nothing to average."""
    count = math.prod(x.shape) if axis is None else x.shape[axis]
    return total(x, axis, keepdims) / max(count, 1)


def rms(x: Array) -> Array:
    """The root of the mean square of a leaf, a real scalar; right also where squares leave the range."""
    divisor, rest = length([x])
    return _as(divisor / math.sqrt(max(math.prod(x.shape), 1)) * rest, dtypes.real_part(dtypes.widened(x.dtype)))


def quick_rms(x: Array) -> Array:
    """The same in one pass also where there are no doubles: the greatest number then, if squares leave the range."""
    kind = _kind([x])
    wide = _as(x, dtypes.widened(x.dtype, kind == "float64"))
    if dtypes.is_double(x.dtype) or not dtypes.is_double(kind):
        return at_most(_root(mean(abs2(wide))), dtypes.greatest(wide.dtype))
    found = _as(_root(mean(abs2(wide))), dtypes.real_part(dtypes.widened(x.dtype)))
    return found + (found - found)


def _kind(xs: Sequence[Array]) -> str:
    """The real dtype that squares are formed in: double, where the library has it."""
    double = any([dtypes.is_double(x.dtype) for x in xs]) or dtypes.is_double(backend(xs[0]).wide())
    return "float64" if double else "float32"


class _Range(NamedTuple):
    """Where a sum of squares may be trusted, and by what to multiply before squaring where it may not."""

    low: float  # for each entry, but for as many as ``entries`` at least
    high: float
    up: float
    down: float
    most: float  # what is greater, times ``up``, was large enough as it was: it is cut off lest it overflow
    entries: float = 1.0


_RANGES = {
    "float32": _Range(2.0**-100, 2.0**124, 2.0**95, 2.0**-85, 2.0**60),
    # more entries than there are: the bound does not tell how many gradients are None, so kernels serve any number
    "float64": _Range(2.0**-900, 2.0**1020, 2.0**600, 2.0**-600, 2.0**480, 2.0**60),
}


def length(xs: Sequence[Array]) -> tuple[Array, Array]:
    """The Euclidean norm of the entries of arrays together, as a product of two 0-d arrays that are in range.

    Squares are summed in double where the library has it; what is double itself, or cannot be, is squared again in
    another scale where the sum left the range.

    Returns:
      ``divisor, rest``: the norm is their product, which may overflow. Usually the rest is 1.
    """
    kind = _kind(xs)
    wide = [_as(x, dtypes.widened(x.dtype, kind == "float64")) for x in xs]
    if kind == "float64" and not any([dtypes.is_double(x.dtype) for x in xs]):
        root = _root(_square(wide))
        divisor = at_most(at_least(root, 2.0**-100), 2.0**100)
        return divisor, root / divisor
    return _ranged(wide)


def _ranged(xs: list[Array]) -> tuple[Array, Array]:
    """The same where the sum of squares may leave the range. One more pass then, where the library can tell."""
    plain, cond = _square(xs), backend(xs[0]).cond
    low, high, up, down, most, entries = _RANGES[dtypes.name(plain.dtype)]
    is_small, is_large = plain < low * max(sum([math.prod(x.shape) for x in xs]), entries), plain > high
    one = namespace(plain).ones_like(plain)

    def inner() -> Array:
        return cast(Array, cond(is_small, partial(_square, xs, up, most), lambda: plain))

    root = _root(cast(Array, cond(is_large, partial(_square, xs, down), inner)))
    scale = where(is_large, one / down, where(is_small, one / up, one))
    is_odd = is_large | is_small
    return where(is_odd, scale, root), where(is_odd, root, one)


def _square(xs: Sequence[Array], factor: float = 1.0, most: float | None = None) -> Array:
    """Σ |x|² over all arrays, of the entries times a factor, and cut off at a magnitude if one is given."""
    scaled = xs if factor == 1 else [factor * x for x in xs]
    first, *others = [total(abs2(x if most is None else limit(x, most))) for x in scaled]
    for other in others:
        first = first + other
    return first


def _root(square: Array) -> Array:
    """√x, its derivative at 0 being 0."""
    is_positive = square > 0
    return cast(Array, where(is_positive, sqrt(where(is_positive, square, 1.0)), square))


def _as(x: Array, kind: str) -> Array:
    return x if dtypes.name(x.dtype) == kind else namespace(x).astype(x, backend(x).dtype(kind))


def spread(x: Array, axis: int) -> Array:
    """x with an axis of length 1 put in, as broadcasting wants it."""
    return namespace(x).expand_dims(x, axis=axis)


# -- statistics kept over steps ------------------------------------------------------------------------


def ema(m: Array, x: Array, b: Scalar) -> Array:
    """One step of the exponential moving average b·m + (1 − b)·x.

    Only one of the weights is used, the share of the farther end: then a constant x is a fixed point in every
    precision, which b·m + (1 − b)·x with two rounded weights is not; and at b = 0 the result is x itself. The
    difference x − m must be in range, as it is for a gradient that is `held`.
    """
    end, share = _nearer(m, x, b)
    return end + share * (x - m)


def wide_ema(m: Array, x: Array, b: Scalar) -> Array:
    """The same for any x and m: each is weighed before the difference is taken, which could overflow."""
    end, share = _nearer(m, x, b)
    return end + (share * x - share * m)


def _nearer(m: Array, x: Array, b: Scalar) -> tuple[Array, Scalar]:
    """The end that has the greater weight, and the share of x − m to be added to it."""
    slow = b >= 0.5
    return where(slow, m, x), where(slow, 1 - b, -b)


def unbias(m: Array, b: Scalar, t: Scalar) -> Array:
    """An average that began at zero, after t steps: m / (1 − bᵗ)."""
    return m / decayed(b, t)


def decayed(b: Scalar, t: Scalar) -> Scalar:
    """1 − bᵗ, as −expm1(t·log b): the plain form loses half its digits when b is near 1."""
    is_zero = b == 0  # its logarithm is never taken: libraries warn
    return cast(Scalar, where(is_zero, 1.0, -expm1(t * log(where(is_zero, 1.0, b)))))


def safe_increment(count: Any) -> Any:
    """The step counter plus one; at the greatest value of its dtype it stays, as does Optax's.

    Args:
      count: 0-d array of an integer dtype, or a Python int; or one of these for each parameter.

    Raises:
      TypeError: it is neither.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.safe_increment(np.asarray(2**31 - 1, dtype=np.int32))
      array(2147483647, dtype=int32)
    """
    if type(count) is int:
        return count + (count < GREATEST)
    if type(count) is Each:
        return count.map(safe_increment)
    if not is_array(count) or not dtypes.is_integer(count.dtype):
        raise TypeError(f"safe_increment: count must be an integer or an array of integers; got {described(count)}.")
    xp = namespace(count)
    if dtypes.is_python(count.dtype):  # recorded
        count = xp.astype(count, xp.int32)
    most: Any = xp.iinfo(count.dtype).max
    most = most if most <= GREATEST else xp.full_like(count, most)  # JAX takes a Python int for an int32
    return backend(count).settle(count + xp.astype(count < most, count.dtype))


safe_int32_increment = safe_increment
"""Its older name, as in Optax."""


def real(count: Any) -> Any:
    """A step count as a real number: float of an int, else a 0-d array of the widest real dtype at hand."""
    if _is_number(count):
        return float(count)
    if type(count) is Each:
        return count.map(real)
    return namespace(count).astype(bare(count), backend(count).wide())


def meeting(count: Any, *held: Scalar) -> list[Any]:
    """Numbers and arrays that a schedule holds, as they can meet the count: arrays are read anew in each step."""
    return [backend(count).receive(x) if is_array(x) and is_array(count) else x for x in held]


def at(count: Any, **hyper: ScalarOrSchedule) -> dict[str, Any]:
    """The hyper-parameters of step k = ``count``: schedules evaluated there, the rest as they are.

    Where each parameter has a count of its own, so it has values of schedules.

    Raises:
      TypeError: a schedule answers with neither a real number nor a 0-d array of the count's library.
      ValueError: it answers with an array that is not 0-d.
    """
    k = stepping(count)
    return {name: asked(name, value)(k) if callable(value) else value for name, value in hyper.items()}
