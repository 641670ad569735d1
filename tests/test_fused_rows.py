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
from arrayopt.dispatch import namespace
from arrayopt.fused.program import Program, Site
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


ALONG: dict[str, tuple[Shape, Any]] = {
    "rows": ((300, 400), 1),
    "columns": ((300, 400), 0),
    "a row of several tasks": ((3, 70_001), -1),
    "columns of a row of several tasks": ((3, 70_001), 0),
    "rows of few entries": ((40_000, 3), 1),
    "columns of few entries": ((40_000, 3), (0,)),
    "the middle": ((6, 50, 70), 1),
    "both ends": ((6, 50, 70), (0, -1)),
    "a row among ones": ((1, 40, 1, 5), 3),
    "one entry": ((1, 40), 1),
    "nothing": ((3, 1), 1),
}


@pytest.mark.parametrize("name", ALONG)
@pytest.mark.parametrize(("library", "engine"), kernel_engines("numpy", "torch"), ids=str)
def test_sums_along_axes_are_as_eagerly(library: Library, engine: str, name: str) -> None:
    """Of what a kernel makes, of an input, of what was broadcast, and of what comes after another sum."""
    shape, axis = ALONG[name]
    rng = np.random.default_rng(0)
    p, g = [library.asarray(rng.standard_normal(shape), "float64") for _ in range(2)]
    slot = library.asarray(np.zeros_like(np.sum(np.zeros(shape), axis=axis)), "float64")

    def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
        first = xp.sum(g * g, axis=axis, keepdims=True)
        scaled = g / (1 + xp.sqrt(first))
        second = xp.mean(scaled * xp.max(abs(p)), axis=axis)
        return scaled - xp.mean(g, axis=axis, keepdims=True), (s[0] * 0.5 + second,)

    make = lambda: rule(formula, slot)  # noqa: E731
    plain, done = run(make(), p, [g, p]), stepped(make, library, p, [g, p], engine)
    assert done.step.explain().stopped is None
    assert_near(done.params, plain.params, 64 * FEW, "the parameter of step ")
    assert_near(done.states, plain.states, 64 * FEW, "the slot of step ")
    in_kernels = any(["along axes, within the kernel" in barrier for barrier in done.step.explain().barriers])
    assert in_kernels == (name not in ("one entry", "nothing"))  # these are no sums along an axis among several


@pytest.mark.parametrize(("library", "engine"), kernel_engines("numpy", "torch"), ids=str)
def test_sums_along_axes_of_odd_layouts(library: Library, engine: str) -> None:
    """Leaves alike share a launch, of which some may be walked through row by row and some not."""
    rng = np.random.default_rng(0)
    values = [rng.standard_normal((5, 6)) for _ in range(3)]
    leaves = [library.asarray(x, "float64") for x in values]
    turned: Any = library.asarray(values[1].T, "float64")
    turned = library.backend.copy(turned)
    leaves[1] = turned.T

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        xp = namespace(updates[0])
        return [g - xp.sum(g * p, axis=0) for g, p in zip(updates, params, strict=True)], state

    tx = arrayopt.GradientTransformation(lambda params: (), update)
    step = arrayopt.fused_step(tx, engine=engine)
    new, _ = step(leaves, [library.asarray(x, "float64") for x in values], ())
    for x, found in zip(values, new, strict=True):
        np.testing.assert_allclose(library.numpy(found), x + x - np.sum(x * x, axis=0), rtol=1e-14, atol=1e-14)


@pytest.mark.skipif(not NUMBA, reason="needs numba")
@pytest.mark.parametrize(("rows_", "threads"), [(1000, 8388), (8_000_000, 1), (80_000_000, 1)])
def test_many_sums_are_formed_by_few_threads(rows_: int, threads: int) -> None:
    from arrayopt_numba.folds import Folds

    program = Program(("float32",), (), (), (), "", False, False, (True, False), ((0, 1, "float32"),))
    assert Folds(program, [Site((0, 1), ((rows_, 2), (rows_, 1)), (rows_, 2), (), ())]).threads == threads


@pytest.mark.skipif(not NUMBA, reason="needs numba")
def test_adafactor_needs_no_tiles() -> None:
    """Whatever it does between sums along an axis is compiled."""
    tx = arrayopt.adafactor(0.1)
    params = [np.ones((130, 140), np.float32), np.ones((2, 130, 140), np.float32), np.ones(3, np.float32)]
    step, grads, state = arrayopt.fused_step(tx, engine="numba"), [x + 1 for x in params], tx.init(params)
    with mock.patch.object(Tiles, "launch", side_effect=AssertionError):
        step(params, grads, state)
