"""The scalar part of a step: work on numbers in double, one list of operations a stage.

Numbers that outlive a stage are known by their place in a list: those read from arrays, those that reductions and
library calls answer, and those that later stages want.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from arrayopt import dtypes
from arrayopt.fused import host, words
from arrayopt.fused.chains import Chain, chains
from arrayopt.fused.program import Arithmetic, Number, Operation, kind
from arrayopt.fused.split import Graph
from arrayopt.fused.traced import NotRecordable, Traced

_GIVEN = frozenset({"input", "captured", "call", "part"})
_ALIASES = frozenset({"copy", "view", "hand_on", "full", "owned"}) | words.REDUCTIONS


class Numbers:
    """The numbers of a step.

    Args:
      graph: the recorded step.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: dict[int, int] = {}
        self._several: dict[tuple[int, int], tuple[Any, list[int]]] = {}
        self._scalars: dict[int, dict[Any, int]] = {}  # of each stage: position or number, place in what it answers

    @property
    def kinds(self) -> str:
        """The kind of each number in the list."""
        return "".join([kind(dtypes.name(self.graph.nodes[i].dtype)) for i in self._known])

    def known(self, i: int) -> int:
        """The place of value ``i`` in the list."""
        return self._known.setdefault(i, len(self._known))

    need = known

    def scalar(self, s: int, x: Any, is_number: bool) -> int:
        """The place of a value, or of a Python number, in what stage ``s`` answers."""
        wanted = self._scalars.setdefault(s, {})
        key: Any = (
            (type(x), math.copysign(1.0, x) if x == 0 else x) if is_number and not isinstance(x, complex) else x
        )
        return wanted.setdefault((is_number, key, x), len(wanted))

    def scalars(self, s: int, xs: tuple[Any, ...]) -> list[int]:
        """The places of several, values or Python numbers."""
        key = (s, id(xs))
        if key not in self._several:
            found = [self.scalar(s, x.index if isinstance(x, Traced) else x, not isinstance(x, Traced)) for x in xs]
            self._several[key] = (xs, found)
        return self._several[key][1]

    def arithmetic(self, stages: int) -> list[Arithmetic]:
        """The work of each stage: from the list, which it adds to, to the scalars that its kernels want."""
        needed = self._needed()
        for s, wanted in self._scalars.items():
            for is_number, _, x in wanted:
                if not is_number and self.graph.stage[x] < s:
                    self.known(x)
        return [self._work(s, needed) for s in range(stages)]

    def _needed(self) -> set[int]:
        """Every value that is computed on the host."""
        stack = [*self._known, *[x for w in self._scalars.values() for is_number, _, x in w if not is_number]]
        found: set[int] = set()
        while stack:
            i = stack.pop()
            if i not in found and self.graph.on_host[i]:
                found.add(i)
                if not self._is_given(i):
                    stack.extend([a for a in self.graph.args[i] if a is not None])
        crossing = [(i, a) for i in found if not self._is_given(i) for a in self.graph.args[i] if a is not None]
        for i, a in crossing:
            if self.graph.stage[a] < self.graph.stage[i] or self._is_given(a):
                self.known(a)
        return found

    def _is_given(self, i: int) -> bool:
        return self.graph.nodes[i].op in _GIVEN or self.graph.is_barrier(i)

    def _work(self, s: int, needed: set[int]) -> Arithmetic:
        made: dict[int, Number] = {}
        seen: dict[Any, Number] = {}
        code: list[Operation] = []
        for i in sorted([i for i in needed if self.graph.stage[i] == s and not self._is_given(i)]):
            operation = self._operation(i, made)
            if operation is None:
                made[i] = self._operands(i, made)[0]
                continue
            key = (operation.op, operation.dtype, *[_key(number) for number in operation.args])
            if key not in seen:
                seen[key] = Number("result", len(code))
                code.append(operation)
            made[i] = seen[key]
        stores = tuple([(self._known[i], number) for i, number in made.items() if i in self._known])
        wanted = self._scalars.get(s, {})
        answers = [Number("number", x) if is_number else self._where(x, made) for is_number, _, x in wanted]
        return Arithmetic(tuple(code), stores, tuple(answers))

    def _where(self, i: int, made: dict[int, Number]) -> Number:
        return made.get(i) or Number("known", self.known(i))

    def _operands(self, i: int, made: dict[int, Number]) -> tuple[Number, ...]:
        pairs = zip(self.graph.nodes[i].args, self.graph.args[i], strict=True)
        return tuple([Number("number", x) if a is None else self._where(a, made) for x, a in pairs])

    def _operation(self, i: int, made: dict[int, Number]) -> Operation | None:
        """What makes value ``i``; None if it is its operand as it stands."""
        node = self.graph.nodes[i]
        op, dtype = node.op, dtypes.name(node.dtype)
        if op in _ALIASES:
            a = self.graph.args[i][0]
            if op != "full" and a is not None and kind(dtypes.name(self.graph.nodes[a].dtype)) == kind(dtype):
                return None
            op = "astype"
        elif op != "astype" and op not in host.FUNCTIONS:
            raise NotRecordable(f"{op} of a number")
        if op not in host.COMPLEX and any(
            [dtypes.is_complex(x.dtype) for x in (node, *node.args) if isinstance(x, Traced)]
        ):
            raise NotRecordable(f"{op} of a complex number")
        rounds = node.op == "astype" and kind(dtype) == "f"  # a cast rounds, all else stays double
        held = dtype if rounds else {"f": "float64", "c": "complex128"}.get(kind(dtype), dtype)
        return Operation(op, held, self._operands(i, made))


