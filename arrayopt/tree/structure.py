"""Nested parameters taken apart and put together again.

A tree is an array, None, or a container of trees. `flatten` gives the arrays in a fixed order and a `Spec`
that remembers the rest; None and empty containers hold no array. Order is sorted keys for dicts, as in JAX.
Containers known here: dict, OrderedDict, defaultdict, list, tuple, NamedTuple, dataclass. A container of
another type is looked up in JAX's registry, then in Torch's, if those libraries are already imported, so
Equinox modules or Flax state are seen as they see themselves. Whatever remains is a leaf.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from arrayopt.types import Tree


class Opened(NamedTuple):
    """A container taken apart, one level deep."""

    meta: Any  # what must agree for two containers to have the same structure: keys, field names, …
    labels: Callable[[], list[str]]  # how a message names each child: "['w']", "[0]", ".bias"
    children: Sequence[Tree]
    join: Callable[[Sequence[Any]], Any]  # the container again, from new children


class Spec:
    """The structure of a tree: immutable, hashable, equal when containers, keys and arity are."""

    __slots__ = ("_join", "_labels", "children", "kind", "meta", "size")

    def __init__(self, kind: type[Any], opened: Opened, children: tuple[Spec, ...]) -> None:
        self.kind = kind
        self.meta = opened.meta
        self.children = children
        self._labels = opened.labels
        self._join = opened.join
        self.size: int = sum([child.size for child in children])

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Spec):
            return NotImplemented
        return self.kind is other.kind and self.meta == other.meta and self.children == other.children

    def __hash__(self) -> int:
        return hash((self.kind, self.children))

    def __repr__(self) -> str:
        return f"Spec({self.unflatten(['*'] * self.size)!r})"

    def unflatten(self, leaves: Iterable[Any]) -> Tree:
        """The tree of this structure that holds ``leaves``."""
        return self._build(iter(leaves))

    def _build(self, leaves: Any) -> Tree:
        return self._join([child._build(leaves) for child in self.children])

    def labels(self) -> list[str]:
        """How a message names each child."""
        return self._labels()

    def paths(self, prefix: str = "") -> list[str]:
        """Where each leaf lies, as one would index the tree: ``"['layer'][0]"``."""
        found: list[str] = []
        for label, child in zip(self.labels(), self.children, strict=True):
            found += child.paths(prefix + label)
        return found


class _Leaf(Spec):
    """The structure of one leaf."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(object, Opened(None, list, (), _no_container), ())
        self.size = 1

    __hash__ = object.__hash__  # there is one

    def _build(self, leaves: Any) -> Any:
        return next(leaves)

    def paths(self, prefix: str = "") -> list[str]:
        return [prefix]


def _no_container(_: Sequence[Any]) -> Any:
    raise AssertionError("a leaf holds no children")


LEAF: Spec = _Leaf()


def flatten(tree: Tree, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], Spec]:
    """The leaves of a tree, in order, and its structure.

    Args:
      tree: arrays nested in containers; None and empty containers hold no leaf.
      is_leaf: says of a subtree that it is to be taken as one leaf.

    Example:
      >>> import arrayopt
      >>> leaves, spec = arrayopt.tree.flatten({"b": 1, "a": (2, None)})
      >>> leaves
      [2, 1]
      >>> spec.unflatten([20, 10])
      {'b': 10, 'a': (20, None)}
    """
    leaves: list[Any] = []
    return leaves, _walk(tree, leaves, is_leaf)


def _walk(tree: object, leaves: list[Any], is_leaf: Callable[[Any], bool] | None) -> Spec:
    opened = None if is_leaf is not None and is_leaf(tree) else open_node(tree)
    if opened is None:
        leaves.append(tree)
        return LEAF
    children: list[Spec] = []
    within: Sequence[object] = opened.children
    for child in within:
        if is_leaf is None and _openers.get(type(child)) is _leaf:  # as `_walk` would: most children are leaves
            leaves.append(child)
            children.append(LEAF)
        else:
            children.append(_walk(child, leaves, is_leaf))
    return Spec(type(tree), opened, tuple(children))


def open_node(tree: object) -> Opened | None:
    """The container taken apart one level; None for a leaf."""
    opener = _openers.get(type(tree))
    if opener is not None:
        return opener(tree)
    return _open_unknown(tree)


def _leaf(tree: Tree) -> None:
    return None


def _open_unknown(tree: object) -> Opened | None:
    kind = type(tree)
    if is_namedtuple(kind):
        _openers[kind] = _open_namedtuple
        return _open_namedtuple(tree)
    if hasattr(kind, "__array_namespace__") or _is_tensor(kind):
        _openers[kind] = _leaf
        return None
    # Registries may learn of a type later, so what they say is asked for each time.
    foreign = _open_by_jax(tree) or _open_by_torch(tree)
    if foreign is None and dataclasses.is_dataclass(tree):
        return _open_dataclass(tree)
    return foreign


