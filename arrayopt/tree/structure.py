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
from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from types import GeneratorType
from typing import Any, NamedTuple, cast

from arrayopt.tree.metadata import Static, agree
from arrayopt.types import Tree


class Opened(NamedTuple):
    """A container taken apart, one level deep."""

    meta: Any  # what must agree for two containers to have the same structure: keys, field names, …
    labels: Callable[[], list[str]]  # how a message names each child: "['w']", "[0]", ".bias"
    children: Sequence[Tree]
    join: Callable[[Sequence[Any]], Any]  # the container again, from new children


class Spec:
    """The structure of a tree: immutable, hashable, equal when containers, keys, arity and static fields are.

    Args:
      kind: type of the container.
      opened: the container taken apart.
      children: structure of each child.
      size: number of leaves.
      full: whether every child is a leaf.
    """

    __slots__ = ("_hash", "_join", "_labels", "_lookup", "children", "full", "kind", "meta", "size")

    def __init__(self, kind: type[Any], opened: Opened, children: tuple[Spec, ...], size: int, full: bool) -> None:
        self.kind = kind
        self.meta = opened.meta
        self.children = children
        self.size = size
        self.full = full
        self._labels = opened.labels
        self._join = opened.join
        self._hash: int | None = None
        self._lookup: tuple[list[str], list[int]] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spec):
            return NotImplemented
        pairs = [(self, other)]
        while pairs:
            a, b = pairs.pop()
            if a is b:
                continue
            if a.kind is not b.kind or len(a.children) != len(b.children) or not agree(a.meta, b.meta):
                return False
            if not (a.full and b.full):
                pairs += [(x, y) for x, y in zip(a.children, b.children, strict=True) if x is not y]
        return True

    def __hash__(self) -> int:
        if self._hash is None:
            nodes = [self]
            for node in nodes:  # the list grows
                nodes += [] if node.full else [child for child in node.children if child._hash is None]
            for node in reversed(nodes):
                below = node.size if node.full else tuple([child._hash for child in node.children])
                node._hash = hash((node.kind, below))
        return cast(int, self._hash)

    def __reduce__(self) -> tuple[Any, ...]:
        return _spec_of, (self.unflatten([...] * self.size),)

    def __repr__(self) -> str:
        try:
            return f"Spec({self.unflatten(['*'] * self.size)!r})"
        except RecursionError:  # Python shows no container that deep
            return f"<Spec of {self.size} leaves>"

    def unflatten(self, leaves: Iterable[Any]) -> Tree:
        """The tree of this structure that holds ``leaves``.

        Raises:
          ValueError: there are more or fewer than the structure holds.
        """
        given = leaves if isinstance(leaves, list) else list(islice(leaves, self.size + 1))
        if len(given) != self.size:
            raise ValueError(f"unflatten: a structure of {self.size} leaves must be given as many; got {len(given)}.")
        return given[0] if self is LEAF else self._built(given)

    def _built(self, leaves: list[Any]) -> Tree:
        outer: list[tuple[Spec, Iterator[Spec], list[Any]]] = []  # containers around this one, each with what it has
        spec, rest, new, at = self, iter(() if self.full else self.children), leaves if self.full else [], 0
        while True:
            for child in rest:
                if child.full:
                    new.append(child._join(leaves[at : at + child.size]))
                    at += child.size
                elif child is LEAF:
                    new.append(leaves[at])
                    at += 1
                else:
                    outer.append((spec, rest, new))
                    spec, rest, new = child, iter(child.children), []
                    break
            else:
                whole = spec._join(new)
                if not outer:
                    return whole
                spec, rest, new = outer.pop()
                new.append(whole)

    def labels(self) -> list[str]:
        """How a message names each child."""
        return self._labels()

    def _child_at(self, place: int) -> tuple[int, int, str]:
        """Which child holds a leaf, how many leaves lie before that child, and how a message names it."""
        if self._lookup is None:
            self._lookup = self.labels(), list(accumulate([child.size for child in self.children], initial=0))
        labels, starts = self._lookup
        i = bisect_right(starts, place) - 1  # the last to begin there: those before it hold nothing
        return i, starts[i], labels[i]

    def path(self, place: int) -> str:
        """Where one leaf lies, as one would index the tree: ``"['layer'][0]"``.

        Raises:
          IndexError: there is no such leaf.
        """
        if not 0 <= place < self.size:
            raise IndexError(f"path: place must lie in [0, {self.size}); got {place}.")
        found: list[str] = []
        spec = self
        while spec is not LEAF:
            i, before, label = spec._child_at(place)
            found.append(label)
            spec, place = spec.children[i], place - before
        return "".join(found)

    def paths(self) -> list[str]:
        """Where each leaf lies."""
        found: list[str] = []
        todo: list[tuple[str, Spec]] = [("", self)]
        while todo:
            path, spec = todo.pop()
            if spec is LEAF:
                found.append(path)
            elif spec.full:
                found += [path + label for label in spec.labels()]
            else:
                below = zip(spec.labels(), spec.children, strict=True)
                todo += reversed([(path + label, child) for label, child in below])
        return found


