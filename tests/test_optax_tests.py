"""Optax's own tests pass with arrayopt's functions in place; and they would notice if something were wrong."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

pytest.importorskip("optax")
pytest.importorskip("jax")

from arrayopt_conformance.optax_tests.__main__ import told
from arrayopt_conformance.optax_tests.groups import EXCUSED, GROUPS
from arrayopt_conformance.optax_tests.run import folder, run

ROOT = folder()


def files() -> Iterator[tuple[str, str]]:
    """Every file of the groups that must pass."""
    for name, group in GROUPS.items():
        if group.required:
            yield from [(name, path) for path in group.paths(ROOT)]


needs_tests = pytest.mark.skipif(not list(files()), reason="this Optax came without its tests")


@pytest.mark.parametrize(("group", "path"), list(files()))
def test_the_tests_of_optax_pass(group: str, path: str) -> None:
    ran = run(group, path)
    assert not ran.bad(), "\n".join(told(path, ran))
    assert ran.outcomes()["passed"]


@needs_tests
def test_a_wrong_function_is_noticed() -> None:
    ran = run("schedules", "schedules/_join_test.py", wrong="schedules.join_schedules")
    assert list(ran.outcomes()["failed"]) == ["JoinTest::test_join_schedules"]
    assert ran.bad() == 1


@needs_tests
def test_a_missing_name_is_told_of() -> None:
    ran = run("clipping", "transforms/_clipping_test.py", match="adaptive")
    assert "transforms.adaptive_grad_clip" in ran.missing
    without = ran.outcomes()["without"]
    assert without and all(["arrayopt has no transforms.adaptive_grad_clip." in said for said in without.values()])


@needs_tests
def test_what_is_excused_exists() -> None:
    for test in EXCUSED:
        path, kind, name = test.split("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert f"class {kind}(" in text and name.split("_")[0] in text
    assert importlib.util.find_spec("arrayopt_conformance.optax_tests.__main__")
