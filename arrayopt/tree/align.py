"""One tree read along the structure of another.

None where the other tree has something means "nothing here": whoever aligns with it leaves that part alone.
"""

from __future__ import annotations

from typing import Any

from arrayopt.tree.structure import LEAF, Spec, flatten, is_namedtuple, open_node
from arrayopt.types import Tree


class StructureError(ValueError):
    """Two trees that must have the same structure do not."""


def places(inner: Spec, outer: Spec, what: str = "the first tree", other: str = "the second tree") -> list[int]:
    """Where each leaf of ``inner`` lies among the leaves of ``outer``.

    The two have the same structure, but for None in ``inner`` standing for any subtree of ``outer``.

    Args:
      inner: structure of the tree that may have holes.
      outer: structure of the tree without them.
      what: how a message calls the inner tree.
      other: how a message calls the outer tree.

    Raises:
      StructureError: they differ; the message names the path.
    """
    if inner == outer:
        return list(range(outer.size))
    found: list[int] = []
    _find(inner, outer, 0, found, "", (what, other))
    return found


def _find(inner: Spec, outer: Spec, start: int, found: list[int], path: str, names: tuple[str, str]) -> None:
    if inner.kind is type(None):
        return
    if inner is LEAF and outer is LEAF:
        found.append(start)
        return
    if inner.kind is not outer.kind or inner.meta != outer.meta:
        raise StructureError(_mismatch(inner, outer, path, names))
    for label, a, b in zip(inner.labels(), inner.children, outer.children, strict=True):
        _find(a, b, start, found, path + label, names)
        start += b.size


def _mismatch(a: Spec, b: Spec, path: str, names: tuple[str, str]) -> str:
    where = f" at {path}" if path else ""
    return f"{names[0]} has {_say(a)}{where}, {names[1]} has {_say(b)}."


def _say(spec: Spec) -> str:
    if spec is LEAF:
        return "an array"
    if spec.kind is type(None):
        return "None"
    return f"{spec.kind.__name__}({', '.join(spec.labels())})"


def subtrees(spec: Spec, tree: Tree, what: str = "the tree") -> list[Tree]:
    """What ``tree`` holds at each leaf of ``spec``, an array or a whole subtree.

    Where ``tree`` has None or a MaskedNode higher up, that is what it has at every leaf below.

    Raises:
      StructureError: ``tree`` ends, or branches otherwise, above a leaf of ``spec``.
    """
    found: list[Tree] = []
    _descend(spec, tree, found, "", what)
    return found


def _descend(spec: Spec, tree: Tree, found: list[Tree], path: str, what: str) -> None:
    if spec is LEAF:
        found.append(tree)
        return
    if _is_hole(tree):
        found.extend([tree] * spec.size)
        return
    opened = open_node(tree)
    if opened is None or type(tree) is not spec.kind or opened.meta != spec.meta:
        have = flatten(tree, is_leaf=lambda x: x is not tree)[1]
        raise StructureError(_mismatch(have, spec, path, (what, "its prefix")))
    for label, child, below in zip(spec.labels(), spec.children, opened.children, strict=True):
        _descend(child, below, found, path + label, what)


def _is_hole(tree: object) -> bool:
    """None, or an empty NamedTuple: MaskedNode, ours or Optax's."""
    return tree is None or (is_namedtuple(type(tree)) and not tree)


def prefix_leaves(prefix: Tree, tree: Tree, what: str = "the prefix") -> list[Any]:
    """The leaf of ``prefix`` that stands above each leaf of ``tree``."""
    leaves, spec = flatten(prefix)
    below = subtrees(spec, tree, what)
    return [leaf for leaf, sub in zip(leaves, below, strict=True) for _ in range(flatten(sub)[1].size)]
