"""``arrayopt bench``: how long a step takes, beside torch.optim, Optax, and the least that memory allows.

One process, one step of each contender in turn, arrays of its own for each, medians after a warm-up. Before anything
is timed, each contender's parameters are compared with a run in float64.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from arrayopt_conformance.bench import entrants, machine, once, picture, race, report, threads
from arrayopt_conformance.bench.check import Trial
from arrayopt_conformance.bench.rules import RULES, Rule


def run(args: argparse.Namespace) -> int:
    """Measures and prints what the command line asks for.

    Returns:
      0; 1 if one of ours fails or computes something else; 2 after one line on stderr if something is missing.
    """
    lacking = _lacking(args)
    if lacking:
        print(f"arrayopt bench: {lacking}", file=sys.stderr)
        return 2
    about = machine.described()
    with machine.confined(args.threads) as cores:
        return _Bench(args, cores, about | {"threads": cores}).run()


def _lacking(args: argparse.Namespace) -> str | None:
    if args.threads is not None and not machine.can_confine():
        return "--threads needs a system that can confine a process to some of its cores."
    narrow = any(workload.dtype == "bfloat16" for workload in args.workload)
    if narrow and find_spec("ml_dtypes") is None:
        return "needs ml_dtypes; pip install 'arrayopt[conformance]'."
    return None


class _Bench:
    """One run of the program, and all that came of it."""

    def __init__(self, args: argparse.Namespace, cores: int, about: dict[str, Any]) -> None:
        self.args = args
        self.plan = entrants.Plan(args.library, cores, args.rounds, args.eager, args.fresh_gradients)
        self.machine = about
        self.copied = threads.copied(cores)
        self.checks: list[dict[str, Any]] = []
        self.races: list[race.Race] = []
        self.once: list[once.Once] = []
        self.wrong: list[str] = []

    def run(self) -> int:
        """All rules; files are written also if something was wrong."""
        report.show(report.machine(self.machine, self.copied))
        for name in self.args.rule:
            self._rule(RULES[name])
        self._write()
        for line in self.wrong:
            print(f"arrayopt bench: {line}.", file=sys.stderr)
        return 1 if self.wrong else 0

    def _rule(self, rule: Rule) -> None:
        if "steps" in self.args.part:
            for dtype in dict.fromkeys(workload.dtype for workload in self.args.workload):
                self._steps(rule, dtype)
        if "once" in self.args.part:
            self._once(rule)

    def _steps(self, rule: Rule, dtype: str) -> None:
        tried = entrants.trials(rule, dtype, self.plan)
        found = [trial for _, trial in tried]
        self._note(rule, dtype, found)
        report.show(report.trials(rule.name, dtype, found))
        for workload in self.args.workload:
            if workload.dtype == dtype:
                result = race.race(rule, workload, self.plan, tried, self.copied)
                self.races.append(result)
                report.show(report.times(result))
                if result.ratios:
                    report.show(report.ratios(result))

    def _note(self, rule: Rule, dtype: str, found: list[Trial]) -> None:
        self.checks.extend({"rule": rule.name, "dtype": dtype, **asdict(trial)} for trial in found)
        self.wrong.extend(f"{rule.name}, {dtype}: {one.name}: {one.obstacle}" for one in found if one.wrong())

    def _once(self, rule: Rule) -> None:
        found = [once.measured(rule, entry) for entry in entrants.able(rule, self.plan)]
        self.once.extend(found)
        if found:
            report.show(report.once(found))

    def _write(self) -> None:
        if self.args.json is not None:
            Path(self.args.json).write_text(json.dumps(self._record(), indent=1) + "\n")
            print(f"Results: {self.args.json}")
        if self.args.plot is not None:
            picture.draw(self.races, self.args.plot)
            print(f"Ratios: {self.args.plot}")

    def _record(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "copy_bytes_per_second": self.copied,
            "plan": asdict(self.plan),
            "checks": self.checks,
            "races": [asdict(one) for one in self.races],
            "once": [asdict(one) for one in self.once],
        }
