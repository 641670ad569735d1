"""u = f(g, p), leaf by leaf"""

from collections.abc import Callable, Iterable, Iterator

from . import Array, Backwards, Cases, leaf_by_leaf


@leaf_by_leaf
def oracle(p: Array, gs: Iterable[Array], *, f: Callable[[Array, Array], Array]) -> Iterator[Array]:
    for g in gs:
        yield f(g, p)


REACH = "elementwise"
CASES: Cases = {"half": {"f": Backwards(0.5)}, "twice": {"f": Backwards(2.0)}}
