"""The vocabulary of recording: what is elementwise, what reduces a whole array; all else runs through the library."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

UNARY = frozenset(
    "abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag isfinite isinf "
    "isnan log log10 log1p log2 logical_not negative real round sign signbit sin sinh sqrt tan tanh trunc".split()
)
BINARY = frozenset(
    "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide equal "
    "floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or logical_xor maximum "
    "minimum multiply not_equal pow remainder subtract".split()
)
ELEMENTWISE = UNARY | BINARY | {"where", "astype", "hand_on", "copy", "view", "full", "formula"}

COMPARISONS = frozenset("equal not_equal less less_equal greater greater_equal".split())
LOGICAL = frozenset("logical_and logical_or logical_xor logical_not".split())
TESTS = frozenset("isfinite isinf isnan signbit".split())

REDUCTIONS = frozenset("sum max min any all".split())
"""Over a whole array they join the kernel that makes their argument."""

CREATION = frozenset("arange asarray empty eye from_dlpack full linspace meshgrid ones tril_indices zeros".split())
"""Answered at once, when nothing that is recorded goes in: the result is a constant."""

FRESH = frozenset(
    "all any argmax argmin argsort concat count_nonzero cumulative_prod cumulative_sum matmul max mean min prod "
    "repeat roll sort stack std sum take take_along_axis tensordot tile tril triu var vecdot".split()
)
"""Functions of arrays whose answer is never a view of an argument; nor is that of linear algebra, with exceptions."""

_VIEWS = frozenset({"linalg.diagonal", "linalg.matrix_transpose"})


def answers_anew(path: str) -> bool:
    """Whether what a function of the library answers has memory of its own."""
    return path in FRESH or (path.startswith(("linalg.", "fft.")) and path not in _VIEWS)


_operators: Any = operator  # some have no full types

OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": _operators.truediv,
    "floor_divide": _operators.floordiv,
    "remainder": operator.mod,
    "pow": _operators.pow,
    "negative": operator.neg,
    "abs": operator.abs,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "bitwise_and": _operators.and_,
    "bitwise_or": _operators.or_,
    "bitwise_xor": _operators.xor,
    "bitwise_invert": operator.invert,
    "bitwise_left_shift": _operators.lshift,
    "bitwise_right_shift": _operators.rshift,
}
"""The words that are written as operators: libraries promote dtypes differently there than in the function."""
