"""u = g / max(1, rms(g)/d), leaf by leaf

N. Shazeer, M. Stern (2018), Adafactor: Adaptive Learning Rates with Sublinear Memory Cost,
arXiv:1804.04235: update clipping.
"""

from collections.abc import Iterable, Iterator

from . import Array, Cases, leaf_by_leaf, rms


@leaf_by_leaf
def oracle(p: Array, gs: Iterable[Array], *, threshold: float) -> Iterator[Array]:
    for g in gs:
        yield g / max(1.0, rms(g) / threshold)


REACH = "leafwise"
CASES: Cases = {
    "always": {"threshold": 0.01},
    "sometimes": {"threshold": 1.0},  # the root mean square of the gradients is 1, give or take
    "never": {"threshold": 100.0},
}
