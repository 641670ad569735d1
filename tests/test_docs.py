"""The documentation builds, shows every public name, and links to what exists; its commands are those tested."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import arrayopt

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


# -- the site ------------------------------------------------------------------------------------------------


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "docs/mkdocs.yml", "-d", str(tmp_path)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # Material's announcement of its successor
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    assert (tmp_path / "api" / "optimizers.html").exists()
    assert (tmp_path / "contributing.html").exists()


def test_the_curves_are_those_of_the_losses() -> None:
    spec = importlib.util.spec_from_file_location("curves", DOCS / "curves.py")
    assert spec is not None and spec.loader is not None
    curves = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(curves)
    for file, text in curves.pictures().items():
        assert file.read_text(encoding="utf-8") == text, f"python docs/curves.py draws another {file.name}"


# -- the reference -------------------------------------------------------------------------------------------


def shown() -> Iterator[Any]:
    """Every object that a page of the reference shows."""
    for page in sorted((DOCS / "pages" / "api").glob("*.md")):
        for path, options in re.findall(r"^::: (\S+)\n((?:    .*\n|\n)*)", page.read_text(encoding="utf-8"), re.M):
            thing = found(path)
            yield thing
            if inspect.ismodule(thing) and "members: false" not in options:
                listed = re.search(r"members:\s*((?:\[[^\]]*\])|(?:\n\s+- \w+)+)", options)
                names = re.findall(r"\w+", listed[1]) if listed else vars(thing)
                yield from [getattr(thing, name) for name in names if not name.startswith("_")]


def found(path: str) -> Any:
    """What a dotted path names: a module, or something in one."""
    if importlib.util.find_spec(path.split(".")[0]) is None:
        raise AssertionError(f"{path}: no such package")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    "module",
    [
        arrayopt,
        arrayopt.contrib,
        arrayopt.losses,
        arrayopt.projections,
        arrayopt.tree,
        arrayopt.tree_utils,
        arrayopt.schedules,
    ],
    ids=lambda m: m.__name__,
)
def test_every_public_name_is_on_a_page(module: Any) -> None:
    there = {id(thing) for thing in shown()}
    public = [
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value))
    ]
    assert len(public) > 3
    assert [name for name, value in public if id(value) not in there] == []


def test_no_name_is_shown_twice() -> None:
    paths = [
        path
        for page in (DOCS / "pages" / "api").glob("*.md")
        for path in re.findall(r"^::: (\S+)", page.read_text(), re.M)
    ]
    assert sorted(paths) == sorted(set(paths))


# -- links and commands --------------------------------------------------------------------------------------


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", prose(page)):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(file), f"{target}#{anchor}: there are {sorted(anchors(file))}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_is_reached() -> None:
    configured = (DOCS / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (DOCS / "pages").rglob("*.md"):
        assert page.relative_to(DOCS / "pages").as_posix() in configured
    index = (DOCS / "decisions" / "index.md").read_text(encoding="utf-8")
    for page in (DOCS / "decisions").glob("0*.md"):
        assert f"({page.name})" in index


def test_the_commands_of_the_readme_are_one_line_each() -> None:
    demo, tests = re.findall(r"^```bash\n(.*?)^```$", README, re.M | re.S)
    assert demo == "python3 -m venv .venv && .venv/bin/pip install '.[cli]' && .venv/bin/arrayopt demo\n"
    assert tests.count("\n") == 1
    assert "-c .ci/constraints.txt -e '.[test]'" in tests


def test_continuous_integration_runs_the_readme() -> None:
    script = ROOT / ".ci" / "run"
    pattern = re.search(r"grep .*-E '([^']+)' README\.md", script.read_text(encoding="utf-8"))
    assert pattern, "it takes the command from the README"
    _, tests = re.findall(r"^```bash\n(.*?)^```$", README, re.M | re.S)
    assert [line for line in README.splitlines() if re.search(pattern[1], line)] == tests.splitlines()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_extras_that_are_named_exist(page: Path) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extras in re.findall(r"(?:'\.|arrayopt)\[([\w,]+)\]", page.read_text(encoding="utf-8")):
        assert set(extras.split(",")) <= set(known)