def _key(number: Number) -> Any:
    """Equal for equal numbers: 1, 1.0 and True are not, nor 0.0 and -0.0."""
    return repr(number.value) if number.source == "number" else number


# -- as a function of Python ---------------------------------------------------------------------------------


def function(work: Arithmetic, name: str, kinds: str = "") -> Callable[[list[Any]], list[Any]]:
    """Some work as a function: from the numbers known, to which it adds, to the scalars that kernels want.

    Args:
      work: what to do.
      name: what a traceback calls it.
      kinds: of the numbers known.
    """
    scope: dict[str, Any] = {}
    alike = chains(work, kinds)
    done = {k for chain in alike for _, positions in chain.links for k in positions}
    lines = [line for n, chain in enumerate(alike) for line in _chained(chain, f"of_{n}", name, scope)]
    lines += [f"    n{k} = {_expression(operation, scope)}" for k, operation in enumerate(work.code) if k not in done]
    lines += [f"    known[{place}] = {_text(number)}" for place, number in work.stores]
    answer = ", ".join([_text(number) for number in work.answers])
    exec(compile("\n".join(["def scalars(known):", *lines, f"    return [{answer}]"]), name, "exec"), scope)
    return _total(scope["scalars"], work)


def _chained(chain: Chain, known: str, name: str, scope: dict[str, Any]) -> list[str]:
    """The lines for work that is done alike on several numbers, once for each value."""
    answers = tuple([Number("result", j) for j in chain.wanted])
    once = function(Arithmetic(chain.code, (), answers), name)

    class Found(dict[int, list[Any]]):
        def __missing__(self, x: int) -> list[Any]:
            self[x] = once([x])
            return self[x]

    scope[known.upper()] = Found
    lines = [f"    {known} = {known.upper()}()"]
    for place, positions in chain.links if answers else ():
        names = ", ".join([f"n{positions[j]}" for j in chain.wanted])
        lines.append(f"    [{names}] = {known}[known[{place}]]")
    return lines


def _total(scalars: Callable[[list[Any]], list[Any]], work: Arithmetic) -> Callable[[list[Any]], list[Any]]:
    """The same; where an operation raises, it answers NaN: part of the step may have been written by then."""

    def answered(known: list[Any]) -> list[Any]:
        try:
            return scalars(known)
        except (ArithmeticError, ValueError, TypeError):
            return _guarded(known, work)

    return answered


def _guarded(known: list[Any], work: Arithmetic) -> list[Any]:
    """The scalars that kernels want, each operation guarded."""
    results: list[Any] = []

    def value(number: Number) -> Any:
        if number.source == "number":
            return number.value
        return known[number.value] if number.source == "known" else results[number.value]

    for op, dtype, operands in work.code:
        found = host.total(host.converter(dtype) if op == "astype" else host.FUNCTIONS[op])(*map(value, operands))
        results.append(host.total(host.converter(dtype))(found) if _wraps(op, dtype) else found)
    for place, number in work.stores:
        known[place] = value(number)
    return [value(number) for number in work.answers]


_INFIX = {"add": " + ", "subtract": " - ", "multiply": " * ", "less": " < ", "less_equal": " <= ", "greater": " > "}


def _expression(operation: Operation, scope: dict[str, Any]) -> str:
    op, dtype, operands = operation
    args = [_text(x) for x in operands]
    if op == "astype":
        return _converted(args[0], dtype, scope)
    scope.setdefault(op, host.FUNCTIONS[op])
    text = _INFIX[op].join(args) if op in _INFIX else f"{op}({', '.join(args)})"
    return _converted(text, dtype, scope) if _wraps(op, dtype) else text


def _wraps(op: str, dtype: str) -> bool:
    """Whether a result must be cut to the bits of its dtype."""
    return op in host.WRAPPING and (dtype == "bool" or ("int" in dtype and dtype != "int"))


def _converted(text: str, dtype: str, scope: dict[str, Any]) -> str:
    scope.setdefault(f"as_{dtype}", host.converter(dtype))
    return f"as_{dtype}({text})"


def _text(number: Number) -> str:
    if number.source == "number":
        return _literal(number.value)
    return f"known[{number.value}]" if number.source == "known" else f"n{number.value}"


def _literal(x: Any) -> str:
    if isinstance(x, complex):
        return f"complex({_literal(x.real)}, {_literal(x.imag)})"
    is_special = isinstance(x, float) and not math.isfinite(x)
    return f"float({str(x)!r})" if is_special else f"({x!r})"
