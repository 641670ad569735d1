"""Before anything is timed: does each contender compute the rule?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from arrayopt_conformance.bench.choices import square
from arrayopt_conformance.bench.contenders import Entry, Start, eager, start
from arrayopt_conformance.bench.rules import RULES, Rule

_SIZES = (40_000, 70_001, 7)  # less than a task, more than one, less than a vector register
_STEPS = 3
_FEW = 1e-3  # share of the elements, where an update may jump
TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2}


@dataclass(frozen=True)
class Trial:
    """What came of a contender's first steps.

    Attributes:
      name: of the contender.
      kind: ours, eager, peer or limit.
      difference: from the reference, relative to the largest parameter; None if it means nothing.
      obstacle: why it cannot take part, or None.
      failed: whether it failed, other than by saying that it does not serve.
    """

    name: str
    kind: str
    difference: float | None = None
    obstacle: str | None = None
    failed: bool = False

    def wrong(self) -> bool:
        """Whether one of ours fails or computes something else; peers are left out, whatever they do."""
        different = self.difference is not None and self.obstacle is not None
        return (different or self.failed) and self.kind != "peer"


def small(rule: Rule, dtype: str) -> Start:
    """A few leaves, and different gradients at each step."""
    shapes = [square(size) if rule.unfactored else (size,) for size in _SIZES]
    return start(rule, shapes, dtype, turns=_STEPS)


def trial(entry: Entry, given: Start) -> Trial:
    """Takes a few steps and compares the parameters with the reference."""
    try:
        contender = entry.make(given)
        for _ in range(_STEPS):
            contender.prepare()
            contender.step()
        other = _another_engine(entry, contender.explained())
        if other:
            return Trial(entry.name, entry.kind, None, other)
        found = contender.result()
    except Exception as error:  # a contender that cannot is left out, and the table says why
        return Trial(
            entry.name, entry.kind, None, _first_line(error), not isinstance(error, (ValueError, ImportError))
        )
    return _judged(entry, given, found)


def _judged(entry: Entry, given: Start, found: list[Any] | None) -> Trial:
    if found is None:
        return Trial(entry.name, entry.kind)
    difference = _difference(found, reference(given.rule.name, given.dtype), _FEW if given.rule.jumps else 0)
    bound = TOLERANCE[given.dtype]
    obstacle = None if difference <= bound else f"differs from the reference by {difference:.1e}, over {bound:g}"
    return Trial(entry.name, entry.kind, difference, obstacle)


def _another_engine(entry: Entry, explained: dict[str, Any]) -> str | None:
    if entry.engine is None or explained.get("engine") in (None, entry.engine):
        return None
    return f"the engine {explained['engine']} ran instead: {explained['reason']}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


@cache
def reference(name: str, dtype: str) -> list[Any]:
    """The parameters after the same steps on NumPy in float64, from the same rounded values."""
    given = small(RULES[name], dtype)
    tx = given.rule.ours()
    step = eager(tx)
    params: Any = [x.astype(np.float64) for x in given.params]
    state = tx.init(params)
    for grads in given.turns:
        params, state = step(params, [g.astype(np.float64) for g in grads], state)
    return list(params)


def _difference(found: list[Any], expected: list[Any], few: float) -> float:
    """The largest but for a few; NaN counts as infinite."""
    with np.errstate(all="ignore"):
        apart = np.concatenate([_apart(a, b) for a, b in zip(found, expected, strict=True)])
    largest = max(float(np.max(np.abs(b))) for b in expected)
    worst = float(np.quantile(apart, 1 - few))
    return worst / largest if np.isfinite(worst) else float("inf")


def _apart(found: Any, expected: Any) -> Any:
    return np.abs(found.astype(np.float64) - expected).ravel()
