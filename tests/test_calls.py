"""Optimizers as data: printed, compared, hashed, copied and pickled as the call that made them."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import subprocess
import sys
import traceback
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance import oracles
from arrayopt_conformance.libraries import has
from arrayopt_conformance.rules import rules

import arrayopt
from arrayopt import tree
from arrayopt.calls import ByCall, by_call

CASES = [(rule, case) for rule in rules() if rule.oracle is not None for case in rule.cases]
CHAINS: dict[str, Any] = {
    "chain": lambda: arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.scale(-0.1)),
    "chain of none": lambda: arrayopt.chain(),
    "masked": lambda: arrayopt.masked(arrayopt.adam(0.1), {"a": True, "b": [False, True]}),
    "nested": lambda: arrayopt.chain(arrayopt.chain(arrayopt.masked(arrayopt.identity(), {"a": True}))),
    "mask in an alias": lambda: arrayopt.adamw(0.1, mask={"w": True, "b": False}),
    "scheduled": lambda: arrayopt.adam(arrayopt.cosine_decay_schedule(0.1, 100)),
    "extra arguments": lambda: arrayopt.with_extra_args_support(arrayopt.scale(2.0)),
    "joined": lambda: arrayopt.join_schedules(
        [arrayopt.constant_schedule(1.0), arrayopt.linear_schedule(1.0, 0.0, 10)], [5]
    ),
    "in contrib": lambda: arrayopt.contrib.ademamix(0.1),
    "dtypes": lambda: arrayopt.adam(0.1, mu_dtype=np.float32),
    "a function": lambda: arrayopt.adam(half),
    "a mask function": lambda: arrayopt.adamw(0.1, mask=all_of),
}


def half(count: Any) -> Any:
    return 0.5


def all_of(params: Any) -> Any:
    return True


def held(made: Any) -> None:
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(pickle.loads(pickle.dumps(made))) == hash(made)
    assert copy.deepcopy(made) == made
    assert copy.copy(made) is made


@pytest.mark.parametrize(("rule", "case"), CASES, ids=lambda x: str(x))
def test_a_rule_is_its_call(rule: Any, case: str) -> None:
    one, other = rule.make(**rule.cases[case]), rule.make(**rule.cases[case])
    assert one == other
    assert hash(one) == hash(other)
    assert not one.__ne__(other)
    functions = {x.__name__: x for x in rule.cases[case].values() if inspect.isfunction(x)}
    if "<lambda>" not in functions and "array(" not in repr(one):
        assert eval(repr(one), {**vars(oracles), **vars(arrayopt), **functions}) == one
    held(one)


@pytest.mark.parametrize("name", CHAINS)
def test_what_is_made_of_others_is_its_call(name: str) -> None:
    one, other = CHAINS[name](), CHAINS[name]()
    assert one == other
    assert hash(one) == hash(other)
    assert eval(repr(one), {**vars(arrayopt), "half": half, "all_of": all_of}) == one
    held(one)


def test_what_is_printed() -> None:
    assert repr(arrayopt.adam(0.1)) == "adam(0.1)"
    assert repr(arrayopt.adam(learning_rate=0.1, b2=0.99)) == "adam(0.1, b2=0.99)"
    assert repr(arrayopt.adam(0.1, nesterov=True)) == "adam(0.1, nesterov=True)"
    assert repr(CHAINS["chain"]()) == "chain(clip_by_global_norm(1.0), scale(-0.1))"
    assert repr(CHAINS["in contrib"]()) == "contrib.ademamix(0.1)"
    assert repr(CHAINS["scheduled"]()) == "adam(cosine_decay_schedule(0.1, 100))"
    assert repr(CHAINS["dtypes"]()) == "adam(0.1, mu_dtype='float32')"
    assert repr(arrayopt.adam(np.float64(0.1))) == "adam(0.1)"
    assert repr(arrayopt.adam(lambda count: 0.1)) == "adam(<lambda>)"
    assert repr(arrayopt.fused_step(arrayopt.adam(0.1))) == "fused_step(adam(0.1))"


def test_how_arguments_are_passed_makes_no_difference() -> None:
    same = [
        arrayopt.adam(0.1),
        arrayopt.adam(learning_rate=0.1),
        arrayopt.adam(0.1, b1=0.9),
        arrayopt.adam(0.1, 0.9, nesterov=False, mu_dtype=None),
        arrayopt.adam(np.float64(0.1)),
    ]
    assert len(set(same)) == 1
    assert arrayopt.adam(0.1, mu_dtype="float32") == arrayopt.adam(0.1, mu_dtype=np.float32)
    assert arrayopt.adam(1) == arrayopt.adam(1.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: arrayopt.adam(0.1), lambda: arrayopt.adam(0.2)),
        (lambda: arrayopt.adam(0.1), lambda: arrayopt.adamw(0.1)),
        (lambda: arrayopt.adam(half), lambda: arrayopt.adam(all_of)),
        (lambda: arrayopt.adam(lambda k: 0.1), lambda: arrayopt.adam(lambda k: 0.1)),
        (lambda: arrayopt.chain(), lambda: arrayopt.identity()),
        (
            lambda: arrayopt.chain(arrayopt.scale(1.0), arrayopt.scale(2.0)),
            lambda: arrayopt.chain(arrayopt.scale(2.0), arrayopt.scale(1.0)),
        ),
        (
            lambda: arrayopt.masked(arrayopt.scale(1.0), {"a": True}),
            lambda: arrayopt.masked(arrayopt.scale(1.0), {"a": False}),
        ),
        (
            lambda: arrayopt.masked(arrayopt.scale(1.0), {"a": True}),
            lambda: arrayopt.masked(arrayopt.scale(1.0), {"b": True}),
        ),
        (
            lambda: arrayopt.masked(arrayopt.scale(1.0), [True]),
            lambda: arrayopt.masked(arrayopt.scale(1.0), (True,)),
        ),
        (lambda: arrayopt.scale(np.asarray(1.0)), lambda: arrayopt.scale(np.asarray(1.0))),
        (lambda: arrayopt.cosine_decay_schedule(0.1, 10), lambda: arrayopt.cosine_decay_schedule(0.1, 11)),
        (lambda: arrayopt.adam(0.1), lambda: "adam(0.1)"),
        (lambda: arrayopt.adam(0.1), lambda: tuple(arrayopt.adam(0.1))),
    ],
)
def test_other_calls_make_others(one: Any, other: Any) -> None:
    assert one() != other()
    assert one().__eq__(other()) is not True


def test_arrays_are_compared_by_identity() -> None:
    rate = np.asarray(0.1)
    assert arrayopt.adam(rate) == arrayopt.adam(rate)
    assert arrayopt.adam(rate) != arrayopt.adam(rate.copy())
    assert hash(arrayopt.adam(rate)) == hash(arrayopt.adam(rate))
    again = pickle.loads(pickle.dumps(arrayopt.chain(arrayopt.adam(rate))))
    assert again.update(np.ones(2), again.init(np.ones(2)))[0] == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: arrayopt.adam(lambda k: 0.1), "adam: learning_rate"),
        (lambda: arrayopt.chain(arrayopt.identity(), arrayopt.adamw(0.1, mask=lambda p: p)), "adamw: mask"),
        (
            lambda: arrayopt.chain(arrayopt.identity(), arrayopt.GradientTransformation(lambda p: p, lambda g, s: g)),
            "chain: argument 1",
        ),
        (lambda: arrayopt.join_schedules([lambda k: 0.1], []), "join_schedules: schedules"),
    ],
)
def test_an_argument_that_cannot_be_pickled_is_named(make: Any, named: str) -> None:
    with pytest.raises(pickle.PicklingError, match=f"^{named} must be picklable"):
        pickle.dumps(make())
    assert copy.deepcopy(make()) is not None


def test_a_pickled_optimizer_works_in_another_process() -> None:
    data = pickle.dumps(CHAINS["scheduled"]())
    found = subprocess.run(
        [sys.executable, "-c", f"import pickle; print(repr(pickle.loads({data!r})))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == "adam(cosine_decay_schedule(0.1, 100))"


def test_pairs_of_functions_are_compared_as_before() -> None:
    init, update = lambda p: (), lambda g, s, p=None: (g, s)
    one, other = arrayopt.GradientTransformation(init, update), arrayopt.GradientTransformation(init, update)
    assert one == other
    assert hash(one) == hash(other)
    assert one == (init, update)
    assert one != arrayopt.GradientTransformation(init, lambda g, s, p=None: (g, s))
    assert "init=<function" in repr(one)
    replaced = arrayopt.adam(0.1)._replace(update=update)
    assert replaced != arrayopt.adam(0.1)
    assert "init=<function" in repr(replaced)


def test_isinstance_fields_and_unpacking_stay() -> None:
    tx = arrayopt.adam(0.1)
    init, update = tx
    assert isinstance(tx, arrayopt.GradientTransformation)
    assert isinstance(arrayopt.chain(), arrayopt.GradientTransformationExtraArgs)
    assert tx.init is init
    assert tx.update is update
    assert tx._fields == ("init", "update")


def test_signature_docstring_and_name_stay() -> None:
    parameters = inspect.signature(arrayopt.adam).parameters
    assert list(parameters)[:3] == ["learning_rate", "b1", "b2"]
    assert arrayopt.adam.__doc__ is not None
    assert arrayopt.adam.__doc__.startswith("Adam: steps of about")
    assert arrayopt.adam.__name__ == "adam"
    assert arrayopt.adam.__module__ == "arrayopt.optimizers.adam"


def test_tracebacks_end_where_they_did() -> None:
    try:
        arrayopt.adam(0.1, b1=2.0)
    except ValueError as error:
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert str(error).startswith("adam: b1 must lie in [0, 1)")
        assert "adam" in names
    with pytest.raises(TypeError, match=r"adam\(\) missing 1 required positional argument: 'learning_rate'"):
        arrayopt.adam()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@by_call
def tenth(rate: float = 0.1) -> Any:
    """Somebody's own rule."""
    return arrayopt.chain(arrayopt.sgd(rate))


