"""One test file run, and its outcomes beside the list of excuses."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
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
      seconds: that its process took.
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
    return together([(group, path)], match, wrong)[0]


def together(files: Sequence[tuple[str, str]], match: str = "", wrong: str = "") -> list[Ran]:
    """Runs files, each with its group, in one process for all, where the names of all their groups are in place."""
    begun, limit = time.monotonic(), LIMIT * len(files)
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "arrayopt_conformance.optax_tests.child", place, match, wrong]
        try:
            done = subprocess.run(
                [*command, *[word for file in files for word in file]],
                capture_output=True,
                text=True,
                check=False,
                timeout=limit,
            )
            said = done.stderr[-4000:] or f"exit {done.returncode}"
        except subprocess.TimeoutExpired:
            said = f"TimeoutError: stopped after {limit} s"
        seconds = time.monotonic() - begun
        return [_answer(path, Path(place, f"{k}.json"), seconds, said) for k, (_, path) in enumerate(files)]


def _answer(path: str, answer: Path, seconds: float, said: str) -> Ran:
    """What the process wrote of a file, or said when it ended without."""
    if not answer.exists():
        return Ran(path, seconds, died=said)
    found = json.loads(answer.read_text(encoding="utf-8"))
    return Ran(path, seconds, found["tests"], found["missing"])
