"""Arrays of several sizes that meet in a kernel, walked through row by row."""

from __future__ import annotations

import importlib.util
from typing import Any
from unittest import mock

import numpy as np
import pytest
from arrayopt_conformance.harness.compare import assert_near
from arrayopt_conformance.harness.forests import SETTINGS
from arrayopt_conformance.harness.fused import kernel_engines, rule, stepped
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.libraries import Library
from hypothesis import given, settings
from hypothesis import strategies as st

import arrayopt
from arrayopt.fused.rows import rows
from arrayopt.fused.tiles import Tiles

FEW = 8 * 2.0**-52
NUMBA = importlib.util.find_spec("numba") is not None

Shape = tuple[int, ...]


def met(shape: Shape) -> st.SearchStrategy[Shape]:
    """Shapes that broadcast to another, some with fewer axes or with ones in front."""
    ones = st.tuples(*[st.sampled_from([n, 1]) for n in shape])
    return st.builds(
        lambda own, k, front: (1,) * front + own[k:], ones, st.integers(0, len(shape)), st.integers(0, 1)
    )


SHAPES = st.lists(st.integers(1, 4), max_size=5).map(tuple).flatmap(
    lambda shape: st.tuples(st.just(shape), st.lists(met(shape), max_size=3))
)  # fmt: skip


@settings(SETTINGS, max_examples=200)
@given(SHAPES)
def test_rows_are_what_broadcasting_makes(drawn: tuple[Shape, list[Shape]]) -> None:
    shape, others = drawn
    shapes = [shape, *[own for own in others if np.broadcast_shapes(shape, own)[-len(shape) :] == shape]]
    found = rows(shape, shapes)
    for own, steps, walks in zip(shapes, found.steps, found.walks, strict=True):
        entries = np.arange(np.prod(own, dtype=int)).reshape(own)
        wanted = np.broadcast_to(entries, np.broadcast_shapes(shape, own)).reshape(-1)
        first = np.zeros(1, int)
        for n, step in zip(found.outer, steps, strict=True):
            first = np.add.outer(first, np.arange(n) * step).reshape(-1)
        assert np.add.outer(first, np.arange(found.length) * walks).reshape(-1).tolist() == wanted.tolist()
    assert found.walks[0]


def test_rows_are_long() -> None:
    assert rows((4, 5, 6), [(4, 5, 6), (4, 1, 1)]) == (30, (4,), ((30,), (1,)), (True, False))
    assert rows((4, 5, 6), [(4, 5, 6), (5, 6)]) == (30, (4,), ((30,), (0,)), (True, True))
    assert rows((3, 1), [(3, 1), (1,)]) == (3, (), ((), ()), (True, False))


LARGE: dict[str, tuple[Shape, list[Shape]]] = {
    "a row of several tasks": ((3, 70_001), [(3, 1), (70_001,)]),
    "rows of few entries": ((40_000, 3), [(40_000, 1), (3,)]),
    "several axes": ((7, 40, 5, 60), [(7, 1, 5, 1), (40, 1, 60)]),
    "one number": ((300, 300), [(1, 1), (300, 1)]),
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize(("library", "engine"), kernel_engines("numpy", "torch"), ids=str)
def test_broadcasts_are_as_eagerly(library: Library, engine: str, name: str) -> None:
    shape, others = LARGE[name]
    rng = np.random.default_rng(0)

    def draw(shape: Shape) -> Any:
        return library.asarray(rng.standard_normal(shape), "float64")

    def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
        u = g * s[0] / (2 + abs(s[1]))
        return u * xp.sum(u * u) / u.shape[0], (s[0] * 0.5, s[1] + 1)

    params, slots, days = draw(shape), [draw(s) for s in others], [draw(shape) for _ in range(2)]
    make = lambda: rule(formula, *slots)  # noqa: E731
    plain, done = run(make(), params, days), stepped(make, library, params, days, engine)
    assert done.step.explain().stopped is None
    assert_near(done.params, plain.params, 64 * FEW, "the parameter of step ")  # of a sum of so many
    assert_near(done.states, plain.states, FEW, "the slots of step ")


@pytest.mark.skipif(not NUMBA, reason="needs numba")
def test_adafactor_needs_no_tiles() -> None:
    """Whatever it does between sums along an axis is compiled."""
    tx = arrayopt.adafactor(0.1)
    params = [np.ones((130, 140), np.float32), np.ones((2, 130, 140), np.float32), np.ones(3, np.float32)]
    step, grads, state = arrayopt.fused_step(tx, engine="numba"), [x + 1 for x in params], tx.init(params)
    with mock.patch.object(Tiles, "launch", side_effect=AssertionError):
        step(params, grads, state)
