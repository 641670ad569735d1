"""From the graph of a recorded step to its schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from arrayopt import dtypes
from arrayopt.fused import words
from arrayopt.fused.program import Instruction, Launch, Program, Run, Schedule, Site, Stage, Temporary, kind
from arrayopt.fused.scalars import Numbers, function
from arrayopt.fused.split import Component, Graph, Target, check_supported, components, targets
from arrayopt.fused.takes import Expansion, Take
from arrayopt.fused.traced import Traced

_ALIASES = frozenset({"copy", "view"})


def schedule(outputs: dict[int, Traced], moving: frozenset[int], places: int, tape: Sequence[Traced]) -> Schedule:
    """The schedule of a step.

    Args:
      outputs: what each donated place of the trees becomes.
      moving: the places of parameters and gradients.
      places: how many there are in all.
      tape: everything that was recorded, in order.
    """
    return _Lowering(outputs, moving, places, tape).schedule()


class _Lowering:
    def __init__(
        self, outputs: dict[int, Traced], moving: frozenset[int], places: int, tape: Sequence[Traced]
    ) -> None:
        self.outputs = outputs
        self.graph = Graph(outputs, moving, tape)
        check_supported(self.graph)
        self.numbers = Numbers(self.graph)
        self.buffers = places
        self.buffer: dict[int, int] = {}  # of each solid or kept value
        self.captured: list[tuple[int, Any]] = []
        self.read: list[tuple[int, int]] = []
        self.copied: list[tuple[int, int]] = []
        self.programs: dict[Any, Launch] = {}
        self.parts: dict[int | None, list[tuple[int, int | None]]] = {}
        for j, node in enumerate(self.graph.nodes):
            if node.op == "part":
                self.parts.setdefault(self.graph.args[j][0], []).append((j, node.attrs))
        self._place_given()

    def _place_given(self) -> None:
        for i, node in enumerate(self.graph.nodes):
            if node.op == "input":
                self.buffer[i] = node.attrs
            elif node.op == "captured":
                self.buffer[i] = self._new_buffer()
                self.captured.append((self.buffer[i], node.attrs))
            if node.op in ("input", "captured") and self.graph.on_host[i]:
                self.read.append((self.buffer[i], self.numbers.known(i)))

    def _new_buffer(self) -> int:
        self.buffers += 1
        return self.buffers - 1

    def schedule(self) -> Schedule:
        found = targets(self.graph, self.outputs)
        written = [(place, node.index, node) for place, node in self.outputs.items()]
        written = [(p, i, node) for p, i, node in written if self.graph.on_host[i] and not _is_same(node, p)]
        for _, i, _ in written:
            self.numbers.need(i)
        last = max([*[t.stage for t in found], *[self.graph.stage[i] for _, i, _ in written]], default=0)
        drafts = [self._draft(s, [t for t in found if t.stage == s]) for s in range(last + 1)]
        finals = [(place, self.numbers.known(i), dtypes.name(node.dtype)) for place, i, node in written]
        arithmetic = self.numbers.arithmetic(last + 1)
        stages = [
            Stage(work, function(work, f"<scalars of stage {s}>"), *draft, dropped)
            for s, (work, draft, dropped) in enumerate(zip(arithmetic, drafts, self._dropped(drafts), strict=True))
        ]
        return Schedule(self.buffers, self.numbers.kinds, self.captured, self.read, stages, finals, self.copied)

    def _draft(self, s: int, found: list[Target]) -> tuple[list[Temporary], list[Launch], list[Run]]:
        temporaries: list[Temporary] = []
        self.programs = {}
        parts = components(self.graph, found, s)
        shared = self._read_elsewhere(parts)
        for part in parts:
            self._lower(s, part, shared, temporaries)
        runs = [self._run(i) for i, node in enumerate(self.graph.nodes) if node.op == "call" and self._at(i, s)]
        return temporaries, list({id(launch): launch for launch in self.programs.values()}.values()), runs

    def _at(self, i: int, s: int) -> bool:
        return self.graph.stage[i] == s + 1

    def _read_elsewhere(self, parts: Sequence[Component]) -> set[int]:
        """Donated places that one kernel of a stage writes and another reads; or whichever, by way of a view."""
        readers: dict[int, set[int]] = {}
        for k, part in enumerate(parts):
            for i in part.reads:
                readers.setdefault(i, set()).add(k)
                if self.graph.nodes[i].op in ("call", "part"):
                    for j in self._beneath(i):
                        readers.setdefault(j, set()).add(-1)
        inputs = self.graph.inputs
        return {
            target.place
            for k, part in enumerate(parts)
            for target in part.targets
            if target.what == "store" and readers.get(inputs.get(target.place, -1), set()) - {k}
        }

    def _beneath(self, i: int) -> set[int]:
        """The inputs that a library call's answer may be a view of."""
        node = self.graph.nodes[i]
        if node.op not in ("call", "part"):
            return {i}
        if node.op == "call" and words.answers_anew(node.attrs.path):
            return set()
        return {j for a in self.graph.args[i] if a is not None for j in self._beneath(a)}

    # -- one kernel ----------------------------------------------------------------------------------------

    def _lower(self, s: int, part: Component, shared: set[int], temporaries: list[Temporary]) -> None:
        kernel = _Kernel(self, s, part)
        for target in part.targets:
            if target.what == "reduce":
                kernel.reduce(self.graph.nodes[target.place].op, target.value, self.numbers.known(target.place))
            else:
                place = self._place(kernel, target, shared, temporaries)
                kernel.store(target.value, place)
        if not kernel.has_whole_array:
            laid_down = Target(part.targets[0].value, "keep", -1, s)
            kernel.store(laid_down.value, self._place(kernel, laid_down, shared, temporaries))
        launch = self.programs.get(kernel.key)
        if launch is None:
            program = kernel.program()
            known = {other.program: other for other in self.programs.values()}
            launch = self.programs[kernel.key] = known.get(program) or Launch(program)
        launch.sites.append(kernel.site())

    def _place(self, kernel: _Kernel, target: Target, shared: set[int], temporaries: list[Temporary]) -> int:
        """The buffer that a value is stored in."""
        if target.what == "store" and target.place not in shared:
            return target.place
        place, node = self._new_buffer(), self.graph.nodes[target.value]
        like = kernel.arrays[0] if kernel.arrays else 0
        temporaries.append(Temporary(place, node.shape, dtypes.name(node.dtype), like))
        if target.what == "keep":
            self.buffer[target.value] = place
        else:
            self.copied.append((place, target.place))
        return place

    # -- library calls -------------------------------------------------------------------------------------

    def _run(self, i: int) -> Run:
        graph, call = self.graph, self.graph.nodes[i].attrs
        values: dict[int, tuple[str, int, str]] = {}
        for node in call.nodes:
            j = node.index
            what, place = ("number", self.numbers.need(j)) if graph.on_host[j] else ("array", self.buffer[j])
            values[id(node)] = (what, place, dtypes.name(node.dtype))
        arrays: list[tuple[int | None, int]] = []
        numbers: list[tuple[int | None, int]] = []
        for j, part in self._answers(i):
            if graph.on_host[j]:
                numbers.append((part, self.numbers.known(j)))
            else:
                self.buffer[j] = self._new_buffer()
                arrays.append((part, self.buffer[j]))
        answers = [graph.nodes[j] for j, _ in self._answers(i)]
        return Run(call, values, answers, arrays, numbers)

    def _answers(self, i: int) -> list[tuple[int, int | None]]:
        """The values that a call gives, each with its part."""
        return self.parts.get(i) or [(i, None)]

    def _dropped(self, drafts: Sequence[tuple[list[Temporary], list[Launch], list[Run]]]) -> list[list[int]]:
        """For each stage the buffers of this step that are not looked at after it."""
        own = set(self.buffer.values()) - {place for place, _ in self.captured}
        own -= {node.attrs for node in self.graph.nodes if node.op == "input"}
        last: dict[int, int] = {}
        for s, (_, launches, runs) in enumerate(drafts):
            used = [a for launch in launches for site in launch.sites for a in site.arrays]
            used += [place for run in runs for what, place, _ in run.values.values() if what == "array"]
            used += [place for run in runs for _, place in run.arrays]
            last.update(dict.fromkeys([a for a in used if a in own], s))
        return [[a for a, t in last.items() if t == s] for s in range(len(drafts))]


