"""States that did not come from ``init``: from JSON, from another library, from a slip of the hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.libraries import Library

import arrayopt
from arrayopt import tree
from arrayopt.tree import StructureError

RULES: dict[str, Callable[[], Any]] = {
    "adam": lambda: arrayopt.adam(arrayopt.linear_schedule(0.1, 0.0, 9)),
    "adamw": lambda: arrayopt.adamw(lambda k: 0.1 / (1 + k), weight_decay=lambda k: 0.1 * 0.5**k),
    "adabelief": lambda: arrayopt.adabelief(0.1),
    "ademamix": lambda: arrayopt.contrib.ademamix(0.1),
    "adopt": lambda: arrayopt.contrib.adopt(0.1),
    "adafactor": lambda: arrayopt.adafactor(0.1, momentum=0.9),
    "ema": lambda: arrayopt.ema(0.9),
    "masked": lambda: arrayopt.masked(arrayopt.adam(0.1), True),
}
HAVE_STATE = {**RULES, "sgd": lambda: arrayopt.sgd(0.1, momentum=0.9), "trace": lambda: arrayopt.trace(0.9)}


def begun(make: Callable[[], Any], library: Library, steps: int = 3) -> tuple[Any, Any, Any]:
    """A transform, parameters which are its gradients too, and a state some steps on."""
    p = {"w": library.asarray([1.0, -2.0], "float32"), "b": library.asarray([0.5], "float32")}
    tx = make()
    state = tx.init(p)
    for _ in range(steps):
        _, state = tx.update(p, state, p)
    return tx, p, state


def with_counts(state: Any, change: Callable[[int], Any]) -> Any:
    """The state with other counters."""
    return tree.map(lambda x: change(int(x)) if "int32" in str(x.dtype) else x, state)


FORMS: dict[str, Callable[[int], Any]] = {
    "ints": lambda n: n,
    "ints of JSON": lambda n: json.loads(json.dumps(n)),
    "arrays of NumPy": lambda n: np.asarray(n, np.int32),
    "long arrays of NumPy": lambda n: np.asarray(n, np.int64),
    "scalars of NumPy": lambda n: np.int64(n),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", RULES)
def test_a_counter_is_the_number_it_holds(name: str, form: str, library: Library) -> None:
    tx, p, state = begun(RULES[name], library)
    wanted, after = tx.update(p, state, p)
    got, new = tx.update(p, with_counts(state, FORMS[form]), p)
    assert tree.allclose(got, wanted, rtol=1e-6, atol=0)
    for x, y in zip(tree.flatten(new)[0], tree.flatten(after)[0], strict=True):
        assert type(x) is type(y)
        assert x.dtype == y.dtype or library.name == "numpy"  # whose own wider counters stay so
        np.testing.assert_allclose(library.numpy(x), library.numpy(y), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "form"),
    [*[("adam", form) for form in FORMS], *[(name, "ints of JSON") for name in RULES if name != "adam"]],
)
def test_a_fused_step_takes_such_counters(name: str, form: str, library: Library) -> None:
    tx, p, state = begun(RULES[name], library)
    eager, fused = (tree.map(lambda x: x + 0, p) for _ in range(2))
    compiles = name == "adam" or library.name not in ("numpy", "torch")  # how a kernel is handed a counter, one shows
    mine, step = with_counts(state, FORMS[form]), arrayopt.fused_step(tx, None if compiles else "tiles")
    for _ in range(3):
        u, state = tx.update(p, state, eager)
        eager = arrayopt.apply_updates(eager, u)
        fused, mine = step(fused, p, mine)
    for key in p:
        np.testing.assert_allclose(library.numpy(fused[key]), library.numpy(eager[key]), rtol=1e-5)


def test_tree_set_sets_a_counter(library: Library) -> None:
    tx, p, state = begun(RULES["adam"], library)
    _, new = tx.update(p, tree.set(state, count=500), p)
    assert [int(c) for c in (new[0].count, new[1].count)] == [501, 501]
    _, new = tx.update(p, tree.set(state, count=2**40), p)
    assert int(new[0].count) == 2**31 - 1


BAD: dict[str, Any] = {
    "None": None,
    "a float": 3.0,
    "a bool": True,
    "less than nothing": -1,
    "text": "3",
    "a list": [3],
    "a float of NumPy": np.asarray(3.0),
    "a vector": np.asarray([3], np.int32),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("name", RULES)
def test_a_counter_that_is_no_integer_is_refused(name: str, what: str, library: Library) -> None:
    tx, p, state = begun(RULES[name], library)
    message = (
        rf"^{'adam' if name == 'masked' else name}: \w+State\w*\.count\w* must be a 0-d integer array; got .+\.$"
    )
    if name == "adamw":
        message = message.replace(r"\w+State\w*", r"\w+")
    with pytest.raises(TypeError, match=message):
        tx.update(p, with_counts(state, lambda n: BAD[what]), p)


@pytest.mark.parametrize("what", [None, (), {}, [], 3, "state"])
@pytest.mark.parametrize("name", HAVE_STATE)
def test_what_is_no_state_is_refused(name: str, what: Any, library: Library) -> None:
    tx, p, state = begun(HAVE_STATE[name], library)
    with pytest.raises(
        (TypeError, ValueError), match=rf"^{name}: the state must be a .+; got .+\. Call init first\.$"
    ):
        tx.update(p, what, p)
    if type(state) is tuple:
        for i, part in enumerate(state):
            if part != arrayopt.EmptyState():
                with pytest.raises(TypeError, match=rf"^{name}: the state must be a .+; got .+\. Call init first\.$"):
                    tx.update(p, (*state[:i], what, *state[i + 1 :]), p)


def test_a_state_of_optax_has_the_fields() -> None:
    optax, jnp = pytest.importorskip("optax"), pytest.importorskip("jax.numpy")
    p = jnp.ones(2)
    u, state = arrayopt.adam(0.1).update(p, optax.adam(0.1).init(p), p)
    np.testing.assert_allclose(u, [-0.1, -0.1], rtol=1e-5)
    assert int(state[0].count) == 1


def test_counters_of_another_library_are_refused(library: Library) -> None:
    torch = pytest.importorskip("torch")
    if library.name == "torch":
        pytest.skip("its own")
    tx, p, state = begun(RULES["adam"], library)
    with pytest.raises(TypeError, match=rf"^adam: all arrays .*State\.count is of torch, .* {library.name}\.$"):
        tx.update(p, with_counts(state, lambda n: torch.tensor(n)), p)


@pytest.mark.parametrize("bad", [0.0, True, "0", None])
def test_slots_that_are_no_arrays_are_refused(bad: Any, library: Library) -> None:
    tx, p, state = begun(RULES["adam"], library)
    broken = (state[0]._replace(mu={"w": bad, "b": p["b"]}), *state[1:])
    with pytest.raises((TypeError, StructureError), match=r"^adam: .*\['w'\]"):
        tx.update(p, broken, p)


def test_without_gradients_a_counter_stays_what_it_is(library: Library) -> None:
    tx, p, state = begun(RULES["adam"], library)
    _, new = tx.update({"w": None, "b": None}, with_counts(state, lambda n: n), p)
    assert int(new[0].count) == 4


def test_such_states_compile(library: Library) -> None:
    if library.name == "jax":
        import jax

        tx, p, state = begun(RULES["adam"], library)
        wanted, _ = tx.update(p, state, p)
        got, new = jax.jit(tx.update)(p, with_counts(state, lambda n: n), p)
        assert tree.allclose(got, wanted, rtol=1e-6, atol=0)
        (_, again), _ = jax.lax.scan(lambda c, _: ((p, tx.update(p, c[1], p)[1]), None), (p, new), None, length=2)
        assert int(again[0].count) == 6
    if library.name == "torch":
        torch = pytest.importorskip("torch")
        torch._dynamo.reset()
        tx, p, state = begun(RULES["adam"], library)
        wanted, _ = tx.update(p, state, p)
        update = torch.compile(tx.update, fullgraph=True, backend="aot_eager")
        got, _ = update(p, with_counts(state, lambda n: n), p)
        assert tree.allclose(got, wanted, rtol=1e-6, atol=0)


def test_a_list_of_states_is_a_tuple(library: Library) -> None:
    tx, p, state = begun(RULES["adam"], library)
    wanted, after = tx.update(p, state, p)
    got, new = tx.update(p, list(state), p)
    assert tree.allclose(got, wanted, rtol=0, atol=0)
    assert type(new) is type(after)
    _, new = arrayopt.fused_step(tx)(tree.map(lambda x: x + 0, p), p, list(state))
    assert int(new[0].count) == 4


def test_a_rule_without_checks_takes_ints_too(library: Library) -> None:
    from arrayopt.lift import counter, lift, slots_like
    from arrayopt.numerics import at, ema, safe_increment

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        u, m = lift(
            "mine", lambda g, m, b: (ema(m, g, b),) * 2, updates, state[1], **at(state[0], b=lambda k: 0.5**k)
        )
        return u, (safe_increment(state[0]), m)

    tx = arrayopt.GradientTransformation(lambda p: (counter(p), slots_like("mine", p)), update)
    p = library.asarray([1.0, -2.0], "float32")
    _, (count, m) = tx.update(p, (2, p), p)
    assert count == 3
    _, (count, _) = arrayopt.fused_step(tx)(p + 0, p, (2, m + 0))
    assert int(count) == 3


def test_safe_increment_takes_ints() -> None:
    for bad in (1.5, None, np.asarray(1.5), "1"):
        with pytest.raises(TypeError, match=r"^safe_increment: count must be an integer .*; got"):
            arrayopt.safe_increment(bad)
    assert [arrayopt.safe_increment(n) for n in (0, 2**31 - 2, 2**31 - 1)] == [1, 2**31 - 1, 2**31 - 1]
