"""What the suite costs, by test, rule and law: ``pytest --arrayopt-costs``.

In seconds of a processor, its own and those of processes it starts, which do not depend on who else is at work.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from functools import cache
from typing import Any

import pytest

NAME = "cost"  # of the property that a report carries it in
GROUPS = ("test", "rule", "law", "library")
SHOWN = 40  # lines of a group


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Notes what the test took."""
    before = _spent()
    try:
        return (yield)
    finally:
        item.user_properties.append((NAME, f"{_spent() - before:.4f}"))


def _spent() -> float:
    return sum(os.times()[:4])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table: what each group took in all, the dearest first."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports if _is_call(report)]
    costs = [(report.nodeid, float(dict(report.user_properties)[NAME])) for report in reports]
    for group in GROUPS:
        found = totals(group, costs)
        terminalreporter.section(f"processor seconds by {group}")
        dearest = sorted(found.items(), key=lambda pair: -pair[1])[:SHOWN]
        for name, total in [*dearest, ("all of these", sum(found.values()))]:
            terminalreporter.write_line(f"{total:9.2f}  {name}")


def totals(group: str, costs: list[tuple[str, float]]) -> dict[str, float]:
    """What each test, rule, law or library took, by its name, of costs by node id."""
    found: dict[str, float] = {}
    for nodeid, cost in costs:
        name = _of(group, nodeid)
        if name:
            found[name] = found.get(name, 0.0) + cost
    return found


def _is_call(report: Any) -> bool:
    return isinstance(report, pytest.TestReport) and NAME in dict(report.user_properties) and report.when == "call"


def _of(group: str, nodeid: str) -> str:
    """Which of a group the test belongs to; empty if to none."""
    test, _, parts = nodeid.rstrip("]").partition("[")
    return test if group == "test" else next((part for part in parts.split("-") if part in _members(group)), "")


@cache
def _members(group: str) -> set[str]:
    from arrayopt_conformance.laws import laws
    from arrayopt_conformance.libraries import libraries
    from arrayopt_conformance.rules import everybody

    found: dict[str, list[Any]] = {"rule": everybody(), "law": laws(), "library": [*libraries()]}
    return {str(each) for each in found[group]}
