"""Real scripts at the walls between libraries: each test does what a script does, or what a package does with us."""

from __future__ import annotations

import copy
import importlib
import io
import json
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import arrayopt
from arrayopt import tree
from arrayopt.dispatch import backend, backend_named, library

# -- NumPy's arrays beside JAX's ------------------------------------------------------------------------------


def begun() -> dict[str, Any]:
    """As a script makes a start: an array of NumPy, and a number."""
    return {"w": np.asarray([1.0, -2.0, 0.5]), "b": 0.25}


def loss(params: Any) -> Any:
    return (params["w"] ** 2).sum() + (params["b"] - 3.0) ** 2


def rates() -> dict[str, Any]:
    """Optimizers with slots, with counters, with a mask, with sums over the tree."""
    schedule = arrayopt.linear_schedule(0.1, 0.0, 9)
    return {
        "adam": arrayopt.adam(0.1),
        "adamw": arrayopt.adamw(schedule, mask={"w": True, "b": False}),
        "sgd": arrayopt.sgd(schedule, momentum=0.9),
        "adafactor": arrayopt.adafactor(0.1, min_dim_size_to_factor=1, momentum=0.9),
        "clipped": arrayopt.chain(arrayopt.clip_by_global_norm(0.5), arrayopt.ema(0.9), arrayopt.scale(-0.1)),
        "masked": arrayopt.masked(arrayopt.adam(0.1), {"w": True, "b": False}),
    }


def descended(tx: Any, params: Any, state: Any = None, *, steps: int = 4) -> tuple[Any, Any]:
    """A loop on JAX outside of jit."""
    jax = pytest.importorskip("jax")
    state = tx.init(params) if state is None else state
    for _ in range(steps):
        updates, state = tx.update(jax.grad(loss)(params), state, params)
        params = arrayopt.apply_updates(params, updates)
    return params, state


def assert_near(got: Any, wanted: Any, rtol: float = 1e-6) -> None:
    xs, ys = tree.flatten(got), tree.flatten(wanted)
    assert xs[1] == ys[1]
    for x, y in zip(xs[0], ys[0], strict=True):
        assert library(x) == library(y) and x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("name", rates())
def test_a_start_made_by_numpy_is_one_of_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    tx = rates()[name]
    wanted = descended(tx, jax.tree.map(jax.numpy.asarray, begun()))
    assert_near(descended(tx, begun()), wanted)
    assert {x.dtype.name for x in tree.leaves(wanted)} <= {"float32", "int32"}


def test_with_doubles_they_stay_doubles() -> None:
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        params, _ = descended(arrayopt.adam(0.1), begun())
        assert {x.dtype.name for x in tree.leaves(params)} == {"float64"}


@pytest.mark.parametrize("name", rates())
def test_a_state_that_flax_restored_goes_on(name: str) -> None:
    """`from_bytes` gives NumPy's arrays, for slots and counters too."""
    jax = pytest.importorskip("jax")
    tx = rates()[name]
    middle = descended(tx, begun(), steps=2)
    wanted = descended(tx, *middle, steps=2)
    restored = from_bytes(middle)
    assert {library(x) for x in tree.leaves(restored)} == {"numpy"}
    assert_near(descended(tx, *restored, steps=2), wanted)
    grads = jax.grad(loss)(restored[0])
    step = arrayopt.fused_step(tx)
    params, state = step(restored[0], grads, restored[1])
    params, state = step(params, jax.grad(loss)(params), state)
    assert_near((params, state), wanted, 1e-5)
    assert step.explain().engine == "jit"


def from_bytes(trees: Any) -> Any:
    """By Flax where it is installed, else as Flax does it."""
    try:
        serialization = importlib.import_module("flax.serialization")
    except ImportError:
        leaves, spec = tree.flatten(trees)
        return spec.unflatten([np.array(x) for x in leaves])
    return serialization.from_bytes(trees, serialization.to_bytes(trees))