def test_somebodys_rule_is_its_call_too() -> None:
    assert tenth() == tenth(0.1)
    assert tenth() != tenth(0.2)
    assert repr(tenth(0.2)) == "tenth(rate=0.2)"
    held(tenth())
    with pytest.raises(ValueError, match=r"^sgd: learning_rate must be"):
        tenth(float("nan"))


def test_a_decorated_rule_of_somebody_is_named_in_messages() -> None:
    from arrayopt import checks

    @by_call
    def mine(rate: float) -> Any:
        checks.number("rate", rate)
        return arrayopt.identity()

    with pytest.raises(ValueError, match=r"^mine: rate must be a finite number"):
        mine(float("inf"))


def test_schedules_are_functions_as_before() -> None:
    schedule = arrayopt.linear_schedule(1.0, 0.0, 10)
    assert callable(schedule)
    assert schedule(5) == 0.5
    assert repr(schedule) == "linear_schedule(1.0, 0.0, 10)"
    assert isinstance(schedule, ByCall)


def test_a_fused_step_is_its_optimizer_and_engine() -> None:
    params, grads = {"a": np.ones(3)}, {"a": np.ones(3)}
    optimizer = arrayopt.adam(0.1)
    step = arrayopt.fused_step(optimizer, "tiles")
    state = optimizer.init(params)
    params, state = step(params, grads, state)
    for again in (pickle.loads(pickle.dumps(step)), copy.deepcopy(step)):
        new, _ = again(copy.deepcopy(params), grads, copy.deepcopy(state))
        assert new["a"] == pytest.approx(0.8)
        assert again.explain().engine == "tiles"


