"""`count_per_parameter`: the steps of each parameter counted by themselves."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import pickle
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.harness.compare import assert_near, assert_same, host
from arrayopt_conformance.harness.compiled import fresh
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.harness.fused import kernel_engines, serving, stepped
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.libraries import Library, double, libraries
from arrayopt_conformance.rules import Rule, everybody
from cuda_on_host import emulate

import arrayopt
from arrayopt import count_per_parameter
from arrayopt.base import remembering
from arrayopt.tree import StructureError, flatten

FEW = 8 * 2.0**-52
LIBRARIES = list(libraries().values())
TORCH = importlib.util.find_spec("torch") is not None
JAX = importlib.util.find_spec("jax") is not None
SHAPES = {"w": (4, 6), "b": (5,), "c": (4, 6), "s": (), "o": (1,)}

needs_torch = pytest.mark.skipif(not TORCH, reason="needs torch")
needs_jax = pytest.mark.skipif(not JAX, reason="needs jax")

falling = arrayopt.exponential_decay(0.1, 2, 0.7)
rising = arrayopt.linear_schedule(0.0, 0.3, 5)

MADE: dict[str, Callable[[], Any]] = {
    "adamw": lambda: arrayopt.adamw(falling, b1=rising, weight_decay=rising),
    "clipped": lambda: arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adam(falling)),
    "adafactor": lambda: arrayopt.adafactor(falling, min_dim_size_to_factor=4, momentum=0.9),
    "adopt": lambda: arrayopt.contrib.adopt(falling),
    "ademamix": lambda: arrayopt.contrib.ademamix(0.1, b3=rising, alpha=falling),
    "adabelief": lambda: arrayopt.adabelief(0.1),
    "ema": lambda: arrayopt.ema(0.9),
    "schedule": lambda: arrayopt.scale_by_schedule(falling),
    "masked": lambda: arrayopt.masked(arrayopt.adam(0.1), {"w": True, "b": True, "c": False, "s": True, "o": False}),
}
LEAFWISE = [name for name in MADE if name != "clipped"]


def counts(state: Any) -> list[int]:
    """The counters of a state."""
    return [int(host(x)) for x in flatten(state)[0] if x.shape == () and host(x).dtype == np.int32]


def with_holes(days: list[Any], times: int = 1) -> list[Any]:
    """Gradients that come late, or are None now and then; in each step another pattern."""
    return [
        {
            name: None if (5 * k + 3 * j + k // 3) % 4 < 2 and (k + j) % 5 else g
            for j, (name, g) in enumerate(gs.items())
        }
        for k, gs in enumerate(days * times)
    ]


def days_of(library: Library, steps: int = 7) -> list[Any]:
    return gradients(library, "float64", SHAPES, steps=steps)


@pytest.fixture(params=LIBRARIES, ids=str)
def library(request: pytest.FixtureRequest) -> Iterator[Library]:
    """Each library, with float64."""
    found: Library = request.param
    with double(found):
        yield found


# -- where all gradients are there it is the inner one ---------------------------------------------------------


@pytest.mark.parametrize("one", everybody(), ids=str)
def test_with_all_gradients_every_rule_is_as_without(library: Library, one: Rule) -> None:
    params, days = parameters(library, "float64"), gradients(library, "float64", steps=3)
    for case in {0: one.usual, 1: list(one.cases.values())[-1]}.values():
        plain, own = [run(tx, params, days) for tx in (one.make(**case), count_per_parameter(one.make(**case)))]
        assert_same(own.params, plain.params, "the parameters of step ")
        assert_same(own.updates, plain.updates, "the updates of step ")
        assert set(counts(own.states[-1])) <= set(counts(plain.states[-1]))


# A norm over all, several scalars of a count, and counters that are not there: to compile each takes a second.
COMPILED = ["clipped", "adafactor", "masked"]


@pytest.mark.parametrize("library", [each for each in LIBRARIES if len(each.modes) > 1], ids=str)
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_too(library: Library, name: str) -> None:
    params, days = parameters(library, shapes=SHAPES), gradients(library, shapes=SHAPES)
    for mode in [mode for mode in library.modes if mode != "eager"]:
        how = fresh(library) if mode == "compile" else library.modes[mode]
        plain, own = [run(tx, params, days, mode=how) for tx in (MADE[name](), count_per_parameter(MADE[name]()))]
        assert_near(own.params, plain.params, 1e-6, f"{mode}: the parameters of step ")


@needs_jax
@pytest.mark.parametrize("name", COMPILED)
def test_scanned_and_mapped(name: str) -> None:
    jax = importlib.import_module("jax")
    library = libraries()["jax"]
    params, days = parameters(library, shapes=SHAPES), gradients(library, shapes=SHAPES)
    stack = jax.tree.map(lambda *xs: jax.numpy.stack(xs), *days)

    def last(tx: Any) -> Any:
        def step(carry: Any, gs: Any) -> Any:
            us, state = tx.update(gs, carry[1], carry[0])
            return (arrayopt.apply_updates(carry[0], us), state), None

        return jax.lax.scan(step, (params, tx.init(params)), stack)[0][0]

    plain, own = last(MADE[name]()), last(count_per_parameter(MADE[name]()))
    assert_same(own, plain, "scanned, the parameters ")
    tx = count_per_parameter(MADE[name]())
    state = jax.vmap(tx.init)(jax.tree.map(lambda x: x[None], params))
    us, _ = jax.vmap(tx.update)(
        *[jax.tree.map(lambda x: x[None], (days[0], params))[0]], state, jax.tree.map(lambda x: x[None], params)
    )
    alone, _ = tx.update(days[0], tx.init(params), params)
    assert_near(jax.tree.map(lambda x: x[0], us), alone, 1e-6, "mapped, the update ")


@needs_torch
def test_init_is_compiled_too() -> None:
    torch = importlib.import_module("torch")
    torch.compiler.reset()
    params = parameters(libraries()["torch"], shapes=SMALL)
    tx = count_per_parameter(arrayopt.adamw(falling))
    made = torch.compile(tx.init, fullgraph=True, backend="eager")(params)
    assert_same(made, tx.init(params), "the state")


# -- each parameter moves as if it were alone --------------------------------------------------------------------


def alone(make: Callable[[], Any], params: Any, days: list[Any], name: str) -> Any:
    """What becomes of one parameter, stepped when it has a gradient."""
    found = run(make(), {name: params[name]}, [{name: gs[name]} for gs in days if gs[name] is not None])
    return found.params[-1][name] if found.params else params[name]


@pytest.mark.parametrize("name", [x for x in LEAFWISE if x != "masked"])
def test_a_parameter_moves_as_if_it_were_alone(library: Library, name: str) -> None:
    params, days = parameters(library, "float64", SHAPES), with_holes(days_of(library), 2)
    done = run(count_per_parameter(MADE[name]()), params, days)
    for leaf in SHAPES:
        assert_same(done.params[-1][leaf], alone(MADE[name], params, days, leaf), f"the parameter {leaf}")
    taken = [sum([gs[leaf] is not None for gs in days]) for leaf in sorted(SHAPES)]
    assert counts(done.states[-1])[: len(SHAPES)] == taken


def test_what_is_masked_counts_nothing() -> None:
    params, days = parameters(libraries()["numpy"], "float64", SHAPES), with_holes(days_of(libraries()["numpy"]))
    for tx in (
        count_per_parameter(MADE["masked"]()),
        arrayopt.masked(
            count_per_parameter(arrayopt.adam(0.1)), {**dict.fromkeys("wbs", True), **dict.fromkeys("co", False)}
        ),
    ):
        done = run(tx, params, days)
        count = done.states[-1].inner_state[0].count
        assert len(flatten(count)[0]) == 3
        for leaf in "wbs":
            assert int(count[leaf]) == sum([gs[leaf] is not None for gs in days])
            assert_same(done.params[-1][leaf], alone(lambda: arrayopt.adam(0.1), params, days, leaf), f"{leaf}")


def test_a_norm_is_over_the_gradients_that_are_there(library: Library) -> None:
    params, days = parameters(library, "float64", SHAPES), with_holes(days_of(library))
    clip, make = arrayopt.clip_by_global_norm(1.0), lambda: arrayopt.adam(falling)
    done = run(count_per_parameter(MADE["clipped"]()), params, days)
    clipped = [clip.update(gs, clip.init(params))[0] for gs in days]
    for leaf in SHAPES:
        assert_same(done.params[-1][leaf], alone(make, params, clipped, leaf), f"the parameter {leaf}")


def test_no_gradient_at_all() -> None:
    params = parameters(libraries()["numpy"], "float64", SHAPES)
    tx = count_per_parameter(MADE["adamw"]())
    us, state = tx.update(dict.fromkeys(params), tx.init(params), params)
    assert us == dict.fromkeys(params) and set(counts(state)) == {0}
    bare = np.ones(3)
    us, state = tx.update(None, tx.init(bare), bare)
    assert us is None and set(counts(state)) == {0}
    assert tx.update({}, tx.init({}), {})[0] == {}


TORCHS: dict[str, tuple[Callable[[Any], Any], Callable[[], Any]]] = {
    "Adam": (lambda ps: _torch().optim.Adam(ps, 0.1), lambda: arrayopt.adam(0.1)),
    "AdamW": (
        lambda ps: _torch().optim.AdamW(ps, 0.1, weight_decay=0.1),
        lambda: arrayopt.adamw(0.1, weight_decay=0.1),
    ),
    "SGD": (lambda ps: _torch().optim.SGD(ps, 0.1, momentum=0.9), lambda: arrayopt.sgd(0.1, momentum=0.9)),
}


def _torch() -> Any:
    return importlib.import_module("torch")


@needs_torch
@pytest.mark.parametrize("name", TORCHS)
def test_as_torch_with_gradients_of_none(name: str) -> None:
    torch, library = _torch(), libraries()["torch"]
    theirs, ours = TORCHS[name]
    params, days = parameters(library, "float64", SHAPES), with_holes(days_of(library), 3)
    peers = {leaf: torch.nn.Parameter(p.clone()) for leaf, p in params.items()}
    optimizer = theirs(list(peers.values()))
    tx, p = count_per_parameter(ours()), params
    state = tx.init(p)
    for gs in days:
        for leaf, peer in peers.items():
            peer.grad = gs[leaf]
        optimizer.step()
        us, state = tx.update(gs, state, p)
        p = arrayopt.apply_updates(p, us)
        assert_near(p, {leaf: peer.detach() for leaf, peer in peers.items()}, 1e-12, "the parameter ")


# -- fused ----------------------------------------------------------------------------------------------------------


def as_eagerly(library: Library, engine: str, name: str, days: list[Any]) -> Any:
    params = parameters(library, "float64", SHAPES)
    make = lambda: count_per_parameter(MADE[name]())  # noqa: E731
    plain, done = run(make(), params, days), stepped(make, library, params, days, engine)
    assert_near(done.params, plain.params, FEW, "the parameters of step ")
    assert_near(done.states, plain.states, FEW, "the state of step ")
    told = done.step.explain()
    assert told.engine == engine and told.stopped is None, told.reason
    return done.step


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("library,engine", kernel_engines("numpy", "torch"), ids=str)
def test_fused_as_eagerly(library: Library, engine: str, name: str) -> None:
    days = days_of(library)
    one = stepped(MADE[name], library, parameters(library, "float64", SHAPES), days, engine).step
    own = as_eagerly(library, engine, name, days)
    assert [len(x.sites) for x in launches(own)] == [len(x.sites) for x in launches(one)]


def launches(step: Any) -> list[Any]:
    return [launch for stage in step._recent.schedule.stages for launch in stage.launches]


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("library,engine", kernel_engines("numpy", "torch"), ids=str)
def test_fused_with_gradients_of_none(library: Library, engine: str, name: str) -> None:
    as_eagerly(library, engine, name, with_holes(days_of(library), 3))


def test_fused_nothing_is_recorded_anew() -> None:
    library = libraries()["numpy"]
    params, recorded = parameters(library, "float64", SHAPES), list[int]()
    tx = count_per_parameter(MADE["clipped"]())

    def update(*args: Any, **extra: Any) -> Any:
        recorded.append(1)
        return tx.update(*args, **extra)

    watched = arrayopt.GradientTransformationExtraArgs(tx.init, update)
    step, state, days = arrayopt.fused_step(watched, "tiles"), tx.init(params), days_of(library, 1)
    patterns = [set(x) for n in range(1, 5) for x in itertools.combinations(SHAPES, n)]
    firsts = [{leaf} for leaf in SHAPES]
    for missing in [set(), set(), *firsts, *firsts]:
        params, state = step(params, {k: None if k in missing else g for k, g in days[0].items()}, state)
    before = len(recorded)
    for missing in patterns:
        params, state = step(params, {k: None if k in missing else g for k, g in days[0].items()}, state)
    assert len(recorded) == before
    taken = {k: 2 + 8 + sum([k not in missing for missing in patterns]) for k in SHAPES}
    assert {k: int(x) for k, x in state[1][0].count.items()} == taken


def test_fused_many_alike_are_worked_out_once() -> None:
    """The numbers of a hundred parameters, most of which have taken as many steps as the others."""
    names = [f"p{i}" for i in range(100)]
    rng = np.random.default_rng(0)
    params = {name: rng.standard_normal(7) for name in names}
    days = [
        {name: None if (i * k) % 7 == 1 else rng.standard_normal(7) for i, name in enumerate(names)} for k in range(9)
    ]
    make = lambda: count_per_parameter(arrayopt.adamw(falling))  # noqa: E731
    library = libraries()["numpy"]
    plain, done = run(make(), params, days), stepped(make, library, params, days, "tiles")
    assert_near(done.params, plain.params, FEW, "the parameters of step ")
    assert_same([s[0].count for s in done.states], [s[0].count for s in plain.states], "the counts of step ")
    assert len(launches(done.step)) == 1


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("holes", [False, True])
def test_emulated_on_cuda(name: str, holes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in [libraries()[x] for x in ("numpy", "torch") if x in libraries()]:
        gpu = emulate(library.name, monkeypatch)
        days = days_of(library)
        as_eagerly(library, "cuda", name, with_holes(days) if holes else days)
        assert gpu.reads == 0


@needs_jax
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("name", COMPILED)
def test_fused_on_jax(name: str, holes: bool) -> None:
    library = libraries()["jax"]
    params, days = parameters(library, "float32", SHAPES), gradients(library, "float32", SHAPES)
    days = with_holes(days) if holes else days
    make = lambda: count_per_parameter(MADE[name]())  # noqa: E731
    for engine in serving(library):
        plain, done = run(make(), params, days), stepped(make, library, params, days, engine)
        assert_near(done.params, plain.params, 1e-5, "the parameters of step ")
        assert done.step.explain().engine == engine


# -- as data ------------------------------------------------------------------------------------------------------


def test_it_is_its_call() -> None:
    tx = count_per_parameter(arrayopt.adamw(0.1))
    assert repr(tx) == "count_per_parameter(adamw(0.1))"
    assert eval(repr(tx), dict(vars(arrayopt))) == tx == pickle.loads(pickle.dumps(tx)) == copy.deepcopy(tx)
    assert hash(tx) == hash(count_per_parameter(inner=arrayopt.adamw(learning_rate=0.1)))
    assert tx != count_per_parameter(arrayopt.adamw(0.2)) and tx != arrayopt.adamw(0.1)


def test_states_are_ordinary_trees() -> None:
    params = parameters(libraries()["numpy"], "float32", SHAPES)
    state = count_per_parameter(arrayopt.adam(0.1)).init(params)
    assert state[0].count.keys() == params.keys()
    assert all([x.dtype == np.int32 and x.shape == () for x in state[0].count.values()])
    assert len({id(x) for x in state[0].count.values()}) == len(params)
    assert_same(pickle.loads(pickle.dumps(state)), state, "the state")
    loaded = arrayopt.tree.map(lambda x: int(x) if x.dtype == np.int32 else x, state)  # as of JSON
    _, state = count_per_parameter(arrayopt.adam(0.1)).update(params, loaded, params)
    assert set(counts(state)) == {1}


def test_threads_do_not_hear_of_one_another() -> None:
    """While one thread is within ``init``, another one makes a state with one counter."""
    inside, go_on = threading.Event(), threading.Event()

    def init(params: Any) -> Any:
        inside.set()
        assert go_on.wait(60)
        return arrayopt.scale_by_adam().init(params)

    found: list[Any] = []
    tx = count_per_parameter(arrayopt.GradientTransformation(init, arrayopt.scale_by_adam().update))
    thread = threading.Thread(target=lambda: found.append(tx.init({"w": np.ones(2)})))
    thread.start()
    assert inside.wait(60)
    assert arrayopt.scale_by_adam().init({"w": np.ones(2)}).count.shape == ()
    go_on.set()
    thread.join()
    assert found[0].count.keys() == {"w"}


def test_after_an_error_counters_are_as_before() -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("no")

    tx = count_per_parameter(arrayopt.GradientTransformation(fails, fails))
    for call in (lambda: tx.init({}), lambda: tx.update({}, ())):
        with pytest.raises(RuntimeError):
            call()
    assert arrayopt.scale_by_adam().init({"w": np.ones(2)}).count.shape == ()


# -- what does not go together --------------------------------------------------------------------------------------


P = {"w": np.ones(2), "b": np.ones(1)}


def test_a_state_of_the_other_kind_is_an_error() -> None:
    one, own = arrayopt.adam(0.1), count_per_parameter(arrayopt.adam(0.1))
    with pytest.raises(
        TypeError, match=r"adam: ScaleByAdamState.count must be a tree of counters, one for each par.*one for all"
    ):
        own.update(P, one.init(P), P)
    with pytest.raises(
        TypeError, match=r"adam: ScaleByAdamState.count must be one counter for all.*count_per_parameter"
    ):
        one.update(P, own.init(P), P)
    with pytest.raises(TypeError, match="count_per_parameter"):
        arrayopt.fused_step(own, "tiles")(P, P, one.init(P))


def test_counters_of_other_parameters_are_an_error() -> None:
    own = count_per_parameter(arrayopt.adam(0.1))
    state = own.init(P)
    state = (state[0]._replace(count={"w": state[0].count["w"]}), *state[1:])
    with pytest.raises(StructureError, match=r"adam: the gradient.*ScaleByAdamState.count"):
        own.update(P, state, P)
    odd = own.init(P)
    odd[0].count["b"] = 0.5
    with pytest.raises(TypeError, match=r"ScaleByAdamState.count\['b'\] must be a 0-d integer array; got float 0.5"):
        own.update(P, odd, P)


@needs_jax
def test_what_optax_counts_is_refused() -> None:
    optax = pytest.importorskip("optax")
    p = libraries()["jax"].tree(P)
    with pytest.raises(
        TypeError, match=r"count_per_parameter: every counter within.*got optax.*ScaleByAdamState.count, one"
    ):
        count_per_parameter(arrayopt.chain(arrayopt.adam(0.1), optax.scale_by_adam())).init(p)
    tx = count_per_parameter(optax.chain(optax.clip(1.0), arrayopt.adam(0.1), optax.trace(0.9)))
    assert_same(
        run(tx, p, [p]).params,
        run(optax.chain(optax.clip(1.0), arrayopt.adam(0.1), optax.trace(0.9)), p, [p]).params,
        "the parameters",
    )


def test_a_rule_that_asks_for_the_one_value_is_told() -> None:
    def asks(updates: Any, state: Any, params: Any = None) -> Any:
        del params
        return updates, state._replace(count=state.count if state.count > 3 else arrayopt.safe_increment(state.count))

    rule = remembering("asks", arrayopt.ScaleByScheduleState, arrayopt.scale_by_schedule(falling).init, asks)
    tx = count_per_parameter(rule)
    with pytest.raises(TypeError, match="no one truth value"):
        tx.update(P, tx.init(P))
    tx = count_per_parameter(arrayopt.scale_by_schedule(lambda k: 1.0 if k < 3 else 0.5))
    us, _ = tx.update(P, tx.init(P))  # a schedule is asked for each, and may look
    assert_same(us, P, "the update")
