"""Layouts of every kind: right results by whatever path, and nothing written outside of a view."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from typing import Any

import numpy as np
import pytest
from cuda_on_host import emulate

import arrayopt

HAS = {name: importlib.util.find_spec(name) is not None for name in ("numba", "torch")}
PLACES = [
    (library, engine)
    for library in ("numpy", *(["torch"] if HAS["torch"] else []))
    for engine in ("tiles", *(["numba"] if HAS["numba"] else []), *(["cuda"] if shutil.which("g++") else []))
]
STEPS, TRIALS = 3, 12
SHAPES = [(), (0, 3), (1,), (7,), (4, 5), (2, 3, 4), (3, 1, 5), (2, 3, 4, 5)]
RULES = {
    "adamw": lambda: arrayopt.adamw(0.1, weight_decay=0.1),
    "clipped": lambda: arrayopt.chain(arrayopt.clip_by_global_norm(0.5), arrayopt.sgd(0.1, momentum=0.9)),
    "adafactor": lambda: arrayopt.adafactor(0.1, min_dim_size_to_factor=2),
}


@pytest.fixture(autouse=True)
def emulated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the engine is ``"cuda"``, what stands for a GPU."""
    if request.node.callspec.params["engine"] == "cuda":
        for name in {library for library, _ in PLACES}:
            emulate(name, monkeypatch)


class Laid:
    """An array laid out in some way within a larger one, whose other entries must stay."""

    def __init__(self, random: np.random.Generator, shape: tuple[int, ...], library: str, dtype: str) -> None:
        self.library = library
        order = [int(a) for a in random.permutation(len(shape))]
        steps = [int(random.integers(1, 3)) for _ in shape]
        ends = [int(random.integers(0, 3)) for _ in shape]
        sizes = [shape[a] * s + e for a, s, e in zip(order, steps, ends, strict=True)]
        base = np.asarray(random.standard_normal(sizes)).astype(dtype)
        if library == "numpy":
            flips = [int(random.choice([1, -1])) for _ in shape]
        else:
            flips = [1] * len(shape)  # Torch has no negative strides
        index = tuple([slice(0, shape[a] * s, s) for a, s in zip(order, steps, strict=True)])
        self.base: Any = self.put(base)
        view = self.base[index or ...]
        back = [order.index(a) for a in range(len(shape))]
        view = view.transpose(back) if library == "numpy" else view.permute(back)
        self.view: Any = view[tuple([slice(None, None, f) for f in flips])] if library == "numpy" and shape else view
        mask = np.zeros(sizes, bool)
        mask[index] = True
        self.outside = ~mask
        self.before = self.get(self.base).copy()

    def put(self, x: Any) -> Any:
        return importlib.import_module("torch").from_numpy(x) if self.library == "torch" else x

    @staticmethod
    def get(x: Any) -> Any:
        return x if isinstance(x, np.ndarray) else np.asarray(x.detach())

    def assert_untouched_outside(self) -> None:
        now = self.get(self.base)
        assert np.array_equal(now[self.outside], self.before[self.outside])


def values(tree: Any) -> Any:
    return arrayopt.tree.map(lambda x: np.array(Laid.get(x)), tree)


def assert_near(got: Any, wanted: Any, dtype: str, scale: float = 0.0) -> None:
    """Within 16 units in the last place of the greatest entry, or of what the entries came from."""
    eps = float(np.finfo(dtype).eps)
    for a, b in zip(arrayopt.tree.leaves(got), arrayopt.tree.leaves(wanted), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        bound = 16 * eps * max(np.max(abs(b), initial=0.0), scale)
        assert np.max(abs(a - b), initial=0.0) <= bound


def gradient(random: np.random.Generator, like: Laid, dtype: str) -> Any:
    """Laid out otherwise than its parameter: contiguous, strided, expanded, read-only."""
    shape = tuple(like.view.shape)
    kind = random.integers(4)
    if kind == 0:
        return Laid(random, shape, like.library, dtype).view
    if kind == 1 and shape:
        one = random.standard_normal((*shape[:-1], 1)).astype(dtype)
        if like.library == "torch":
            return like.put(one).expand(shape)
        return np.broadcast_to(one, shape)
    x = np.asarray(random.standard_normal(shape)).astype(dtype)
    if like.library == "numpy" and kind == 2:
        x.flags.writeable = False
    return like.put(np.array(x)) if like.library == "torch" else x


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("library", "engine"), PLACES)
def test_any_layout_is_stepped_right_and_nothing_else_is_written(library: str, engine: str, rule: str) -> None:
    random, tx = np.random.default_rng(7), RULES[rule]()
    for _ in range(TRIALS):
        dtype = str(random.choice(["float32", "float64"]))
        shapes = [SHAPES[i] for i in random.integers(0, len(SHAPES), 3)]
        if rule == "adafactor" and engine != "tiles":  # each set of shapes has kernels of its own
            dtype, shapes = "float64", [(4, 5), (2, 3, 4), (7,)]
        laid = [Laid(random, shape, library, dtype) for shape in shapes]
        params = [x.view for x in laid]
        plain = values(params)
        state, wanted = (
            tx.init([laid[0].put(np.array(x)) if library == "torch" else x.copy() for x in plain]),
            tx.init(plain),
        )
        state = scattered(random, state, library)
        step = arrayopt.fused_step(tx, engine)
        for _ in range(STEPS):
            grads = [gradient(random, x, dtype) for x in laid]
            kept = values(grads)
            updates, wanted = tx.update(kept, wanted, plain)
            plain = arrayopt.apply_updates(plain, updates)
            got, state = step(params, grads, state)
            assert all([a is b for a, b in zip(got, params, strict=True)])
            assert_near(values(params), plain, dtype, scale=1.0)  # they began as normal numbers
            assert_near(values(state), wanted, dtype, scale=0.1)  # of gradients that were normal, or clipped
            for a, b in zip(values(grads), kept, strict=True):
                assert np.array_equal(a, b)
            for x in laid:
                x.assert_untouched_outside()


