"""Steps in which some gradients are None: as eagerly, without a recording for each set of them, on every engine.

The engine ``cuda`` is emulated: its kernels run in the host's memory.
"""

from __future__ import annotations

import copy
import importlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.libraries import has
from cuda_on_host import OnHost, emulate

import arrayopt
from arrayopt.dispatch import namespace
from arrayopt.fused import engines
from arrayopt.tree.structure import flatten

pytest.importorskip("numba")

Make = Callable[[], Any]


@pytest.fixture(params=["numba", "tiles", "cuda"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an engine that serves NumPy, and Torch where it is installed."""
    if request.param == "cuda":
        if shutil.which("g++") is None:
            pytest.skip("needs g++")
        emulate("numpy", monkeypatch)
        with monkeypatch.context() as tried:
            tried.setattr(engines, "_made", dict(engines._made))
            pytest.importorskip("torch")
        emulate("torch", monkeypatch)
    return str(request.param)


def by_leaf(formula: Callable[[Any, Any, Any], tuple[Any, Any]], first: Callable[[Any], Any]) -> Any:
    """A rule with a slot for each leaf, which a leaf without gradient leaves as it is; then descent."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        found = {k: (None, state[k]) if g is None else formula(namespace(g), g, state[k]) for k, g in updates.items()}
        return {k: x for k, (x, _) in found.items()}, {k: s for k, (_, s) in found.items()}

    def init(params: Any) -> Any:
        return arrayopt.tree.map(first, params)

    return arrayopt.chain(arrayopt.GradientTransformation(init, update), arrayopt.sgd(0.1))


def number(p: Any) -> Any:
    xp = namespace(p)
    return xp.zeros((), dtype=xp.float64)


def called(xp: Any, g: Any, s: Any) -> Any:
    """Library calls for each leaf."""
    return g * xp.reshape(xp.sort(xp.reshape(g, (-1,))), g.shape), s + xp.flip(g * s) + 1


def schedule() -> Any:
    return arrayopt.schedules.warmup_cosine_decay_schedule(0.0, 0.1, 2, 10)


RULES: dict[str, Make] = {
    "adam": lambda: arrayopt.adam(0.01),
    "momentum": lambda: arrayopt.sgd(0.1, momentum=0.9),
    "clipped, scheduled": lambda: arrayopt.chain(arrayopt.clip_by_global_norm(0.3), arrayopt.adamw(schedule())),
    "block rms": lambda: arrayopt.chain(arrayopt.clip_by_block_rms(0.1), arrayopt.sgd(0.1, momentum=0.9)),
    "adafactor": lambda: arrayopt.adafactor(0.01, min_dim_size_to_factor=2),
    "ademamix": lambda: arrayopt.contrib.ademamix(0.01),
    "masked": lambda: arrayopt.masked(arrayopt.adam(0.01), {k: k < "d" for k in "abcdef"}),
    "norm of each": lambda: by_leaf(lambda xp, g, s: (g, xp.sqrt(xp.sum(g * g))), number),
    "mean norm of each": lambda: by_leaf(lambda xp, g, s: (g * s, 0.9 * s + 0.1 * xp.sum(g * g)), number),
    "greatest of each": lambda: by_leaf(lambda xp, g, s: (g / (1 + s), xp.maximum(s, xp.sum(g))), number),
    "signs of each": lambda: by_leaf(lambda xp, g, s: (g, 1.0 * xp.astype(xp.all(g > 0), xp.float64)), number),
}  # fmt: skip
SHAPES = {"a": (3, 4), "b": (3, 4), "c": (5,), "d": (), "e": (0, 3), "f": (1,)}
Draw = Callable[[Any, tuple[int, ...]], Any]


def plain(rng: Any, shape: tuple[int, ...]) -> Any:
    return np.asarray(rng.normal(size=shape))


def single(rng: Any, shape: tuple[int, ...]) -> Any:
    return np.asarray(rng.normal(size=shape), np.float32)


def complexes(rng: Any, shape: tuple[int, ...]) -> Any:
    return np.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape))


