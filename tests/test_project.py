"""The project's own rules: layers, names, types, lint, packaging, and what an import brings along."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import arrayopt

ROOT = Path(__file__).parents[1]
TOP = {"pyproject.toml", "README.md", "LICENSE", "arrayopt", "backends", "tests", "conformance", "docs"}


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=900)  # not forever
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def need(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


def config() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_layers() -> None:
    need("importlinter")
    run(sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())")


def test_lint() -> None:
    need("ruff")
    run(sys.executable, "-m", "ruff", "check", ".")
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


@cache
def type_errors(*command: str) -> list[str]:
    """What a type checker says of the project, a user's script among it: what both import is read once."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=900
    )
    found = [line for line in done.stdout.splitlines() if " error: " in line]
    assert (done.returncode == 0) == (not found), done.stdout + done.stderr
    return found


SCRIPT = "tests/script_of_a_user.py"
MYPY = ("mypy", "arrayopt", "backends", "conformance/arrayopt_conformance", SCRIPT)
PYRIGHT = ("basedpyright", "--level", "error", "--pythonpath", sys.executable)


def test_types_by_mypy() -> None:
    need("mypy")
    found = type_errors(*MYPY)
    assert not found, "\n".join(found)


def test_types_by_pyright() -> None:
    need("basedpyright")
    found = type_errors(*PYRIGHT)
    assert not found, "\n".join(found)


def test_arrays_of_every_library_are_scalars_to_type_checkers() -> None:
    """In the script of a user. (Over one of NumPy's pyright came to no end, before `ScalarArray`.)"""
    for module in ("mypy", "basedpyright", "jax", "torch"):
        need(module)
    assert SCRIPT.split("/")[0] in config()["tool"]["pyright"]["include"] and (ROOT / SCRIPT).exists()
    found = [line for line in type_errors(*MYPY) + type_errors(*PYRIGHT) if SCRIPT in line]
    assert not found, "\n".join(found)


def test_the_wheel_has_every_package() -> None:
    listed = config()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    folders = [
        path.parent for path in ROOT.glob("*/*/__init__.py") if path.parent.parent.name in ("backends", "conformance")
    ]
    found = ["arrayopt", *sorted(str(folder.relative_to(ROOT)) for folder in folders)]
    assert sorted(listed) == sorted(found)
    for package in listed:
        assert (ROOT / package / "py.typed").exists()


def test_every_backend_is_announced() -> None:
    points = config()["project"]["entry-points"]
    announced = {place.split(":")[0] for group in points.values() for place in group.values()}
    folders = {path.name for path in (ROOT / "backends").iterdir() if path.is_dir()} - {"__pycache__"}
    assert {module.split(".")[0] for module in announced} == folders
    assert {f"arrayopt_{name}" for name in points["arrayopt.backends"]} <= folders


def test_the_top_level_is_as_agreed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    names = {line.split("/")[0] for line in tracked.splitlines()}
    assert {name for name in names if not name.startswith(".")} <= TOP


IMPORT_ALONE = """
import sys
import arrayopt
heavy = {"numpy", "torch", "jax", "cupy", "scipy", "optax", "rich", "matplotlib", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""


def test_an_import_brings_no_array_library() -> None:
    run(sys.executable, "-c", IMPORT_ALONE)


def modules() -> list[Any]:
    names = [m.name for m in pkgutil.walk_packages(arrayopt.__path__, "arrayopt.") if not m.name.endswith("__main__")]
    return [arrayopt, *[importlib.import_module(name) for name in names]]


def public(module: Any) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in vars(module).items() if not name.startswith("_")]


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_every_public_thing_says_what_it_is(module: Any) -> None:
    assert module.__doc__
    for name, value in public(module):
        ours = getattr(value, "__module__", "") == module.__name__
        if ours and (inspect.isfunction(value) or inspect.isclass(value)):
            assert inspect.getdoc(value), f"{module.__name__}.{name}"


SECTIONS = ("Args:", "Returns:", "Raises:", "Example:")


def factories() -> list[tuple[str, Any]]:
    everything = [*public(arrayopt), *public(arrayopt.contrib)]
    return [
        (name, value)
        for name, value in everything
        if inspect.isfunction(value) and "GradientTransformation" in str(value.__annotations__.get("return", ""))
    ]


@pytest.mark.parametrize(("name", "make"), factories(), ids=lambda x: x if isinstance(x, str) else "")
def test_every_transform_is_documented_in_full(name: str, make: Any) -> None:
    doc = inspect.getdoc(make) or ""
    arguments = list(inspect.signature(make).parameters)
    for section in SECTIONS if arguments and name != "with_extra_args_support" else ("Returns:", "Example:"):
        assert section in doc, f"{name}: {section}"
    for argument in arguments:
        assert f"{argument}:" in doc, f"{name}: {argument}"
    if "arrayopt.optimizers" in make.__module__:
        assert "Source:" in doc, name


def test_contents_are_exports() -> None:
    """A table of contents says ``X as X`` of everything, so that type checkers see it as public."""
    for path in (ROOT / "arrayopt").rglob("__init__.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    assert alias.asname == alias.name, f"{path}: {alias.name}"


def test_cupy_has_every_function_that_the_core_asks_for() -> None:
    """CuPy needs a GPU to compute, not to be asked what it knows."""
    need("cupy")
    from array_api_compat import cupy as xp

    from arrayopt.types import Namespace

    asked = [name for name in (*vars(Namespace), *Namespace.__annotations__) if not name.startswith("_")]
    assert len(asked) > 25
    assert [name for name in asked if not hasattr(xp, name)] == []


def test_the_core_asks_for_nothing_else() -> None:
    """Every ``xp.name`` and ``namespace(x).name`` in the core stands in the Namespace protocol."""
    from arrayopt.types import Namespace

    known = set(vars(Namespace)) | set(Namespace.__annotations__)
    for path in (ROOT / "arrayopt").rglob("*.py"):
        if "demo" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and _is_namespace(node.value):
                assert node.attr in known, f"{path.name}: {node.attr}"


def _is_namespace(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "namespace"
    return isinstance(node, ast.Name) and node.id == "xp"
