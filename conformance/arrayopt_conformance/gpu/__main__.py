"""The command: each part in a process of its own, so that a device that is lost takes no other part with it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

from arrayopt_conformance.gpu.checkout import announce

SHARES = {"right": 0.4, "odd": 0.2, "waiting": 0.3, "speed": 1.0, "rest": 1.0}
"""The parts, and how much each may take of the time that is left; ``rest`` goes on where ``right`` was stopped."""


def main(argv: list[str] | None = None) -> int:
    """Runs the parts, and writes what came of them as it comes."""
    given = _arguments(argv)
    if given.part:
        return _part(given)
    deadline = time.monotonic() + 60 * given.minutes
    report = Report(Path(given.json))
    for name in [name for name in SHARES if given.only in (None, name)]:
        left = deadline - time.monotonic()
        if left > 5 or given.only:
            _in_processes(given, name, left * (SHARES[name] if given.only is None else 1.0), report)
    print(report.summary())
    return int(bool(report.write()["failed"]))


def _arguments(argv: list[str] | None) -> Any:
    parser = argparse.ArgumentParser(prog="python -m arrayopt_conformance.gpu", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0, help="when to stop")
    parser.add_argument("--json", default="gpu.json", help="where the results go")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, by way of g++; from a checkout")
    parser.add_argument("--only", choices=list(SHARES), help="one part")
    parser.add_argument("--match", default="", help="only cases with this in their names")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


class Report:
    """What came of each case, in lines that the processes add to, and as one file."""

    def __init__(self, path: Path) -> None:
        self.path, self.lines = path, path.with_suffix(".lines")
        self.lines.write_text("")
        self.notes: dict[str, Any] = {}

    def write(self) -> dict[str, Any]:
        """Puts the lines together."""
        cases: dict[str, Any] = {}
        for line in self.lines.read_text().splitlines():
            entry = json.loads(line)
            cases[entry.pop("case")] = entry
        found = {
            "notes": self.notes,
            "failed": [k for k, v in cases.items() if v.get("ok") is not True],
            "cases": cases,
        }
        partial = self.path.with_suffix(".part")
        partial.write_text(json.dumps(found, indent=1))
        os.replace(partial, self.path)
        return found

    def summary(self) -> str:
        """The failures, each by its last line, and the ratios of times."""
        found = self.write()
        cases: dict[str, Any] = found["cases"]
        failures = [
            f"FAILED {name}: {cases[name].get('error', 'the process died').strip().splitlines()[-1][:300]}"
            for name in found["failed"]
        ]
        told = [f"{name}: {_told(v['result'])}" for name, v in cases.items() if v.get("ok") and _is_told(v)]
        return "\n".join([*told, *failures, f"{len(cases)} cases, {len(failures)} failed"])


def _is_told(entry: dict[str, Any]) -> bool:
    return entry.get("part") not in ("right", "rest")  # there are hundreds of those, and they say nothing else


def _told(result: Any) -> Any:
    if not isinstance(result, dict):
        return result
    table = cast("dict[str, Any]", result)
    return table.get("ratios", table)


def _in_processes(given: Any, name: str, seconds: float, report: Report) -> None:
    """A part, in another process as often as the device is lost, and no longer than it may take."""
    end = time.monotonic() + seconds
    for attempt in range(6):
        left = end - time.monotonic()
        if left < 2:
            return
        command = [sys.executable, "-m", "arrayopt_conformance.gpu", "--part", name, "--seconds", str(left)]
        command += ["--json", str(report.path), "--match", given.match, *(["--rehearse"] if given.rehearse else [])]
        begun = time.monotonic()
        try:
            code: int | str = subprocess.run(command, timeout=left + 20, check=False).returncode
        except subprocess.TimeoutExpired:
            code = "stopped"
        report.notes[f"{name}, process {attempt}"] = f"{time.monotonic() - begun:.1f} s, exit {code}"
        report.write()
        if code in (0, "stopped"):
            return


# -- in a process of its own -------------------------------------------------------------------------------------


def _part(given: Any) -> int:
    from arrayopt_conformance.gpu.part import run_part

    end = time.monotonic() + given.seconds
    return run_part(given.part, Path(given.json), end, given.match, given.rehearse)


if __name__ == "__main__":
    announce()
    sys.exit(main())
