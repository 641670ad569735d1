"""The scalar part of a step: one Python function a stage, on numbers in double.

Numbers that outlive a stage are known by their place in a list: those read from arrays, those that reductions and
library calls answer, and those that later stages want.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from arrayopt import dtypes
from arrayopt.fused import host, words
from arrayopt.fused.split import Graph
from arrayopt.fused.traced import NotRecordable

_GIVEN = frozenset({"input", "captured", "call", "part"})
_ALIASES = frozenset({"copy", "view", "hand_on", "full"})


class Numbers:
    """The numbers of a step.

    Args:
      graph: the recorded step.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: dict[int, int] = {}
        self._scalars: dict[int, dict[Any, int]] = {}  # of each stage: position or number, place in what it answers
        self._names: dict[tuple[Any, ...], str] = {}
        self._text: dict[int, str] = {}

    @property
    def count(self) -> int:
        """How many places the list has."""
        return len(self._known)

    def known(self, i: int) -> int:
        """The place of value ``i`` in the list."""
        return self._known.setdefault(i, len(self._known))

    need = known

    def scalar(self, s: int, x: Any, is_number: bool) -> int:
        """The place of a value, or of a Python number, in what the function of stage ``s`` answers."""
        wanted = self._scalars.setdefault(s, {})
        key = (type(x), math.copysign(1.0, x) if x == 0 else x) if is_number and not isinstance(x, complex) else x
        return wanted.setdefault((is_number, key, x), len(wanted))

    def functions(self, stages: int) -> list[Callable[[list[Any]], list[Any]]]:
        """The function of each stage: from the list, which it adds to, to the scalars that its kernels want."""
        needed = self._needed()
        for s, wanted in self._scalars.items():
            for is_number, _, x in wanted:
                if not is_number and self.graph.stage[x] < s:
                    self.known(x)
        return [self._function(s, needed) for s in range(stages)]

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
        crossing = [
            (i, a) for i in found if not self._is_given(i) for a in self.graph.args[i] if a is not None
        ]
        for i, a in crossing:
            if self.graph.stage[a] < self.graph.stage[i] or self._is_given(a):
                self.known(a)
        return found

    def _is_given(self, i: int) -> bool:
        return self.graph.nodes[i].op in _GIVEN or self.graph.is_barrier(i)

    # -- text ----------------------------------------------------------------------------------------------

    def _function(self, s: int, needed: set[int]) -> Callable[[list[Any]], list[Any]]:
        names: dict[int, str] = {}
        seen: dict[str, str] = {}
        scope: dict[str, Any] = {}
        lines: list[str] = []
        for i in sorted(i for i in needed if self.graph.stage[i] == s and not self._is_given(i)):
            text = self._expression(i, names, scope)
            if text not in seen:
                seen[text] = f"n{len(seen)}"
                lines.append(f"    {seen[text]} = {text}")
            names[i] = seen[text]
            if i in self._known:
                lines.append(f"    known[{self._known[i]}] = {names[i]}")
        wanted = self._scalars.get(s, {})
        answer = [_literal(x) if is_number else self._name(x, names) for is_number, _, x in wanted]
        source = "\n".join(["def scalars(known):", *lines, f"    return [{', '.join(answer)}]"])
        exec(compile(source, f"<scalars of stage {s}>", "exec"), scope)
        return scope["scalars"]  # type: ignore[no-any-return]

    def _name(self, i: int, names: dict[int, str]) -> str:
        return names.get(i) or f"known[{self.known(i)}]"

    def _expression(self, i: int, names: dict[int, str], scope: dict[str, Any]) -> str:
        node = self.graph.nodes[i]
        args = [
            _literal(x) if a is None else self._name(a, names)
            for x, a in zip(node.args, self.graph.args[i], strict=True)
        ]
        dtype = dtypes.name(node.dtype)
        if node.op in _ALIASES or node.op in words.REDUCTIONS:
            return self._converted(args[0], dtype, scope) if node.op in ("full", "any", "all") else args[0]
        if node.op == "astype":
            return self._converted(args[0], dtype, scope)
        if node.op not in host.FUNCTIONS:
            raise NotRecordable(f"{node.op} of a number")
        text = _INFIX.get(node.op, "").join(args) if node.op in _INFIX else f"{node.op}({', '.join(args)})"
        scope.setdefault(node.op, host.FUNCTIONS[node.op])
        wraps = "int" in dtype and node.op in host.WRAPPING
        return self._converted(text, dtype, scope) if wraps else text

    @staticmethod
    def _converted(text: str, dtype: str, scope: dict[str, Any]) -> str:
        scope.setdefault(f"as_{dtype}", host.converter(dtype))
        return f"as_{dtype}({text})"


_INFIX = {"add": " + ", "subtract": " - ", "multiply": " * ", "less": " < ", "less_equal": " <= ", "greater": " > "}


def _literal(x: Any) -> str:
    is_special = isinstance(x, float) and not math.isfinite(x)
    return f"float({str(x)!r})" if is_special else f"({x!r})"
