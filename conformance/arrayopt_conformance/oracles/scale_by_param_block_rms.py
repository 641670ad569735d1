"""u = g·max(rms(p), ε₂), leaf by leaf, with the parameters before this step

N. Shazeer, M. Stern (2018), Adafactor: Adaptive Learning Rates with Sublinear Memory Cost,
arXiv:1804.04235: relative step size.
"""

from collections.abc import Iterable, Iterator

from . import Array, Cases, leaf_by_leaf, rms


@leaf_by_leaf
def oracle(p: Array, gs: Iterable[Array], *, min_scale: float = 1e-3) -> Iterator[Array]:
    for g in gs:
        yield g * max(rms(p), min_scale)


REACH = "leafwise"
CASES: Cases = {"defaults": {}, "sometimes": {"min_scale": 2.0}, "always": {"min_scale": 1e4}}
