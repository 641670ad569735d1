"""One tree read along the structure of another.

None where the other tree has something means "nothing here": whoever aligns with it leaves that part alone. Dicts
are aligned by key: keys need have no order of their own, and then each dict has that in which it was filled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple, cast

from arrayopt.tree.metadata import Static, agree, matched, same, shown
from arrayopt.tree.structure import LEAF, Spec, flatten, is_namedtuple, open_node
from arrayopt.types import Tree


class StructureError(ValueError):
    """Two trees that must have the same structure do not."""


class _Trail(NamedTuple):
    """The way to a node, from which its path is made if it is asked for."""

    above: _Trail | None
    spec: Spec
    child: int

    def __str__(self) -> str:
        labels: list[str] = []
        trail: _Trail | None = self
        while trail is not None:
            labels.append(trail.spec.labels()[trail.child])
            trail = trail.above
        return "".join(reversed(labels))


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
    todo: list[tuple[Spec, Spec, int, _Trail | None]] = [(inner, outer, 0, None)]
    while todo:
        a, b, start, trail = todo.pop()
        if a is LEAF and b is LEAF:
            found.append(start)
        elif a.kind is not type(None):
            order = _order(a, b)
            if order is None:
                raise StructureError(_mismatch(a, b, trail, (what, other)))
            starts = list(accumulate([child.size for child in b.children], initial=start))
            children = [(a.children[i], b.children[j], starts[j], _Trail(trail, a, i)) for i, j in enumerate(order)]
            todo += reversed(children)
    return found


def _order(a: Spec, b: Spec) -> Sequence[int] | None:
    """Which child of ``b`` each child of ``a`` goes with; None if the containers do not agree."""
    if a.kind is not b.kind or a is LEAF or b is LEAF:
        return None
    return _order_of(a.kind, a.meta, len(a.children), b.meta, len(b.children))


def _order_of(kind: type[Any], meta: Any, size: int, other: Any, other_size: int) -> Sequence[int] | None:
    if size == other_size and agree(meta, other):
        return range(size)
    if kind is dict:
        return matched(meta, other)
    if kind is defaultdict and meta[1] == other[1]:
        return matched(meta[0], other[0])
    return None


def subtrees(spec: Spec, tree: Tree, what: str = "the tree", *, everywhere: bool = True) -> list[Tree]:
    """What ``tree`` holds at each leaf of ``spec``, an array or a whole subtree.

    Where ``tree`` has None or a MaskedNode higher up, that is what it has at every leaf below.

    Args:
      spec: structure that ``tree`` begins with.
      tree: the tree.
      what: how a message calls it.
      everywhere: whether it must agree also where ``spec`` has no leaf.

    Raises:
      StructureError: ``tree`` ends, or branches otherwise, above a leaf of ``spec``.
    """
    found: list[Tree] = []
    todo: list[tuple[Spec, Tree, _Trail | None]] = [(spec, tree, None)]
    while todo:
        above, below, trail = todo.pop()
        if above is LEAF:
            found.append(below)
        elif _is_hole(below) or not (everywhere or above.size):
            found += [below] * above.size
        else:
            children = _children(above, below)
            if children is None:
                raise StructureError(_mismatch(_top(below), above, trail, (what, "its prefix")))
            if above.full:
                found += children
            else:
                pairs = zip(above.children, children, strict=True)
                todo += [(child, part, _Trail(trail, above, i)) for i, (child, part) in enumerate(pairs)][::-1]
    return found


def _children(spec: Spec, tree: Tree) -> Sequence[Tree] | None:
    """The children of a container in the order of a structure; None if it is another container."""
    opened = open_node(tree)
    if opened is None or type(tree) is not spec.kind:
        return None
    children = opened.children
    order = _order_of(spec.kind, spec.meta, len(spec.children), opened.meta, len(children))
    if order is None or isinstance(order, range):
        return order and children
    return [children[i] for i in order]


def _top(tree: Tree) -> Spec:
    """The structure of a container, its children taken for leaves."""
    return flatten(tree, is_leaf=lambda x: x is not tree)[1]


def _is_hole(tree: object) -> bool:
    """None, or an empty NamedTuple: MaskedNode, ours or Optax's."""
    return tree is None or (is_namedtuple(type(tree)) and not tree)