def test_a_train_state_of_flax_restored_goes_on() -> None:
    jax = pytest.importorskip("jax")
    train_state = pytest.importorskip("flax.training.train_state")
    params = jax.tree.map(jax.numpy.asarray, begun())
    state = train_state.TrainState.create(apply_fn=None, params=params, tx=arrayopt.adam(0.1))
    state = state.apply_gradients(grads=jax.grad(loss)(params))
    wanted = state.apply_gradients(grads=jax.grad(loss)(state.params))
    again = from_bytes(state)
    again = again.apply_gradients(grads=jax.grad(loss)(again.params))
    assert_near((again.params, again.opt_state), (wanted.params, wanted.opt_state))


def test_gradients_fetched_to_the_host_step_arrays_of_jax() -> None:
    jax = pytest.importorskip("jax")
    tx, params = arrayopt.adam(0.1), jax.tree.map(jax.numpy.asarray, begun())
    grads, state = jax.grad(loss)(params), tx.init(params)
    updates, new = tx.update(jax.device_get(grads), state, params)
    assert_near((updates, new), tx.update(grads, state, params))
    rated = arrayopt.sgd(arrayopt.linear_schedule(0.1, 0.0, 9))
    updates, _ = rated.update(jax.device_get(grads), rated.init(params))
    assert {library(x) for x in tree.leaves(updates)} == {"jax"}


def test_what_numpy_is_told_of_jaxs_memory_is_a_copy() -> None:
    """A script that overwrites its array must not change what was computed from it."""
    jnp = pytest.importorskip("jax.numpy")
    g, tx = np.ones(4, np.float32), arrayopt.trace(0.5)
    _, state = tx.update({"w": g, "b": jnp.ones(4)}, tx.init({"w": jnp.zeros(4), "b": jnp.zeros(4)}))
    g[:] = 7.0
    assert state.trace["w"].tolist() == [1.0] * 4
    p = np.ones(4, np.float32)
    arrayopt.fused_step(arrayopt.sgd(0.1))(p, jnp.ones(4), arrayopt.sgd(0.1).init(p))
    assert p.tolist() == [1.0] * 4


TREE_CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "add": tree.add,
    "sub": tree.sub,
    "mul": tree.mul,
    "div": tree.div,
    "add_scale": lambda x, y: tree.add_scale(x, 0.5, y),
    "zeros_like": lambda x, y: tree.zeros_like({"x": x, "y": y}),
    "full_like": lambda x, y: tree.full_like({"x": x, "y": y}, 2.0),
    "cast": lambda x, y: tree.cast({"x": x, "y": y}, "float16"),
    "real": lambda x, y: tree.real({"x": x, "y": y}),
    "clip": lambda x, y: tree.clip({"x": x, "y": y}, -0.5, 0.5),
    "where": lambda x, y: tree.where(tree.map(lambda z: z > 0, x), x, y),
    "one condition": lambda x, y: tree.where(np.asarray(True), x, y),
    "sum": lambda x, y: tree.sum({"x": x, "y": y}),
    "vdot": tree.vdot,
    "norm": lambda x, y: tree.norm({"x": x, "y": y}),
    "norm of magnitudes": lambda x, y: tree.norm({"x": x, "y": y}, ord=1),
    "greatest": lambda x, y: tree.norm({"x": x, "y": y}, ord="inf"),
    "max": lambda x, y: tree.max({"x": x, "y": y}),
    "min": lambda x, y: tree.min({"x": x, "y": y}),
    "allclose": tree.allclose,
    "update_moment": lambda x, y: tree.update_moment(x, y, 0.9, 2),
    "update_moment_per_elem_norm": lambda x, y: tree.update_moment_per_elem_norm(x, y, 0.9, 2),
    "update_infinity_moment": lambda x, y: tree.update_infinity_moment(x, y, 0.9, 1e-3),
}


