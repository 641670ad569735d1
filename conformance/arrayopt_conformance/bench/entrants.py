"""Who takes part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from arrayopt_conformance.bench import check, limit, peers, threads
from arrayopt_conformance.bench.choices import Workload
from arrayopt_conformance.bench.contenders import TITLES, Entry, Ours, Start, eager, fused
from arrayopt_conformance.bench.rules import Rule

ENGINES = {"numpy": ("numba", "tiles"), "torch": ("numba", "tiles"), "jax": ("jit",)}
_LARGE = 2_000_000


@dataclass(frozen=True)
class Plan:
    """What the user asked for."""

    libraries: list[str]
    threads: int
    rounds: int | None = None
    eager: bool = False
    fresh: bool = True

    def counted(self, workload: Workload) -> int:
        """Rounds that count: short steps are repeated more often, as they vary more."""
        return self.rounds or (21 if workload.elements > _LARGE else 101)


def ours(libraries: Iterable[str]) -> list[Entry]:
    """Every engine of the libraries."""
    return [_ours(library, engine) for library in libraries for engine in ENGINES[library]]


def _ours(library: str, engine: str) -> Entry:
    def make(given: Start) -> Ours:
        return Ours(given, library, fused(engine))

    needs = (library, "numba") if engine == "numba" else (library,)
    return Entry(f"{TITLES[library]} {engine}", "ours", library, make, needs, engine)


def _eager(library: str) -> Entry:
    def make(given: Start) -> Ours:
        return Ours(given, library, eager)

    return Entry(f"{TITLES[library]} eager", "eager", library, make, (library,), copies=5)


def entries(rule: Rule, plan: Plan) -> list[Entry]:
    """All that could take part."""
    plain = [library for library in plan.libraries if library != "jax"]
    return [
        *ours(plan.libraries),
        *map(_eager, plain),
        *peers.entries(rule),
        *[limit.entry(library, threads.team(plan.threads)) for library in plain],
    ]


def trials(rule: Rule, dtype: str, plan: Plan) -> list[tuple[Entry, check.Trial]]:
    """What came of the first steps of each."""
    given = check.small(rule, dtype)
    return [(entry, _absent(entry) or check.trial(entry, given)) for entry in entries(rule, plan)]


def able(rule: Rule, plan: Plan) -> list[Entry]:
    """Those of ours that can take the step in float32."""
    given = check.small(rule, "float32")
    found = [(entry, _absent(entry) or check.trial(entry, given)) for entry in ours(plan.libraries)]
    return [entry for entry, trial in found if trial.obstacle is None]


def _absent(entry: Entry) -> check.Trial | None:
    missing = [module for module in entry.needs if find_spec(module) is None]
    return check.Trial(entry.name, entry.kind, None, f"{' and '.join(missing)} not installed") if missing else None
