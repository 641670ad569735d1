"""Fused steps where shapes change: views, broadcasts, reductions, arrays of one entry and of none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.harness.compare import assert_near
from arrayopt_conformance.harness.fused import kernel_engines, rule, stepped
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.libraries import Library

FEW = 8 * 2.0**-52  # sums are formed in another order

Shape = tuple[int, ...]
Case = tuple[Callable[[Any, Any, Any, Any], Any], list[Shape], Shape]

# formula(xp, g, slots, p) -> (update, slots), shapes of the slots, shape of the parameter
CASES: dict[str, Case] = {
    "a quotient that is broadcast": (
        lambda xp, g, s, p: (g / xp.expand_dims(s[0] / xp.sum(s[0], axis=1, keepdims=True), axis=2), s),
        [(2, 3)],
        (2, 3, 4),
    ),
    "a broadcast in another shape": (
        lambda xp, g, s, p: (xp.reshape(xp.reshape(g, (3, 2)) * s[0], (2, 3)), s),
        [(3, 1)],
        (2, 3),
    ),
    "broadcasts in two shapes": (
        lambda xp, g, s, p: (xp.reshape(xp.reshape(g * s[1], (3, 2)) * s[0], (2, 3)), s),
        [(3, 1), (2, 1)],
        (2, 3),
    ),
    "a view next to a broadcast": (
        lambda xp, g, s, p: (g * s[1], (xp.reshape(g, (6,)) + s[0], s[1])),
        [(6,), (2, 1)],
        (2, 3),
    ),
    "a slot of another size made of the gradient": (lambda xp, g, s, p: (g, (s[0] + g,)), [(3, 4)], (4,)),
    "a slot that is the gradient, broadcast": (
        lambda xp, g, s, p: (g, (xp.broadcast_to(g, (3, 4)),)),
        [(3, 4)],
        (4,),
    ),
    "an outer product": (
        lambda xp, g, s, p: (g, (s[0] + xp.expand_dims(g, axis=1) * xp.expand_dims(g, axis=0),)),
        [(4, 4)],
        (4,),
    ),
    "a sum of what was broadcast": (
        lambda xp, g, s, p: (g * xp.sum(xp.broadcast_to(s[0], (2, 3))), s),
        [(3,)],
        (2, 3),
    ),
    "a sum of ones": (lambda xp, g, s, p: (g * xp.sum(xp.ones_like(g)), s), [], (2, 3)),
    "sums of ones along an axis": (lambda xp, g, s, p: (g * xp.sum(xp.ones_like(g), axis=0), s), [], (2, 3)),
    "a mean of a number": (lambda xp, g, s, p: (g / xp.mean(xp.ones_like(g) * s[0]), s), [()], (2, 3)),
    "ones in front": (
        lambda xp, g, s, p: (xp.reshape(xp.expand_dims(g * s[0], axis=0) * s[1], (2, 3)), s),
        [(2, 1), (1, 1, 1)],
        (2, 3),
    ),
    "ones in front of a parameter": (
        lambda xp, g, s, p: (g * s[1], (s[0] * xp.reshape(p, (2, 3)), s[1])),
        [(2, 3), (2, 1)],
        (1, 2, 3),
    ),
    "ones in front of a slot": (lambda xp, g, s, p: (g * s[1], (s[0] * g, s[1])), [(1, 2, 3), (2, 1)], (2, 3)),
    "ones in front of a slot of several tiles": (
        lambda xp, g, s, p: (g * s[1], (s[0] * g, s[1])),
        [(1, 300, 300), (300, 1)],
        (300, 300),
    ),
    "one entry, broadcast": (lambda xp, g, s, p: (g, (s[0] * xp.reshape(g, (1,)),)), [(4,)], ()),
    "one entry among many": (lambda xp, g, s, p: (g + s[0], (s[0] + xp.sum(g), s[1] * s[0])), [(1,), (4,)], (4,)),
    "a transpose": (lambda xp, g, s, p: (g + g.T * s[0], s), [(3,)], (3, 3)),
    "a transpose of what is stored": (lambda xp, g, s, p: (p.T * 0.5, (p + g,)), [(3, 3)], (3, 3)),
    "rows and columns": (
        lambda xp, g, s, p: (
            g - xp.mean(g, axis=0, keepdims=True) + xp.max(abs(g), axis=1, keepdims=True),
            (s[0] + xp.sum(g * p, axis=1),),
        ),
        [(2,)],
        (2, 3),
    ),
    "slots that change places": (lambda xp, g, s, p: (g, (s[1] + g, s[0])), [(4,), (4,)], (4,)),
    "a parameter that becomes a slot": (lambda xp, g, s, p: (s[0] - p, (p + 0,)), [(4,)], (4,)),
    "entries picked out": (lambda xp, g, s, p: (g * g[0, 1] + xp.sum(p[:, 1:]), (s[0] + g[1, ...],)), [(3,)], (2, 3)),
    "no entries": (lambda xp, g, s, p: (g * s[0], (s[0] + xp.sum(p),)), [(4,)], (0, 4)),
    "sums of nothing": (
        lambda xp, g, s, p: (g * xp.sum(g) + 1, (s[0] + xp.sum(g * s[1]), s[1])),
        [(), (1, 4)],
        (0, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("library", "engine"), kernel_engines("numpy", "torch"), ids=str)
def test_shapes_change_as_they_do_eagerly(library: Library, engine: str, name: str) -> None:
    formula, shapes, shape = CASES[name]
    rng = np.random.default_rng(0)

    def draw(shape: Shape) -> Any:
        return library.asarray(rng.standard_normal(shape), "float64")

    params, slots, days = draw(shape), [draw(s) for s in shapes], [draw(shape) for _ in range(3)]
    make = lambda: rule(formula, *slots)  # noqa: E731
    plain, done = run(make(), params, days), stepped(make, library, params, days, engine)
    assert done.step.explain().stopped is None
    assert_near(done.params, plain.params, FEW, "the parameter of step ")
    assert_near(done.states, plain.states, FEW, "the slots of step ")
