"""What recording must not get wrong: numbers that change their kind, states made anew, arrays held too long."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.harness.compare import assert_near, assert_same
from arrayopt_conformance.harness.fused import kernel_engines, rule, stepped
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.libraries import Library, libraries

import arrayopt
from arrayopt import GradientTransformation, dispatch
from arrayopt.dispatch import backend, namespace
from arrayopt.fused import words
from arrayopt.lift import lift
from arrayopt.tree import structure

ENGINES = kernel_engines("numpy", "torch")


def of_a_number(new: Callable[[Any, Any, Any], Any]) -> GradientTransformation:
    """The state is what ``new(xp, state, g)`` makes of it."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return updates, new(namespace(updates), state, updates)

    return GradientTransformation(lambda params: 2, update)


CHANGES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "stays whole": lambda xp, s, g: s + 1,
    "becomes a fraction": lambda xp, s, g: s + 0.5,
    "becomes an array of one entry": lambda xp, s, g: backend(g).settle(s * xp.max(g)),
    "becomes an array": lambda xp, s, g: s * g,
    "becomes a truth": lambda xp, s, g: s > 3,
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_a_number_in_the_state_may_change_its_kind(library: Library, engine: str, name: str) -> None:
    tx, g = of_a_number(CHANGES[name]), library.asarray(np.ones(3), "float64")
    step, p, q = arrayopt.fused_step(tx, engine=engine), library.backend.copy(g), g
    state: Any = 2
    wanted: Any = 2
    for _ in range(3):
        us, wanted = tx.update(g, wanted, q)
        q = arrayopt.apply_updates(q, us)
        p, state = step(p, g, state)
        assert type(state) is type(wanted)
        assert np.all(np.asarray(state) == np.asarray(wanted))
    assert_same(p, q, "the parameter")


@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_a_state_may_be_made_anew_within_an_update(library: Library, engine: str) -> None:
    """Adam that begins again at every second step, its counter too."""
    adam = arrayopt.adam(0.1)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        xp, settle = namespace(params), backend(params).settle
        count, inner = state

        def chosen(new: Any, old: Any) -> Any:
            return settle(xp.where(count % 2 == 0, new, old))

        us, inner = adam.update(updates, arrayopt.tree.map(chosen, adam.init(params), inner), params)
        return us, (settle(count + 1), inner)

    def make() -> GradientTransformation:
        return GradientTransformation(lambda params: (backend(params).counter(params), adam.init(params)), update)

    params = library.asarray(np.linspace(-1, 1, 5), "float64")
    days = [library.asarray(np.cos(np.arange(5.0) + k), "float64") for k in range(4)]
    plain, done = run(make(), params, days), stepped(make, library, params, days, engine)
    assert done.step.explain().stopped is None
    assert_near(done.params, plain.params, 8 * 2.0**-52, "the parameter of step ")
    assert_near(done.states, plain.states, 8 * 2.0**-52, "the state of step ")


def test_arrays_that_a_rule_holds_go_with_the_step() -> None:
    def taken() -> Any:
        held = np.ones(3)
        step = arrayopt.fused_step(rule(lambda xp, g, s, p: (g * held, s)), engine="tiles")
        step(np.zeros(3), np.ones(3), ())
        assert step.explain().stopped is None
        return weakref.ref(held)

    left = [taken() for _ in range(3)]
    gc.collect()
    assert [found() for found in left] == [None] * 3


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_leaves_alike_are_stepped_as_each_alone(library: Library, engine: str, dtype: str) -> None:
    """Also where a narrow update is handed on from a link with a reduction to one without."""
    make = lambda: arrayopt.chain(  # noqa: E731
        arrayopt.scale(2.0), arrayopt.clip_by_block_rms(0.5), arrayopt.scale(-0.1), arrayopt.add_decayed_weights(0.1)
    )
    params = [library.asarray(np.linspace(0.1, k + 1, 8), dtype) for k in range(3)]
    grads = [library.asarray(np.cos(np.arange(8.0) + 2 * k), dtype) for k in range(3)]
    together = stepped(make, library, params, [grads, params], engine)
    assert together.step.explain().stopped is None
    for k in range(3):
        alone = stepped(make, library, [params[k]], [[grads[k]], [params[k]]], engine)
        assert_same([[x[k]] for x in together.params], alone.params, f"parameter {k} of step ")


def test_recording_leaves_no_types_behind() -> None:
    """A compiler that looks at what is known of types would take longer with each step made."""

    def known() -> tuple[int, int]:
        arrayopt.fused_step(arrayopt.adam(0.1), engine="tiles")(
            np.zeros(3), np.ones(3), arrayopt.adam(0.1).init(np.zeros(3))
        )
        return len(dispatch._namespaces), len(structure._openers)

    first = known()
    assert [known() for _ in range(3)] == [first] * 3


