"""The pytest plugin: ``pytest -p arrayopt_conformance.plugin --pyargs arrayopt_conformance``.

Not an entry point: it would be loaded into the pytest of everybody who installs arrayopt.
"""

from __future__ import annotations

import os
import sys

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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives tests that ask for a ``library`` or a ``rule`` one at a time."""
    if "library" in metafunc.fixturenames:
        from arrayopt_conformance.libraries import libraries

        chosen = metafunc.config.getoption("--arrayopt-backend") or list(libraries())
        found = [library for name, library in libraries().items() if name in chosen]
        metafunc.parametrize("library", found, ids=str)
    if "rule" in metafunc.fixturenames:
        from arrayopt_conformance.rules import rules

        metafunc.parametrize("rule", rules(), ids=str)
