"""The step count, as a schedule is given it by a library whose integers and Python's floats do not meet well."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from arrayopt import dtypes

_ops: Any = operator  # whose types do not all say what they are


class Count:
    """A 0-d integer array that counts steps, for a schedule to compute with.

    It is an integer to index and compare with, and stays one in arithmetic with integers. With Python floats, and
    divided, it is computed with in the widest real dtype at hand: some libraries take their default dtype, which
    may have 16 bits, others refuse. Whatever else is asked of it, the array answers.

    Attributes:
      array: the count; or, compared with something, a 0-d array of bools.
    """

    __slots__ = ("_backend", "array")
    __array_priority__ = 1000  # NumPy's numbers leave operators to us

    def __init__(self, array: Any, backend: Any) -> None:
        self.array = array
        self._backend = backend

    def is_real(self) -> bool:
        """Whether it has become a floating-point number."""
        return dtypes.is_inexact(self.array.dtype)

    def _wide(self, real: bool) -> Any:
        """The array, in the widest real dtype if that is wanted and it is an integer still."""
        wanted = real and not self.is_real()
        return self._backend.xp.astype(self.array, self._backend.wide()) if wanted else self.array

    def _again(self, array: Any) -> Any:
        return type(self)(array, self._backend)

    def _meets(self, op: Callable[[Any, Any], Any], other: Any, flipped: bool = False, real: bool = False) -> Any:
        """``op(self, other)``; with a number, or another count, it is one again."""
        if type(other).__module__ == "numpy" and getattr(other, "shape", None) == ():
            other = other.item()
        if isinstance(other, (int, float, complex)):
            mine, theirs = self._wide(real or not isinstance(other, int)), other
        elif type(other) is type(self):
            real = real or self.is_real() != other.is_real()
            mine, theirs = self._wide(real), other._wide(real)
        elif hasattr(other, "dtype"):
            return op(other, self.array) if flipped else op(self.array, other)
        else:
            return NotImplemented
        return self._again(op(theirs, mine) if flipped else op(mine, theirs))

    def _compared(self, op: Callable[[Any, Any], Any], other: Any) -> Any:
        return bare(self._meets(op, other))

    def __add__(self, other: Any) -> Any:
        return self._meets(_ops.add, other)

    def __radd__(self, other: Any) -> Any:
        return self._meets(_ops.add, other, flipped=True)

    def __sub__(self, other: Any) -> Any:
        return self._meets(_ops.sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._meets(_ops.sub, other, flipped=True)

    def __mul__(self, other: Any) -> Any:
        return self._meets(_ops.mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self._meets(_ops.mul, other, flipped=True)

    def __truediv__(self, other: Any) -> Any:
        return self._meets(_ops.truediv, other, real=True)

    def __rtruediv__(self, other: Any) -> Any:
        return self._meets(_ops.truediv, other, flipped=True, real=True)

    def __floordiv__(self, other: Any) -> Any:
        return self._meets(_ops.floordiv, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._meets(_ops.floordiv, other, flipped=True)

    def __mod__(self, other: Any) -> Any:
        return self._meets(_ops.mod, other)

    def __rmod__(self, other: Any) -> Any:
        return self._meets(_ops.mod, other, flipped=True)

    def __pow__(self, other: Any) -> Any:
        return self._meets(_ops.pow, other)

    def __rpow__(self, other: Any) -> Any:
        return self._meets(_ops.pow, other, flipped=True)

    def __lt__(self, other: Any) -> Any:
        return self._compared(_ops.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compared(_ops.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compared(_ops.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compared(_ops.ge, other)

    def __eq__(self, other: object) -> Any:
        return self._compared(_ops.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compared(_ops.ne, other)

    __hash__ = object.__hash__

    def __neg__(self) -> Any:
        return self._again(-self.array)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self._again(abs(self.array))

    def __and__(self, other: Any) -> Any:
        return self._meets(_ops.and_, other)

    def __or__(self, other: Any) -> Any:
        return self._meets(_ops.or_, other)

    def __invert__(self) -> Any:
        return self._again(~self.array)

    # -- its value, where there is one ---------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self.array)

    def __int__(self) -> int:
        return int(self.array)

    def __index__(self) -> int:
        return operator.index(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __repr__(self) -> str:
        return repr(self.array)

    def __format__(self, spec: str) -> str:
        return format(self.array, spec)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        del copy
        found = self._backend.to_numpy(self.array)
        return found if dtype is None else found.astype(dtype)

    # -- the array ---------------------------------------------------------------------------------------------

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        del api_version
        return self._backend.xp

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in Count.__slots__:
            raise AttributeError(name)
        return getattr(self.array, name)


class PosingCount(Count):
    """One that passes for an array where a library asks for the class of its arguments."""

    __slots__ = ()

    def _of_array(self) -> Any:
        return self.array.__class__

    __class__: Any = property(_of_array)


def bare(x: Any) -> Any:
    """The array of a count; whatever else as it is."""
    return x.array if isinstance(x, Count) else x