@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_a_counter_may_depend_on_a_parameter_of_one_entry(library: Library, engine: str) -> None:
    """It is an array then, and no number that is worked with on the host."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        xp, settle = namespace(updates["w"]), backend(updates["w"]).settle
        us = lift("counting", lambda g, *, n: g * n, updates, n=state)
        return us, settle(state + xp.astype(updates["b"] > 0, xp.int32))

    def make() -> GradientTransformation:
        return GradientTransformation(lambda params: backend(params["w"]).counter(params["w"]), update)

    params = {
        "b": library.asarray(np.asarray(0.5), "float64"),
        "w": library.asarray(np.linspace(-1, 1, 5), "float64"),
    }
    days = [{"b": library.asarray(np.asarray(x), "float64"), "w": params["w"]} for x in (1.0, -1.0, 2.0, 1.0)]
    plain, done = run(make(), params, days), stepped(make, library, params, days, engine)
    assert done.step.explain().stopped is None
    assert_near(done.params, plain.params, 4 * 2.0**-52, "the parameter of step ")
    assert_same(done.states, plain.states, "the state of step ")


def test_recording_warns_of_nothing() -> None:
    """Words are tried on arrays of one entry to learn their dtypes; what is said there, nobody need know."""

    def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
        odd = [getattr(xp, word)(g) for word in sorted(words.UNARY - {"bitwise_invert", "logical_not"})]
        odd += [
            getattr(xp, word)(g, g) for word in ("divide", "floor_divide", "remainder", "pow", "logaddexp", "atan2")
        ]
        return g + 0 * sum([xp.astype(x, g.dtype) for x in odd]), s

    step, half = arrayopt.fused_step(rule(formula), engine="tiles"), np.full(3, 0.5)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # acosh ½ is NaN, in either way
        warnings.simplefilter("error")
        step(half.copy(), half, ())
    assert step.explain().stopped is None


ONE = (
    "all any argmax argmin argsort count_nonzero cumulative_prod cumulative_sum "
    "max mean min prod sort std sum tril triu var"
).split()  # fmt: skip


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_answers_said_to_be_new_share_no_memory(name: str) -> None:
    """A step may overwrite an array as soon as a function of this list has answered."""
    if name not in libraries():
        pytest.skip(f"needs {name}")
    library = libraries()[name]
    xp: Any = library.backend.xp
    x, one = library.asarray(np.eye(3) + 1, "float64"), library.asarray(np.eye(1) + 1, "float64")
    index = xp.asarray([0, 1, 2])
    made: dict[str, Callable[[Any], Any]] = {
        **{word: (lambda x, f=word: getattr(xp, f)(x, **({"axis": 0} if f[:4] == "cumu" else {}))) for word in ONE},
        **{word: (lambda x, f=word: getattr(xp, f)([x], axis=0)) for word in ("concat", "stack")},
        "matmul": lambda x: xp.matmul(x, x),
        "repeat": lambda x: xp.repeat(x, 1),
        "roll": lambda x: xp.roll(x, 0),
        "take": lambda x: xp.take(x, index[: x.shape[0]], axis=0),
        "take_along_axis": lambda x: xp.take_along_axis(x, xp.zeros(x.shape, dtype=xp.int64), axis=0),
        "tensordot": lambda x: xp.tensordot(x, x),
        "tile": lambda x: xp.tile(x, (1, 1)),
        "vecdot": lambda x: xp.vecdot(x, x),
    }  # fmt: skip
    assert made.keys() == words.FRESH
    for word, function in made.items():
        for given in (x, one):
            found = function(given)
            parts = found if isinstance(found, tuple) else (found,)
            for part in parts:
                shared = np.shares_memory(library.backend.to_numpy(part), library.backend.to_numpy(given))
                assert not shared, f"{word} answers a view"


@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_a_choice_between_two_numbers_has_the_dtype_of_the_library(library: Library, engine: str) -> None:
    """And so has a number to the power of an array: Torch would go by the numbers alone."""
    s, x = library.asarray(np.asarray(0.75), "float32"), library.asarray(np.asarray([-1.0, 0.5, 2.0]), "float32")

    def formula(xp: Any, g: Any, s: Any, p: Any) -> Any:
        return xp.where(g > 0, s[0], 2 * s[0]), (s[0], s[0] ** g)

    plain, done = run(rule(formula, s, x), x, [x]), stepped(lambda: rule(formula, s, x), library, x, [x], engine)
    assert done.step.explain().stopped is None
    assert_near(done.params, plain.params, 4 * 2.0**-23, "the parameter of step ")
    assert_near(done.states, plain.states, 4 * 2.0**-23, "the state of step ")


def growing() -> GradientTransformation:
    """The state is a list of all gradients so far."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return updates, [*state, 0.5 * params]

    return GradientTransformation(lambda params: [], update)


@pytest.mark.parametrize(("library", "engine"), ENGINES, ids=str)
def test_parameters_are_written_in_place_whatever_becomes_of_the_state(library: Library, engine: str) -> None:
    step, p = arrayopt.fused_step(growing(), engine=engine), library.asarray(np.zeros(3), "float64")
    state, g = [], library.asarray(np.ones(3), "float64")
    for k in range(3):
        new, state = step(p, g, state)
        assert new is p
        assert library.numpy(p).tolist() == [k + 1.0] * 3
    assert [library.numpy(x).tolist() for x in state] == [[0.0] * 3, [0.5] * 3, [1.0] * 3]


def test_parameters_are_written_in_place_where_a_counter_is_of_another_library() -> None:
    """A masked transform that is shown no parameter cannot know the library, and counts in NumPy."""
    if "torch" not in libraries():
        pytest.skip("needs torch")
    library = libraries()["torch"]
    tx = arrayopt.adamw(0.1, weight_decay=arrayopt.linear_schedule(0.1, 0.0, 5), mask=lambda params: {"b": False})
    params = {"b": library.asarray(np.ones(3), "float32")}
    state, step = tx.init(params), arrayopt.fused_step(tx)
    kept = params["b"]
    wanted, eager = {"b": kept.clone()}, tx.init(params)
    for _ in range(2):
        us, eager = tx.update(params, eager, wanted)
        wanted = arrayopt.apply_updates(wanted, us)
        params, state = step(params, {"b": kept.clone()}, state)
        assert params["b"] is kept
    assert kept.tolist() != [1.0] * 3
