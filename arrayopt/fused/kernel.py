"""The values of one kernel, and the arrays of the sites where it is applied."""

from __future__ import annotations

from typing import Any

from arrayopt import dtypes
from arrayopt.fused.program import Instruction, Program, kind
from arrayopt.fused.rows import rows
from arrayopt.fused.scalars import Numbers
from arrayopt.fused.split import Component, Graph
from arrayopt.fused.takes import Expansion, OwnTake, Take
from arrayopt.fused.traced import Traced

_ALIASES = frozenset({"copy", "view", "owned"})


class Here:
    """The arrays of one site of a kernel, those that it reads first, and what is stored where.

    Attributes:
      stores: value and position of the array.
      folds: the same of what is summed along axes.
      results: the reductions.
    """

    def __init__(self, graph: Graph, part: Component, arrays: list[int]) -> None:
        first = part.targets[0].value
        self.size, self.shape = graph.sizes[first], graph.nodes[first].shape
        self.nodes, self.arrays = graph.nodes, arrays
        self.shapes = [graph.nodes[i].shape for i in part.reads]
        self.stores: list[tuple[int, int]] = []
        self.folds: list[tuple[int, int]] = []
        self.results: list[int] = []

    def store(self, value: int, place: int) -> None:
        """Stores a value in a buffer."""
        if place not in self.arrays:
            self.arrays.append(place)
            self.shapes.append(self.nodes[value].shape)
        self.stores.append((value, self.arrays.index(place)))

    def fold(self, value: int, place: int, shape: tuple[int, ...]) -> None:
        """Sums a value into a buffer, seen in that shape."""
        self.folds.append((value, len(self.arrays)))
        self.arrays.append(place)
        self.shapes.append(shape)

    @property
    def pattern(self) -> tuple[Any, ...]:
        """What of it a kernel depends on."""
        return tuple(self.shapes), tuple([array for _, array in (*self.stores, *self.folds)])


def pattern(graph: Graph, part: Component, numbers_too: bool = True) -> tuple[Any, ...]:
    """Equal for parts that differ in their arrays alone, of which a kernel need be made but once.

    Args:
      graph: of the step.
      part: of a stage.
      numbers_too: whether it is to be equal only if they meet the same numbers; otherwise the same program will do.
    """
    own = {i: k for k, i in enumerate([*part.reads, *part.computed])}
    found: list[Any] = [graph.nodes[i].sig for i in part.reads]
    for i in part.computed:
        node = graph.nodes[i]
        operands: list[Any] = [None if a is None else own.get(a, ~a) for a in graph.args[i]]  # a number is negative
        if not numbers_too:
            operands = [x if x is None or x >= 0 else (graph.nodes[int(~x)].sig,) for x in operands]
        if node.op == "formula":
            take, _, j = node.attrs
            found.append((id(take if numbers_too else take.root), j, *operands))
        else:
            numbers = [repr(x) for x, a in zip(node.args, graph.args[i], strict=True) if a is None]
            found.append((node.op, node.sig, node.shape, *operands, *numbers))
    for t in part.targets:
        found.append((t.what, own[t.value], graph.nodes[t.place].op if t.what == "reduce" else None))
    return tuple(found)