def strewn(rng: Any, shape: tuple[int, ...]) -> Any:
    """Laid out in one of three orders."""
    x = plain(rng, shape)
    if not x.ndim or not x.size:
        return x
    wide = np.zeros((*shape, 2))
    wide[..., 1] = x
    return [x, np.asfortranarray(x), wide[..., 1]][rng.integers(3)]


def holes(rng: Any, steps: int, first: str | None = None) -> list[frozenset[str]]:
    """Which gradients are None, step by step; all of them once, all but one once; some sets twice in a row."""
    found = [frozenset(k for k in SHAPES if rng.random() < 0.5) for _ in range(steps)]
    found[:1] = [frozenset()] if first == "full" else found[:1]
    found += [found[-2], found[-2], found[-1], frozenset(SHAPES), frozenset("abcdf"), frozenset(), found[-2]]
    return found


def follow(
    make: Make,
    engine: str,
    patterns: list[frozenset[str]],
    draw: Draw,
    asarray: Callable[[Any], Any] = np.asarray,
    between: Callable[[Any], Any] = lambda tree: tree,
    leaves: str = "abcdef",
) -> tuple[Any, int]:
    """Steps on an engine, each compared with an eager one; the fused step, and how often the rule was run.

    Args:
      make: makes the rule.
      engine: its name.
      patterns: for each step the leaves without gradient.
      draw: makes a leaf or a gradient.
      asarray: to an array of the library.
      between: what is done to parameters and state after each step.
      leaves: those that there are.
    """
    rng, tx, calls = np.random.default_rng(1), make(), [0]

    def update(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        return tx.update(*args, **kwargs)

    step = arrayopt.fused_step(arrayopt.GradientTransformation(tx.init, update), engine)
    start = {k: draw(rng, SHAPES[k]) for k in leaves}
    rtol = 2e-5 if draw is single else 1e-11
    params, wanted = [{k: asarray(x) for k, x in copy.deepcopy(start).items()} for _ in range(2)]
    state, eager = tx.init(params), tx.init(wanted)
    for t, none in enumerate(patterns):
        day = {k: None if k in none else draw(rng, SHAPES[k]) for k in leaves}
        grads = {k: None if x is None else asarray(x) for k, x in day.items()}
        params, state = step(params, grads, state)
        updates, eager = tx.update(grads, eager, wanted)
        wanted = arrayopt.apply_updates(wanted, updates)
        for x, y in zip(flatten((params, state))[0], flatten((wanted, eager))[0], strict=True):
            np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol, rtol / 100, err_msg=f"step {t}")
        params, state = between((params, state))
    return step, calls[0]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("start", ["full", "holes"])
def test_steps_with_holes_are_as_eagerly(start: str, name: str, engine: str) -> None:
    step, calls = follow(RULES[name], engine, holes(np.random.default_rng(0), 16, start), plain)
    assert step.explain().engine == engine, step.explain().reason
    assert calls <= 13  # until each has been missing; twice without any gradient, and twice whole


def test_library_calls_for_leaves_without_gradient_are_left_out(engine: str) -> None:
    """But for those that answer a single number: the steps are then recorded each for itself."""
    make = lambda: by_leaf(called, lambda p: namespace(p).zeros_like(p))  # noqa: E731
    for leaves, most in (("abce", 13), ("abcd", 30)):
        step, calls = follow(make, engine, holes(np.random.default_rng(4), 16), plain, leaves=leaves)
        assert step.explain().engine == engine and calls <= most


