"""Steps in which some parameters have no gradient, without a recording for each set of them.

Where what becomes of a parameter depends on its own gradient and on sums over all of them, a parameter without one is
left out of the kernels of the step in which all have one: its arrays stay as they are, and to the sums it adds
nothing. Whether that is so is seen by comparing recordings in which not the same gradients are None.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal

from arrayopt.backend import Backend
from arrayopt.fused import words
from arrayopt.fused.compare import Print
from arrayopt.fused.plan import Trees, hollow
from arrayopt.fused.program import Launch, Number, Program, Run, Schedule, Site, Stage
from arrayopt.tree.align import StructureError, places
from arrayopt.tree.structure import flatten

JOINS = {"sum": "add", "max": "maximum", "min": "minimum", "any": "logical_or", "all": "logical_and"}
"""How a reduction of one array joins that of the next."""

_SAME = frozenset({"astype", "hand_on", "view"})


class Filled:
    """Trees in which a gradient may be None, and the same with a place for each gradient.

    Attributes:
      trees: with None at the places of gradients that are.
      names: the place there of each leaf of the trees as they were given.
      missing: the places of gradients that are None.
      key: equal for trees that differ in which gradients are None, and in nothing else.
    """

    def __init__(self, given: Trees, leaves: list[Any], kinds: list[Any], spec: Any, where: list[int]) -> None:
        a, b, _, _ = given.counts
        self.trees = Trees(leaves, spec, kinds)
        self.names = [*range(a), *[a + i for i in where], *range(2 * a, len(leaves))]
        self.missing = frozenset(range(a, 2 * a)) - frozenset(self.names)
        rest = Trees(leaves, spec, [kind for i, kind in enumerate(kinds) if not a <= i < 2 * a])
        self.key = rest.key
        assert len(self.names) == len(given.leaves) and b == len(where)

    def without_leaves(self) -> Filled:
        """The same, to be remembered."""
        found = copy.copy(self)
        found.trees = self.trees._replace(leaves=[])
        return found


def filled(given: Trees) -> Filled | None:
    """Trees with a place for each gradient; None if the gradients do not lie along the parameters."""
    a, b, _, _ = given.counts
    try:
        where = places(given.spec.children[1], given.spec.children[0])
    except StructureError:
        return None
    grads, kinds = [None] * a, list(given.kinds[:a])
    for i, k in enumerate(where):
        grads[k], kinds[k] = given.leaves[a + i], given.kinds[a + i]
    leaves = [*given.leaves[:a], *grads, *given.leaves[a + b :]]
    params, _, state, extra = given.spec.unflatten(given.leaves)
    spec = hollow(flatten((params, params, state, extra))[1])
    return Filled(given, leaves, [*given.kinds[:a], *kinds, *given.kinds[a + b :]], spec, where)


# -- whether it is so ------------------------------------------------------------------------------------------


def steady(library: Backend, one: Print, other: Print) -> bool:
    """Whether two recordings with different gradients meet the same arrays beside them: none in them is drawn."""
    first, second = [{library.to_numpy(x).tobytes() for x in recording.captured} for recording in (one, other)]
    return first == second


def agree(
    library: Backend,
    full: Print,
    some: Print,
    names: Sequence[int],
    missing: frozenset[int],
    owned: dict[int, int | None] | None,
) -> bool:
    """Whether a recording in which all gradients are there becomes another one by leaving parameters out.

    Args:
      library: of the arrays.
      full: the recording with all gradients.
      some: the one in which some are None.
      names: for each leaf of the latter its place in the former.
      missing: the places of those that are None.
      owned: what `owners` says of the schedule of the former.
    """
    if owned is None:
        return False
    table: dict[Any, int] = {}
    common = set(map(id, full.captured)) & set(map(id, some.captured))

    def known(x: Any) -> Any:  # the same array, or one made anew by each call
        return id(x) if id(x) in common else library.to_numpy(x).tobytes()

    whole = _Values(full, known, range(len(names) + len(missing)), missing, table)
    part = _Values(some, known, names, frozenset(), table)
    stay = {place for place, value in whole.outputs.items() if value in whole.tainted or value in whole.nothing}
    left_out = {place for place in whole.outputs if owned.get(place) in missing}
    return left_out == stay and {p: v for p, v in whole.outputs.items() if p not in stay} == part.outputs


class _Values:
    """The values of a recording, by number; equal ones of several recordings have one number.

    Attributes:
      outputs: what is stored, by place.
      tainted: the values that depend on a missing gradient, but for sums, which are as if it were not there.
      nothing: reductions of what depends on a missing gradient, and which they are.
    """

    def __init__(
        self,
        recording: Print,
        known: Callable[[Any], Any],
        names: Sequence[int],
        missing: frozenset[int],
        table: dict[Any, int],
    ) -> None:
        self.tainted: set[int] = set()
        self._table, self._names, self._missing = table, names, missing
        self.nothing: dict[int, str] = {}
        self._captured = map(known, recording.captured)
        self._formulas: list[Any] = []
        self._known: list[int] = []
        for entry in recording.operations:
            self._known.append(self._value(*entry))
        outputs = {names[place]: self._known[i] for place, i in recording.outputs}
        self.outputs = {p: value for p, value in outputs.items() if value != table.get(("input", p))}

    def _value(self, op: str, shape: Any, dtype: str, attrs: Any, *args: Any) -> int:
        if op == "input":
            value = self._number(("input", self._names[attrs]))
            self.tainted.update([value] if self._names[attrs] in self._missing else [])
            return value
        if op == "captured":
            return self._number(("captured", next(self._captured)))
        if op == "numbers":
            return -1
        if op == "formula":
            return self._formula(shape, attrs, [self._known[x] for x in args])
        if op == "call":
            attrs = tuple([self._known[x] if isinstance(x, int) else x for x in attrs])
        return self._made_of(op, shape, dtype, attrs, [self._operand(x) for x in args])

    def _operand(self, x: Any) -> Any:
        return self._known[x] if isinstance(x, int) else x

    def _made_of(self, op: str, shape: Any, dtype: str, attrs: Any, args: list[Any]) -> int:
        gone = [x for x in args if x in self.nothing]
        if gone and op in _SAME:
            return int(gone[0])
        if gone and JOINS[self.nothing[gone[0]]] == op:
            return int(next((x for x in args if x not in self.nothing), gone[0]))
        value = self._number((op, shape, dtype, attrs, *args))
        if gone or any([x in self.tainted for x in args]):
            if op in words.REDUCTIONS:
                self.nothing[value] = op
            else:
                self.tainted.add(value)
        return value

    def _formula(self, shape: Any, formula: Any, args: list[int]) -> int:
        if isinstance(formula, int):
            formula = self._formulas[formula]
        else:
            formula = (*formula[:3], [self._operand(x) for x in formula[3]])
            self._formulas.append(formula)
        count, code, result, slots = formula
        known: dict[str, list[Any]] = {"given": args[:count], "slot": slots, "value": []}
        for op, dtype, operands in code:
            known["value"].append(self._made_of(op, shape, dtype, None, [known[what][k] for what, k in operands]))
        return int(known[result[0]][result[1]])

    def _number(self, key: Any) -> int:
        return self._table.setdefault(key, len(self._table))


# -- what is left out ------------------------------------------------------------------------------------------


def owners(schedule: Schedule, gradients: range) -> dict[int, int | None] | None:
    """Notes at each site, call, copy and number written whose gradient it depends on.

    Args:
      schedule: of a step in which all gradients are there.
      gradients: their places.

    Returns:
      For each place that is written the gradient without which it stays as it is, or None if there is no one such;
      None in its stead if sites cannot be left out one by one.
    """
    found = _Owners(schedule, gradients)
    return found.places if found.can_be_left_out() else None


_NOBODY: frozenset[int] = frozenset()


class _Owners:
    """Follows gradients through a schedule. What depends on several of them, as a norm of all, belongs to nobody."""

    def __init__(self, schedule: Schedule, gradients: range) -> None:
        self.schedule = schedule
        self.places: dict[int, int | None] = {}
        self._arrays: dict[int, frozenset[int]] = {place: frozenset({place}) for place in gradients}
        self._numbers: dict[int, frozenset[int]] = {}

    def can_be_left_out(self) -> bool:
        """Whether each site depends on the gradient of one leaf; if so, it is noted which."""
        launches: list[tuple[Launch, list[int | None]]] = []
        runs: list[tuple[Run, int | None]] = []
        for stage in self.schedule.stages:
            scalars = self._scalars(stage)
            for launch in stage.launches:
                sites = [self._site(launch.program, site, scalars) for site in launch.sites]
                if False in sites:
                    return False
                launches.append((launch, [None if x is False else x for x in sites]))
            for run in stage.runs:
                depends = self._run(run)
                if len(depends) > 1 or (depends and run.numbers):
                    return False
                runs.append((run, _one(depends)))
        self._note(launches, runs)
        return True

    def _note(self, launches: list[tuple[Launch, list[int | None]]], runs: list[tuple[Run, int | None]]) -> None:
        """Notes what was found all at once: another thread may be in a step."""
        schedule = self.schedule
        copied = {source: _one(self._arrays.get(source, _NOBODY)) for source, _ in schedule.copied}
        written = {place: _one(self._numbers.get(number, _NOBODY)) for place, number, _ in schedule.written}
        self.places.update(written)
        self.places.update({place: copied[source] for source, place in schedule.copied})
        for launch, sites in launches:
            launch.owners = sites
        for run, owner in runs:
            run.owner = owner
        schedule.owners = copied | written

    def _scalars(self, stage: Stage) -> list[frozenset[int]]:
        """What the scalars of a stage depend on."""
        results: list[frozenset[int]] = []

        def of(number: Number) -> frozenset[int]:
            if number.source == "number":
                return _NOBODY
            return results[number.value] if number.source == "result" else self._numbers.get(number.value, _NOBODY)

        for operation in stage.arithmetic.code:
            results.append(_NOBODY.union(*[of(x) for x in operation.args]))
        self._numbers.update({place: of(number) for place, number in stage.arithmetic.stores})
        return [of(number) for number in stage.arithmetic.answers]

    def _site(self, program: Program, site: Site, scalars: list[frozenset[int]]) -> int | Literal[False] | None:
        """The gradient that a site depends on, or None; False if it cannot be told."""
        given = [self._arrays.get(a, _NOBODY) for a in site.arrays]
        numbers = [x for x in [scalars[k] for k in site.scalars] if len(x) == 1]
        stored = [(site.arrays[a], _NOBODY.union(*[given[k] for k in loads])) for a, loads in _loads_of_stores(program)]
        found = _NOBODY.union(*[owner for _, owner in stored], *given[: len(program.loads)], *numbers)
        to_leaves = [owner for a, owner in stored if a < self.schedule.leaves]
        if len(found) > 1 or _NOBODY in to_leaves or (found and _NOBODY in [owner for _, owner in stored]):
            return False
        self._arrays.update(stored)
        self._numbers.update(dict.fromkeys(site.results, found))
        self.places.update({a: _one(owner) for a, owner in stored if a < self.schedule.leaves})
        return _one(found)

    def _run(self, run: Run) -> frozenset[int]:
        given = [self._arrays.get(place, _NOBODY) for what, place, _ in run.values.values() if what == "array"]
        numbers = [self._numbers.get(place, _NOBODY) for what, place, _ in run.values.values() if what == "number"]
        found = _NOBODY.union(*given, *[x for x in numbers if len(x) == 1])
        self._arrays.update({place: found for _, place in run.arrays})
        self._numbers.update({place: found.union(*numbers) for _, place in run.numbers})
        return found


def _one(owners: frozenset[int]) -> int | None:
    """The one that something depends on; None if there is none, or if there are several."""
    return next(iter(owners)) if len(owners) == 1 else None


def _loads_of_stores(program: Program) -> list[tuple[int, frozenset[int]]]:
    """For each array that a program stores or sums to, the loads that it depends on."""
    found = [frozenset({k}) for k in range(len(program.loads))]
    for _, _, args in program.code:
        found.append(frozenset[int]().union(*[found[a] for a in args if a >= 0]))
    return [(array, found[value]) for value, array, _ in (*program.stores, *program.folds)]