class Kernel:
    """The values of one kernel, numbered; ``key`` says all that its program is made of."""

    def __init__(self, graph: Graph, numbers: Numbers, stage: int, part: Component, here: Here) -> None:
        self.graph, self.numbers, self.stage = graph, numbers, stage
        self.size = here.size
        self.reads = part.reads
        self.value: dict[int | None, int] = {i: k for k, i in enumerate(part.reads)}
        self.code: list[tuple[Any, tuple[int, ...], int]] = []  # value or expansion, operands, first slot
        self.values = len(part.reads)
        self._results: dict[int, list[int]] = {}  # by id of what a formula was given: its results in this kernel
        self.slots: list[int | float | Traced] = []
        self._asked: list[tuple[int, Any]] = []  # which scalars: of which value computed, and operand or results
        self._at = {i: k for k, i in enumerate(part.computed)}
        self._key: list[Any] = [(self.graph.nodes[i].sig >> 1, self.graph.sizes[i] == self.size) for i in part.reads]
        for i in part.computed:
            node = self.graph.nodes[i]
            if node.op == "formula":
                self._results.setdefault(id(node.attrs[1]), []).append(i)
        for i in part.computed:
            self._compute(i)
        nodes = self.graph.nodes
        self._key += [("store", self.value[i], array, dtypes.name(nodes[i].dtype)) for i, array in here.stores]
        reduced = [t for t in part.targets if t.what == "reduce"]
        self._key += [("reduce", nodes[t.place].op, self.value[t.value]) for t in reduced]
        self._key += [("fold", self.value[i], array, dtypes.name(nodes[i].dtype)) for i, array in here.folds]
        self._flat = not here.folds and all([graph.sizes[i] == self.size for i in self.reads])
        self._walks = () if self._flat else rows(here.shape, here.shapes).walks
        self._key.append(("walks", *self._walks))

    def scalars(self, part: Component) -> tuple[int, ...]:
        """The places of the scalars of a part that the program serves."""
        found: list[int] = []
        for k, which in self._asked:
            i = part.computed[k]
            node = self.graph.nodes[i]
            if not isinstance(which, int):
                found += self.numbers.scalars(self.stage, node.attrs[0].expansion(which).slots)
            else:
                x, a = node.args[which], self.graph.args[i][which]
                found.append(self.numbers.scalar(self.stage, x if a is None else a, a is None))
        return tuple(found)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal programs."""
        return tuple(self._key)

    def _compute(self, i: int) -> None:
        graph = self.graph
        node, args = graph.nodes[i], graph.args[i]
        if node.op == "formula":
            if i not in self.value:
                self._expand(i, node.attrs[0], node.attrs[1])
            return
        if node.op in _ALIASES and self._is_alias(i):
            self._key.append(node.op)
            self.value[i] = self.value[args[0]]
            return
        value, on_host = self.value, graph.on_host
        operands = tuple(
            [
                value[a] if a is not None and not on_host[a] else self._operand(i, n, x, a)
                for n, (x, a) in enumerate(zip(node.args, args, strict=True))
            ]
        )
        self._key.append((node.op, node.sig >> 1, operands))
        value[i] = self.values
        self.values += 1
        self.code.append((node, operands, 0))

    def _expand(self, at: int, take: Take | OwnTake, given: tuple[Traced, ...]) -> None:
        """The operations of a formula, as far as its results are wanted here."""
        results = self._results[id(given)]
        outs = tuple([self.graph.nodes[i].attrs[2] for i in results])
        expansion = take.expansion(outs)
        arrays = tuple([self.value[given[k].index] for k in expansion.given])
        self._key.append((id(expansion.code), arrays))
        self.code.append((expansion, arrays, len(self.slots)))
        self.slots += expansion.slots
        self._asked.append((self._at[at], outs))
        for i, (what, k) in zip(results, expansion.results, strict=True):
            self.value[i] = arrays[k] if what == "given" else self.values + k
        self.values += len(expansion.code)

    def _is_alias(self, i: int) -> bool:
        a = self.graph.args[i][0]
        return a is not None and not self.graph.on_host[a] and self.graph.sizes[a] == self.graph.sizes[i]

    def _operand(self, i: int, n: int, x: Any, a: int | None) -> int:
        """A scalar: a slot for each place where one occurs.

        So numbers which happen to be equal change nothing.
        """
        slot = len(self.slots)
        self.slots.append(x)
        self._asked.append((self._at[i], n))
        self._key.append(type(x) if a is None else x.dtype)
        return -1 - slot

    def program(self) -> Program:
        """What is done there."""
        nodes = self.graph.nodes
        return Program(
            tuple([dtypes.name(nodes[i].dtype) for i in self.reads]),
            tuple(self._instructions()),
            tuple(self._told("store")),
            tuple(self._told("reduce")),
            "".join([kind(dtypes.name(x.dtype) if isinstance(x, Traced) else type(x).__name__) for x in self.slots]),
            self._flat,
            "view" in self._key,
            self._walks,
            tuple(self._told("fold")),
        )

    def _instructions(self) -> list[Instruction]:
        code: list[Instruction] = []
        for what, operands, slot in self.code:
            if isinstance(what, Expansion):
                code += what.instructions(operands, len(self.reads) + len(code), slot)
            else:
                code.append(Instruction(what.op, dtypes.name(what.dtype), operands))
        return code

    def _told(self, what: str) -> list[Any]:
        """What `store` or `reduce` was told."""
        return [entry[1:] for entry in self._key if isinstance(entry, tuple) and entry[0] == what]
