"""Mutants of every formula, made by rule: no list to be kept.

A formula is a function that a room hands to `lift`, or one of the room's own that such a function calls. One place
at a time is changed in its syntax tree, and the function written out anew.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple, TypeVar

from arrayopt_conformance.mutants.engine import Mutant, judged, text_of

STEPS = ("t", "k")  # how formulas call the step

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}
COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.GtE, ast.LtE],
    ast.LtE: [ast.Gt, ast.Lt],
    ast.Gt: [ast.LtE, ast.GtE],
    ast.GtE: [ast.Lt, ast.Gt],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}


Node = TypeVar("Node", bound=ast.AST)


class Words(NamedTuple):
    """What the names in a formula mean."""

    hyper: list[str]  # its float hyper-parameters
    numerics: dict[str, str]  # a name for a word of arrayopt.numerics, and the word


class Change(NamedTuple):
    """One place of a formula, and what to put there."""

    title: str
    old: ast.AST
    new: ast.AST


@cache
def automatic() -> list[Mutant]:
    """Every automatic mutant, of all rooms."""
    return [mutant for room in judged() for mutant in _mutants_of(room)]


def _mutants_of(room: str) -> list[Mutant]:
    text, found = text_of(room), dict[str, Mutant]()
    tree = ast.parse(text)
    for function in formulas(tree):
        for change in changes(function, Words(_hyper(function), _imported(tree))):
            changed = _with(function, text, rebuilt(function, change.old, change.new))
            found.setdefault(changed, Mutant(room, f"{function.name}: {change.title}", changed))
    return list(found.values())


def formulas(tree: ast.Module) -> list[ast.FunctionDef]:
    """The functions of a module that are handed to ``lift``, and those they call."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found = [
        functions[node.args[1].id]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _called(node) == "lift" and isinstance(node.args[1], ast.Name)
    ]
    for function in found:  # grows while it is read
        calls = [functions.get(_called(node)) for node in ast.walk(function) if isinstance(node, ast.Call)]
        found += [helper for helper in calls if helper and helper not in found]
    return found


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


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


def _with(function: ast.FunctionDef, text: str, changed: Any) -> str:
    """The module's text with the changed function in the place of the function."""
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: function.lineno - 1], ast.unparse(changed), "\n", *lines[function.end_lineno :]])


def rebuilt(node: Any, old: ast.AST, new: ast.AST) -> Any:
    """A copy of a syntax tree, with one node in the place of another."""
    if node is old:
        return new
    if isinstance(node, list):
        return [rebuilt(item, old, new) for item in node]
    if isinstance(node, ast.AST):
        return altered(node, **{name: rebuilt(value, old, new) for name, value in ast.iter_fields(node)})
    return node


def altered(node: Node, **fields: Any) -> Node:
    """A copy of a node with other fields."""
    return ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), **fields}), node)


def header(statement: ast.AST) -> str:
    """The statement, of an ``if`` its first line."""
    return ast.unparse(statement).splitlines()[0]


# -- statements ---------------------------------------------------------------------------------------------


def changes(function: ast.FunctionDef, words: Words) -> Iterator[Change]:
    """Every change to a formula."""
    bound = {argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]}
    for parent in [function, *[node for node in ast.walk(function) if isinstance(node, ast.If)]]:
        yield from _swaps(parent)
        for statement in [*parent.body, *getattr(parent, "orelse", [])]:
            yield from _inside(statement, words)
            if isinstance(statement, ast.Assign):
                if _targets(statement) <= bound:
                    yield Change(f"{header(statement)} -> deleted", statement, ast.Pass())
                bound |= _targets(statement)


def _targets(statement: ast.stmt) -> set[str]:
    """The names that a statement binds."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _swaps(parent: ast.FunctionDef | ast.If) -> Iterator[Change]:
    """Neighbours in the other order, where the second reads what the first wrote, or overwrites what it read."""
    for i, (a, b) in enumerate(zip(parent.body, parent.body[1:], strict=False)):
        if isinstance(b, ast.Assign) and (_targets(a) & (_used(b) | _targets(b)) or _targets(b) & _used(a)):
            swapped = altered(parent, body=[*parent.body[:i], b, a, *parent.body[i + 2 :]])
            yield Change(f"{header(a)} <-> {header(b)}", parent, swapped)


def _inside(statement: ast.stmt, words: Words) -> Iterator[Change]:
    """Changes to the expressions of a statement, those of statements within it left out."""
    nodes: list[ast.AST] = [statement]
    for node in nodes:  # grows while it is read
        nodes += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]
        for variant in VARIANTS:
            for new in variant(node, words):
                after = header(rebuilt(statement, node, new))
                yield Change(f"{header(statement)} -> {after}", node, new)


# -- expressions ----------------------------------------------------------------------------------------------


def _operator(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """+ ↔ −, × ↔ ÷, power to product."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield altered(node, op=OPERATORS[type(node.op)]())


def _name(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """One hyper-parameter for another, the next step for this one."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        if node.id in words.hyper:
            yield from [altered(node, id=other) for other in words.hyper if other != node.id]
        if node.id in STEPS:
            yield ast.BinOp(node, ast.Add(), ast.Constant(1))


def _constant(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """Another number, the other switch."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield altered(node, value=not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield altered(node, value=node.value + 1)
        yield altered(node, value=node.value - 1)


def _comparison(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """The opposite, and the bound itself on the other side."""
    if isinstance(node, ast.Compare):
        for other in COMPARISONS.get(type(node.ops[0]), []):
            yield altered(node, ops=[other()])


def _switch(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """The other branch."""
    if isinstance(node, (ast.If, ast.IfExp)) and not isinstance(node.test, ast.Compare):
        yield altered(node, test=ast.UnaryOp(ast.Not(), node.test))


def _call(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """A word dropped, and the first of two alike arguments in the place of the second."""
    word = words.numerics.get(_called(node)) if isinstance(node, ast.Call) else None
    if word is None or not isinstance(node, ast.Call):
        return
    yield node.args[1] if word == "where" else node.args[0]
    if word == "ema":
        yield altered(node, args=[node.args[1], node.args[0], *node.args[2:]])
    if word == "where":
        yield altered(node, args=[node.args[0], node.args[2], node.args[1]])


def _order(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """Neighbours of a tuple in the other order."""
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        for i in range(len(node.elts) - 1):
            elements = [*node.elts[:i], node.elts[i + 1], node.elts[i], *node.elts[i + 2 :]]
            if ast.dump(node.elts[i]) != ast.dump(node.elts[i + 1]):
                yield altered(node, elts=elements)


def _sign(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """No minus."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand


VARIANTS: list[Callable[[ast.AST, Words], Iterator[ast.AST]]] = [
    *[_operator, _name, _constant, _comparison, _switch, _call, _order, _sign]
]
