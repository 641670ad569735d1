"""Cases of the projections. A point is one vector, so none works row by row but the bounds of each entry."""

from __future__ import annotations

from typing import Any

from arrayopt_conformance.functions import Case, case
from arrayopt_conformance.functions.data import eighths, normal, uniform

X, TREE = normal(4, 3), {"w": normal(2, 3, seed=1), "b": normal(3, seed=2)}
A, B = normal(4, 3, seed=3), {"w": normal(2, 3, seed=4), "b": normal(3, seed=5)}
LOW, HIGH = -uniform(4, 3, seed=6), uniform(4, 3, seed=7)


def _whole(name: str, *args: Any, **kwargs: Any) -> Case:
    return case(f"projections.projection_{name}", *args, **kwargs).but(rows=False)


def _on_trees(made: Case) -> Case:
    """A tree is no array to take a derivative by."""
    return made.but(by=())


CASES = [
    case("projections.projection_non_negative", X),
    _on_trees(_whole("non_negative", TREE)),
    case("projections.projection_box", X, LOW, HIGH).but(by=(0, 1, 2)),
    case("projections.projection_box", X, -0.5, 0.25),
    case("projections.projection_box", X, None, 0.25),
    _on_trees(_whole("box", TREE, {"w": -0.5, "b": None}, {"w": HIGH[0], "b": HIGH[1]})),
    case("projections.projection_hypercube", X),
    case("projections.projection_hypercube", X, HIGH).but(by=(0, 1)),
    _whole("linf_ball", X, 0.5),
    _on_trees(_whole("linf_ball", TREE)),
    *[
        # of one 16-bit array Optax makes float32 by the simplex, and raises by the ball
        made.but(peer=name not in ("simplex", "l1_ball", "l1_sphere"))
        for name in ("simplex", "l1_ball", "l1_sphere", "l2_ball", "l2_sphere")
        for made in (
            _whole(name, X),
            _whole(name, X, 3.5).but(by=()),
            _whole(name, 0.01 * X, 2.0),
            _whole(name, eighths(8), scale=1.0).but(smooth=False),
            _on_trees(_whole(name, TREE, 2)),
        )
    ],
    _whole("vector", X, A).but(by=(0, 1)),
    _on_trees(_whole("vector", TREE, B)),
    _whole("hyperplane", X, A, 0.5).but(by=(0, 1)),
    _on_trees(_whole("hyperplane", TREE, B, -2)),
    _whole("halfspace", X, A, -20.0).but(by=(0, 1)),
    _whole("halfspace", X, A, 20.0).but(by=(0, 1)),
    _on_trees(_whole("halfspace", TREE, B, -5.0)),
]
