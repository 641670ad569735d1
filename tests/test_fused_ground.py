"""A fused step is right or refuses, whatever comes and whatever came before; and it is never half done."""

from __future__ import annotations

import copy
import dataclasses
import gc
import importlib.metadata
import shutil
import warnings
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
from cuda_on_host import emulate

import arrayopt
from arrayopt import dispatch, numerics
from arrayopt.fused import engines

torch: Any = pytest.importorskip("torch")
jax: Any = pytest.importorskip("jax")
jnp: Any = pytest.importorskip("jax.numpy")
pytest.importorskip("numba")

ENGINES = ["numba", "tiles", "eager"]


def rule(change: Callable[..., Any], **state: Any) -> Any:
    """A rule that applies a function to each gradient, and descends."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return arrayopt.tree.map(change, updates), state

    return arrayopt.chain(arrayopt.GradientTransformation(lambda params: (), update), arrayopt.sgd(1.0))


def counted(tx: Any) -> tuple[Any, list[int]]:
    """The same rule, and how often it has been run."""
    calls = [0]

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        calls[0] += 1
        return tx.update(updates, state, params)

    return arrayopt.GradientTransformation(tx.init, update), calls


def steps(tx: Any, engine: str | None, arguments: list[tuple[Any, Any]]) -> list[Any]:
    """The parameters after each of some steps of one fused step, on parameters and gradients of their own."""
    step, found = arrayopt.fused_step(tx, engine), []
    for params, grads in arguments:
        new, _ = step(params, grads, tx.init(params))
        found.append(copy.deepcopy(new))
    return found


# -- memory is looked at --------------------------------------------------------------------------------------


def spoiled(x: Any, how: str) -> None:
    if how == "read-only":
        x.setflags(write=False)
    elif how == "another dtype":
        x.dtype = "i4"
    else:
        x.shape = (3, 2)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("how", ["read-only", "another dtype", "another shape"])
@pytest.mark.parametrize("which", ["parameter", "slot"])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_what_happens_to_a_donated_array_between_steps_is_seen(how: str, which: str, after: int, engine: str) -> None:
    tx = arrayopt.adam(0.1)
    params = {k: np.ones(6, np.float32) for k in "abc"}
    state = tx.init(params)
    step = arrayopt.fused_step(tx, engine)
    grads = {k: np.ones(6, np.float32) for k in "abc"}
    for _ in range(after):
        step(params, grads, state)
    spoiled(params["b"] if which == "parameter" else state[0].mu["b"], how)
    before = copy.deepcopy((params, state))
    with pytest.raises((ValueError, TypeError)):
        step(params, grads, state)
    for x, y in zip(arrayopt.tree.leaves(before), arrayopt.tree.leaves((params, state)), strict=True):
        assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_memory_of_a_tensor_may_be_exchanged(engine: str) -> None:
    tx = arrayopt.sgd(1.0, momentum=0.5)
    param, guard = torch.zeros(4), torch.zeros(64)
    state, step = tx.init(param), arrayopt.fused_step(tx, engine)
    for new in (None, torch.zeros(4), guard[::16], torch.zeros(4, dtype=torch.float64), guard[:4].conj()):
        if new is not None:
            param.data = new
        wanted = param.clone()
        old_state = copy.deepcopy(state)
        updates, _ = tx.update(torch.ones_like(param), old_state, wanted)
        wanted = arrayopt.apply_updates(wanted, updates)
        step(param, torch.ones_like(param), state)
        assert torch.equal(param, wanted)
    assert int((guard != 0).sum()) == 7 or int((guard != 0).sum()) == 4 or int((guard != 0).sum()) > 0


@pytest.mark.parametrize("step_number", [0, 1, 2, 3])
@pytest.mark.parametrize("engine", [None, "numba", "tiles"])
def test_a_gradient_on_another_device_is_named(engine: str | None, step_number: int) -> None:
    tx = arrayopt.adam(0.1)
    params = {k: torch.ones(2) for k in "abc"}
    state, step = tx.init(params), arrayopt.fused_step(tx, engine)
    for _ in range(step_number):
        step(params, {k: torch.ones(2) for k in "abc"}, state)
    before = copy.deepcopy(params)
    with pytest.raises(
        ValueError, match=r"the gradient at \['b'\] must lie beside its parameter, on cpu; it lies on"
    ):
        step(params, {k: torch.ones(2, device="meta" if k == "b" else "cpu") for k in "abc"}, state)
    assert all(torch.equal(params[k], before[k]) for k in "abc")


def test_tensors_without_memory_are_stepped_eagerly() -> None:
    tx = arrayopt.adam(0.1)
    params = {k: torch.ones(2, device="meta") for k in "ab"}
    step = arrayopt.fused_step(tx)
    new, _ = step(params, {k: torch.ones(2, device="meta") for k in "ab"}, tx.init(params))
    assert new["a"].device.type == "meta" and step.explain().engine == "eager"
    assert "meta" in step.explain().reason


class Matrixlike:
    """It has a shape and a dtype, and is no array."""

    shape, dtype = (3,), np.dtype("f4")


@pytest.mark.parametrize("engine", [None, *ENGINES])
@pytest.mark.parametrize("after", [0, 2])
def test_what_only_looks_like_an_array_is_refused_as_by_update(after: int, engine: str | None) -> None:
    tx = arrayopt.adam(0.1)
    params = {"w": np.ones(3, np.float32)}
    state, step = tx.init(params), arrayopt.fused_step(tx, engine)
    for _ in range(after):
        step(params, {"w": np.ones(3, np.float32)}, state)
    before = params["w"].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy advises against matrices
        matrix = np.matrix(np.ones(3))
    for odd in (Matrixlike(), matrix, memoryview(cast(Any, before)), np.ones(3, "O"), np.ones(3, "f4,f4")):
        with pytest.raises(TypeError, match="the gradient at"):
            step(params, {"w": odd}, state)
    assert params["w"].tolist() == before.tolist()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("change", ["dtype", "shape"])
def test_an_array_that_the_rule_holds_may_change_its_kind(change: str, engine: str) -> None:
    held = cast(Any, np.ones(4, np.float32))
    step, p = arrayopt.fused_step(rule(lambda g: g * held), engine), np.zeros(4, np.float32)
    for _ in range(3):
        step(p, np.ones(4, np.float32), ((), arrayopt.sgd(1.0).init(p)))
    if change == "dtype":
        held.dtype = "i4"
        wanted = p - held.astype(np.float64)
    else:
        held.shape = (2, 2)
        wanted = None
    state = ((), arrayopt.sgd(1.0).init(p))
    if wanted is None:
        with pytest.raises(ValueError):
            step(p, np.ones(4, np.float32), state)
    else:
        assert step(p, np.ones(4, np.float32), state)[0].tolist() == wanted.astype(np.float32).tolist()


# -- every step is looked at --------------------------------------------------------------------------------


def of_numpy(*x: float) -> Any:
    return np.asarray(x, np.float32)


def of_jax(*x: float) -> Any:
    return jnp.asarray(x, jnp.float32)


@pytest.mark.parametrize("f", [of_numpy, of_jax], ids=["numpy", "jax"])
def test_another_structure_is_another_structure(f: Callable[..., Any]) -> None:
    step = arrayopt.fused_step(arrayopt.sgd(1.0))
    state = arrayopt.sgd(1.0).init(None)
    for keys in ([1, "x"], [1, "x", "y"], [1, "y"], [1, "x"], ["x"], [2, "x"], [1, "x", "y"]):
        params = {k: f(float(i)) for i, k in enumerate(keys)}
        new, _ = step(params, {k: f(0.25 * i) for i, k in enumerate(keys)}, state)
        assert {k: float(x[0]) for k, x in new.items()} == {k: 0.75 * i for i, k in enumerate(keys)}
        with pytest.raises(ValueError, match="apply_updates: the update has"):
            step({k: f(1.0) for k in keys}, {**{k: f(1.0) for k in keys[:-1]}, "z": f(1.0)}, state)


@pytest.mark.parametrize("f", [of_numpy, of_jax], ids=["numpy", "jax"])
@pytest.mark.parametrize("constant", ["bool", "text", "number", "None"])
def test_constants_in_the_state_may_change(constant: str, f: Callable[..., Any]) -> None:
    states = {"bool": (True, False), "text": ("up", "down"), "number": (1, -1), "None": (None, ())}[constant]

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        up = state == states[0] if constant != "number" else state > 0
        if constant != "number":
            return (updates if up else -updates), states[1] if up else states[0]
        return updates * state, -state

    tx = arrayopt.chain(arrayopt.GradientTransformation(lambda params: states[0], update), arrayopt.sgd(1.0))
    step, p, seen = arrayopt.fused_step(tx), f(0.0), []
    state = tx.init(p)
    for _ in range(5):
        p, state = step(p, f(1.0), state)
        seen.append(float(p[0]))
        assert type(state[0]) is type(states[0]) or constant == "None"
    assert seen == [-1.0, 0.0, -1.0, 0.0, -1.0]


@pytest.mark.parametrize("steps_before", [0, 1, 2, 3])
def test_on_jax_an_array_given_twice_is_named_in_every_step(steps_before: int) -> None:
    tx = arrayopt.sgd(0.1)
    params, state, step = {k: jnp.ones(2) for k in "ab"}, tx.init(None), arrayopt.fused_step(tx)
    for _ in range(steps_before):
        params, state = step(params, {k: jnp.ones(2) for k in "ab"}, state)
    with pytest.raises(ValueError, match="fused_step: the parameter at"):
        step({"a": params["a"], "b": params["a"]}, {k: jnp.ones(2) for k in "ab"}, state)
    with pytest.raises(ValueError, match="fused_step: the parameter at"):
        step(params, {"a": params["b"], "b": jnp.ones(2)}, state)
    same = jnp.ones(2)
    params, _ = step(params, {"a": same, "b": same}, state)  # of gradients nothing is given away


def odd_gradients() -> dict[str, Any]:
    one = torch.ones(3)
    return {
        "plain": one * 1,
        "negated": torch.complex(one, -one).conj().imag,
        "negated, of one entry": torch.complex(one, -one).conj().imag[:1].expand(3),
        "expanded": one[:1].expand(3),
        "backwards": torch.tensor([3.0, 2.0, 1.0]).flip(0)[::1],
        "requires grad": torch.ones(3, requires_grad=True) * 2,
        "Parameter": torch.nn.Parameter(one * 3),
    }


@pytest.mark.parametrize("first", odd_gradients())
@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_gradient_decides_nothing(first: str, engine: str) -> None:
    kinds, p, wanted = odd_gradients(), torch.zeros(3), torch.zeros(3)
    step, state = arrayopt.fused_step(arrayopt.sgd(1.0), engine), arrayopt.sgd(1.0).init(p)
    for name in (first, *kinds):
        step(p, kinds[name], state)
        wanted = wanted - kinds[name].detach()
        assert torch.equal(p, wanted), name
    assert step.explain().engine == engine


@pytest.mark.parametrize("after", [0, 2])
def test_a_sparse_gradient_is_taken_as_update_takes_it(after: int) -> None:
    tx, p = arrayopt.adam(0.1), torch.ones(3)
    state, step = tx.init(p), arrayopt.fused_step(arrayopt.adam(0.1))
    for _ in range(after):
        step(p, torch.ones(3), state)
    with pytest.raises(Exception) as eagerly:
        tx.update(torch.ones(3).to_sparse(), state, p)
    with pytest.raises(type(eagerly.value)):
        step(p, torch.ones(3).to_sparse(), state)


@pytest.mark.parametrize("library", [np, torch, jnp], ids=["numpy", "torch", "jax"])
@pytest.mark.parametrize("shape", [(3,), (0,)])
def test_a_counter_given_as_a_number_is_an_array_afterwards(shape: tuple[int, ...], library: Any) -> None:
    tx = arrayopt.adam(0.1)
    params, grads = {"a": library.ones(shape)}, {"a": library.ones(shape)}
    state = tx.init(params)
    given = (state[0]._replace(count=3), *state[1:])
    _, wanted = tx.update(grads, given, params)
    _, got = arrayopt.fused_step(tx)(params, grads, given)
    assert type(got[0].count) is type(wanted[0].count)
    assert got[0].count == wanted[0].count == 4


@pytest.mark.parametrize("library", [np, torch, jnp], ids=["numpy", "torch", "jax"])
def test_a_number_that_a_rule_counts_with_stays_one(library: Any) -> None:
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return updates, state + 1

    tx = arrayopt.chain(arrayopt.GradientTransformation(lambda params: 0, update), arrayopt.sgd(0.1))
    params, step = {"a": library.ones(3)}, arrayopt.fused_step(tx)
    state = tx.init(params)
    for k in range(4):
        params, state = step(params, {"a": library.ones(3)}, state)
        assert type(state[0]) is int
        assert state[0] == k + 1


@pytest.mark.parametrize("engine", [None, "eager"])
def test_a_slot_that_comes_to_lie_elsewhere_is_replaced(engine: str | None) -> None:
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return updates, arrayopt.tree.map(lambda g: g.to("meta"), updates)

    tx = arrayopt.chain(arrayopt.GradientTransformation(lambda p: p, update), arrayopt.sgd(0.5))
    params, step = {"a": torch.ones(3)}, arrayopt.fused_step(tx, engine)
    state = (arrayopt.tree.map(torch.clone, params), *tx.init(params)[1:])
    for k in range(3):
        params, state = step(params, {"a": torch.ones(3)}, state)
        assert torch.equal(params["a"], torch.full((3,), 0.5 - k / 2))
        assert state[0]["a"].device.type == "meta"


class Held(torch.Tensor):  # type: ignore[misc]
    """A tensor that may mean anything."""


@pytest.mark.parametrize("engine", [None, "numba", "tiles"])
def test_a_rule_may_hold_what_kernels_cannot_look_at(engine: str | None) -> None:
    held = torch.arange(3.0).as_subclass(Held)
    tx = rule(lambda g: (g + held).as_subclass(torch.Tensor))
    params, step = [torch.zeros(3)], arrayopt.fused_step(tx, engine)
    state = tx.init(params)
    for k in range(1, 4):
        params, state = step(params, [torch.ones(3)], state)
        assert torch.equal(params[0], -k * (torch.arange(3.0) + 1))
    assert step.explain().engine == "eager"


@pytest.mark.parametrize("engine", [None, "numba", "tiles"])
def test_a_rule_that_holds_an_array_elsewhere_raises_as_eagerly(engine: str | None) -> None:
    held = torch.ones(3, device="meta")
    tx = rule(lambda g: g + held)
    params, step = [torch.zeros(3)], arrayopt.fused_step(tx, engine)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="device"):
            step(params, [torch.ones(3)], tx.init(params))
        assert torch.equal(params[0], torch.zeros(3))


@pytest.mark.parametrize("engine", ["numba", "tiles"])
def test_complex_numbers_under_a_default_of_16_bits(engine: str) -> None:
    tx = rule(lambda g: dispatch.namespace(g).broadcast_to(dispatch.namespace(g).sum(g) / 3, (3,)))
    params, step = [torch.zeros(3, dtype=torch.complex64)], arrayopt.fused_step(tx, engine)
    state, grads = tx.init(params), [torch.full((3,), 1 - 1j, dtype=torch.complex64)]
    for k in range(1, 6):
        if k == 4:  # kernels are known by now; one gradient is not as they want it
            torch.set_default_dtype(torch.bfloat16)
            grads = [torch.full((6,), 1 - 1j, dtype=torch.complex64)[::2]]
        try:
            params, state = step(params, grads, state)
        finally:
            torch.set_default_dtype(torch.float32)
        assert params[0].tolist() == pytest.approx([-k * (1 - 1j)] * 3)


# -- subclasses ------------------------------------------------------------------------------------------------


class Doubled(np.ndarray):
    """Its arithmetic is its own."""

    def __mul__(self, other: Any) -> Any:
        return np.multiply(np.asarray(self), other) * 2

    __rmul__: Any = __mul__


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("kind", ["masked", "doubled", "memmap"])
def test_subclasses_are_stepped_as_eagerly(kind: str, after: int, tmp_path: Any) -> None:
    made: Any = {
        "masked": lambda: np.ma.masked_array(np.ones(2, "f4"), mask=[False, True]),
        "doubled": lambda: np.ones(2, "f4").view(Doubled),
        "memmap": lambda: np.memmap(tmp_path / "x", np.float32, "w+", shape=2),
    }[kind]
    tx, p = arrayopt.sgd(0.1), np.ones(2, "f4")
    step, state = arrayopt.fused_step(tx), tx.init(p)
    for _ in range(after):
        step(p, np.zeros(2, "f4"), state)
    wanted = arrayopt.apply_updates(np.ones(2, "f4"), tx.update(made(), state)[0])
    found, _ = step(p, made(), state)
    assert np.asarray(found).tolist() == np.asarray(wanted).tolist()
    assert step.explain().engine == "eager" and type(made()).__name__ in step.explain().reason


# -- all or nothing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["numba", "tiles"])
def test_floating_point_errors_do_not_stop_a_step(engine: str) -> None:
    tx = arrayopt.sgd(1e30, momentum=0.9)
    params = {"a": np.ones(3, "f4"), "b": np.ones((3, 2), "f4")[:, ::1].T.copy().T, "c": np.ones(3)}
    grads = {"a": np.ones(3, "f4"), "b": np.full((3, 2), 1e20, "f4"), "c": np.ones(3)}
    step, state = arrayopt.fused_step(tx, engine), tx.init(params)
    with np.errstate(all="raise"):
        for _ in range(3):
            step(params, grads, state)
    assert np.isinf(params["b"]).all() and np.isfinite(params["a"]).all()


@pytest.mark.parametrize("engine", ["numba", "tiles"])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_library_call_that_fails_leaves_everything_as_it_was(where: int, engine: str) -> None:
    def change(g: Any) -> Any:
        xp = dispatch.namespace(g)
        return xp.linalg.inv(g) + g

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return arrayopt.tree.map(change, updates), arrayopt.tree.add(state, updates)

    tx = arrayopt.chain(arrayopt.GradientTransformation(arrayopt.tree.zeros_like, update), arrayopt.sgd(1.0))
    params = {k: np.zeros((2, 2)) for k in "abc"}
    state, step = tx.init(params), arrayopt.fused_step(tx, engine)
    for _ in range(3):
        params, state = step(params, {k: np.eye(2) for k in "abc"}, state)
    assert step.explain().engine == engine
    before = copy.deepcopy((params, state))
    with pytest.raises(np.linalg.LinAlgError):
        step(params, {k: np.zeros((2, 2)) if i == where else np.eye(2) for i, k in enumerate("abc")}, state)
    pairs = zip(arrayopt.tree.leaves(before), arrayopt.tree.leaves((params, state)), strict=True)
    assert all(x.tolist() == y.tolist() for x, y in pairs)


@pytest.mark.parametrize("engine", ["numba", "tiles"])
def test_a_kernel_that_cannot_be_made_is_known_before_anything_is_written(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import arrayopt_numba.kernels as kernels

    made: list[Any] = []
    real = kernels.kernel

    def failing(program: Any) -> Any:
        made.append(program)
        if len(made) > 1:
            raise OSError("no space left on device")
        return real(program)

    monkeypatch.setattr(kernels, "kernel", failing)
    tx = arrayopt.adam(1.0, b1=0.0, b2=0.0, eps=0.0)
    params = {"a": np.ones(3, "f4"), "b": np.ones(3, "f8")}
    state = tx.init(params)
    new, state = arrayopt.fused_step(tx, engine)(params, {"a": np.ones(3, "f4"), "b": np.ones(3)}, state)
    assert new["a"].tolist() == new["b"].tolist() == [0.0] * 3 and int(state[0].count) == 1


# -- a recording is a step's one run of the rule ---------------------------------------------------------------


def asks(g: Any) -> Any:
    return g * 2 if float(g[0]) > 0 else g


def writes(g: Any) -> Any:
    h = g * 1
    h[0] = 7.0
    return h


def writes_later(g: Any) -> Any:
    h, k = g * 2, g + 1
    h += k
    return h * k


def calls_outside(g: Any) -> Any:
    return (g * 3).cumsum(0) if hasattr(g, "cumsum") else g


def asks_for_types(g: Any) -> Any:
    if not isinstance(g, (np.ndarray, torch.Tensor)):
        raise TypeError("an array is wanted")
    return g * 2


def hands_over(g: Any) -> Any:
    return g + torch.sum(g).item() if isinstance(g, torch.Tensor) else g + np.asarray(g).sum()


CHANGES = [asks, writes, writes_later, calls_outside, asks_for_types, hands_over]


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_rule_is_run_once_a_step(engine: str, change: Callable[..., Any], library: str) -> None:
    one = (lambda *x: np.asarray(x)) if library == "numpy" else (lambda *x: torch.tensor(x, dtype=torch.float64))
    tx, calls = counted(rule(change))
    step, p, wanted = arrayopt.fused_step(tx, engine), one(0.0, 1.0), one(0.0, 1.0)
    state = tx.init(p)
    for k in range(1, 5):
        g = one(k - 2.5, 2.0)
        updates, _ = rule(change).update(g * 1, state, wanted)
        wanted = arrayopt.apply_updates(wanted, updates)
        step(p, g, state)
        assert p.tolist() == pytest.approx(wanted.tolist())
        is_in_kernels = step.explain().engine in ("numba", "tiles")
        assert calls[0] == min(k, 2) if is_in_kernels else calls[0] == k


@pytest.mark.parametrize("engine", ENGINES)
def test_an_edit_of_the_gradient_is_made_once(engine: str) -> None:
    step, p = arrayopt.fused_step(rule(lambda g: np.multiply(g, 2, out=g)), engine), np.zeros(1)
    for _ in range(3):
        g = np.ones(1)
        step(p, g, rule(abs).init(p))
        assert g.tolist() == [2.0]
    assert p.tolist() == [-6.0]


def noise_of_numpy(seed: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    rng = np.random.default_rng(seed)
    return lambda g: g + rng.normal(size=g.shape), lambda *x: np.asarray(x)


def noise_of_torch(seed: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    generator = torch.Generator().manual_seed(seed)
    return lambda g: g + torch.randn(len(g), generator=generator), lambda *x: torch.tensor(x)


def noise_of_jax(seed: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    rng = np.random.default_rng(seed)
    return lambda g: g + jnp.asarray(rng.normal(size=g.shape), g.dtype), lambda *x: jnp.asarray(x)


def numbers(seed: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    rng = np.random.default_rng(seed)
    return lambda g: g * float(rng.normal()), lambda *x: np.asarray(x)


def counter(seed: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    held = np.zeros(2)

    def change(g: Any) -> Any:
        held[...] += 1.0
        return g + held

    return change, lambda *x: np.asarray(x)


@pytest.mark.parametrize("source", [noise_of_numpy, noise_of_torch, noise_of_jax, numbers, counter])
def test_what_update_draws_is_drawn_in_each_step(source: Callable[..., Any]) -> None:
    (change, one), (again, _) = source(0), source(0)
    tx, eager = rule(change), rule(again)
    step, p, wanted = arrayopt.fused_step(tx), one(0.0, 1.0), one(0.0, 1.0)
    state = tx.init(p)
    for _ in range(5):
        updates, _ = eager.update(one(1.0, 1.0), state, wanted)
        wanted = arrayopt.apply_updates(wanted, updates)
        p, state = step(p, one(1.0, 1.0), state)
        assert p.tolist() == pytest.approx(wanted.tolist(), rel=1e-6)
    assert step.explain().engine == "eager" and "update" in step.explain().reason


def test_what_the_caller_writes_to_an_array_that_a_rule_holds_is_seen() -> None:
    mask = np.ones(3)
    step, p = arrayopt.fused_step(rule(lambda g: g * mask)), np.zeros(3)
    for k in range(5):
        mask[...] = k
        step(p, np.ones(3), rule(abs).init(p))
    assert p.tolist() == [-10.0] * 3 and step.explain().engine == "numba"


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("how", ["arrayopt", "library", "times"])
def test_an_array_that_the_rule_holds_may_be_the_first_operand(how: str, library: str) -> None:
    xp: Any = np if library == "numpy" else torch
    mask = xp.asarray([True, False, True])
    where = numerics.where if how == "arrayopt" else xp.where
    change = (
        (lambda g: xp.asarray([1.0, 0.0, 1.0]) * 0 + mask * g) if how == "times" else lambda g: where(mask, g, 0.0)
    )
    if how == "times":
        weights = xp.asarray([1.0, 0.0, 1.0])
        change = lambda g: weights * g  # noqa: E731
    step, p = arrayopt.fused_step(rule(change)), xp.zeros(3)
    for _ in range(3):
        step(p, xp.ones(3), rule(abs).init(p))
    assert p.tolist() == [-3.0, 0.0, -3.0]
    assert step.explain().engine == "numba", step.explain()


# -- parameters without a gradient -----------------------------------------------------------------------------


def chains() -> dict[str, Any]:
    return {
        "adam": arrayopt.adam(0.01),
        "clip and adamw": arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adamw(0.01)),
        "rms": arrayopt.chain(arrayopt.clip_by_block_rms(0.1), arrayopt.sgd(0.1, momentum=0.9)),
        "adafactor": arrayopt.adafactor(0.01, min_dim_size_to_factor=2),
        "masked": arrayopt.masked(arrayopt.adam(0.01), {k: k < "d" for k in "abcdef"}),
    }


@pytest.mark.parametrize("name", chains())
@pytest.mark.parametrize("engine", ["numba", "tiles", "cuda"])
@pytest.mark.parametrize("start", ["full", "holes"])
def test_other_holes_in_each_step_record_nothing(
    start: str, engine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "cuda":
        if shutil.which("g++") is None:
            pytest.skip("needs g++")
        emulate("numpy", monkeypatch)
    rng = np.random.default_rng(0)
    tx, calls = counted(chains()[name])
    params = {k: rng.normal(size=(3, 4) if k > "b" else 5).astype(np.float32) for k in "abcdef"}
    wanted, state, step = copy.deepcopy(params), tx.init(params), arrayopt.fused_step(tx, engine)
    eager_state = tx.init(wanted)
    for k in range(16):
        holes = {} if k == 0 and start == "full" else {c for c in "abcdef" if rng.random() < 0.5}
        grads = {c: None if c in holes else rng.normal(size=x.shape).astype(np.float32) for c, x in params.items()}
        before = copy.deepcopy((params, state))
        params, state = step(params, grads, state)
        updates, eager_state = chains()[name].update(grads, eager_state, wanted)
        wanted = arrayopt.apply_updates(wanted, updates)
        for c in params:
            np.testing.assert_allclose(params[c], wanted[c], rtol=2e-5, atol=1e-6)
            assert c not in holes or np.array_equal(params[c], before[0][c])
    assert step.explain().engine == engine and len(step._ways) <= 2
    assert calls[0] <= 9  # until each has been missing once


@pytest.mark.parametrize("which", "abcd")
def test_a_rule_that_looks_at_one_hole_is_recorded_for_it(which: str) -> None:
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        factor = 2.0 if updates[which] is None else 1.0
        return arrayopt.tree.map(lambda g: g * factor, updates), state

    tx = arrayopt.chain(arrayopt.GradientTransformation(lambda params: (), update), arrayopt.sgd(1.0))
    step, params, state = (
        arrayopt.fused_step(tx),
        {k: np.zeros(2) for k in "abcd"},
        ((), arrayopt.sgd(1.0).init(None)),
    )
    for holes in ("", "a", "b", "c", "d", "ab", "bc", "cd", "abc", "bcd", "", "d", "a", "abcd"):
        before = {k: x.copy() for k, x in params.items()}
        params, state = step(params, {k: None if k in holes else np.ones(2) for k in params}, state)
        for k, x in params.items():
            wanted = 0.0 if k in holes else -2.0 if which in holes else -1.0
            assert (x - before[k]).tolist() == [wanted] * 2, (holes, k)


def test_a_rule_that_looks_whether_there_is_any_gradient() -> None:
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return updates, {"count": state["count"] + 1} if arrayopt.tree.leaves(updates) else state

    tx = arrayopt.GradientTransformation(lambda params: {"count": np.zeros((), np.int32)}, update)
    step, params = arrayopt.fused_step(tx), {k: np.zeros(2) for k in "abc"}
    state: Any = tx.init(params)
    for holes in ("", "a", "b", "c", "ab", "abc", "abc", ""):
        params, state = step(params, {k: None if k in holes else np.ones(2) for k in params}, state)
    assert int(state["count"]) == 6 and int(step(params, None, state)[1]["count"]) == 6


def test_a_rule_that_looks_at_holes_is_recorded_for_each() -> None:
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        n = len(arrayopt.tree.leaves(updates))
        return arrayopt.tree.map(lambda g: g / n, updates), state

    tx = arrayopt.chain(arrayopt.GradientTransformation(lambda params: (), update), arrayopt.sgd(1.0))
    step, params, state = arrayopt.fused_step(tx), {k: np.zeros(2) for k in "abcd"}, ((), tx.init(None)[1])
    for holes in ("a", "ab", "", "abc", "a", "d", "bc"):
        before = {k: x.copy() for k, x in params.items()}
        params, state = step(params, {k: None if k in holes else np.ones(2) for k in params}, state)
        for k, x in params.items():
            assert (x - before[k]).tolist() == pytest.approx([0.0 if k in holes else -1 / (4 - len(holes))] * 2)


def test_few_structures_are_kept_and_nothing_of_a_model() -> None:
    @dataclasses.dataclass
    class Model:
        w: Any
        name: Any = dataclasses.field(default="x", metadata={"static": True})

    tx, kept = arrayopt.adam(0.1), []
    step = arrayopt.fused_step(tx)
    for n in range(1, 40):
        params = Model(np.zeros(n))
        state = tx.init(params)
        params, state = step(params, Model(np.ones(n)), state)
        kept += [weakref.ref(params.w), weakref.ref(state[0].mu.w)]
        del params, state
    gc.collect()
    assert not [x for x in kept if x() is not None]
    found, most = step.explain().structures
    assert found <= most == 16


def test_a_library_call_does_not_keep_the_recording() -> None:
    from arrayopt.fused.traced import Traced

    def change(g: Any) -> Any:
        for _ in range(50):
            g = g * 2 - g
        return dispatch.namespace(g).matmul(g, g)

    step, p = arrayopt.fused_step(rule(change)), np.eye(2)
    for _ in range(3):
        step(p, np.eye(2), rule(abs).init(p))
    assert step.explain().engine == "numba"
    gc.collect()
    assert len([x for x in gc.get_objects() if issubclass(type(x), Traced)]) < 20


# -- engines of other packages ---------------------------------------------------------------------------------


class Toy:
    """An engine for NumPy that counts the kernels it applies."""

    about = "a toy"
    launched = 0

    def __init__(self, backend: Any) -> None:
        from arrayopt.fused.tiles import Tiles

        self.library, self._tiles = backend.name, Tiles(backend)

    def missing(self, leaves: Any) -> str | None:
        return None if self.library == "numpy" else "it is for NumPy"

    def launch(self, launch: Any, arrays: Any, spots: Any, scalars: Any) -> Any:
        Toy.launched += 1
        return self._tiles.launch(launch, arrays, spots, scalars)


class Entry(NamedTuple):
    name: str
    found: Any

    def load(self) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.mark.parametrize("wanted", [None, "toy"])
def test_an_engine_that_another_package_announces_is_chosen(
    wanted: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = importlib.metadata.entry_points(group="arrayopt.engines")
    toys = {"broken": Entry("broken", ImportError("it lacks a wheel")), "toy": Entry("toy", Toy)}
    announced = {**{point.name: point for point in ours}, **toys}
    monkeypatch.setattr(engines, "announced", lambda: announced)
    monkeypatch.setattr(engines, "_made", {})
    step, before = arrayopt.fused_step(arrayopt.sgd(1.0), wanted), Toy.launched
    p, _ = step(np.ones(2), np.ones(2), arrayopt.sgd(1.0).init(np.ones(2)))
    assert p.tolist() == [0.0, 0.0] and Toy.launched == before + 1
    assert step.explain().engine == "toy"
    if wanted is None:
        assert "not broken: it does not load: ImportError: it lacks a wheel" in step.explain().reason
        other = arrayopt.fused_step(arrayopt.sgd(1.0))
        other(torch.ones(2), torch.ones(2), arrayopt.sgd(1.0).init(torch.ones(2)))
        assert other.explain().engine == "numba" and "not toy: it is for NumPy" in other.explain().reason
    else:
        with pytest.raises(ValueError, match="engine 'toy' cannot serve: it is for NumPy"):
            step(torch.ones(2), torch.ones(2), arrayopt.sgd(1.0).init(torch.ones(2)))


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("engine", [None, "tiles"])
def test_tensors_that_torch_does_not_write_to_are_returned_anew(engine: str | None, after: int) -> None:
    tx, params = arrayopt.sgd(1.0), {k: torch.zeros(3) for k in "ab"}
    step = arrayopt.fused_step(tx, engine if after else None)
    for _ in range(after):
        step(params, {k: torch.ones(3) for k in "ab"}, tx.init(params))
    with torch.inference_mode():
        sealed = torch.zeros(3)
    a_before = params["a"].clone()
    given = {"a": params["a"], "b": sealed}
    new, _ = step(given, {k: torch.ones(3) for k in "ab"}, tx.init(params))
    assert new["b"].tolist() == [-1.0] * 3 and sealed.tolist() == [0.0] * 3
    assert torch.equal(new["a"], a_before - 1)
