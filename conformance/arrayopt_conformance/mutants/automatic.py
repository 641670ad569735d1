"""Mutants of every formula, made by rule: no list to be kept.

A formula is a function that a room hands to `lift`, one of the room's own that such a function calls, or one that
stands as a default; in a room of wrappers every function is changed. One place at a time is changed in its syntax
tree, and the function written out anew.
"""

from __future__ import annotations

import ast
import copy
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from arrayopt_conformance.mutants.engine import Mutant, judged, text_of, wrappers
from arrayopt_conformance.mutants.variants import VARIANTS, Node, Words, altered, called


class Change(NamedTuple):
    """One place of a formula, and what to put there."""

    title: str
    old: ast.AST
    new: ast.AST


@cache
def automatic() -> list[Mutant]:
    """Every automatic mutant, of all rooms."""
    return [mutant for room in judged() for mutant in mutants_of(room, text_of(room), bool(wrappers(room)))]


def mutants_of(room: str, text: str, wraps: bool = False) -> list[Mutant]:
    """Those of one room; of every function in it, if it is one of wrappers."""
    tree, found = ast.parse(text), dict[str, Mutant]()
    for function in functions(tree) if wraps else [*formulas(tree), *makers(tree)]:
        for change in changes(function, Words(_hyper(function), _imported(tree), wraps)):
            changed = _with(function, text, rebuilt(function, change.old, change.new))
            found.setdefault(changed, Mutant(room, f"{function.name}: {change.title}", changed))
    return list(found.values())


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    """Every function of a module, also those within functions."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def formulas(tree: ast.Module) -> list[ast.FunctionDef]:
    """The functions of a module that compute: handed to ``lift``, called by those, or standing as a default."""
    own = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    lifted = [node.args[1] for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) == "lift"]
    defaults = [node for function in own.values() for node in function.args.defaults]
    names = [node.id for node in [*lifted, *defaults] if isinstance(node, ast.Name) and node.id in own]
    for name in names:  # grows while it is read
        calls = {called(node) for node in ast.walk(own[name])}
        names += [helper for helper in own if helper in calls and helper not in names]
    return [own[name] for name in dict.fromkeys(names)]


def makers(tree: ast.Module) -> list[ast.FunctionDef]:
    """The functions that put transforms together: the update of a rule, and what calls ``chain``."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and (node.name == "update" or any(called(inner) == "chain" for inner in ast.walk(node)))
    ]


def _hyper(function: ast.FunctionDef) -> list[str]:
    """The keyword arguments that are numbers: those declared as Scalar."""
    return [a.arg for a in function.args.kwonlyargs if a.annotation and "Scalar" in ast.unparse(a.annotation)]


def _imported(tree: ast.Module) -> dict[str, str]:
    return {
        alias.asname or alias.name: alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "arrayopt.numerics"
        for alias in node.names
    }


def _with(function: ast.FunctionDef, text: str, changed: ast.FunctionDef) -> str:
    """The module's text with the changed function in the place of the function."""
    lines = text.splitlines(keepends=True)
    written = textwrap.indent(ast.unparse(changed), " " * function.col_offset)
    return "".join([*lines[: function.lineno - 1], written, "\n", *lines[function.end_lineno :]])


def rebuilt(node: Node, old: ast.AST, new: ast.AST) -> Node:
    """A copy of a syntax tree, with one node in the place of another."""
    return copy.deepcopy(node, {id(old): new})


def header(statement: ast.AST) -> str:
    """The statement, of an ``if`` its first line."""
    return ast.unparse(statement).splitlines()[0]


def changes(function: ast.FunctionDef, words: Words) -> Iterator[Change]:
    """Every change to a formula."""
    bound = {argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]}
    within = {inner for node in functions(function) if node is not function for inner in ast.walk(node)}
    parents = [node for node in ast.walk(function) if node is function or isinstance(node, (ast.If, ast.For))]
    parents = [node for node in parents if node not in within]
    for parent in parents:
        yield from _swaps(parent)
        for statement in [*getattr(parent, "body", []), *getattr(parent, "orelse", [])]:
            yield from _inside(statement, words)
            if isinstance(statement, ast.Assign):
                if _targets(statement) <= bound:
                    yield Change(f"{header(statement)} -> deleted", statement, ast.Pass())
                bound |= _targets(statement)
            elif isinstance(statement, ast.Expr) and "append" in header(statement):
                yield Change(f"{header(statement)} -> deleted", statement, ast.Pass())


def _targets(statement: ast.stmt) -> set[str]:
    """The names that a statement binds."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _swaps(parent: ast.AST) -> Iterator[Change]:
    """Neighbours in the other order, where the second reads what the first wrote, or overwrites what it read."""
    body: list[ast.stmt] = getattr(parent, "body", [])
    for i, (a, b) in enumerate(pairwise(body)):
        if isinstance(b, ast.Assign) and (_targets(a) & (_used(b) | _targets(b)) or _targets(b) & _used(a)):
            swapped = altered(parent, body=[*body[:i], b, a, *body[i + 2 :]])
            yield Change(f"{header(a)} <-> {header(b)}", parent, swapped)


def _inside(statement: ast.stmt, words: Words) -> Iterator[Change]:
    """Changes to the expressions of a statement; not to statements within it, annotations and checks of arguments."""
    nodes: list[ast.AST] = [] if isinstance(statement, (ast.Expr, ast.FunctionDef)) else [statement]
    for node in nodes:  # grows while it is read
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("checks."):
            continue
        skipped = node.annotation if isinstance(node, ast.AnnAssign) else None
        if isinstance(node, ast.Call) and called(node) == "isinstance":
            skipped = node.args[1]  # the order of types is nobody's business
        inner = [child for child in ast.iter_child_nodes(node) if child is not skipped]
        nodes += [child for child in inner if not isinstance(child, ast.stmt)]
        for variant in VARIANTS:
            for new in variant(node, words):
                after = header(rebuilt(statement, node, new))
                yield Change(f"{header(statement)} -> {after}", node, new)
