"""Straight-line code for a program on vectors: the library's functions, tile by tile, into buffers that are used
again.

What the general way of the tile engine decides at every tile is decided here once: which buffer each operation writes
to, and which may write into the donated array itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from arrayopt.backend import Backend
from arrayopt.fused.program import Program

NARROW = ("float16", "bfloat16")
_PLAIN = frozenset({"hand_on"})


class Lane(NamedTuple):
    """The code of a program.

    Attributes:
      run: ``run(vectors, scalars, inverse, buffers, size)`` applies the program; for each reduction, what it gave
        tile by tile.
      buffers: dtypes of its buffers.
      inverse: the slots of which it wants 1 / s.
    """

    run: Callable[[list[Any], list[Any], dict[int, Any], list[Any], int], list[list[Any]]]
    buffers: list[str]
    inverse: list[int]


def lane(program: Program, backend: Backend, tile: int, reduced: Callable[..., Any]) -> Lane | None:
    """The code of a program; None if an operation has no form that writes in place."""
    if not program.flat or any([dtype.startswith("complex") for dtype in _dtypes(program)]):
        return None
    words = {op: backend.word(op) for op, _, _ in program.code if op not in _PLAIN} if _known(program) else {}
    if not program.code or not words or not all([has_out for _, has_out in words.values()]):
        return None
    text = _Text(program, tile)
    scope: dict[str, Any] = {op: word for op, (word, _) in words.items()}
    scope |= {"assign": backend.assign, "read": backend.read, "reduced": reduced, "xp": backend.xp}
    exec(compile("\n".join(text.lines()), "<tiles>", "exec"), scope)
    return Lane(scope["lane"], text.buffers, sorted(text.recips))


def _dtypes(program: Program) -> list[str]:
    return [*program.loads, *[code.dtype for code in program.code]]


def _known(program: Program) -> bool:
    """Whether every operation is one of arrays that answers a new array."""
    odd = {"astype", "full", "copy", "real", "imag", "conj"}
    return not any([code.op in odd or max(code.args, default=-1) < 0 for code in program.code])


class _Text:
    def __init__(self, program: Program, tile: int) -> None:
        self.program, self.tile = program, tile
        self.buffers: list[str] = []
        self.name: dict[int, str] = {}
        self.recips: set[int] = set()
        self._free: dict[str, list[int]] = {}
        self._last = self._last_uses()
        self._into = self._direct()

    def lines(self) -> Iterator[str]:
        """The text of the function."""
        body = [*self._loads(), *self._code(), *self._reduces(), *self._stores()]
        arrays, program = self.program.arrays, self.program
        yield "def lane(vectors, scalars, inverse, buffers, size):"
        yield f"    found = [[] for _ in range({len(program.reduces)})]"
        yield from [f"    s{k} = scalars[{k}]" for k in range(len(program.slots))]
        for k in sorted(self.recips):
            yield f"    by{k}, q{k} = (divide, s{k}) if inverse[{k}] is None else (multiply, inverse[{k}])"
        yield from [f"    b{k} = buffers[{k}]" for k in range(len(self.buffers))]
        yield f"    for start in range(0, size, {self.tile}):"
        yield f"        end = start + {self.tile}"
        yield from [f"        x{k} = vectors[{k}][start:end]" for k in range(arrays)]
        cut = [f"            b{k} = b{k}[: size - start]" for k in range(len(self.buffers))]
        yield from ["        if end > size:", *(cut or ["            pass"])]
        yield from [f"        {line}" for line in body]
        yield "    return found"

    def _last_uses(self) -> dict[int, int]:
        """The last instruction that looks at each value."""
        end = len(self.program.code)
        last: dict[int, int] = {}
        for i, (_, _, args) in enumerate(self.program.code):
            last.update({a: i for a in args if a >= 0})
        last.update({value: end for value, _, _ in self.program.stores})
        last.update({value: end for _, value in self.program.reduces})
        return last

    def _direct(self) -> dict[int, int]:
        """Values that may be computed right in the array they are stored to: nobody needs its old contents later."""
        n, program = len(self.program.loads), self.program
        found: dict[int, int] = {}
        for value, array, dtype in program.stores:
            fits = value >= n and program.dtype(value) == dtype and dtype not in NARROW and value not in found
            if fits and program.code[value - n].op not in _PLAIN and self._last.get(array, -1) <= value - n:
                found[value] = array
        return found

    def _buffer(self, dtype: str) -> int:
        if self._free.get(dtype):
            return self._free[dtype].pop()
        self.buffers.append(dtype)
        return len(self.buffers) - 1

    def _loads(self) -> Iterator[str]:
        for k, dtype in enumerate(self.program.loads):
            self.name[k] = f"x{k}"
            if dtype in NARROW:
                self.name[k] = f"b{self._buffer('float32')}"
                yield f"assign({self.name[k]}, x{k})"

    def _code(self) -> Iterator[str]:
        n = len(self.program.loads)
        for i, (op, dtype, args) in enumerate(self.program.code):
            if op in _PLAIN:
                self.name[n + i] = self.name[args[0]]
                self._last[args[0]] = max(self._last.get(n + i, i), self._last[args[0]])
                continue
            given, word = self._given(op, dtype, args)
            self._release(i, args)
            kind = "float32" if dtype in NARROW else dtype
            out = f"x{self._into[n + i]}" if n + i in self._into else f"b{self._buffer(kind)}"
            self.name[n + i] = out
            yield f"{word}({given}, out={out})"

    def _given(self, op: str, dtype: str, args: tuple[int, ...]) -> tuple[str, str]:
        by_scalar = op == "divide" and args[1] < 0 and dtype in ("float32", *NARROW)  # in double, a quotient
        if by_scalar and "multiply" in {code.op for code in self.program.code}:
            self.recips.add(-1 - args[1])
            return f"{self.name[args[0]]}, q{-1 - args[1]}", f"by{-1 - args[1]}"
        return ", ".join([self.name[a] if a >= 0 else f"s{-1 - a}" for a in args]), op

    def _release(self, i: int, args: tuple[int, ...]) -> None:
        """Gives back the buffers of values that are not looked at after this."""
        for a in {a for a in args if a >= 0}:
            name = self.name[a]
            shared = [v for v, other in self.name.items() if other == name and self._last.get(v, -1) > i]
            if name[0] == "b" and not shared:
                k = int(name[1:])
                self._free.setdefault(self.buffers[k], []).append(k)

    def _reduces(self) -> Iterator[str]:
        for k, (op, value) in enumerate(self.program.reduces):
            yield f"found[{k}].append(read(reduced(xp, {op!r}, {self.name[value]})))"

    def _stores(self) -> Iterator[str]:
        """Of what was not computed in place; values that lie in arrays about to be overwritten are copied first."""
        rest = [(value, array) for value, array, _ in self.program.stores if self.name[value] != f"x{array}"]
        overwritten = {f"x{array}" for _, array in rest}
        for value, _ in rest:
            if self.name[value] in overwritten:
                spare = f"b{self._buffer(self.program.dtype(value))}"
                yield f"assign({spare}, {self.name[value]})"
                self.name[value] = spare
        for value, array in rest:
            yield f"assign(x{array}, {self.name[value]})"
