"""Arithmetic of single numbers on the host: in double, and by IEEE 754 where Python would raise."""

from __future__ import annotations

import cmath
import ctypes
import math
import operator
import struct
from collections.abc import Callable
from typing import Any

_Function = Callable[..., Any]
_operators: Any = operator  # those of bits have no full types


def _quiet(name: str, at_limit: Callable[[Any], Any]) -> _Function:
    """A function of ``math`` that answers as IEEE 754 has it outside its domain, and where it overflows."""
    function = getattr(math, name)

    def quiet(x: Any) -> Any:
        try:
            return function(x)
        except (ValueError, OverflowError):
            return at_limit(x)

    return quiet


def _nan(_: Any) -> float:
    return math.nan


def _inf(_: Any) -> float:
    return math.inf


def _odd(x: Any) -> float:
    return math.copysign(math.inf, x)


def _log_limit(x: float) -> float:
    return -math.inf if x == 0 else math.nan


def _atanh_limit(x: float) -> float:
    return _odd(x) if abs(x) == 1 else math.nan


def sqrt(x: Any) -> Any:
    """√x; NaN of a negative number."""
    if isinstance(x, complex):
        return cmath.sqrt(x)
    return math.sqrt(x) if x >= 0 else math.nan


def magnitude(x: Any) -> Any:
    """|x|."""
    try:
        return abs(x)
    except OverflowError:
        return math.inf


def divide(x: Any, y: Any) -> Any:
    """x / y."""
    try:
        return x / y
    except ZeroDivisionError:
        if isinstance(x, complex) or isinstance(y, complex) or x == 0 or x != x:
            return math.nan
        return math.copysign(math.inf, x) * math.copysign(1.0, y)
    except OverflowError:
        return math.inf


def floor_divide(x: Any, y: Any) -> Any:
    """The greatest whole number not above x / y."""
    return x // y if y else (divide(x, y) if isinstance(x, float) or isinstance(y, float) else 0)


def remainder(x: Any, y: Any) -> Any:
    """x − y·⌊x / y⌋."""
    try:
        return x % y
    except ZeroDivisionError:
        return math.nan if isinstance(x, float) or isinstance(y, float) else 0


