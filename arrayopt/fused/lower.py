"""From the graph of a recorded step to its schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from arrayopt import dtypes
from arrayopt.fused import words
from arrayopt.fused.kernel import Here, Kernel, pattern
from arrayopt.fused.program import Launch, Run, Schedule, Site, Stage, Temporary
from arrayopt.fused.scalars import Numbers, function
from arrayopt.fused.split import Component, Graph, Target, check_supported, components, targets
from arrayopt.fused.traced import Traced


def schedule(
    outputs: dict[int, Traced],
    moving: frozenset[int],
    places: int,
    tape: Sequence[Traced],
    look: Callable[[Any], None] | None = None,
) -> Schedule:
    """The schedule of a step.

    Args:
      outputs: what each donated place of the trees becomes.
      moving: the places of parameters and gradients.
      places: how many there are in all.
      tape: everything that was recorded, in order. It is worth nothing afterwards.
      look: raises if an array that the rule holds will not do; the tape is what it was then.
    """
    lowering = _Lowering(outputs, moving, places, tape)
    if look is not None:
        for _, x in lowering.captured:
            look(x)
    return lowering.schedule()


Draft = tuple[list[Temporary], list[Launch], list[Run]]


def _made_early(drafts: list[Draft], leaves: int) -> list[Draft]:
    """The stages with all buffers made before something is written: no memory is asked for after that."""
    first = next((s for s, (_, launches, _) in enumerate(drafts) if _writes(launches, leaves)), len(drafts))
    late = [t for temporaries, _, _ in drafts[first:] for t in temporaries]
    early = [temporaries for temporaries, _, _ in drafts[:first]]
    made = [*early, late, *[[] for _ in drafts[first + 1 :]]]
    return [(temporaries, launches, runs) for temporaries, (_, launches, runs) in zip(made, drafts, strict=False)]


def _writes(launches: Sequence[Launch], leaves: int) -> bool:
    """Whether a leaf is stored to."""
    return any([site.arrays[a] < leaves for x in launches for site in x.sites for _, a, _ in x.program.stores])


class _Lowering:
    def __init__(
        self, outputs: dict[int, Traced], moving: frozenset[int], places: int, tape: Sequence[Traced]
    ) -> None:
        self.outputs = outputs
        self.graph = Graph(outputs, moving, tape)
        check_supported(self.graph)
        self.numbers = Numbers(self.graph)
        self.leaves = self.buffers = places
        self.buffer: dict[int, int] = {}  # of each solid or kept value
        self.captured: list[tuple[int, Any]] = []
        self.read: list[tuple[int, int]] = []
        self.copied: list[tuple[int, int]] = []
        self.programs: dict[Any, Launch] = {}
        self.kernels: dict[Any, tuple[Launch, tuple[int, ...]]] = {}
        self.alike: dict[Any, tuple[Launch, Kernel]] = {}
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
        drafts = _made_early(drafts, self.leaves)
        arithmetic = self.numbers.arithmetic(last + 1)
        kinds = self.numbers.kinds
        stages = [
            Stage(work, function(work, f"<scalars of stage {s}>", kinds), *draft, dropped)
            for s, (work, draft, dropped) in enumerate(zip(arithmetic, drafts, self._dropped(drafts), strict=True))
        ]
        for node in self.graph.nodes:  # what calls keep of the recording is not to keep the rest
            node.args = ()
            node.attrs = None if node.op == "formula" else node.attrs
        held = [(tuple(x.shape), x.dtype) for _, x in self.captured]
        return Schedule(
            self.leaves,
            self.buffers,
            kinds,
            self.captured,
            held,
            self.read,
            stages,
            finals,
            self.copied,
            own={place: self.graph.owned[i] for place, i, _ in written if i in self.graph.owned},
        )

    def _draft(self, s: int, found: list[Target]) -> Draft:
        temporaries: list[Temporary] = []
        self.programs, self.kernels, self.alike = {}, {}, {}
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
        key = (pattern(self.graph, part), *here.pattern)
        found = self.kernels.get(key)
        if found is None:
            launch, kernel = self._kernel(s, part, here)
            found = self.kernels[key] = launch, kernel.scalars(part)
        launch, scalars = found
        results = tuple([self.numbers.known(i) for i in here.results])
        launch.sites.append(Site(tuple(here.arrays), tuple(here.shapes), here.shape, scalars, results))

    def _kernel(self, s: int, part: Component, here: Here) -> tuple[Launch, Kernel]:
        """The kernel of a part, or of one that differs from it in its numbers; and what applies it."""
        key = (pattern(self.graph, part, numbers_too=False), *here.pattern)
        found = self.alike.get(key)
        if found is None:
            kernel = Kernel(self.graph, self.numbers, s, part, here)
            found = self.alike[key] = self._launch(kernel), kernel
        return found

    def _launch(self, kernel: Kernel) -> Launch:
        """What applies the program of a kernel: there is one of equal programs."""
        found = self.programs.get(kernel.key)
        if found is None:
            program = kernel.program()
            known = {other.program: other for other in self.programs.values()}
            found = self.programs[kernel.key] = known.get(program) or Launch(program)
        return found

    def _arrays(self, part: Component, shared: set[int], temporaries: list[Temporary]) -> Here:
        """The arrays that a kernel reads and writes."""
        graph = self.graph
        here = Here(graph, part, [self.buffer[i] for i in part.reads])
        for target in part.targets:
            if target.what == "reduce":
                here.results.append(target.place)
            elif target.what == "fold":
                place = self._folded(here, target.place, temporaries)
                here.fold(target.value, place, graph.nodes[target.place].attrs)
            else:
                here.store(target.value, self._place(here, target, shared, temporaries))
        if not any([math.prod(shape) == here.size for shape in here.shapes]):  # it must be walked along something
            laid_down = Target(part.targets[0].value, "keep", -1, 0)
            here.store(laid_down.value, self._place(here, laid_down, shared, temporaries))
        return here

    def _place(self, here: Here, target: Target, shared: set[int], temporaries: list[Temporary]) -> int:
        """The buffer that a value is stored in."""
        if target.what == "store" and target.place not in shared:
            return target.place
        place = self._temporary(here, target.value, temporaries)
        if target.what == "keep":
            self.buffer[target.value] = place
        else:
            self.copied.append((place, target.place))
        return place

    def _folded(self, here: Here, i: int, temporaries: list[Temporary]) -> int:
        """The buffer of a sum along axes."""
        self.buffer[i] = self._temporary(here, i, temporaries)
        return self.buffer[i]

    def _temporary(self, here: Here, i: int, temporaries: list[Temporary]) -> int:
        """A new buffer, for value ``i``."""
        place, node = self._new_buffer(), self.graph.nodes[i]
        like = here.arrays[0] if here.arrays else 0
        temporaries.append(Temporary(place, node.shape, dtypes.name(node.dtype), like))
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
        on_host = [graph.on_host[j] for j, _ in self._answers(i)]
        return Run(call, values, answers, arrays, numbers, on_host)

    def _answers(self, i: int) -> list[tuple[int, int | None]]:
        """The values that a call gives, each with its part."""
        return self.parts.get(i) or [(i, None)]

    def _dropped(self, drafts: Sequence[Draft]) -> list[list[int]]:
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
