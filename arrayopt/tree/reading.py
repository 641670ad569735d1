"""Leaves read along a structure that is known already, which is faster than finding the structure out."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, cast

from arrayopt.tree.structure import LEAF, Spec, flatten, is_namedtuple
from arrayopt.types import Tree

Reader = Callable[[Any, list[Any]], bool]
"""Appends the leaves of a tree to a list; False if the tree is of another structure."""


def reader(spec: Spec) -> Reader:
    """A reader of trees of one structure.

    It trusts that what stands where a leaf was is a leaf: whoever reads must look at the leaves' types.
    """
    visits: list[Any] = [tuple(visit) for visit in _visits(spec)]  # which Python unpacks faster than named ones

    def read(tree: Tree, leaves: list[Any]) -> bool:
        todo = [tree]  # a loop, since trees may be deeper than Python's stack
        try:
            for what, kind, size, pick, expected in visits:
                node = todo.pop()
                if what == "leaf":
                    leaves.append(node)
                elif type(node) is not kind or (size is not None and len(node) != size):
                    return False
                elif what == "full":
                    leaves.extend(pick(node) if pick else node)
                elif what == "part":
                    todo.extend(pick(node))
                elif what == "other":
                    found, have = flatten(node)
                    if have != expected:
                        return False
                    leaves.extend(found)
        except Exception:  # a key is missing, or cannot be looked up
            return False
        return True

    return read


class _Visit(NamedTuple):
    """What is done with one node of a tree."""

    what: Literal["leaf", "none", "full", "part", "other"]  # full: all children are leaves
    kind: type[Any]
    size: int | None  # number of children; None if it has no length
    pick: Callable[[Any], Iterable[Any]] | None  # its children, in part the last first; None if it is these
    expected: Spec


def _visits(spec: Spec) -> list[_Visit]:
    """The nodes to look at, each before its children; leaves are read together where there are only leaves."""
    found: list[_Visit] = []
    todo = [spec]
    while todo:
        visit = _visit(todo.pop())
        found.append(visit)
        if visit.what == "part":
            todo += visit.expected.children[::-1]
    return found


def _visit(spec: Spec) -> _Visit:
    kind, size = spec.kind, len(spec.children)
    if spec is LEAF:
        return _Visit("leaf", kind, None, None, spec)
    if kind is type(None):
        return _Visit("none", kind, None, None, spec)
    what: Literal["full", "part"] = "full" if spec.full else "part"
    if kind is dict:
        keys = cast("tuple[Any, ...]", spec.meta)
        return _Visit(what, kind, size, _picker(keys if spec.full else keys[::-1]), spec)
    if kind in (list, tuple) or is_namedtuple(kind):
        return _Visit(what, kind, size, None if spec.full else reversed, spec)
    return _Visit("other", kind, None, None, spec)


def _picker(keys: tuple[Any, ...]) -> Callable[[Any], Iterable[Any]]:
    return operator.itemgetter(*keys) if len(keys) > 1 else lambda tree: [tree[key] for key in keys]
