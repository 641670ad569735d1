"""`fused_step` beyond its numbers: what it sees through and refuses, threads, forks, interrupts, kernels reused."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest

import arrayopt
from arrayopt.lift import lift
from arrayopt.tree.structure import flatten

NUMBA = importlib.util.find_spec("numba") is not None
ENGINES = ["tiles", *(["numba"] if NUMBA else [])]
LARGE = 300_000  # entries that more than one thread is given


def torch() -> Any:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    return importlib.import_module("torch")


def numba_only() -> None:
    if not NUMBA:
        pytest.skip("numba is not installed")


def tree(seed: int, n: int = 12) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {"w": random.standard_normal((3, n // 3)), "b": random.standard_normal(n)}


def assert_alike(got: Any, wanted: Any) -> None:
    ours, theirs = flatten(got), flatten(wanted)
    assert ours[1] == theirs[1]
    for a, b in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12, atol=1e-14)


def both(tx: Any, engine: str, params: Any, days: list[Any], **extra: Any) -> tuple[Any, Any, Any]:
    """Steps it fused and eagerly; the explanation, and the results of each."""
    wide = arrayopt.with_extra_args_support(tx)
    step, state = arrayopt.fused_step(tx, engine), wide.init(params)
    eager, eager_state = params, wide.init(params)
    fused = arrayopt.tree.map(np.array, params)
    for grads in days:
        updates, eager_state = wide.update(grads, eager_state, eager, **extra)
        eager = arrayopt.apply_updates(eager, updates)
        fused, state = step(fused, grads, state, **extra)
    return step.explain(), (fused, state), (eager, eager_state)


# -- what it sees through --------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    first: Any
    second: Any


NESTED = {
    "list of tuples": [(np.ones(3), np.full((2, 2), 2.0)), (np.zeros(()),)],
    "named tuple with None": Pair({"a": np.ones(4)}, None),
    "an empty leaf": {"a": np.ones((0, 3)), "b": np.ones(2)},
    "one array": np.ones(5),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", NESTED)
def test_trees_of_every_kind(kind: str, engine: str) -> None:
    params = NESTED[kind]
    tx = arrayopt.chain(arrayopt.clip_by_global_norm(0.5), arrayopt.adamw(0.1, weight_decay=0.1))
    told, got, wanted = both(tx, engine, params, [arrayopt.tree.map(np.cos, params)] * 3)
    assert told.stopped is None
    assert_alike(got, wanted)


@pytest.mark.parametrize("engine", ENGINES)
def test_masks_schedules_and_averages(engine: str) -> None:
    tx = arrayopt.chain(
        arrayopt.ema(0.9),
        arrayopt.masked(arrayopt.trace(0.9, nesterov=True), {"w": True, "b": False}),
        arrayopt.adamw(arrayopt.warmup_cosine_decay_schedule(0.0, 0.1, 2, 9), b1=lambda k: 0.5 + 0.01 * k,
                       mask=lambda p: arrayopt.tree.map(lambda x: x.ndim > 1, p)),
    )  # fmt: skip
    told, got, wanted = both(tx, engine, tree(0), [tree(k) for k in range(1, 6)])
    assert told.stopped is None
    assert_alike(got, wanted)


@pytest.mark.parametrize("engine", ENGINES)
def test_leaves_alike_are_not_taken_for_one_another(engine: str) -> None:
    """Each has sums, rows and columns of its own, though one recording serves all of a shape."""
    params = [np.random.default_rng(k).standard_normal((4, 5)) * 2.0**k for k in range(4)]
    days = [[np.random.default_rng(9 + k).standard_normal((4, 5)) * 3.0**k for k in range(4)] for _ in range(3)]
    tx = arrayopt.chain(
        arrayopt.clip_by_block_rms(0.1), arrayopt.adafactor(0.1, min_dim_size_to_factor=2), arrayopt.adabelief(0.1)
    )
    told, got, wanted = both(tx, engine, params, days)
    assert told.stopped is None
    assert_alike(got, wanted)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_leaf_without_a_gradient_stays(engine: str) -> None:
    days = [{"w": tree(1)["w"], "b": None}, tree(2), {"w": None, "b": tree(3)["b"]}]
    told, got, wanted = both(arrayopt.adamw(0.1), engine, tree(0), days)
    assert told.stopped is None
    assert_alike(got, wanted)


def scaled_by_value() -> Any:
    def update(updates: Any, state: Any, params: Any = None, *, value: Any, power: Any = 1, **_: Any) -> Any:
        def scaled(g: Any, *, value: Any) -> Any:
            return g * value if power == 1 else g * value * value

        return lift("scaled", scaled, updates, value=value), state

    return arrayopt.GradientTransformationExtraArgs(lambda params: (), update)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("value", [0.25, np.asarray(0.25)], ids=["number", "array"])
def test_extra_arguments_reach_the_rule_and_are_new_in_each_step(value: Any, engine: str) -> None:
    step, params = arrayopt.fused_step(scaled_by_value(), engine), {"w": np.zeros(3)}
    for k in range(1, 4):
        params, _ = step(params, {"w": np.ones(3)}, (), value=value * k, ignored="a constant")
    assert step.explain().stopped is None
    assert params["w"] == pytest.approx([1.5] * 3)
    params, _ = step(params, {"w": np.ones(3)}, (), value=value, power=2)  # a number that is looked at: recorded anew
    assert params["w"] == pytest.approx([1.5625] * 3) or step.explain().stopped is not None


@pytest.mark.parametrize("engine", ENGINES)
def test_numbers_in_the_state_stay_numbers(engine: str) -> None:
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return arrayopt.tree.map(lambda g: g * 0.5 ** state["t"], updates), {"t": state["t"] + 1}

    tx = arrayopt.GradientTransformation(lambda params: {"t": 0}, update)
    step, params, state = arrayopt.fused_step(tx, engine), {"w": np.zeros(2)}, {"t": 0}
    for _ in range(3):
        params, state = step(params, {"w": np.ones(2)}, state)
    assert state == {"t": 3} and type(state["t"]) is int
    assert params["w"].tolist() == [1.75, 1.75]


@pytest.mark.parametrize("engine", ENGINES)
def test_another_structure_or_shape_is_recorded_anew(engine: str) -> None:
    tx = arrayopt.adam(0.1)
    step = arrayopt.fused_step(tx, engine)
    for params in ({"w": np.ones(3)}, {"w": np.ones((2, 3))}, [np.ones(3)], {"w": np.ones(3)}):
        eager = arrayopt.tree.map(np.array, params)
        state, wanted = tx.init(params), tx.init(eager)
        grads = arrayopt.tree.map(np.sin, params)
        updates, wanted = tx.update(grads, wanted, eager)
        got = step(params, grads, state)
        assert_alike(got, (arrayopt.apply_updates(eager, updates), wanted))


def test_arrays_of_any_conforming_library_are_stepped_eagerly() -> None:
    if importlib.util.find_spec("array_api_strict") is None:
        pytest.skip("array-api-strict is not installed")
    xp = importlib.import_module("array_api_strict")
    tx, params = arrayopt.adam(0.1), {"w": xp.asarray([1.0, -2.0])}
    step = arrayopt.fused_step(tx)
    params, _ = step(params, {"w": 2 * params["w"]}, tx.init(params))
    assert step.explain().engine == "eager"
    assert np.asarray(params["w"]).tolist() == pytest.approx([0.9, -1.9])


# -- what cannot be recorded -----------------------------------------------------------------------------------------


def looks(g: Any) -> Any:
    return g if float(abs(g).sum()) > 0 else 0 * g  # the line that stops the recording


def calls_numpy(g: Any) -> Any:
    return np.interp(g, [0.0, 9.0], [0.0, 1.0])  # the line that stops the recording


def loops(g: Any) -> Any:
    while g.max() > 1:  # the line that stops the recording
        g = g / 2
    return g


def writes(g: Any) -> Any:
    g = g * 1
    g[0] = 0  # the line that stops the recording
    return g


@pytest.mark.parametrize("engine", [None, *ENGINES])
@pytest.mark.parametrize("formula", [looks, calls_numpy, loops, writes])
def test_what_cannot_be_recorded_runs_all_the_same(formula: Callable[[Any], Any], engine: str | None) -> None:
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return arrayopt.tree.map(formula, updates), state

    tx = arrayopt.chain(arrayopt.GradientTransformation(lambda params: (), update), arrayopt.sgd(0.1, momentum=0.5))
    step, params = arrayopt.fused_step(tx, engine), {"w": np.ones(4)}
    wanted, given, state = params["w"].copy(), params["w"], tx.init(params)
    momentum = state[1][0].trace["w"]
    for k in range(2):
        grads = {"w": np.full(4, 3.0 + k)}
        updates, _ = tx.update(grads, arrayopt.tree.map(np.array, state), params)
        wanted = wanted + updates["w"]
        params, state = step(params, grads, state)
    assert params["w"] is given and state[1][0].trace["w"] is momentum  # in place all the same
    assert given.tolist() == pytest.approx(wanted.tolist())
    assert step.explain().engine == "eager"
    assert "the line that stops the recording" in (step.explain().stopped or "")


def test_a_bad_gradient_is_refused_as_by_update_and_nothing_is_written() -> None:
    tx, params = arrayopt.adamw(0.1), {"w": np.ones(3)}
    state, step = tx.init({"w": np.ones(3)}), arrayopt.fused_step(tx)
    with pytest.raises(
        ValueError, match=r"adamw: the gradient at \['w'\] has shape \(2,\), its parameter has \(3,\)"
    ):
        step(params, {"w": np.ones(2)}, state)
    with pytest.raises(TypeError, match=r"adamw: the gradient at .* must be an array; got str"):
        step(params, {"w": "steep"}, state)
    params, state = step(params, {"w": np.ones(3)}, state)
    with pytest.raises(ValueError, match="has shape"):
        step(params, {"w": np.ones(4)}, state)
    assert int(state[0].count) == 1 and params["w"] == pytest.approx([0.9] * 3, abs=1e-4)


def test_arguments_are_looked_at() -> None:
    with pytest.raises(ValueError, match=r"engine must be one of .*tiles.*; got 'fast'"):
        arrayopt.fused_step(arrayopt.adam(0.1), engine="fast")
    with pytest.raises(TypeError, match="fused_step: optimizer must have an update; got function"):
        arrayopt.fused_step(arrayopt.adam)
    step = arrayopt.fused_step(arrayopt.adam(0.1), engine="jit")
    with pytest.raises(ValueError, match="engine 'jit' does not serve numpy"):
        step({"w": np.ones(1)}, {"w": np.ones(1)}, arrayopt.adam(0.1).init({"w": np.ones(1)}))


def test_what_shares_memory_or_cannot_be_written_is_refused_by_name() -> None:
    tx, base = arrayopt.sgd(0.1), np.ones(6)
    step = arrayopt.fused_step(tx)
    grads = {"a": np.ones(3), "b": np.ones(3)}
    with pytest.raises(ValueError, match=r"the parameter at \['a'\] and the parameter at \['b'\] share memory"):
        step({"a": base[:3], "b": base[2:5]}, grads, tx.init(grads))
    frozen = np.ones(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match=r"the parameter at \['b'\] must be writable"):
        step({"a": np.ones(3), "b": frozen}, grads, tx.init(grads))
    columns = np.ones((3, 2))
    params, _ = step({"a": columns[:, 0], "b": columns[:, 1]}, grads, tx.init(grads))  # interleaved, not shared
    assert columns == pytest.approx(np.full((3, 2), 0.9)) and params["a"].base is columns


def test_before_the_first_step_the_explanation_says_so() -> None:
    assert repr(arrayopt.fused_step(arrayopt.adam(0.1)).explain()) == "no step has been taken yet"


def test_the_explanation_counts_passes_and_bytes() -> None:
    tx = arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adamw(0.1))
    step, params = arrayopt.fused_step(tx, "tiles"), {"w": np.ones(1000, np.float32), "b": np.ones(10, np.float32)}
    step(params, arrayopt.tree.map(np.array, params), tx.init(params))
    told = step.explain()
    assert [kernel.reduces for kernel in told.kernels] == [
        ["sum of v2"],  # of squares in double
        [],
    ]  # two passes, one program for both leaves
    assert told.bytes_read == 1010 * 4 * 5 and told.bytes_written == 1010 * 4 * 3
    assert told.bytes_minimum == 1010 * 4 * 7 + 8  # and the count
    assert told.barriers == ["2 × sum over a whole array, within the kernel"]
    assert "v2 = v1 * v1  (float64)" in repr(told)


# -- Torch and JAX ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_parameters_that_require_a_gradient_are_updated_without_autograd(engine: str) -> None:
    lib = torch()
    p = lib.nn.Parameter(lib.ones(3))
    tx = arrayopt.adamw(0.1)
    state, step, version = tx.init([p.detach()]), arrayopt.fused_step(tx, engine), p._version
    saved = (p * p).sum()
    [q], _ = step([p], [lib.ones(3)], state)
    assert q is p and p.requires_grad and p.grad_fn is None and p.is_leaf
    assert p._version > version  # what autograd saved before is known to be stale
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        saved.backward()


def test_the_memory_of_a_parameter_may_be_exchanged() -> None:
    lib = torch()
    p, tx = lib.nn.Parameter(lib.zeros(3)), arrayopt.sgd(1.0)
    step, state = arrayopt.fused_step(tx), tx.init([p.detach()])
    step([p], [lib.ones(3)], state)
    old, p.data = p.data, lib.full((3,), 5.0)
    step([p], [lib.ones(3)], state)
    assert p.tolist() == [4.0] * 3 and old.tolist() == [-1.0] * 3


def test_on_jax_parameters_and_state_are_donated() -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    jnp = importlib.import_module("jax.numpy")
    tx, params = arrayopt.adamw(0.1), {"w": jnp.ones(3)}
    state, step = tx.init(params), arrayopt.fused_step(tx)
    moved, _ = step(params, {"w": jnp.ones(3)}, state)
    assert params["w"].is_deleted() and not moved["w"].is_deleted()
    told = step.explain()
    assert told.engine == "jit" and len(told.kernels) == 1 and told.stopped is None


# -- kernels used again ----------------------------------------------------------------------------------------------


def test_new_numbers_compile_nothing() -> None:
    numba_only()
    from arrayopt_numba import kernels

    def stepped(**numbers: Any) -> None:
        tx, params = arrayopt.adamw(**numbers), {"w": np.ones(7, np.float32), "b": np.ones((2, 3), np.float32)}
        arrayopt.fused_step(tx, "numba")(params, arrayopt.tree.map(np.cos, params), tx.init(params))

    stepped(learning_rate=0.1)
    with mock.patch.object(kernels, "_loaded", side_effect=AssertionError("a kernel is compiled")):
        for lr, b1, b2, eps, decay in (
            (0.2, 0.8, 0.99, 1e-6, 0.3),
            (0.5, 0.95, 0.95, 0.0, 0.5),  # equal numbers, and zero
            (1.0, 0.999, 0.9, 1.0, 1.0),
        ):
            stepped(learning_rate=lr, b1=b1, b2=b2, eps=eps, weight_decay=decay)


def test_compiled_kernels_are_found_by_the_next_process(tmp_path: Any) -> None:
    numba_only()
    code = """
