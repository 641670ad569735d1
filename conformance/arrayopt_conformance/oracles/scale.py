"""u = s·g"""

from collections.abc import Iterable, Iterator

from . import Array, Cases, leaf_by_leaf


@leaf_by_leaf
def oracle(p: Array, gs: Iterable[Array], *, step_size: float) -> Iterator[Array]:
    for g in gs:
        yield step_size * g


REACH = "elementwise"
CASES: Cases = {"shrink": {"step_size": 0.3}, "reverse": {"step_size": -2.0}, "zero": {"step_size": 0.0}}
