"""A step taken by `fused_step` is the step that ``update`` and ``apply_updates`` take, on every engine.

In float64 up to 4 units in the last place of the greatest entry that a leaf has had, after three steps: a kernel may
round a product and a sum once instead of twice, and single numbers are computed in double in either case. How near
float32 and 16-bit steps must be is computed, in ``precision/test_fused.py``.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import arrayopt
from arrayopt.dispatch import is_array
from arrayopt_conformance.harness.compare import assert_near, assert_same, by_path, kinds, snapshot
from arrayopt_conformance.harness.data import SHAPES, SMALL, gradients, parameters
from arrayopt_conformance.harness.fused import Steps, copied, serving, stepped
from arrayopt_conformance.harness.runs import Run, run
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library, double

_FEW = 4 * 2.0**-52
_HOLE = "c"


def _wide(library: Library) -> AbstractContextManager[Any]:
    return nullcontext() if "float64" in library.dtypes else double(library)


@law()
def fused_steps_are_eager_steps(make: Recipe, library: Library) -> None:
    """In float64, on every engine that compiles nothing of ours; run eagerly, to the last bit."""
    _assert_eager(make, library, [engine for engine in serving(library) if engine != "numba"])


@law("numpy", "torch", dear=True)
def compiled_steps_are_eager_steps(make: Recipe, library: Library) -> None:
    """In float64, in kernels compiled for the rule."""
    _assert_eager(make, library, [engine for engine in serving(library) if engine == "numba"])


def _assert_eager(make: Recipe, library: Library, engines: list[str]) -> None:
    shapes = SMALL if library.name == "jax" else SHAPES  # JAX compiles every operation of every shape
    with _wide(library):
        params, days = parameters(library, "float64", shapes), gradients(library, "float64", shapes)
        plain = run(make(), params, days)
        for engine in engines:
            done = stepped(make, library, params, days, engine)
            assert kinds(done.states[-1]) == kinds(plain.states[-1]), f"by {engine}, the state is of another kind"
            if engine == "eager":
                assert_same((done.params, done.states), (plain.params, plain.states), "by eager, step ")
            _assert_near_all_along((params, done, plain), make().init(params), engine)


def _assert_near_all_along(runs: tuple[Any, Steps, Run], first: Any, engine: str) -> None:
    """Up to a few last places of the greatest entry that a leaf has had: a step may bring it down to nothing."""
    params, done, plain = runs
    got, wanted = [_over_time([params, *steps.params]) for steps in (done, plain)]
    assert_near(got, wanted, _FEW, f"by {engine}, the parameter ")
    got, wanted = [_over_time([first, *steps.states]) for steps in (done, plain)]
    assert_near(got, wanted, _FEW, f"by {engine}, the state ")


def _over_time(trees: list[Any]) -> dict[str, list[Any]]:
    """For each leaf what it was, step by step."""
    steps = [by_path(tree) for tree in trees]
    return {path: [step[path] for step in steps] for path in steps[0]}


@law("numpy", "torch", dear=True)
def fused_steps_take_complex_numbers(make: Recipe, library: Library) -> None:
    """As those that are not fused do."""
    params, days = parameters(library, "complex128", SMALL), gradients(library, "complex128", SMALL)
    plain = run(make(), params, days)
    for engine in serving(library):
        done = stepped(make, library, params, days, engine)
        _assert_near_all_along((params, done, plain), make().init(params), engine)


@law("array_api_strict", "cupy", "numpy", "torch", dear=True)
def fused_steps_write_in_place_and_read_gradients(make: Recipe, library: Library) -> None:
    """Parameters and state come back in the arrays they were given in, where arrays can be written to.

    What is donated is changed; a gradient, and what an earlier step was given of it, never is.
    """
    for engine in serving(library):
        tx = make()
        params = copied(parameters(library, "float64", SMALL), library)
        days = gradients(library, "float64", SMALL)
        state = copied(tx.init(params), library)
        step, before = arrayopt.fused_step(tx, engine=engine), snapshot(days)
        for gs in days:
            new_params, new_state = step(params, gs, state)
            _assert_in_place((new_params, new_state), (params, state), library, engine)
            params, state = new_params, new_state
        assert snapshot(days) == before, f"by {engine}, a step writes to its gradients"


def _assert_in_place(new: Any, old: Any, library: Library, engine: str) -> None:
    others = by_path(old)
    for path, leaf in by_path(new).items():
        if is_array(leaf) and library.backend.layout(leaf) is not None:
            assert leaf is others[path], f"by {engine}, {path} of (parameters, state) is not written in place"


@law("numpy", "torch", dear=True)
def fused_steps_leave_alone_what_has_no_gradient(make: Recipe, library: Library) -> None:
    """None as a gradient: the parameter and what is remembered of it keep every bit, the others step as eagerly."""
    params = parameters(library, "float64")
    days = [{**gs, _HOLE: None} for gs in gradients(library, "float64")]
    first, plain = make().init(params), run(make(), params, days)
    for engine in serving(library):
        done = stepped(make, library, params, days, engine)
        _assert_near_all_along((params, done, plain), first, engine)
        _assert_untouched((done.params[-1], done.states[-1]), (params, first), engine)


def _assert_untouched(new: Any, old: Any, engine: str) -> None:
    others = by_path(old)
    for path, leaf in by_path(new).items():
        if path.endswith(f"['{_HOLE}']"):
            assert_same(leaf, others[path], f"by {engine}, without a gradient {path} of (parameters, state)")


@law("numpy", "torch", dear=True)
def fused_steps_repeat_to_the_bit(make: Recipe, library: Library) -> None:
    """Two runs give the same bits, and so does one that goes on from a copy: nothing is kept beside the state."""
    params, days = parameters(library, "float64"), gradients(library, "float64", steps=4)
    for engine in serving(library):
        first = stepped(make, library, params, days, engine)
        second = stepped(make, library, params, days, engine)
        assert_same(second[:2], first[:2], f"by {engine}, in a second run ")
        rest = stepped(make, library, first.params[1], days[2:], engine, first.states[1])
        got, wanted = (rest.params, rest.states), (first.params[2:], first.states[2:])
        assert_same(got, wanted, f"by {engine}, from a copy ")