@pytest.mark.parametrize("name", TREE_CALLS)
@pytest.mark.parametrize("jitted", [False, True], ids=["outside of jit", "within"])
def test_functions_of_trees_take_both(name: str, jitted: bool) -> None:
    jax = pytest.importorskip("jax")
    call, x = TREE_CALLS[name], {"w": np.asarray([1.0, -2.0], np.float32), "b": np.asarray([0.5], np.float32)}
    y = jax.tree.map(lambda a: jax.numpy.asarray(a[::-1] - 0.25), x)
    wanted = call(jax.tree.map(jax.numpy.asarray, x), y)
    for a, b in ((x, y), (y, x)):
        theirs = wanted if a is x else call(y, jax.tree.map(jax.numpy.asarray, x))
        if jitted:
            got = jax.jit(lambda z, a=a, b=b: call(a if a is x else z, b if b is x else z))(y)
        else:
            got = call(a, b)
        assert_near(got, theirs)


def test_tree_dtype_is_that_of_jaxs_arrays() -> None:
    jnp = pytest.importorskip("jax.numpy")
    assert tree.dtype({"a": np.ones(2), "b": jnp.ones(2)}) == jnp.float32


@pytest.mark.parametrize("other", ["jax", "numpy", "array_api_strict"])
def test_no_other_two_libraries_mix(other: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip(other)
    x, y, tx = backend_named(other).asarray([1.0], "float32"), torch.ones(1), arrayopt.adam(0.1)
    message = r"^\w+: all arrays must be of one library; "
    with pytest.raises(TypeError, match=message):
        tx.init({"a": x, "b": y})
    for grads, params in ((x, y), (y, x)):
        with pytest.raises(TypeError, match=message):
            tx.update(grads, tx.init(params), params)
        with pytest.raises(TypeError, match=message):
            arrayopt.apply_updates(params, grads)
        with pytest.raises(TypeError, match=message):
            arrayopt.fused_step(tx)(params, grads, tx.init(params))


def test_a_rate_of_jax_is_none_of_numpys() -> None:
    jnp = pytest.importorskip("jax.numpy")
    tx = arrayopt.sgd(jnp.asarray(0.1))
    with pytest.raises(
        TypeError, match=r"^sgd: learning_rate must be a number or an array .* numpy; got one of jax\.$"
    ):
        tx.update(np.ones(2), tx.init(np.ones(2)))


# -- Python's numbers among parameters ------------------------------------------------------------------------


def test_python_floats_are_arrays_without_axes() -> None:
    params, tx = {"a": 1.0, "b": [2.0]}, arrayopt.adam(0.1)
    state = tx.init(params)
    for step in (None, arrayopt.fused_step(tx)):
        updates, _ = tx.update(params, state, params)
        new = arrayopt.apply_updates(params, updates) if step is None else step(params, params, state)[0]
        assert [x.dtype.name for x in tree.leaves(new)] == ["float64"] * 2
        assert {library(x) for x in tree.leaves((new, updates, state))} == {"numpy"}
        np.testing.assert_allclose(tree.leaves(new), [0.9, 1.9], rtol=1e-6)
    assert arrayopt.apply_updates({"a": 1.0}, {"a": None}) == {"a": 1.0}
    assert tree.zeros_like({"a": 1.0})["a"].shape == () and tree.dtype({"a": 1.0}) == np.float64


def test_python_floats_are_of_the_library_of_the_others() -> None:
    torch = pytest.importorskip("torch")
    params, tx = {"w": torch.ones(2), "b": 1.0}, arrayopt.adam(0.1)
    updates, _ = tx.update({"w": torch.ones(2), "b": 1.0}, tx.init(params), params)
    new = arrayopt.apply_updates(params, updates)
    assert new["b"].dtype is torch.float64 and new["b"].shape == ()
    torch.testing.assert_close(new["b"].float(), torch.tensor(0.9))


@pytest.mark.parametrize("bad", [3, True, "1.0", np.asarray([1, 2])])
def test_other_values_of_python_are_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match=r"^adam: the parameter at \['a'\] must be (an array|floating point).*; got"):
        arrayopt.adam(0.1).init({"a": bad})


# -- Optax's classes ------------------------------------------------------------------------------------------


def nothing(params: Any) -> Any:
    del params
    return ()


