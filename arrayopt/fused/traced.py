"""Recording arrays: what `update` is run on once, to learn what it computes.

A `Traced` knows its shape and dtype and how it was made, and no value. Whoever asks for a value stops the recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, NoReturn, TypeAlias

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


class NoAttribute(NotRecordable, AttributeError):  # pyright: ignore[reportUnsafeMultipleInheritance]
    """An attribute that recording arrays lack."""


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
    """

    __slots__ = ("args", "attrs", "dtype", "index", "op", "plain", "shape", "sig")
    __array_ufunc__ = None  # NumPy leaves operators to us
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

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NoAttribute(f"the attribute {name!r} of an array is outside the Array API standard")

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

    # -- what only a value could answer -------------------------------------------------------------------

    def _refused(self, *_: Any, **__: Any) -> NoReturn:
        raise NotRecordable(
            "the value of an array is asked for, or an array is written to or handed to another library"
        )

    __bool__ = __float__ = __int__ = __complex__ = __index__ = __setitem__ = __array__ = __dlpack__ = _refused
    item = tolist = numpy = _refused