def across(which: str, keep: str) -> Any:
    """A rule in which leaves, or a number, depend on the gradients of some, and stand still without one of them."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        if any([updates[k] is None for k in which]):
            return (dict.fromkeys(updates) if keep != "number" else updates), state
        xp = namespace(updates[which[0]])
        sums = [xp.sum(updates[k]) for k in which]
        factor = xp.exp(-xp.abs(sums[0]))
        for other in sums[1:]:
            factor = factor * xp.exp(-xp.abs(other))
        if keep == "number":
            return updates, factor
        return arrayopt.tree.map(lambda g: g * factor, updates), (factor if keep == "both" else state)

    def init(params: Any) -> Any:
        return np.zeros(())

    return arrayopt.chain(arrayopt.GradientTransformation(init, update), arrayopt.sgd(0.1))


@pytest.mark.parametrize("which", ["a", "ab", "c"])
@pytest.mark.parametrize("keep", ["leaves", "number", "both"])
def test_what_depends_on_the_gradients_of_other_leaves(keep: str, which: str, engine: str) -> None:
    rng = np.random.default_rng(5)
    follow(lambda: across(which, keep), engine, holes(rng, 16), plain)
    ones = [frozenset(x) for x in ("", "a", "b", "c", "d", "e", "f", "ab", "c", "d", "ef", "", "a", "b", "c")]
    follow(lambda: across(which, keep), engine, ones, plain)


def of_some(which: str) -> Any:
    """A mean of the norm of some leaves, which stays as it is where none of them has a gradient."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        some = [updates[k] for k in which if updates[k] is not None]
        if not some:
            return updates, state
        mean = 0.9 * state + 0.1 * arrayopt.tree.norm(some)
        return {k: g / mean if k in which and g is not None else g for k, g in updates.items()}, mean

    return arrayopt.chain(arrayopt.GradientTransformation(lambda params: np.zeros(()), update), arrayopt.sgd(0.1))


@pytest.mark.parametrize("which", ["ab", "abc", "adf"])
def test_a_rule_may_look_whether_some_leaves_have_any_gradient(which: str, engine: str) -> None:
    ones = [
        frozenset(x) for x in ("", "a", "b", "c", "d", "e", "f", "ab", "ac", "abc", "adf", "ab", "df", "adf", "a", "")
    ]
    follow(lambda: of_some(which), engine, ones, plain)
    follow(lambda: of_some(which), engine, holes(np.random.default_rng(6), 24), plain)


def test_sets_that_a_rule_may_look_at_are_recorded_once(engine: str) -> None:
    """Here it does not look, and once that is known nothing more is recorded."""
    make = lambda: arrayopt.masked(RULES["clipped, scheduled"](), {k: k in "abc" for k in SHAPES})  # noqa: E731
    ones = [
        frozenset(x) for x in ("", "ab", "cd", "ef", "abc", "abcf", "abc", "abcd", "bc", "abcef", "", "abc", "abcf")
    ]
    step, calls = follow(make, engine, ones, plain)
    assert step.explain().engine == engine and calls <= 6


@pytest.mark.parametrize("draw", [complexes, strewn])
@pytest.mark.parametrize("name", ["adam", "clipped, scheduled", "momentum"])
def test_holes_among_arrays_that_are_out_of_the_ordinary(name: str, draw: Draw, engine: str) -> None:
    step, calls = follow(RULES[name], engine, holes(np.random.default_rng(2), 24), draw)
    assert step.explain().engine == engine and calls <= 13


def tensor(x: Any) -> Any:
    return pytest.importorskip("torch").tensor(x)


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        *[(name, draw) for name in ("adam", "clipped, scheduled") for draw in (single, plain, complexes)],
        ("adafactor", plain),  # for real numbers; with single ones, its kernels are those of `test_fused_ground`
        ("mean norm of each", plain),
    ],
)
def test_holes_among_tensors(name: str, draw: Draw, engine: str) -> None:
    """Their counters lie in the host's memory."""
    step, calls = follow(RULES[name], engine, holes(np.random.default_rng(3), 20), draw, tensor)
    assert step.explain().engine == engine and calls <= 13


