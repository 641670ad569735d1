"""Adam's direction.

    m ← β₁·m + (1 − β₁)·g            m̂ = m/(1 − β₁ᵗ)
    v ← β₂·v + (1 − β₂)·|g|²         v̂ = v/(1 − β₂ᵗ)
    u = m̂/(√(v̂ + ε̄) + ε)

with nesterov  m̂ = β₁·m/(1 − β₁ᵗ⁺¹) + (1 − β₁)·g/(1 − β₁ᵗ).

D. P. Kingma, J. Ba (2014), Adam: A Method for Stochastic Optimization, arXiv:1412.6980, algorithm 1;
T. Dozat (2016), Incorporating Nesterov Momentum into Adam.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Cases, leaf_by_leaf, stored


@leaf_by_leaf
def oracle(
    p: Array,
    gs: Iterable[Array],
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    mu_dtype: str | None = None,
    nesterov: bool = False,
) -> Iterator[Array]:
    m = np.zeros_like(p)
    v = np.zeros(p.shape)
    for t, g in enumerate(gs, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * abs(g) ** 2
        m_hat = m / (1 - b1**t)
        if nesterov:
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        v_hat = v / (1 - b2**t)
        yield m_hat / (np.sqrt(v_hat + eps_root) + eps)
        m = stored(m, mu_dtype)  # rounded for the next step, not for this one


REACH = "elementwise"
CASES: Cases = {
    "defaults": {},
    "betas": {"b1": 0.7, "b2": 0.8},
    "memoryless": {"b1": 0.0, "b2": 0.0},
    "eps": {"eps": 0.1},
    "eps_root": {"eps_root": 0.05},
    "nesterov": {"nesterov": True},
    "mu_dtype": {"mu_dtype": "float32"},
    "everything": {
        "b1": 0.8,
        "b2": 0.9,
        "eps": 0.1,
        "eps_root": 0.05,
        "mu_dtype": "float32",
        "nesterov": True,
    },
}