def _no_container(_: Sequence[Any]) -> Any:
    raise AssertionError("a leaf holds no children")


def _nothing(children: Sequence[Any]) -> None:
    return None


LEAF = Spec(object, Opened(None, list, (), _no_container), (), 1, False)  # there is one
_EMPTY = Opened(None, list, (), _nothing)
_NONE = Spec(type(None), _EMPTY, (), 0, True)


def _spec_of(tree: Tree) -> Spec:
    return flatten(tree)[1]


def flatten(tree: Tree, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], Spec]:
    """The leaves of a tree, in order, and its structure.

    Args:
      tree: arrays nested in containers; None and empty containers hold no leaf.
      is_leaf: says of a subtree that it is to be taken as one leaf.

    Raises:
      ValueError: a container lies within itself.

    Example:
      >>> import arrayopt
      >>> leaves, spec = arrayopt.tree.flatten({"b": 1, "a": (2, None)})
      >>> leaves
      [2, 1]
      >>> spec.unflatten([20, 10])
      {'b': 10, 'a': (20, None)}
    """
    opened = None if is_leaf is not None and is_leaf(tree) else open_node(tree)
    if opened is None:
        return [tree], LEAF
    if opened is _EMPTY:
        return [], _NONE
    leaves: list[Any] = []
    return leaves, _walked(tree, opened, leaves, is_leaf)


def _walked(tree: object, opened: Opened, leaves: list[Any], is_leaf: Callable[[Any], bool] | None) -> Spec:
    """The structure of a container. A loop, since trees may be deeper than Python's stack."""
    outer: list[tuple[object, Opened, Iterator[object], list[Spec], int]] = []  # those around it, half walked
    specs: list[Spec] = []
    rest: Iterator[object] = iter(opened.children)
    start, full, deep = 0, True, _DEEP
    while True:
        for child in rest:
            if is_leaf is None:
                opener: Callable[[Any], Opened | None] = _openers.get(type(child), _open_unknown)
                below = None if opener is _leaf else opener(child)  # as `open_node` would: most children are leaves
            else:
                below = None if is_leaf(child) else open_node(child)
            if below is None:
                leaves.append(child)
                specs.append(LEAF)
            elif below is _EMPTY:
                specs.append(_NONE)
                full = False
            else:
                outer.append((tree, opened, rest, specs, start))
                if len(outer) == deep:
                    _check_apart([frame[0] for frame in outer])
                    deep *= 2
                tree, opened, rest, specs, start, full = child, below, iter(below.children), [], len(leaves), True
                break  # to go on with the child
        else:
            spec = Spec(type(tree), opened, tuple(specs), len(leaves) - start, full)
            if not outer:
                return spec
            tree, opened, rest, specs, start = outer.pop()
            specs.append(spec)
            full = False


_DEEP = 1000


