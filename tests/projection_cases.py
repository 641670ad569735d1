"""Projections of a vector from their definitions, in plain NumPy and double, and how far a point is out of the set.

A case calls one projection on a tree of two leaves, in any module that has it; what else it takes lies beside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
LOWER, UPPER = np.linspace(-0.5, 0.25, 7), np.linspace(0.25, 1.5, 7)
NORMAL = np.asarray([1.0, -2.0, 0.5, 0.0, 3.0, -1.0, 0.25])


def cut(x: Any) -> dict[str, Any]:
    """A vector of seven entries as a tree."""
    return {"w": x[:6].reshape(2, 3), "b": x[6]}


def joined(tree: dict[str, Any]) -> Vector:
    """The tree as a vector, in double."""
    return np.concatenate([np.asarray(tree[name], dtype=np.float64).reshape(-1) for name in ("w", "b")])


def simplex(x: Vector, scale: float) -> Vector:
    """By bisection: Σ max(x − τ, 0) falls as τ grows."""
    low, high = x.max() - scale, x.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(x - middle, 0).sum() > scale else (low, middle)
    return np.maximum(x - (low + high) / 2, 0)


def l1_sphere(x: Vector, scale: float) -> Vector:
    return np.where(x < 0, -1, 1) * simplex(np.abs(x), scale)


def l2_ball(x: Vector, scale: float) -> Vector:
    norm = float(np.linalg.norm(x))
    return x if norm <= scale else x * scale / norm


def halfspace(x: Vector, b: float) -> Vector:
    return x - max(float(NORMAL @ x) - b, 0) / float(NORMAL @ NORMAL) * NORMAL


@dataclass(frozen=True, eq=False)  # a key by identity
class Case:
    """One projection with arguments.

    Attributes:
      name: without ``projection_``.
      further: trees it takes beside the first, as vectors, and scalars.
      oracle: of a vector.
      outside: how far a vector is out of the set; 0 in it.
      is_convex: whether the set is.
    """

    name: str
    further: tuple[Any, ...]
    oracle: Callable[[Vector], Vector]
    outside: Callable[[Vector], float]
    is_convex: bool = True

    def __str__(self) -> str:
        scalars = [x for x in self.further if isinstance(x, float)]
        return "-".join([self.name, *map(str, scalars)])

    @property
    def has_inside(self) -> bool:
        """Whether the set has inner points."""
        return self.name not in ("simplex", "l1_sphere", "l2_sphere", "vector", "hyperplane")

    def function(self, module: Any) -> Callable[..., Any]:
        return getattr(module, f"projection_{self.name}")  # type: ignore[no-any-return]

    def arguments(self, here: Callable[[Any], Any]) -> list[Any]:
        """What is given beside the tree, arrays made by a function."""
        return [here(cut(x)) if isinstance(x, np.ndarray) else x for x in self.further]


def above(x: Any) -> float:
    return float(np.max(x, initial=0.0))


CASES = [
    Case("non_negative", (), lambda x: np.maximum(x, 0), lambda p: above(-p)),
    Case(
        "box",
        (LOWER, UPPER),
        lambda x: np.minimum(np.maximum(x, LOWER), UPPER),
        lambda p: above([LOWER - p, p - UPPER]),
    ),
    Case("box", (-0.25, 0.5), lambda x: np.minimum(np.maximum(x, -0.25), 0.5), lambda p: above([-0.25 - p, p - 0.5])),
    Case("hypercube", (), lambda x: np.clip(x, 0, 1), lambda p: above([-p, p - 1])),
    Case("hypercube", (UPPER,), lambda x: np.clip(x, 0, UPPER), lambda p: above([-p, p - UPPER])),
    Case("linf_ball", (), lambda x: np.clip(x, -1, 1), lambda p: above(np.abs(p) - 1)),
    Case("linf_ball", (0.5,), lambda x: np.clip(x, -0.5, 0.5), lambda p: above(np.abs(p) - 0.5)),
    *[
        case
        for s in (1.0, 0.75, 4.0)
        for case in (
            Case("simplex", (s,), lambda x, s=s: simplex(x, s), lambda p, s=s: above([*-p, abs(p.sum() - s)])),
            Case(
                "l1_ball",
                (s,),
                lambda x, s=s: x if np.abs(x).sum() <= s else l1_sphere(x, s),
                lambda p, s=s: above(np.abs(p).sum() - s),
            ),
            Case("l1_sphere", (s,), lambda x, s=s: l1_sphere(x, s), lambda p, s=s: abs(np.abs(p).sum() - s), False),
            Case("l2_ball", (s,), lambda x, s=s: l2_ball(x, s), lambda p, s=s: above(np.linalg.norm(p) - s)),
            Case(
                "l2_sphere",
                (s,),
                lambda x, s=s: x * s / np.linalg.norm(x),
                lambda p, s=s: abs(float(np.linalg.norm(p)) - s),
                False,
            ),
        )
    ],
    Case(
        "vector",
        (NORMAL,),
        lambda x: (x @ NORMAL) / (NORMAL @ NORMAL) * NORMAL,
        lambda p: float(np.linalg.norm(p - (p @ NORMAL) / (NORMAL @ NORMAL) * NORMAL)),
    ),
    Case(
        "hyperplane",
        (NORMAL, 0.5),
        lambda x: x + (0.5 - x @ NORMAL) / (NORMAL @ NORMAL) * NORMAL,
        lambda p: abs(float(p @ NORMAL) - 0.5),
    ),
    Case("halfspace", (NORMAL, 0.5), lambda x: halfspace(x, 0.5), lambda p: above(p @ NORMAL - 0.5)),
    Case("halfspace", (NORMAL, -1.5), lambda x: halfspace(x, -1.5), lambda p: above(p @ NORMAL + 1.5)),
]


def points(dtype: str = "float64") -> list[Vector]:
    """Points far from the sets, near, and in some of them; no entry on a bound."""
    rng = np.random.default_rng(0)
    found = [size * rng.normal(size=7) for size in (0.05, 0.3, 1.0, 3.0, 20.0) for _ in range(2)]
    return [x.astype(dtype).astype(np.float64) for x in found]


def gradient_of(case: Case, x: Vector, cotangent: Vector) -> Vector:
    """cᵀ · ∂P/∂x by central differences of the oracle."""
    step = 1e-6
    sides = [[case.oracle(x + sign * step * unit) @ cotangent for sign in (1, -1)] for unit in np.eye(len(x))]
    return np.asarray([(up - down) / (2 * step) for up, down in sides])
