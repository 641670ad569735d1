"""Optax's test files in a process of their own, where Optax's functions can be made arrayopt's."""

from __future__ import annotations

import importlib
import json
import sys
import traceback
import unittest
import warnings
from pathlib import Path
from typing import Any

from arrayopt_conformance.optax_tests.groups import GROUPS
from arrayopt_conformance.optax_tests.names import put_in_place, put_wrong

Error = Any  # what sys.exc_info answers


class Outcomes(unittest.TestResult):
    """What came of each test: passed, skipped, or how it failed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str]] = {}

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._set(test, "passed")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._set(test, "skipped", reason)

    def addFailure(self, test: unittest.TestCase, err: Error) -> None:
        self._failed(test, err)

    def addError(self, test: unittest.TestCase, err: Error) -> None:
        self._failed(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Error | None) -> None:
        del subtest
        if err is not None:
            self._failed(test, err)

    def _failed(self, test: unittest.TestCase, err: Error) -> None:
        self._set(test, "failed", "".join(traceback.format_exception(*err)))

    def _set(self, test: unittest.TestCase, outcome: str, said: str = "") -> None:
        _, kind, name = f"..{test.id()}".rsplit(".", 2)
        self.found[f"{kind}::{name}"] = {"outcome": outcome, "said": said}


def main(place: str, match: str, wrong: str, *words: str) -> None:
    """Runs files and writes what came of each.

    Args:
      place: folder to write to, a file in JSON for each.
      match: only tests with this in their names.
      wrong: a function of arrayopt to make wrong first.
      words: the group whose names are put in place, and the path within Optax, of each file.
    """
    importlib.import_module("optax")
    if wrong:
        put_wrong(wrong)
    groups, paths = words[::2], words[1::2]
    missing = {group: put_in_place(GROUPS[group].namespace, GROUPS[group].names) for group in dict.fromkeys(groups)}
    for k, (group, path) in enumerate(zip(groups, paths, strict=True)):
        outcomes = Outcomes()
        chosen(path, match).run(outcomes)
        answer = json.dumps({"missing": missing[group], "tests": outcomes.found})
        Path(place, f"{k}.json").write_text(answer, encoding="utf-8")


def chosen(path: str, match: str) -> unittest.TestSuite:
    """The tests of a file that have this in their names."""
    importlib.import_module("absl.flags").FLAGS.mark_as_parsed()
    module = importlib.import_module("optax." + path.removesuffix(".py").replace("/", "."))
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    return unittest.TestSuite([test for test in _flat(suite) if match in test.id()])


def _flat(suite: unittest.TestSuite) -> list[unittest.TestCase]:
    found: list[unittest.TestCase] = []
    for test in suite:
        found += _flat(test) if isinstance(test, unittest.TestSuite) else [test]
    return found


if __name__ == "__main__":
    warnings.filterwarnings("error", module="arrayopt")
    main(*sys.argv[1:])