def handed_on(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
    del params, extra
    return updates, state


PLAIN = arrayopt.GradientTransformation(nothing, handed_on)
WITH_EXTRA = arrayopt.GradientTransformationExtraArgs(nothing, handed_on)


def test_a_transform_is_one_of_optax_too() -> None:
    optax = pytest.importorskip("optax")
    for tx in (PLAIN, WITH_EXTRA, arrayopt.adam(0.1), arrayopt.scale(0.1)):
        assert isinstance(tx, optax.GradientTransformation) and isinstance(tx, arrayopt.GradientTransformation)
        takes_extra = isinstance(tx, arrayopt.GradientTransformationExtraArgs)
        assert isinstance(tx, optax.GradientTransformationExtraArgs) == takes_extra
        assert type(tx) in (arrayopt.GradientTransformation, arrayopt.GradientTransformationExtraArgs)
    assert not isinstance(optax.adam(0.1), arrayopt.GradientTransformation)


def test_optax_is_not_imported_to_say_so() -> None:
    code = """
import sys, arrayopt
tx = arrayopt.adam(0.1)
assert tx.__class__ is type(tx) is arrayopt.GradientTransformationExtraArgs
assert "optax" not in sys.modules and "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("tx", [PLAIN, WITH_EXTRA], ids=["plain", "with extra arguments"])
def test_that_breaks_no_copy(tx: Any) -> None:
    pytest.importorskip("optax")
    pickled = [pickle.loads(pickle.dumps(tx, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    in_python: Any = pickle  # its functions written in Python look at other things than those in C
    slow = in_python._loads(in_python._dumps(tx))
    for again in (*pickled, slow, copy.copy(tx), copy.deepcopy(tx), tx._replace(init=nothing), type(tx)._make(tx)):
        assert type(again) is type(tx) and again == tx and hash(again) == hash(tx) and repr(again) == repr(tx)
    init, update = tx
    assert (init, update) == (nothing, handed_on) and tx._asdict() == {"init": nothing, "update": handed_on}
    leaves, spec = tree.flatten([tx])
    assert spec.paths() == ["[0].init", "[0].update"] and type(spec.unflatten(leaves)[0]) is type(tx)


def test_jax_takes_a_transform_apart() -> None:
    jax = pytest.importorskip("jax")
    leaves, treedef = jax.tree.flatten(WITH_EXTRA)
    assert type(jax.tree.unflatten(treedef, leaves)) is arrayopt.GradientTransformationExtraArgs
    scaled = jax.jit(lambda x, tx: tx.update(x, ())[0], static_argnums=1)
    assert [float(scaled(2.0, tx)) for tx in (PLAIN, WITH_EXTRA)] == [2.0, 2.0]


def test_a_chain_of_optax_passes_extra_arguments_on() -> None:
    optax, jnp = pytest.importorskip("optax"), pytest.importorskip("jax.numpy")
    seen: list[Any] = []

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        seen.append(extra)
        return updates, state

    inner = arrayopt.GradientTransformationExtraArgs(nothing, update)
    tx = optax.chain(optax.clip(1.0), arrayopt.chain(arrayopt.scale(1.0), inner))
    updates, _ = tx.update(jnp.full(2, 3.0), tx.init(jnp.ones(2)), jnp.ones(2), value=0.5)
    assert seen == [{"value": 0.5}] and updates.tolist() == [1.0, 1.0]


def wrapped_as_numpyro_does(optim: Any) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
    """``numpyro.optim.optax_to_numpyro``, asked for as ``SVI`` asks."""
    optax = importlib.import_module("optax")
    if not isinstance(optim, optax.GradientTransformation):
        raise TypeError("not an optimizer that SVI knows")

    def first(params: Any) -> Any:
        return params, optim.init(params)

    def moved(grads: Any, state: Any) -> Any:
        params, inner = state
        updates, inner = optim.update(grads, inner, params)
        return optax.apply_updates(params, updates), inner

    return first, moved


def test_svi_of_numpyro_takes_an_optimizer() -> None:
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    x = np.random.default_rng(0).normal(3.0, 1.0, 50)

    def fitted(tx: Any) -> Any:
        try:
            return _by_numpyro(tx, x)
        except ImportError:
            first, moved = wrapped_as_numpyro_does(tx)
            state = first({"loc": 0.0})
            for _ in range(20):
                state = jax.jit(moved)(jax.grad(lambda p: ((x - p["loc"]) ** 2).sum())(state[0]), state)
            return state[0]

    for a, b in zip(
        jax.tree.leaves(fitted(arrayopt.adam(0.1))), jax.tree.leaves(fitted(optax.adam(0.1))), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4)


def _by_numpyro(tx: Any, x: Any) -> Any:
    """The mean of normal data, by ``SVI(model, guide, tx, …)``."""
    jax, numpyro = importlib.import_module("jax"), importlib.import_module("numpyro")
    infer = importlib.import_module("numpyro.infer")
    guides = importlib.import_module("numpyro.infer.autoguide")

    def model(x: Any) -> None:
        normal = numpyro.distributions.Normal
        numpyro.sample("x", normal(numpyro.sample("loc", normal(0.0, 10.0)), 1.0), obs=x)

    svi = infer.SVI(model, guides.AutoNormal(model), tx, infer.Trace_ELBO())
    return svi.run(jax.random.key(0), 20, x, progress_bar=False).params


# -- the loop that trains nothing -----------------------------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Torch, as if nobody had been warned."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(backend_named("torch"), "_has_warned", False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.warned = lambda: [str(w.message) for w in caught if "apply_updates" in str(w.message)]
        torch.places = lambda: [w.filename for w in caught if "apply_updates" in str(w.message)]
        yield torch
        del torch.warned, torch.places


def trained(torch: Any, steps: int = 4, within: Any = None) -> Any:
    """The first try of everybody who knows Optax."""
    model, x = torch.nn.Linear(2, 1), torch.ones(4, 2)
    tx, params = arrayopt.adam(0.1), dict(model.named_parameters())
    state = tx.init(params)
    for _ in range(steps):
        model(x).pow(2).mean().backward()
        grads = {name: p.grad for name, p in params.items()}
        if within is None:
            updates, state = tx.update(grads, state, params)
            params = arrayopt.apply_updates(params, updates)
        else:
            with within():
                updates, state = tx.update(grads, state, params)
                params = arrayopt.apply_updates(params, updates)
    return params


def test_a_loop_that_trains_nothing_is_warned_of_once(fresh: Any) -> None:
    trained(fresh)
    (said,) = fresh.warned()
    assert "trains nothing" in said and "arrayopt.fused_step" in said and "param.add_(updates[name])" in said
    assert fresh.places() == [__file__]


def test_so_is_one_without_grad_mode_once_all_gradients_are_none(fresh: Any) -> None:
    trained(fresh, steps=1, within=fresh.no_grad)
    assert not fresh.warned()
    trained(fresh, steps=3, within=fresh.no_grad)
    (said,) = fresh.warned()
    assert "all updates are None" in said and "arrayopt.fused_step" in said


def test_an_adapter_hears_of_applied_updates() -> None:
    assert backend(np.ones(1)).applied([np.ones(1)], []) is None


def test_loops_that_train_are_not_warned_of(fresh: Any) -> None:
    torch, tx = fresh, arrayopt.adam(0.1)
    model, x = torch.nn.Linear(2, 1), torch.ones(4, 2)
    params = dict(model.named_parameters())
    state, step = tx.init(params), arrayopt.fused_step(tx)
    for _ in range(3):  # in place, by copy, fused
        grads = dict(zip(params, torch.autograd.grad(model(x).pow(2).mean(), list(params.values())), strict=True))
        with torch.no_grad():
            updates, state = tx.update(grads, state, params)
            for p, new in zip(params.values(), arrayopt.apply_updates(params, updates).values(), strict=True):
                p.copy_(new)
        params, state = step(params, grads, state)
    plain = {name: p.detach() for name, p in params.items()}  # torch.func

    def value(params: Any) -> Any:
        return torch.func.functional_call(model, params, (x,)).pow(2).mean()

    def inner(params: Any) -> Any:
        updates, _ = tx.update(torch.func.grad(value)(params), tx.init(params), params)
        return value(arrayopt.apply_updates(params, updates))

    torch.func.grad(inner)(plain)
    torch.func.grad(lambda p: value(arrayopt.apply_updates(p, plain)))(plain)
    assert not fresh.warned()


def test_learning_to_learn_is_not_warned_of(fresh: Any) -> None:
    w, rate = fresh.ones(2, requires_grad=True), fresh.tensor(0.1, requires_grad=True)
    tx, params = arrayopt.sgd(rate), {"w": w}
    state = tx.init(params)
    for _ in range(2):
        (g,) = fresh.autograd.grad(params["w"].pow(2).sum(), [params["w"]], create_graph=True)
        updates, state = tx.update({"w": g}, state, params)
        params = arrayopt.apply_updates(params, updates)
    params["w"].sum().backward()
    assert rate.grad is not None and not fresh.warned()


def test_a_compiled_loop_is_not_warned_within(fresh: Any) -> None:
    fresh._dynamo.reset()
    compiled = fresh.compile(arrayopt.apply_updates, fullgraph=True, backend="eager")
    compiled({"w": fresh.ones(2, requires_grad=True)}, {"w": fresh.ones(2)})
    assert not fresh.warned()


# -- saved states ---------------------------------------------------------------------------------------------

LOAD = """
found = torch.load(sys.argv[1], weights_only=True)["state"]
assert type(found[0]) is arrayopt.MaskedState, type(found[0])
"""
IMPORTS = {"torch first": "import sys, torch, arrayopt", "arrayopt first": "import sys, arrayopt, torch"}


@pytest.mark.parametrize("order", IMPORTS)
def test_a_saved_state_is_loaded(order: str, tmp_path: Any) -> None:
    """Also where nothing of arrayopt was called before."""
    torch = pytest.importorskip("torch")
    p = {"w": torch.ones(2, 3), "b": torch.ones(3)}
    rate = arrayopt.linear_schedule(0.1, 0.0, 9)
    tx = arrayopt.chain(
        arrayopt.masked(arrayopt.adamw(rate, weight_decay=rate), {"w": True, "b": False}),
        *[arrayopt.ema(0.9), arrayopt.trace(0.9), arrayopt.adabelief(0.1), arrayopt.contrib.ademamix(0.1)],
        *[arrayopt.contrib.adopt(0.1), arrayopt.adafactor(0.1, min_dim_size_to_factor=1, momentum=0.9)],
    )
    torch.save({"params": p, "state": tx.init(p)}, tmp_path / "state.pt")
    subprocess.run([sys.executable, "-c", IMPORTS[order] + LOAD, str(tmp_path / "state.pt")], check=True)


def test_all_states_of_this_package_are_known_to_torch() -> None:
    torch = pytest.importorskip("torch")
    rooms = [vars(module) for name, module in list(sys.modules.items()) if name.split(".")[0] == "arrayopt"]
    states = {x for room in rooms for x in room.values() if isinstance(x, type) and issubclass(x, tuple)}
    states = {x for x in states if x.__name__.endswith(("State", "Schedule", "Node"))}
    assert states and states <= set(torch.serialization.get_safe_globals())


class MyState(NamedTuple):
    """Of a rule that somebody wrote."""

    m: Any


def test_a_state_of_somebodys_own_is_told_by_them() -> None:
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save(MyState(torch.ones(2)), file)
    with pytest.raises(pickle.UnpicklingError, match="MyState"):
        torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    with torch.serialization.safe_globals([MyState]):
        assert type(torch.load(io.BytesIO(file.getvalue()), weights_only=True)) is MyState


def test_waiting_for_torch_disturbs_nobody() -> None:
    code = """
import sys, arrayopt
from arrayopt.imports import when_imported
seen = []
before = len(sys.meta_path)
when_imported("json.tool", lambda module: seen.append(module.__name__))
when_imported("no_such_module", seen.append)
import importlib.util
assert importlib.util.find_spec("json.tool") is not None and seen == []
import json.tool, inspect
assert seen == ["json.tool"] and "argparse" in inspect.getsource(json.tool)
assert len(sys.meta_path) == before + 1
try:
    import no_such_module
except ModuleNotFoundError:
    pass
assert seen == ["json.tool"]
when_imported("json.tool", lambda module: seen.append("at once"))
assert seen == ["json.tool", "at once"]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# -- what is no tree of arrays --------------------------------------------------------------------------------


def strangers() -> dict[str, tuple[Callable[[], Any], str]]:
    """What people hand to ``init``, and what they are told to write."""
    named = r"Write dict\(model\.named_parameters\(\)\)\."
    array = {"w": np.ones(2)}
    return {
        "module": (lambda: linear(), named),
        "module within": (lambda: {"encoder": linear()}, named),
        "parameters()": (lambda: linear().parameters(), named),
        "named_parameters()": (lambda: linear().named_parameters(), named),
        "a class": (lambda: type(linear()), named),
        "generator": (lambda: (x for x in array.values()), r"Write a list or a dict of arrays\."),
        "map": (lambda: map(np.ones, [2]), r"Write a list or a dict of arrays\."),
        "dict_values": (lambda: array.values(), r"Write a list or a dict of arrays\."),
        "dict_items": (lambda: array.items(), r"Write a list or a dict of arrays\."),
        "set": (lambda: {1.0}, r"Write a list or a dict of arrays\."),
        "equinox": (equinox_model, r"Write equinox\.filter\(model, equinox\.is_inexact_array\)\."),
        "flax": (linen_model, r"write model\.init\(key, x\)\[\"params\"\]\."),
        "nnx": (nnx_model, r"Write nnx\.state\(model, nnx\.Param\)\."),
    }


def linear() -> Any:
    return pytest.importorskip("torch").nn.Linear(2, 1)


def equinox_model() -> Any:
    jax, eqx = pytest.importorskip("jax"), pytest.importorskip("equinox")
    return eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0))