def prefix_leaves(prefix: Tree, tree: Tree, what: str = "the prefix") -> list[Any]:
    """The leaf of ``prefix`` that stands above each leaf of ``tree``."""
    leaves, spec = flatten(prefix)
    below = subtrees(spec, tree, what)
    return [leaf for leaf, sub in zip(leaves, below, strict=True) for _ in range(flatten(sub)[1].size)]


# -- how two containers differ --------------------------------------------------------------------------------


def _mismatch(a: Spec, b: Spec, trail: _Trail | None, names: tuple[str, str]) -> str:
    where = "" if trail is None else f" at {trail}"
    one, two, why = _difference(a, b)
    return f"{names[0]} has {one}{where}, {names[1]} has {two}.{why}"


def _difference(a: Spec, b: Spec) -> tuple[str, str, str]:
    """Both as a message names them, and a sentence on what it is that differs, where that is not plain to see."""
    one, two = _say(a), _say(b)
    if a.kind is not b.kind:
        if a.kind.__name__ == b.kind.__name__ and one == two:
            return f"{one} of {_home(a.kind)}", f"{two} of {_home(b.kind)}", _TWO_CLASSES
        return one, two, _same_keys(a, b)
    here, there = a.labels(), b.labels()
    if sorted(here) != sorted(there):
        return one, two, _only(here, there) if max(len(here), len(there)) > _MANY else ""
    if here != there:
        return one, two, " The keys are the same, their order is not."
    return _differing_fields(a, b, one, two)


_TWO_CLASSES = " Two classes have that name: one was made anew, as by running its definition twice."
_MANY = 8  # children named in a message


def _say(spec: Spec) -> str:
    if spec is LEAF:
        return "an array"
    if spec.kind is type(None):
        return "None"
    return f"{spec.kind.__name__}({_listed(spec.labels())})"


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= _MANY else f"{', '.join(labels[:_MANY])}, … {len(labels)} in all"


def _home(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _same_keys(a: Spec, b: Spec) -> str:
    """Said of dicts of two kinds."""
    here, there = a.labels(), b.labels()
    if sorted(here) != sorted(there) or {a.kind, b.kind} <= {list, tuple} or not (here and here[0].startswith("[")):
        return ""
    one, two = sorted([a.kind.__name__, b.kind.__name__])
    return f" The keys are the same, the containers are not: {one} against {two}."


def _only(here: Sequence[str], there: Sequence[str]) -> str:
    sides = [("former", sorted({*here}.difference(there))), ("latter", sorted({*there}.difference(here)))]
    said = [f"only the {side} has {_listed(labels)}" for side, labels in sides if labels]
    return f" O{'; '.join(said)[1:]}." if said else ""


def _differing_fields(a: Spec, b: Spec, one: str, two: str) -> tuple[str, str, str]:
    """Containers of one type with the same children: something else that belongs to the structure differs."""
    name, x, y = _differing_field(_fields(a), _fields(b))
    if name is None:
        return one, two, " Keys that look alike are not equal."
    note = f" These values of {name} look alike, and are not equal." if shown(x) == shown(y) else ""
    return f"{one} with {name} = {shown(x)}", f"{two} with {name} = {shown(y)}", note


def _fields(spec: Spec) -> dict[str, Any]:
    found = [part for part in (spec.meta, *_parts(spec.meta)) if isinstance(part, Static)]
    return found[0].fields() if found else {}


def _parts(meta: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", meta) if isinstance(meta, tuple) else ()


def _differing_field(a: dict[str, Any], b: dict[str, Any]) -> tuple[str | None, Any, Any]:
    for name, value in a.items():
        if name not in b or not same(value, b[name]):
            return name, value, b.get(name)
    return None, None, None
