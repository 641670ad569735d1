"""Recording arrays: what `update` is run on once, to learn what it computes.

A `Traced` knows its shape and dtype and how it was made. Whoever asks for its value, or does something with it that
cannot be written down, stops the recording: then it is computed, and so is all that follows.
"""

from __future__ import annotations

import importlib
import math
import operator
from collections.abc import Iterator
from typing import Any, ClassVar, TypeAlias

Operand: TypeAlias = Any
"""A `Traced`, or a Python number."""


class NotRecordable(Exception):
    """Recording met something that it cannot write down."""


class NoNumber(NotRecordable):
    """What was taken for a number depends on the entries of a parameter or a gradient.

    Args:
      places: where such are in the trees.
    """

    def __init__(self, places: frozenset[int]) -> None:
        super().__init__("a scalar depends on the entries of an array")
        self.places = places


class Unforeseen(Exception):
    """A recorded step cannot be run on the arrays at hand; nothing has been written."""


class Traced:
    """One value of a step: the word that makes it and its operands.

    Attributes:
      op: the word, ``"multiply"``; ``"input"`` and ``"captured"`` for what comes from outside.
      args: its operands.
      attrs: what else it needs to know, hashable or not, none of it recorded.
      shape: of the value.
      dtype: of the value, the library's own object.
      sig: a small number that stands for the dtype and for being 0-d.
      index: its position among all that was recorded.
      plain: whether it is a single number that is worked with on the host: equal ones are recorded once.
      value: what it is, once it has been computed.
    """

    __slots__ = ("args", "attrs", "dtype", "index", "op", "plain", "shape", "sig", "value")
    recorder: ClassVar[Any]  # set on the subclass of each library

    def __init__(
        self, op: str, args: tuple[Operand, ...], attrs: Any, shape: tuple[int, ...], dtype: Any, sig: int, index: int
    ) -> None:
        self.op = op
        self.args = args
        self.attrs = attrs
        self.shape = shape
        self.dtype = dtype
        self.sig = sig
        self.index = index
        self.plain = False
        self.value: Any = None

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        del api_version
        return self.recorder

    def __repr__(self) -> str:
        return f"<recorded {self.op} of shape {self.shape}, {self.dtype}>"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def device(self) -> Any:
        return self.recorder.device

    @property
    def T(self) -> Any:
        return self.recorder.permute_dims(self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> Any:
        return self.recorder.matrix_transpose(self)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(len(self))])

    def __getitem__(self, key: Any) -> Any:
        return self.recorder.item(self, key)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._stopped(f"the attribute {name!r} of an array is outside the Array API standard"), name)

    # -- operators ----------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return self.recorder.operator("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self.recorder.operator("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self.recorder.operator("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.recorder.operator("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return self.recorder.operator("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.recorder.operator("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.recorder.operator("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.recorder.operator("divide", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self.recorder.operator("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self.recorder.operator("floor_divide", other, self)

    def __mod__(self, other: Any) -> Any:
        return self.recorder.operator("remainder", self, other)

    def __rmod__(self, other: Any) -> Any:
        return self.recorder.operator("remainder", other, self)

    def __pow__(self, other: Any) -> Any:
        return self.recorder.operator("pow", self, other)

    def __rpow__(self, other: Any) -> Any:
        return self.recorder.operator("pow", other, self)

    def __matmul__(self, other: Any) -> Any:
        return self.recorder.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self.recorder.matmul(other, self)

    def __neg__(self) -> Any:
        return self.recorder.operator("negative", self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self.recorder.operator("abs", self)

    def __invert__(self) -> Any:
        return self.recorder.operator("bitwise_invert", self)

    def __and__(self, other: Any) -> Any:
        return self.recorder.operator("bitwise_and", self, other)

    def __rand__(self, other: Any) -> Any:
        return self.recorder.operator("bitwise_and", other, self)

    def __or__(self, other: Any) -> Any:
        return self.recorder.operator("bitwise_or", self, other)

    def __ror__(self, other: Any) -> Any:
        return self.recorder.operator("bitwise_or", other, self)

    def __xor__(self, other: Any) -> Any:
        return self.recorder.operator("bitwise_xor", self, other)

    def __rxor__(self, other: Any) -> Any:
        return self.recorder.operator("bitwise_xor", other, self)

    def __lshift__(self, other: Any) -> Any:
        return self.recorder.operator("bitwise_left_shift", self, other)

    def __rlshift__(self, other: Any) -> Any:
        return self.recorder.operator("bitwise_left_shift", other, self)

    def __rshift__(self, other: Any) -> Any:
        return self.recorder.operator("bitwise_right_shift", self, other)

    def __rrshift__(self, other: Any) -> Any:
        return self.recorder.operator("bitwise_right_shift", other, self)

    def __lt__(self, other: Any) -> Any:
        return self.recorder.operator("less", self, other)

    def __le__(self, other: Any) -> Any:
        return self.recorder.operator("less_equal", self, other)

    def __gt__(self, other: Any) -> Any:
        return self.recorder.operator("greater", self, other)

    def __ge__(self, other: Any) -> Any:
        return self.recorder.operator("greater_equal", self, other)

    def __eq__(self, other: object) -> Any:
        return self.recorder.operator("equal", self, other)

    def __ne__(self, other: object) -> Any:
        return self.recorder.operator("not_equal", self, other)

    __hash__ = object.__hash__

    # -- what only a value can answer ---------------------------------------------------------------------

    def _stopped(self, why: str) -> Any:
        """The value; the recording ends here."""
        return self.recorder.stopped_at(self, why)

    def __bool__(self) -> bool:
        return bool(self._stopped(_VALUE))

    def __float__(self) -> float:
        return float(self._stopped(_VALUE))

    def __int__(self) -> int:
        return int(self._stopped(_VALUE))

    def __complex__(self) -> complex:
        return complex(self._stopped(_VALUE))

    def __index__(self) -> int:
        return operator.index(self._stopped(_VALUE))

    def __setitem__(self, key: Any, value: Any) -> None:
        recorder = self.recorder
        self._stopped(_WRITTEN)[recorder.plainly(key)] = recorder.plainly(value)

    def __iadd__(self, other: Any) -> Any:
        return _in_place.iadd(self._stopped(_WRITTEN), self.recorder.plainly(other))

    def __isub__(self, other: Any) -> Any:
        return _in_place.isub(self._stopped(_WRITTEN), self.recorder.plainly(other))

    def __imul__(self, other: Any) -> Any:
        return _in_place.imul(self._stopped(_WRITTEN), self.recorder.plainly(other))

    def __itruediv__(self, other: Any) -> Any:
        return _in_place.itruediv(self._stopped(_WRITTEN), self.recorder.plainly(other))

    def __ifloordiv__(self, other: Any) -> Any:
        return _in_place.ifloordiv(self._stopped(_WRITTEN), self.recorder.plainly(other))

    def __imod__(self, other: Any) -> Any:
        return _in_place.imod(self._stopped(_WRITTEN), self.recorder.plainly(other))

    def __ipow__(self, other: Any) -> Any:
        return _in_place.ipow(self._stopped(_WRITTEN), self.recorder.plainly(other))

    def __iand__(self, other: Any) -> Any:
        return _in_place.iand(self._stopped(_WRITTEN), self.recorder.plainly(other))

    def __ior__(self, other: Any) -> Any:
        return _in_place.ior(self._stopped(_WRITTEN), self.recorder.plainly(other))

    def __ixor__(self, other: Any) -> Any:
        return _in_place.ixor(self._stopped(_WRITTEN), self.recorder.plainly(other))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        found: Any = self._stopped("an array is handed to NumPy")
        return importlib.import_module("numpy").asarray(found, dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        return self._stopped("an array is handed to another library").__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._stopped("an array is handed to another library").__dlpack_device__()

    # -- functions of the library that were not reached by way of the namespace ------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **options: Any) -> Any:
        return self.recorder.function_of(_Ufunc(ufunc, method), args, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        del types
        return self.recorder.function_of(function, args, options)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), options: Any = None) -> Any:
        del types
        return cls.recorder.function_of(function, args, options or {})


class _Ufunc:
    """A method of one of NumPy's elementwise functions."""

    def __init__(self, ufunc: Any, method: str) -> None:
        self.__name__ = ufunc.__name__ if method == "__call__" else method
        self._function = getattr(ufunc, method)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._function(*args, **options)


_in_place: Any = operator  # these have no full types
_VALUE = "the value of an array is asked for"
_WRITTEN = "an array is written to"