def _is_same(node: Traced, place: int) -> bool:
    return node.op == "input" and node.attrs == place


class _Kernel:
    """The values and arrays of one kernel, numbered; ``key`` says all that its program is made of."""

    def __init__(self, lowering: _Lowering, s: int, part: Component) -> None:
        self.graph, self.numbers, self.stage = lowering.graph, lowering.numbers, s
        first = part.targets[0].value
        self.size, self.shape = self.graph.sizes[first], self.graph.nodes[first].shape
        self.reads = part.reads
        self.arrays = [lowering.buffer[i] for i in part.reads]
        self.shapes = [self.graph.nodes[i].shape for i in part.reads]
        self.value: dict[int | None, int] = {i: k for k, i in enumerate(part.reads)}
        self.code: list[tuple[Any, tuple[int, ...], int]] = []  # value or expansion, operands, first slot
        self.values = len(part.reads)
        self._results: dict[int, list[int]] = {}  # by id of what a formula was given: its results in this kernel
        self.slots: list[int | float | Traced] = []
        self.scalars: list[int] = []
        self.results: list[int] = []
        self._key: list[Any] = [(self.graph.nodes[i].sig >> 1, self.graph.sizes[i] == self.size) for i in part.reads]
        for i in part.computed:
            node = self.graph.nodes[i]
            if node.op == "formula":
                self._results.setdefault(id(node.attrs[1]), []).append(i)
        for i in part.computed:
            self._compute(i)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal programs."""
        return tuple(self._key)

    @property
    def has_whole_array(self) -> bool:
        """Whether one of its arrays has all its entries, so that it can be walked along."""
        return any([math.prod(shape) == self.size for shape in self.shapes])

    def _compute(self, i: int) -> None:
        graph = self.graph
        node, args = graph.nodes[i], graph.args[i]
        if node.op == "formula":
            if i not in self.value:
                self._expand(node.attrs[0], node.attrs[1])
            return
        if node.op in _ALIASES and self._is_alias(i):
            self._key.append(node.op)
            self.value[i] = self.value[args[0]]
            return
        value, on_host = self.value, graph.on_host
        operands = tuple(
            [
                value[a] if a is not None and not on_host[a] else self._operand(x, a)
                for x, a in zip(node.args, args, strict=True)
            ]
        )
        self._key.append((node.op, node.sig >> 1, operands))
        value[i] = self.values
        self.values += 1
        self.code.append((node, operands, 0))

    def _expand(self, take: Take, given: tuple[Traced, ...]) -> None:
        """The operations of a formula, as far as its results are wanted here."""
        results = self._results[id(given)]
        expansion = take.expansion(tuple([self.graph.nodes[i].attrs[2] for i in results]))
        arrays = tuple([self.value[given[k].index] for k in expansion.given])
        self._key.append((id(expansion), arrays))
        self.code.append((expansion, arrays, len(self.slots)))
        self.slots += expansion.slots
        self.scalars += self.numbers.scalars(self.stage, expansion.slots)
        for i, (what, k) in zip(results, expansion.results, strict=True):
            self.value[i] = arrays[k] if what == "given" else self.values + k
        self.values += len(expansion.code)

    def _is_alias(self, i: int) -> bool:
        a = self.graph.args[i][0]
        return a is not None and not self.graph.on_host[a] and self.graph.sizes[a] == self.graph.sizes[i]

    def _operand(self, x: Any, a: int | None) -> int:
        """A scalar: a slot for each place where one occurs.

        So numbers which happen to be equal change nothing.
        """
        slot = len(self.slots)
        self.slots.append(x)
        self.scalars.append(self.numbers.scalar(self.stage, x if a is None else a, a is None))
        self._key.append(type(x) if a is None else x.dtype)
        return -1 - slot

    def store(self, value: int, place: int) -> None:
        """Stores a value in a buffer."""
        if place not in self.arrays:
            self.arrays.append(place)
            self.shapes.append(self.graph.nodes[value].shape)
        self._key.append(("store", self.value[value], self.arrays.index(place), self.graph.nodes[value].sig >> 1))

    def reduce(self, op: str, value: int, number: int) -> None:
        """Reduces a value to a number."""
        self._key.append(("reduce", op, self.value[value]))
        self.results.append(number)

    def site(self) -> Site:
        """Where it is applied."""
        return Site(tuple(self.arrays), tuple(self.shapes), self.shape, tuple(self.scalars), tuple(self.results))

    def program(self) -> Program:
        """What is done there."""
        nodes = self.graph.nodes
        dtype = {node.sig >> 1: dtypes.name(node.dtype) for node in nodes}
        return Program(
            tuple([dtypes.name(nodes[i].dtype) for i in self.reads]),
            tuple(self._instructions()),
            tuple([(value, array, dtype[sig]) for value, array, sig in self._told("store")]),
            tuple([(op, value) for op, value in self._told("reduce")]),
            "".join([kind(dtypes.name(x.dtype) if isinstance(x, Traced) else type(x).__name__) for x in self.slots]),
            all([self.graph.sizes[i] == self.size for i in self.reads]),
            "view" in self._key,
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


assert words.ELEMENTWISE >= _ALIASES
