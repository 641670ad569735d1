"""A recorded step taken apart: numbers on the host, kernels, and the barriers between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from arrayopt import dtypes
from arrayopt.fused import words
from arrayopt.fused.probe import Call, Operands
from arrayopt.fused.traced import NoNumber, NotRecordable, Traced

_WHOLE = words.REDUCTIONS
_SOLID = frozenset({"input", "captured", "call", "part", "fold"})


class Graph:
    """The recorded values in an order in which each comes after its operands, and what is to be known of each.

    Args:
      outputs: what each donated place becomes, by place.
      moving: the places of parameters and gradients.
      tape: everything that was recorded, in order.

    Attributes:
      nodes: the values that matter. The ``index`` of each is its position.
      args: for each the positions of its operands; None for a Python number.
      inputs: the position of the value that lies at a place of the trees.
      sizes: for each the number of its entries.
      on_host: whether it is a single number, computed on the host.
      solid: whether it lies in an array of its own: inputs, arrays the rule holds, what library calls answer.
      stage: the number of barriers that must be passed before it can be had.
      kept: values that kernels must put into an array, since a library call or a broadcast wants them there.
      owned: of each counter that is a parameter's own, the places that its gradient is made of.
    """

    def __init__(self, outputs: dict[int, Traced], moving: frozenset[int], tape: Sequence[Traced]) -> None:
        self.nodes, self.args = _alive(outputs, tape)
        beside = self._set_aside()
        self.inputs = {node.attrs: i for i, node in enumerate(self.nodes) if node.op == "input"}
        self.sizes = _sizes(self.nodes)
        self.on_host = self._hosted(outputs, set(moving))
        self.owned = {i: self._arrays_of(g) for i, g in beside}
        self._leave_views(outputs)
        self.solid = [not host and node.op in _SOLID for node, host in zip(self.nodes, self.on_host, strict=True)]
        self.kept: set[int] = set()
        self.stage: list[int] = []
        for i, node in enumerate(self.nodes):
            op = node.op
            barrier = op == "call" or op == "part" or op == "fold" or op in _WHOLE
            self.stage.append(self._stage_of(i, op) if barrier else self._stage_of_elementwise(i))

    def _set_aside(self) -> list[tuple[int, int]]:
        """Own counters, and the gradients they were noted beside, which they are not made of."""
        found: list[tuple[int, int]] = []
        for i, node in enumerate(self.nodes):
            if node.op == "owned":
                count, g = self.args[i]
                assert g is not None
                node.args, self.args[i] = node.args[:1], [count]
                found.append((i, g))
        return found

    def _arrays_of(self, i: int) -> frozenset[int]:
        """The places of the arrays that a value is made of, numbers aside."""
        todo, seen = [i], {i}
        for j in todo:  # the list grows
            more = [a for a in self.args[j] if a is not None and a not in seen and not self.on_host[a]]
            seen.update(more)
            todo += more
        return frozenset([self.nodes[j].attrs for j in todo if self.nodes[j].op == "input"])

    def _leave_views(self, outputs: dict[int, Traced]) -> None:
        """Leaves to the library what changes a shape where a broadcast is near.

        A kernel that broadcasts has one shape.
        """
        views = [i for i, node in enumerate(self.nodes) if node.op == "view" and not self.on_host[i]]
        if not views:
            return
        group = list(range(len(self.nodes)))
        spread: set[int] = set()
        for i, node in enumerate(self.nodes):
            if node.op in words.ELEMENTWISE and not self.on_host[i]:
                args = [a for a in self.args[i] if a is not None and not self.on_host[a]]
                spread.update([i for a in args if self.sizes[a] != self.sizes[i]])
                for a in [a for a in args if self.sizes[a] == self.sizes[i]]:
                    group[_first(group, a)] = _first(group, i)
            elif node.op == "fold":
                spread.update([a for a in self.args[i] if a is not None])
        for place, node in outputs.items():
            old = self.inputs.get(place)
            if old is not None and self.sizes[old] == self.sizes[node.index]:
                group[_first(group, old)] = _first(group, node.index)
        near = {_first(group, i) for i in spread}
        for i in [i for i in views if _first(group, i) in near]:
            node = self.nodes[i]
            node.op, node.attrs = "call", Call("reshape", Operands((node.args[0], node.shape), {}))

    def _hosted(self, outputs: dict[int, Traced], places: set[int]) -> list[bool]:
        """A number is what has one entry and does not depend, entry by entry, on a parameter or a gradient."""
        single = {place: node.index for place, node in outputs.items() if self.sizes[node.index] == 1}
        while True:
            host = self._host_given(places)
            more = {place for place, i in single.items() if place not in places and not host[i]}
            if not more:
                break
            places |= more  # a slot of one entry that becomes an array is an array
        if any([node.op == "numbers" and not h for node, h in zip(self.nodes, host, strict=True)]):
            raise NoNumber(frozenset(places))
        return host

    def _host_given(self, places: set[int]) -> list[bool]:
        host: list[bool] = []
        for node, size, args in zip(self.nodes, self.sizes, self.args, strict=True):
            op = node.op
            if size != 1:
                host.append(False)
            elif op == "input":
                host.append(node.attrs not in places)
            else:
                host.append(op in _SOLID or op in _WHOLE or all([a is None or host[a] for a in args]))
        return host

    def _stage_of_elementwise(self, i: int) -> int:
        found, sizes = 0, self.sizes
        for a in self.args[i]:
            if a is not None:
                s = self.stage[a]
                if sizes[a] != sizes[i] and not self.on_host[a] and not self.solid[a]:
                    self.kept.add(a)  # broadcast: it must lie in an array first
                    s += 1
                if s > found:
                    found = s
        return found

    def _stage_of(self, i: int, op: str) -> int:
        args = [a for a in self.args[i] if a is not None]
        before = max([self.stage[a] for a in args], default=-1)
        if op == "call":
            self.kept.update([a for a in args if not self.solid[a] and not self.on_host[a]])
            return before + 1
        return before + (op == "fold" or (op in _WHOLE and not self.on_host[args[0]]))

    def is_barrier(self, i: int) -> bool:
        """Whether something is reduced or called here."""
        op = self.nodes[i].op
        return op == "call" or op == "fold" or (op in _WHOLE and not self.on_host[self.args[i][0] or 0])

    def reads(self, i: int) -> list[int]:
        """The solid values, or those kept before, that a kernel reads to have value ``i``."""
        found: list[int] = []
        seen: set[int] = set()
        stack = [i]
        while stack:
            j = stack.pop()
            if j in seen or self.on_host[j]:
                continue
            seen.add(j)
            if self.is_read(j, self.stage[i]):
                found.append(j)
            else:
                stack.extend([a for a in self.args[j] if a is not None])
        return found

    def is_read(self, i: int, stage: int) -> bool:
        """Whether a kernel of that stage reads the value from an array instead of computing it."""
        return self.solid[i] or (i in self.kept and self.stage[i] < stage)


def _first(group: list[int], i: int) -> int:
    """What stands for the group of ``i``."""
    while group[i] != i:
        group[i] = i = group[group[i]]
    return i


def _alive(outputs: dict[int, Traced], tape: Sequence[Traced]) -> tuple[list[Traced], list[list[int | None]]]:
    """What the outputs depend on, numbered anew, and the numbers of its operands."""
    alive = bytearray(len(tape))
    for node in outputs.values():
        alive[node.index] = 1
    kind = type(tape[0]) if tape else Traced
    args: list[list[int | None]] = []
    for node in reversed(tape):
        if alive[node.index]:
            found = [x.index if type(x) is kind else None for x in node.args]
            for a in found:
                if a is not None:
                    alive[a] = 1
            args.append(found)
    args.reverse()
    nodes = [node for node in tape if alive[node.index]]
    if len(nodes) == len(tape):
        return nodes, args
    for i, node in enumerate(nodes):
        node.index = i
    return nodes, [[x.index if type(x) is kind else None for x in node.args] for node in nodes]


def _sizes(nodes: Sequence[Traced]) -> list[int]:
    known: dict[tuple[int, ...], int] = {}
    return [known[s] if (s := node.shape) in known else known.setdefault(s, math.prod(s)) for node in nodes]


class Target:
    """Something a kernel must do: reduce a value, keep it for others, or store it in a donated place.

    Attributes:
      value: position of the value.
      what: ``"reduce"``, ``"fold"`` for a sum along axes, ``"keep"`` or ``"store"``.
      place: the donated place for ``"store"``, the reduction for ``"reduce"`` and ``"fold"``.
      stage: when.
    """

    __slots__ = ("place", "stage", "value", "what")

    def __init__(self, value: int, what: str, place: int, stage: int) -> None:
        self.value, self.what, self.place, self.stage = value, what, place, stage


def targets(graph: Graph, outputs: dict[int, Traced]) -> list[Target]:
    """All of them, each at the earliest stage at which it does no harm; those that store first, by place."""
    found: list[Target] = []
    for place, node in sorted(outputs.items()):
        i = node.index
        if not graph.on_host[i] and not (node.op == "input" and node.attrs == place):
            found.append(Target(i, "store", place, graph.stage[i]))
    for i in sorted(graph.kept):
        found.append(Target(i, "keep", i, graph.stage[i]))
    for i, node in enumerate(graph.nodes):
        if node.op in _WHOLE and graph.is_barrier(i):
            value = graph.args[i][0]
            assert value is not None
            found.append(Target(value, "reduce", i, graph.stage[value]))
        elif node.op == "fold":
            value = graph.args[i][0]
            assert value is not None
            found.append(Target(value, "fold", i, graph.stage[value]))
    last = max(graph.stage, default=0)
    called = max([graph.stage[i] for i, node in enumerate(graph.nodes) if node.op == "call"], default=0)
    for target in found:
        if target.what == "store":  # a call may fail: what is donated is written after the last one
            target.stage = max(target.stage, called)
    if any([t.what == "store" and t.stage < last for t in found]):
        _delay(graph, found)
    return found


def _delay(graph: Graph, found: Sequence[Target]) -> None:
    """Moves stores to where nobody needs the old contents any more. Times: 2·stage for kernels, + 1 for calls."""
    calls = [(2 * graph.stage[i] - 1, i) for i, node in enumerate(graph.nodes) if node.op == "call"]
    reads = [graph.reads(target.value) for target in found]
    while True:
        last: dict[int, int] = {}
        for target, read in zip(found, reads, strict=True):
            _note(graph, read, 2 * target.stage, last)
        for time, i in calls:
            _note(graph, [a for a in graph.args[i] if a is not None], time, last)
        late = [t for t in found if t.what == "store" and 2 * t.stage < last.get(graph.inputs.get(t.place, -1), 0)]
        if not late:
            return
        for target in late:
            target.stage = (last[graph.inputs[target.place]] + 1) // 2


def _note(graph: Graph, reads: Iterable[int], time: int, last: dict[int, int]) -> None:
    """Notes when values are read, and what they may be views of."""
    for i in reads:
        if last.get(i, -1) < time:
            last[i] = time
            if graph.nodes[i].op in ("call", "part"):
                _note(graph, [a for a in graph.args[i] if a is not None], time, last)


class Component:
    """Targets of one stage that share work or arrays, and so share a kernel.

    Attributes:
      targets: in the order in which they were found.
      reads: the values it reads from arrays.
      computed: the values it computes, operands first.
    """

    __slots__ = ("computed", "reads", "targets")

    def __init__(self) -> None:
        self.targets: list[Target] = []
        self.reads: list[int] = []
        self.computed: list[int] = []

    def absorb(self, targets: list[Target], reads: list[int], computed: list[int]) -> None:
        """Takes what another one has, or would have."""
        self.targets += targets
        self.reads += [i for i in reads if i not in self.reads] if self.reads else reads
        self.computed += computed


def components(graph: Graph, found: Sequence[Target], stage: int) -> list[Component]:
    """The targets of one stage, grouped."""
    walk = _Walk(graph, stage)
    for target in found:
        walk.add(target)
    groups = [group for group in walk.groups if group is not None]
    for group in groups:  # as recorded: operands first, and in the same order for every leaf
        group.reads.sort()
        group.computed.sort()
    return groups


class _Walk:
    """From each target down to what it reads, once; where two meet, their groups become one."""

    def __init__(self, graph: Graph, stage: int) -> None:
        self.graph, self.stage = graph, stage
        self.groups: list[Component | None] = []
        self.owner: dict[int, int] = {}  # of a value met: its group
        self.storing: dict[int, int] = {}  # of an input that will be overwritten: the group that does it
        self.moved: dict[int, int] = {}  # of a group that was absorbed: the one that did it

    def root(self, group: int) -> int:
        """The group that has absorbed it."""
        while group in self.moved:
            group = self.moved[group]
        return group

    def add(self, target: Target) -> None:
        """A further target."""
        mine = len(self.groups)
        reads, computed, met = self._descend(target.value, mine)
        stored = self.graph.inputs.get(target.place) if target.what == "store" else None
        if stored is not None and self.graph.sizes[stored] == self.graph.sizes[target.value]:
            if stored in self.owner:
                met.add(self.owner[stored])
            self.storing[stored] = mine
        others = sorted({self.root(g) for g in met if g != mine})
        group = self._united(others, mine) if others else Component()
        self.groups.append(None if others else group)
        group.absorb([target], reads, computed)

    def _united(self, groups: list[int], mine: int) -> Component:
        """One group that has what several have; a new one becomes part of it too."""
        first = groups[0]
        kept = self.groups[first]
        assert kept is not None
        for g in groups[1:]:
            other = self.groups[g]
            assert other is not None
            kept.absorb(other.targets, other.reads, other.computed)
            self.groups[g] = None
            self.moved[g] = first
        self.moved[mine] = first
        return kept

    def _descend(self, value: int, mine: int) -> tuple[list[int], list[int], set[int]]:
        """What must be read and computed for a value, and which groups have some of it already."""
        graph, owner, met = self.graph, self.owner, set[int]()
        args, on_host, solid, sizes = graph.args, graph.on_host, graph.solid, graph.sizes
        size, reads, computed, stack = sizes[value], list[int](), list[int](), [value]
        while stack:
            i = stack.pop()
            other = owner.get(i)
            if other is not None and sizes[i] == size:  # of another size: it is read here too, and broadcast
                met.add(other)
            elif solid[i] or (graph.kept and graph.is_read(i, self.stage)):
                if i not in reads:
                    reads.append(i)
                if sizes[i] == size and graph.nodes[i].op != "captured":
                    owner[i] = mine
                    if i in self.storing:
                        met.add(self.storing[i])
            else:
                owner[i] = mine
                computed.append(i)
                stack.extend([a for a in args[i] if a is not None and not on_host[a]])
        return reads, computed, met


def check_supported(graph: Graph) -> None:
    """Raises NotRecordable for what no engine can run."""
    for node in graph.nodes:
        if node.sig < 0 and node.shape:
            raise NotRecordable(f"{node.op} makes an array of {dtypes.name(node.dtype)}")
