"""What remembers nothing.

    set_to_zero                u = 0
    stateless                  u = f(g, p)
    stateless_with_tree_map    u = f(g, p)

The function of stateless is given all leaves together, the other's one leaf after another.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import Array, Backwards, Cases, Leaves, all_leaves, leaf_by_leaf

_FUNCTIONS: Cases = {"half": {"f": Backwards(0.5)}, "twice": {"f": Backwards(2.0)}}


@leaf_by_leaf(reach="elementwise", cases={"defaults": {}})
def set_to_zero(p: Array, gs: Iterable[Array]) -> Iterator[Array]:
    for g in gs:
        yield g * 0


@all_leaves(reach="elementwise", cases=_FUNCTIONS)
def stateless(ps: Leaves, gradients: Iterable[Leaves], *, f: Callable[[Any, Any], Any]) -> Iterator[Any]:
    for gs in gradients:
        yield f(gs, ps)


@leaf_by_leaf(reach="elementwise", cases=_FUNCTIONS)
def stateless_with_tree_map(p: Array, gs: Iterable[Array], *, f: Callable[[Array, Array], Array]) -> Iterator[Array]:
    for g in gs:
        yield f(g, p)