def is_namedtuple(kind: type[Any]) -> bool:
    """Whether instances are tuples with named fields."""
    return hasattr(kind, "_fields") and issubclass(kind, tuple)


def _is_tensor(kind: type[Any]) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and issubclass(kind, torch.Tensor)


# -- one way to open each kind of container -------------------------------------------------------------


def _open_none(tree: None) -> Opened:
    return Opened(None, list, (), _nothing)


def _nothing(children: Sequence[Any]) -> None:
    return None


def _indices(n: int) -> Callable[[], list[str]]:
    return lambda: [f"[{i}]" for i in range(n)]


def _fields(names: Iterable[str]) -> Callable[[], list[str]]:
    return lambda: [f".{name}" for name in names]


def _subscripts(keys: Iterable[Any]) -> Callable[[], list[str]]:
    return lambda: [f"[{key!r}]" for key in keys]


def _open_list(tree: list[Any]) -> Opened:
    return Opened(len(tree), _indices(len(tree)), tree, list)


def _open_tuple(tree: tuple[Any, ...]) -> Opened:
    return Opened(len(tree), _indices(len(tree)), tree, tuple)


def _open_namedtuple(tree: Any) -> Opened:
    kind = tree.__class__
    fields: tuple[str, ...] = kind._fields

    def join(children: Sequence[Any]) -> Any:
        return kind(*children)

    return Opened(fields, _fields(fields), tree, join)


def _sorted_keys(tree: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(tree)
    except TypeError:  # keys of several types: by type, then by what they print
        return sorted(tree, key=lambda key: (type(key).__name__, str(key)))


def _open_dict(tree: dict[Any, Any]) -> Opened:
    keys, given = _sorted_keys(tree), list(tree)

    def join(children: Sequence[Any]) -> dict[Any, Any]:
        if keys == given:
            return dict(zip(keys, children, strict=True))
        by_key = dict(zip(keys, children, strict=True))
        return {key: by_key[key] for key in given}

    return Opened(tuple(keys), _subscripts(keys), [tree[key] for key in keys], join)


def _open_ordered_dict(tree: OrderedDict[Any, Any]) -> Opened:
    keys = tuple(tree)

    def join(children: Sequence[Any]) -> OrderedDict[Any, Any]:
        return OrderedDict(zip(keys, children, strict=True))

    return Opened(keys, _subscripts(keys), list(tree.values()), join)


def _open_defaultdict(tree: defaultdict[Any, Any]) -> Opened:
    opened, factory = _open_dict(tree), tree.default_factory

    def join(children: Sequence[Any]) -> defaultdict[Any, Any]:
        return defaultdict(factory, opened.join(children))

    return opened._replace(meta=(factory, opened.meta), join=join)


def _open_dataclass(tree: Any) -> Opened:
    """Fields are children, but for those marked ``field(metadata={"static": True})``, as in JAX."""
    fields = dataclasses.fields(tree)
    dynamic = [f.name for f in fields if not f.metadata.get("static", False)]
    static = tuple([(f.name, getattr(tree, f.name)) for f in fields if f.metadata.get("static", False)])

    def join(children: Sequence[Any]) -> Any:
        new = copy.copy(tree)
        for field, child in zip(dynamic, children, strict=True):
            object.__setattr__(new, field, child)  # a frozen dataclass is rebuilt all the same
        return new

    children = [getattr(tree, field) for field in dynamic]
    return Opened((tuple(dynamic), static), _fields(dynamic), children, join)


def _open_by_jax(tree: Any) -> Opened | None:
    jax = sys.modules.get("jax")
    if jax is None or not hasattr(jax, "tree_util"):
        return None

    def is_child(x: Any) -> bool:
        return x is not tree

    keyed, treedef = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_child)
    if len(keyed) == 1 and keyed[0][1] is tree:
        return None

    def labels() -> list[str]:
        return [jax.tree_util.keystr(path) for path, _ in keyed]

    return Opened(treedef, labels, [child for _, child in keyed], treedef.unflatten)


def _open_by_torch(tree: Any) -> Opened | None:
    pytree = sys.modules.get("torch.utils._pytree")
    node = None if pytree is None else pytree.SUPPORTED_NODES.get(type(tree))
    if node is None:
        return None
    children, context = node.flatten_fn(tree)

    def join(new: Sequence[Any]) -> Any:
        return node.unflatten_fn(list(new), context)

    return Opened(str(context), _indices(len(children)), list(children), join)


_openers: dict[type[Any], Callable[[Any], Opened | None]] = {
    type(None): _open_none,
    dict: _open_dict,
    OrderedDict: _open_ordered_dict,
    defaultdict: _open_defaultdict,
    list: _open_list,
    tuple: _open_tuple,
    int: _leaf,
    float: _leaf,
    complex: _leaf,
    bool: _leaf,
}
