"""u = f(g), whatever else is said"""

from collections.abc import Iterable, Iterator

from . import Cases, Inner, Leaves, Link, all_leaves


@all_leaves
def oracle(ps: Leaves, gradients: Iterable[Leaves], *, tx: Link) -> Iterator[Leaves]:
    return tx(ps, gradients)


REACH = "elementwise"
CASES: Cases = {
    "without": {"tx": Inner("trace", decay=0.9)},
    "with": {"tx": Inner("sgd", learning_rate=0.1, momentum=0.9)},
}
