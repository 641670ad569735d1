"""Leaves read along a structure that is known already, which is faster than finding the structure out."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

from arrayopt.tree.structure import LEAF, Spec, flatten, is_namedtuple
from arrayopt.types import Tree

Reader = Callable[[Any, list[Any]], bool]
"""Appends the leaves of a tree to a list; False if the tree is of another structure."""


def reader(spec: Spec) -> Reader:
    """A reader of trees of one structure.

    It trusts that what stands where a leaf was is a leaf: whoever reads must look at the leaves' types.
    """
    if spec is LEAF:
        return _read_leaf
    if spec.kind is type(None):
        return _read_none
    if spec.kind is dict:
        return _dict_reader(spec)
    if spec.kind in (list, tuple) or is_namedtuple(spec.kind):
        return _sequence_reader(spec)
    return _other_reader(spec)


def _read_leaf(tree: Tree, leaves: list[Any]) -> bool:
    leaves.append(tree)
    return True


def _read_none(tree: Tree, leaves: list[Any]) -> bool:
    del leaves
    return tree is None


def _sequence_reader(spec: Spec) -> Reader:
    kind, size = spec.kind, len(spec.children)
    below = _children_reader(spec)

    def read(tree: Tree, leaves: list[Any]) -> bool:
        return type(tree) is kind and len(tree) == size and below(tree, leaves)

    return read


def _dict_reader(spec: Spec) -> Reader:
    kind, keys = spec.kind, cast("tuple[Any, ...]", spec.meta)
    below = _children_reader(spec)
    pick: Callable[[Any], Any] = operator.itemgetter(*keys) if len(keys) > 1 else lambda tree: [tree[k] for k in keys]

    def read(tree: Tree, leaves: list[Any]) -> bool:
        if type(tree) is not kind or len(tree) != len(keys):
            return False
        try:
            children = pick(tree)
        except KeyError:
            return False
        return below(children, leaves)

    return read


def _children_reader(spec: Spec) -> Reader:
    if all([child is LEAF for child in spec.children]):
        return _read_leaves
    readers = [reader(child) for child in spec.children]

    def read(children: Any, leaves: list[Any]) -> bool:
        for below, child in zip(readers, children, strict=True):
            if not below(child, leaves):
                return False
        return True

    return read


def _read_leaves(children: Any, leaves: list[Any]) -> bool:
    leaves.extend(children)
    return True


def _other_reader(spec: Spec) -> Reader:
    def read(tree: Tree, leaves: list[Any]) -> bool:
        found, have = flatten(tree)
        leaves.extend(found)
        return have == spec

    return read
