"""How far an entry of the gradient is felt: in its own place, in its leaf, or in the whole tree.

An elementwise rule gives the same bits leaf by leaf, in tiles, and with all leaves joined to one; this is what fusing
rests on. A leafwise rule gives the same bits whatever the other leaves are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from arrayopt_conformance.harness.data import Shapes, normal
from arrayopt_conformance.harness.runs import standing
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import libraries
from arrayopt_conformance.rules import REACHES

Leaf = npt.NDArray[Any]
Updates = list[dict[str, Leaf]]  # of each step

_TILE = 7  # entries; no leaf is a multiple of it
_STEPS = 4
_ALL: list[Shapes] = [  # of one rank each: a rule may treat matrices and vectors differently
    {"a": (5,), "b": (24,), "c": (1,)},
    {"a": (5, 6), "b": (4, 9), "c": (1, 1)},
    {"a": (2, 3, 4), "b": (4, 5, 3), "c": (2, 2, 2)},
]


def reach(make: Recipe) -> str:
    """The least reach that fits the transform, on NumPy in float32."""
    found = {_reach(make, shapes) for shapes in _ALL}
    return next(far for far in reversed(REACHES) if far in found)


def _reach(make: Recipe, shapes: Shapes) -> str:
    together = _updates(make, normal(shapes, 0), _days(shapes))
    if not _same(_one_by_one(make, shapes), together) or not _same(_beside_others(make, shapes), together):
        return "treewise"
    fits = _same(_joined(make, shapes), together) and _same(_tiled(make, shapes), together)
    return "elementwise" if fits else "leafwise"


def _days(shapes: Shapes) -> Updates:
    """Gradients that grow from step to step, far enough for any bound on them to be reached."""
    days = [normal(shapes, 1 + k) for k in range(_STEPS)]
    return [{name: g * 100.0**k for name, g in gs.items()} for k, gs in enumerate(days)]


def _updates(make: Recipe, params: dict[str, Leaf], days: Updates) -> Updates:
    numpy = libraries()["numpy"]  # the parameters stay, not to grow with the gradients
    return standing(make(), numpy.tree(params, "float32"), [numpy.tree(gs, "float32") for gs in days])


def _same(some: Updates, others: Updates) -> bool:
    """Whether the leaves that both have are equal to the last bit."""
    return all(
        us[name].tobytes() == vs[name].tobytes()
        for us, vs in zip(some, others, strict=True)
        for name in us.keys() & vs.keys()
    )


def _one_by_one(make: Recipe, shapes: Shapes) -> Updates:
    """Each leaf in a tree of its own."""
    params, days = normal(shapes, 0), _days(shapes)
    runs = [_updates(make, {name: p}, [{name: gs[name]} for gs in days]) for name, p in params.items()]
    return [{name: u for us in day for name, u in us.items()} for day in zip(*runs, strict=True)]


def _beside_others(make: Recipe, shapes: Shapes) -> Updates:
    """The first leaf beside others that are far greater."""
    params, days = normal(shapes, 0), _days(shapes)
    first = next(iter(shapes))
    great = [{name: g if name == first else 1e3 * g for name, g in gs.items()} for gs in days]
    return [{first: us[first]} for us in _updates(make, params, great)]


def _joined(make: Recipe, shapes: Shapes) -> Updates:
    """All leaves as one row of entries; the updates taken apart again."""
    whole = _updates(make, {"all": _row(normal(shapes, 0))}, [{"all": _row(gs)} for gs in _days(shapes)])
    return [_leaves(us["all"], shapes) for us in whole]


def _tiled(make: Recipe, shapes: Shapes) -> Updates:
    """The same row in pieces that know nothing of each other."""
    params, days = _tiles(_row(normal(shapes, 0))), [_tiles(_row(gs)) for gs in _days(shapes)]
    pieces = [_updates(make, {"x": params[i]}, [{"x": day[i]} for day in days]) for i in range(len(params))]
    rows = [np.concatenate([us["x"] for us in day], axis=-1) for day in zip(*pieces, strict=True)]
    return [_leaves(row, shapes) for row in rows]


def _row(leaves: dict[str, Leaf]) -> Leaf:
    """All entries in one array of the same rank, (1, …, n)."""
    rank = next(iter(leaves.values())).ndim
    return np.concatenate([x.reshape(-1) for x in leaves.values()]).reshape((1,) * (rank - 1) + (-1,))


def _tiles(row: Leaf) -> list[Leaf]:
    return [row[..., i : i + _TILE] for i in range(0, row.shape[-1], _TILE)]


def _leaves(row: Leaf, shapes: Shapes) -> dict[str, Leaf]:
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    parts = np.split(row.reshape(-1), ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