def power(x: Any, y: Any) -> Any:
    """x to the power y; of a negative number to a broken one, NaN."""
    if isinstance(x, int) and isinstance(y, int):
        # integer dtypes wrap, and a power may be long
        return pow(int(x), int(y), 1 << 64) if y >= 0 else power(float(x), y)
    if isinstance(x, complex) or isinstance(y, complex):
        return x**y
    try:
        return math.pow(x, y)
    except ValueError:
        return (_odd(x) if y == y // 1 and y % 2 == 1 else math.inf) if x == 0 else math.nan
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf


def maximum(x: Any, y: Any) -> Any:
    """The greater; NaN if there is one."""
    return x if x > y or x != x else y


def minimum(x: Any, y: Any) -> Any:
    """The smaller; NaN if there is one."""
    return x if x < y or x != x else y


def sign(x: Any) -> Any:
    """−1, 0 or 1; NaN of NaN."""
    return x if x != x else type(x)((x > 0) - (x < 0))


def log1p(x: Any) -> Any:
    """log(1 + x)."""
    return (-math.inf if x == -1 else math.nan) if x <= -1 else math.log1p(x)


def _rounded(function: _Function) -> _Function:
    def rounded(x: Any) -> Any:
        return math.copysign(function(x), x) if isinstance(x, float) and math.isfinite(x) else x

    return rounded


def select(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y."""
    return x if condition else y


def wrapped(x: int, bits: int, signed: bool) -> int:
    """An integer as so many bits hold it."""
    x &= (1 << bits) - 1
    return x - (1 << bits) if signed and x >> (bits - 1) else x


def whole(x: Any) -> int:
    """The integer part."""
    return int(x) if math.isfinite(x) else -(2**63)


def recip(x: Any) -> Any:
    """1 / x."""
    return divide(1.0, x)


def inverse(x: Any) -> Any:
    """1 / x, if a product with it is as good as the quotient, in float32 too; else None."""
    y = abs(x)
    return divide(1.0, x) if 2.0**-125 <= y <= 2.0**125 or not y or y == math.inf or y != y else None


def _shift_left(x: int, n: int) -> int:
    return x << n if 0 <= n < 64 else 0


def _shift_right(x: int, n: int) -> int:
    return x >> (n if 0 <= n < 64 else 63)


def _signbit(x: Any) -> bool:
    return math.copysign(1.0, x) < 0


def _both(x: Any, y: Any) -> bool:
    return bool(x) and bool(y)


def _either(x: Any, y: Any) -> bool:
    return bool(x) or bool(y)


def _one_of(x: Any, y: Any) -> bool:
    return bool(x) != bool(y)


def logaddexp(x: Any, y: Any) -> Any:
    """log(eˣ + eʸ)."""
    return maximum(x, y) + log1p(math.exp(-abs(x - y))) if x != y else x + math.log(2)


_ieee: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "exp": ("exp", _inf), "expm1": ("expm1", _inf), "log": ("log", _log_limit), "log2": ("log2", _log_limit),
    "log10": ("log10", _log_limit), "sin": ("sin", _nan), "cos": ("cos", _nan), "tan": ("tan", _nan),
    "acos": ("acos", _nan), "asin": ("asin", _nan), "atan": ("atan", _nan), "sinh": ("sinh", _odd),
    "cosh": ("cosh", _inf), "tanh": ("tanh", _nan), "acosh": ("acosh", _nan), "asinh": ("asinh", _nan),
    "atanh": ("atanh", _atanh_limit),
}  # fmt: skip

FUNCTIONS: dict[str, _Function] = {
    **{word: _quiet(name, limit) for word, (name, limit) in _ieee.items()},
    "sqrt": sqrt,
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "negative": operator.neg,
    "abs": magnitude,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "bitwise_and": _operators.and_,
    "bitwise_or": _operators.or_,
    "bitwise_xor": _operators.xor,
    "bitwise_left_shift": _shift_left,
    "bitwise_right_shift": _shift_right,
    "divide": divide,
    "floor_divide": floor_divide,
    "remainder": remainder,
    "pow": power,
    "maximum": maximum,
    "minimum": minimum,
    "sign": sign,
    "log1p": log1p,
    "floor": _rounded(math.floor),
    "ceil": _rounded(math.ceil),
    "trunc": _rounded(math.trunc),
    "round": _rounded(round),
    "where": select,
    "isfinite": cmath.isfinite,
    "isinf": cmath.isinf,
    "isnan": cmath.isnan,
    "signbit": _signbit,
    "logical_and": _both,
    "logical_or": _either,
    "logical_xor": _one_of,
    "logical_not": operator.not_,
    "atan2": math.atan2,
    "hypot": math.hypot,
    "copysign": math.copysign,
    "logaddexp": logaddexp,
    "conj": operator.methodcaller("conjugate"),
    "real": operator.attrgetter("real"),
    "imag": operator.attrgetter("imag"),
    "recip": recip,
}
"""Every elementwise word, for numbers."""


def invert(x: Any) -> Any:
    """¬x, of a bool or an int."""
    return not x if isinstance(x, bool) else ~x


FUNCTIONS["bitwise_invert"] = invert

COMPLEX = frozenset(
    "abs add astype conj divide equal imag isfinite isinf isnan logical_and logical_not logical_or logical_xor "
    "multiply negative not_equal real recip sqrt subtract where".split()
)
"""Words that take complex numbers too; a step with others of them is not recorded."""

WRAPPING = frozenset(
    "abs add subtract multiply negative bitwise_left_shift bitwise_invert floor_divide pow astype".split()
)
"""Words whose results an integer dtype cuts to its bits."""


def rounded32(x: Any) -> float:
    """A real number as float32 has it."""
    return ctypes.c_float(x).value


def rounded16(x: Any) -> float:
    """A real number as float16 has it."""
    try:
        return float(struct.unpack("e", struct.pack("e", x))[0])
    except OverflowError:
        return math.copysign(math.inf, x)


def rounded_b16(x: Any) -> float:
    """A real number as bfloat16 has it, rounded once: ties to even."""
    if not math.isfinite(x) or x == 0.0:
        return float(x)
    unit = 2.0 ** max(math.frexp(x)[1] - 8, -133)
    found = round(x / unit) * unit
    return found if abs(found) < 2.0**128 else math.copysign(math.inf, x)


_ROUNDED = {"float32": rounded32, "float16": rounded16, "bfloat16": rounded_b16}


def total(function: _Function) -> _Function:
    """The same, answering NaN where it raises: a step that has begun to write must not stop."""

    def answered(*args: Any) -> Any:
        try:
            return function(*args)
        except (ArithmeticError, ValueError, TypeError):
            return math.nan

    return answered


def converter(dtype: str) -> _Function:
    """From a number to how a dtype has it."""
    if dtype == "bool":
        return bool
    if dtype in _ROUNDED:
        return _ROUNDED[dtype]
    if "int" in dtype:
        return _to_integer(int(dtype.lstrip("uint")), not dtype.startswith("u"))
    return complex if dtype.startswith("complex") else float


def _to_integer(bits: int, signed: bool) -> _Function:
    def converted(x: Any) -> int:
        return wrapped(whole(x), bits, signed)

    return converted