def moved(tree: Any) -> Any:
    """Other arrays with the same entries; the old ones are overwritten."""
    arrays, spec = flatten(tree)
    found = [x.copy() for x in arrays]
    for x in arrays:
        x[...] = 7
    return spec.unflatten(found)


def exchanged(tree: Any) -> Any:
    """The same tensors, each with other memory; the old memory is overwritten."""
    for x in [x for x in flatten(tree)[0] if x.ndim]:
        old, x.data = x.data, x.detach().clone()
        old.fill_(7)
    return tree


@pytest.mark.parametrize("name", ["adam", "clipped, scheduled", "adafactor", "mean norm of each"])
@pytest.mark.parametrize(("asarray", "between"), [(np.asarray, moved), (tensor, exchanged)], ids=["numpy", "torch"])
def test_memory_may_be_exchanged_while_gradients_are_none(
    asarray: Callable[[Any], Any], between: Callable[[Any], Any], name: str, engine: str
) -> None:
    """Also between two steps without the same gradients."""
    some = [
        frozenset(x) for x in ("", "ace", "bdf", "ace", "ace", "ace", "bdf", "bdf", "", "", "ace", "", "bdf", "a")
    ]
    step, calls = follow(RULES[name], engine, some, plain, asarray, between)
    assert step.explain().engine == engine and calls <= 6


@pytest.mark.parametrize("asarray", [np.asarray, tensor], ids=["numpy", "torch"])
def test_an_empty_gradient_is_not_none(asarray: Callable[[Any], Any], engine: str) -> None:
    """Neither has an address."""
    some = [frozenset(x) for x in ("", "e", "abcdf", "ab", "abe", "ab", "abe", "abe", "ab", "")]
    follow(RULES["clipped, scheduled"], engine, some, plain, asarray)
    follow(RULES["mean norm of each"], engine, some, plain, asarray)


# -- what another set of gradients costs -------------------------------------------------------------------------


class Running:
    """Steps of a rule on the emulated engine, and how often the rule was run.

    Args:
      tx: the rule.
      dtypes: of the leaves.
    """

    def __init__(self, tx: Any, *dtypes: str) -> None:
        self.tx, self.runs = tx, 0
        self.params = {f"w{k}": np.ones(3 + k, dtype) for k, dtype in enumerate(dtypes)}
        self.grads = {key: np.full_like(x, 0.5) for key, x in self.params.items()}
        self.state = tx.init(self.params)
        self.step = arrayopt.fused_step(arrayopt.GradientTransformation(tx.init, self.update), "cuda")

    def update(self, *args: Any) -> Any:
        self.runs += 1
        return self.tx.update(*args)

    def take(self, keep: Callable[[int], bool]) -> None:
        """A step with the gradients of some leaves."""
        grads = {key: g if keep(k) else None for k, (key, g) in enumerate(self.grads.items())}
        self.step(self.params, grads, self.state)

    def eagerly(self, keep: Callable[[int], bool]) -> list[Any]:
        """Parameters and state after such a step."""
        params, state = copy.deepcopy((self.params, self.state))
        grads = {key: g if keep(k) else None for k, (key, g) in enumerate(self.grads.items())}
        updates, state = self.tx.update(grads, state, params)
        return flatten((arrayopt.apply_updates(params, updates), state))[0]

    def leaves(self) -> list[Any]:
        return [np.array(x) for x in flatten((self.params, self.state))[0]]


def every(k: int) -> bool:
    return True


def even(k: int) -> bool:
    return k % 2 == 0


def odd(k: int) -> bool:
    return k % 2 == 1


def not_first(k: int) -> bool:
    return k > 0


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> OnHost:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    return emulate("numpy", monkeypatch)


