"""The command: each file in a process of its own, and what came of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from arrayopt_conformance.optax_tests.groups import GROUPS
from arrayopt_conformance.optax_tests.run import Ran, folder, run


def main(argv: list[str] | None = None) -> int:
    """Runs the groups named, by default those that must pass.

    Returns:
      0 if all passed that must, 1 otherwise, 2 if this Optax came without tests.
    """
    given = _arguments(argv)
    root, bad = folder(), 0
    if not any([group.paths(root) for group in GROUPS.values()]):
        print(f"optax_tests: the Optax in {root} came without its tests.", file=sys.stderr)
        return 2
    for name in given.group or [name for name, group in GROUPS.items() if group.required or given.all]:
        for path in GROUPS[name].paths(root):
            ran = run(name, path, given.match)
            print("\n".join(told(path, ran, given.trace)), flush=True)
            bad += ran.bad() if GROUPS[name].required else 0
    return int(bool(bad))


def _arguments(argv: list[str] | None) -> Any:
    parser = argparse.ArgumentParser(prog="python -m arrayopt_conformance.optax_tests", description=__doc__)
    parser.add_argument("group", nargs="*", choices=[*GROUPS, []], help=f"some of {', '.join(GROUPS)}")
    parser.add_argument("--all", action="store_true", help="also those that need not pass")
    parser.add_argument("--match", default="", help="only tests with this in their names")
    parser.add_argument("--trace", action="store_true", help="with the traceback of each failure")
    return parser.parse_args(argv)


def told(path: str, ran: Ran, trace: bool = False) -> list[str]:
    """A line of counts, and one for each test that failed, is excused or need no longer be."""
    counts = ", ".join([f"{len(tests)} {_counted(what)}" for what, tests in ran.outcomes().items() if tests])
    lines = [f"{Path(path)}: {counts or 'no tests'} ({ran.seconds:.1f} s)"]
    lines += [f"  missing   {', '.join(ran.missing)}"] if ran.missing else []
    if ran.died:
        lines.append(f"  died      {ran.died.strip() if trace else last(ran.died)}")
    for what in ("failed", "excused", "outdated"):
        for test, said in ran.outcomes()[what].items():
            lines.append(f"  {what:9} {test}: {said.strip() if trace and what == 'failed' else last(said)}")
    return lines


def _counted(what: str) -> str:
    return "failed for want of a name" if what == "without" else what


def last(said: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = [line for line in said.strip().splitlines() if line and not line.startswith((" ", "-", "For simplicity"))]
    errors = [line for line in lines if "Error" in line.split(":")[0]]
    return (errors or lines or [""])[-1][:200]


if __name__ == "__main__":
    sys.exit(main())
