"""One test file run, and its outcomes beside the list of excuses."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from arrayopt_conformance.optax_tests.groups import ABSENT, EXCUSED

LIMIT = 1200  # seconds for one file


@dataclass
class Ran:
    """What came of one file.

    Attributes:
      path: of the file, within Optax.
      seconds: that it took.
      tests: by name, the outcome ("passed", "skipped", "failed") and what was said.
      missing: names that arrayopt lacks.
      died: what the process said when it ended without an answer.
    """

    path: str
    seconds: float = 0.0
    tests: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    missing: list[str] = field(default_factory=list[str])
    died: str = ""

    def outcomes(self) -> dict[str, dict[str, str]]:
        """The tests and what they said, by outcome.

        Those that failed may be "excused", with the reason, or "without" a name that is missing; those that are
        excused and pass are "outdated".
        """
        found: dict[str, dict[str, str]] = {
            what: {} for what in ("passed", "skipped", "failed", "excused", "outdated", "without")
        }
        for name, test in self.tests.items():
            reason, what = excuse(f"{self.path}::{name}"), test["outcome"]
            if reason and what != "skipped":
                what = "excused" if what == "failed" else "outdated"
            elif what == "failed" and ABSENT in test["said"]:
                what = "without"
            found[what][name] = reason or test["said"]
        return found

    def bad(self) -> int:
        """The number of things that must not be."""
        found = self.outcomes()
        wrong = sum([len(found[what]) for what in ("failed", "outdated", "without")])
        return wrong + len(self.missing) + bool(self.died)


def excuse(test: str) -> str:
    """Why a test need not pass; empty if it must."""
    return next((reason for pattern, reason in EXCUSED.items() if fnmatch(test, pattern)), "")


def folder() -> Path:
    """Where Optax is installed.

    Raises:
      ModuleNotFoundError: it is not.
    """
    spec = importlib.util.find_spec("optax")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("optax_tests: Optax is not installed; pip install optax.")
    return Path(spec.origin).parent


def run(group: str, path: str, match: str = "", wrong: str = "") -> Ran:
    """Runs one file in a process of its own.

    Args:
      group: whose names are put in place.
      path: of the file, within Optax.
      match: only tests with this in their names.
      wrong: a function of arrayopt to make wrong first.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        answer = Path(place, "answer.json")
        command = [sys.executable, "-m", "arrayopt_conformance.optax_tests.child", group, path, str(answer)]
        try:
            done = subprocess.run(
                [*command, match, wrong], capture_output=True, text=True, check=False, timeout=LIMIT
            )
        except subprocess.TimeoutExpired:
            return Ran(path, time.monotonic() - begun, died=f"TimeoutError: stopped after {LIMIT} s")
        seconds = time.monotonic() - begun
        if not answer.exists():
            return Ran(path, seconds, died=done.stderr[-4000:] or f"exit {done.returncode}")
        found = json.loads(answer.read_text(encoding="utf-8"))
        return Ran(path, seconds, found["tests"], found["missing"])
