"""The recording namespace of one library: its functions, writing down instead of computing.

What dtype a word answers is asked of the library itself, once for each combination of dtypes, on arrays of one entry;
so promotion is the library's own. What shape a function outside the vocabulary answers is found by trying it on two
sets of small arrays.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.dispatch import introduce, is_array
from arrayopt.fused import words
from arrayopt.fused.blame import calling_line
from arrayopt.fused.probe import Call, Operands, broadcast, probed, reshaped, sliced, squeezed
from arrayopt.fused.takes import Take
from arrayopt.fused.traced import NotRecordable, Operand, Traced
from arrayopt.fused.values import Values

_NUMBERS = {bool: -1, int: -2, float: -3, complex: -4}
_EXAMPLES = {-1: True, -2: 1, -3: 1.0, -4: 1j}
_INQUIRIES = frozenset({"result_type", "finfo", "iinfo", "isdtype", "can_cast", "broadcast_shapes"})
_NUMBERS_OF = words.REDUCTIONS | {"captured", "call", "part"}  # a single one of these is worked with on the host
_NARROW = ("float16", "bfloat16")
_FILLED = {"zeros_like": 0, "empty_like": 0, "ones_like": 1}

Method = TypeVar("Method", bound=Callable[..., Any])


def _word(method: Method) -> Method:
    """A function of the library, written down by a method; computed, once the recording has stopped."""
    name = method.__name__

    @functools.wraps(method)
    def called(self: Recorder, *args: Any, **options: Any) -> Any:
        if self.stop is None:
            try:
                return method(self, *args, **options)
            except NotRecordable as error:
                self.stopped(error)
        return getattr(self.library, name)(*self.plainly(args), **self.plainly(options))

    return cast(Method, called)


class Recorder:
    """One library, recorded.

    Args:
      backend: the library's adapter.

    Attributes:
      stop: what stopped the recording, with the line of code; None if nothing did.
    """

    device = None

    def __init__(self, backend: Backend) -> None:
        self.library, self.backend = backend.xp, backend
        self.__name__ = self.library.__name__  # messages speak of the library
        seen_as = property(_kind_of(type(self.library.ones(()))))  # by isinstance, as rules ask
        members = {"__slots__": (), "recorder": self, "__class__": seen_as}
        self.kind: type[Traced] = type("Traced", (Traced,), members)
        self.begin()
        introduce(self.kind, self, RecordingBackend(backend, self))

    # -- where values come from ----------------------------------------------------------------------------

    def input(self, place: int, like: Any) -> Traced:
        """The array that lies at a place of the trees."""
        (dtype, number), shape, tape = self._dtype(like.dtype), tuple(like.shape), self.tape
        node = self.kind("input", (), place, shape, dtype, 2 * number + (not shape), len(tape))
        tape.append(node)
        if not shape and "int" in dtypes.name(dtype):  # a counter
            node.plain = place not in self._arrays
        return node

    def number(self, place: int, value: float) -> Traced:
        """A Python number that lies at a place of the trees, and is another in each step."""
        sig = _NUMBERS[type(value)]
        node = self._written("input", (), place, (), type(value), sig)
        node.plain = True
        return node

    def operand(self, x: Any) -> Operand:
        """``x``, fit to be an operand: recorded, a Python number, or an array that the rule holds."""
        if type(x) is self.kind or type(x) in _NUMBERS:
            return x
        if type(x).__module__ == "numpy" and self.backend.name != "numpy":
            x = _unboxed(x)
            if type(x) in _NUMBERS:
                return x
        if not is_array(x):
            raise NotRecordable(f"an operand is neither an array nor a number, but {type(x).__name__}")
        held = self._held.get(id(x))
        if held is None:
            node = self._made("captured", (), x, tuple(x.shape), self._dtype(x.dtype))
            held = self._held[id(x)] = (x, node)
        return held[1]

    def numbers(self, xs: tuple[Operand, ...]) -> Traced:
        """A value that depends on several numbers, and stands for them among operands."""
        return self._written("numbers", xs, None, (), float, _NUMBERS[float])

    def begin(self, arrays: frozenset[int] = frozenset(), leaves: Sequence[Any] = ()) -> None:
        """Forgets the last recording, and what the library said: it may be set otherwise now.

        Args:
          arrays: places where a counter would be taken for a number, and is none.
          leaves: what lies at the places of the trees, for when it must be computed with.
        """
        self._arrays = arrays
        self.stop: str | None = None
        self._values = Values(self.backend, leaves)
        self._dtypes: list[Any] = []
        self._ids: dict[str, int] = {}
        self._kinds: dict[Any, tuple[Any, int]] = {}
        self._answers: dict[tuple[Any, ...], tuple[Any, int]] = {}
        self._pairs: dict[tuple[str, int, int], tuple[Any, int]] = {}  # the same, of operators
        self._held: dict[int, tuple[Any, Traced]] = {}
        self._equal: dict[tuple[Any, ...], Traced] = {}
        self.tape: list[Traced] = []

    # -- the end of a recording ------------------------------------------------------------------------------

    def stopped(self, error: NotRecordable) -> None:
        """Computes all that was written down; what comes after is computed at once."""
        if self.stop is None:
            self.stop = f"it cannot be recorded: {error}; {calling_line()}"
            self._values.compute(self.tape)

    def stopped_at(self, x: Traced, why: str) -> Any:
        """The value of something recorded, which ends the recording."""
        self.stopped(NotRecordable(why))
        return self._values.of(x)

    def plainly(self, x: Any) -> Any:
        """Values in the place of what was recorded, at any depth of lists, tuples and dicts."""
        if type(x) is self.kind:
            return self._values.of(x)
        if type(x) in (list, tuple):
            return type(x)([self.plainly(y) for y in x])
        if type(x) is dict:
            return {name: self.plainly(y) for name, y in cast("dict[str, Any]", x).items()}
        return x

    def function_of(self, function: Any, args: Any, options: dict[str, Any]) -> Any:
        """A function of the library that was called past its namespace: ``np.where``, or ``+`` of its array and ours.

        Elementwise ones are recorded; at any other the recording stops.
        """
        name = function.__name__
        op = _SPELLED.get(name.strip("_"), "")
        if self.stop is None and not options:
            if op in words.OPERATORS and len(args) == (1 if op in words.UNARY else 2):
                return self.operator(op, *(args[::-1] if name.startswith("__r") else args))
            if (
                op
                and op not in words.OPERATORS
                and len(args) == (3 if op == "where" else 1 if op in words.UNARY else 2)
            ):
                return getattr(self, op)(*args)
        self.stopped(NotRecordable(f"{function.__name__} is called outside of the Array API standard"))
        return function(*self.plainly(args), **self.plainly(options))

    # -- formulas ------------------------------------------------------------------------------------------

    def each_leaf(
        self, rows: Sequence[tuple[Any, ...]], look: Callable[..., Any], work: Callable[..., Any]
    ) -> list[list[Any]]:
        """An update, leaf by leaf. For a leaf like one before, what was written down then is written again.

        What becomes of a leaf is a function of its arrays, so it would come to the same; and a model may have a
        thousand leaves.
        """
        takes: dict[Any, Take] = {}
        return [self._leaf(takes, row, look, work) for row in rows]

    def _leaf(
        self, takes: dict[Any, Take], row: tuple[Any, ...], look: Callable[..., Any], work: Callable[..., Any]
    ) -> list[Any]:
        _, g, slots, p, scalars = row
        given = (g, *slots) if p is None else (g, *slots, p)
        alone = self._are_apart(given)
        if alone:  # what was narrowed to be handed on may be read as it was before
            given += tuple([x.args[0] for x in given if x.op == "hand_on"])
            alone = self._are_apart(given)
        own = tuple(scalars.values())
        key: tuple[Any, ...] = tuple([(x.sig, x.shape, x.op == "hand_on") for x in given]) if alone else ()
        if alone and own:
            key = (*key, *[x.sig if type(x) is self.kind else (type(x), repr(x)) for x in own])
        take = takes.get(key) if alone else None
        if take is not None:
            return take.again(self, given, own)
        look(*row)
        start = len(self.tape)
        out: list[Any] = work(*row)
        if not alone or self.stop is not None:
            return out
        take = Take(given, self.tape[start:], out, own)
        if own and not take.can_differ():
            return out
        takes[key] = take
        if not take.is_simple:
            return out
        self._strike(start, take)
        return take.again(self, given, own)

    def _strike(self, start: int, take: Take) -> None:
        """Takes back what was written down for a leaf, as it will stand there in short."""
        gone = set(map(id, take.tape))
        kept = [node for node in self.tape[start:] if id(node) not in gone]
        del self.tape[start:]
        for node in kept:
            node.index = len(self.tape)
            self.tape.append(node)

    def _are_apart(self, given: tuple[Any, ...]) -> bool:
        """Whether all are recorded arrays, none of them twice."""
        kind = self.kind
        if self.stop is not None or not all([type(x) is kind and not x.plain for x in given]):
            return False
        return len(set(map(id, given))) == len(given)

    def instead(self, x: Any, new: dict[int, Any]) -> Any:
        """A number, made again of others.

        Args:
          x: it.
          new: by id, what stands for some numbers; what is made is added.
        """
        if id(x) in new or type(x) is not self.kind:
            return new.get(id(x), x)
        args = tuple([self.instead(a, new) for a in x.args])
        is_same = all([a is b for a, b in zip(args, x.args, strict=True)])
        found = new[id(x)] = x if is_same else self._once(x.op, args, x.dtype, x.sig)
        return found

    def owned(self, count: Any, g: Any) -> Any:
        """A counter, noted to be that of the parameter whose gradient this is."""
        if self.stop is not None or type(count) is not self.kind or type(g) is not self.kind:
            return count
        return self._written("owned", (count, g), None, (), count.dtype, count.sig)

    # -- elementwise ---------------------------------------------------------------------------------------

    def operator(self, op: str, *args: Any) -> Any:
        """``x op y``, or ``op x``."""
        if self.stop is None:
            try:
                return self._elementwise(op, "operator", args) if len(args) == 1 else self._operator(op, *args)
            except NotRecordable as error:
                self.stopped(error)
        return words.OPERATORS[op](*self.plainly(args))

    def _operator(self, op: str, x: Any, y: Any) -> Any:
        if op == "pow" and _is_small(y) and type(x) is self.kind:
            return self._power(x, y)
        kind = self.kind
        if op in words.COMPARISONS:
            x, y = self._comparable(x, y)
        if type(x) is kind and type(y) is kind and x.shape == y.shape and not x.plain:
            return self._pair(op, x, y, x.sig, y.sig, x.shape)
        if type(x) is float and type(y) is kind and not y.plain:
            return self._pair(op, x, y, -3, y.sig, y.shape)
        return self._elementwise(op, "operator", (x, y))

    def _comparable(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Operands of a comparison in the dtype in which the library compares them, so that every engine does."""
        x, y = [z if type(z) in _NUMBERS else self.operand(z) for z in (x, y)]
        if type(x) is not self.kind or type(y) is not self.kind or x.sig // 2 == y.sig // 2 or x.sig < 0 or y.sig < 0:
            return self._weak(x, y), self._weak(y, x)
        dtype, _ = self._answer(("operator", "add", x.sig, y.sig))
        if dtypes.is_double(dtype) and {"int64", "uint64"} == {dtypes.name(x.dtype), dtypes.name(y.dtype)}:
            raise NotRecordable("int64 and uint64 are compared, which no dtype holds both")
        return self._cast("astype", x, dtype), self._cast("astype", y, dtype)

    def _weak(self, x: Any, y: Any) -> Any:
        """A Python number as an array of 16 bits sees it, since kernels compute in wider registers."""
        if type(x) is not float or type(y) is not self.kind or y.sig < 0 or y.plain:
            return x
        dtype, _ = self._answer(("operator", "add", y.sig, -3))
        return self.full_like(y, x, dtype=dtype) if dtypes.name(dtype) in _NARROW else x

    def _pair(self, op: str, x: Any, y: Any, a: int, b: int, shape: tuple[int, ...]) -> Traced:
        """The usual case, without detours: rules are recorded leaf by leaf."""
        key = (op, a, b)
        answer = self._pairs.get(key)
        if answer is None:
            answer = self._pairs[key] = self._answer(("operator", op, a, b))
        dtype, number = answer
        tape = self.tape
        node = self.kind(op, (x, y), None, shape, dtype, 2 * number + (not shape), len(tape))
        tape.append(node)
        return node

    def _power(self, x: Traced, n: int) -> Any:
        if n == 1:
            return x
        square = self._elementwise("multiply", "operator", (x, x))
        other = {2: None, 3: x, 4: square}[n]
        return square if other is None else self._elementwise("multiply", "operator", (square, other))

    def _elementwise(self, op: str, how: str, given: tuple[Any, ...]) -> Traced:
        kind = self.kind
        args = given
        shape: tuple[int, ...] | None = None
        plain = True
        sigs: list[Any] = [how, op]
        for i, x in enumerate(given):
            if type(x) is not kind:
                if type(x) in _NUMBERS:
                    sigs.append(_NUMBERS[type(x)])
                    continue
                x = self.operand(x)
                args = (*args[:i], x, *args[i + 1 :])
                if type(x) in _NUMBERS:  # of NumPy, among another library's arrays
                    sigs.append(_NUMBERS[type(x)])
                    continue
            sigs.append(x.sig)
            plain = plain and x.plain
            if shape is None:
                shape = x.shape
            elif shape != x.shape:
                shape = broadcast(shape, x.shape)
        key = tuple(sigs)
        dtype, number = self._answers.get(key) or self._answer(key)
        shape = shape or ()
        sig = 2 * number + (not shape) if number >= 0 else number
        if plain:
            return self._once(op, args, dtype, sig)
        tape = self.tape
        node = kind(op, args, None, shape, dtype, sig, len(tape))
        tape.append(node)
        return node

    def _once(self, op: str, args: tuple[Operand, ...], dtype: Any, sig: int) -> Traced:
        """Work on numbers, the same for every leaf, is written down once."""
        named: list[Any] = [id(x) if type(x) is self.kind else (type(x), x or repr(x)) for x in args]
        key = (op, sig, *named)
        node = self._equal.get(key)
        if node is None:
            node = self._equal[key] = self._written(op, args, None, (), dtype, sig)
            node.plain = True
        return node

    def _written(
        self, op: str, args: tuple[Operand, ...], attrs: Any, shape: tuple[int, ...], dtype: Any, sig: int
    ) -> Traced:
        node = self.kind(op, args, attrs, shape, dtype, sig, len(self.tape))
        node.plain = not shape and op in _NUMBERS_OF
        self.tape.append(node)
        return node

    def _answer(self, key: tuple[Any, ...]) -> tuple[Any, int]:
        """The dtype of a word's result, as the library says."""
        how, op, *sigs = key
        word = words.OPERATORS[op] if how == "operator" else getattr(self.library, op)
        examples = [self._example(sig) for sig in sigs]
        if op == "atanh":  # at 1 it is infinite, and some warn
            examples = [self.library.zeros_like(examples[0])]
        found = word(*examples)
        kind = cast(Any, type(found))
        answer = (kind, _NUMBERS[kind]) if kind in _NUMBERS else self._dtype(found.dtype)
        self._answers[key] = answer
        return answer

    def _example(self, sig: int) -> Any:
        if sig < 0:
            return _EXAMPLES[sig]
        return self.library.ones(() if sig % 2 else (1,), dtype=self._dtypes[sig // 2])

    def _dtype(self, dtype: Any) -> tuple[Any, int]:
        """The library's own object for a dtype, and its number."""
        found = self._kinds.get(dtype)
        if found is None:
            name = dtypes.name(dtype)
            if name not in self._ids:
                self._ids[name] = len(self._dtypes)
                self._dtypes.append(self.library.ones((), dtype=dtype).dtype)
            number = self._ids[name]
            found = self._kinds[dtype] = self._dtypes[number], number
        return found

    def _made(
        self, op: str, args: tuple[Operand, ...], attrs: Any, shape: tuple[int, ...], dtype: tuple[Any, int]
    ) -> Traced:
        return self._written(op, args, attrs, shape, dtype[0], 2 * dtype[1] + (not shape))

    @_word
    def astype(self, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        del copy, device
        return self._cast("astype", x, dtype)

    def hand_on(self, x: Traced, dtype: Any) -> Any:
        """A cast that may be left out where the value is widened again."""
        return self.astype(x, dtype) if self.stop is not None else self._cast("hand_on", x, dtype)

    def _cast(self, op: str, x: Traced, dtype: Any) -> Any:
        kind = self._dtype(dtype)
        x = self.operand(x)
        if x.sig >= 0 and x.sig // 2 == kind[1]:
            return x
        if x.op == "hand_on" and x.args[0].sig // 2 == kind[1]:
            return x.args[0]
        if x.plain:
            return self._once(op, (x,), kind[0], 2 * kind[1] + 1)
        return self._made(op, (x,), None, x.shape, kind)

    def copy_of(self, x: Traced) -> Any:
        if self.stop is not None:
            return self.backend.copy(self.plainly(x))
        return self._made("copy", (x,), None, x.shape, self._dtype(x.dtype))

    @_word
    def clip(self, x: Any, /, min: Any = None, max: Any = None) -> Any:
        for word, bound in (("maximum", min), ("minimum", max)):
            if bound is not None:
                kept = self._elementwise(word, "function", (x, self._as_bound(x, bound)))
                x = self._cast("astype", kept, x.dtype)  # the standard: clip answers in the dtype of x
        return x

    def _as_bound(self, x: Traced, bound: Any) -> Any:
        return bound if type(bound) in _NUMBERS else self._cast("astype", self.operand(bound), x.dtype)

    @_word
    def square(self, x: Any, /) -> Any:
        return self._elementwise("multiply", "operator", (x, x))

    @_word
    def reciprocal(self, x: Any, /) -> Any:
        return self._elementwise("divide", "operator", (1, x))

    @_word
    def positive(self, x: Any, /) -> Any:
        return x

    @_word
    def full_like(self, x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Traced:
        del device
        x = self.operand(x)
        return self._made("full", (self.operand(fill_value),), None, x.shape, self._dtype(dtype or x.dtype))

    @_word
    def asarray(self, x: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
        if type(x) is self.kind:
            return x if dtype is None else self._cast("astype", x, dtype)
        if _holds(self.kind, x):
            raise NotRecordable("asarray of several recorded values")
        return self.library.asarray(x, dtype=dtype, device=device, copy=copy)

    # -- the same entries in another shape -----------------------------------------------------------------

    @_word
    def reshape(self, x: Any, /, shape: Any, *, copy: bool | None = None) -> Traced:
        del copy
        return self._view(x, reshaped(x.shape, shape))

    @_word
    def expand_dims(self, x: Any, /, axis: Any = 0) -> Traced:
        axes = sorted([a % (x.ndim + 1) for a in ([axis] if isinstance(axis, int) else axis)])
        shape = list(x.shape)
        for a in axes:
            shape.insert(a, 1)
        return self._view(x, tuple(shape))

    @_word
    def squeeze(self, x: Any, /, axis: Any) -> Traced:
        return self._view(x, squeezed(x.shape, axis))

    def _view(self, x: Any, shape: tuple[int, ...]) -> Traced:
        x = cast(Traced, self.operand(x))
        return x if x.shape == shape else self._made("view", (x,), None, shape, self._dtype(x.dtype))

    @_word
    def broadcast_to(self, x: Any, /, shape: tuple[int, ...]) -> Traced:
        x = self.operand(x)
        return self._made("copy", (x,), None, tuple(shape), self._dtype(x.dtype))

    # -- whole arrays --------------------------------------------------------------------------------------

    def _reduced(self, op: str, x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
        x = self.operand(x)
        options = {"axis": axis, "keepdims": keepdims} | ({} if dtype is None else {"dtype": dtype})
        if _is_along(op, x, axis) and (dtype is None or dtypes.name(dtype) == dtypes.name(x.dtype)):
            return self._along(x, _axes(x, axis), keepdims)
        if not _is_whole(x, axis) or not _can_join(op, x):
            return self.call(op, (x,), options)
        shape = (1,) * x.ndim if keepdims else ()
        key = ("reduce", op, x.sig, None if dtype is None else dtypes.name(dtype))
        kind = self._answers.get(key)
        if kind is None:
            example = getattr(self.library, op)(self._example(x.sig), **({} if dtype is None else {"dtype": dtype}))
            kind = self._answers[key] = self._dtype(example.dtype)
        return self._made(op, (x,), None, shape, kind)

    def _along(self, x: Traced, axes: set[int], keepdims: bool) -> Traced:
        """A sum along some axes, formed by the kernel that makes what is summed."""
        kept = tuple([1 if a in axes else n for a, n in enumerate(x.shape)])
        shape = kept if keepdims else tuple([n for a, n in enumerate(x.shape) if a not in axes])
        return self._made("fold", (x,), kept, shape, self._dtype(x.dtype))

    @_word
    def sum(self, x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        return self._reduced("sum", x, axis, keepdims, dtype)

    @_word
    def max(self, x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return self._reduced("max", x, axis, keepdims)

    @_word
    def min(self, x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return self._reduced("min", x, axis, keepdims)

    @_word
    def any(self, x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return self._reduced("any", x, axis, keepdims)

    @_word
    def all(self, x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return self._reduced("all", x, axis, keepdims)

    @_word
    def mean(self, x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        x = self.operand(x)
        if _is_along("sum", x, axis):
            summed = self._along(x, _axes(x, axis), keepdims)
            return summed / (x.size // summed.size)
        if not _is_whole(x, axis) or not _can_join("sum", x) or not x.size:
            return self.call("mean", (x,), {"axis": axis, "keepdims": keepdims})
        return self.sum(x, keepdims=keepdims) / x.size

    # -- everything else -----------------------------------------------------------------------------------

    def item(self, x: Traced, key: Any) -> Any:
        """``x[key]``; the key holds no arrays."""
        if self.stop is None and (_holds(self.kind, key) or any([is_array(k) for k in _as_tuple(key)])):
            self.stopped(NotRecordable("an index is an array"))
        if self.stop is not None:
            return self.plainly(x)[self.plainly(key)]
        node = Call("__getitem__", Operands((x, key), {}))
        return self._made("call", (x,), node, sliced(x.shape, key), self._dtype(x.dtype))

    def call(self, path: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """A function of the library, run between kernels."""
        if self.stop is None:
            try:
                return self._called(path, args, options)
            except NotRecordable as error:
                self.stopped(error)
        return Call(path, Operands(self.plainly(args), self.plainly(options))).run(self.library, _itself)

    def _called(self, path: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        call = Call(path, Operands(args, options).recorded(self))
        found = probed(self, call)
        if isinstance(found, list):
            whole = self._made("call", call.nodes, call, (), self._dtype(call.nodes[0].dtype))
            parts = [self._made("part", (whole,), i, *part) for i, part in enumerate(found)]
            return call.container(parts)
        return self._made("call", call.nodes, call, *found)

    def __getattr__(self, name: str) -> Any:
        found = self._word(name)
        setattr(self, name, found)
        return found

    def _word(self, name: str) -> Any:
        if name in _FILLED:
            return self._filler(_FILLED[name])
        if name in words.UNARY or name in words.BINARY or name == "where":
            return self._elementwise_word(name)
        real = getattr(self.library, name)
        if name in ("linalg", "fft"):
            return _Part(self, name)
        if not callable(real) or isinstance(real, type) or name in words.CREATION:
            return real
        return self._inquiry(real) if name in _INQUIRIES else self.between_kernels(name, real)

    def _elementwise_word(self, name: str) -> Callable[..., Any]:
        """An elementwise word; without anything recorded in it, its value."""

        def function(*args: Any) -> Any:
            if self.stop is None and _holds(self.kind, args):
                try:
                    given = self._comparable(*args) if name in words.COMPARISONS else args
                    return self._elementwise(name, "function", given)
                except NotRecordable as error:
                    self.stopped(error)
            return getattr(self.library, name)(*self.plainly(args))

        return function

    def _inquiry(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """A question about dtypes or shapes."""

        def asked(*args: Any) -> Any:
            return real(*[self._example(x.sig) if type(x) is self.kind else x for x in args])

        return asked

    def _filler(self, value: int) -> Callable[..., Any]:
        def filled(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
            return self.full_like(x, value, dtype=dtype, device=device)

        return filled

    def between_kernels(self, path: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the library; without anything recorded in it, its value."""

        def called(*args: Any, **options: Any) -> Any:
            if not _holds(self.kind, args) and not _holds(self.kind, tuple(options.values())):
                return real(*args, **options)
            return self.call(path, args, options)

        return called


class _Part:
    """``xp.linalg`` and the like."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder, self._name = recorder, name

    def vector_norm(self, x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
        recorder = self._recorder
        if recorder.stop is None:
            x = recorder.operand(x)
        if (
            recorder.stop is None
            and ord == 2
            and _is_whole(x, axis)
            and _can_join("sum", x)
            and not dtypes.is_complex(x.dtype)
        ):
            return recorder.sqrt(recorder.sum(x * x, keepdims=keepdims))
        return recorder.call("linalg.vector_norm", (x,), {"axis": axis, "keepdims": keepdims, "ord": ord})

    def __getattr__(self, name: str) -> Any:
        recorder, path = self._recorder, f"{self._name}.{name}"
        real = getattr(getattr(recorder.library, self._name), name)
        return recorder.between_kernels(path, real)


class RecordingBackend(Backend):
    """The points where libraries differ, recorded."""

    def __init__(self, real: Backend, recorder: Recorder) -> None:
        super().__init__(real.name)
        self._real, self._recorder = real, recorder
        self._xp = cast(Any, recorder)

    def counter(self, like: Any) -> Any:
        del like
        xp = self._recorder.library
        return self.receive(xp.zeros((), dtype=xp.int32))

    def each_leaf(
        self, rows: Sequence[tuple[Any, ...]], look: Callable[..., Any], work: Callable[..., Any]
    ) -> list[list[Any]]:
        return self._recorder.each_leaf(rows, look, work)

    def wide(self) -> Any:
        return self._real.wide()

    def settle(self, x: Any) -> Any:
        return x

    def copy(self, x: Any) -> Any:
        return self._recorder.copy_of(x)

    def dtype(self, name: str) -> Any:
        return self._real.dtype(name)

    def hand_on(self, x: Any, dtype: Any) -> Any:
        is_narrow = dtypes.name(dtype) in _NARROW
        return self._recorder.hand_on(x, dtype) if is_narrow else self.xp.astype(x, dtype)

    def asarray(self, values: Any, dtype: str | None = None, device: Any = None) -> Any:
        return self._real.asarray(values, dtype, device)

    def takes(self, x: Any) -> bool:
        return self._real.takes(x)

    def receive(self, x: Any) -> Any:
        return x if self._recorder.stop is not None else self._recorder.operand(x)

    def owned(self, count: Any, g: Any) -> Any:
        return self._recorder.owned(count, g)


def _kind_of(array: type[Any]) -> Callable[[Traced], type[Any]]:
    return lambda x: x.dtype if isinstance(x.dtype, type) else array


def _itself(x: Any) -> Any:
    return x


def _unboxed(x: Any) -> Any:
    """A single number of NumPy among another library's arrays, as a Python number."""
    return x.item() if getattr(x, "shape", None) == () and type(x).__name__ != "ndarray" else x


_SPELLED = {
    **{name: name for name in (words.UNARY | words.BINARY) - {"sign"}},  # Torch's own sign answers 0 to NaN
    **dict.fromkeys(["absolute"], "abs"), "invert": "bitwise_invert", "rint": "round", "neg": "negative",
    "sub": "subtract", "mul": "multiply", "div": "divide", "truediv": "divide", "true_divide": "divide",
    "floordiv": "floor_divide", "mod": "remainder", "power": "pow", "rsub": "subtract", "rmul": "multiply",
    "radd": "add", "rdiv": "divide", "rtruediv": "divide", "rpow": "pow", "lt": "less", "le": "less_equal",
    "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal", "where": "where",
}  # fmt: skip
"""The names under which NumPy and Torch know elementwise words."""


def _is_small(n: Any) -> bool:
    """Whether a power is multiplied out."""
    return type(n) is int and 1 <= n <= 4


def _as_tuple(key: Any) -> tuple[Any, ...]:
    return cast(Any, key) if isinstance(key, tuple) else (key,)


def _is_whole(x: Traced, axis: Any) -> bool:
    """Whether a reduction along the axes leaves one entry."""
    return axis is None or _axes(x, axis) == set(range(x.ndim))


def _axes(x: Traced, axis: Any) -> set[int]:
    return {a % max(x.ndim, 1) for a in ([axis] if isinstance(axis, int) else axis)}


def _is_along(op: str, x: Traced, axis: Any) -> bool:
    """Whether a reduction is a sum along some axes that leaves several entries, each of something."""
    if op != "sum" or axis is None or not x.size or dtypes.name(x.dtype) not in ("float32", "float64"):
        return False
    left = math.prod([n for a, n in enumerate(x.shape) if a not in _axes(x, axis)])
    return 1 < left < x.size


def _can_join(op: str, x: Traced) -> bool:
    """Whether a reduction may join the kernel that makes its argument: floating point, and not of nothing."""
    if op in ("any", "all"):
        return dtypes.name(x.dtype) == "bool"
    if op in ("max", "min"):
        return math.prod(x.shape) > 0 and dtypes.is_inexact(x.dtype) and not dtypes.is_complex(x.dtype)
    return dtypes.is_inexact(x.dtype)


def _holds(kind: type[Traced], x: Any) -> bool:
    if isinstance(x, (tuple, list)):
        return any([_holds(kind, y) for y in cast(Any, x)])
    return type(x) is kind
