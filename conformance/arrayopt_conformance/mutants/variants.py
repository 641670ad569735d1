"""What to put in the place of an expression: each variant answers with the wrong ones that it knows for a node."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

STEPS = ("t", "k", "count", "count_m2")  # what the step is called

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
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}


Node = TypeVar("Node", bound=ast.AST)


class Words(NamedTuple):
    """What the names in a formula mean."""

    hyper: list[str]  # its float hyper-parameters
    numerics: dict[str, str]  # a name for a word of arrayopt.numerics, and the word
    wraps: bool = False  # whether it stands in a room of wrappers


def called(node: ast.AST) -> str:
    """The name of the function that is called there; empty if none is."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def altered(node: Node, **fields: Any) -> Node:
    """A copy of a node with other fields."""
    return ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), **fields}), node)


def _operator(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """+ ↔ −, × ↔ ÷, power to product."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield altered(node, op=OPERATORS[type(node.op)]())


def _name(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """One hyper-parameter for another."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in words.hyper:
        yield from [altered(node, id=other) for other in words.hyper if other != node.id]


def _step(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """The next step for this one."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    if name in STEPS and isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", None), ast.Load):
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
    word = words.numerics.get(called(node)) if isinstance(node, ast.Call) else None
    if word is None or not isinstance(node, ast.Call):
        return
    yield node.args[1] if word == "where" else node.args[0]
    if word == "ema":
        yield altered(node, args=[node.args[1], node.args[0], *node.args[2:]])
    if word == "where":
        yield altered(node, args=[node.args[0], node.args[2], node.args[1]])


def _arguments(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """A link of a chain dropped; neighbouring arguments exchanged."""
    if not isinstance(node, ast.Call):
        return
    for i, (a, b) in enumerate(pairwise(node.args)):
        if isinstance(a, ast.Name) and isinstance(b, ast.Name) and called(node) not in words.numerics:
            yield altered(node, args=[*node.args[:i], b, a, *node.args[i + 2 :]])
    if called(node) == "chain":
        yield from [altered(node, args=[*node.args[:i], *node.args[i + 1 :]]) for i in range(len(node.args))]


def _order(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """Neighbours of a tuple in the other order."""
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        for i in range(len(node.elts) - 1):
            elements = [*node.elts[:i], node.elts[i + 1], node.elts[i], *node.elts[i + 2 :]]
            if ast.dump(node.elts[i]) != ast.dump(node.elts[i + 1]):
                yield altered(node, elts=elements)


def _boolean(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """And ↔ or, no not."""
    if isinstance(node, ast.BoolOp):
        yield altered(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand


def _bare(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """Of wrappers: an argument as it came, for what is made of it."""
    if words.wraps and isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        yield node.args[0]


def _matrices(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """A matrix product of the factors exchanged; a transpose dropped."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        yield altered(node, left=node.right, right=node.left)
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT", "H"):
        yield node.value
    name = node.func if isinstance(node, ast.Call) else None
    word = name.attr if isinstance(name, ast.Attribute) else name.id if isinstance(name, ast.Name) else ""
    if isinstance(node, ast.Call) and word in ("matmul", "tensordot") and len(node.args) > 1:
        yield altered(node, args=[node.args[1], node.args[0], *node.args[2:]])
    if isinstance(node, ast.Call) and word in ("matrix_transpose", "permute_dims", "transposed") and node.args:
        yield node.args[0]


def _sign(node: ast.AST, words: Words) -> Iterator[ast.AST]:
    """No minus."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand


VARIANTS: list[Callable[[ast.AST, Words], Iterator[ast.AST]]] = [
    *[
        _operator,
        _name,
        _step,
        _constant,
        _comparison,
        _switch,
        _call,
        _arguments,
        _order,
        _boolean,
        _bare,
        _matrices,
        _sign,
    ]
]