def linen_model() -> Any:
    return pytest.importorskip("flax.linen").Dense(3)


def nnx_model() -> Any:
    nnx = pytest.importorskip("flax.nnx")
    return nnx.Dropout(0.5, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("what", strangers())
def test_what_is_no_tree_of_arrays_is_said_how_to_write(what: str) -> None:
    make, advice = strangers()[what]
    with pytest.raises(TypeError, match=rf"^adam: the parameter\b.* {advice}$") as error:
        arrayopt.adam(0.1).init(make())
    assert "\n" not in str(error.value)


# -- complex gradients ----------------------------------------------------------------------------------------


def test_a_complex_gradient_is_the_direction_of_ascent() -> None:
    """2 ∂f/∂z̄, as Torch gives it and NumPy's users write it; JAX gives its conjugate."""
    target = 1 + 3j

    def distance(z: Any) -> Any:
        return abs(z - target) ** 2

    def arrived(grad: Callable[[Any], Any], z: Any) -> bool:
        tx = arrayopt.sgd(0.1)
        state = tx.init(z)
        for _ in range(100):
            updates, state = tx.update(grad(z), state)
            z = arrayopt.apply_updates(z, updates)
        return bool(abs(complex(z) - target) < 1e-5)

    assert arrived(lambda z: 2 * (z - target), np.asarray(0j))
    jax = pytest.importorskip("jax")
    assert arrived(lambda z: jax.grad(distance)(z).conj(), jax.numpy.asarray(0j))
    assert not arrived(jax.grad(distance), jax.numpy.asarray(0j))


def test_a_state_of_json_steps_on() -> None:
    """Counters as numbers, slots as arrays of NumPy, gradients of JAX."""
    jnp = pytest.importorskip("jax.numpy")
    tx, p = arrayopt.adam(0.1), {"w": jnp.ones(2)}
    _, state = tx.update(p, tx.init(p), p)
    count = json.loads(json.dumps(int(state[0].count)))
    loaded = tree.set(tree.map(np.asarray, state), count=count)
    assert_near(tx.update(p, loaded, p), tx.update(p, state, p))
