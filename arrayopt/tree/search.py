"""State found, changed and mapped by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from arrayopt.tree.align import subtrees
from arrayopt.tree.arithmetic import map as tree_map
from arrayopt.tree.structure import Opened, flatten, is_namedtuple, open_node
from arrayopt.types import Tree

Filter = Callable[[str, Any], bool]


def get_all_with_path(tree: Tree, key: str, filtering: Filter | None = None) -> list[tuple[str, Any]]:
    """Everything in a tree that has a name, with the path to it.

    Args:
      tree: any tree, usually an optimizer's state.
      key: a dict key, the name of a field, or the name of a NamedTuple's class.
      filtering: says of a path and what lies there whether it is meant.

    Returns:
      Pairs of path, as one would index the tree, and value.

    Example:
      >>> import arrayopt, numpy as np
      >>> state = arrayopt.adam(0.1).init(np.zeros(2))
      >>> arrayopt.tree.get_all_with_path(state, "mu")
      [('[0].mu', array([0., 0.]))]
    """
    flatten(tree)  # which raises if there is no end to it
    found: list[tuple[str, Any]] = []
    todo: list[tuple[Any, _Named | None]] = [(tree, None)]
    while todo:
        node, named = todo.pop()
        if _called(key, node, named):
            path = _path(named)
            found += [(path, node)] if filtering is None or filtering(path, node) else []
        todo += _below(open_node(node), named)
    return found


class _Named(NamedTuple):
    """The way to a node, from which its path is made if it is asked for."""

    above: _Named | None
    label: str


def _path(named: _Named | None) -> str:
    labels: list[str] = []
    while named is not None:
        labels.append(named.label)
        named = named.above
    return "".join(reversed(labels))


def _called(key: str, node: object, named: _Named | None) -> bool:
    """Whether a node lies under the key, in the field, or is of the NamedTuple."""
    if named is not None and named.label in (f".{key}", f"[{key!r}]"):
        return True
    return type(node).__name__ == key and is_namedtuple(type(node))


def _below(opened: Opened | None, named: _Named | None) -> list[tuple[Any, _Named]]:
    """The children of a container, the last first."""
    if opened is None:
        return []
    return [(x, _Named(named, label)) for label, x in zip(opened.labels(), opened.children, strict=True)][::-1]


def get(tree: Tree, key: str, default: Any = None, filtering: Filter | None = None) -> Any:
    """The one thing in a tree that has a name.

    Args:
      tree: any tree, usually an optimizer's state.
      key: a dict key, the name of a field, or the name of a NamedTuple's class.
      default: the answer if there is none.
      filtering: says of a path and what lies there whether it is meant.

    Raises:
      KeyError: several things have the name.

    Example:
      >>> import arrayopt, numpy as np
      >>> state = arrayopt.adam(0.1).init(np.zeros(2))
      >>> arrayopt.tree.get(state, "count")
      array(0, dtype=int32)
    """
    found = get_all_with_path(tree, key, filtering)
    if len(found) > 1:
        raise KeyError(f"tree.get: {key} must name one thing; it names {', '.join([path for path, _ in found])}.")
    return found[0][1] if found else default


def set(tree: Tree, filtering: Filter | None = None, /, **kwargs: Any) -> Tree:
    """The tree with new values for everything that has one of the names.

    Args:
      tree: any tree, usually an optimizer's state.
      filtering: says of a path and what lies there whether it is meant.
      **kwargs: new values by name.

    Raises:
      KeyError: nothing has the name.

    Example:
      >>> import arrayopt, numpy as np
      >>> state = arrayopt.adam(0.1).init(np.zeros(2))
      >>> arrayopt.tree.set(state, count=np.asarray(7, dtype=np.int32))[0].count
      array(7, dtype=int32)
    """
    for key in kwargs:
        if not get_all_with_path(tree, key, filtering):
            raise KeyError(f"tree.set: {key} must name something in the tree; nothing there has that name.")
    return _replaced(tree, kwargs, filtering)


def _replaced(tree: Tree, new: dict[str, Any], filtering: Filter | None) -> Tree:
    """The tree with new values. Taken apart from the root, and put together from the leaves."""
    nodes: list[tuple[Opened | None, Any]] = []
    todo: list[tuple[Any, _Named | None]] = [(tree, None)]
    while todo:
        node, named = todo.pop()
        keys = [key for key in new if _called(key, node, named)]
        if keys and (filtering is None or filtering(_path(named), node)):
            nodes.append((None, new[keys[0]]))
            continue
        opened = open_node(node)
        nodes.append((opened, node))
        todo += _below(opened, named)
    made: list[Any] = []
    for opened, node in reversed(nodes):
        made.append(node if opened is None else opened.join(_taken(made, len(opened.children))))
    return made[0]


def _taken(made: list[Any], count: int) -> list[Any]:
    """The last so many, which are taken away; they were made from the last to the first."""
    first = len(made) - count
    taken = made[first:][::-1]
    del made[first:]
    return taken


class _Params(NamedTuple):
    """Stands for the parameters while a state is looked at for where they return."""


def map_params(
    initable: Any,
    f: Callable[..., Any],
    state: Tree,
    /,
    *rest: Tree,
    transform_non_params: Callable[[Any], Any] | None = None,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Tree:
    """Maps a function over those parts of a state that have the structure of the parameters.

    Args:
      initable: the transform, or its ``init``.
      f: function of a leaf there, and of the leaves of the rest at its place.
      state: made by that transform.
      *rest: trees with the structure of the parameters.
      transform_non_params: function of the other leaves; None leaves them as they are.
      is_leaf: says of a subtree of such a part that it is to be taken as one leaf.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.adam(0.1)
      >>> state = tx.init({"w": np.zeros(2)})
      >>> arrayopt.tree.map_params(tx, lambda x: x.shape, state)[0].mu
      {'w': (2,)}
    """
    init: Callable[[Any], Tree] = getattr(initable, "init", initable)
    marks, spec = flatten(init(_Params()), is_leaf=_is_params)
    parts = subtrees(spec, state, "tree.map_params: the state")
    other: Callable[[Any], Any] = transform_non_params or _same

    def mapped(mark: Any, part: Tree) -> Tree:
        if _is_params(mark):
            return tree_map(f, part, *rest, is_leaf=is_leaf)
        return tree_map(other, part)

    return spec.unflatten([mapped(mark, part) for mark, part in zip(marks, parts, strict=True)])


def _is_params(x: Any) -> bool:
    return isinstance(x, _Params)


def _same(x: Any) -> Any:
    return x
