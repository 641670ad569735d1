"""The pytest plugin: ``pytest -p arrayopt_conformance.plugin --pyargs arrayopt_conformance``.

Not an entry point: it would be loaded into the pytest of everybody who installs arrayopt.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

import pytest

if "jax" not in sys.modules:  # before JAX is imported anywhere: four CPU devices, to shard over
    os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the choice of libraries."""
    group = parser.getgroup("arrayopt")
    group.addoption(
        "--arrayopt-backend",
        action="append",
        default=[],
        metavar="NAME",
        help="run the conformance suite on this array library only (may be repeated; default: all that compute here)",
    )
    group.addoption(
        "--arrayopt-costs",
        action="store_true",
        help="print what each test, rule, law and library took of the processor",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Notes what tests take, if that is asked for."""
    if config.getoption("--arrayopt-costs"):
        from arrayopt_conformance import costs

        config.pluginmanager.register(costs)


def pytest_collection_finish() -> None:
    """Takes what libraries brought with them out of the garbage collector's sight: it is much, and stays."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives tests that ask for a ``library`` or a ``rule`` one at a time."""
    if _asked_for(metafunc, "library"):
        metafunc.parametrize("library", _libraries(metafunc.config), ids=str)
    if _asked_for(metafunc, "rule"):
        from arrayopt_conformance.rules import everybody

        metafunc.parametrize("rule", everybody(), ids=str)


def _asked_for(metafunc: pytest.Metafunc, name: str) -> bool:
    """Whether a test wants a fixture that it does not define or parametrize itself."""
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    names = [word.strip() for names in own for word in (names.split(",") if isinstance(names, str) else names)]
    defined: object = getattr(metafunc, "_arg2fixturedefs", {}).get(name)
    return name in metafunc.fixturenames and name not in names and not defined


def _libraries(config: pytest.Config) -> list[Any]:
    """The libraries chosen on the command line, else all."""
    from arrayopt_conformance.libraries import libraries

    chosen: list[str] = config.getoption("--arrayopt-backend") or list(libraries())
    for name in chosen:
        if name not in libraries():
            raise pytest.UsageError(f"--arrayopt-backend: must be one of {', '.join(libraries())}; got {name}.")
    return [libraries()[name] for name in dict.fromkeys(chosen)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the mutation scores, and every figure that a test recorded under the name ``figure``."""
    recorded = [
        (name, str(value))
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in report.user_properties
    ]
    for title, lines in {
        "mutants killed": _scores([value for name, value in recorded if name == "mutant"]),
        "figures": sorted([value for name, value in recorded if name == "figure"]),
    }.items():
        if lines:
            terminalreporter.section(title)
            terminalreporter.write_line("\n".join(lines))


def _scores(fates: list[str]) -> list[str]:
    """A line for each room, and a total: ``adam 7/7 named, 80/80 automatic``."""
    split = [fate.split() for fate in fates]
    rooms = [*sorted({room for room, _, _ in split}), "total"] if fates else []
    kinds = ("named", "automatic")
    return [f"{room:14}" + ", ".join(filter(None, [_score(room, kind, split) for kind in kinds])) for room in rooms]


def _score(room: str, kind: str, fates: list[list[str]]) -> str:
    found = [fate for where, what, fate in fates if what == kind and room in (where, "total")]
    alike = found.count("equivalent")
    score = f"{found.count('killed')}/{len(found) - alike} {kind}"
    return "" if not found else f"{score} ({alike} equivalent)" if alike else score