TREES: list[Any] = [
    {"a": np.ones(2), "b": [np.ones(1), None]},
    np.ones(2),
    None,
    (),
    OrderedDict(b=np.ones(1), a=np.ones(2)),
    arrayopt.adam(0.1).init({"x": np.ones(1)}),
]


@pytest.mark.parametrize("of", TREES, ids=lambda t: type(t).__name__)
def test_a_structure_pickles(of: Any) -> None:
    leaves, spec = tree.flatten(of)
    for again in (pickle.loads(pickle.dumps(spec)), copy.deepcopy(spec)):
        assert again == spec
        assert hash(again) == hash(spec)
        assert type(again.unflatten(leaves)) is type(of)


def test_an_optimizer_is_a_static_argument_of_jit() -> None:
    if not has("jax"):
        pytest.skip("needs jax")
    jax: Any = importlib.import_module("jax")
    traced: list[int] = []

    def step(tx: Any, x: Any) -> Any:
        traced.append(1)
        return tx.update(x, tx.init(x), x)[0]

    jitted = jax.jit(step, static_argnums=0)
    for tx in (arrayopt.adam(0.1), arrayopt.adam(learning_rate=0.1), arrayopt.adam(0.1, b1=0.9)):
        jitted(tx, jax.numpy.ones(2))
    assert len(traced) == 1
    jitted(arrayopt.adam(0.2), jax.numpy.ones(2))
    assert len(traced) == 2


def test_who_pickles_functions_by_value_may() -> None:
    cloudpickle: Any = pytest.importorskip("cloudpickle")
    again = pickle.loads(cloudpickle.dumps(arrayopt.sgd(lambda k: 0.5)))
    assert again.update(np.ones(2), again.init(np.ones(2)))[0] == pytest.approx(-0.5)