def scattered(random: np.random.Generator, state: Any, library: str) -> Any:
    """The state with some of its arrays laid out in odd ways."""

    def moved(x: Any) -> Any:
        if random.random() < 0.5 or not x.shape:
            return x
        laid = Laid(random, tuple(x.shape), library, str(x.dtype).rsplit(".", 1)[-1])
        laid.view[...] = x
        return laid.view

    return arrayopt.tree.map(moved, state)


@pytest.mark.parametrize(("library", "engine"), PLACES)
def test_gradients_that_share_memory_with_what_is_written_are_read_first(library: str, engine: str) -> None:
    tx = RULES["clipped"]()
    base = np.linspace(-2.0, 3.0, 12)
    put = importlib.import_module("torch").from_numpy if library == "torch" else np.asarray
    for grad_of in (lambda p: p, lambda p: put(Laid.get(p)[::-1].copy()) if library == "torch" else p[::-1]):
        p = put(base.copy())
        plain, state, step = base.copy(), tx.init([put(base.copy())]), arrayopt.fused_step(tx, engine)
        wanted = tx.init([plain])
        for _ in range(STEPS):
            g = np.array(Laid.get(grad_of(p)))
            updates, wanted = tx.update([g], wanted, [plain])
            [plain] = arrayopt.apply_updates([plain], updates)
            _, state = step([p], [grad_of(p)], state)
        np.testing.assert_allclose(Laid.get(p), plain, rtol=1e-13)


@pytest.mark.parametrize("engine", [engine for library, engine in PLACES if library == "torch"])
def test_channels_last_is_walked_through_as_it_lies(engine: str) -> None:
    torch = importlib.import_module("torch")
    tx, p = arrayopt.adamw(0.1), torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    wanted, params = p.contiguous().clone(), [p]
    state, alike = tx.init(params), tx.init([wanted])
    step, plain = arrayopt.fused_step(tx, engine), arrayopt.fused_step(tx, engine)
    for k in range(STEPS):
        g = torch.sin(k + p)
        same = torch.sin(k + wanted)
        step(params, [g], state)
        plain([wanted], [same], alike)
    torch.testing.assert_close(p, wanted, rtol=1e-6, atol=1e-6)
    assert state[0].mu[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("engine", [engine for library, engine in PLACES if library == "torch"])
def test_a_parameter_of_expanded_memory_is_refused(engine: str) -> None:
    torch = importlib.import_module("torch")
    tx, step = arrayopt.sgd(0.1), arrayopt.fused_step(arrayopt.sgd(0.1), engine)
    with pytest.raises(ValueError, match="must have a place in memory for each entry"):
        step([torch.ones(1).expand(3)], [torch.ones(3)], tx.init([torch.ones(3)]))


@pytest.mark.parametrize("engine", [engine for library, engine in PLACES if library == "numpy"])
def test_a_state_that_is_the_parameter_is_refused(engine: str) -> None:
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return updates, arrayopt.tree.map(lambda s, g: s + g, state, updates)

    params = {"w": np.ones(3)}
    step = arrayopt.fused_step(arrayopt.GradientTransformation(lambda p: p, update), engine)
    with pytest.raises(ValueError, match=r"the parameter at \['w'\] and the state at \['w'\] share memory"):
        step(params, {"w": np.ones(3)}, params)


@pytest.mark.parametrize("engine", [engine for library, engine in PLACES if library == "numpy"])
def test_slots_may_change_places(engine: str) -> None:
    """A history moves on: every slot takes what another one held."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        first, second, third = state
        return arrayopt.tree.map(lambda g, s: g - s, updates, third), (updates, first, second)

    params, state = {"w": np.zeros(4)}, tuple([{"w": np.full(4, k)} for k in (1.0, 2.0, 3.0)])
    step = arrayopt.fused_step(arrayopt.GradientTransformation(lambda p: state, update), engine)
    for k in range(4):
        params, state = step(params, {"w": np.full(4, 10.0 + k)}, state)
    assert step.explain().stopped is None
    assert [s["w"][0] for s in state] == [13.0, 12.0, 11.0]
    assert params["w"].tolist() == [(10 - 3) + (11 - 2) + (12 - 1) + (13 - 10)] * 4