@pytest.mark.parametrize("first", [[every], []], ids=["full", "holes"])
@pytest.mark.parametrize("name", ["adam", "clipped, scheduled", "mean norm of each"])
def test_emulated_another_set_of_gradients_compiles_and_keeps_nothing(
    name: str, first: list[Callable[[int], bool]], gpu: OnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, asked = Running(RULES[name](), *["float32"] * 12), [0]
    backend, rng = engines._made["cuda", "numpy"].backend, np.random.default_rng(0)
    whole = backend.empty

    def empty(*args: Any) -> Any:
        asked[0] += 1
        return whole(*args)

    for keep in (*first, even, odd, not_first, even):
        running.take(keep)
    [way] = running.step._ways.values()
    schedule: Any = vars(way)["schedule"]
    temporaries = sum([len(stage.temporaries) for stage in schedule.stages])
    launches = sum([len(stage.launches) for stage in schedule.stages])
    monkeypatch.setattr(backend, "empty", empty)
    for _ in range(12):
        running.runs = asked[0] = gpu.uploads = 0
        gpu.texts, gpu.launched = {}, []
        some = set(np.flatnonzero(rng.random(12) < 0.5).tolist())
        running.take(some.__contains__)
        assert running.runs == gpu.reads == 0 and gpu.texts == {} and "run" in gpu.launched
        assert asked[0] <= temporaries
        assert gpu.uploads <= len(schedule.bound.stages) + 2 * launches  # tables, tasks, what becomes of their sums
        assert len(gpu.launched) <= len(schedule.bound.stages) + 2 * launches


@pytest.mark.parametrize("what", ["empty", "upload"])
@pytest.mark.parametrize("name", ["adam", "clipped, scheduled", "mean norm of each"])
def test_emulated_where_the_device_takes_nothing_for_other_gradients_nothing_is_written(
    name: str, what: str, gpu: OnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what lies on the device is then not taken for what it was."""
    failed, who = 0, gpu if what == "upload" else engines._made["cuda", "numpy"].backend
    whole = getattr(who, what)
    for pieces in range(7):
        running, left = Running(RULES[name](), *["float32"] * 3, "float64"), [pieces]

        def refusing(*args: Any, left: list[int] = left) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise MemoryError
            return whole(*args)

        for keep in (every, even, odd, every, not_first):
            running.take(keep)
        before = running.leaves()
        monkeypatch.setattr(who, what, refusing)
        try:
            running.take(even)
        except MemoryError:
            failed += 1
            assert all([x.tobytes() == y.tobytes() for x, y in zip(running.leaves(), before, strict=True)])
        monkeypatch.setattr(who, what, whole)
        for keep in (not_first, every, even, every, odd):
            wanted = running.eagerly(keep)
            running.take(keep)
            for x, y in zip(running.leaves(), wanted, strict=True):
                np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-7)
    assert failed


@pytest.mark.skipif(not has("torch"), reason="needs torch")
@pytest.mark.parametrize("engine", ["tiles", None])
def test_a_tensor_that_was_left_out_may_be_differentiated_afterwards(engine: str | None) -> None:
    torch: Any = importlib.import_module("torch")
    step = arrayopt.fused_step(arrayopt.adam(0.1), engine)
    params = {k: torch.ones(3, requires_grad=True) for k in "ab"}
    state = arrayopt.adam(0.1).init(params)
    holes: list[dict[str, Any]] = [
        {"a": torch.ones(3), "b": torch.ones(3)}, {"a": torch.ones(3), "b": None}, {"a": None, "b": torch.ones(3)}
    ]  # fmt: skip
    for _ in range(3):
        for grads in holes:
            params, state = step(params, grads, state)
    loss = (params["b"] ** 2).sum()  # saves b for the derivative
    params, state = step(params, {"a": torch.ones(3), "b": None}, state)
    loss.backward()
    assert params["b"].grad is not None
    loss = (params["b"] ** 2).sum()
    params, state = step(params, {"a": None, "b": torch.ones(3)}, state)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
