"""From the graph of a recorded step to its schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from arrayopt import dtypes
from arrayopt.fused import words
from arrayopt.fused.scalars import Numbers
from arrayopt.fused.program import Instruction, Launch, Program, Run, Schedule, Site, Stage, Temporary
from arrayopt.fused.split import Component, Graph, Target, check_supported, components, targets
from arrayopt.fused.traced import Traced

_ALIASES = frozenset({"copy", "view"})


def schedule(outputs: dict[int, Traced], moving: frozenset[int], places: int) -> Schedule:
    """The schedule of a step.

    Args:
      outputs: what each donated place of the trees becomes.
      moving: the places of parameters and gradients.
      places: how many there are in all.
    """
    return _Lowering(outputs, moving, places).schedule()


class _Lowering:
    def __init__(self, outputs: dict[int, Traced], moving: frozenset[int], places: int) -> None:
        self.outputs = outputs
        self.graph = Graph(outputs, moving)
        check_supported(self.graph)
        self.numbers = Numbers(self.graph)
        self.buffers = places
        self.buffer: dict[int, int] = {}  # of each solid or kept value
        self.captured: list[tuple[int, Any]] = []
        self.read: list[tuple[int, int]] = []
        self.copied: list[tuple[int, int]] = []
        self.programs: dict[Program, Launch] = {}
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
        written = [(place, self.graph.index[id(node)], node) for place, node in self.outputs.items()]
        written = [(p, i, node) for p, i, node in written if self.graph.on_host[i] and not _is_same(node, p)]
        for _, i, _ in written:
            self.numbers.need(i)
        last = max([*[t.stage for t in found], *[self.graph.stage[i] for _, i, _ in written]], default=0)
        drafts = [self._draft(s, [t for t in found if t.stage == s]) for s in range(last + 1)]
        finals = [(place, self.numbers.known(i), dtypes.name(node.dtype)) for place, i, node in written]
        functions = self.numbers.functions(last + 1)
        stages = [
            Stage(function, temporaries, launches, runs, dropped)
            for function, (temporaries, launches, runs), dropped in zip(
                functions, drafts, self._dropped(drafts), strict=True
            )
        ]
        return Schedule(self.buffers, self.numbers.count, self.captured, self.read, stages, finals, self.copied)

    def _draft(self, s: int, found: list[Target]) -> tuple[list[Temporary], list[Launch], list[Run]]:
        temporaries: list[Temporary] = []
        self.programs = {}
        parts = components(self.graph, found)
        shared = self._read_elsewhere(parts)
        for part in parts:
            self._lower(s, part, shared, temporaries)
        runs = [self._run(i) for i, node in enumerate(self.graph.nodes) if node.op == "call" and self._at(i, s)]
        return temporaries, list(self.programs.values()), runs

    def _at(self, i: int, s: int) -> bool:
        return self.graph.stage[i] == s + 1

    def _read_elsewhere(self, parts: Sequence[Component]) -> set[int]:
        """Donated places that one kernel of a stage writes and another reads."""
        readers: dict[int, set[int]] = {}
        for k, part in enumerate(parts):
            for i in part.reads:
                readers.setdefault(i, set()).add(k)
        inputs = self.graph.inputs
        return {
            target.place
            for k, part in enumerate(parts)
            for target in part.targets
            if target.what == "store" and readers.get(inputs.get(target.place, -1), set()) - {k}
        }

    # -- one kernel ----------------------------------------------------------------------------------------

    def _lower(self, s: int, part: Component, shared: set[int], temporaries: list[Temporary]) -> None:
        kernel = _Kernel(self, s, part)
        stores: list[tuple[int, int, str]] = []
        for target in part.targets:
            if target.what != "reduce":
                stores.append(self._store(kernel, target, shared, temporaries))
        reduced = [t for t in part.targets if t.what == "reduce"]
        reduces = tuple([(self.graph.nodes[t.place].op, kernel.value[t.value]) for t in reduced])
        results = tuple([self.numbers.known(t.place) for t in reduced])
        program = Program(
            tuple(kernel.loads), tuple(kernel.code), tuple(stores), reduces, "".join(kernel.slots), kernel.flat, kernel.views
        )
        launch = self.programs.setdefault(program, Launch(program))
        launch.sites.append(
            Site(tuple(kernel.arrays), tuple(kernel.shapes), part.shape, tuple(kernel.scalars), results)
        )

    def _store(
        self, kernel: _Kernel, target: Target, shared: set[int], temporaries: list[Temporary]
    ) -> tuple[int, int, str]:
        node = self.graph.nodes[target.value]
        dtype = dtypes.name(node.dtype)
        if target.what == "keep" or target.place in shared:
            place = self._new_buffer()
            like = kernel.arrays[0] if kernel.arrays else 0
            temporaries.append(Temporary(place, node.shape, dtype, like))
            if target.what == "keep":
                self.buffer[target.value] = place
            else:
                self.copied.append((place, target.place))
        else:
            place = target.place
        return kernel.value[target.value], kernel.array(place, node.shape), dtype

    # -- library calls -------------------------------------------------------------------------------------

    def _run(self, i: int) -> Run:
        graph, call = self.graph, self.graph.nodes[i].attrs
        values: dict[int, tuple[str, int, str]] = {}
        for node in call.nodes:
            j = graph.index[id(node)]
            where = ("number", self.numbers.need(j)) if graph.on_host[j] else ("array", self.buffer[j])
            values[id(node)] = (*where, dtypes.name(node.dtype))
        arrays: list[tuple[int | None, int]] = []
        numbers: list[tuple[int | None, int]] = []
        for j, part in self._answers(i):
            if graph.on_host[j]:
                numbers.append((part, self.numbers.known(j)))
            else:
                self.buffer[j] = self._new_buffer()
                arrays.append((part, self.buffer[j]))
        return Run(call, values, arrays, numbers)

    def _answers(self, i: int) -> list[tuple[int, int | None]]:
        """The values that a call gives, each with its part."""
        return self.parts.get(i) or [(i, None)]

    def _dropped(self, drafts: Sequence[tuple[list[Temporary], list[Launch], list[Run]]]) -> list[list[int]]:
        """For each stage the buffers of this step that are not looked at after it."""
        own = set(self.buffer.values()) - {place for place, _ in self.captured}
        places = {node.attrs for node in self.graph.nodes if node.op == "input"}
        last: dict[int, int] = {}
        for s, (_, launches, runs) in enumerate(drafts):
            used = [a for launch in launches for site in launch.sites for a in site.arrays]
            used += [place for run in runs for what, place, _ in run.values.values() if what == "array"]
            used += [place for run in runs for _, place in run.arrays]
            last.update(dict.fromkeys([a for a in used if a in own - places], s))
        return [[a for a, t in last.items() if t == s] for s in range(len(drafts))]


def _is_same(node: Traced, place: int) -> bool:
    return node.op == "input" and node.attrs == place


class _Kernel:
    """The values and arrays of one kernel, numbered."""

    def __init__(self, lowering: _Lowering, s: int, part: Component) -> None:
        self.graph, self.numbers, self.stage = lowering.graph, lowering.numbers, s
        self.loads: list[str] = []
        self.arrays: list[int] = []
        self.shapes: list[tuple[int, ...]] = []
        self.code: list[Instruction] = []
        self.slots: list[str] = []
        self.scalars: list[int] = []
        self.value: dict[int, int] = {}
        self.flat = True
        self.views = False
        self._slot: dict[int, int] = {}
        self._known: dict[Instruction, int] = {}
        for i in part.reads:
            self._load(i, lowering.buffer[i], part.size)
        for i in part.computed:
            self._compute(i)

    def _load(self, i: int, buffer: int, size: int) -> None:
        node = self.graph.nodes[i]
        self.value[i] = len(self.loads)
        self.loads.append(dtypes.name(node.dtype))
        self.array(buffer, node.shape)
        self.flat = self.flat and math.prod(node.shape) == size

    def array(self, buffer: int, shape: tuple[int, ...]) -> int:
        """The number of an array."""
        if buffer in self.arrays:
            return self.arrays.index(buffer)
        self.arrays.append(buffer)
        self.shapes.append(shape)
        return len(self.arrays) - 1

    def _compute(self, i: int) -> None:
        node, args = self.graph.nodes[i], self.graph.args[i]
        if node.op in _ALIASES and self._is_alias(i, node):
            assert args[0] is not None
            self.views = self.views or node.op == "view"
            self.value[i] = self.value[args[0]]
            return
        operands = tuple([self._operand(x, a) for x, a in zip(node.args, args, strict=True)])
        instruction = Instruction(node.op, dtypes.name(node.dtype), operands)
        known = self._known.get(instruction)
        if known is None:
            known = self._known[instruction] = len(self.loads) + len(self.code)
            self.code.append(instruction)
        self.value[i] = known

    def _is_alias(self, i: int, node: Traced) -> bool:
        a = self.graph.args[i][0]
        return a is not None and not self.graph.on_host[a] and self.graph.sizes[a] == self.graph.sizes[i]

    def _operand(self, x: Any, a: int | None) -> int:
        if a is not None and not self.graph.on_host[a]:
            return self.value[a]
        key = id(x) if a is not None else 0
        if key and key in self._slot:
            return -1 - self._slot[key]
        slot = len(self.slots)
        self.slots.append(_kind(type(x).__name__ if a is None else dtypes.name(x.dtype)))
        self.scalars.append(self.numbers.scalar(self.stage, x if a is None else a, a is None))
        if key:
            self._slot[key] = slot
        return -1 - slot


def _kind(dtype: str) -> str:
    if dtype == "bool":
        return "b"
    return "c" if dtype.startswith("complex") else "i" if "int" in dtype else "f"


assert words.ELEMENTWISE >= _ALIASES
