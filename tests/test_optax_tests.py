"""Optax's own tests pass with arrayopt's functions in place; and they would notice if something were wrong."""

from __future__ import annotations

import importlib.util

import pytest

pytest.importorskip("optax")
pytest.importorskip("jax")

from arrayopt_conformance.optax_tests.__main__ import told
from arrayopt_conformance.optax_tests.groups import EXCUSED, GROUPS
from arrayopt_conformance.optax_tests.run import folder, run, together

ROOT = folder()


def files() -> list[tuple[str, str]]:
    """Every file of the groups that must pass."""
    required = {name: group for name, group in GROUPS.items() if group.required}
    return [(name, path) for name, group in required.items() for path in group.paths(ROOT)]


def parts() -> dict[str, list[tuple[str, str]]]:
    """The files by processes, which take about as long: in each JAX is started and its operations compiled once."""
    found: dict[str, list[tuple[str, str]]] = {"segmentation": [], "losses": [], "others": []}
    for name, path in files():
        part = "segmentation" if "segmentation" in path else "losses" if name == "losses" else "others"
        found[part].append((name, path))
    return {part: held for part, held in found.items() if held}


needs_tests = pytest.mark.skipif(not files(), reason="this Optax came without its tests")


@pytest.mark.parametrize("part", parts())
def test_the_tests_of_optax_pass(part: str) -> None:
    found = together(parts()[part])
    assert not sum([ran.bad() for ran in found]), "\n".join([line for ran in found for line in told(ran.path, ran)])
    assert all([ran.outcomes()["passed"] for ran in found])


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