import numpy as np, arrayopt, time
from numba.core import dispatcher
compiled = []
old = dispatcher._FunctionCompiler._compile_cached
def counted(self, *args):
    compiled.append(self.py_func.__name__)
    return old(self, *args)
dispatcher._FunctionCompiler._compile_cached = counted
tx, params = arrayopt.adamw(0.1), {"w": np.ones(5)}
arrayopt.fused_step(tx, "numba")(params, {"w": np.ones(5)}, tx.init(params))
print("run" in compiled)
"""
    env = {**os.environ, "ARRAYOPT_CACHE_DIR": str(tmp_path)}
    done = [subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True) for _ in range(2)]
    assert [run.stdout.strip() for run in done] == ["True", "False"], done[0].stderr + done[1].stderr


# -- threads, forks, interrupts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_may_step_at_once(engine: str) -> None:
    tx, days = arrayopt.adamw(0.1), [np.random.default_rng(k).standard_normal(LARGE) for k in range(3)]
    step, wanted, results = arrayopt.fused_step(tx, engine), np.ones(LARGE), [np.ones(LARGE) for _ in range(4)]

    def train(p: Any) -> None:
        state = tx.init(p)
        for g in days:
            _, state = step(p, g, state)

    train(wanted)
    threads = [threading.Thread(target=train, args=(p,)) for p in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all([np.array_equal(p, wanted) for p in results])


def test_a_forked_child_steps_on_threads_of_its_own() -> None:
    numba_only()
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    code = f"""
import os, warnings, numpy as np, arrayopt
warnings.simplefilter("ignore")
tx, p = arrayopt.adamw(0.1), np.ones({LARGE})
step, state = arrayopt.fused_step(tx, "numba"), tx.init(p)
step(p, p.copy(), state)
child = os.fork()
step(p, p.copy(), state)
if not child:
    os._exit(0 if int(state[0].count) == 2 and abs(p - p[0]).max() == 0 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(state[0].count))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["0", "2"], done.stderr


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a program that says nothing of it: a process started in the background ignores it."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("engine", ENGINES)
def test_an_interrupt_waits_for_the_end_of_the_step(engine: str) -> None:
    """Ctrl-C while the first of two kernels runs: the exception comes, and the whole step has been taken."""
    tx = arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adamw(0.1))
    params, grads = {"w": np.ones(5)}, {"w": np.full(5, 2.0)}
    state = tx.init(params)
    step, wanted, alike = arrayopt.fused_step(tx, engine), {"w": np.ones(5)}, tx.init(params)
    arrayopt.fused_step(tx, engine)(wanted, grads, alike)
    step({"w": np.ones(5)}, grads, tx.init(params))  # recorded
    way: Any = step._recent
    kind, launched = type(way._engine), []

    def launch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not launched:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
        launched.append(1)
        return original(self, *args, **kwargs)

    original = kind.launch
    with mock.patch.object(kind, "launch", launch), pytest.raises(KeyboardInterrupt):
        step(params, grads, state)
    assert len(launched) == 2
    assert params["w"].tolist() == wanted["w"].tolist() and int(state[1][0].count) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_rule_may_take_fused_steps_itself() -> None:
    inner = arrayopt.fused_step(arrayopt.sgd(1.0))

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        moved, _ = inner(arrayopt.tree.map(np.array, updates), updates, arrayopt.sgd(1.0).init(updates))
        return arrayopt.tree.map(lambda g, m: g + m, updates, moved), state

    step = arrayopt.fused_step(arrayopt.GradientTransformation(lambda params: (), update))
    params, _ = step({"w": np.zeros(2)}, {"w": np.ones(2)}, ())
    assert params["w"].tolist() == [1.0, 1.0]
