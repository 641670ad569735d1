"""A recorded step taken apart: numbers on the host, kernels, and the barriers between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from arrayopt import dtypes
from arrayopt.fused import words
from arrayopt.fused.traced import NotRecordable, Traced

_WHOLE = words.REDUCTIONS


class Graph:
    """The recorded values in an order in which each comes after its operands, and what is to be known of each.

    Args:
      outputs: what each donated place becomes, by place.
      moving: the places of parameters and gradients.

    Attributes:
      nodes: the values.
      args: for each the positions of its operands; None for a Python number.
      inputs: the position of the value that lies at a place of the trees.
      on_host: whether it is a single number, computed on the host.
      solid: whether it lies in an array of its own: inputs, arrays the rule holds, what library calls answer.
      stage: the number of barriers that must be passed before it can be had.
      kept: values that kernels must put into an array, since a library call or a broadcast wants them there.
    """

    def __init__(self, outputs: dict[int, Traced], moving: frozenset[int]) -> None:
        self.nodes = _ordered(outputs.values())
        self.index = {id(node): i for i, node in enumerate(self.nodes)}
        self.args = [[self.index.get(id(x)) for x in node.args] for node in self.nodes]
        self.inputs = {node.attrs: i for i, node in enumerate(self.nodes) if node.op == "input"}
        self.sizes = [math.prod(node.shape) for node in self.nodes]
        self.on_host = self._hosted(outputs, moving)
        self.solid = [
            not host and node.op in ("input", "captured", "call", "part")
            for node, host in zip(self.nodes, self.on_host, strict=True)
        ]
        self.kept: set[int] = set()
        self.stage = self._staged()

    def _hosted(self, outputs: dict[int, Traced], moving: frozenset[int]) -> list[bool]:
        """A number is what has one entry and does not depend, entry by entry, on a parameter or a gradient."""
        places = set(moving)
        while True:
            host = self._host_given(places)
            more = {
                place
                for place, node in outputs.items()
                if place not in places and not host[self.index[id(node)]] and self.sizes[self.index[id(node)]] == 1
            }
            if not more:
                return host
            places |= more  # a slot of one entry that becomes an array is an array

    def _host_given(self, places: set[int]) -> list[bool]:
        host: list[bool] = []
        for i, node in enumerate(self.nodes):
            if self.sizes[i] != 1 or node.shape is None:
                host.append(False)
            elif node.op == "input":
                host.append(node.attrs not in places)
            elif node.op in ("captured", "call", "part") or node.op in _WHOLE:
                host.append(True)
            else:
                host.append(all([a is None or host[a] for a in self.args[i]]))
        return host

    def _staged(self) -> list[int]:
        stage: list[int] = []
        for i, node in enumerate(self.nodes):
            stage.append(self._stage_of(i, node, stage))
        return stage

    def _stage_of(self, i: int, node: Traced, stage: list[int]) -> int:
        args = [a for a in self.args[i] if a is not None]
        if node.op == "call":
            self.kept.update([a for a in args if not self.solid[a] and not self.on_host[a]])
            return max([stage[a] for a in args]) + 1
        if node.op == "part":
            return stage[args[0]]
        if node.op in _WHOLE and not all([self.on_host[a] for a in args]):
            return stage[args[0]] + 1
        return max([stage[a] + self._waits(i, a) for a in args], default=0)

    def _waits(self, i: int, a: int) -> int:
        """1 if an operand must lie in an array first, since it is broadcast."""
        if self.on_host[a] or self.solid[a] or self.sizes[a] == self.sizes[i]:
            return 0
        self.kept.add(a)
        return 1

    def is_barrier(self, i: int) -> bool:
        """Whether something is reduced or called here."""
        op = self.nodes[i].op
        return op == "call" or (op in _WHOLE and not self.on_host[self.args[i][0] or 0])

    def closure(self, i: int) -> tuple[list[int], list[int]]:
        """What a kernel computes to have value ``i``, and the solid values, or those kept before, that it reads."""
        computed: list[int] = []
        reads: list[int] = []
        seen: set[int] = set()
        stack = [i]
        while stack:
            j = stack.pop()
            if j in seen or self.on_host[j]:
                continue
            seen.add(j)
            if self.solid[j] or (j in self.kept and self.stage[j] < self.stage[i]):
                reads.append(j)
            else:
                computed.append(j)
                stack.extend([a for a in self.args[j] if a is not None])
        return computed, reads


def _ordered(outputs: Iterable[Traced]) -> list[Traced]:
    """All values that the outputs depend on, operands first."""
    done: set[int] = set()
    order: list[Traced] = []
    for output in outputs:
        stack: list[tuple[Traced, bool]] = [(output, False)]
        while stack:
            node, open_ = stack.pop()
            if open_:
                order.append(node)
            elif id(node) not in done:
                done.add(id(node))
                stack.append((node, True))
                stack.extend([(x, False) for x in node.args if isinstance(x, Traced) and id(x) not in done])
    return order


class Target:
    """Something a kernel must do: reduce a value, keep it for others, or store it in a donated place.

    Attributes:
      value: position of the value.
      what: ``"reduce"``, ``"keep"`` or ``"store"``.
      place: the donated place for ``"store"``, the reduction for ``"reduce"``.
      stage: when.
    """

    __slots__ = ("computed", "place", "reads", "stage", "value", "what")

    def __init__(self, graph: Graph, value: int, what: str, place: int, stage: int) -> None:
        self.value, self.what, self.place, self.stage = value, what, place, stage
        if graph.solid[value]:
            self.computed, self.reads = [], [value]
        else:
            self.computed, self.reads = graph.closure(value)


def targets(graph: Graph, outputs: dict[int, Traced]) -> list[Target]:
    """All of them, each at the earliest stage at which it does no harm."""
    found: list[Target] = []
    for i, node in enumerate(graph.nodes):
        if node.op in _WHOLE and graph.is_barrier(i):
            value = graph.args[i][0]
            assert value is not None
            found.append(Target(graph, value, "reduce", i, graph.stage[value]))
        if i in graph.kept:
            found.append(Target(graph, i, "keep", i, graph.stage[i]))
    for place, node in outputs.items():
        i = graph.index[id(node)]
        if not graph.on_host[i] and not (node.op == "input" and node.attrs == place):
            found.append(Target(graph, i, "store", place, graph.stage[i]))
    if max(graph.stage, default=0) > 0:
        _delay(graph, found)
    return found


def _delay(graph: Graph, found: Sequence[Target]) -> None:
    """Moves stores to where nobody needs the old contents any more. Times: 2·stage for kernels, + 1 for calls."""
    inputs = graph.inputs
    calls = [(2 * graph.stage[i] - 1, i) for i, node in enumerate(graph.nodes) if node.op == "call"]
    while True:
        last: dict[int, int] = {}
        for target in found:
            _note(graph, target.reads, 2 * target.stage, last)
        for time, i in calls:
            _note(graph, [a for a in graph.args[i] if a is not None], time, last)
        late = [t for t in found if t.what == "store" and 2 * t.stage < last.get(inputs.get(t.place, -1), 0)]
        if not late:
            return
        for target in late:
            target.stage = (last[inputs[target.place]] + 1) // 2


def _note(graph: Graph, reads: Iterable[int], time: int, last: dict[int, int]) -> None:
    """Notes when values are read, and what they may be views of."""
    for i in reads:
        if last.get(i, -1) < time:
            last[i] = time
            if graph.nodes[i].op in ("call", "part"):
                _note(graph, [a for a in graph.args[i] if a is not None], time, last)


def _walked(graph: Graph, values: Sequence[int], reads: set[int]) -> list[int]:
    """What kernels compute and read to have the values, operands first, in an order that equal formulas share."""
    done: set[int] = set()
    order: list[int] = []
    for value in values:
        stack = [(value, False)]
        while stack:
            i, open_ = stack.pop()
            if open_:
                order.append(i)
            elif i not in done and not graph.on_host[i]:
                done.add(i)
                stack.append((i, True))
                if i not in reads:
                    stack.extend([(a, False) for a in reversed(graph.args[i]) if a is not None and a not in done])
    return order


class Component:
    """Targets of one stage that share work or arrays, and so share a kernel."""

    def __init__(self, graph: Graph, members: list[Target]) -> None:
        self.targets = sorted(members, key=lambda t: (t.what == "reduce", t.place))
        reads = {i for t in members for i in t.reads}
        order = _walked(graph, [t.value for t in self.targets], reads)
        self.reads = [i for i in order if i in reads]
        self.computed = [i for i in order if i not in reads]
        first = members[0].value
        self.size = graph.sizes[first]
        self.shape = graph.nodes[first].shape


def components(graph: Graph, found: Sequence[Target]) -> list[Component]:
    """The targets of one stage, grouped."""
    parents = list(range(len(found)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    owner: dict[int, int] = {}
    for i, target in enumerate(found):
        size = graph.sizes[target.value]
        stored = [graph.inputs[target.place]] if target.what == "store" and target.place in graph.inputs else []
        for j in (*target.computed, *target.reads, *stored):
            if graph.nodes[j].op != "captured" and graph.sizes[j] == size:
                parents[root(i)] = root(owner.setdefault(j, i))
    groups: dict[int, list[Target]] = {}
    for i, target in enumerate(found):
        groups.setdefault(root(i), []).append(target)
    return [Component(graph, members) for members in groups.values()]


def check_supported(graph: Graph) -> None:
    """Raises NotRecordable for what no engine can run."""
    for node in graph.nodes:
        if dtypes.name(node.dtype) in ("float", "int", "bool", "complex") and node.shape:
            raise NotRecordable(f"{node.op} makes an array of Python numbers")
