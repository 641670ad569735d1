"""Numbers of which each parameter has its own, as a step count may be: computed with as if they were one."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any

_ops: Any = operator  # whose types do not all say what they are


class _Mode(threading.local):
    """Of each thread: whether counters that are made or read are those of single parameters."""

    per_parameter = False


mode = _Mode()
"""A context variable would do, if Torch's compiler could trace one."""


def per_parameter(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a function answers where counters are those of single parameters."""
    before, mode.per_parameter = mode.per_parameter, True
    try:
        return function(*args, **options)
    finally:
        mode.per_parameter = before


class Each:
    """A number for each leaf of a tree.

    Operators, and the words of a namespace, are those of the numbers, one leaf after another: what is computed of a
    leaf's number is to the bit what would be if there were no others.

    Attributes:
      values: one for each leaf; where there is no leaf, one for nobody, so that its library is known.
      spec: structure of the tree.
    """

    __slots__ = ("spec", "values")
    __array_ufunc__ = None  # NumPy's arrays leave operators to us
    __array_priority__ = 1000

    def __init__(self, values: Sequence[Any], spec: Any) -> None:
        self.values, self.spec = values, spec

    def map(self, function: Callable[[Any], Any]) -> Each:
        """What a function answers for each number."""
        return Each([function(x) for x in self.values], self.spec)

    @property
    def dtype(self) -> Any:
        return self.values[0].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    @property
    def ndim(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"<for each of {len(self.values)} parameters: {self.values[0]!r}, …>"

    def __add__(self, other: Any) -> Any:
        return each(_ops.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return each(_ops.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return each(_ops.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return each(_ops.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return each(_ops.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return each(_ops.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return each(_ops.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return each(_ops.truediv, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return each(_ops.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return each(_ops.floordiv, other, self)

    def __mod__(self, other: Any) -> Any:
        return each(_ops.mod, self, other)

    def __rmod__(self, other: Any) -> Any:
        return each(_ops.mod, other, self)

    def __pow__(self, other: Any) -> Any:
        return each(_ops.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return each(_ops.pow, other, self)

    def __and__(self, other: Any) -> Any:
        return each(_ops.and_, self, other)

    def __or__(self, other: Any) -> Any:
        return each(_ops.or_, self, other)

    def __lt__(self, other: Any) -> Any:
        return each(_ops.lt, self, other)

    def __le__(self, other: Any) -> Any:
        return each(_ops.le, self, other)

    def __gt__(self, other: Any) -> Any:
        return each(_ops.gt, self, other)

    def __ge__(self, other: Any) -> Any:
        return each(_ops.ge, self, other)

    def __eq__(self, other: object) -> Any:
        return each(_ops.eq, self, other)

    def __ne__(self, other: object) -> Any:
        return each(_ops.ne, self, other)

    __hash__ = object.__hash__

    def __neg__(self) -> Any:
        return self.map(_ops.neg)

    def __abs__(self) -> Any:
        return self.map(_ops.abs)

    def __invert__(self) -> Any:
        return self.map(_ops.invert)

    def __bool__(self) -> bool:
        raise TypeError(
            "a step count of each parameter has no one truth value: select by where, as under jit, or leave "
            "count_per_parameter away."
        )


def each(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """A function of each number's own: where none of the arguments is an `Each`, of them as they are."""
    first = next((x for x in (*args, *options.values()) if type(x) is Each), None)
    if first is None:
        return function(*args, **options)
    return Each(
        [
            function(*[_of(x, i) for x in args], **{name: _of(x, i) for name, x in options.items()})
            for i in range(len(first.values))
        ],
        first.spec,
    )


def _of(x: Any, i: int) -> Any:
    return x.values[i] if type(x) is Each else x


class Words:
    """The namespace of an `Each`: its library's words, each applied to one number after another.

    Args:
      xp: the library's namespace.
    """

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.__name__ = xp.__name__

    def __getattr__(self, name: str) -> Any:
        word = getattr(self.xp, name)
        return word if isinstance(word, type) or not callable(word) else _Word(word)


class _Word:
    def __init__(self, word: Callable[..., Any]) -> None:
        self._word = word

    def __call__(self, *args: Any, **options: Any) -> Any:
        return each(self._word, *args, **options)
