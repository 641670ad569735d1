"""Every example runs: those of the README and the pages, each from top to bottom, and those of the docstrings."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import SkipTest

import pytest

pytest.importorskip("sybil")

from sybil import Document, Example, Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.evaluators.python import PythonEvaluator
from sybil.example import SybilFailure
from sybil.parsers.abstract import DocTestStringParser
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from arrayopt.dispatch import backend_named

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

script, session = PythonEvaluator(), DocTestEvaluator()


def has(*modules: str) -> bool:
    """Whether modules are installed: pages ask this in their skip comments."""
    return all(importlib.util.find_spec(module) is not None for module in modules)


def works(library: str) -> bool:
    """Whether an array library computes here."""
    return backend_named(library).missing() is None


def prompts(text: str, document: Document, line: int, names: dict[str, Any]) -> None:
    """Runs a session of ``>>>`` prompts that begins at a line of a document.

    Raises:
      SybilFailure: something else was printed than is written.
    """
    for part in DocTestStringParser(session)(text, document.path):
        example = Example(document, line + part.parsed.lineno, 1, part, names)
        different = session(example)
        if different:
            raise SybilFailure(example, different)


def block(example: Example) -> None:
    """Runs a fenced block of Python: a script, or a session with prompts."""
    if example.parsed.startswith(">>>"):
        prompts(example.parsed, example.document, example.line + 1, example.namespace)
    else:
        script(example)


def blocks(document: Document) -> Iterator[Region]:
    """The fenced blocks of Python on a page."""
    yield from CodeBlockParser("python", block)(document)


markdown = Sybil([blocks, SkipParser()])


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module for the names of a page: what it defines can be pickled, as from a file of the reader's own."""
    found = ModuleType(name)
    found.__dict__.update(has=has, works=works)
    monkeypatch.setitem(sys.modules, name, found)
    return found


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_the_page_runs(
    path: Path, record_property: Callable[[str, Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = markdown.parse(path)
    page.namespace = module(f"page_{path.stem}", monkeypatch).__dict__
    for example in page.examples():
        try:
            example.evaluate()
        except SkipTest as reason:
            record_property("skipped", f"line {example.line}: {reason}")


def docstrings() -> Iterator[Any]:
    """Every docstring of the core that has prompts: file, first line, text."""
    for path in sorted((ROOT / "arrayopt").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body:
                text, name = ast.get_docstring(node, clean=False) or "", getattr(node, "name", "")
                if ">>> " in text:
                    yield pytest.param(path, node.body[0].lineno, text, id=f"{relative(path)}:{name}")


@pytest.mark.parametrize(("path", "line", "text"), list(docstrings()))
def test_the_docstring_runs(path: Path, line: int, text: str) -> None:
    prompts(text, Document(text, str(path)), line, {})
