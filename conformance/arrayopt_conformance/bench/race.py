"""The race on one workload, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from arrayopt_conformance.bench import machine, timing
from arrayopt_conformance.bench.check import Trial
from arrayopt_conformance.bench.choices import Workload
from arrayopt_conformance.bench.contenders import Entry, start
from arrayopt_conformance.bench.entrants import Plan
from arrayopt_conformance.bench.rules import Rule

EAGER_ELEMENTS = 10_000_000  # beyond this, plain steps take too long to wait for
_SPARE = 1.25  # memory beyond the arrays of all contenders


@dataclass(frozen=True)
class Row:
    """A contender's times.

    Attributes:
      seconds: the median.
      quartiles: of the seconds.
      counted: steps.
      bytes: that the rule must move, in the dtypes this contender keeps.
      rate: these bytes in a second.
      share: of the rate of a copy.
      explained: what ``step.explain()`` says.
    """

    name: str
    kind: str
    library: str
    seconds: float
    quartiles: tuple[float, float]
    counted: int
    bytes: int
    rate: float
    share: float
    explained: dict[str, Any]


@dataclass(frozen=True)
class Race:
    """The result: rows, ratios of ours to others, and who did not take part and why."""

    rule: str
    workload: str
    elements: int
    rows: list[Row] = field(default_factory=list[Row])
    ratios: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    left_out: dict[str, str] = field(default_factory=dict[str, str])


def race(rule: Rule, workload: Workload, plan: Plan, tried: list[tuple[Entry, Trial]], copied: float) -> Race:
    """Times everyone who can take part."""
    result = Race(rule.name, workload.name, workload.elements)
    result.left_out.update({entry.name: found.obstacle for entry, found in tried if found.obstacle})
    able = [entry for entry, found in tried if found.obstacle is None]
    slow = [entry for entry in able if _too_slow(entry, workload, plan)]
    result.left_out.update({entry.name: "takes long; --eager asks for it" for entry in slow})
    able = [entry for entry in able if entry not in slow]
    lacking = _memory(rule, workload, able)
    if lacking:
        result.left_out["all"] = lacking
        return result
    if not able:
        return result
    runners = _run(rule, workload, plan, able)
    result.rows.extend(_row(runner, rule, workload, copied) for runner in runners)
    result.ratios.extend(_ratios(runners))
    return result


def _too_slow(entry: Entry, workload: Workload, plan: Plan) -> bool:
    return entry.kind == "eager" and workload.elements > EAGER_ELEMENTS and not plan.eager


def _memory(rule: Rule, workload: Workload, able: list[Entry]) -> str | None:
    """Why the workload does not fit into memory, or None."""
    free = machine.free_memory()
    shape = workload.shapes(bool(rule.unfactored))[0]
    need = sum(
        sum(map(entry.element(workload), rule.letters(shape) + "p" * entry.copies)) * workload.elements
        for entry in able
    )
    if free is None or need * _SPARE < free:
        return None
    return f"needs {need * _SPARE / 1e9:.1f} GB of memory, {free / 1e9:.1f} are free"


def _run(rule: Rule, workload: Workload, plan: Plan, able: list[Entry]) -> list[timing.Runner]:
    rounds = plan.counted(workload)
    given = start(rule, workload.shapes(bool(rule.unfactored)), workload.dtype, fresh=plan.fresh)
    runners = [timing.Runner(entry, entry.make(given), timing.stride(entry, rounds)) for entry in able]
    del given
    timing.race(runners, rounds)
    return runners


def _row(runner: timing.Runner, rule: Rule, workload: Workload, copied: float) -> Row:
    entry, times = runner.entry, timing.summary(runner)
    shape = workload.shapes(bool(rule.unfactored))[0]
    moved = rule.moved(shape, entry.element(workload)) * workload.elements
    rate = moved / times.median
    about = runner.contender.explained()
    quartiles = (times.low, times.high)
    return Row(
        entry.name,
        entry.kind,
        entry.library,
        times.median,
        quartiles,
        times.counted,
        moved,
        rate,
        rate / copied,
        about,
    )


def _ratios(runners: list[timing.Runner]) -> list[dict[str, Any]]:
    """Of each of ours to each peer, and to the limit and the plain step of its own library."""
    return [
        {"ours": one.entry.name, "other": other.entry.name, **timing.ratio(one, other)._asdict()}
        for one in runners
        for other in runners
        if one.entry.kind == "ours" and _comparable(one.entry, other.entry)
    ]


def _comparable(one: Entry, other: Entry) -> bool:
    return other.kind == "peer" or (other.kind in ("limit", "eager") and one.library == other.library)
