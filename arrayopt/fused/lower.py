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
        self.kernels: dict[Any, _Kernel] = {}
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
        self.programs, self.kernels = {}, {}
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
        reader: dict[int, int] = {}  # of each value; -1 if there are several, or if it may be a view that is read
        for k, part in enumerate(parts):
            for i in part.reads:
                if reader.setdefault(i, k) != k:
                    reader[i] = -1
                if self.graph.nodes[i].op in ("call", "part"):
                    reader.update(dict.fromkeys(self._beneath(i), -1))
        inputs = self.graph.inputs
        return {
            target.place
            for k, part in enumerate(parts)
            for target in part.targets
            if target.what == "store" and reader.get(inputs.get(target.place, -1), k) != k
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
        here = self._arrays(part, shared, temporaries)
        pattern = (_pattern(self.graph, part), *here.pattern)
        kernel = self.kernels.get(pattern)
        if kernel is None:
            kernel = self.kernels[pattern] = _Kernel(self, s, part, here)
            kernel.launch = self._launch(kernel)
        results = tuple([self.numbers.known(i) for i in here.results])
        kernel.launch.sites.append(Site(tuple(here.arrays), tuple(here.shapes), here.shape, kernel.scalars, results))

    def _launch(self, kernel: _Kernel) -> Launch:
        """What applies the program of a kernel: there is one of equal programs."""
        found = self.programs.get(kernel.key)
        if found is None:
            program = kernel.program()
            known = {other.program: other for other in self.programs.values()}
            found = self.programs[kernel.key] = known.get(program) or Launch(program)
        return found

    def _arrays(self, part: Component, shared: set[int], temporaries: list[Temporary]) -> _Here:
        """The arrays that a kernel reads and writes."""
        graph = self.graph
        here = _Here(graph, part, [self.buffer[i] for i in part.reads])
        for target in part.targets:
            if target.what == "reduce":
                here.results.append(target.place)
            else:
                here.store(target.value, self._place(here, target, shared, temporaries))
        if not any([math.prod(shape) == here.size for shape in here.shapes]):  # it must be walked along something
            laid_down = Target(part.targets[0].value, "keep", -1, 0)
            here.store(laid_down.value, self._place(here, laid_down, shared, temporaries))
        return here

    def _place(self, here: _Here, target: Target, shared: set[int], temporaries: list[Temporary]) -> int:
        """The buffer that a value is stored in."""
        if target.what == "store" and target.place not in shared:
            return target.place
        place, node = self._new_buffer(), self.graph.nodes[target.value]
        like = here.arrays[0] if here.arrays else 0
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


class _Here:
    """The arrays of one site of a kernel, those that it reads first, and what is stored where.

    Attributes:
      stores: value and position of the array.
      results: the reductions.
    """

    def __init__(self, graph: Graph, part: Component, arrays: list[int]) -> None:
        first = part.targets[0].value
        self.size, self.shape = graph.sizes[first], graph.nodes[first].shape
        self.nodes, self.arrays = graph.nodes, arrays
        self.shapes = [graph.nodes[i].shape for i in part.reads]
        self.stores: list[tuple[int, int]] = []
        self.results: list[int] = []

    def store(self, value: int, place: int) -> None:
        """Stores a value in a buffer."""
        if place not in self.arrays:
            self.arrays.append(place)
            self.shapes.append(self.nodes[value].shape)
        self.stores.append((value, self.arrays.index(place)))

    @property
    def pattern(self) -> tuple[Any, ...]:
        """What of it a kernel depends on."""
        return tuple(self.shapes), tuple([array for _, array in self.stores])


def _pattern(graph: Graph, part: Component) -> tuple[Any, ...]:
    """Equal for parts that differ in their arrays alone, of which a kernel need be made but once."""
    own = {i: k for k, i in enumerate([*part.reads, *part.computed])}
    found: list[Any] = [graph.nodes[i].sig for i in part.reads]
    for i in part.computed:
        node = graph.nodes[i]
        operands = [None if a is None else own.get(a, ~a) for a in graph.args[i]]  # a number is not to differ
        if node.op == "formula":
            take, _, j = node.attrs
            found.append((id(take), j, *operands))
        else:
            numbers = [repr(x) for x, a in zip(node.args, graph.args[i], strict=True) if a is None]
            found.append((node.op, node.sig, node.shape, *operands, *numbers))
    for t in part.targets:
        found.append((t.what, own[t.value], graph.nodes[t.place].op if t.what == "reduce" else None))
    return tuple(found)


class _Kernel:
    """The values of one kernel, numbered; ``key`` says all that its program is made of."""

    launch: Launch

    def __init__(self, lowering: _Lowering, s: int, part: Component, here: _Here) -> None:
        self.graph, self.numbers, self.stage = lowering.graph, lowering.numbers, s
        self.size = here.size
        self.reads = part.reads
        self.value: dict[int | None, int] = {i: k for k, i in enumerate(part.reads)}
        self.code: list[tuple[Any, tuple[int, ...], int]] = []  # value or expansion, operands, first slot
        self.values = len(part.reads)
        self._results: dict[int, list[int]] = {}  # by id of what a formula was given: its results in this kernel
        self.slots: list[int | float | Traced] = []
        self._scalars: list[int] = []
        self._key: list[Any] = [(self.graph.nodes[i].sig >> 1, self.graph.sizes[i] == self.size) for i in part.reads]
        for i in part.computed:
            node = self.graph.nodes[i]
            if node.op == "formula":
                self._results.setdefault(id(node.attrs[1]), []).append(i)
        for i in part.computed:
            self._compute(i)
        nodes = self.graph.nodes
        self._key += [("store", self.value[i], array, nodes[i].sig >> 1) for i, array in here.stores]
        reduced = [t for t in part.targets if t.what == "reduce"]
        self._key += [("reduce", nodes[t.place].op, self.value[t.value]) for t in reduced]
        self.scalars = tuple(self._scalars)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal programs."""
        return tuple(self._key)

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
        self._scalars += self.numbers.scalars(self.stage, expansion.slots)
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
        self._scalars.append(self.numbers.scalar(self.stage, x if a is None else a, a is None))
        self._key.append(type(x) if a is None else x.dtype)
        return -1 - slot

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
