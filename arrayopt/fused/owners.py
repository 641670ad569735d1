"""Whose gradient each part of a schedule depends on: what is left out where that gradient is None."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from arrayopt.fused.program import Launch, Number, Program, Run, Schedule, Site, Stage


class Owned(NamedTuple):
    """What can be left out of a schedule.

    Attributes:
      places: for each place that is written the gradient without which it stays as it is; None if it always changes.
      groups: gradients that a number depends on together, as the norm of some leaves: a rule may see whether any of
        them is there.
    """

    places: dict[int, int | None]
    groups: frozenset[frozenset[int]]


def owners(schedule: Schedule, gradients: range) -> Owned | None:
    """Notes at each site, call, copy and number written whose gradient it depends on.

    Args:
      schedule: of a step in which all gradients are there.
      gradients: their places.

    Returns:
      What was found; None if sites cannot be left out one by one.
    """
    return _Owners(schedule, gradients).found()


_NOBODY: frozenset[int] = frozenset()


class _Group(set[int]):
    """Gradients that a number depends on together."""


_Label: TypeAlias = int | _Group | None


class _Owners:
    """Follows gradients through a schedule. What depends on several of them, as a norm of all, belongs to nobody."""

    def __init__(self, schedule: Schedule, gradients: range) -> None:
        self.schedule = schedule
        self._places: dict[int, int | None] = {}
        self._gradients = frozenset(gradients)
        self._arrays: dict[int, frozenset[int]] = {place: frozenset({place}) for place in gradients}
        self._numbers: dict[int, _Label] = {}
        self._groups: list[_Group] = []

    def found(self) -> Owned | None:
        """As `owners` has it."""
        launches: list[tuple[Launch, list[int | None]]] = []
        runs: list[tuple[Run, int | None]] = []
        for stage in self.schedule.stages:
            scalars = self._scalars(stage)
            for launch in stage.launches:
                depends = [self._site(launch.program, site, scalars) for site in launch.sites]
                if None in depends:
                    return None
                launches.append((launch, [_one(x) for x in depends if x is not None]))
            for run in stage.runs:
                given = self._run(run)
                if len(given) > 1 or (given and run.numbers):
                    return None
                runs.append((run, _one(given)))
        self._note(launches, runs)
        return Owned(self._places, frozenset(map(frozenset, self._groups)))

    def _note(self, launches: list[tuple[Launch, list[int | None]]], runs: list[tuple[Run, int | None]]) -> None:
        """Notes what was found, all at once: another thread may be in a step."""
        schedule = self.schedule
        copied = {source: _one(self._arrays.get(source, _NOBODY)) for source, _ in schedule.copied}
        written = {place: _alone(self._numbers.get(number)) for place, number, _ in schedule.written}
        for place, arrays in schedule.own.items():  # with several gradients it would not stay where one is None
            gradients = arrays & self._gradients
            written[place] = _one(gradients) if len(gradients) == 1 else None
        self._places |= written | {place: copied[source] for source, place in schedule.copied}
        for launch, sites in launches:
            launch.owners = sites
        for run, owner in runs:
            run.owner = owner
        schedule.owners = copied | written

    # -- numbers -----------------------------------------------------------------------------------------------

    def _scalars(self, stage: Stage) -> list[_Label]:
        """What the scalars of a stage depend on."""
        work = stage.arithmetic
        labels: list[_Label] = []
        uses = [number for operation in work.code for number in operation.args]
        uses += [*[number for _, number in work.stores], *work.answers]
        counts = Counter([number.value for number in uses if number.source == "result"])
        for operation in work.code:
            once: set[int] = {x.value for x in operation.args if x.source == "result" and counts[x.value] == 1}
            growing = [x for x in [labels[k] for k in once] if isinstance(x, _Group)]
            labels.append(self._joined([self._label(x, labels) for x in operation.args], growing))
        self._numbers.update({place: self._label(number, labels) for place, number in work.stores})
        return [self._label(number, labels) for number in work.answers]

    def _label(self, number: Number, results: list[_Label]) -> _Label:
        if number.source == "number":
            return None
        place: int = number.value
        return results[place] if number.source == "result" else self._numbers.get(place)

    def _joined(self, labels: Sequence[_Label], growing: Sequence[_Group] = ()) -> _Label:
        """The label of what is made of some numbers.

        Args:
          labels: of those.
          growing: the groups that nothing else asks for, as in the course of a sum: what comes is added to them.
        """
        alone = {x for x in labels if isinstance(x, int)}
        group = next((x for x in labels if isinstance(x, _Group)), None)
        if group is not None:
            for other in growing:
                other |= alone
            return group
        if len(alone) > 1:
            self._groups.append(_Group(alone))
            return self._groups[-1]
        return next(iter(alone), None)

    # -- arrays ------------------------------------------------------------------------------------------------

    def _site(self, program: Program, site: Site, scalars: list[_Label]) -> frozenset[int] | None:
        """The gradient that a site depends on; None if there are several."""
        given = [self._arrays.get(a, _NOBODY) for a in site.arrays]
        numbers = {x for x in [scalars[k] for k in site.scalars] if isinstance(x, int)}
        stored = [
            (site.arrays[a], _NOBODY.union(*[given[k] for k in loads])) for a, loads in _loads_of_stores(program)
        ]
        found = _NOBODY.union(*[owner for _, owner in stored], *given[: len(program.loads)], numbers)
        to_leaves = [owner for a, owner in stored if a < self.schedule.leaves]
        if len(found) > 1 or _NOBODY in to_leaves or (found and _NOBODY in [owner for _, owner in stored]):
            return None
        self._arrays.update(stored)
        self._numbers.update(dict.fromkeys(site.results, _one(found)))
        self._places.update({a: _one(owner) for a, owner in stored if a < self.schedule.leaves})
        return found

    def _run(self, run: Run) -> frozenset[int]:
        given = [self._arrays.get(place, _NOBODY) for what, place, _ in run.values.values() if what == "array"]
        numbers = [self._numbers.get(place) for what, place, _ in run.values.values() if what == "number"]
        found = _NOBODY.union(*given, {x for x in numbers if isinstance(x, int)})
        self._arrays.update({place: found for _, place in run.arrays})
        self._numbers.update(dict.fromkeys([number for _, number in run.numbers], self._joined(numbers)))
        return found


def _one(owners: frozenset[int]) -> int | None:
    """The one that something depends on, if there is one."""
    return next(iter(owners), None)


def _alone(label: _Label) -> int | None:
    return label if isinstance(label, int) else None


def _loads_of_stores(program: Program) -> list[tuple[int, frozenset[int]]]:
    """For each array that a program stores or sums to, the loads that it depends on."""
    found = [frozenset({k}) for k in range(len(program.loads))]
    for _, _, args in program.code:
        found.append(frozenset[int]().union(*[found[a] for a in args if a >= 0]))
    return [(array, found[value]) for value, array, _ in (*program.stores, *program.folds)]
