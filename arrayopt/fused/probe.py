"""Functions of the library that run between kernels, and the shapes that they answer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, cast

from arrayopt.fused.traced import NotRecordable, Traced

_SMALL = ((3, 5, 7, 11, 13, 17), (4, 6, 9, 14, 19, 23))  # two sets of sizes that stand for the real ones, in order


class Operands:
    """Arguments of a call, recorded ones among them at any depth of lists and tuples."""

    def __init__(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.args, self.options = args, options

    def map(self, f: Callable[[Any], Any]) -> Operands:
        """The same with ``f`` of everything that is no list or tuple."""
        options = {name: _mapped(f, value) for name, value in self.options.items()}
        return Operands(_mapped(f, self.args), options)

    def recorded(self, recorder: Any) -> Operands:
        """The same with arrays that the rule holds written down too."""

        def written(x: Any) -> Any:
            is_held = hasattr(x, "shape") and hasattr(x, "dtype") and not isinstance(x, Traced)
            return recorder.operand(x) if is_held else x

        return self.map(written)


def _mapped(f: Callable[[Any], Any], x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return cast(Any, x).__class__([_mapped(f, y) for y in cast(Any, x)])
    return f(x)


class Call:
    """A function of the library and what it is called with."""

    def __init__(self, path: str, operands: Operands) -> None:
        self.path, self.operands = path, operands
        found: list[Traced] = []
        operands.map(lambda x: found.append(x) if isinstance(x, Traced) else None)
        self.nodes = tuple(found)
        self.container: Callable[[list[Any]], Any] = tuple

    def __repr__(self) -> str:
        return self.path

    def again(self, new: dict[int, Any]) -> Call:
        """The same call of other arrays."""
        call = Call(self.path, self.operands.map(lambda x: new.get(id(x), x)))
        call.container = self.container
        return call

    def run(self, xp: Any, values: Callable[[Traced], Any]) -> Any:
        """What it answers, with ``values(node)`` for what was recorded."""
        given = self.operands.map(lambda x: values(x) if isinstance(x, Traced) else x)
        if self.path == "__getitem__":
            return given.args[0][given.args[1]]
        function = xp
        for name in self.path.split("."):
            function = getattr(function, name)
        return function(*given.args, **given.options)


Shaped = tuple[tuple[int, ...], tuple[Any, int]]


def probed(recorder: Any, call: Call) -> Shaped | list[Shaped]:
    """Shape and dtype of what a call answers, or of each part."""
    sizes = sorted({n for node in call.nodes for n in node.shape if n > 1})
    if len(sizes) > len(_SMALL[0]):
        raise NotRecordable(f"{call.path}: arrays of {len(sizes)} different sizes meet")
    runs = [_tried(recorder, call, dict(zip(sizes, small, strict=False))) for small in _SMALL]
    first, second = runs
    if hasattr(first, "shape"):
        return _shaped(recorder, call, sizes, first, second)
    call.container = _container(first)
    return [_shaped(recorder, call, sizes, a, b) for a, b in zip(first, second, strict=True)]


def _container(found: Any) -> Callable[[list[Any]], Any]:
    kind = cast(Any, type(found))
    if hasattr(found, "_fields") and isinstance(found, tuple):
        return lambda parts: kind(*parts)
    return list if isinstance(found, list) else tuple


def _tried(recorder: Any, call: Call, small: dict[int, int]) -> Any:
    def example(node: Traced) -> Any:
        return _plain(recorder.library, tuple([small.get(n, n) for n in node.shape]), node.dtype)

    try:
        return call.run(recorder.library, example)
    except Exception as error:
        raise NotRecordable(f"{call.path} cannot be tried on small arrays: {error}") from error


def _plain(xp: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array that most functions accept: a matrix of full rank, positive definite if it is square."""
    x = xp.ones(shape, dtype=dtype)
    if len(shape) < 2 or not hasattr(xp, "eye") or str(dtype).rsplit(".", 1)[-1] == "bool":
        return x
    return xp.astype(x + xp.eye(shape[-2], shape[-1], dtype=dtype), dtype)


def _shaped(recorder: Any, call: Call, sizes: list[int], a: Any, b: Any) -> Shaped:
    if len(a.shape) != len(b.shape):
        raise NotRecordable(f"{call.path}: the number of its dimensions depends on values or sizes")
    pairs = zip(a.shape, b.shape, strict=True)
    return tuple([_size(call, sizes, m, n) for m, n in pairs]), recorder._dtype(a.dtype)


def _size(call: Call, sizes: list[int], m: int, n: int) -> int:
    """The real size that is m for one set of small sizes and n for the other."""
    if m == n:
        return m
    for real, value in _candidates(sizes):
        if value == (m, n):
            return real
    raise NotRecordable(f"{call.path}: the shape of what it answers cannot be told")


def _candidates(sizes: list[int]) -> Iterable[tuple[int, tuple[int, int]]]:
    known = [(real, (a, b)) for real, a, b in zip(sizes, *_SMALL, strict=False)]
    yield from known
    for k in (2, 3, 4):
        yield from [(k * real, (k * a, k * b)) for real, (a, b) in known]
    for (r, (a, b)), (s, (c, d)) in itertools.product(known, known):
        yield r + s, (a + c, b + d)
        yield r * s, (a * c, b * d)
    for k in (-2, -1, 1, 2):
        yield from [(real + k, (a + k, b + k)) for real, (a, b) in known]


# -- shapes that are known by rule ---------------------------------------------------------------------------


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that two arrays have together."""
    if len(a) < len(b):
        a, b = b, a
    b = (1,) * (len(a) - len(b)) + b
    for m, n in zip(a, b, strict=True):
        if m != n and 1 not in (m, n):
            raise ValueError(f"arrays of shapes {a} and {b} cannot be broadcast together.")
    return tuple([n if m == 1 else m for m, n in zip(a, b, strict=True)])


def reshaped(old: tuple[int, ...], new: Any) -> tuple[int, ...]:
    """The shape asked for, with −1 worked out."""
    shape = [new] if isinstance(new, int) else list(new)
    if -1 in shape:
        rest = math.prod([n for n in shape if n != -1])
        shape[shape.index(-1)] = math.prod(old) // rest if rest else 0
    if math.prod(shape) != math.prod(old):
        raise ValueError(f"an array of shape {old} cannot be reshaped to {tuple(shape)}.")
    return tuple(shape)


def squeezed(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """The shape without axes of length 1."""
    axes = {a % len(shape) for a in ([axis] if isinstance(axis, int) else axis)}
    if any([shape[a] != 1 for a in axes]):
        raise ValueError(f"axes {sorted(axes)} of an array of shape {shape} cannot be squeezed.")
    return tuple([n for a, n in enumerate(shape) if a not in axes])


def sliced(shape: tuple[int, ...], key: Any) -> tuple[int, ...]:
    """The shape of ``x[key]``, the key made of ints, slices, None and an ellipsis."""
    keys: list[Any] = list(cast(Any, key)) if isinstance(key, tuple) else [key]
    taken = len([k for k in keys if k is not None and k is not Ellipsis])
    if taken > len(shape):
        raise IndexError(f"too many indices for an array of shape {shape}.")
    where = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    keys[where : where + 1] = [slice(None)] * (len(shape) - taken)
    found: list[int] = []
    left = iter(shape)
    for k in keys:
        if k is None:
            found.append(1)
        elif isinstance(k, slice):
            found.append(len(range(*k.indices(next(left)))))
        elif not -(n := next(left)) <= k.__index__() < n:
            raise IndexError(f"index {k} is out of range for an axis of length {n}.")
    return tuple(found)