def _check_apart(containers: Sequence[Any]) -> None:
    """Raises ValueError if a container lies within itself: there would be no end to it."""
    if len({id(container) for container in containers}) < len(containers):
        raise ValueError("flatten: a container must not lie within itself; one does.")


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
    if foreign is None and dataclasses.is_dataclass(kind):  # the class itself, as a leaf, is none
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
    return _EMPTY


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
    kind = cast(Any, type(tree))  # which __class__ need not be
    fields: tuple[str, ...] = kind._fields

    def join(children: Sequence[Any]) -> Any:
        return kind(*children)

    return Opened(fields, _fields(fields), tree, join)


def _sorted_keys(tree: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(tree)
    except Exception:  # keys of several types, or without an order: by type, then by what they print
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
    inner = opened.join  # and not all of it, which holds the children

    def join(children: Sequence[Any]) -> defaultdict[Any, Any]:
        return defaultdict(factory, inner(children))

    return opened._replace(meta=(opened.meta, Static({"default_factory": factory})), join=join)


def _open_dataclass(tree: Any) -> Opened:
    """Fields are children, but for those marked ``field(metadata={"static": True})``, as in JAX."""
    fields = dataclasses.fields(tree)
    dynamic = [f.name for f in fields if not f.metadata.get("static", False)]
    static = Static({f.name: getattr(tree, f.name) for f in fields if f.metadata.get("static", False)})
    children = [getattr(tree, field) for field in dynamic]
    shell = _with_fields(tree, dynamic, [None] * len(dynamic))  # a structure keeps no arrays alive

    def join(new: Sequence[Any]) -> Any:
        return _with_fields(shell, dynamic, new)

    return Opened((tuple(dynamic), static), _fields(dynamic), children, join)


def _with_fields(tree: Any, names: Sequence[str], values: Sequence[Any]) -> Any:
    new = copy.copy(tree)
    for name, value in zip(names, values, strict=True):
        object.__setattr__(new, name, value)  # a frozen dataclass is rebuilt all the same
    return new


def _open_by_jax(tree: Any) -> Opened | None:
    jax = sys.modules.get("jax")
    if jax is None or not hasattr(jax, "tree_util"):
        return None

    def is_child(x: Any) -> bool:
        return x is not tree

    keyed, treedef = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_child)
    if len(keyed) == 1 and keyed[0][1] is tree:
        return None
    paths = [path for path, _ in keyed]

    def labels() -> list[str]:
        return [jax.tree_util.keystr(path) for path in paths]

    return Opened(_OfJax(treedef), labels, [child for _, child in keyed], treedef.unflatten)


class _OfJax(Static):
    """What JAX's registry says of a container besides its children."""

    __slots__ = ("_treedef",)

    def __init__(self, treedef: Any) -> None:
        super().__init__({})
        self._treedef = treedef

    def values(self) -> Any:
        return self._treedef.node_data()

    def fields(self) -> dict[str, Any]:
        """The attributes of the container, if it can be made without children."""
        metadata = {"metadata": self._treedef.node_data()[1]}
        try:
            return {**vars(self._treedef.unflatten([None] * self._treedef.num_leaves)), **metadata}
        except Exception:  # it looks at its children, or has slots
            return metadata


def _open_by_torch(tree: Any) -> Opened | None:
    pytree = sys.modules.get("torch.utils._pytree")
    node = None if pytree is None else pytree.SUPPORTED_NODES.get(type(tree))
    if node is None:
        return None
    children, context = node.flatten_fn(tree)

    def join(new: Sequence[Any]) -> Any:
        return node.unflatten_fn(list(new), context)

    return Opened(Static({"context": context}), _indices(len(children)), list(children), join)


_dicts: list[dict[Any, Any]] = [{}, OrderedDict()]
_views: list[Any] = [view for d in _dicts for view in (d.keys(), d.values(), d.items())]
_PASSING: list[type[Any]] = [GeneratorType, map, filter, zip, enumerate, reversed, *map(type, _views)]
"""What is read once, or belongs to a container: no tree, and JAX warns when it is asked."""

_openers: dict[type[Any], Callable[[Any], Opened | None]] = {
    **dict.fromkeys(_PASSING, _leaf),
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
