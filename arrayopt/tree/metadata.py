"""Whether what containers carry besides their children agrees: keys, names, static fields, whatever these are.

`==` will not do: of arrays it answers an array, of NaN that it is another, and of somebody's objects anything.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Sequence
from typing import Any, cast

from arrayopt.dispatch import namespace


class Static:
    """Named values that belong to a structure; equal if all of them are."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def fields(self) -> dict[str, Any]:
        """The values by name, for messages."""
        return self._fields

    def values(self) -> Any:
        """What must agree."""
        return self._fields

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Static) and same(self.values(), other.values()))

    def __hash__(self) -> int:
        return hash(Static)  # values need have none


def agree(a: Any, b: Any) -> bool:
    """Whether the metadata of two containers does. Keys are compared as fast as Python can, where that is safe."""
    try:
        return a == b or same(a, b)
    except Exception:  # keys with an order or equality of their own
        return same(a, b)


def same(a: Any, b: Any) -> bool:
    """Whether two values are one, or equal: arrays in dtype, shape and entries, containers item by item, NaN to NaN.

    It never raises. Arrays whose entries cannot be asked for, as under a compiler, are equal only if they are one.
    """
    todo: list[tuple[Any, Any]] = [(a, b)]
    met: dict[tuple[int, int], Any] = {}  # what may hold itself; kept, lest another take its number
    while todo:
        pair = todo.pop()
        x, y = pair
        if type(x) is not tuple or type(y) is not tuple:
            numbers = id(pair[0]), id(pair[1])
            if x is y or numbers in met:
                continue
            met[numbers] = pair
        pairs = _pairs(x, y)
        if pairs is None:
            return False
        todo += pairs
    return True


def _pairs(x: Any, y: Any) -> list[tuple[Any, Any]] | None:
    """What must agree for two values to; None if they cannot."""
    if type(x) is not type(y) or not _is(x, (list, tuple, dict)):
        return _unless_equal(x, y)
    if len(x) != len(y):
        return None
    return _values(x, y) if _is(x, (dict,)) else list(zip(x, y, strict=True))


def _is(x: object, kinds: tuple[type[object], ...]) -> bool:
    return isinstance(x, kinds)


def _values(x: Any, y: Any) -> list[tuple[Any, Any]] | None:
    order, others = matched(list(x), list(y)), list(y.values())
    return None if order is None else [(value, others[i]) for value, i in zip(x.values(), order, strict=True)]


def _unless_equal(x: Any, y: Any) -> list[tuple[Any, Any]] | None:
    """Nothing if two values are equal; None if not; what must agree, if they could not say."""
    alike = type(x) is type(y)
    try:
        if alike and hasattr(x, "dtype") and hasattr(x, "shape"):
            return [] if _same_entries(x, y) else None
        equal = x == y
        if type(equal).__name__ in ("bool", "bool_"):  # the latter is NumPy's
            return [] if equal or (alike and bool(x != x) and bool(y != y)) else None
    except Exception:
        pass
    if not alike or not dataclasses.is_dataclass(x):
        return None
    names = [field.name for field in dataclasses.fields(x) if field.compare]
    return [(getattr(x, name, None), getattr(y, name, None)) for name in names]


def _same_entries(x: Any, y: Any) -> bool:
    if tuple(x.shape) != tuple(y.shape) or x.dtype != y.dtype:
        return False
    xp = cast(Any, namespace(x))
    return bool(xp.all((x == y) | ((x != x) & (y != y))))


def matched(keys: Sequence[Any], others: Sequence[Any]) -> list[int] | None:
    """Where each of some keys is among the others; None if they are not the same keys."""
    if len(keys) != len(others):
        return None
    try:
        return _matched(keys, others) or _matched(list(map(_key, keys)), list(map(_key, others)))
    except Exception:  # keys with an equality of their own
        return None


def _matched(keys: Sequence[Any], others: Sequence[Any]) -> list[int] | None:
    places = {key: i for i, key in enumerate(others)}
    found = [places.get(key) for key in keys]
    return None if None in found or len(places) < len(keys) else cast("list[int]", found)


def _key(key: Any) -> Any:
    """The key, or one for all NaN."""
    return _NAN if isinstance(key, float) and key != key else key


_NAN = object()

_short = reprlib.Repr()
_short.maxother = _short.maxstring = _short.maxlong = 60


def shown(value: Any) -> str:
    """A value as a message shows it: short, on one line."""
    try:
        return " ".join(_short.repr(value).split())
    except Exception:  # somebody's __repr__
        return f"<{type(value).__name__}>"
