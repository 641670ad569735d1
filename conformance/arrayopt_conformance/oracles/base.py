"""identity: u = g; with_extra_args_support: u = f(g), whatever else is said"""

from collections.abc import Iterable, Iterator

from . import Array, Inner, Leaves, Link, all_leaves, leaf_by_leaf


@leaf_by_leaf(reach="elementwise", cases={"defaults": {}})
def identity(p: Array, gs: Iterable[Array]) -> Iterator[Array]:
    yield from gs


@all_leaves(
    reach="elementwise",
    cases={
        "without": {"tx": Inner("trace", decay=0.9)},
        "with": {"tx": Inner("sgd", learning_rate=0.1, momentum=0.9)},
    },
)
def with_extra_args_support(ps: Leaves, gradients: Iterable[Leaves], *, tx: Link) -> Iterator[Leaves]:
    return tx(ps, gradients)
